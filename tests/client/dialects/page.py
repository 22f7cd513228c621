"""The tables of docs/reference/servers.md, made of the fixtures and of the tests that stand behind each cell.

`PYTHONPATH=tests python tests/client/dialects/page.py` writes them; a test compares.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from client.dialects.dialect import DIALECTS, LEGACY, MODERN, NO_EXPIRY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from client.dialects.dialect import Closing, Dialect

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "reference" / "servers.md"
Mark = Literal["live", "fixture", "not tested"]

_TABLE = re.compile(r"(<!-- servers: (\w+) -->\n)(?:.*\n)*?(<!-- end of table -->)")
_FIXTURES = "tests/client/test_dialects.py"
_PYTHON = "tests/interop/test_servers_python.py"
_NODE = "tests/interop/test_own_client_node.py"
_OURS = "tests/interop/test_own_client.py"
_REFUSED = "test_a_refused_credential_is_never_sent_twice"
_EXPIRED = "test_a_token_that_expires_is_replaced"
_RUN = "test_queries_and_subscriptions_run"


@dataclass(frozen=True)
class Cell:
    """What is known of one thing that one server does.

    Attributes:
        text: What the page says.
        mark: How it is known.
        evidence: The test behind it, `path::function`; "" where there is none.
    """

    text: str
    mark: Mark = "not tested"
    evidence: str = ""

    def __str__(self) -> str:
        return f"{self.text} ({self.mark})"


@dataclass(frozen=True)
class Row:
    """One server; where it has no cell of its own, its fixtures speak."""

    preset: str
    fixtures: tuple[str, ...] = ()
    cells: Mapping[str, Cell] | None = None


def live(text: str, path: str, function: str) -> Cell:
    """Return a cell that was tried with the server itself."""
    return Cell(text, "live", f"{path}::{function}")


def fixture(text: str, function: str) -> Cell:
    """Return a cell that was tried with a server of our own that does the same."""
    return Cell(text, "fixture", f"{_FIXTURES}::{function}")


CONNECTING = ("subprotocols", "preset", "a refusal is told by", "a login after it")
STAYING = ("an expiry is told by", "`ping` and `ka`", "a restart", "resume", "live frame", "renewal")

_FUNCTION_S7 = "test_s7_a_bad_token_is_refused_with_its_reason_and_nothing_is_executed"
_RESTART = "test_subscriptions_go_on_after_a_restart"
_LOGIN = "test_a_refused_login_is_told_and_another_one_is_let_in"
_RUN_LIVE = "test_queries_mutations_and_subscriptions_run"
_SECOND = "test_against_the_servers_of_node_nothing_is_lost"
_CURSORS = "test_who_was_away_hears_what_was_said_meanwhile"
_BOTH = f"`{MODERN}`, `{LEGACY}`"

ROWS: Mapping[str, Row] = {
    "gqlink": Row(
        "none is needed",
        cells={
            "subprotocols": live(_BOTH, _OURS, "test_offered_both_our_server_and_our_client_take_the_newer"),
            "preset": live('`{"accessToken": "<token>"}`', _OURS, _FUNCTION_S7),
            "a refusal is told by": live("4403 with the reason; legacy: `connection_error` first", _OURS, _FUNCTION_S7),
            "a login after it": live(
                "yes", "tests/interop/own_stories.py", "test_s9_a_token_source_brings_an_open_socket_along_by_itself"
            ),
            "an expiry is told by": live(
                "4403 `Token expired`",
                "tests/interop/test_expiry.py",
                "test_a_stock_client_comes_back_with_the_next_token",
            ),
            "`ping` and `ka`": Cell("nothing of the subprotocol"),
            "a restart": live(
                "after a cut",
                "tests/interop/own_stories.py",
                "test_s5_a_cut_connection_is_dialled_again_with_what_the_function_says_then",
            ),
            "resume": live("by cursor", "tests/server/test_resuming.py", _CURSORS),
            "live frame": live("yes", "tests/server/test_resuming.py", _CURSORS),
            "renewal": live(
                "by a ping; legacy: second socket",
                "tests/interop/test_renewal.py",
                "test_against_our_server_nothing_is_lost_doubled_or_reordered",
            ),
        },
    ),
    "graphql-ws 6 (Node)": Row(
        "presets.graphql_ws()",
        ("graphql-ws",),
        {
            "subprotocols": live(f"`{MODERN}`", _NODE, "test_a_mutation_waits_for_the_dialect_and_is_sent_once"),
            "a restart": live("goes on", "tests/interop/test_servers_node.py", _RESTART),
            "renewal": live("second socket", "tests/interop/test_renewal.py", _SECOND),
        },
    ),
    "subscriptions-transport-ws 0.11, Apollo Server 2": Row(
        "presets.apollo()",
        ("apollo-server-2",),
        {
            "subprotocols": live(
                f"`{LEGACY}`; takes the other and closes 1002",
                _NODE,
                "test_a_legacy_server_that_is_offered_both_is_understood",
            ),
            "a refusal is told by": live("`connection_error`, then 1011", _NODE, _FUNCTION_S7),
            "a restart": live("goes on", "tests/interop/test_servers_node.py", _RESTART),
            "renewal": live("second socket", "tests/interop/test_renewal.py", _SECOND),
        },
    ),
    "Strawberry 0.341": Row(
        "presets.strawberry()",
        ("strawberry", "strawberry-legacy"),
        {
            "subprotocols": live(_BOTH, _PYTHON, _RUN_LIVE),
            "preset": live("`presets.strawberry()`", _PYTHON, _LOGIN),
            "a refusal is told by": live("4403 `Forbidden`; legacy: `connection_error`, then 1011", _PYTHON, _LOGIN),
            "a login after it": live("yes", _PYTHON, _LOGIN),
            "a restart": live("goes on", _PYTHON, _RESTART),
        },
    ),
    "Ariadne 1.1": Row(
        "presets.bearer()",
        ("ariadne", "ariadne-legacy"),
        {
            "subprotocols": live("the one of its handler, whatever is offered", _PYTHON, _RUN_LIVE),
            "preset": live("`presets.bearer()`", _PYTHON, _LOGIN),
            "a refusal is told by": live("1000 without a word; legacy: `connection_error`, then 1000", _PYTHON, _LOGIN),
            "a login after it": live("yes", _PYTHON, _LOGIN),
            "a restart": live("goes on", _PYTHON, _RESTART),
        },
    ),
    "Hasura": Row("presets.hasura()", ("hasura", "hasura-legacy")),
    "gqlgen": Row("presets.gqlgen()", ("gqlgen", "gqlgen-legacy")),
    "Spring GraphQL": Row("presets.spring()", ("spring",)),
    "Directus": Row("presets.directus()", ("directus",)),
    "DjangoChannelsGraphqlWs": Row("presets.bearer()", ("django-channels", "django-channels-legacy")),
}


def cell(row: Row, feature: str) -> Cell:
    """Return what is known: what the row says, or its fixtures."""
    if row.cells and feature in row.cells:
        return row.cells[feature]
    return _BY_FIXTURE[feature](row, [DIALECTS[name] for name in row.fixtures])


def _subprotocols(_row: Row, dialects: list[Dialect]) -> Cell:
    names = dict.fromkeys(name for dialect in dialects for name in dialect.subprotocols)
    return fixture(", ".join(f"`{name}`" for name in names), _RUN)


def _refusal(_row: Row, dialects: list[Dialect]) -> Cell:
    return fixture(_told(refusal for dialect in dialects for refusal in dialect.refusals), _REFUSED)


def _expiry(_row: Row, dialects: list[Dialect]) -> Cell:
    own = [dialect.expiry for dialect in dialects if dialect.expiry != NO_EXPIRY]
    return fixture(_told(iter(own)) if own else "its application; tried with 1000", _EXPIRED)


def _signs(_row: Row, dialects: list[Dialect]) -> Cell:
    said = dict.fromkeys(word for row in dialects for texts in row.greetings.values() for word in _types(texts))
    return fixture(f"{', '.join(said)} before the ack", _RUN) if said else Cell("nothing known")


_BY_FIXTURE: Mapping[str, Callable[[Row, list[Dialect]], Cell]] = {
    "subprotocols": _subprotocols,
    "preset": lambda row, _: fixture(f"`{row.preset}`", _RUN),
    "a refusal is told by": _refusal,
    "a login after it": lambda *_: fixture("yes", "test_who_logs_in_after_a_refusal_is_let_in"),
    "an expiry is told by": _expiry,
    "`ping` and `ka`": _signs,
    "a restart": lambda *_: fixture("goes on", "test_subscriptions_go_on_after_a_restart"),
    "resume": lambda *_: Cell("none"),
    "live frame": lambda *_: Cell("none"),
    "renewal": lambda *_: fixture("second socket", "test_a_token_is_renewed_by_a_second_socket"),
}


def refreshed(page: str) -> str:
    """Return the page with its tables as they should be."""
    features = {"connecting": CONNECTING, "staying": STAYING}
    return _TABLE.sub(lambda found: found[1] + "\n".join(_table(features[found[2]])) + "\n" + found[3], page)


def _table(features: tuple[str, ...]) -> Iterator[str]:
    yield f"| server | {' | '.join(features)} |"
    yield "|---" * (len(features) + 1) + "|"
    for server, row in ROWS.items():
        yield f"| {server} | {' | '.join(str(cell(row, feature)) for feature in features)} |"


def _told(closings: Iterator[Closing]) -> str:
    return "; or ".join(dict.fromkeys(_one(closing) for closing in closings))


def _one(closing: Closing) -> str:
    said = ", ".join(_types(closing.texts))
    reason = "" if not closing.reason else " and its reason"
    code = "no close" if closing.code is None else f"{closing.code}{reason}"
    return f"{said}, then {code}" if said else code


def _types(texts: tuple[str, ...]) -> list[str]:
    return [f"`{found}`" for text in texts for found in re.findall(r'"type": "(\w+)"', text)]


def main() -> None:
    """Write the tables."""
    PAGE.write_text(refreshed(PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
