// One person's view of the room: what was said, what they say, and what has not reached the server yet.
// It makes sure of three things: every message is shown once and in order, nothing is lost while the socket is away,
// and what is written is stored once, in the order of writing.

import { CombinedGraphQLErrors, ServerError, type ApolloClient } from "@apollo/client";
import { AddMessageDocument, MessageAddedDocument, MessagesDocument } from "./generated";
import { joins, merge, type Message } from "./messages";
import { Observable } from "./observable";
import * as outboxes from "./outbox";
import { drawer, type Outbox } from "./outbox";
import type { Session } from "./session";

export interface ConversationState {
  readonly phase: "loading" | "ready" | "failed";
  readonly messages: readonly Message[];
  readonly outbox: Outbox;
  readonly hasOlder: boolean;
  readonly isLoadingOlder: boolean;
}

const PAGE = 50;
const PAGES_TO_CATCH_UP = 5;
const TIMEOUT = 15_000;
const FIRST_RETRY = 2_000;
const LAST_RETRY = 30_000;
/** A publication may fall between our question and the start of the subscription; a second look finds it. */
const SECOND_LOOK = 1_500;

export class Conversation {
  readonly state: Observable<ConversationState>;
  #apollo: ApolloClient;
  #subscription: { unsubscribe: () => void } | null = null;
  #isStopped = false;
  #isSending = false;
  #retries = 0;
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();

  constructor(
    readonly name: string,
    apollo: ApolloClient,
    readonly session: Session,
  ) {
    this.#apollo = apollo;
    this.state = new Observable<ConversationState>({
      phase: "loading",
      messages: [],
      outbox: drawer.open(name),
      hasOlder: false,
      isLoadingOlder: false,
    });
  }

  start(): void {
    this.#listen();
    void this.catchUp();
  }

  stop(): void {
    this.#isStopped = true;
    this.#subscription?.unsubscribe();
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }

  /** Goes on with another client. */
  use(apollo: ApolloClient): void {
    this.#subscription?.unsubscribe();
    this.#subscription = null;
    this.#apollo = apollo;
    this.#listen();
  }

  /** The socket is there, again or for the first time. */
  connected(): void {
    this.#retries = 0;
    this.#listen();
    void this.catchUp();
    this.#later("second look", SECOND_LOOK, () => void this.catchUp());
  }

  send(text: string): void {
    const trimmed = text.trim();
    if (trimmed === "") return;
    this.#changeOutbox((outbox) => outboxes.post(outbox, trimmed, crypto.randomUUID(), Date.now()));
    void this.#deliver();
  }

  sendAgain(clientId: string): void {
    this.#changeOutbox((outbox) => outboxes.retry(outbox, clientId));
    void this.#deliver();
  }

  discard(clientId: string): void {
    this.#changeOutbox((outbox) => outboxes.remove(outbox, clientId));
  }

  /** Reads what was said before the first message that we have. */
  async loadOlder(): Promise<void> {
    const { messages, hasOlder, isLoadingOlder } = this.state.get();
    const first = messages[0];
    if (first === undefined || !hasOlder || isLoadingOlder) return;
    this.#change({ isLoadingOlder: true });
    try {
      const page = await this.#page(first.id);
      this.#take(page);
      this.#change({ hasOlder: page.length === PAGE });
    } catch {
      // scrolling up again asks again
    } finally {
      this.#change({ isLoadingOlder: false });
    }
  }

