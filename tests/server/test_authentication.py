from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gqlink.auth import ANONYMOUS, Credentials, Identity, Token
from gqlink.errors import AuthUnavailable, InvalidToken
from gqlink.server.authentication import Authentication
from server.eventually import eventually

if TYPE_CHECKING:
    from server.world import World


def named(name: str) -> Credentials:
    """Return credentials with a token."""
    return Credentials(Token(name), "init")


async def test_whoever_the_application_says(world: World) -> None:
    """Absent credentials included."""
    authentication = Authentication(world.authenticate, concurrency=1)
    assert (await authentication.identify(named("alice"), seconds=5)).subject == "alice"
    assert await authentication.identify(Credentials(), seconds=5) is ANONYMOUS


async def test_a_refusal_stays_a_refusal(world: World) -> None:
    """With the class that says why."""
    with pytest.raises(InvalidToken):
        await Authentication(world.authenticate, concurrency=1).identify(named("bad"), seconds=5)


async def test_unavailable_stays_unavailable(world: World) -> None:
    """With the time after which to ask again."""
    with pytest.raises(AuthUnavailable) as caught:
        await Authentication(world.authenticate, concurrency=1).identify(named("unavailable"), seconds=5)
    assert caught.value.retry_after == 7


@pytest.mark.parametrize("name", ["crash", "confused", "cancelled"])
async def test_a_hook_that_fails_refuses_nobody(world: World, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is unavailable: an exception, no identity, or a cancellation that nobody asked for."""
    with pytest.raises(AuthUnavailable) as caught:
        await Authentication(world.authenticate, concurrency=1).identify(named(name), seconds=5)
    assert "secret text" not in str(caught.value)
    assert "authentication failed unexpectedly" in caplog.text


async def test_a_hook_that_takes_too_long_is_ended(world: World) -> None:
    """And its place is free again."""
    authentication = Authentication(world.authenticate, concurrency=1)
    with pytest.raises(TimeoutError):
        await authentication.identify(named("slow"), seconds=0.01)
    assert world.authenticating == 0
    assert (await authentication.identify(named("alice"), seconds=5)).subject == "alice"


async def test_a_timeout_of_the_hooks_own_is_a_failure_of_the_hook() -> None:
    """Not ours: there was time left."""

    async def authenticate(_: Credentials) -> object:
        raise TimeoutError

    with pytest.raises(AuthUnavailable):
        await Authentication(authenticate, concurrency=1).identify(Credentials(), seconds=5)  # type: ignore[arg-type]


async def test_only_so_many_run_at_a_time(world: World) -> None:
    """The others wait for a place, and get one."""
    authentication = Authentication(world.authenticate, concurrency=3)
    waiting = [asyncio.create_task(authentication.identify(named("slow"), seconds=5)) for _ in range(10)]
    await eventually(lambda: world.authenticating == 3)
    world.gate.set()
    identities = await asyncio.gather(*waiting)
    assert {identity.subject for identity in identities} == {"slow"}
    assert world.most_authenticating == 3


async def test_waiting_for_a_place_counts(world: World) -> None:
    """Who does not get one in time is told so, without having been asked about."""
    authentication = Authentication(world.authenticate, concurrency=1)
    first = asyncio.create_task(authentication.identify(named("slow"), seconds=5))
    await eventually(lambda: world.authenticating == 1)
    with pytest.raises(TimeoutError):
        await authentication.identify(named("alice"), seconds=0.01)
    world.gate.set()
    await first


async def test_who_is_no_longer_wanted_leaves_its_place(world: World) -> None:
    """A client that leaves ends its authentication."""
    authentication = Authentication(world.authenticate, concurrency=1)
    leaving = asyncio.create_task(authentication.identify(named("slow"), seconds=5))
    await eventually(lambda: world.authenticating == 1)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert world.authenticating == 0
    assert (await authentication.identify(named("alice"), seconds=5)).subject == "alice"


@pytest.mark.parametrize("identity", [Identity(5), Identity("a", session=5), Identity("a", token_id=b"t")])  # type: ignore[arg-type]
async def test_an_identity_that_could_not_be_revoked_is_a_failure_of_the_hook(identity: Identity) -> None:
    """A subject, session or token id that is no text would never be equal to a revoked one."""

    async def authenticate(_: Credentials) -> Identity:
        return identity

    with pytest.raises(AuthUnavailable):
        await Authentication(authenticate, concurrency=1).identify(Credentials(), seconds=5)


async def test_nobody_is_asked_about_before_all_is_ready(world: World) -> None:
    """Who waits for that takes no place; what is not ready in time is a timeout, what fails is unavailable."""
    gate = asyncio.Event()

    async def ready() -> None:
        await gate.wait()
        if not world.gate.is_set():
            raise AuthUnavailable("the revocations are away")

    authentication = Authentication(world.authenticate, concurrency=1, ready=ready)
    with pytest.raises(TimeoutError):
        await authentication.identify(named("alice"), seconds=0.01)
    gate.set()
    with pytest.raises(AuthUnavailable, match="revocations"):
        await authentication.identify(named("alice"), seconds=5)
    assert world.most_authenticating == 0
    world.gate.set()
    assert (await authentication.identify(named("alice"), seconds=5)).subject == "alice"
