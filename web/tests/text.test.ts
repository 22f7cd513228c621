import { describe, expect, it } from "vitest";
import { dayOf, isEmojiOnly, linkify } from "../src/chat/text";

const links = (text: string) => linkify(text).flatMap(({ href, text: shown }) => (href === null ? [] : [shown]));

describe("links", () => {
  it.each([
    ["See https://example.org/a?b=c#d.", ["https://example.org/a?b=c#d"]],
    ["(https://example.org/wiki/Chat_(online))", ["https://example.org/wiki/Chat_(online)"]],
    ["http://a.example, https://b.example!", ["http://a.example", "https://b.example"]],
    ["no links: example.org, ftp://example.org", []],
    ["javascript:alert(1) data:text/html,hi", []],
    ["https://", []],
    ['https://example.org/"onmouseover="x', ["https://example.org/"]],
  ])("are found in %j", (text, expected) => {
    expect(links(text)).toEqual(expected);
  });

  it("leave nothing of the text out", () => {
    const text = "a https://example.org/x, b (https://example.org/y).";
    expect(linkify(text).map((part) => part.text).join("")).toBe(text);
  });

  it("go to http and https only", () => {
    for (const { href } of linkify("HTTPS://EXAMPLE.ORG http://example.org")) {
      if (href !== null) expect(["http:", "https:"]).toContain(new URL(href).protocol);
    }
  });
});

it("tells a message of emoji from one with words", () => {
  expect(["👏", "👍🏽 🎉", "👩‍💻"].map(isEmojiOnly)).toEqual([true, true, true]);
  expect(["ok 👏", "1", "", "👏👏👏👏"].map(isEmojiOnly)).toEqual([false, false, false, false]);
});

it("names days as people do", () => {
  const now = new Date(2026, 5, 15, 9).getTime();
  const day = 86_400_000;
  expect(dayOf(now, now)).toBe("Today");
  expect(dayOf(now - day, now)).toBe("Yesterday");
  expect(dayOf(now - 2 * day, now)).toContain("June");
});
