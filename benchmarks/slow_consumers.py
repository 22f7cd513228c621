"""Clients that subscribe and never read: does the server grow, and do others feel it?

Many raw sockets with small buffers subscribe to a busy topic (slow_server.py) and read nothing after the ack; each
says a pong now and then, so it is no dead connection, and dials again when its own is gone. A few healthy clients hear
a calm topic in the same server, before the slow ones come, while they are there, and after they have gone. A healthy
event's latency counts from the moment at which it was due.

The time with slow clients is also told apart: "coming" while some of them dial and their buffers fill, which costs the
server executions until it can hold no more, and "stuck" otherwise.

Ends with status 1 if no slow client was closed with 4490, or the server's memory grew by more than 5 % between the end
of the warm-up and the end.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import random
import socket
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.request import urlopen

import websockets
from child import cpu_seconds, serving_child

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

MEMORY_GROWTH_PERCENT: Final = 5.0
RECEIVE_BYTES: Final = 4096
PONG_SECONDS: Final = 1.0
SETTLE_SECONDS: Final = 2.0
FILLING_SECONDS: Final = 3.0
"""So long after the last one has come, what can be held for the slow clients is full."""
BEFORE, WARM_UP, SLOW, COMING, STUCK, AFTER = "quiet before", "warm-up", "slow", "  coming", "  stuck", "quiet after"
_MIB: Final = 1 << 20


@dataclass(slots=True)
class Tally:
    """What was seen.

    Attributes:
        phase: What goes on now.
        latencies: Of the healthy clients, in seconds, by phase.
        samples: Seconds since the start, resident bytes, and the server's own facts, each second.
        cpu: The share of a core that the server took, by phase.
        counts: Of the slow clients.
        came_at: When a slow client dialled for the last time, on the monotonic clock.
    """

    phase: str = ""
    latencies: dict[str, list[float]] = field(default_factory=dict)
    samples: list[tuple[str, float, int, dict[str, int]]] = field(default_factory=list)
    cpu: dict[str, float] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    came_at: float = 0.0

    def note(self, due_at: float) -> None:
        """Write down a healthy client's event."""
        now = time.monotonic()
        self.latencies.setdefault(self.phase, []).append(now - due_at)
        if self.phase == SLOW:
            what = COMING if now < self.came_at + FILLING_SECONDS else STUCK
            self.latencies.setdefault(what, []).append(now - due_at)


