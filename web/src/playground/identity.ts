// Whom the playground speaks for: a token in this object's memory, and one WebSocket that says the same.

import { createClient, type Client } from "graphql-ws";
import { readAcknowledgement } from "../additions";
import { Observable } from "../observable";
import { Renewal } from "../renewal";
import { damaged, readToken } from "../tokens";
import type { Config } from "./config";

/** `reason` is why the server closed the socket, or the one before it; null where it did not. */
export type SocketState =
  | { phase: "closed"; reason: string | null }
  | { phase: "open"; subject: string | null | undefined; reason: string | null };

export type Outcome = "ok" | "refused" | "unreachable";

interface Grant {
  token: string;
  refreshToken: string | undefined;
  /** On the clock of `performance.now()`. */
  expiresAt: number;
  /** The one before it. */
  former: Grant | null;
}

interface Answer {
  token: string;
  expiresIn?: number;
  refreshToken?: string;
}

/** Codes with which this page closes the socket itself. */
const OURS = new Set([1000, 4499]);
const FORBIDDEN = 4403;
const REVOKED = "Session revoked";
/** A token is exchanged when this much of its life is over; where that fails, again after so many milliseconds. */
const EXCHANGE_AT = 0.8;
const RETRY = 5_000;
/** Who comes back at once with another token, and is refused again within this time, waits longer. */
const HURRY_EVERY = 10_000;

export class Identity {
  /** The name in the token; null for a stranger. */
  readonly name = new Observable<string | null>(null);
  readonly socketState = new Observable<SocketState>({ phase: "closed", reason: null });
  /** Why nobody is signed in any more, in a sentence; null where that was asked for. */
  readonly ending = new Observable<string | null>(null);
  readonly renewal: Renewal;
  /** Shared by every subscription of the page; it opens with the first and closes with the last. */
  readonly socket: Client;
  readonly #config: Config;
  #grant: Grant | null = null;
  /** What is presented instead of the token, until the server has refused it: for the experiment. */
  #spoilt: string | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #refreshing: Promise<void> | null = null;
  #handling: Promise<boolean> = Promise.resolve(false);
  #isDeliberate = false;
  #hurriedAt = -Infinity;

  constructor(config: Config) {
    this.#config = config;
    this.socket = createClient({
      url: config.graphql.replace(/^http/, "ws"),
      connectionParams: () => ({ accessToken: this.token }),
      shouldRetry: () => true,
      retryWait: (retries) => this.#wait(retries),
      on: {
        connected: (_, payload) => {
          const { subject } = readAcknowledgement(payload);
          this.socketState.update(({ reason }) => ({ phase: "open", subject, reason }));
        },
        closed: (event) => {
          const { code, reason } = event as CloseEvent;
          this.socketState.set({ phase: "closed", reason: OURS.has(code) ? null : `${code} ${reason}`.trim() });
          // Afterwards: graphql-ws is still telling everybody of this close.
          if (code === FORBIDDEN) this.#handling = Promise.resolve(this.token).then((token) => this.refused(token, reason));
        },
      },
    });
    this.renewal = new Renewal(this.socket);
  }

  /** What the next request or connection presents; null for a stranger. */
  get token(): string | null {
    return this.#spoilt ?? this.#grant?.token ?? null;
  }

  /** Whether a token that is of no use can be replaced. */
  get isRenewable(): boolean {
    return this.#grant?.refreshToken !== undefined && this.#config.refresh !== null;
  }

