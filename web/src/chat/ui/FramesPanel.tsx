import type { FrameRecord } from "../../frames";
import { FrameList } from "./FrameList";
import { CloseIcon } from "./icons";
import { Lesson } from "./Lesson";
import { useChat, useObservable } from "./context";

export function FramesPanel({ record, isOver, onClose }: { record: FrameRecord; isOver: boolean; onClose: () => void }) {
  return (
    <aside className="panel" aria-label="WebSocket frames">
      <header className="panel-head">
        <div>
          <h2>Under the hood</h2>
          <p>
            Every frame on this page’s WebSocket. In <code>connection_init</code> the page says who is signed in; a{" "}
            <code>ping</code> brings a fresh token later.
          </p>
        </div>
        <button className="button quiet" aria-label="Close the frames panel" autoFocus={isOver} onClick={onClose}>
          <CloseIcon />
        </button>
      </header>
      <Lesson />
      <Actions record={record} />
      <FrameList record={record} />
    </aside>
  );
}

const EXPIRE =
  "Connects again with a token that the server refuses: an expired one where the page has one already, else one with a broken signature. The refusal is 4403; the page gets another token and is back.";

function Actions({ record }: { record: FrameRecord }) {
  const chat = useChat();
  const { name } = chat.session;
  const session = useObservable(chat.session.state);
  const connection = useObservable(chat.connection.state);
  const others = chat.config.accounts.filter((account) => account.name !== name);
  const guest = others.find((account) => account.name !== "alice") ?? others[0];
  return (
    <div className="panel-actions" role="group" aria-label="Try it">
      <button className="button small" disabled={connection.phase !== "connected"} onClick={() => record.drop()}>
        Drop the connection
      </button>
      <button
        className="button small"
        disabled={session.status !== "signed-in" || !chat.isSocketOurs}
        title={EXPIRE}
        aria-describedby="expire-meaning"
        onClick={() => chat.expireToken()}
      >
        Expire the token
      </button>
      <span id="expire-meaning" hidden>
        {EXPIRE}
      </span>
      {session.status === "signed-in" && (
        <button className="button small" onClick={() => void chat.session.logout()}>
          Sign out
        </button>
      )}
      {session.status === "signed-in" && (
        <span className="others">
          <span aria-hidden="true">Sign in as</span>
          {others.map((account) => (
            <button
              key={account.name}
              className="button small"
              aria-label={`Sign in as ${account.name}`}
              onClick={() => void chat.loginDemo(account.name)}
            >
              {account.name}
            </button>
          ))}
        </span>
      )}
      {guest !== undefined && (
        <a className="button small" href={`?as=${guest.name}`} target="_blank" rel="noopener">
          Second window as {guest.name}
        </a>
      )}
    </div>
  );
}
