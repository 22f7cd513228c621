"""Write the tables of docs/reference/wire.md from the code, so that the page cannot say anything else.

    python tools/wire_tables.py           say whether the page is up to date
    python tools/wire_tables.py --write   bring it up to date

A table stands between `<!-- table: name -->` and `<!-- end of table -->`; the names are the keys of `TABLES`.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gqlink.protocol import CLOSINGS, LEGACY, TRANSPORT_WS, CloseCode, ConnectionLimits, Dialect, Kind, Phase, Side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "reference" / "wire.md"
_PHASES: Final = (Phase.OPENED, Phase.INITIALISED, Phase.ACKNOWLEDGED)

Example = tuple[str, dict[str, object]]
_REQUEST: Final[dict[str, object]] = {"query": "subscription { messageAdded { text } }"}
_RESULT: Final[dict[str, object]] = {"data": {"messageAdded": {"text": "hello"}}}
_ERROR: Final[dict[str, object]] = {"message": "You must be logged in to do this."}

# What the payload is in words, and the members of an example beside `type`.
PAYLOADS: Final[Mapping[tuple[Side, Kind], Example]] = {
    (Side.CLIENT, Kind.CONNECTION_INIT): ("parameters: an object, null or none", {"payload": {"accessToken": "…"}}),
    (Side.CLIENT, Kind.CONNECTION_TERMINATE): ("none", {}),
    (Side.CLIENT, Kind.PING): ("an object, null or none", {}),
    (Side.CLIENT, Kind.PONG): ("an object, null or none", {}),
    (Side.CLIENT, Kind.SUBSCRIBE): (
        "`query`, and if wanted `variables`, `operationName`, `extensions`",
        {"id": "1", "payload": _REQUEST},
    ),
    (Side.CLIENT, Kind.COMPLETE): ("none", {"id": "1"}),
    (Side.SERVER, Kind.CONNECTION_ACK): (
        "an object, null or none; ours is under [Additions](#additions)",
        {"payload": {"gqlink": {"version": 1, "subject": "alice", "expiresIn": 840, "renewal": "ping"}}},
    ),
    (Side.SERVER, Kind.CONNECTION_ERROR): ("an object with a `message`", {"payload": {"message": "Token invalid"}}),
    (Side.SERVER, Kind.KEEP_ALIVE): ("none", {}),
    (Side.SERVER, Kind.PING): ("an object, null or none", {}),
    (Side.SERVER, Kind.PONG): ("that of the ping; none where it held an addition of ours", {}),
    (Side.SERVER, Kind.NEXT): ("an execution result: `data`, `errors`, `extensions`", {"id": "1", "payload": _RESULT}),
    (Side.SERVER, Kind.ERROR): ("a list of errors", {"id": "1", "payload": [_ERROR]}),
    (Side.SERVER, Kind.COMPLETE): ("none", {"id": "1"}),
}
_LEGACY: Final[Mapping[Kind, Example]] = {
    Kind.ERROR: ("one error; several are in its `errors`", {"id": "1", "payload": _ERROR}),
    Kind.CONNECTION_ACK: (
        "an object, null or none; ours is under [Additions](#additions)",
        {"payload": {"gqlink": {"version": 1, "subject": "alice", "expiresIn": 840, "renewal": None}}},
    ),
}
"""What differs where there is no ping, and an `error` holds no list."""
BOUNDS: Final[Mapping[str, str]] = {
    "init_seconds": "from the handshake to the acknowledgement, authentication included: 4408",
    "message_bytes": "a message; also all operations held before the acknowledgement together: 1009",
    "operation_id_bytes": "an operation's id: 4400",
    "operations": "live operations: `error` with `LIMIT_EXCEEDED`; held ones: 1009",
    "nesting": "levels of a message: `error` with `BAD_USER_INPUT`",
}


def messages(dialect: Dialect) -> Iterator[str]:
    """Yield the rows of one dialect's messages."""
    yield "| type | direction | legal when | otherwise | payload | example |"
    yield "|---|---|---|---|---|---|"
    for (side, kind), word in dialect.types.items():
        payload, _ = described(dialect, side, kind)
        direction = "client → server" if side is Side.CLIENT else "server → client"
        text = f"`{json.dumps(example(dialect, side, kind), ensure_ascii=False)}`"
        legal, illegal = _legal(dialect, side, kind), _illegal(dialect, side, kind)
        yield f"| `{word}` | {direction} | {legal} | {illegal} | {payload} | {text} |"


