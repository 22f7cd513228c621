// Renewal without a blink: a fresh token for the same person goes over the live socket, and every subscription runs on.
//
// Put it beside any graphql-ws client: `const renewal = new Renewal(client)`, and call `renew(token)` whenever the login
// gives you another token. The token travels in a ping, which is answered at once as any ping; whether the server
// took it comes later, in a pong that nobody asked for. A token for somebody else needs a new socket.

import type { Client } from "graphql-ws";
import { readAcknowledgement, readOutcome, renewalPayload, type Outcome } from "./additions";
import { Observable } from "./observable";

/** What came of asking; "overtaken" when the socket went away, or a newer token was sent after this one. */
type Answer = Outcome | "silence" | "overtaken";

/** The only refusal that is not about the token. */
const TEMPORARY = "Try again later";
const TRIES = 3;

export interface Patience {
  /** How long the server may take to say what came of it, in milliseconds. */
  answer: number;
  /** How long to wait before asking again what could not be decided, in milliseconds. */
  pause: number;
}

export class Renewal {
  /** When the server ends the socket unless it is renewed, on the clock of `performance.now()`; null if it does not. */
  readonly expiresAt = new Observable<number | null>(null);
  readonly #patience: Patience;
  #socket: WebSocket | null = null;
  #isOffered = false;
  #seq = 0;
  #settle: ((answer: Answer) => void) | null = null;

  constructor(client: Client, patience: Patience = { answer: 8_000, pause: 2_000 }) {
    this.#patience = patience;
    client.on("connected", (socket, payload) => this.#begin(socket as WebSocket, payload));
    client.on("pong", (isReceived, payload) => isReceived && this.#hear(readOutcome(payload)));
    client.on("closed", () => this.#end());
  }

  /**
   * Gives the socket a fresh token of whom it speaks for already.
   *
   * Resolves to true when the socket may stay as it is, which goes for no socket at all: the next one introduces itself
   * with the fresh token. On false a new one is needed, for this one ends with its old token.
   */
  async renew(token: string): Promise<boolean> {
    const socket = this.#socket;
    if (socket === null) return true;
    if (!this.#isOffered) return this.expiresAt.get() === null;
    for (let tries = 1; ; tries += 1) {
      const answer = await this.#ask(socket, token);
      if (answer === "overtaken") return true;
      if (answer === "silence") return false;
      if (answer.error === null) return true;
      if (answer.error !== TEMPORARY || tries === TRIES) return false;
      const seq = this.#seq;
      await new Promise((resolve) => setTimeout(resolve, this.#patience.pause));
      if (this.#socket !== socket || this.#seq !== seq) return true;
    }
  }

  #ask(socket: WebSocket, token: string): Promise<Answer> {
    this.#settle?.("overtaken");
    const seq = ++this.#seq;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#settle?.("silence"), this.#patience.answer);
      this.#settle = (answer) => {
        clearTimeout(timer);
        this.#settle = null;
        resolve(answer);
      };
      socket.send(JSON.stringify({ type: "ping", payload: renewalPayload(token, seq) }));
    });
  }

  #hear(outcome: Outcome | null): void {
    if (this.#settle === null || outcome === null || outcome.seq !== this.#seq) return;
    if (outcome.error === null) this.#expireIn(outcome.expiresIn);
    this.#settle(outcome);
  }

  #begin(socket: WebSocket, payload: unknown): void {
    const { expiresIn, isRenewable } = readAcknowledgement(payload);
    this.#end();
    this.#socket = socket;
    this.#isOffered = isRenewable;
    this.#expireIn(expiresIn);
  }

  /** Whatever is under way is forgotten: it was about a socket that is gone. */
  #end(): void {
    this.#socket = null;
    this.expiresAt.set(null);
    this.#settle?.("overtaken");
  }

  #expireIn(seconds: number | null): void {
    this.expiresAt.set(seconds === null ? null : performance.now() + seconds * 1_000);
  }
}
