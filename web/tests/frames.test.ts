import { describe, expect, it } from "vitest";
import { FrameRecord, isRedacted, parseFrame, redact, written } from "../src/frames";

const NOW = 1_000;
const claims = { sub: "alice", exp: NOW + 60 };
const base64Url = (value: object) => btoa(JSON.stringify(value)).replaceAll("=", "");
const TOKEN = `${base64Url({ alg: "HS256", typ: "at+jwt" })}.${base64Url(claims)}.c2lnbmF0dXJlLXRoYXQtaXMtc2VjcmV0`;

describe("a frame", () => {
  it("shows a token as its subject and the seconds left, never as itself", () => {
    const { type, payload } = parseFrame(JSON.stringify({ type: "connection_init", payload: { accessToken: TOKEN } }), NOW);
    expect(type).toBe("connection_init");
    expect(payload).toEqual({ accessToken: { redacted: true, subject: "alice", secondsLeft: 60 } });
    expect(written(payload)).toBe('{"accessToken":‹token of alice, 60 s left›}');
  });

  it("keeps a null where no token was: that is the lesson", () => {
    const { payload } = parseFrame('{"type":"connection_init","payload":{"accessToken":null}}', NOW);
    expect(payload).toEqual({ accessToken: null });
  });

  it.each([
    ["deep inside", { payload: { gqlink: { deeper: [{ accessToken: TOKEN }] } } }],
    ["with a scheme before it", { payload: { headers: { Authorization: `Bearer ${TOKEN}` } } }],
    ["under a name that says nothing", { payload: { text: `look: ${TOKEN}` } }],
    ["as the whole payload", { payload: TOKEN }],
  ])("hides a token %s", (_, message) => {
    const { payload } = parseFrame(JSON.stringify({ type: "any", ...message }), NOW);
    expect(JSON.stringify(payload)).not.toContain(TOKEN.slice(-12));
    expect(written(payload)).toContain("token of alice");
  });

  it("hides what stands where tokens stand, even if it cannot be read", () => {
    const shown = redact({ accessToken: "opaque", authToken: "a.b.c", password: "alice123" }, NOW);
    expect(JSON.stringify(shown)).not.toMatch(/opaque|a\.b\.c|alice123/);
  });

  it("says that a token has expired", () => {
    expect(written(redact({ accessToken: TOKEN }, NOW + 61))).toContain("token of alice, expired");
  });

  it("hides a token even where the message is no JSON", () => {
    const { type, payload } = parseFrame(`not json ${TOKEN}`, NOW);
    expect(type).toBe("unreadable");
    expect(isRedacted(payload)).toBe(true);
  });

  it("leaves ordinary text alone, dots included", () => {
    expect(redact({ text: "See example.org. Really." }, NOW)).toEqual({ text: "See example.org. Really." });
  });
});

describe("the record", () => {
  it("keeps the newest frames only", () => {
    const record = new FrameRecord(2);
    for (const connection of [1, 2, 3]) record.add({ kind: "opened", connection });
    expect(record.frames.get().map(({ connection }) => connection)).toEqual([2, 3]);
  });
});
