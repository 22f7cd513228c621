// Text of messages, and moments, as people read them.

export type Part = { readonly text: string; readonly href: string | null };

const URL_START = /https?:\/\/[^\s<>"'`]+/gi;
const BRACKETS = [["(", ")"], ["[", "]"], ["{", "}"]] as const;
const TRAILING = /[.,;:!?…*_~]+$/;

/** Splits text into links and the rest. Only http and https become links; punctuation after one is not part of it. */
export function linkify(text: string): readonly Part[] {
  const parts: Part[] = [];
  let end = 0;
  for (const match of text.matchAll(URL_START)) {
    const address = trimmed(match[0]);
    if (!URL.canParse(address)) continue;
    if (match.index > end) parts.push({ text: text.slice(end, match.index), href: null });
    parts.push({ text: address, href: new URL(address).href });
    end = match.index + address.length;
  }
  if (end < text.length) parts.push({ text: text.slice(end), href: null });
  return parts;
}

function trimmed(address: string): string {
  let result = address.replace(TRAILING, "");
  for (const [open, close] of BRACKETS) {
    while (result.endsWith(close) && result.split(close).length > result.split(open).length) {
      result = result.slice(0, -1).replace(TRAILING, "");
    }
  }
  return result;
}

/** Whether a message is nothing but one to three emoji, which may be large. */
export function isEmojiOnly(text: string): boolean {
  return /^(?:\p{Extended_Pictographic}(?:\uFE0F|\p{Emoji_Modifier}|\u200D\p{Extended_Pictographic})*\s?){1,3}$/u.test(text);
}

const time = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const dayOfYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });

/** Hours and minutes in the reader's zone. */
export const timeOf = (at: number): string => time.format(at);
export const fullTimeOf = (at: number): string => full.format(at);

export function dayOf(at: number, now = Date.now()): string {
  const days = Math.round((midnight(now) - midnight(at)) / 86_400_000);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  return (days > 0 && days < 300 ? day : dayOfYear).format(at);
}

function midnight(at: number): number {
  return new Date(at).setHours(0, 0, 0, 0);
}
