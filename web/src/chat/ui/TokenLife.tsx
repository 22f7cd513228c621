import { useSecondsLeft } from "../../useSecondsLeft";
import { useChat, useObservable } from "./context";

/** How long the socket's token lasts, and what happens when it does not. */
export function TokenLife() {
  const chat = useChat();
  useObservable(chat.connection.state);
  const expiresAt = useObservable(chat.expiresAt);
  const left = useSecondsLeft(expiresAt);
  return (
    <section className="token-life" aria-label="The token on the socket">
      <p className="token-left">
        <span>The socket’s token ends in</span> <strong role="timer">{left === null ? "no time" : `${left} s`}</strong>
      </p>
      <button
        className="button small"
        disabled={left === null || !chat.isSocketOurs}
        aria-describedby="expire-meaning"
        onClick={() => chat.expireToken()}
      >
        Expire the token
      </button>
      <p className="meaning" id="expire-meaning">
        A ping renews it ahead of time. Expired, it is presented once more: the server refuses it with 4403, the page
        gets another and is back.
      </p>
    </section>
  );
}
