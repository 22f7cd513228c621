// What was written and is not known to be stored. Each has a `clientId`, so that asking again stores nothing twice.

export interface Waiting {
  readonly clientId: string;
  readonly text: string;
  /** When it was written, in milliseconds since the Unix epoch. */
  readonly at: number;
  /** Why the server will not have it; null while it may still be sent. */
  readonly refusal: string | null;
}

export type Outbox = readonly Waiting[];

export function post(outbox: Outbox, text: string, clientId: string, at: number): Outbox {
  return [...outbox, { clientId, text, at, refusal: null }];
}

/** The next to send: the oldest that may be, so that they are stored in the order in which they were written. */
export function next(outbox: Outbox): Waiting | undefined {
  return outbox.find(({ refusal }) => refusal === null);
}

/** Forgets those that are stored, or no longer wanted. */
export function remove(outbox: Outbox, ...clientIds: ReadonlyArray<string | null>): Outbox {
  const rest = outbox.filter(({ clientId }) => !clientIds.includes(clientId));
  return rest.length === outbox.length ? outbox : rest;
}

export function refuse(outbox: Outbox, clientId: string, refusal: string): Outbox {
  return outbox.map((entry) => (entry.clientId === clientId ? { ...entry, refusal } : entry));
}

export function retry(outbox: Outbox, clientId: string): Outbox {
  return outbox.map((entry) => (entry.clientId === clientId ? { ...entry, refusal: null } : entry));
}

/** Keeps an outbox over a reload of this tab, for each person separately. */
export const drawer = {
  open(name: string): Outbox {
    try {
      return JSON.parse(sessionStorage.getItem(key(name)) ?? "[]") as Outbox;
    } catch {
      return [];
    }
  },
  keep(name: string, outbox: Outbox): void {
    try {
      if (outbox.length === 0) sessionStorage.removeItem(key(name));
      else sessionStorage.setItem(key(name), JSON.stringify(outbox));
    } catch {
      // storage may be off or full; the page itself still remembers
    }
  },
};

function key(name: string): string {
  return `gqlink.outbox.${name}`;
}
