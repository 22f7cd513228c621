"""Playing a script to a client: what it has to say is expected, and everything else is said to it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from gqlink.protocol import Close
from gqlink.testing.matching import matches, read_json
from gqlink.testing.steps import End, Expect, ExpectEnd, Raw, Send, Wait, numbered
from gqlink.testing.transcripts import Dialogue

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from gqlink.testing.scripted import Said, ScriptedConnection
    from gqlink.testing.steps import Step

__all__ = ("Play", "ScriptError")

_OUT_OF_SCRIPT: Final = Close(4400, "Not in the script")
_SHOWN_FRAMES: Final = 20
_SHOWN_CHARACTERS: Final = 500
_OPENING: Final = frozenset({"subscribe", "start"})


class ScriptError(AssertionError):
    """The client left the script of a `ScriptedServer`; the text says where, and what was said before."""


class Play:
    """A script and a connection.

    Args:
        connection: Just accepted.
        script: What should happen.
        wait: What lets seconds pass.
    """

    def __init__(
        self,
        connection: ScriptedConnection,
        script: Sequence[Step] | Dialogue,
        *,
        wait: Callable[[float], Awaitable[None]],
    ) -> None:
        self._connection = connection
        self._script = script
        self._wait = wait
        self._ids: dict[str, str] = {}
        self._operations = 0
        self.where = "the beginning"
        self.expected = ""

    async def run(self) -> None:
        """Play it to its end.

        Raises:
            ScriptError: The client left it; the connection is closed then.
        """
        await self._connection.wait_connected()
        for where, step in numbered(self._script):
            self.where = where
            try:
                await self._do(step)
            except ScriptError:
                self._connection.close(_OUT_OF_SCRIPT.code, _OUT_OF_SCRIPT.reason)
                raise

    async def _do(self, step: Step) -> None:
        match step:
            case Expect(message):
                self.expected = _text(message)
                self._require(self._fits(message, (said := await self._connection.next_heard()).data), said)
            case ExpectEnd():
                self.expected = f"close {step.code or 'with any code'} {step.reason or ''}".rstrip()
                said = await self._connection.next_heard()
                self._require(said.side == "client" and _is_end(step, said.data), said)
            case Send(message):
                self._connection.send(self._translated(message))
            case Raw(data):
                self._connection.raw(self._as_the_client_knows_it(data))
            case End(Close(code=1006)):
                self._connection.drop()
            case End(Close(code, reason)):
                self._connection.close(code, reason)
            case Wait(until):
                await (self._wait(until) if isinstance(until, int | float) else until.wait())
        self.expected = ""

    def _require(self, fits: object, said: Said) -> None:
        if not fits:
            raise ScriptError(self.complaint(f"got:      {_clip(str(said))}"))

    def complaint(self, what: str) -> str:
        """Say where the script stands, what it expects, and what was said before."""
        shown = self._connection.frames[-_SHOWN_FRAMES:]
        before = [f"    {_clip(str(each))}" for each in shown] or ["    nothing"]
        head = f"connection {self._connection.number}, {self.where}: the client left the script"
        return "\n".join([head, f"  expected: C {_clip(self.expected)}", f"  {what}", "  on the wire so far:", *before])

    def _fits(self, expected: object, data: str | bytes | Close) -> bool:
        match expected, data:
            case bytes(), bytes():
                return True
            case str(), str():
                return expected == data
            case dict(), str():
                value = read_json(data)
                if not isinstance(value, dict):
                    return False
                fits = matches(self._with_known_id(expected, value), value, exactly=False)
                if fits and value.get("type") in _OPENING:
                    self._name(expected, value)
                return fits
            case _:
                return False

    def _with_known_id(self, expected: dict[str, object], value: dict[str, object]) -> dict[str, object]:
        """Read the script's id as the client's: a new operation may be called anything."""
        match expected.get("id"):
            case str(name) if name in self._ids:
                return {**expected, "id": self._ids[name]}
            case str() if value.get("type") in _OPENING:
                return {**expected, "id": "..."}
            case _:
                return expected

    def _name(self, expected: dict[str, object], value: dict[str, object]) -> None:
        """Remember what the client calls an operation that the script has a name for."""
        self._operations += 1
        name = expected.get("id", "...")
        known = str(self._operations) if name == "..." else str(name)
        self._ids[known] = str(value.get("id"))

    def _translated(self, message: Mapping[str, object]) -> Mapping[str, object]:
        match message.get("id"):
            case str(name) if name in self._ids:
                return {**message, "id": self._ids[name]}
            case _:
                return message

    def _as_the_client_knows_it(self, data: str | bytes) -> str | bytes:
        """Translate the id of a transcript's line, and leave the line as it stands where there is none."""
        if not isinstance(self._script, Dialogue) or not isinstance(data, str):
            return data
        value = read_json(data)
        if not isinstance(value, dict):
            return data
        translated = self._translated(value)
        return data if translated == value else json.dumps(translated)


def _is_end(step: ExpectEnd, data: str | bytes | Close) -> bool:
    if not isinstance(data, Close):
        return False
    stem = None if step.reason is None else step.reason.removesuffix("...")
    right_reason = stem is None or (data.reason == stem if stem == step.reason else data.reason.startswith(stem))
    return right_reason and step.code in {None, data.code}


def _clip(text: str) -> str:
    """Cut what nobody reads to its end."""
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}... ({len(text)} characters)"


def _text(message: object) -> str:
    match message:
        case bytes():
            return "a binary frame"
        case str():
            return message
        case _:
            return json.dumps(message)
