import { DoorIcon, FramesIcon, Mark } from "./icons";
import { StatusLine } from "./StatusLine";
import { useChat, useObservable } from "./context";

export const FRAMES_BUTTON = "frames-button";

export function Header({ isPanelOpen, onTogglePanel }: { isPanelOpen: boolean; onTogglePanel: () => void }) {
  const chat = useChat();
  const { status } = useObservable(chat.session.state);
  return (
    <header className="header">
      <Mark />
      <div className="titles">
        <h1>gqlink chat</h1>
        <StatusLine />
      </div>
      <nav className="actions" aria-label="Page">
        {chat.config.playground && (
          <a className="button quiet wide-only" href="playground/">
            Playground
          </a>
        )}
        {chat.frames !== null && (
          <button id={FRAMES_BUTTON} className="button quiet" aria-pressed={isPanelOpen} aria-label="WebSocket frames" onClick={onTogglePanel}>
            <FramesIcon />
            <span className="wide-only">Frames</span>
          </button>
        )}
        {status === "signed-in" && (
          <button className="button quiet" aria-label="Sign out" onClick={() => void chat.session.logout()}>
            <DoorIcon />
            <span className="wide-only">Sign out</span>
          </button>
        )}
      </nav>
    </header>
  );
}
