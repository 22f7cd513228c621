"""The stories S1 to S9: our client with our chat, in either subprotocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gqlink.client import Client
from gqlink.errors import ConnectionRefused
from interop.chat_http import ADD_MESSAGE
from interop.forging import REASONS, Forgery
from interop.harness import LEGACY, MODERN
from interop.own_stories import LIVE, Bench, Person, Stories, hear

if TYPE_CHECKING:
    from interop.served_chat import ServedChat


@pytest.fixture(params=[(MODERN,), (LEGACY,)], ids=[MODERN, LEGACY])
def bench(request: pytest.FixtureRequest, chat: ServedChat) -> Bench:
    """Our chat, and one subprotocol."""
    return Bench(chat, request.param)


class TestWithOurChat(Stories):
    """Everything of ours, end to end."""

    @pytest.mark.parametrize("forgery", REASONS)
    async def test_s7_a_bad_token_is_refused_with_its_reason_and_nothing_is_executed(
        self, bench: Bench, chat: ServedChat, forgery: Forgery
    ) -> None:
        """S7: the error carries code and reason; the token is presented once, whoever asks how often."""
        person = Person(chat.tokens.forged(forgery))
        async with Client(bench.link(person.params)) as client:
            with pytest.raises(ConnectionRefused) as refused:
                await hear(client.subscribe(LIVE))
            assert (refused.value.code, refused.value.reason) == (4403, REASONS[forgery])
            with pytest.raises(ConnectionRefused):
                await client.execute(ADD_MESSAGE, {"text": "let me in"})
        assert [(event.code, event.reason) for event in chat.seen("refused")] == [(4403, REASONS[forgery])]
        assert (chat.sockets_opened, chat.seen("acknowledged"), chat.listeners) == (1, (), 0)
        assert bench.window.of_type("subscribe") == bench.window.of_type("start") == []
        assert await chat.http.texts(token=chat.token("bob")) == []

    async def test_the_server_agrees_who_the_sockets_speak_for(self, bench: Bench, chat: ServedChat) -> None:
        """The ack names the subject, in both subprotocols."""
        async with Client(bench.link({"accessToken": chat.token("bob")}, lazy=False)):
            state = await bench.window.wait_live()
        assert (state.subject, state.subprotocol) == ("bob", bench.subprotocols[0])
        assert state.expires_in is not None
        admitted = chat.seen("acknowledged")[0]
        assert (admitted.identity.subject, admitted.subprotocol) == ("bob", bench.subprotocols[0])


async def test_offered_both_our_server_and_our_client_take_the_newer(chat: ServedChat) -> None:
    """As both come, without any setting."""
    bench = Bench(chat, (MODERN, LEGACY))
    async with Client(bench.link(lazy=False)):
        assert (await bench.window.wait_live()).subprotocol == MODERN
    assert chat.sockets_opened == 1
