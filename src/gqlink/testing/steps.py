"""What a scripted server does and expects, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, final

from gqlink.protocol import Close, Side
from gqlink.testing.transcripts import CloseLine, Dialogue, FrameLine, WaitLine

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = (
    "Refusal",
    "Script",
    "Step",
    "close",
    "drop",
    "expect",
    "expect_end",
    "numbered",
    "raw",
    "refuse",
    "send",
    "wait_for",
)

BROKEN: Final = 1006
_BINARY: Final = b"\x00\x01"


class Awaited(Protocol):
    """Something to wait for, such as an `asyncio.Event`."""

    async def wait(self) -> object:
        """Return when it has happened."""


@final
@dataclass(frozen=True, slots=True)
class Expect:
    """The client says this: JSON, a text that is no JSON, or any binary frame where it is bytes."""

    message: object


@final
@dataclass(frozen=True, slots=True)
class ExpectEnd:
    """The client closes with this code and reason, or breaks off (1006); None stands for any."""

    code: int | None
    reason: str | None


@final
@dataclass(frozen=True, slots=True)
class Send:
    """The server says this message."""

    message: Mapping[str, object]


@final
@dataclass(frozen=True, slots=True)
class Raw:
    """The server says a frame as it stands: text, or binary where it is bytes."""

    data: str | bytes


@final
@dataclass(frozen=True, slots=True)
class End:
    """The server closes, or breaks off (1006)."""

    close: Close


@final
@dataclass(frozen=True, slots=True)
class Wait:
    """The server says nothing until something has happened, or for so many seconds."""

    until: Awaited | float


@final
@dataclass(frozen=True, slots=True)
class Refusal:
    """A whole script: the upgrade is answered with another HTTP status than 101.

    Args:
        status: Such as 503.
        headers: Further ones, such as {"Retry-After": "1"}.
        body: Of the answer.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


Step: TypeAlias = Expect | ExpectEnd | Send | Raw | End | Wait
Script: TypeAlias = Sequence[Step] | Dialogue | Refusal
"""What one connection is about: steps, a transcript's dialogue, or a refusal."""


def expect(message: Mapping[str, object] | str | bytes | None = None, /, **members: object) -> Step:
    """Expect that the client says something.

    Args:
        message: A JSON object of which the client's must have all members, at any depth; the string "..." stands for
            any value. A string is expected literally; bytes stand for any binary frame.
        members: Further members: `expect(type="ping")`.
    """
    return Expect(message if isinstance(message, (str, bytes)) else {**(message or {}), **members})


def expect_end(code: int | None = None, reason: str | None = None) -> Step:
    """Expect that the client goes.

    Args:
        code: Its close code; 1006 where it breaks off, 1005 where it gives none; None for any.
        reason: Its close reason; one that ends in "..." is the beginning of it; None for any.
    """
    return ExpectEnd(code, reason)


def send(message: Mapping[str, object]) -> Step:
    """Say a message.

    Args:
        message: JSON. Its `id` is that of the script: "1" is the client's first operation, whatever the client
            calls it, "2" the second, unless the script expected other names of them.
    """
    return Send(message)


def raw(data: str | bytes) -> Step:
    """Say a text frame as it stands, or a binary one where it is bytes."""
    return Raw(data)


def close(code: int = 1000, reason: str = "") -> Step:
    """Close.

    Args:
        code: Of the close frame; 1005 for one without a code.
        reason: At most 123 bytes.
    """
    return End(Close(code, reason))


def drop() -> Step:
    """Break the connection off without a close frame."""
    return End(Close(BROKEN, ""))


def wait_for(until: Awaited | float) -> Step:
    """Say nothing for a while; what the client says meanwhile is looked at afterwards.

    Args:
        until: An `asyncio.Event` or the like; or real seconds.
    """
    return Wait(until)


def refuse(status: int, *, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Refusal:
    """Answer the upgrade with another status than 101; this is a whole script.

    Args:
        status: Such as 401 or 503.
        headers: Further ones, such as {"Retry-After": "1"}.
        body: Of the answer.
    """
    return Refusal(status, headers or {}, body)


def numbered(script: Sequence[Step] | Dialogue) -> Iterator[tuple[str, Step]]:
    """Go through the steps of a script, each with where it stands."""
    if isinstance(script, Dialogue):
        for line in script.lines:
            yield f"{script.name}, line {line.number}", _step(line)
    else:
        for number, step in enumerate(script, 1):
            yield f"step {number} of {len(script)}", step


def _step(line: FrameLine | CloseLine | WaitLine) -> Step:
    match line:
        case WaitLine(seconds=seconds):
            return Wait(seconds)
        case CloseLine(speaker=Side.CLIENT):
            return ExpectEnd(line.code, line.reason)
        case CloseLine():
            return End(Close(line.code, line.reason.removesuffix("...")))
        case FrameLine(speaker=Side.CLIENT):
            return Expect(_BINARY if line.text is None else line.text if line.value is None else line.value)
        case FrameLine():
            return Raw(_BINARY if line.text is None else line.text)
