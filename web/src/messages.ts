// Messages in the order in which they were said, each once, whichever way it came.

import type { MessageParts as Message } from "./generated";
import type { Waiting } from "./outbox";

export type { Message };

/** Adds messages to those we have. Ids are numbers that grow; the list is in their order. */
export function merge(known: readonly Message[], more: readonly Message[]): readonly Message[] {
  const ids = new Set(known.map(({ id }) => id));
  const fresh = more.filter(({ id }) => !ids.has(id) && ids.add(id));
  if (fresh.length === 0) return known;
  const last = known.at(-1);
  const isAppended = last === undefined || fresh.every((message) => compare(last, message) < 0);
  const all = [...known, ...fresh];
  return isAppended && fresh.length === 1 ? all : all.sort(compare);
}

/** Whether `page`, the newest messages, joins on to what we know, or something between is missing. */
export function joins(known: readonly Message[], page: readonly Message[]): boolean {
  const last = known.at(-1);
  const first = page[0];
  return last === undefined || first === undefined || compare(first, last) <= 0;
}

function compare(one: Message, other: Message): number {
  const difference = BigInt(one.id) - BigInt(other.id);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

export interface Item {
  /** The same for a message of ours while it waits and after it is stored, so that it stays in its place. */
  readonly key: string;
  readonly from: string;
  readonly text: string;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  readonly isOwn: boolean;
  /** Null once it is stored. */
  readonly waiting: Waiting | null;
  /** First of a run of messages by one person. */
  readonly startsGroup: boolean;
  readonly startsDay: boolean;
}

const GROUP_MILLISECONDS = 5 * 60_000;

/** Everything to show: what is stored, then what waits. */
export function timeline(messages: readonly Message[], waiting: readonly Waiting[], viewer: string): readonly Item[] {
  const stored = new Set(messages.filter(({ from }) => from === viewer).map(({ clientId }) => clientId));
  const plain = [
    ...messages.map((message) => ({
      key: message.from === viewer && message.clientId !== null ? message.clientId : message.id,
      from: message.from,
      text: message.text,
      at: Date.parse(message.createdAt),
      waiting: null,
    })),
    ...waiting
      .filter(({ clientId }) => !stored.has(clientId))
      .map((entry) => ({ key: entry.clientId, from: viewer, text: entry.text, at: entry.at, waiting: entry })),
  ];
  return plain.map((item, index) => {
    const previous = plain[index - 1];
    const startsDay = previous === undefined || !isSameDay(previous.at, item.at);
    const startsGroup = startsDay || previous.from !== item.from || item.at - previous.at > GROUP_MILLISECONDS;
    return { ...item, isOwn: item.from === viewer, startsDay, startsGroup };
  });
}

function isSameDay(one: number, other: number): boolean {
  return new Date(one).toDateString() === new Date(other).toDateString();
}
