import { describe, expect, it } from "vitest";
import { joins, merge, timeline, type Message } from "../src/messages";
import type { Waiting } from "../src/outbox";

const message = (id: number, more: Partial<Message> = {}): Message => ({
  id: String(id),
  clientId: null,
  from: "bob",
  text: `message ${id}`,
  createdAt: new Date(Date.UTC(2026, 0, 31, 12, 0, id)).toISOString(),
  ...more,
});
const waiting = (clientId: string, at: number): Waiting => ({ clientId, text: "mine", at, refusal: null });
const ids = (messages: readonly Message[]) => messages.map(({ id }) => id);

describe("merging", () => {
  it("keeps each message once, whichever way it came", () => {
    expect(ids(merge([message(1), message(2)], [message(2), message(3), message(3)]))).toEqual(["1", "2", "3"]);
  });

  it("orders by number, not by spelling", () => {
    expect(ids(merge([message(9), message(11)], [message(10), message(100)]))).toEqual(["9", "10", "11", "100"]);
  });

  it("puts history before", () => {
    expect(ids(merge([message(5)], [message(3), message(4)]))).toEqual(["3", "4", "5"]);
  });

  it("returns what it had if nothing is new, so that nothing is drawn again", () => {
    const known = [message(1)];
    expect(merge(known, [message(1)])).toBe(known);
  });

  it("orders ids beyond what a number holds", () => {
    const large = [message(0, { id: "9007199254740993" }), message(0, { id: "9007199254740992" })];
    expect(ids(merge([], large))).toEqual(["9007199254740992", "9007199254740993"]);
  });
});

describe("a page of the newest", () => {
  it("joins on if it reaches back to what we know", () => {
    expect(joins([message(1), message(2)], [message(2), message(3)])).toBe(true);
    expect(joins([], [message(7)])).toBe(true);
    expect(joins([message(1)], [])).toBe(true);
  });

  it("leaves a gap otherwise", () => {
    expect(joins([message(1)], [message(5), message(6)])).toBe(false);
  });
});

describe("the timeline", () => {
  it("shows what waits after what is stored", () => {
    const items = timeline([message(1)], [waiting("c1", Date.now())], "alice");
    expect(items.map(({ key }) => key)).toEqual(["1", "c1"]);
    expect(items.map(({ isOwn }) => isOwn)).toEqual([false, true]);
  });

  it("shows a message of ours once, in its place, when it is stored", () => {
    const stored = message(2, { from: "alice", clientId: "c1" });
    const items = timeline([message(1), stored], [waiting("c1", Date.now())], "alice");
    expect(items.map(({ key }) => key)).toEqual(["1", "c1"]);
    expect(items.at(-1)?.waiting).toBeNull();
  });

  it("does not take somebody else's clientId for ours", () => {
    const items = timeline([message(1, { clientId: "c1" })], [waiting("c1", Date.now())], "alice");
    expect(items).toHaveLength(2);
  });

  it("groups what one person says within five minutes on one day", () => {
    const at = (minutes: number) => ({ createdAt: new Date(2026, 0, 31, 12, minutes).toISOString() });
    const items = timeline(
      [message(1, at(0)), message(2, at(4)), message(3, at(10)), message(4, { ...at(11), from: "charlie" })],
      [],
      "alice",
    );
    expect(items.map(({ startsGroup }) => startsGroup)).toEqual([true, false, true, true]);
    expect(items.map(({ startsDay }) => startsDay)).toEqual([true, false, false, false]);
  });
});
