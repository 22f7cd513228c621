import { useEffect, useState, useSyncExternalStore } from "react";
import { ConversationView } from "./ConversationView";
import { FramesPanel } from "./FramesPanel";
import { FRAMES_BUTTON, Header } from "./Header";
import { SignIn } from "./SignIn";
import { useChat, useObservable } from "./context";

/** Below this the panel covers the chat, so it waits to be asked for. */
const beside = matchMedia("(min-width: 900px)");

export function App() {
  const chat = useChat();
  const conversation = useObservable(chat.conversation);
  const { status } = useObservable(chat.session.state);
  const [isOpen, setOpen] = useState(() => chat.frames !== null && beside.matches && chat.only === null);
  const isOver = !useIsBeside() && isOpen;
  const close = () => {
    setOpen(false);
    requestAnimationFrame(() => document.getElementById(FRAMES_BUTTON)?.focus());
  };
  useEscape(isOver, close);

  return (
    <div className="app" data-panel={isOpen ? "open" : "closed"}>
      <div className="chat" inert={isOver}>
        <Header isPanelOpen={isOpen} onTogglePanel={() => setOpen(!isOpen)} />
        <main className="stage">
          {conversation !== null && <ConversationView key={conversation.name} conversation={conversation} />}
          {conversation === null && status !== "restoring" && <SignIn />}
        </main>
      </div>
      {chat.frames !== null && isOpen && <FramesPanel record={chat.frames} isOver={isOver} onClose={close} />}
    </div>
  );
}

function useIsBeside(): boolean {
  return useSyncExternalStore(
    (listener) => {
      beside.addEventListener("change", listener);
      return () => beside.removeEventListener("change", listener);
    },
    () => beside.matches,
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