def example(dialect: Dialect, side: Side, kind: Kind) -> dict[str, object]:
    """Return one message as it stands on the wire."""
    members = dict(described(dialect, side, kind)[1])
    operation_id = {"id": members.pop("id")} if "id" in members else {}
    return {**operation_id, "type": dialect.types[side, kind], **members}


def described(dialect: Dialect, side: Side, kind: Kind) -> Example:
    """Return what the payload of a message is, and an example's members."""
    return _LEGACY.get(kind, PAYLOADS[side, kind]) if dialect is LEGACY else PAYLOADS[side, kind]


def _legal(dialect: Dialect, side: Side, kind: Kind) -> str:
    phases = [phase for phase in _PHASES if not _fault(dialect, phase, side, kind)]
    held = (Phase.INITIALISED, side, kind) in dialect.exceptions
    return ", ".join(f"{phase} (held)" if held and phase is Phase.INITIALISED else phase for phase in phases)


def _illegal(dialect: Dialect, side: Side, kind: Kind) -> str:
    codes = [_fault(dialect, phase, side, kind) for phase in _PHASES]
    return ", ".join(sorted({f"{code.value}" for code in codes if code})) or "-"


def _fault(dialect: Dialect, phase: Phase, side: Side, kind: Kind) -> CloseCode | None:
    """Return the code that a message is punished with; 1000 is none, but what it asks for."""
    then = dialect.advance(phase, side, kind)
    return then if isinstance(then, CloseCode) and then is not CloseCode.NORMAL else None


def closings() -> Iterator[str]:
    """Yield the rows of the close codes."""
    yield "| code | reason | when | our client, before the ack | after it |"
    yield "|---|---|---|---|---|"
    for row in CLOSINGS:
        reason = f"`{row.reason}`" if row.reason else "any"
        yield f"| {row.code.value} | {reason} | {row.meaning} | {row.before_ack} | {row.after_ack} |"


def bounds() -> Iterator[str]:
    """Yield the rows of the bounds."""
    yield "| bound | default | of what, and what happens beyond it |"
    yield "|---|---|---|"
    for field in dataclasses.fields(ConnectionLimits):
        yield f"| `{field.name}` | {field.default:,} | {BOUNDS[field.name]} |"


TABLES: Final[Mapping[str, Callable[[], Iterator[str]]]] = {
    "messages of graphql-transport-ws": partial(messages, TRANSPORT_WS),
    "messages of graphql-ws": partial(messages, LEGACY),
    "close codes": closings,
    "bounds": bounds,
}
_TABLE: Final = re.compile(r"(<!-- table: (.+) -->\n)(?:.*\n)*?(<!-- end of table -->)")


def refreshed(page: str) -> str:
    """Return the page with its tables as the code has them."""
    return _TABLE.sub(lambda found: found[1] + "\n".join(TABLES[found[2]]()) + "\n" + found[3], page)


def names(page: str) -> list[str]:
    """Return which tables the page has."""
    return [found[2] for found in _TABLE.finditer(page)]


def main() -> int:
    """Check or write; the status says whether the page was up to date."""
    page = PAGE.read_text("utf-8")
    wanted = refreshed(page)
    if "--write" in sys.argv[1:]:
        PAGE.write_text(wanted, "utf-8")
        return 0
    print("up to date" if page == wanted else f"{PAGE.name} is out of date: run this with --write")
    return int(page != wanted)


if __name__ == "__main__":
    sys.exit(main())
