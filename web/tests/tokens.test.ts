import { expect, it } from "vitest";
import { damaged, readToken } from "../src/tokens";

const base64Url = (value: object) => btoa(JSON.stringify(value)).replaceAll("=", "");
const unsigned = `${base64Url({ alg: "HS256" })}.${base64Url({ sub: "alice", exp: 60 })}`;

it.each(["Asignature", "signature"])("a damaged token says the same, under a signature that is not %j", (signature) => {
  const token = `${unsigned}.${signature}`;
  expect(readToken(damaged(token))).toEqual({ subject: "alice", expiresAt: 60 });
  expect(damaged(token)).not.toBe(token);
  expect(damaged(token)).toHaveLength(token.length);
});
