// The WebSocket frames of this page, for people to read: a WebSocket that keeps a record of what passes, and the
// record, in which no token appears.

import { Observable } from "./observable";
import { readToken } from "./tokens";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Stands in a payload where a token was. */
export interface RedactedToken {
  readonly redacted: true;
  readonly subject: string | null;
  /** Until it expires, when the frame passed; null where it does not say. */
  readonly secondsLeft: number | null;
}

export type Shown = null | boolean | number | string | RedactedToken | readonly Shown[] | { readonly [key: string]: Shown };

export type Frame = {
  readonly key: number;
  /** Which connection of this page, from 1. */
  readonly connection: number;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
} & (
  | { readonly kind: "sent" | "received"; readonly type: string; readonly id: string | null; readonly payload: Shown | undefined }
  | { readonly kind: "opened" }
  | { readonly kind: "closed"; readonly code: number; readonly reason: string }
);

type NewFrame = Frame extends infer Each ? (Each extends Frame ? Omit<Each, "key" | "at"> : never) : never;

const SECRET_KEYS = new Set(["accesstoken", "authorization", "authtoken", "token", "refreshtoken", "password"]);
const TOKEN = /[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}/;

/** Copies a payload without the tokens in it, wherever they are. `now` is in seconds since the Unix epoch. */
export function redact(value: Json, now: number, isSecret = false): Shown {
  if (typeof value === "string") return TOKEN.test(value) || (isSecret && value !== "") ? shownToken(value, now) : value;
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map((each: Json) => redact(each, now, isSecret));
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, redact(each as Json, now, SECRET_KEYS.has(key.toLowerCase()))]),
  );
}

function shownToken(text: string, now: number): RedactedToken {
  const facts = readToken(TOKEN.exec(text)?.[0] ?? "");
  const expiresAt = facts?.expiresAt ?? null;
  return {
    redacted: true,
    subject: facts?.subject ?? null,
    secondsLeft: expiresAt === null ? null : Math.round(expiresAt - now),
  };
}

export function isRedacted(value: Shown | undefined): value is RedactedToken {
  return typeof value === "object" && value !== null && "redacted" in value && value.redacted === true;
}

/** Says what a token was, in its place. */
export function tokenLabel({ subject, secondsLeft }: RedactedToken): string {
  if (subject === null) return "token";
  if (secondsLeft === null) return `token of ${subject}`;
  return `token of ${subject}, ${secondsLeft > 0 ? `${secondsLeft} s left` : "expired"}`;
}

/** Writes a payload as JSON, with labels where tokens were. */
export function written(payload: Shown | undefined, indent?: number): string {
  if (payload === undefined) return "";
  const text = JSON.stringify(payload, (_, value: Shown) => (isRedacted(value) ? `‹${tokenLabel(value)}›` : value), indent);
  return text.replaceAll(/"(‹[^"›]*›)"/g, "$1");
}

/** Splits a message of either direction into what the panel shows. */
export function parseFrame(text: string, now: number): { type: string; id: string | null; payload: Shown | undefined } {
  let message: Json;
  try {
    message = JSON.parse(text) as Json;
  } catch {
    return { type: "unreadable", id: null, payload: redact(text, now) };
  }
  if (typeof message !== "object" || message === null || Array.isArray(message)) {
    return { type: "unreadable", id: null, payload: redact(message, now) };
  }
  const { type, id, payload } = message as { [key: string]: Json };
  return {
    type: typeof type === "string" ? type : "unreadable",
    id: typeof id === "string" ? id : null,
    payload: payload === undefined ? undefined : redact(payload, now),
  };
}

export class FrameRecord {
  readonly frames = new Observable<readonly Frame[]>([]);
  #keys = 0;
  #connections = 0;
  #open: WebSocket | null = null;

  constructor(readonly limit = 300) {}

  /** Closes the present connection as a network would: without the page's having asked for it. */
  drop(): void {
    this.#open?.close(4900, "Dropped by you");
  }

  clear(): void {
    this.frames.set([]);
  }

  add(frame: NewFrame): void {
    const complete = { ...frame, key: ++this.#keys, at: Date.now() } as Frame;
    this.frames.update((frames) => [...frames, complete].slice(-this.limit));
  }

  /** A WebSocket class to give to graphql-ws as `webSocketImpl`. */
  webSocket(): typeof WebSocket {
    const record = this;
    return class RecordedWebSocket extends WebSocket {
      readonly #connection = ++record.#connections;

      constructor(url: string | URL, protocols?: string | string[]) {
        super(url, protocols);
        const connection = this.#connection;
        this.addEventListener("open", () => {
          record.#open = this;
          record.add({ kind: "opened", connection });
        });
        this.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
          if (typeof data === "string") record.add({ kind: "received", connection, ...parseFrame(data, Date.now() / 1_000) });
        });
        this.addEventListener("close", ({ code, reason }) => {
          if (record.#open === this) record.#open = null;
          record.add({ kind: "closed", connection, code, reason });
        });
      }

      override send(data: string | ArrayBufferLike | Blob | ArrayBufferView<ArrayBuffer>): void {
        if (typeof data === "string") {
          record.add({ kind: "sent", connection: this.#connection, ...parseFrame(data, Date.now() / 1_000) });
        }
        super.send(data);
      }
    };
  }
}
