// Who is signed in. The access token lives in this object's memory and nowhere else; the refresh token lives in an
// HttpOnly cookie that no script can read. Tabs tell each other that something changed, never a token.

import { Observable } from "./observable";
import { damaged, readToken } from "./tokens";

export type SessionState =
  | { status: "restoring" }
  | { status: "signed-out"; why: "never" | "here" | "elsewhere" | "ended" }
  | { status: "signed-in"; name: string };

export type LoginOutcome = "ok" | "refused" | "limited" | "unreachable" | "busy";

type News = { type: "signed-in"; name: string } | { type: "signed-out" };

interface Grant {
  token: string;
  /** Only in a private window; everywhere else it is in the cookie. */
  refreshToken: string | undefined;
  name: string;
  /** On the monotonic clock, in milliseconds: the server's clock may differ from ours. */
  expiresAt: number;
  /** This close to its end, in milliseconds, it is exchanged before it is used. */
  margin: number;
}

/** A token is exchanged when this much of its life is over, and before it is used in the last fifth, or ten seconds. */
const EXCHANGE_AT = 0.8;
const MARGIN = 10_000;
/** An answer that is lost is asked for again while the server still takes the same refresh token for it: 30 seconds. */
const TIMEOUT = 10_000;
const RETRY = 5_000;
/** Says whether there is a cookie worth trying, or one that the server has yet to be told to forget; no secret. */
const HINT = "gqlink.session";
type Hint = "signed-in" | "logout-owed";

export interface SessionOptions {
  /** Where login, refresh and logout are; ends with a slash. */
  base: string;
  /** A window of its own: no cookie, all in memory, and other tabs neither tell nor are told. */
  isPrivate?: boolean;
  /** Whoever is signed in has another token now. */
  renewed?: () => void;
}

export class Session {
  readonly state = new Observable<SessionState>({ status: "restoring" });
  readonly isPrivate: boolean;
  readonly #base: string;
  readonly #channel: BroadcastChannel | null;
  readonly #renewed: () => void;
  #grant: Grant | null = null;
  /** The grant before the present one, and what is presented instead of the present one: for the panel's experiment. */
  #former: Grant | null = null;
  #spoilt: string | null = null;
  /** What the server would not have; it is not presented again. */
  #refused: string | null = null;
  #refreshing: Promise<void> | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor({ base, isPrivate = false, renewed = () => undefined }: SessionOptions) {
    this.#base = base;
    this.#renewed = renewed;
    this.isPrivate = isPrivate;
    this.#channel = isPrivate ? null : new BroadcastChannel("gqlink.session");
    addEventListener("online", () => void this.#payLogout());
    this.#channel?.addEventListener("message", ({ data }: MessageEvent<News>) => void this.#hear(data));
  }

  get name(): string | null {
    const state = this.state.get();
    return state.status === "signed-in" ? state.name : null;
  }

  /** Takes up the session that another tab, or this one before a reload, has begun. */
  async restore(): Promise<void> {
    const isWorthTrying = () => !this.isPrivate && this.#grant === null && hint.get() === "signed-in";
    for (let tries = 0; tries < 3 && isWorthTrying(); tries += 1) {
      if (tries > 0) await new Promise((resolve) => setTimeout(resolve, 1_500));
      await this.#refresh();
    }
    if (this.#grant === null) this.#end("never");
    await this.#payLogout();
  }

  async login(name: string, password: string): Promise<LoginOutcome> {
    try {
      // In turn with the exchanges: a late answer to one would put back the cookie that this one replaces.
      const answer = await this.#inTurn(() => this.#post("login", { name, password, cookie: !this.isPrivate }));
      if (answer.status === 401 || answer.status === 400) return "refused";
      if (answer.status === 429) return "limited";
      if (!answer.ok) return "busy";
      this.#accept(await answer.json(), name);
      if (!this.isPrivate) hint.set("signed-in");
      this.#tell({ type: "signed-in", name: this.name ?? name });
      return "ok";
    } catch {
      return "unreachable";
    }
  }

  /** Signs out here and in every tab; the server is told, but need not answer. */
  async logout(): Promise<void> {
    const former = this.#grant;
    this.#end("here");
    this.#tell({ type: "signed-out" });
    if (!this.isPrivate) hint.set("logout-owed");
    await this.#post("logout", proof(former), former?.token).then(settleLogout, () => undefined);
  }

  /** Without a network a logout reaches nobody; it is made up for when there is one. */
  async #payLogout(): Promise<void> {
    if (!this.isPrivate && hint.get() === "logout-owed") await this.#post("logout", {}).then(settleLogout, () => undefined);
  }

