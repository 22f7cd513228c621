"""Credentials that last about a second, and a subscription that does not notice: our server and the two of Node."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest

from gqlink.chat import ChatSettings, create_app
from gqlink.client import AccessToken, Client, HttpLink, PasswordLogin, WebSocketLink, is_subscription, split
from interop.chat_http import ADD_MESSAGE
from interop.harness import LEGACY, MODERN, NodeServer
from interop.own_stories import Window
from interop.prompt_server import serving_promptly
from interop.served_chat import copy_demo_data

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from gqlink.client import Event, Subscription

LIVE = "subscription { messageAdded { id text } }"
# A pause between two messages: fifty in a second.
PAUSE = 0.02
RENEWALS = 3
PATIENCE = 20.0


class _Message(msgspec.Struct):
    id: str
    text: str


class _Added(msgspec.Struct):
    messageAdded: _Message  # noqa: N815 -- the schema's name


def message_id(event: Event) -> str:
    """What tells the messages apart."""
    return msgspec.convert(event.data, _Added).messageAdded.id


async def texts(events: Subscription) -> list[str]:
    """Hear until the last one is said."""
    heard: list[str] = []
    async for event in events:
        assert not event.errors
        heard.append(msgspec.convert(event.data, _Added).messageAdded.text)
        if heard[-1] == "end":
            break
    return heard


async def say_until(client: Client, condition: Callable[[], bool]) -> list[str]:
    """Say one thing after the other; return all of it."""
    said: list[str] = []
    async with asyncio.timeout(PATIENCE):
        while not condition():
            said.append(str(len(said)))
            await client.execute(ADD_MESSAGE, {"text": said[-1]})
            await asyncio.sleep(PAUSE)
    # What a handover has doubled comes before the end: the overlap is over.
    await asyncio.sleep(0.5)
    await client.execute(ADD_MESSAGE, {"text": "end"})
    return [*said, "end"]


# --- Our server ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def short_lived_chat(data: Path) -> AsyncIterator[str]:
    """Serve our chat with tokens of a second and a half; yield its address."""
    app = create_app(ChatSettings(data_dir=data, demo=True, token_lifetime=1.5))
    async with serving_promptly(app) as authority:
        yield f"http://{authority}"


@pytest.mark.parametrize("subprotocol", [MODERN, LEGACY])
async def test_against_our_server_nothing_is_lost_doubled_or_reordered(
    demo_data: Path, tmp_path: Path, subprotocol: str
) -> None:
    """By ping on one socket, or from socket to socket in the legacy subprotocol; HTTP has the same token."""
    window = Window()
    async with short_lived_chat(copy_demo_data(demo_data, tmp_path / "data")) as base_url:
        account = PasswordLogin(base_url)
        await account.login("alice", "alice123")
        socket = WebSocketLink(
            base_url.replace("http", "ws") + "/graphql",
            auth=account,
            subprotocols=[subprotocol],
            overlap_seconds=0.3,
            on_state=window.on_state,
        )
        http = HttpLink(base_url + "/graphql", auth=account)
        async with Client(split(is_subscription, socket, http)) as client:
            async with client.subscribe(LIVE, key=message_id) as events:
                hearing = asyncio.ensure_future(texts(events))
                said = await say_until(client, lambda: socket.state.renewed >= RENEWALS)
                assert await asyncio.wait_for(hearing, PATIENCE) == said
            await account.logout()
    assert {state.phase.value for state in window.states} <= {"connecting", "live", "idle", "closed"}
    live = [state for state in window.states if state.phase == "live"]
    assert [state.renewed for state in live] == list(range(len(live)))
    assert {state.subject for state in live} == {"alice"}
    assert len({state.socket for state in live}) == (1 if subprotocol == MODERN else len(live))


# --- The servers of Node ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keyed", [True, False], ids=["with a key", "without a key"])
@pytest.mark.parametrize("subprotocol", [MODERN, LEGACY], ids=["graphql-ws", "subscriptions-transport-ws"])
async def test_against_the_servers_of_node_nothing_is_lost(subprotocol: str, *, keyed: bool) -> None:
    """They know nothing of us: a second socket each time. With a key nothing is doubled either."""
    async with NodeServer(subprotocol) as server:

        async def token() -> AccessToken:
            return AccessToken(await server.fresh_token("alice"), expires_in=1.0)

        bob = await server.fresh_token("bob")
        socket = WebSocketLink(server.url, auth=token, subprotocols=[subprotocol], overlap_seconds=0.3)
        http = HttpLink(f"{server.base_url}/graphql", headers={"authorization": f"Bearer {bob}"})
        async with (
            Client(split(is_subscription, socket, http)) as client,
            client.subscribe(LIVE, key=message_id if keyed else None) as events,
        ):
            await server.wait_listening()
            hearing = asyncio.ensure_future(texts(events))
            said = await say_until(client, lambda: socket.state.renewed >= RENEWALS)
            heard = await asyncio.wait_for(hearing, PATIENCE)
        assert server.sockets_opened > RENEWALS
    if keyed:
        assert heard == said
    else:
        assert sorted(set(heard), key=said.index) == said
        assert max(map(heard.count, heard)) <= 2
