import { expect, it } from "vitest";
import { next, post, refuse, remove, retry } from "../src/outbox";

const two = post(post([], "first", "c1", 1), "second", "c2", 2);

it("sends in the order of writing", () => {
  expect(next(two)?.clientId).toBe("c1");
  expect(next(remove(two, "c1"))?.clientId).toBe("c2");
});

it("keeps a message under its clientId until it is known to be stored", () => {
  expect(remove(two, null, "somebody else's")).toBe(two);
  expect(remove(two, "c1", "c2")).toEqual([]);
});

it("does not let a refused message hold up the others, nor forgets it", () => {
  const refused = refuse(two, "c1", "too long");
  expect(next(refused)?.clientId).toBe("c2");
  expect(refused[0]?.refusal).toBe("too long");
  expect(next(retry(refused, "c1"))?.clientId).toBe("c1");
});
