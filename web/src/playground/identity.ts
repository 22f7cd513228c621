// Whom the playground speaks for: a token in this object's memory, and one WebSocket that says the same.

import { createClient, type Client } from "graphql-ws";
import { Observable } from "../observable";
import { readToken } from "../tokens";
import type { Config } from "./config";

export type SocketState =
  | { phase: "closed"; reason: string | null }
  | { phase: "open"; subject: string | null | undefined };

export type Outcome = "ok" | "refused" | "unreachable";

interface Grant {
  token: string;
  refreshToken: string | undefined;
}

interface Answer {
  token: string;
  expiresIn?: number;
  refreshToken?: string;
}

/** Codes with which this page closes the socket itself. */
const OURS = new Set([1000, 4499]);

export class Identity {
  /** The name in the token; null for a stranger. */
  readonly name = new Observable<string | null>(null);
  readonly socketState = new Observable<SocketState>({ phase: "closed", reason: null });
  /** Shared by every subscription of the page; it opens with the first and closes with the last. */
  readonly socket: Client;
  readonly #config: Config;
  #grant: Grant | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isDeliberate = false;

  constructor(config: Config) {
    this.#config = config;
    this.socket = createClient({
      url: config.graphql.replace(/^http/, "ws"),
      connectionParams: () => ({ accessToken: this.#grant?.token ?? null }),
      shouldRetry: () => true,
      retryWait: (retries) => this.#wait(retries),
      on: {
        connected: (_, payload) => this.socketState.set({ phase: "open", subject: subjectOf(payload) }),
        closed: (event) => {
          const { code, reason } = event as CloseEvent;
          this.socketState.set({ phase: "closed", reason: OURS.has(code) ? null : `${code} ${reason}`.trim() });
        },
      },
    });
  }

  headers(): Record<string, string> {
    return this.#grant === null ? {} : { authorization: `Bearer ${this.#grant.token}` };
  }

  async login(name: string, password: string): Promise<Outcome> {
    if (this.#config.login === null) return "unreachable";
    try {
      const answer = await post(this.#config.login, { name, password });
      if (!answer.ok) return answer.status < 500 ? "refused" : "unreachable";
      this.#accept((await answer.json()) as Answer);
      this.#introduceAgain();
      return "ok";
    } catch {
      return "unreachable";
    }
  }

  /** Speaks with this token from now on; what runs on the socket starts again as somebody else. */
  use(token: string): void {
    this.#accept({ token });
    this.#introduceAgain();
  }

  async logout(): Promise<void> {
    const former = this.#grant;
    const headers = this.headers();
    this.#forget();
    this.#introduceAgain();
    if (former === null || this.#config.logout === null) return;
    await post(this.#config.logout, proof(former), headers).catch(() => undefined); // forgotten here in any case
  }

  #accept({ token, expiresIn, refreshToken }: Answer): void {
    this.#grant = { token, refreshToken };
    this.name.set(readToken(token)?.subject ?? "somebody");
    clearTimeout(this.#timer);
    const milliseconds = (expiresIn ?? Infinity) * 800;
    if (milliseconds < 2 ** 31) this.#timer = setTimeout(() => void this.#refresh(), milliseconds);
  }

  async #refresh(): Promise<void> {
    const former = this.#grant;
    if (former?.refreshToken === undefined || this.#config.refresh === null) return;
    const answer = await post(this.#config.refresh, proof(former)).catch(() => null);
    if (this.#grant !== former || answer === null) return;
    if (answer.ok) return this.#accept((await answer.json()) as Answer);
    this.#forget();
    this.#introduceAgain();
  }

  #forget(): void {
    clearTimeout(this.#timer);
    this.#grant = null;
    this.name.set(null);
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

/** No cookie: nothing of this sign-in outlives the page. */
function post(url: string, body: object, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, {
    method: "POST",
    credentials: "omit",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
}

function proof({ refreshToken }: Grant): object {
  return refreshToken === undefined ? {} : { refreshToken };
}

function subjectOf(payload: unknown): string | null | undefined {
  const ours = (payload as { gqlink?: { subject?: string | null } } | undefined)?.gqlink;
  return ours === undefined ? undefined : (ours.subject ?? null);
}
