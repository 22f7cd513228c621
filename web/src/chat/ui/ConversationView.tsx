import { useMemo } from "react";
import type { Conversation } from "../../conversation";
import { timeline } from "../../messages";
import { Composer } from "./Composer";
import { MessageList } from "./MessageList";
import { useObservable } from "./context";

export function ConversationView({ conversation }: { conversation: Conversation }) {
  const state = useObservable(conversation.state);
  const { messages, outbox } = state;
  const items = useMemo(() => timeline(messages, outbox, conversation.name), [messages, outbox, conversation.name]);
  return (
    <>
      <MessageList conversation={conversation} state={state} items={items} />
      <Composer name={conversation.name} onSend={(text) => conversation.send(text)} />
    </>
  );
}