  /** Reads what was said since the last message that we have, and sends what waits. */
  readonly catchUp = async (): Promise<void> => {
    void this.#deliver();
    const token = this.session.tokenNow;
    try {
      await this.#readNewest();
      this.#change({ phase: "ready" });
    } catch (error) {
      await this.#onFailure(error, token);
      if (this.#isStopped) return;
      if (this.state.get().phase === "loading") this.#change({ phase: "failed" });
      this.#later("catch up", this.#retryDelay(), () => void this.catchUp());
    }
  };

  async #readNewest(): Promise<void> {
    const { messages: known } = this.state.get();
    let found = await this.#page();
    const isComplete = found.length < PAGE;
    for (let pages = 1; !joins(known, found) && pages < PAGES_TO_CATCH_UP; pages += 1) {
      found = [...(await this.#page(found[0]?.id)), ...found];
    }
    if (joins(known, found)) {
      this.#take(found);
      if (known.length === 0) this.#change({ hasOlder: !isComplete });
    } else {
      // Too much was missed to read it all: start from here, and let scrolling back fill in the rest.
      this.#take(found, []);
      this.#change({ hasOlder: true });
    }
  }

  async #page(before?: string): Promise<readonly Message[]> {
    const { data } = await this.#apollo.query({
      query: MessagesDocument,
      variables: { last: PAGE, before: before ?? null },
      fetchPolicy: "no-cache",
      context: { fetchOptions: { signal: AbortSignal.timeout(TIMEOUT) } },
    });
    return data?.messages ?? [];
  }

  #listen(): void {
    if (this.#subscription !== null || this.#isStopped) return;
    const ended = (error: unknown) => {
      this.#subscription = null;
      // A socket that speaks for nobody is refused until it is another socket; anything else may pass.
      if (!isUnauthenticated(error)) this.#later("listen", this.#retryDelay(), () => this.#listen());
    };
    this.#subscription = this.#apollo.subscribe({ query: MessageAddedDocument, fetchPolicy: "no-cache" }).subscribe({
      next: ({ data, error }) => {
        if (data?.messageAdded) this.#take([data.messageAdded]);
        if (error) ended(error);
      },
      error: ended,
    });
  }

  /** Sends what waits, one after the other. */
  async #deliver(): Promise<void> {
    if (this.#isSending) return;
    this.#isSending = true;
    let token = this.session.tokenNow;
    try {
      for (;;) {
        const entry = outboxes.next(this.state.get().outbox);
        if (entry === undefined || !(await this.#isStillOurs())) return;
        token = this.session.tokenNow;
        await this.#store(entry);
      }
    } catch (error) {
      await this.#onFailure(error, token);
      this.#later("deliver", this.#retryDelay(), () => void this.#deliver());
    } finally {
      this.#isSending = false;
    }
  }

  /** Nothing is said in the name of somebody who signed in meanwhile. */
  async #isStillOurs(): Promise<boolean> {
    await this.session.getAccessToken();
    return !this.#isStopped && this.session.name === this.name;
  }

  async #store({ clientId, text }: outboxes.Waiting): Promise<void> {
    try {
      const { data } = await this.#apollo.mutate({
        mutation: AddMessageDocument,
        variables: { input: { text, clientId } },
        fetchPolicy: "no-cache",
        context: { fetchOptions: { signal: AbortSignal.timeout(TIMEOUT) } },
      });
      this.#retries = 0;
      if (data) this.#take([data.addMessage]);
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal === null) throw error;
      this.#changeOutbox((outbox) => outboxes.refuse(outbox, clientId, refusal));
    }
  }

  /** Lets the session know where it was `token` that was refused; one that was exchanged meanwhile is no loss. */
  async #onFailure(error: unknown, token: string | null): Promise<void> {
    if (this.#isStopped || !isUnauthenticated(error)) return;
    if (isRevoked(error) && token === this.session.tokenNow) this.session.revoked();
    else await this.session.refused(token);
  }

  #take(more: readonly Message[], known = this.state.get().messages): void {
    this.#change({ messages: merge(known, more) });
    const own = more.filter(({ from }) => from === this.name).map(({ clientId }) => clientId);
    this.#changeOutbox((outbox) => outboxes.remove(outbox, ...own));
  }

  #changeOutbox(change: (outbox: Outbox) => Outbox): void {
    const { outbox } = this.state.get();
    const changed = change(outbox);
    if (changed === outbox) return;
    drawer.keep(this.name, changed);
    this.#change({ outbox: changed });
  }

  #change(part: Partial<ConversationState>): void {
    if (!this.#isStopped) this.state.update((state) => ({ ...state, ...part }));
  }

  #retryDelay(): number {
    return Math.min(FIRST_RETRY * 2 ** this.#retries++, LAST_RETRY);
  }

  #later(what: string, milliseconds: number, action: () => void): void {
    if (this.#isStopped) return;
    clearTimeout(this.#timers.get(what));
    this.#timers.set(what, setTimeout(action, milliseconds));
  }
}

function isUnauthenticated(error: unknown): boolean {
  if (CombinedGraphQLErrors.is(error)) {
    return error.errors.some(({ extensions }) => ["UNAUTHENTICATED", "TOKEN_EXPIRED"].includes(String(extensions?.["code"])));
  }
  return ServerError.is(error) && error.statusCode === 401;
}

function isRevoked(error: unknown): boolean {
  const said = CombinedGraphQLErrors.is(error) ? error.message : ServerError.is(error) ? error.bodyText : "";
  return said.includes("Session revoked");
}

/** Why asking again would not help; null where it may. */
function refusalOf(error: unknown): string | null {
  if (!CombinedGraphQLErrors.is(error) || isUnauthenticated(error)) return null;
  const [first] = error.errors;
  return first?.extensions?.["code"] === "INTERNAL_SERVER_ERROR" ? null : (first?.message ?? "The server refused it.");
}