class SlowClient:
    """One that never reads.

    Args:
        port: The server's, on loopback.
        tally: Where it counts.
    """

    def __init__(self, port: int, *, tally: Tally) -> None:
        self._port = port
        self._tally = tally

    async def run(self) -> None:
        """Subscribe, read nothing, and begin again when the connection is gone."""
        while True:
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self._tally.came_at = time.monotonic()
            with sock, contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
                sock.settimeout(0)
                await self._subscribe(sock)
                self._tally.counts["subscribed"] += 1
                while True:
                    await asyncio.sleep(PONG_SECONDS)
                    with contextlib.suppress(BlockingIOError):
                        sock.send(_frame({"type": "pong"}))
            self._tally.counts["gone"] += 1
            await asyncio.sleep(random.uniform(0, 1))

    async def _subscribe(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", self._port))
        await loop.sock_sendall(sock, _upgrade(self._port))
        await _read_until(sock, b"\r\n\r\n")
        await loop.sock_sendall(sock, _frame({"type": "connection_init"}))
        await _read_until(sock, b"connection_ack")
        query = 'subscription { said(topic: "busy") { number dueAt text } }'
        await loop.sock_sendall(sock, _frame({"type": "subscribe", "id": "1", "payload": {"query": query}}))


async def healthy(port: int, *, tally: Tally) -> None:
    """Hear the calm topic, and note how late each event is; whether one is missing, too."""
    url = f"ws://127.0.0.1:{port}/graphql"
    query = 'subscription { said(topic: "calm") { number dueAt } }'
    last = None
    async with websockets.connect(url, subprotocols=[websockets.Subprotocol("graphql-transport-ws")]) as connection:
        await connection.send(json.dumps({"type": "connection_init"}))
        await connection.recv()
        await connection.send(json.dumps({"type": "subscribe", "id": "1", "payload": {"query": query}}))
        async for message in connection:
            event = json.loads(message)["payload"]["data"]["said"]
            tally.note(event["dueAt"])
            if last is not None and event["number"] != last + 1:
                tally.counts["healthy events missed"] += 1
            last = event["number"]


async def watch(port: int, *, pid: int, tally: Tally) -> None:
    """Write down each second what the server takes and holds."""
    # In a thread, so that an answer that is waited for keeps no event waiting.
    began_at = time.monotonic()
    while True:
        facts = await asyncio.to_thread(_facts, port)
        sample = (tally.phase, time.monotonic() - began_at, _resident_bytes(pid), facts)
        tally.samples.append(sample)
        await asyncio.sleep(1)


async def measure(options: argparse.Namespace) -> Tally:
    """Go through the phases: quiet, warm-up, slow, after."""
    tally = Tally()
    async with _server(options) as (port, pid), asyncio.TaskGroup() as tasks:
        tally.phase = "settling"
        others = [tasks.create_task(healthy(port, tally=tally)) for _ in range(options.healthy)]
        others.append(tasks.create_task(watch(port, pid=pid, tally=tally)))
        await asyncio.sleep(SETTLE_SECONDS)
        await _phase(tally, BEFORE, pid=pid, seconds=options.seconds / 4)
        slow = [tasks.create_task(SlowClient(port, tally=tally).run()) for _ in range(options.clients)]
        await _phase(tally, WARM_UP, pid=pid, seconds=options.warm_up)
        await _phase(tally, SLOW, pid=pid, seconds=options.seconds)
        for task in slow:
            task.cancel()
        tally.phase = "settling"
        await asyncio.sleep(SETTLE_SECONDS)
        await _phase(tally, AFTER, pid=pid, seconds=options.seconds / 4)
        for task in others:
            task.cancel()
    return tally


def report(tally: Tally, options: argparse.Namespace) -> bool:
    """Print what came of it; return whether the server did well."""
    print(
        f"{options.clients} clients that never read, {options.rate:,} deliveries offered a second, "
        f"{options.text_bytes:,} bytes each, {options.seconds:g} s after a warm-up of {options.warm_up:g} s"
    )
    print(f"  {'healthy clients':16} {'events':>8} {'p50 ms':>8} {'p99 ms':>8} {'most ms':>8} {'server CPU %':>13}")
    for phase in (BEFORE, WARM_UP, SLOW, COMING, STUCK, AFTER):
        found = sorted(1000 * seconds for seconds in tally.latencies.get(phase, [0.0]))
        p50, p99 = (found[int(len(found) * part)] for part in (0.5, 0.99))
        cpu = f"{100 * tally.cpu[phase]:13.0f}" if phase in tally.cpu else ""
        print(f"  {phase:16} {len(found):8,} {p50:8.2f} {p99:8.2f} {found[-1]:8.2f} {cpu}")
    resident = [size for phase, _, size, _ in tally.samples if phase == SLOW]
    edge = max(1, min(5, len(resident) // 4))
    first, last = statistics.median(resident[:edge]), statistics.median(resident[-edge:])
    growth = 100 * (last / first - 1)
    facts = tally.samples[-1][3]
    quiet = [size for phase, _, size, _ in tally.samples if phase == BEFORE]
    print(f"  memory: quiet {quiet[-1] / _MIB:.0f} MiB, after the warm-up {first / _MIB:.0f} MiB,", end=" ")
    print(f"at the end {last / _MIB:.0f} MiB, at most {max(resident) / _MIB:.0f} MiB: growth {growth:+.1f} %")
    print(
        f"  closed with 4490: {facts['slow']:,}; sockets opened: {facts['opened']:,}; messages sent: {facts['sent']:,}"
    )
    print(f"  waiting to be sent: at most {facts['most_waiting'] / _MIB:.1f} MiB; left now: {facts['waiting']:,} bytes")
    print(f"  slow clients: {dict(tally.counts)}")
    return growth <= MEMORY_GROWTH_PERCENT and facts["slow"] > 0


async def _phase(tally: Tally, name: str, *, pid: int, seconds: float) -> None:
    tally.phase = name
    began_at, cpu = time.monotonic(), cpu_seconds(pid)
    while time.monotonic() < began_at + seconds:
        await asyncio.sleep(min(5.0, began_at + seconds - time.monotonic()))
        _, at, size, facts = tally.samples[-1]
        print(f"  {at:5.0f} s {name:13} {size / _MIB:5.0f} MiB", json.dumps(facts), flush=True)
    tally.cpu[name] = (cpu_seconds(pid) - cpu) / (time.monotonic() - began_at)


def _server(options: argparse.Namespace) -> AbstractAsyncContextManager[tuple[int, int]]:
    settings = {
        "busy": options.rate / options.clients,
        "calm": options.calm,
        "text_bytes": options.text_bytes,
        "stall_seconds": options.stall_seconds,
        "unsent_bytes": options.unsent_bytes,
    }
    return serving_child("slow_server.py", settings, settle_seconds=SETTLE_SECONDS)


async def _read_until(sock: socket.socket, end: bytes) -> None:
    loop = asyncio.get_running_loop()
    found = b""
    while end not in found:
        more = await loop.sock_recv(sock, 1024)
        if not more:
            raise ConnectionResetError
        found += more


def _upgrade(port: int) -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    fields = {
        "Host": f"127.0.0.1:{port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Protocol": "graphql-transport-ws",
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"GET /graphql HTTP/1.1\r\n{lines}\r\n".encode()


def _frame(message: dict[str, Any]) -> bytes:
    """Return a masked text frame of fewer than 65,536 bytes (RFC 6455, section 5.2); the mask is zeros."""
    text = json.dumps(message).encode()
    length = len(text)
    head = bytes((0x81, 0x80 | length)) if length < 126 else b"\x81\xfe" + length.to_bytes(2)  # noqa: PLR2004
    return head + bytes(4) + text


def _facts(port: int) -> dict[str, int]:
    with urlopen(f"http://127.0.0.1:{port}/facts", timeout=30) as answer:
        found: dict[str, int] = json.load(answer)
    return found


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="with slow clients, after the warm-up")
    parser.add_argument("--warm-up", type=float, default=60.0, help="with them, before that: three rounds")
    parser.add_argument("--clients", type=int, default=200, help="that never read")
    parser.add_argument("--healthy", type=int, default=4)
    parser.add_argument("--rate", type=int, default=10_000, help="deliveries offered to the slow clients, a second")
    parser.add_argument("--calm", type=float, default=50.0, help="events a second that the healthy ones hear")
    parser.add_argument("--unsent-bytes", type=int, default=16_384, help="TCP_NOTSENT_LOWAT of the server; 0: none")
    parser.add_argument("--text-bytes", type=int, default=4_000, help="of each busy event")
    parser.add_argument("--stall-seconds", type=float, default=10.0, help="the server's limit")
    return parser.parse_args()


if __name__ == "__main__":
    given = _options()
    sys.exit(0 if report(asyncio.run(measure(given)), given) else 1)