  /**
   * The server refused `token`, or said that its session is over. Gets another, or learns that there is none; says
   * whether asking again is of use.
   */
  async refused(token: string | null, reason: string): Promise<boolean> {
    if (token === null || this.#grant === null) return false;
    if (token !== this.token) return true;
    if (reason.includes(REVOKED)) this.#lose(ENDED_ELSEWHERE);
    else if (!this.isRenewable) this.#lose(`The server refused the token: ${reason}`);
    else await this.#refresh();
    return this.#grant !== null && token !== this.token;
  }

  /** The experiment: presents a token of no use, over HTTP and on a new connection, until the server has refused it. */
  expireToken(): void {
    if (this.#grant === null) return;
    const { former, token } = this.#grant;
    this.#spoilt = former !== null && former.expiresAt < performance.now() ? former.token : damaged(token);
    this.#introduceAgain();
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
    const headers = authorization(this.token);
    this.#forget();
    this.#introduceAgain();
    if (former === null || this.#config.logout === null) return;
    await post(this.#config.logout, proof(former), headers).catch(() => undefined); // forgotten here in any case
  }

  #accept({ token, expiresIn, refreshToken }: Answer, former: Grant | null = null): void {
    const lifetime = (expiresIn ?? Infinity) * 1_000;
    this.#grant = { token, refreshToken, expiresAt: performance.now() + lifetime, former: former && { ...former, former: null } };
    this.#spoilt = null;
    this.ending.set(null);
    this.name.set(readToken(token)?.subject ?? "somebody");
    this.#schedule(lifetime * EXCHANGE_AT);
  }

  /** One exchange at a time, whoever asks for it. */
  #refresh(): Promise<void> {
    this.#refreshing ??= this.#exchange().finally(() => (this.#refreshing = null));
    return this.#refreshing;
  }

  async #exchange(): Promise<void> {
    const former = this.#grant;
    if (former?.refreshToken === undefined || this.#config.refresh === null) return;
    const answer = await post(this.#config.refresh, proof(former)).catch(() => null);
    const said = (await answer?.text().catch(() => "")) ?? "";
    if (this.#grant !== former) return; // signed in, or out, meanwhile
    if (answer?.ok && said !== "") return this.#renew(JSON.parse(said) as Answer, former);
    if (answer === null || answer.ok || answer.status === 429 || answer.status >= 500) return this.#schedule(RETRY);
    this.#lose(said.includes(REVOKED) ? ENDED_ELSEWHERE : ENDED);
  }

  /** Another token for the same login: the socket takes it as it is, or must be another one. */
  #renew(answer: Answer, former: Grant): void {
    this.#accept(answer, former);
    const socket = this.socketState.get();
    if (socket.phase !== "open" || socket.subject !== this.name.get()) return;
    void this.renewal.renew(answer.token).then((mayStay) => {
      if (!mayStay && this.#grant?.token === answer.token) this.#introduceAgain();
    });
  }

  #schedule(milliseconds: number): void {
    clearTimeout(this.#timer);
    if (milliseconds < 2 ** 31) this.#timer = setTimeout(() => void this.#refresh(), milliseconds);
  }

  #lose(why: string): void {
    this.#forget();
    this.ending.set(why);
    this.#introduceAgain();
  }

  #forget(): void {
    clearTimeout(this.#timer);
    this.#grant = this.#spoilt = null;
    this.ending.set(null);
    this.name.set(null);
  }

  #introduceAgain(): void {
    this.#isDeliberate = this.socketState.get().phase === "open";
    this.socket.terminate();
  }

  async #wait(retries: number): Promise<void> {
    const hasAnother = (await this.#handling) && performance.now() - this.#hurriedAt > HURRY_EVERY;
    this.#handling = Promise.resolve(false);
    if (hasAnother) this.#hurriedAt = performance.now();
    else if (!this.#isDeliberate) await new Promise((resolve) => setTimeout(resolve, 1_000 * 2 ** retries));
    this.#isDeliberate = false;
  }
}

/** The header of a request that speaks for whoever has the token. */
export function authorization(token: string | null): Record<string, string> {
  return token === null ? {} : { authorization: `Bearer ${token}` };
}

const ENDED_ELSEWHERE = "Your session was ended elsewhere. Sign in again to go on.";
const ENDED = "Your session has ended. Sign in again to go on.";

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
