"""The audits of npm's graphql-http, which read the GraphQL over HTTP specification, against our server and our chat.

Four of the audits need an answer to `__type`, so both servers are in a setting that gives one: `playground=True`, with
`debug` off as in production. Without it those four, and no others, meet a schema that is not told.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

import msgspec
import pytest
import pytest_asyncio

from gqlink.chat import ChatSettings, create_app
from interop.forging import TokenMint
from interop.node import NPM_PACKAGES, find_toolchain
from interop.served_chat import copy_demo_data
from server.world import World
from serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

WITHIN: Final = 90.0
SERVERS: Final = ("application", "chat")
IDENTITIES: Final = ("anonymous", "logged in")
NEED_A_TYPE: Final = {"2EA1", "28B9", "D6D5", "6A70"}
AUDITS: Final = (
    *("22EB", "4655", "47DE", "80D8", "82A3", "BF61", "78D5", "2C94", "5A70", "9C48", "9ABE", "03D4", "A5BF", "423L"),
    *("LKJ0", "LKJ1", "LKJ2", "LKJ3", "34A2", "13EE", "6C00", "6C01", "6C02", "6C03", "8161", "B8B3"),
    *("94B0", "0220", "94B1", "0221", "94B2", "0222", "4760", "4761", "4762", "4763", "2EA1", "28B9", "D6D5", "6A70"),
    *("58B0", "58B1", "58B2", "58B3", "428F", "1B7A", "B6DC", "BCF8", "B7N8", "8764", "3E3A", "572B", "FDE2", "7B9B"),
    *("865D", "556A", "D586", "51FE", "74FF", "5E5B", "86EE"),
)


class Verdict(msgspec.Struct, frozen=True):
    """What one audit found: "ok"; or else "notice" for a MAY, "warn" for a SHOULD, "error" for a MUST."""

    id: str
    name: str
    status: str
    reason: str | None


async def audit(url: str, *, token: str | None) -> Mapping[str, Verdict]:
    """Run every audit, as whoever the token stands for."""
    process = await asyncio.create_subprocess_exec(
        find_toolchain().node,
        "audits_graphql_http.mjs",
        url,
        cwd=NPM_PACKAGES / "modern",
        env={name: value for name, value in os.environ.items() if name != "GQLINK_TOKEN"}
        | ({} if token is None else {"GQLINK_TOKEN": token}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), WITHIN)
    assert process.returncode == 0, err.decode()
    verdicts = [msgspec.json.decode(line, type=Verdict) for line in out.splitlines()]
    return {verdict.id: verdict for verdict in verdicts}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def found(
    demo_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Mapping[tuple[str, str], Mapping[str, Verdict]]]:
    """All verdicts, by server and identity; each server is audited once as nobody, and once as alice."""
    data = copy_demo_data(demo_data, tmp_path_factory.mktemp("audited") / "data")
    chat = create_app(ChatSettings(data_dir=data, demo=True, playground=True))
    alice = {"application": "alice", "chat": TokenMint(data).genuine("alice")}
    async with AsyncExitStack() as stack:
        authorities = {
            "application": await stack.enter_async_context(serving(World().app(playground=True))),
            "chat": await stack.enter_async_context(serving(chat)),
        }
        yield {
            (server, identity): await audit(f"http://{authority}/graphql", token=token)
            for server, authority in authorities.items()
            for identity, token in zip(IDENTITIES, (None, alice[server]), strict=True)
        }


@pytest.mark.parametrize("identity", IDENTITIES)
@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("id_", AUDITS)
def test_the_server_passes(
    found: Mapping[tuple[str, str], Mapping[str, Verdict]], id_: str, server: str, identity: str
) -> None:
    """What the specification says MUST, SHOULD and MAY be, is; whether or not somebody is logged in."""
    verdict = found[server, identity][id_]
    assert verdict.status == "ok", f"{verdict.name}: {verdict.reason}"


def test_there_are_61_audits_and_each_is_asked_of_everybody(
    found: Mapping[tuple[str, str], Mapping[str, Verdict]],
) -> None:
    """One that a new version of the package adds, or takes away, is noticed."""
    assert len(AUDITS) == len(set(AUDITS)) == 61
    assert [where for where, verdicts in found.items() if set(verdicts) != set(AUDITS)] == []
    assert len(found) == len(SERVERS) * len(IDENTITIES)


async def test_in_production_only_what_asks_for_the_schema_is_refused() -> None:
    """Without introspection 57 audits are passed, and the other four are those that need an answer to `__type`."""
    async with serving(World().app()) as authority:
        verdicts = await audit(f"http://{authority}/graphql", token=None)
    assert {verdict.id for verdict in verdicts.values() if verdict.status != "ok"} == NEED_A_TYPE
    assert len(verdicts) == 61


async def test_an_audit_can_fail() -> None:
    """Whoever has a bad token passes none that wants an answer: the token is sent, and verdicts are told apart."""
    async with serving(World().app(playground=True)) as authority:
        verdicts = await audit(f"http://{authority}/graphql", token="bad")
    assert verdicts["2C94"].status == "error"
    assert "status code is not 200" in (verdicts["2C94"].reason or "")
