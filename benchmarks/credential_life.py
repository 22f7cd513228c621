"""Many clients, short tokens, logins, logouts, switches and revocations: does anybody hear what they should not?

Each client holds one subscription through all of it. Each event says for whom, with which token and when it was
executed (life_server.py). An event is **wrong** if its subject is not the one who is logged in where it arrives, once
`login` or `logout` has returned; **expired** if it was executed at or past its token's end; **revoked** if it was
executed after the revocation of its subject, session or token took effect on that node, or more than 100 ms after it
was ordered on the other one. Within one login that nobody revokes, beats must come once and in order: what is missing
is **lost**, what comes again is **doubled**.

Ends with status 1 if there was any wrong, expired or revoked event; with --steady also for any lost, doubled or error.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import random
import resource
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.request import urlopen

from gqlink.client import Client, PasswordLogin, WebSocketLink
from gqlink.errors import GqlinkError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gqlink.client import Event

BEAT: Final = "subscription { beat { number at subject session tokenId expiresAt } }"
PASSWORD: Final = "correct horse"
DIALECTS: Final = (["graphql-transport-ws"], ["graphql-ws"])
ELSEWHERE_SECONDS: Final = 0.1
ANYBODY: Final = object()
"""While `login` or `logout` is under way, what comes may still be the former identity's."""


@dataclass(slots=True)
class Tally:
    """What all clients saw together.

    Attributes:
        counts: By name.
        last: By (token id, session, subject, expiry): the moment of the last event executed for it.
        began_at: On the monotonic clock.
        lost_at: By minute.
    """

    counts: Counter[str] = field(default_factory=Counter)
    last: dict[tuple[str, str, str, float], float] = field(default_factory=dict)
    began_at: float = field(default_factory=time.monotonic)
    lost_at: Counter[int] = field(default_factory=Counter)


