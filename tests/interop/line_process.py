"""A program that takes JSON commands on its stdin and prints JSON events, one a line, and ends when its stdin does."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import PIPE
from collections import deque
from typing import TYPE_CHECKING, Self

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

PATIENCE = 15.0
_FAREWELL = 5.0
_LONGEST_LINE_BYTES = 1 << 20


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line that a program printed. `event` is its kind; the others are there where they make sense.

    Tokens never appear, only their fingerprints (`interop.harness.fingerprint`).
    """

    event: str
    id: str | None = None  # of an operation, as the test called it; in a frame, as it was on the wire
    socket: int | None = None  # 1, 2, ... in the order in which the program saw them
    type: str | None = None
    subprotocol: str | None = None
    offered: str | None = None
    code: int | None = None
    reason: str | None = None
    count: int | None = None
    token: str | None = None
    keys: tuple[str, ...] = ()
    user: str | None = None
    port: int | None = None
    payload: dict[str, object] | None = None
    errors: tuple[dict[str, object], ...] = ()

    @property
    def data(self) -> dict[str, object]:
        """The `data` of a result; empty where there is none."""
        return _table((self.payload or {}).get("data"))

    @property
    def error_codes(self) -> tuple[object, ...]:
        """The `extensions.code` of each GraphQL error, wherever the client showed the errors."""
        shown = (self.payload or {}).get("errors")
        errors = shown if isinstance(shown, list) else self.errors
        return tuple(_table(_table(error).get("extensions")).get("code") for error in errors)


class ProgramFailed(Exception):
    """The program did not say what was waited for: it was silent, reported a failure, or ended."""


class LineProcess:
    """Runs one program for the length of an `async with` block.

    Args:
        command: What to run.
        cwd: Where.
    """

    def __init__(self, command: Sequence[str], *, cwd: Path) -> None:
        self._command = command
        self._cwd = cwd
        self._events: list[Event] = []
        self._taken: set[int] = set()
        self._arrival = asyncio.Condition()
        self._ended = False
        self._complaints: deque[str] = deque(maxlen=40)

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *self._command, cwd=self._cwd, stdin=PIPE, stdout=PIPE, stderr=PIPE, limit=_LONGEST_LINE_BYTES
        )
        # Both end with the program, which __aexit__ waits for.
        self._readers = (asyncio.create_task(self._read_events()), asyncio.create_task(self._read_complaints()))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(_FAREWELL):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await asyncio.gather(*self._readers)

    @property
    def events(self) -> tuple[Event, ...]:
        """Everything that was printed so far."""
        return tuple(self._events)

    def seen(self, kind: str, **fields: object) -> tuple[Event, ...]:
        """The events so far of this kind with these fields."""
        return tuple(event for event in self._events if _matches(event, (kind,), fields))

    def command(self, do: str, **values: object) -> None:
        """Send one command. None is sent as null."""
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode({"do": do, **values}) + b"\n")

    async def wait_for(
        self, *kinds: str, where: Callable[[Event], bool] | None = None, within: float = PATIENCE, **fields: object
    ) -> Event:
        """Wait for an event and take it: each event is returned once, so a second wait is for the second such event.

        Args:
            *kinds: What the event's `event` may be.
            where: What else must be true of it.
            within: Seconds.
            **fields: Fields of `Event` and the values they must have.

        Raises:
            ProgramFailed: It did not come in time, the program reported a failure, or the program ended.
        """
        try:
            async with asyncio.timeout(within), self._arrival:
                while (found := self._take(kinds, where, fields)) is None:
                    self._check_health(kinds, fields)
                    await self._arrival.wait()
                return found
        except TimeoutError:
            raise ProgramFailed(self._account(f"no {kinds} {fields} within {within} s")) from None

    def _take(
        self, kinds: Collection[str], where: Callable[[Event], bool] | None, fields: Mapping[str, object]
    ) -> Event | None:
        for place, event in enumerate(self._events):
            if place not in self._taken and _matches(event, kinds, fields) and (where is None or where(event)):
                self._taken.add(place)
                return event
        return None

    def _check_health(self, kinds: Collection[str], fields: Mapping[str, object]) -> None:
        if self.seen("failed"):
            raise ProgramFailed(self._account("it reported a failure"))
        if self._ended:
            raise ProgramFailed(self._account(f"it ended before {kinds} {fields}"))

    def _account(self, trouble: str) -> str:
        last = "\n".join(msgspec.json.encode(event).decode() for event in self._events[-30:])
        return f"{self._command[1]}: {trouble}\n{last}\n{''.join(self._complaints)}"

    async def _read_events(self) -> None:
        assert self._process.stdout is not None
        try:
            async for line in self._process.stdout:
                event = msgspec.json.decode(line, type=Event)
                async with self._arrival:
                    self._events.append(event)
                    self._arrival.notify_all()
        finally:
            async with self._arrival:
                self._ended = True
                self._arrival.notify_all()

    async def _read_complaints(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self._complaints.append(line.decode(errors="replace"))


def _matches(event: Event, kinds: Collection[str], fields: Mapping[str, object]) -> bool:
    return event.event in kinds and all(getattr(event, name) == value for name, value in fields.items())


def _table(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}
