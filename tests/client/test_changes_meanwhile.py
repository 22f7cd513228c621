"""A change of the credential while something else happens: a loss, a renewal, another change, a slow answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from client.chat import SUBSCRIPTION, subscribed
from client.hands import FakeClock, turns, until
from gqlink.client import AccessToken, Client, WebSocketLink
from gqlink.errors import AuthUnavailable, OutcomeUnknown

if TYPE_CHECKING:
    from client.peer import Peer


class Slow:
    """A token function that answers when it may."""

    def __init__(self, token: str | None = "alice-1") -> None:
        self.token = token
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: Exception | None = None

    async def __call__(self) -> AccessToken | None:
        """Say what holds once the gate is open."""
        self.asked += 1
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return None if self.token is None else AccessToken(self.token, expires_in=900.0)


@pytest.mark.parametrize("end", [None, (4403, "Token expired"), (1012, "Service restart")])
@pytest.mark.parametrize("failure", [None, AuthUnavailable("down")])
async def test_a_socket_that_ends_while_a_change_is_asked_for_leaves_nothing_behind(
    peer: Peer, end: tuple[int, str] | None, failure: Exception | None
) -> None:
    """The subscription goes on over the next one, and the mutation has an unknown outcome."""
    peer.script.hold_operations = True
    clock, auth = FakeClock(chance=0.0), Slow()
    async with (
        Client(WebSocketLink(peer.url, auth=auth, clock=clock)) as client,
        client.subscribe(SUBSCRIPTION) as events,
    ):
        await subscribed(peer)
        mutation = asyncio.ensure_future(client.execute("mutation { a }"))
        await until(lambda: len(peer.operations) == 2)
        auth.gate.clear()
        change = asyncio.ensure_future(client.credentials_changed())
        await until(lambda: auth.asked == 2)
        auth.token, auth.failure = "alice-2", failure
        if end is None:
            peer.sockets[0].drop()
        else:
            peer.sockets[0].close(*end)
        await until(lambda: not peer.open)
        await turns(50)
        auth.gate.set()
        await change
        auth.failure = None
        clock.advance(30.0)
        await subscribed(peer)
        peer.publish(1)
        assert (await anext(events)).data == 1
        with pytest.raises(OutcomeUnknown):
            await mutation
    assert peer.tokens == ["alice-1", "alice-2"]
