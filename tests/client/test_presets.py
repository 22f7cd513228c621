"""Where well-known servers look for the token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from client.hands import until
from client.source import Source
from gqlink.client import Attempt, Client, WebSocketLink, presets
from gqlink.errors import BadUserInput

if TYPE_CHECKING:
    from client.peer import Peer

ROLE = {"x-hasura-role": "editor"}


@pytest.mark.parametrize(
    ("preset", "payload"),
    [
        (presets.hasura(), {"headers": {"Authorization": "Bearer t"}}),
        (presets.hasura(headers=ROLE), {"headers": {"Authorization": "Bearer t", "x-hasura-role": "editor"}}),
        (presets.apollo(), {"authorization": "Bearer t"}),
        (presets.graphql_ws(), {"Authorization": "Bearer t"}),
        (presets.gqlgen(), {"Authorization": "Bearer t"}),
        (presets.spring(), {"Authorization": "Bearer t"}),
        (presets.strawberry(), {"authToken": "Bearer t"}),
        (presets.directus(), {"access_token": "t"}),
        (presets.bearer("token"), {"token": "Bearer t"}),
        (presets.plain("token"), {"token": "t"}),
    ],
)
def test_a_preset_puts_the_token_where_the_server_reads_it(preset: presets.Preset, payload: object) -> None:
    """With its scheme or without."""
    assert preset(Attempt("first", "t")) == payload


@pytest.mark.parametrize(
    ("preset", "payload"),
    [
        (presets.hasura(), {"headers": {}}),
        (presets.hasura(headers=ROLE), {"headers": ROLE}),
        (presets.strawberry(), {}),
        (presets.directus(), {}),
    ],
)
def test_nobody_presents_an_empty_object(preset: presets.Preset, payload: object) -> None:
    """Some servers close on null, and none on an object without a token."""
    assert preset(Attempt("first")) == payload


def test_the_token_has_one_place() -> None:
    """A header given beside the token source would contradict it."""
    with pytest.raises(BadUserInput, match="Authorization"):
        presets.hasura(headers={"authorization": "Bearer other"})


def test_the_door_of_the_presets_lists_them_sorted() -> None:
    """Everything in `__all__` is there."""
    assert list(presets.__all__) == sorted(presets.__all__)
    assert all(hasattr(presets, name) for name in presets.__all__)


async def test_a_preset_follows_the_token_source(peer: Peer) -> None:
    """Who logs in while the socket is open is presented by the next one, in the same place."""
    source = Source(None)
    link = WebSocketLink(peer.url, auth=source, connection_params=presets.directus())
    async with Client(link) as client, client.subscribe("subscription { open }"):
        await until(lambda: peer.subscribers)
        await source.become("alice-1")
        await until(lambda: len(peer.inits) == 2)
    assert peer.inits == [{}, {"access_token": "alice-1"}]
