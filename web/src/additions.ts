// What a gqlink server adds to the protocol, all of it under the key `gqlink`; any other server says nothing of it.

export interface Acknowledgement {
  /** Whom the socket speaks for; null for nobody, undefined where the server does not say. */
  subject: string | null | undefined;
  /** Until the server ends the socket, in seconds; null where it does not say, or never will. */
  expiresIn: number | null;
  /** Whether a ping may carry a fresh token. */
  isRenewable: boolean;
}

/** Reads the payload of a `connection_ack`. */
export function readAcknowledgement(payload: unknown): Acknowledgement {
  const ours = additionIn(payload);
  if (ours === null) return { subject: undefined, expiresIn: null, isRenewable: false };
  const { subject, expiresIn, renewal } = ours;
  return {
    subject: typeof subject === "string" ? subject : null,
    expiresIn: typeof expiresIn === "number" ? expiresIn : null,
    isRenewable: renewal === "ping",
  };
}

/** The payload of the `ping` that renews. */
export function renewalPayload(accessToken: string, seq: number): object {
  return { gqlink: { accessToken, seq } };
}

export interface Outcome {
  /** Of which renewal. */
  seq: number;
  expiresIn: number | null;
  /** Why nothing has changed; null if it was renewed. */
  error: string | null;
}

/** Reads the payload of a `pong`; null if it is not about a renewal. */
export function readOutcome(payload: unknown): Outcome | null {
  const { seq, expiresIn, error } = additionIn(payload) ?? {};
  if (typeof seq !== "number") return null;
  return {
    seq,
    expiresIn: typeof expiresIn === "number" ? expiresIn : null,
    error: typeof error === "string" ? error : null,
  };
}

function additionIn(payload: unknown): Record<string, unknown> | null {
  const ours = (payload as { gqlink?: unknown } | null | undefined)?.gqlink;
  return typeof ours === "object" && ours !== null ? (ours as Record<string, unknown>) : null;
}
