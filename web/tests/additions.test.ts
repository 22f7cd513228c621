import { expect, it } from "vitest";
import { readAcknowledgement, readOutcome } from "../src/additions";

it.each([undefined, null, {}, { gqlink: null }, { gqlink: "yes" }])("a server that says %j says nothing of us", (payload) => {
  expect(readAcknowledgement(payload)).toEqual({ subject: undefined, expiresIn: null, isRenewable: false });
  expect(readOutcome(payload)).toBeNull();
});

it("tells nobody from somebody, and for how long", () => {
  const nobody = { version: 1, subject: null, expiresIn: null, renewal: "ping" };
  expect(readAcknowledgement({ gqlink: nobody })).toEqual({ subject: null, expiresIn: null, isRenewable: true });
  const alice = { version: 1, subject: "alice", expiresIn: 119.5, renewal: null };
  expect(readAcknowledgement({ gqlink: alice })).toEqual({ subject: "alice", expiresIn: 119.5, isRenewable: false });
});

it("reads what came of a renewal", () => {
  expect(readOutcome({ gqlink: { seq: 2, expiresIn: 120 } })).toEqual({ seq: 2, expiresIn: 120, error: null });
  expect(readOutcome({ gqlink: { seq: 2, error: "Token expired" } })).toEqual({ seq: 2, expiresIn: null, error: "Token expired" });
  expect(readOutcome({ gqlink: { expiresIn: 120 } })).toBeNull();
});
