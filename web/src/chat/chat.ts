// Puts the page's parts together: who is signed in, the socket, the conversation, and in the demo the frames.

import { createChatClient, type ChatClient } from "../client";
import type { Config } from "../config";
import { Connection } from "../connection";
import { Conversation } from "../conversation";
import { FrameRecord } from "../frames";
import { Observable } from "../observable";
import { Session, type LoginOutcome } from "../session";

/** What the socket's own end and the session's may differ by, in milliseconds, and still be of the same token. */
const SLACK = 1_000;

/** The lesson: what `connectionParams` is. */
export type ParamsKind = "object" | "function";

export class Chat {
  readonly session: Session;
  readonly connection: Connection;
  readonly frames: FrameRecord | null;
  readonly paramsKind = new Observable<ParamsKind>("function");
  readonly conversation = new Observable<Conversation | null>(null);
  /** When the server ends the socket unless it is renewed, on the clock of `performance.now()`; null if it does not. */
  readonly expiresAt = new Observable<number | null>(null);
  /** In the demo this window may be somebody's for itself: `?as=bob`. */
  readonly only: string | null;
  readonly #paramsAtLoad: { accessToken: string | null };
  #client: ChatClient;

  constructor(readonly config: Config) {
    const as = new URLSearchParams(location.search).get("as");
    this.only = config.demo && config.accounts.some(({ name }) => name === as) ? as : null;
    this.session = new Session({
      base: new URL("./", document.baseURI).href,
      isPrivate: this.only !== null,
      renewed: () => void this.#renewSocket(),
    });
    this.frames = config.demo ? new FrameRecord() : null;
    this.connection = new Connection({
      connected: () => this.conversation.get()?.connected(),
      silent: () => this.#client.socket.terminate(),
      refused: async (reason) => {
        if (reason !== "Session revoked") return await this.session.refused();
        this.session.revoked();
        return false;
      },
    });
    this.#paramsAtLoad = { accessToken: this.session.tokenNow }; // null: nobody has signed in yet
    this.#client = this.#makeClient();
    this.session.state.watch(() => this.#follow());
    addEventListener("online", () => void this.conversation.get()?.catchUp());
  }

  async start(): Promise<void> {
    if (this.only === null) await this.session.restore();
    else if ((await this.loginDemo(this.only)) !== "ok") await this.session.restore();
  }

  loginDemo(name: string): Promise<LoginOutcome> {
    const account = this.config.accounts.find((each) => each.name === name);
    return this.session.login(name, account?.password ?? "");
  }

  setParamsKind(kind: ParamsKind): void {
    if (kind === this.paramsKind.get()) return;
    this.paramsKind.set(kind);
    this.#renewClient();
  }

  /** The lesson's experiment: present a token that is of no use, and watch what comes of it. */
  expireToken(): void {
    this.session.spoil();
    this.#introduceAgain();
  }

  /** Whether the socket speaks for whoever is signed in. */
  get isSocketOurs(): boolean {
    const connection = this.connection.state.get();
    return connection.phase === "connected" && connection.subject === this.session.name;
  }

  /** Another token of the same person: the socket takes it as it is, or must be another one. */
  async #renewSocket(): Promise<void> {
    const { tokenNow } = this.session;
    const client = this.#client;
    if (tokenNow === null || !this.isSocketOurs) return;
    if (!(await client.renewal.renew(tokenNow)) && client === this.#client && this.isSocketOurs) this.#introduceAgain();
  }

  /** The token may have been exchanged while the socket was on its way with the former one. */
  #onAcknowledged(client: ChatClient): void {
    const socketEnds = client.renewal.expiresAt.get();
    const { expiresAt } = this.session;
    if (socketEnds !== null && expiresAt !== null && socketEnds < expiresAt - SLACK) void this.#renewSocket();
  }

  #introduceAgain(): void {
    this.connection.expectClose();
    this.#client.socket.terminate();
  }

  /** Somebody else now, or nobody: the conversation changes hands, and the socket must introduce itself again. */
  #follow(): void {
    const { name } = this.session;
    const present = this.conversation.get();
    if (name === (present?.name ?? null)) return;
    present?.stop();
    this.#introduceAgain();
    const following = name === null ? null : new Conversation(name, this.#client.apollo, this.session);
    this.conversation.set(following);
    following?.start();
  }

  #renewClient(): void {
    const former = this.#client;
    this.expiresAt.set(null);
    this.#client = this.#makeClient();
    this.conversation.get()?.use(this.#client.apollo);
    void former.socket.dispose();
    former.apollo.stop();
  }

  #makeClient(): ChatClient {
    const { frames } = this;
    const demo = frames && {
      webSocketImpl: frames.webSocket(),
      lazy: false, // a socket from the first moment, before anybody has signed in: that is what the lesson is about
      onNonLazyError: () => void setTimeout(() => this.#renewClient(), 5_000),
      ...(this.paramsKind.get() === "object" && { connectionParams: this.#paramsAtLoad }),
    };
    const client = createChatClient({
      url: this.config.graphql,
      getAccessToken: this.session.getAccessToken,
      socket: { ...this.connection.options(), ...demo },
    });
    const { expiresAt } = client.renewal;
    expiresAt.watch(() => client === this.#client && this.expiresAt.set(expiresAt.get()));
    client.socket.on("connected", () => this.#onAcknowledged(client));
    return client;
  }
}
