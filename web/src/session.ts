// Who is signed in. The access token lives in this object's memory and nowhere else; the refresh token lives in an
// HttpOnly cookie that no script can read. Tabs tell each other that something changed, never a token.

import { Observable } from "./observable";
import { readToken } from "./tokens";

export type SessionState =
  | { status: "restoring" }
  | { status: "signed-out"; why: "never" | "here" | "elsewhere" | "ended" }
  | { status: "signed-in"; name: string };

export type LoginOutcome = "ok" | "refused" | "unreachable" | "busy";

type News = { type: "signed-in"; name: string } | { type: "signed-out" };

interface Grant {
  token: string;
  /** Only in a private window; everywhere else it is in the cookie. */
  refreshToken: string | undefined;
  name: string;
  /** On the monotonic clock, in milliseconds: the server's clock may differ from ours. */
  expiresAt: number;
}

/** A token this close to its end, in milliseconds, is exchanged before it is used. */
const MARGIN = 10_000;
/** Says whether there is a cookie worth trying, or one that the server has yet to be told to forget; no secret. */
const HINT = "gqlink.session";
type Hint = "signed-in" | "logout-owed";

export interface SessionOptions {
  /** Where login, refresh and logout are; ends with a slash. */
  base: string;
  /** A window of its own: no cookie, all in memory, and other tabs neither tell nor are told. */
  isPrivate?: boolean;
}

export class Session {
  readonly state = new Observable<SessionState>({ status: "restoring" });
  readonly isPrivate: boolean;
  readonly #base: string;
  readonly #channel: BroadcastChannel | null;
  #grant: Grant | null = null;
  #refreshing: Promise<void> | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor({ base, isPrivate = false }: SessionOptions) {
    this.#base = base;
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
      const answer = await this.#post("login", { name, password, cookie: !this.isPrivate });
      if (answer.status === 401 || answer.status === 400) return "refused";
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

  /** The token of whoever is signed in, exchanged first where it is about to end; null for nobody. */
  readonly getAccessToken = async (): Promise<string | null> => {
    if (this.#grant !== null && this.#grant.expiresAt - performance.now() < MARGIN) await this.#refresh();
    return this.#grant?.token ?? null;
  };

  /** The token as it is at this moment, for the panel's lesson. */
  get tokenNow(): string | null {
    return this.#grant?.token ?? null;
  }

  /** The server refused the token: get another, or learn that the session is over. */
  async refused(): Promise<void> {
    if (this.#grant !== null) await this.#refresh({ mayKeep: false });
  }

  /** The server said that the session is over. */
  revoked(): void {
    if (this.#grant !== null) this.#end("elsewhere");
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
      const exchange = () => this.#post("refresh", proof(before));
      const answer = await (this.isPrivate ? exchange() : oneTabAtATime(exchange));
      if (this.#grant !== before) return; // signed in, or out, meanwhile
      if (answer.ok) return this.#accept(await answer.json(), before?.name ?? "");
      if (answer.status >= 500 || answer.status === 429) throw new Error("later");
      if (!this.isPrivate) hint.clear();
      if (answer.status === 401 || !isAlive()) this.#end(before === null ? "never" : "ended");
    } catch {
      if (before !== null) this.#schedule(5_000); // the token stays what it is, and is refused if it is too old
    }
  }

  #accept(answer: Answer, name: string): void {
    const subject = answer.name ?? readToken(answer.token)?.subject ?? name;
    this.#grant = {
      token: answer.token,
      refreshToken: this.isPrivate ? answer.refreshToken : undefined,
      name: subject,
      expiresAt: performance.now() + answer.expiresIn * 1_000,
    };
    this.#schedule(Math.max(answer.expiresIn * 800, 1_000));
    if (this.name !== subject) this.state.set({ status: "signed-in", name: subject });
  }

  #schedule(milliseconds: number): void {
    clearTimeout(this.#timer);
    // A longer wait than this overflows the timer; then it is `getAccessToken` that exchanges.
    if (milliseconds < 2 ** 31) this.#timer = setTimeout(() => void this.#refresh(), milliseconds);
  }

  #end(why: "never" | "here" | "elsewhere" | "ended"): void {
    clearTimeout(this.#timer);
    this.#grant = null;
    this.state.set({ status: "signed-out", why });
  }

  #tell(news: News): void {
    this.#channel?.postMessage(news);
  }

  #post(path: string, body: object, token?: string): Promise<Response> {
    const headers: Record<string, string> = { "content-type": "application/json" };
    if (token !== undefined) headers["authorization"] = `Bearer ${token}`;
    const credentials = this.isPrivate ? "omit" : "same-origin";
    return fetch(this.#base + path, { method: "POST", headers, credentials, body: JSON.stringify(body) });
  }
}

interface Answer {
  token: string;
  expiresIn: number;
  name?: string;
  refreshToken?: string;
}

/** What shows the session to the server, beside the cookie. */
function proof(grant: Grant | null): object {
  return grant?.refreshToken === undefined ? {} : { refreshToken: grant.refreshToken };
}

/** A refresh token is used up by its use: two tabs take turns. */
async function oneTabAtATime(exchange: () => Promise<Response>): Promise<Response> {
  return "locks" in navigator ? await navigator.locks.request("gqlink.refresh", exchange) : await exchange();
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
