"""The guide about directives does what it says, against a server that really serves."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from examples.howto_scripts import load, on_the_path
from gqlink.client import Client, WebSocketLink
from gqlink.errors import OperationFailed
from serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gqlink.auth import TokenSigner


@pytest.fixture
def signer() -> Iterator[TokenSigner]:
    """Issue tokens as the application that the guide builds on does."""
    with on_the_path():
        starlette_app: Any = load("starlette_app")
        yield starlette_app.signer


def token_of(signer: TokenSigner, *scopes: str) -> str:
    """Issue a token to ann."""
    return signer.issue("ann", now=time.time(), scopes=scopes).reveal()


async def codes(client: Client, query: str) -> tuple[str, ...]:
    """Ask, and return the codes of the refusal, which has no data; none where it was answered."""
    refusal: OperationFailed | None = None
    try:
        await client.execute(query)
    except OperationFailed as exc:
        refusal = exc
    assert refusal is None or refusal.data is None
    return () if refusal is None else refusal.codes


@pytest.mark.parametrize("scheme", ["http", "ws"])
@pytest.mark.parametrize(
    ("query", "scopes", "expected"),
    [
        ("{ motto }", None, ()),
        ("{ motto account { name } }", None, ("UNAUTHENTICATED",)),
        ("{ motto account { name } }", (), ()),
        ("{ account { balance } }", (), ("FORBIDDEN",)),
        ("{ account { balance } }", ("account:read",), ()),
        ("{ account { balance } }", ("admin",), ()),
        ('mutation { sell(item: "hat") }', ("admin",), ("FORBIDDEN",)),
        ('mutation { sell(item: "hat") }', ("shop:sell",), ()),
    ],
)
async def test_the_schema_says_who_may_ask(
    signer: TokenSigner, scheme: str, query: str, scopes: tuple[str, ...] | None, expected: tuple[str, ...]
) -> None:
    """A stranger has what is open, and each scope opens what the schema says, over both transports."""
    token = None if scopes is None else token_of(signer, *scopes)
    module: Any = load("login_required_app")
    async with serving(module.app) as authority:
        url = f"{scheme}://{authority}/graphql"
        link = WebSocketLink(url, auth=lambda: token) if scheme == "ws" else None
        async with Client(link) if link else Client(url, auth=lambda: token) as client:
            assert await codes(client, query) == expected


async def test_a_subscription_needs_both_scopes(signer: TokenSigner) -> None:
    """Of one inner list; then what is sold is heard."""
    half, whole = token_of(signer, "shop:sell"), token_of(signer, "shop:sell", "shop:watch")
    module: Any = load("login_required_app")
    async with serving(module.app) as authority:
        url = f"ws://{authority}/graphql"
        async with Client(WebSocketLink(url, auth=lambda: half)) as client:
            with pytest.raises(OperationFailed, match="without the scopes admin or") as refused:
                async with client.subscribe("subscription { sales }") as events:
                    await anext(events)
            assert refused.value.codes == ("FORBIDDEN",)
        async with (
            Client(WebSocketLink(url, auth=lambda: whole)) as client,
            client.subscribe("subscription { sales }") as events,
        ):
            await client.execute('mutation { sell(item: "hat") }')
            assert (await anext(events)).data == {"sales": "hat"}


async def test_the_policy_sees_what_the_schema_demands(signer: TokenSigner) -> None:
    """At night only what anybody may have."""
    token = token_of(signer, "admin")
    module: Any = load("login_required_app")
    module.closed = True
    async with (
        serving(module.app) as authority,
        Client(f"http://{authority}/graphql", auth=lambda: token) as client,
    ):
        assert await codes(client, "{ motto }") == ()
        assert await codes(client, "{ account { name } }") == ("FORBIDDEN",)