class LifeClient:
    """One client: it logs in, listens, and leaves in one way or another, again and again.

    Args:
        base: The server's address.
        number: Decides its dialect and its dice.
        options: From the command line.
        tally: Where it counts.
    """

    def __init__(self, base: str, *, number: int, options: argparse.Namespace, tally: Tally) -> None:
        self._dice = random.Random(number)
        self._options = options
        self._tally = tally
        self._account = PasswordLogin(f"http://{base}")
        link = WebSocketLink(f"ws://{base}/life", auth=self._account, subprotocols=DIALECTS[number % 2])
        self._client = Client(link)
        self._expected: object = None
        self._previous: int | None = None
        self._over = asyncio.Event()

    async def live(self, until: float) -> None:
        """Go on until a moment of the monotonic clock."""
        async with self._client:
            listening = asyncio.create_task(self._listen_again())
            try:
                await self._lead(until)
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)

    async def _lead(self, until: float) -> None:
        await asyncio.sleep(self._dice.uniform(0, min(120.0, self._options.seconds / 2)))
        await self._log_in()
        while (left := until - time.monotonic()) > 0:
            stay = left if self._options.steady else self._dice.expovariate(1 / self._options.stay)
            await self._wait(min(stay, left))
            if self._options.steady or until <= time.monotonic():
                continue
            if self._account.identity is None or self._dice.choice([True, False]):
                await self._log_in()  # as somebody else, most of the time
            else:
                await self._log_out()

    async def _wait(self, seconds: float) -> None:
        """Stay as one is, or until the session is over, and a little longer: people do not come back at once."""
        self._over.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._over.wait()
                await asyncio.sleep(self._dice.uniform(0, 10))
        except TimeoutError:
            pass

    async def _log_in(self) -> None:
        name = f"user{self._dice.randrange(self._options.accounts)}"
        with self._changing("logins"):
            await self._account.login(name, PASSWORD)
            self._expected = name

    async def _log_out(self) -> None:
        with self._changing("logouts"):
            await self._account.logout()
            self._expected = None

    @contextlib.contextmanager
    def _changing(self, what: str) -> Any:
        self._expected = ANYBODY
        try:
            yield
        except GqlinkError as exc:
            self._count(f"{what} that failed: {type(exc).__name__}")
            self._expected = self._account.identity.subject if self._account.identity else None
        else:
            self._count(what)
        self._previous = None

    async def _listen_again(self) -> None:
        """Hold the subscription; a session that was revoked ends it, and the next login begins another."""
        while True:
            try:
                async with self._client.subscribe(BEAT, when_anonymous="hold", key=_number) as events:
                    async for event in events:
                        self._judge(event)
            except GqlinkError as exc:
                self._over.set()
                self._count(f"ended: {type(exc).__name__} {getattr(exc, 'reason', '') or exc}")
            self._previous = None
            await asyncio.sleep(0.05)

    def _judge(self, event: Event) -> None:
        if not event.data:
            self._count(f"errors: {event.errors}")
            return
        beat: dict[str, Any] = event.data["beat"]  # type: ignore[index] # the schema's shape
        self._count("delivered")
        if self._expected is not ANYBODY and self._expected != beat["subject"]:
            self._count("WRONG")
        if beat["at"] >= beat["expiresAt"]:
            self._count("EXPIRED")
        key = (beat["tokenId"], beat["session"], beat["subject"], beat["expiresAt"])
        self._tally.last[key] = max(beat["at"], self._tally.last.get(key, 0.0))
        if self._previous is not None:
            step = beat["number"] - self._previous
            if step > 1:
                self._count("lost", step - 1)
                self._tally.lost_at[int((time.monotonic() - self._tally.began_at) // 60) + 1] += step - 1
            elif step < 1:
                self._count("doubled")
        self._previous = max(beat["number"], self._previous or 0)

    def _count(self, what: str, number: int = 1) -> None:
        self._tally.counts[what] += number


def _number(event: Event) -> object:
    return event.data["beat"]["number"] if event.data else None  # type: ignore[index] # the schema's shape


@contextlib.asynccontextmanager
async def _serving(options: argparse.Namespace) -> AsyncIterator[str]:
    """Start the server in a process of its own; yield its authority."""
    chosen = {name: getattr(options, name) for name in ("token_seconds", "events", "revocations", "accounts")}
    script = Path(__file__).with_name("life_server.py")
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), json.dumps(chosen), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    try:
        port = json.loads(await process.stdout.readline())["port"]
        yield f"127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def _facts(base: str) -> dict[str, Any]:
    with urlopen(f"http://{base}/facts") as answer:
        facts: dict[str, Any] = json.load(answer)
    return facts


def _judge_revocations(tally: Tally, facts: dict[str, Any], *, token_seconds: float) -> float:
    """Count tokens that were heard of after their revocation; return how late the latest was, in seconds."""
    names = {"tokenId": 0, "session": 1, "subject": 2}
    moments: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for allowed, orders, at in ((0.0, facts["strict"], "at"), (ELSEWHERE_SECONDS, facts["orders"], "revokedAt")):
        for order in orders:
            for name in names.keys() & order.keys():
                moments.setdefault((name, order[name]), []).append((order[at], allowed))
    latest = 0.0
    for key, heard_at in tally.last.items():
        issued_at = key[3] - token_seconds
        for name, place in names.items():
            for revoked_at, allowed in moments.get((name, str(key[place])), []):
                if (name == "subject" and issued_at > revoked_at) or heard_at <= revoked_at:
                    continue  # a later login of the same person is another matter
                latest = max(latest, heard_at - revoked_at)
                if heard_at - revoked_at > allowed:
                    tally.counts["REVOKED"] += 1
    return latest


async def _run(options: argparse.Namespace) -> int:
    tally = Tally()
    async with _serving(options) as base:
        until = time.monotonic() + options.seconds
        clients = [LifeClient(base, number=n, options=options, tally=tally) for n in range(options.clients)]
        await asyncio.gather(*(client.live(until) for client in clients))
        facts = await asyncio.to_thread(_facts, base)
    latest = _judge_revocations(tally, facts, token_seconds=options.token_seconds)
    counts = Counter(tally.counts)
    broken = counts["WRONG"] + counts["EXPIRED"] + counts["REVOKED"]
    troubled = (
        broken
        + counts["lost"]
        + counts["doubled"]
        + sum(n for name, n in counts.items() if name.startswith(("ended", "errors")))
    )
    print(f"{options.clients} clients, tokens of {options.token_seconds:g} s, {options.seconds:g} s")
    for name in ("delivered", "WRONG", "EXPIRED", "REVOKED", "lost", "doubled"):
        print(f"  {name:<10} {counts.pop(name, 0):>10,}")
    if tally.lost_at:
        print("  lost by minute:", ", ".join(f"{minute}: {count}" for minute, count in sorted(tally.lost_at.items())))
    print(f"  the latest event after a revocation on the other node: {latest * 1000:.0f} ms")
    print(f"  revocation orders: {len(facts['orders']):,}")
    for title, counter in (("clients", counts), ("sockets", Counter(facts["sockets"]))):
        print(f"  {title}:")
        for name, count in sorted(counter.items(), key=lambda item: -item[1]):
            if count:
                print(f"    {count:>8,}  {name}")
    print(
        f"  memory of the clients' process at most: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB"
    )
    return int(bool(troubled if options.steady else broken))


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--token-seconds", type=float, default=3.0)
    parser.add_argument("--events", type=float, default=4.0, help="a second")
    parser.add_argument("--accounts", type=int, default=40)
    parser.add_argument("--stay", type=float, default=240.0, help="seconds between changes of one client, on average")
    parser.add_argument("--revocations", type=float, default=0.3, help="a second, on average")
    parser.add_argument("--steady", action="store_true", help="no logouts, switches or revocations")
    parser.add_argument("--log", default="CRITICAL", help="level of the clients' log, such as INFO")
    options = parser.parse_args()
    logging.basicConfig(level=options.log, format="%(asctime)s %(name)s %(message)s")
    if options.steady:
        options.revocations = 0.0
    sys.exit(asyncio.run(_run(options)))


if __name__ == "__main__":
    _main()
