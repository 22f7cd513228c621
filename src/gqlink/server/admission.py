"""How many there may be at a time: sockets and event streams, of an address and of a subject, and HTTP requests.

A place is taken before anything is done for a peer, and held until everything that it began has ended, so what ends
slowly counts too. All of it is a few numbers; nobody waits for a place. An address is what the ASGI server says it is:
a proxy's word counts only where that server was told to believe it.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, Self

from gqlink.errors import LimitExceeded
from gqlink.server.network import network_of

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from gqlink.server.limits import Limits

__all__ = ("RETRY_SECONDS", "Admission", "Place")

RETRY_SECONDS: Final = 5
"""When those who found no place are told to come again."""


class Admission:
    """The places of one application.

    Args:
        limits: For `sockets`, `sockets_per_address`, `sockets_per_identity` and `requests`.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._sockets = 0
        self._requests = 0
        self._request_place = _RequestPlace(self)
        self._networks: Counter[str] = Counter()
        self._subjects: Counter[str] = Counter()

    @property
    def sockets(self) -> int:
        """How many sockets and event streams have a place."""
        return self._sockets

    @property
    def requests(self) -> int:
        """How many HTTP requests have one."""
        return self._requests

    @property
    def remembered(self) -> int:
        """How many addresses and subjects are kept in mind: those only that have a place."""
        return len(self._networks) + len(self._subjects)

    def enter(self, address: str | None) -> Place:
        """Give a socket or an event stream a place; use it with `with`.

        Args:
            address: The peer's, without its port; None where there is none, which counts only for `sockets`.

        Raises:
            LimitExceeded: "sockets" or "sockets_per_address".
        """
        if self._sockets >= self._limits.sockets:
            raise LimitExceeded("sockets", allowed=self._limits.sockets, actual=self._sockets + 1)
        network = network_of(address) if address else None
        if network is not None:
            _take(self._networks, network, limit="sockets_per_address", allowed=self._limits.sockets_per_address)
        self._sockets += 1
        return Place(self, network)

    def request(self) -> AbstractContextManager[None]:
        """Hold the place of one HTTP request while it is answered.

        Raises:
            LimitExceeded: "requests"; the block is not entered.
        """
        return self._request_place

    def begin_request(self) -> None:
        """Count one request more; for `request`.

        Raises:
            LimitExceeded: "requests".
        """
        if self._requests >= self._limits.requests:
            raise LimitExceeded("requests", allowed=self._limits.requests, actual=self._requests + 1)
        self._requests += 1

    def end_request(self) -> None:
        """Count one less; for `request`."""
        self._requests -= 1

    def claim(self, subject: str) -> None:
        """Count one more place as a subject's; for `Place`.

        Raises:
            LimitExceeded: "sockets_per_identity".
        """
        _take(self._subjects, subject, limit="sockets_per_identity", allowed=self._limits.sockets_per_identity)

    def disclaim(self, subject: str) -> None:
        """Count one less; for `Place`."""
        _give_back(self._subjects, subject)

    def leave(self, network: str | None) -> None:
        """Count one socket less; for `Place`."""
        self._sockets -= 1
        if network is not None:
            _give_back(self._networks, network)


class Place:
    """What one socket or event stream holds; `leave` gives it back, as does the end of a `with`.

    Args:
        admission: Who gave it.
        network: Where the peer is; None where that is not known.
    """

    __slots__ = ("_admission", "_left", "_network", "_subject")

    def __init__(self, admission: Admission, network: str | None) -> None:
        self._admission = admission
        self._network = network
        self._subject: str | None = None
        self._left = False

    def claim(self, subject: str | None) -> None:
        """Count it as this subject's from now on, in the step in which it begins to speak for it.

        Args:
            subject: None for an anonymous one, whom no other counts with. The one it has already changes nothing.

        Raises:
            LimitExceeded: "sockets_per_identity"; nothing has changed.
        """
        if subject == self._subject or self._left:
            return
        if subject is not None:
            self._admission.claim(subject)
        if self._subject is not None:
            self._admission.disclaim(self._subject)
        self._subject = subject

    def leave(self) -> None:
        """Give it back; harmless to repeat."""
        if self._left:
            return
        self.claim(None)
        self._left = True
        self._admission.leave(self._network)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.leave()


class _RequestPlace:
    """What a request holds: only a number, so that one of these does for all.

    Args:
        admission: Who counts.
    """

    __slots__ = ("_admission",)

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    def __enter__(self) -> None:
        self._admission.begin_request()

    def __exit__(self, *_exc: object) -> None:
        self._admission.end_request()


def _take(counts: Counter[str], key: str, *, limit: str, allowed: int) -> None:
    taken = counts[key] + 1  # a Counter keeps nothing that it is only asked for
    if taken > allowed:
        raise LimitExceeded(limit, allowed=allowed, actual=taken)
    counts[key] = taken


def _give_back(counts: Counter[str], key: str) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
