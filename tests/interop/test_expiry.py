"""Tokens that end while a stock client listens: it comes back with the next one, once, and never loops."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import pytest

from gqlink.auth import TokenSigner
from gqlink.chat.app import ISSUER
from gqlink.chat.data import KEYS_FILE
from gqlink.chat.keys import load_signing_keys
from gqlink.server import GraphQLApp
from gqlink.testing import FakeClock
from interop.harness import DRIVERS, LEGACY, MODERN, Driver, StockClient, fingerprint
from interop.served_chat import copy_demo_data, serve_chat

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from interop.served_chat import ServedChat

LIVE = "subscription { messageAdded { from text } }"
EXPIRED = (4403, "Token expired")
MODERN_DRIVERS = [driver for driver in DRIVERS.values() if driver.subprotocol == MODERN]
ONE_OF_EACH = [DRIVERS["graphql-ws-6"], DRIVERS["stw-0.11"]]


class TimedChat:
    """A chat whose server's clock stands still until a story turns it, and tokens of any length.

    Args:
        chat: As other stories have it.
        clock: The server's.
        data_dir: Where its signing keys are.
    """

    def __init__(self, chat: ServedChat, *, clock: FakeClock, data_dir: Path) -> None:
        self.chat = chat
        self.clock = clock
        self._listeners_before = chat.listeners
        self._keys = load_signing_keys(data_dir / KEYS_FILE)

    @property
    def listeners(self) -> int:
        """How many subscriptions have begun to listen since."""
        return self.chat.listeners - self._listeners_before

    def token(self, *, seconds: float) -> str:
        """A token of alice's that was issued just now, on the machine's clock."""
        signer = TokenSigner(self._keys, issuer=ISSUER, audience=ISSUER, lifetime=seconds)
        return signer.issue("alice", now=time.time()).reveal()


@pytest.fixture
async def timed(demo_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TimedChat]:
    """Our chat; its sockets live by the story's clock, its tokens are verified by the machine's."""
    clock = FakeClock(wall=time.time())
    monkeypatch.setattr("gqlink.chat.app.GraphQLApp", partial(GraphQLApp, clock=clock))
    data_dir = copy_demo_data(demo_data, tmp_path / "data")
    async with serve_chat(data_dir, monkeypatch=monkeypatch) as chat:
        await settle(chat)
        yield TimedChat(chat, clock=clock, data_dir=data_dir)


async def settle(chat: ServedChat) -> None:
    """Ask for anything once: from then on the server listens to other nodes, and what is counted are subscriptions."""
    await chat.http.texts(token=chat.token("bob"))
    chat._watch.expected = chat.listeners


async def expect_expiry(client: StockClient, *, socket: int) -> None:
    """See a socket end as each subprotocol has it."""
    end = await client.wait_for("closed", socket=socket)
    assert (end.code, end.reason) == EXPIRED
    if client.driver.subprotocol == LEGACY:
        told = client.seen("refused", socket=socket)
        assert [msgspec.json.decode(each.reason or "") for each in told] == [{"message": "Token expired"}]


async def test_a_stock_client_comes_back_with_the_next_token(stock_client: StockClient, timed: TimedChat) -> None:
    """Three tokens end, four sockets have been there, and the subscription has heard everything that was said."""
    chat = timed.chat
    tokens = [timed.token(seconds=25.0 * number) for number in (1, 2, 3, 4)]  # all within a demo token's life
    writer = chat.token("bob")
    await stock_client.create(chat.url)
    stock_client.set_token(tokens[0])
    stock_client.subscribe("live", LIVE)
    for socket, following in enumerate([*tokens[1:], None], start=1):
        await chat.wait_listening()
        await chat.http.say(f"to socket {socket}", token=writer)
        assert (await stock_client.outcome("live")).data == {
            "messageAdded": {"from": "bob", "text": f"to socket {socket}"}
        }
        if following is not None:
            stock_client.set_token(following)
            timed.clock.advance(26)
            await expect_expiry(stock_client, socket=socket)

    assert [call.token for call in stock_client.seen("params_called")] == [fingerprint(token) for token in tokens]
    assert chat.sockets_opened == len(chat.seen("acknowledged")) == timed.listeners == 4
    assert [(event.code, event.reason) for event in chat.seen("closed")] == [EXPIRED] * 3
    assert len(stock_client.seen("next", id="live")) == 4


@pytest.mark.parametrize("driver", MODERN_DRIVERS, ids=lambda driver: driver.name)
async def test_a_stock_client_without_another_token_gives_up(stock_client: StockClient, timed: TimedChat) -> None:
    """Five times refused at the door it tells its user; the legacy clients go on, in growing intervals."""
    chat = timed.chat
    await stock_client.create(chat.url)
    stock_client.set_token(timed.token(seconds=100))
    stock_client.subscribe("live", LIVE)
    await chat.wait_listening()
    timed.clock.advance(110)
    error = await stock_client.outcome("live")
    assert "4403 Token expired" in f"{error.code} {error.reason}"
    assert (chat.sockets_opened, len(chat.seen("acknowledged")), timed.listeners) == (6, 1, 1)
    assert [(event.code, event.reason) for event in chat.seen("refused")] == [EXPIRED] * 6


@pytest.mark.parametrize("driver", ONE_OF_EACH, ids=lambda driver: driver.name)
async def test_a_second_on_the_machines_clock_is_a_second(driver: Driver, chat: ServedChat, tmp_path: Path) -> None:
    """With real timers: the token of one second ends, or has ended before it was looked at; the next one holds."""
    signer = TokenSigner(load_signing_keys(tmp_path / "data" / KEYS_FILE), issuer=ISSUER, audience=ISSUER, lifetime=1.0)
    await settle(chat)
    async with StockClient(driver) as client:
        await client.create(chat.url)
        client.set_token(signer.issue("alice", now=time.time()).reveal())
        client.subscribe("live", LIVE)
        await client.wait_for("sent", type="connection_init")
        client.set_token(chat.token("alice"))
        await expect_expiry(client, socket=1)
        await chat.wait_for("acknowledged", socket=2)
        for _ in chat.seen("acknowledged"):
            await chat.wait_listening()
        await chat.http.say("still here", token=chat.token("bob"))
        assert (await client.outcome("live")).data == {"messageAdded": {"from": "bob", "text": "still here"}}
        assert chat.sockets_opened == 2
