"""The opening handshake of nearly every client, read in one go; whatever is unusual in it is left to `websockets`.

uvicorn's HTTP protocol has parsed the head already, and hands it on as text, which `websockets` parses again, field by
field; a server that ten thousand clients come back to after a restart has something better to do. What is read here is
only what `websockets` would accept without a word, with the same outcome. A test compares the two.

Source: RFC 6455, sections 4.1 and 4.2.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from websockets.utils import accept_key

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ("Opening", "opening_answer", "read_opening")

# `websockets` takes 128 fields of 8 KiB each; what is longer than this in all is looked at there.
_MOST_BYTES: Final = 4096
_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_VISIBLE: Final = rb"[\x21-\x7e\x80-\xff]"
_HEAD: Final = re.compile(
    rb"GET (?P<target>/[\x21-\x7e]*) HTTP/1\.1\r\n"
    rb"(?P<fields>(?:" + _TOKEN + rb": ?" + _VISIBLE + rb"(?:[\x20-\x7e\x80-\xff]*" + _VISIBLE + rb")?\r\n){5,64})\r\n"
)
_KEY: Final = re.compile(rb"[A-Za-z0-9+/]{21}[AQgw]==")  # 16 bytes, written in the one right way
_SUBPROTOCOLS: Final = re.compile(_TOKEN + rb"(?:, ?" + _TOKEN + rb")*")
_CONNECTIONS: Final = frozenset({b"upgrade", b"keep-alive, upgrade"})
# With a body, or with a field that belongs into an answer.
_UNUSUAL: Final = frozenset({b"content-length", b"transfer-encoding", b"sec-websocket-accept"})
_ONCE: Final = frozenset(
    {
        b"host",
        b"origin",
        b"upgrade",
        b"connection",
        b"sec-websocket-key",
        b"sec-websocket-version",
        b"sec-websocket-protocol",
    }
)


class Opening(NamedTuple):
    """A handshake that may be accepted.

    Args:
        head: All of it, as it came.
        path: Still quoted.
        query: What stands behind the question mark.
        fields: Each name in lower case, and its value.
        subprotocols: What the client speaks, in its order.
        key: The client's `Sec-WebSocket-Key`.
    """

    head: bytes
    path: bytes
    query: bytes
    fields: list[tuple[bytes, bytes]]
    subprotocols: list[str]
    key: bytes


def read_opening(head: bytes) -> Opening | None:
    """Read a head; None where `websockets` has to have a look at it.

    Args:
        head: From the request line to the empty line, and nothing else.
    """
    found = _HEAD.fullmatch(head) if len(head) <= _MOST_BYTES else None
    if found is None:
        return None
    fields: list[tuple[bytes, bytes]] = []
    once: dict[bytes, bytes] = {}
    for line in found["fields"].split(b"\r\n")[:-1]:
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.lstrip(b" ")
        if name in _UNUSUAL or name in once:
            return None
        if name in _ONCE:
            once[name] = value
        fields.append((name, value))
    subprotocols = once.get(b"sec-websocket-protocol")
    if (
        once.get(b"upgrade", b"").lower() != b"websocket"
        or once.get(b"connection", b"").lower() not in _CONNECTIONS
        or once.get(b"sec-websocket-version") != b"13"
        or _KEY.fullmatch(once.get(b"sec-websocket-key", b"")) is None
        or (subprotocols is not None and _SUBPROTOCOLS.fullmatch(subprotocols) is None)
    ):
        return None
    offered = [] if subprotocols is None else [each.strip() for each in subprotocols.decode().split(",")]
    path, _, query = found["target"].partition(b"?")
    return Opening(head, path, query, fields, offered, once[b"sec-websocket-key"])


def opening_answer(opening: Opening, *, fields: Iterable[tuple[bytes, bytes]], subprotocol: str | None) -> bytes:
    """Return what a client is told whose handshake is accepted.

    Args:
        opening: What it has said.
        fields: What else every answer of the server's says.
        subprotocol: The one that was chosen.
    """
    lines = [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
        accept_key(opening.key.decode()).encode(),
        b"\r\n",
        *(name + b": " + value + b"\r\n" for name, value in fields),
    ]
    if subprotocol:
        lines.append(f"Sec-WebSocket-Protocol: {subprotocol}\r\n".encode("latin-1"))
    lines.append(b"\r\n")
    return b"".join(lines)