  /**
   * The token of whoever is signed in, exchanged first where it is about to end or was refused; null for nobody. Rejects
   * while it cannot be exchanged: what is over, or was refused, is not presented, and nobody is signed out by that.
   */
  readonly getAccessToken = async (): Promise<string | null> => {
    const isOld = (margin = 0) => this.#grant !== null && this.#grant.expiresAt - performance.now() <= margin;
    const isRefused = () => this.#grant !== null && this.#refused === this.tokenNow;
    if (isOld(this.#grant?.margin) || isRefused()) await this.#refresh();
    if (isOld() || isRefused()) throw new Error("The token is over, and cannot be exchanged at the moment.");
    return this.tokenNow;
  };

  /** The token as it is at this moment. */
  get tokenNow(): string | null {
    return this.#spoilt ?? this.#grant?.token ?? null;
  }

  /** When it ends, on the clock of `performance.now()`; null for nobody. */
  get expiresAt(): number | null {
    return this.#grant?.expiresAt ?? null;
  }

  /** The server refused `token`: get another, or learn that the session is over. Says whether there is another. */
  async refused(token = this.tokenNow): Promise<boolean> {
    if (this.#grant !== null && token === this.tokenNow) {
      this.#refused = token;
      await this.#refresh({ mayKeep: false });
    }
    return this.#grant !== null && token !== this.tokenNow;
  }

  /** The server said that the session is over. */
  revoked(): void {
    if (this.#grant !== null) this.#end("elsewhere");
  }

  /**
   * For the panel's experiment: presents from now on, until the server has refused it, a token that is of no use. That
   * is the former one, if it has really expired; there may be none yet, then the present one with its signature damaged.
   */
  spoil(): void {
    if (this.#grant === null) return;
    const spent = this.#former !== null && this.#former.expiresAt < performance.now() ? this.#former.token : null;
    this.#spoilt = spent ?? damaged(this.#grant.token);
  }

  async #hear(news: News): Promise<void> {
    if (news.type === "signed-out") {
      if (this.#grant !== null) this.#end("elsewhere");
    } else if (news.name !== this.name) {
      await this.#refresh({ mayKeep: false });
    }
  }

  #refresh({ mayKeep = true } = {}): Promise<void> {
    this.#refreshing ??= this.#exchange(mayKeep).finally(() => (this.#refreshing = null));
    return this.#refreshing;
  }

  async #exchange(mayKeep: boolean): Promise<void> {
    const isAlive = () => mayKeep && this.#grant !== null && this.#grant.expiresAt > performance.now();
    const before = this.#grant;
    try {
      const answer = await this.#inTurn(() => this.#post("refresh", proof(before)));
      if (this.#grant !== before) return; // signed in, or out, meanwhile
      if (answer.ok) return this.#accept(await answer.json(), before?.name ?? "");
      if (answer.status >= 500 || answer.status === 429) throw new Error("later");
      const why = before === null ? "never" : (await isRevoked(answer)) ? "elsewhere" : "ended";
      if (!this.isPrivate) hint.clear();
      if (answer.status === 401 || !isAlive()) this.#end(why);
    } catch {
      // The token stays what it is, and is refused if it is too old.
      if (before !== null && this.#grant === before) this.#schedule(RETRY);
    }
  }

  #accept(answer: Answer, name: string): void {
    const subject = answer.name ?? readToken(answer.token)?.subject ?? name;
    const lifetime = answer.expiresIn * 1_000;
    this.#former = this.#grant?.name === subject ? this.#grant : null;
    this.#spoilt = null;
    this.#grant = {
      token: answer.token,
      refreshToken: this.isPrivate ? answer.refreshToken : undefined,
      name: subject,
      expiresAt: performance.now() + lifetime,
      margin: Math.min(MARGIN, lifetime * (1 - EXCHANGE_AT)),
    };
    this.#schedule(Math.max(lifetime * EXCHANGE_AT, 1_000));
    if (this.name === subject) this.#renewed();
    else this.state.set({ status: "signed-in", name: subject });
  }

  #schedule(milliseconds: number): void {
    clearTimeout(this.#timer);
    // A longer wait than this overflows the timer; then it is `getAccessToken` that exchanges.
    if (milliseconds < 2 ** 31) this.#timer = setTimeout(() => void this.#refresh(), milliseconds);
  }

  #end(why: "never" | "here" | "elsewhere" | "ended"): void {
    clearTimeout(this.#timer);
    this.#grant = this.#former = this.#spoilt = this.#refused = null;
    this.state.set({ status: "signed-out", why });
  }

  #tell(news: News): void {
    this.#channel?.postMessage(news);
  }

  #post(path: string, body: object, token?: string): Promise<Response> {
    const headers: Record<string, string> = { "content-type": "application/json" };
    if (token !== undefined) headers["authorization"] = `Bearer ${token}`;
    const credentials = this.isPrivate ? "omit" : "same-origin";
    return fetch(this.#base + path, {
      method: "POST",
      headers,
      credentials,
      body: JSON.stringify(body),
      keepalive: true, // a reload does not tear it up: the answer's cookie is the next one to show
      signal: AbortSignal.timeout(TIMEOUT),
    });
  }

  /** A refresh token is used up by its use: tabs that share the cookie take turns. */
  async #inTurn(action: () => Promise<Response>): Promise<Response> {
    const isAlone = this.isPrivate || !("locks" in navigator);
    return isAlone ? await action() : await navigator.locks.request("gqlink.refresh", action);
  }
}

interface Answer {
  token: string;
  expiresIn: number;
  name?: string;
  refreshToken?: string;
}

/** Somebody ended the session; it did not merely reach its age. */
async function isRevoked(answer: Response): Promise<boolean> {
  return (await answer.text()).includes("Session revoked");
}

/** What shows the session to the server, beside the cookie. */
function proof(grant: Grant | null): object {
  return grant?.refreshToken === undefined ? {} : { refreshToken: grant.refreshToken };
}

function settleLogout({ ok }: Response): void {
  if (ok && hint.get() === "logout-owed") hint.clear();
}

const hint = {
  get: () => attempt(() => localStorage.getItem(HINT), "signed-in"),
  set: (value: Hint) => attempt(() => localStorage.setItem(HINT, value), undefined),
  clear: () => attempt(() => localStorage.removeItem(HINT), undefined),
};

function attempt<Result>(action: () => Result, otherwise: Result): Result {
  try {
    return action();
  } catch {
    return otherwise; // storage may be switched off
  }
}
