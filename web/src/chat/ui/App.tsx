import { useEffect, useState } from "react";
import { ConversationView } from "./ConversationView";
import { FramesPanel } from "./FramesPanel";
import { Header } from "./Header";
import { SignIn } from "./SignIn";
import { useChat, useObservable } from "./context";

/** Below this the panel covers the chat, so it waits to be asked for. */
const BESIDE = "(min-width: 900px)";

export function App() {
  const chat = useChat();
  const conversation = useObservable(chat.conversation);
  const { status } = useObservable(chat.session.state);
  const [isOpen, setOpen] = useState(() => chat.frames !== null && matchMedia(BESIDE).matches && chat.only === null);
  useEscape(isOpen, () => !matchMedia(BESIDE).matches && setOpen(false));

  return (
    <div className="app" data-panel={isOpen ? "open" : "closed"}>
      <div className="chat">
        <Header isPanelOpen={isOpen} onTogglePanel={() => setOpen(!isOpen)} />
        <main className="stage">
          {conversation !== null ? <ConversationView key={conversation.name} conversation={conversation} /> : status !== "restoring" && <SignIn />}
        </main>
      </div>
      {chat.frames !== null && isOpen && <FramesPanel record={chat.frames} onClose={() => setOpen(false)} />}
    </div>
  );
}

function useEscape(isActive: boolean, action: () => void): void {
  useEffect(() => {
    if (!isActive) return;
    const listener = ({ key }: KeyboardEvent) => key === "Escape" && action();
    addEventListener("keydown", listener);
    return () => removeEventListener("keydown", listener);
  });
}
