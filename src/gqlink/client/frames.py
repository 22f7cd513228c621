"""The frames of a socket as a person may see them."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from gqlink.protocol import describe_token, redact, redact_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gqlink.client.clock import Clock

__all__ = ("Direction", "FrameWatcher", "OnFrame", "Secrets", "SocketFrame", "conceal", "find_secrets")

Direction: TypeAlias = Literal["sent", "received"]

# Shorter texts in a payload say something else, such as a room or a locale, and stand in other frames too.
_CREDENTIAL_CHARACTERS: Final = 8
# Each costs memory, and time with every frame; a server that repeats a token does so soon.
_RENEWALS_REMEMBERED: Final = 8

_log: Final = logging.getLogger("gqlink.client")


@dataclass(frozen=True, slots=True)
class SocketFrame:
    """One frame, every token in it described and none shown.

    Args:
        direction: Who spoke: "sent" is ours.
        at: Seconds of the monotonic clock.
        time: Seconds since the Unix epoch.
        socket: The socket's number, counted from 1 for each link.
        type: The message's type on the wire; "open" for the handshake, "close" for a close frame or a loss (1006),
            "text" for what is no message, "binary" for what no subprotocol knows.
        id: The operation's id, where the message has one.
        payload: The message's payload; of "open" {"subprotocol": str}, of "close" {"code": int, "reason": str}.
    """

    direction: Direction
    at: float
    time: float
    socket: int
    type: str
    id: str | None = None
    payload: object = None


OnFrame: TypeAlias = "Callable[[SocketFrame], object]"


class Secrets:
    """The texts that may not be shown of one socket: what it presented first, and with its last eight renewals.

    Args:
        first: What it presented first.
    """

    def __init__(self, first: frozenset[str]) -> None:
        self._first = first
        self._renewals: deque[frozenset[str]] = deque(maxlen=_RENEWALS_REMEMBERED)
        self.known = first

    def add(self, secrets: frozenset[str]) -> None:
        """Take note of those of another renewal."""
        self._renewals.append(secrets)
        self.known = self._first.union(*self._renewals)


class FrameWatcher:
    """Shows one socket's frames to a hook, which can do no harm by raising.

    Args:
        hook: The user's `on_frame`.
        socket: The socket's number.
        clock: Tells the times.
        secrets: What this socket presents and may not be shown, also where no name gives it away.
    """

    def __init__(self, hook: OnFrame, *, socket: int, clock: Clock, secrets: frozenset[str]) -> None:
        self._hook = hook
        self._socket = socket
        self._clock = clock
        self._secrets = Secrets(secrets)

    def conceal(self, secrets: frozenset[str]) -> None:
        """Take note of further texts that may not be shown: those of a renewal."""
        self._secrets.add(secrets)

    def text(self, direction: Direction, data: bytes) -> None:
        """Show a text frame."""
        match hide(redact_text(data), self._secrets.known):
            case {"type": str(kind), **members}:
                identifier = members.get("id")
                self._show(direction, kind, members.get("payload"), None if identifier is None else str(identifier))
            case other:
                self._show(direction, "text", other)

    def opened(self, subprotocol: str) -> None:
        """Show that the handshake is done."""
        self._show("received", "open", {"subprotocol": subprotocol})

    def closed(self, direction: Direction, code: int, reason: str) -> None:
        """Show a close frame, or that the connection broke without one."""
        self._show(direction, "close", {"code": code, "reason": conceal(reason, self._secrets.known)})

    def binary(self, size: int) -> None:
        """Show that a binary frame came."""
        self._show("received", "binary", f"{size} bytes")

    def _show(self, direction: Direction, kind: str, payload: object, identifier: str | None = None) -> None:
        now, wall = self._clock.now(), self._clock.wall()
        try:
            self._hook(SocketFrame(direction, now, wall, self._socket, kind, identifier, payload))
        except Exception:  # noqa: BLE001 -- the user's hook may raise anything
            _log.exception("on_frame raised; the frame itself is not affected")


def find_secrets(value: object) -> frozenset[str]:
    """Return the texts in what a connection presents that may not be shown, with and without their scheme.

    What stands under a name that gives it away, and whatever else is long enough to be a credential.
    """
    named = _differences(value, redact(value))
    others = _differences(value, redact(value, name="secret"))
    return frozenset(named) | {text for text in others if len(text) >= _CREDENTIAL_CHARACTERS}


def conceal(value: object, secrets: frozenset[str]) -> object:
    """Redact a JSON value, known secrets wherever they stand, under whatever name."""
    return hide(redact(value), secrets)


def hide(value: object, secrets: frozenset[str]) -> object:
    """Replace known secrets in a JSON value that is redacted already: a description must not be described again."""
    return _replace(value, sorted(secrets, key=len, reverse=True))


def _differences(plain: object, redacted: object) -> Iterator[str]:
    match plain, redacted:
        case dict(), dict():
            for before, after in zip(plain.values(), redacted.values(), strict=True):
                yield from _differences(before, after)
        case list(), list():
            for before, after in zip(plain, redacted, strict=True):
                yield from _differences(before, after)
        case str(), str() if plain != redacted:
            yield plain
            yield plain.rpartition(" ")[2]


def _replace(value: object, secrets: list[str]) -> object:
    match value:
        case str():
            for secret in secrets:
                value = value.replace(secret, describe_token(secret))
            return value
        case list():
            return [_replace(item, secrets) for item in value]
        case dict():
            return {key: _replace(item, secrets) for key, item in value.items()}
        case _:
            return value
