"""A connection through the fault proxy, which can be harmed for itself."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gqlink.testing.flow import End, Flow, Weather

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("Faults", "ProxiedConnection")


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with a connection, or with all of them.

    Args:
        held: Whose bytes, FIN and RST do not get through.
        endings_held: Whether FIN and RST do not get through on either side.
    """

    held: frozenset[str] = frozenset()
    endings_held: bool = False

    def __or__(self, other: Faults) -> Faults:
        return Faults(self.held | other.held, self.endings_held or other.endings_held)

    def __bool__(self) -> bool:
        return bool(self.held) or self.endings_held

    @property
    def total(self) -> bool:
        """Whether nobody gets anything through."""
        return len(self.held) == len(_BOTH)


_BOTH = frozenset({"client", "server"})


class ProxiedConnection:
    """A connection through a `FaultProxy`, from when it was accepted until both sides are gone.

    What is done to it adds to what is done to the whole proxy.

    Args:
        number: Which connection it is, from 1 in the order of acceptance.
        dial: Opens the connection to the server.
        weather: What all connections suffer, the faults first.
        finished: Called when both sides are gone.
    """

    def __init__(
        self,
        number: int,
        *,
        dial: Callable[[End], asyncio.Task[None]],
        weather: Callable[[], tuple[Faults, Weather]],
        finished: Callable[[ProxiedConnection], None],
    ) -> None:
        self.number = number
        self._dial = dial
        self._weather = weather
        self._finished = finished
        self._loop = asyncio.get_running_loop()
        self._client = End(self.look)
        self._server = End(self.look)
        self._flows = {"client": Flow(self._client, self._server), "server": Flow(self._server, self._client)}
        self._dialling: asyncio.Task[None] | None = None
        self._faults = Faults()
        self._timer: asyncio.TimerHandle | None = None
        self._is_cut = False
        self._is_over = False

    def __repr__(self) -> str:
        return f"<ProxiedConnection {self.number}{' over' if self._is_over else ''}>"

    @property
    def client(self) -> End:
        """The client's socket."""
        return self._client

    @property
    def is_open(self) -> bool:
        """Whether one side is still there."""
        return not self._is_over

    def cut(self, *, reset: bool = False) -> None:
        """Break it, without a word to either side: what is held back is lost.

        Args:
            reset: With RST, so that both sides read "connection reset by peer", instead of a FIN.
        """
        self._is_cut = True
        if self._dialling is not None:
            self._dialling.cancel()
        self._client.abort(reset=reset)
        self._server.abort(reset=reset)

    def stall(self) -> None:
        """Let nothing through in either direction; it stays open."""
        self._suffer(Faults(held=_BOTH))

    def half_open(self, *, silent: Literal["client", "server"]) -> None:
        """Let nothing through that one side says; what the other says arrives.

        Args:
            silent: Whose bytes, FIN and RST do not get through.
        """
        self._suffer(Faults(held=frozenset({silent})))

    def swallow_endings(self) -> None:
        """Tell neither side that the other has ended: data gets through, FIN and RST do not."""
        self._suffer(Faults(endings_held=True))

    def heal(self) -> None:
        """End what was done to this connection: what was held back arrives, in order."""
        self._suffer(Faults())

    def _suffer(self, faults: Faults) -> None:
        self._faults = faults
        self.look()

    def look(self) -> None:
        """Do what there is to do."""
        if self._is_over:
            return
        common, weather = self._weather()
        faults = common | self._faults
        if self._is_cut or self._dialling is None:
            self._begin(faults)
        moments = [
            flow.carry(_weather_of(side, faults, weather), now=self._loop.time()) for side, flow in self._flows.items()
        ]
        self._look_again(min((moment for moment in moments if moment is not None), default=None))
        self._end(faults)

    def _begin(self, faults: Faults) -> None:
        """Connect to the server, unless nothing gets there, or the client has given up meanwhile."""
        if self._is_cut:  # it was being connected, or accepted, at that moment
            self._client.abort(reset=False)
            self._server.abort(reset=False)
        elif self._client.ending is not None:
            self._client.close()
        elif self._client.connected and not faults.total:
            self._dialling = self._dial(self._server)
            self._dialling.add_done_callback(self._dialled)

    def _dialled(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._client.close()
        self.look()

    def _look_again(self, moment: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if moment is None else self._loop.call_at(moment, self.look)

    def _end(self, faults: Faults) -> None:
        """Let go of both sides when neither has anything to say, and be over when they are gone."""
        ended = self._client.ending is not None and self._server.ending is not None
        if ended and (faults or all(flow.told for flow in self._flows.values())):
            self._client.close()
            self._server.close()
        dialling = self._dialling is not None and not self._dialling.done()
        if self._client.lost and not dialling and (self._server.lost or not self._server.connected):
            self._is_over = True
            self._look_again(None)
            self._finished(self)


def _weather_of(side: str, faults: Faults, weather: Weather) -> Weather:
    return Weather(
        held=side in faults.held,
        endings_held=faults.endings_held,
        delay_seconds=weather.delay_seconds,
        bytes_per_second=weather.bytes_per_second,
    )
