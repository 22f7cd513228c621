// Whom the playground speaks for: a token in this object's memory, and one WebSocket that says the same.

import { createClient, type Client } from "graphql-ws";
import { Observable } from "../observable";
import { readToken } from "../tokens";
import type { Config } from "./config";

export type SocketState =
  | { phase: "closed"; reason: string | null }
  | { phase: "open"; subject: string | null | undefined };

export type Outcome = "ok" | "refused" | "unreachable";

export class Identity {
  /** The name in the token; null for a stranger. */
  readonly name = new Observable<string | null>(null);
  readonly socketState = new Observable<SocketState>({ phase: "closed", reason: null });
  /** Shared by every subscription of the page; it opens with the first and closes with the last. */
  readonly socket: Client;
  readonly #login: string | null;
  #token: string | null = null;
  #isDeliberate = false;

  constructor({ graphql, login }: Config) {
    this.#login = login;
    this.socket = createClient({
      url: graphql.replace(/^http/, "ws"),
      connectionParams: () => ({ accessToken: this.#token }),
      shouldRetry: () => true,
      retryWait: (retries) => this.#wait(retries),
      on: {
        connected: (_, payload) => this.socketState.set({ phase: "open", subject: subjectOf(payload) }),
        closed: (event) => {
          const { code, reason } = event as CloseEvent;
          this.socketState.set({ phase: "closed", reason: code === 1000 || code === 4499 ? null : `${code} ${reason}`.trim() });
        },
      },
    });
  }

  headers(): Record<string, string> {
    return this.#token === null ? {} : { authorization: `Bearer ${this.#token}` };
  }

  async login(name: string, password: string): Promise<Outcome> {
    if (this.#login === null) return "unreachable";
    try {
      const answer = await fetch(this.#login, {
        method: "POST",
        credentials: "omit", // no cookie: nothing of this sign-in outlives the page
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ name, password }),
      });
      if (!answer.ok) return answer.status < 500 ? "refused" : "unreachable";
      const { token } = (await answer.json()) as { token: string };
      this.use(token, name);
      return "ok";
    } catch {
      return "unreachable";
    }
  }

  /** Speaks with this token from now on; what runs on the socket starts again as somebody else. */
  use(token: string, name = "somebody"): void {
    this.#token = token;
    this.name.set(readToken(token)?.subject ?? name);
    this.#introduceAgain();
  }

  logout(): void {
    this.#token = null;
    this.name.set(null);
    this.#introduceAgain();
  }

  #introduceAgain(): void {
    this.#isDeliberate = this.socketState.get().phase === "open";
    this.socket.terminate();
  }

  async #wait(retries: number): Promise<void> {
    if (!this.#isDeliberate) await new Promise((resolve) => setTimeout(resolve, 1_000 * 2 ** retries));
    this.#isDeliberate = false;
  }
}

function subjectOf(payload: unknown): string | null | undefined {
  const ours = (payload as { gqlink?: { subject?: string | null } } | undefined)?.gqlink;
  return ours === undefined ? undefined : (ours.subject ?? null);
}
