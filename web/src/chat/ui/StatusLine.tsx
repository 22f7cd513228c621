import { useEffect, useState } from "react";
import type { ConnectionState } from "../../connection";
import type { SessionState } from "../../session";
import { useSecondsLeft } from "../../useSecondsLeft";
import { useChat, useObservable } from "./context";

type Tone = "good" | "busy" | "off" | "bad";

interface Status {
  tone: Tone;
  text: string;
}

/** What is so, in one line. */
export function StatusLine() {
  const chat = useChat();
  const session = useObservable(chat.session.state);
  const connection = useObservable(chat.connection.state);
  const { tone, text } = status(session, connection);
  const isWaiting = connection.phase === "waiting" && session.status === "signed-in";
  return (
    <p className="status" data-tone={tone}>
      <span className="dot" aria-hidden="true" />
      {/* Read out once, not at every second of the countdown. */}
      <span role="status">
        {text}
        {isWaiting && <Countdown until={connection.retryAt} />}
      </span>
      {tone === "good" && <TokenSeconds />}
      {isWaiting && (
        <button className="link" onClick={chat.connection.retryNow}>
          Now
        </button>
      )}
    </p>
  );
}

/** Until the socket's token ends. A timer, so it is not read out at every second; it may be asked for. */
function TokenSeconds() {
  const chat = useChat();
  const left = useSecondsLeft(useObservable(chat.expiresAt));
  if (left === null) return null;
  return (
    <span className="seconds" role="timer" aria-label="Seconds to the end of the token" title="Until the token on the socket ends; it is renewed before">
      <span className="word">token </span>
      {left} s
    </span>
  );
}

function status(session: SessionState, connection: ConnectionState): Status {
  if (session.status === "restoring") return { tone: "busy", text: "One moment" };
  if (session.status === "signed-out") return { tone: "off", text: WHY_SIGNED_OUT[session.why] };
  switch (connection.phase) {
    case "waiting":
      return { tone: "busy", text: "Reconnecting" };
    case "idle":
    case "connecting":
      return { tone: "busy", text: `Connecting as ${session.name}` };
    case "connected":
      return connected(session.name, connection.subject);
  }
}

function connected(name: string, subject: string | null | undefined): Status {
  if (subject === undefined || subject === name) return { tone: "good", text: `Connected as ${name}` };
  return { tone: "bad", text: `Signed in as ${name}, but ${subject === null ? "not on the socket" : `the socket is ${subject}’s`}` };
}

const WHY_SIGNED_OUT = {
  never: "Not signed in",
  here: "Signed out",
  elsewhere: "Signed out elsewhere",
  ended: "Signed out: the session has ended",
} as const;

function Countdown({ until }: { until: number }) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, []);
  return <span aria-hidden="true"> in {Math.max(Math.ceil((until - now) / 1_000), 1)} s</span>;
}
