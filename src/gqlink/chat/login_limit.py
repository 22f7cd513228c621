"""How often somebody may guess a password.

Every failed login is held against three: this account from this address, this account, and this address. Each forgives
one failure after so many seconds (a leaky bucket). An attempt takes its places before the password is looked at and
gives them back unless it has failed, so guesses sent at once count like guesses sent in turn; honest logins sent at
once wait for each other where places are short. A login that succeeds is never held against anybody.

Names that nobody has count like others, so that the limit tells nothing about them. An address is an IPv4 address or
the /64 of an IPv6 one, which is what one subscriber gets. All of it lives in memory: a restart forgets it, and each
process has its own.

Source: ITU-T I.371, annex A, "generic cell rate algorithm"; OWASP Authentication Cheat Sheet, "Login Throttling".
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, TypeAlias

from gqlink.errors import AuthUnavailable, InvalidCredentials
from gqlink.server.network import network_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many failures are borne.

    Args:
        failures: So many at once, at least 1.
        seconds: One more after each so many.
    """

    failures: int
    seconds: float


PAIR: Final = Allowance(10, 60.0)
ACCOUNT: Final = Allowance(100, 10.0)
ADDRESS: Final = Allowance(100, 5.0)
REMEMBERED: Final = 10_000
WAITING: Final = 64
LOGIN_OUTCOMES: Final = ("accepted", "limited", "refused")
"""What comes of an attempt: the password was right, it was not looked at, it was wrong. Others say nothing of it."""

_INSTANT: Final = 1e-6  # seconds; moments are sums of floats


class TooManyAttempts(Exception):
    """No more guesses for now; it never leaves this room, so it is not in `gqlink.errors`.

    Args:
        retry_after: When to come again, in seconds.
    """

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"too many failed logins; try again in {retry_after:.0f} s")
        self.retry_after = retry_after


@dataclass(slots=True)
class _Bucket:
    """What is held against one key.

    Attributes:
        empty_at: When all of its failures will have been forgiven.
        undecided: How many attempts are under way.
    """

    allowance: Allowance
    empty_at: float
    undecided: int = 0

    def wait(self, now: float, *, undecided: int = 0) -> float:
        """Say how long until there is a place, if so many undecided attempts fail; at most 0 means now."""
        return self.empty_at - now - (self.allowance.failures - 1 - undecided) * self.allowance.seconds


_Table: TypeAlias = "OrderedDict[bytes, _Bucket]"


@dataclass(frozen=True, slots=True)
class _Place:
    """A place in one bucket, for one attempt."""

    table: _Table
    key: bytes
    bucket: _Bucket

    def take(self, *, most: int) -> None:
        if self.key not in self.table and len(self.table) >= most:
            # One with an attempt under way must stay: its outcome belongs to it. There are few of those at any time.
            quiet = next((key for key, bucket in self.table.items() if not bucket.undecided), None)
            if quiet is not None:
                del self.table[quiet]
        self.table[self.key] = self.bucket
        self.table.move_to_end(self.key)
        self.bucket.undecided += 1

    def decide(self, now: float, *, failed: bool) -> None:
        bucket = self.bucket
        bucket.undecided -= 1
        if failed:
            bucket.empty_at = max(bucket.empty_at, now) + bucket.allowance.seconds
        elif not bucket.undecided and bucket.empty_at <= now:
            del self.table[self.key]


class LoginLimit:
    """Refuses those who have failed too often.

    Args:
        clock: Seconds of a clock that never goes back.
        pair: What is borne of one account from one address.
        account: What is borne of one account, wherever from. It is not asked about an address from which the account
            has logged in before, so that strangers cannot lock its owner out at home.
        address: What is borne of one address.
        remembered: How many of each kind of key are remembered at most; the one that was longest quiet goes first.
        waiting: How many attempts may wait for a place that is not yet decided.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        pair: Allowance = PAIR,
        account: Allowance = ACCOUNT,
        address: Allowance = ADDRESS,
        remembered: int = REMEMBERED,
        waiting: int = WAITING,
    ) -> None:
        self._clock = clock
        self._allowances = (pair, account, address)
        self._tables: tuple[_Table, ...] = (OrderedDict(), OrderedDict(), OrderedDict())
        self._at_home: OrderedDict[bytes, None] = OrderedDict()
        self._remembered = remembered
        self._waiting: set[asyncio.Future[None]] = set()
        self._most_waiting = waiting
        self.outcomes: Counter[str] = Counter()
        """How often each of `LOGIN_OUTCOMES` has come of an attempt."""

    @asynccontextmanager
    async def attempt(self, name: str, *, address: str | None) -> AsyncIterator[None]:
        """Hold a place while a password is checked; `InvalidCredentials` within the block is what counts as a failure.

        Args:
            name: What was given as the account's name.
            address: Where the attempt comes from; all that come from nowhere share a place.

        Raises:
            TooManyAttempts: There have been too many; the block is not entered.
            AuthUnavailable: Too many wait already.
        """
        keys = _keys(name, address)
        places = await self._take(keys)
        failed = False
        try:
            yield
            self._remember_home(keys[0])
            self.outcomes["accepted"] += 1
        except InvalidCredentials:
            failed = True
            self.outcomes["refused"] += 1
            raise
        finally:
            self._decide(places, failed=failed)

    async def _take(self, keys: tuple[bytes, ...]) -> list[_Place]:
        while True:
            now = self._clock()
            places = self._places(keys, now=now)
            wait = max(place.bucket.wait(now) for place in places)
            if wait > _INSTANT:
                self.outcomes["limited"] += 1
                raise TooManyAttempts(wait)
            if all(place.bucket.wait(now, undecided=place.bucket.undecided) <= _INSTANT for place in places):
                break
            await self._next_decision()
        for place in places:
            place.take(most=self._remembered)
        return places

    def _places(self, keys: tuple[bytes, ...], *, now: float) -> list[_Place]:
        # What is new is remembered when it is taken: whoever is refused must not push others out.
        rows = zip(self._tables, keys, self._allowances, strict=True)
        places = [_Place(table, key, table.get(key) or _Bucket(allowance, now)) for table, key, allowance in rows]
        if keys[0] in self._at_home:
            del places[1]
        return places

    def _decide(self, places: list[_Place], *, failed: bool) -> None:
        now = self._clock()
        for place in places:
            place.decide(now, failed=failed)
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def _next_decision(self) -> None:
        if len(self._waiting) >= self._most_waiting:
            raise AuthUnavailable("too many logins wait for others of the same account or address")
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            await waiter
        finally:
            self._waiting.discard(waiter)

    def _remember_home(self, key: bytes) -> None:
        self._at_home[key] = None
        self._at_home.move_to_end(key)
        if len(self._at_home) > self._remembered:
            self._at_home.popitem(last=False)


def _keys(name: str, address: str | None) -> tuple[bytes, ...]:
    """Return the keys of the pair, the account and the address; of one length, however long a name was sent."""
    account = _digest(name.lower())
    network = _digest(network_of(address))
    return account + network, account, network


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
