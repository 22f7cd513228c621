from __future__ import annotations

import dataclasses

import pytest

from gqlink.auth import ANONYMOUS, Identity
from gqlink.server import Context, SocketEvent, Transport


def test_a_transport_shows_no_headers() -> None:
    """They may hold what an application would rather not see in its log."""
    transport = Transport("http", headers={"x-secret": "hush"})
    assert "hush" not in repr(transport)
    assert transport.headers["x-secret"] == "hush"


def test_over_http_there_is_no_socket() -> None:
    """Neither a number nor a subprotocol, and perhaps no address."""
    transport = Transport("http")
    assert (transport.socket, transport.subprotocol, transport.client, transport.headers) == (None, None, None, {})


def test_the_default_context_says_who_and_how() -> None:
    """What resolvers see where the application builds nothing of its own."""
    context = Context(Identity(subject="alice"), Transport("http"))
    assert (context.identity.subject, context.transport.kind) == ("alice", "http")


def test_a_socket_event_has_no_secret_to_show() -> None:
    """It knows the identity, never the credential."""
    event = SocketEvent(socket=2, kind="acknowledged", identity=Identity(subject="alice", claims={"x": "hush"}))
    assert "hush" not in repr(event)
    assert (event.code, event.reason) == (None, "")
    assert SocketEvent(socket=1, kind="opened").identity is ANONYMOUS


@pytest.mark.parametrize("value", [Transport("http"), Context(ANONYMOUS, Transport("http")), SocketEvent(1, "opened")])
def test_facts_cannot_be_changed(value: object) -> None:
    """No resolver can make the next one see something else."""
    [field, *_] = dataclasses.fields(value)  # type: ignore[arg-type]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, field.name, None)
