// What the WebSocket is doing, as the status line tells it, and when it tries again.

import type { ClientOptions } from "graphql-ws";
import { readAcknowledgement } from "./additions";
import { Observable } from "./observable";

export type ConnectionState =
  | { phase: "idle" }
  | { phase: "connecting" }
  /** `subject` is whom the server says this socket speaks for; null for nobody, undefined where it does not say. */
  | { phase: "connected"; subject: string | null | undefined }
  /** `retryAt` is in milliseconds since the Unix epoch. */
  | { phase: "waiting"; retryAt: number };

export interface ConnectionEvents {
  connected: () => void;
  /** Nothing comes from the other side any more, although nobody closed the socket. */
  silent: () => void;
  /** The server refused the credential; what the reason means is the session's business. Says whether there is another. */
  refused: (reason: string) => Promise<boolean>;
}

const FIRST_WAIT = 3_000;
const LONGEST_WAIT = 30_000;
const FORBIDDEN = 4403;
/** Who comes back at once with another credential, and is refused again within this time, waits like anybody else. */
const HURRY_EVERY = 10_000;
const PING_EVERY = 25_000;
const PONG_WITHIN = 8_000;

export class Connection {
  readonly state = new Observable<ConnectionState>({ phase: "idle" });
  readonly #events: ConnectionEvents;
  #generation = 0;
  #isDeliberate = false;
  #wake: (() => void) | null = null;
  #patience: ReturnType<typeof setTimeout> | undefined;
  #handling: Promise<boolean> = Promise.resolve(false);
  #hurriedAt = -Infinity;

  constructor(events: ConnectionEvents) {
    this.#events = events;
    addEventListener("online", this.retryNow);
  }

  /** What graphql-ws needs to know for us to follow it; a client made earlier is followed no longer. */
  options(): Partial<ClientOptions> {
    const generation = ++this.#generation;
    const isPresent = () => generation === this.#generation;
    this.#wake?.();
    return {
      connectionAckWaitTimeout: 10_000,
      keepAlive: PING_EVERY,
      retryWait: (retries) => this.#wait(retries),
      on: {
        connecting: () => isPresent() && this.state.set({ phase: "connecting" }),
        connected: (_, payload) => {
          if (!isPresent()) return;
          this.#isDeliberate = false;
          this.state.set({ phase: "connected", subject: readAcknowledgement(payload).subject });
          this.#events.connected();
        },
        ping: (isReceived) => {
          if (isReceived || !isPresent()) return;
          clearTimeout(this.#patience);
          this.#patience = setTimeout(() => isPresent() && this.#events.silent(), PONG_WITHIN);
        },
        pong: (isReceived) => isReceived && isPresent() && clearTimeout(this.#patience),
        closed: (event) => {
          if (!isPresent()) return;
          clearTimeout(this.#patience);
          const { code, reason } = event as CloseEvent;
          // A socket whose introduction could not be made closes when the wait for the next one has begun.
          if (this.state.get().phase !== "waiting") this.state.set({ phase: "idle" });
          // Afterwards: graphql-ws is still telling everybody of this close.
          if (code === FORBIDDEN) this.#handling = Promise.resolve(reason).then(this.#events.refused);
        },
      },
    };
  }

  /** Call before closing the socket on purpose: it then comes back at once. */
  expectClose(): void {
    this.#isDeliberate = true;
    this.#wake?.();
  }

  /** Ends the present wait. */
  readonly retryNow = (): void => this.#wake?.();

  async #wait(retries: number): Promise<void> {
    const hasAnother = await this.#handling; // a refused token is not sent again
    this.#handling = Promise.resolve(false);
    if (this.#isDeliberate) {
      this.#isDeliberate = false;
      return;
    }
    if (hasAnother && performance.now() - this.#hurriedAt > HURRY_EVERY) {
      this.#hurriedAt = performance.now();
      return;
    }
    const milliseconds = Math.min(FIRST_WAIT * 2 ** Math.min(retries, 8), LONGEST_WAIT) * (1 - Math.random() / 5);
    this.state.set({ phase: "waiting", retryAt: Date.now() + milliseconds });
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = null;
  }
}
