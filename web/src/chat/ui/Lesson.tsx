import type { ParamsKind } from "../chat";
import { useSecondsLeft } from "../../useSecondsLeft";
import { useChat, useObservable } from "./context";

const CODE: Record<ParamsKind, string> = {
  object: "{ accessToken: getAccessToken() }",
  function: "() => ({ accessToken: getAccessToken() })",
};

const MEANING: Record<ParamsKind, string> = {
  object: "Read once, when the page loaded: null. Every connection says so again.",
  function: "Called at every connection, so it always knows who is signed in.",
};

/** The problem and its answer, as a switch. */
export function Lesson() {
  const chat = useChat();
  const kind = useObservable(chat.paramsKind);
  return (
    <section className="lesson" aria-label="The lesson">
      <fieldset className="switch">
        <legend>
          <code>connectionParams</code>
        </legend>
        <div className="choices">
          {(["object", "function"] as const).map((each) => (
            <label key={each}>
              <input type="radio" name="params" checked={kind === each} onChange={() => chat.setParamsKind(each)} />
              <span>{each}</span>
            </label>
          ))}
        </div>
      </fieldset>
      <p className="code">
        <code>{CODE[kind]}</code>
      </p>
      <p className="meaning">{MEANING[kind]}</p>
      <Verdict />
    </section>
  );
}

/** Whom the page and the socket stand for, side by side. */
function Verdict() {
  const chat = useChat();
  const session = useObservable(chat.session.state);
  const connection = useObservable(chat.connection.state);
  const page = session.status === "signed-in" ? session.name : null;
  const socket = connection.phase === "connected" ? connection.subject : undefined;
  const agrees = socket === undefined ? "unknown" : socket !== page ? "no" : page === null ? "empty" : "yes";
  return (
    <div className="verdict" data-agrees={agrees}>
      <div className="sides">
        <p>
          <span>The page is</span> <strong>{page ?? "nobody"}</strong>
        </p>
        <span className="relation" aria-hidden="true">
          {agrees === "no" ? "≠" : agrees === "unknown" ? "·" : "="}
        </span>
        <p>
          <span>The socket is</span> <strong>{connection.phase === "connected" ? (socket ?? "nobody") : "away"}</strong>
          <TokenSeconds />
        </p>
      </div>
      <p className="verdict-text" role="status">{verdict(page, agrees)}</p>
    </div>
  );
}

/** Until the token on the socket ends. */
function TokenSeconds() {
  const chat = useChat();
  const left = useSecondsLeft(useObservable(chat.expiresAt));
  if (left === null) return null;
  return (
    <span role="timer" aria-label="Seconds to the end of the socket’s token">
      {left} s left
    </span>
  );
}

function verdict(page: string | null, agrees: "yes" | "no" | "empty" | "unknown"): string {
  if (agrees === "unknown") return "There is no connection at the moment.";
  if (agrees === "empty") return "Nobody has signed in yet, so accessToken is null. Right so far.";
  if (page === null) return "Nobody is signed in, and the socket has not heard of it yet.";
  if (agrees === "yes") return `New messages reach ${page} as they are said.`;
  return `${page} is signed in, yet the socket said accessToken: null. No new messages arrive.`;
}
