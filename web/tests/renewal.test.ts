import { createClient } from "graphql-ws";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Renewal } from "../src/renewal";

/** A socket whose other end is the test: graphql-ws itself is the real one. */
class TestSocket {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSING = 2;
  static readonly CLOSED = 3;
  static latest: TestSocket;
  readonly sent: Array<{ type: string; payload?: any }> = [];
  readyState = TestSocket.OPEN;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: object) => void) | null = null;

  constructor() {
    TestSocket.latest = this;
    queueMicrotask(() => this.onopen?.());
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(code: number, reason: string): void {
    this.readyState = TestSocket.CLOSED;
    this.onclose?.({ code, reason, wasClean: true });
  }

  says(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  outcome(gqlink: object): void {
    this.says({ type: "pong" });
    this.says({ type: "pong", payload: { gqlink } });
  }

  get pings(): unknown[] {
    return this.sent.filter(({ type }) => type === "ping").map(({ payload }) => payload.gqlink);
  }
}

const ACK = { version: 1, subject: "alice", expiresIn: 120, renewal: "ping" };
const settled = () => vi.advanceTimersByTimeAsync(0);
const secondsLeft = ({ expiresAt }: Renewal) => {
  const at = expiresAt.get();
  return at === null ? null : (at - performance.now()) / 1_000;
};

/** A client that stays connected, and its renewal. */
async function connected(ack: object | null = ACK) {
  const client = createClient({
    url: "ws://localhost/graphql",
    lazy: false,
    webSocketImpl: TestSocket,
    shouldRetry: () => true,
    retryWait: async () => undefined,
    connectionParams: () => ({ accessToken: "first" }),
    onNonLazyError: () => undefined,
  });
  const renewal = new Renewal(client, { answer: 8_000, pause: 2_000 });
  await settled();
  TestSocket.latest.says({ type: "connection_ack", ...(ack && { payload: { gqlink: ack } }) });
  await settled();
  return { client, renewal, socket: TestSocket.latest };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("a renewal", () => {
  it("is a ping with the token and a number, and done when the outcome comes", async () => {
    const { renewal, socket } = await connected();
    await vi.advanceTimersByTimeAsync(96_000);
    expect(secondsLeft(renewal)).toBeCloseTo(24);
    const renewed = renewal.renew("second");
    expect(socket.pings).toEqual([{ accessToken: "second", seq: 1 }]);
    socket.outcome({ seq: 1, expiresIn: 120 });
    expect(await renewed).toBe(true);
    expect(secondsLeft(renewal)).toBeCloseTo(120);
    expect(TestSocket.latest).toBe(socket);
  });

  it("is counted, so that a late outcome is not taken for the next one's", async () => {
    const { renewal, socket } = await connected();
    const first = renewal.renew("second");
    const second = renewal.renew("third");
    expect(await first).toBe(true);
    socket.outcome({ seq: 1, error: "Token expired" });
    socket.outcome({ seq: 2, expiresIn: 60 });
    expect(await second).toBe(true);
    expect(secondsLeft(renewal)).toBeCloseTo(60);
  });

  it.each(["Token invalid", "Token expired", "Session revoked"])("that is refused with %j asks for a new socket", async (error) => {
    const { renewal, socket } = await connected();
    const renewed = renewal.renew("second");
    socket.outcome({ seq: 1, error });
    expect(await renewed).toBe(false);
    expect(secondsLeft(renewal)).toBeCloseTo(120);
  });

  it("that cannot be decided is asked for again, under the next number, and not for ever", async () => {
    const { renewal, socket } = await connected();
    const renewed = renewal.renew("second");
    for (const seq of [1, 2, 3]) {
      socket.outcome({ seq, error: "Try again later" });
      await vi.advanceTimersByTimeAsync(2_000);
    }
    expect(await renewed).toBe(false);
    expect(socket.pings).toEqual([1, 2, 3].map((seq) => ({ accessToken: "second", seq })));
  });

  it("that is met with silence asks for a new socket; the answer to the ping itself says nothing", async () => {
    const { renewal, socket } = await connected();
    const renewed = renewal.renew("second");
    socket.says({ type: "pong" });
    await vi.advanceTimersByTimeAsync(8_000);
    expect(await renewed).toBe(false);
  });

  it("is forgotten when the socket goes: the next one has the fresh token from the start", async () => {
    const { renewal, socket } = await connected();
    const renewed = renewal.renew("second");
    socket.close(1012, "Service restart");
    expect(await renewed).toBe(true);
    expect(renewal.expiresAt.get()).toBeNull();
    await settled();
    const next = TestSocket.latest;
    expect(next).not.toBe(socket);
    next.says({ type: "connection_ack", payload: { gqlink: { ...ACK, expiresIn: 100 } } });
    next.outcome({ seq: 1, expiresIn: 5 });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(secondsLeft(renewal)).toBeCloseTo(90);
    expect(next.pings).toEqual([]);
  });

  it("is not asked for again on a socket that came in between", async () => {
    const { renewal, socket } = await connected();
    const renewed = renewal.renew("second");
    socket.outcome({ seq: 1, error: "Try again later" });
    await settled();
    socket.close(1012, "Service restart");
    await settled();
    TestSocket.latest.says({ type: "connection_ack", payload: { gqlink: ACK } });
    await vi.advanceTimersByTimeAsync(2_000);
    expect(await renewed).toBe(true);
    expect(TestSocket.latest.pings).toEqual([]);
  });

  it("needs a new socket where the server offers none, and this one will end", async () => {
    const { renewal, socket } = await connected({ ...ACK, renewal: null });
    expect(await renewal.renew("second")).toBe(false);
    expect(socket.pings).toEqual([]);
  });

  it("needs nothing where the server never ends a socket, or does not say so", async () => {
    const { renewal, socket } = await connected(null);
    expect(await renewal.renew("second")).toBe(true);
    expect(socket.pings).toEqual([]);
    expect(renewal.expiresAt.get()).toBeNull();
  });
});
