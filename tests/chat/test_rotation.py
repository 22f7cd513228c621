from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gqlink.auth import Token
from gqlink.chat.accounts import Accounts
from gqlink.chat.refresh_tokens import RefreshTokens
from gqlink.chat.store import Store
from gqlink.errors import InvalidToken, SessionRevoked

from .conftest import KEY, Clock, make_sessions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.engine import URL

    from gqlink.auth import PasswordHasher, TokenSigner
    from gqlink.chat.revocation_store import SqlRevocationStore
    from gqlink.chat.sessions import Grant, Sessions

TOKENS = RefreshTokens([KEY])


@pytest.fixture
async def elsewhere(
    url: URL, hasher: PasswordHasher, signer: TokenSigner, time: Clock, sessions: Sessions
) -> AsyncIterator[Sessions]:
    """The sessions as another process sees them, on the same database file."""
    assert sessions is not None
    store = Store(url)
    await store.open()
    yield make_sessions(store, accounts=Accounts(store, hasher=hasher), signer=signer, clock=time)
    await store.aclose()


def session_of(grant: Grant) -> str:
    return TOKENS.read(grant.refresh_token)[0]


def generation_of(grant: Grant) -> int:
    return TOKENS.read(grant.refresh_token)[1]


async def is_over(sessions: Sessions, grant: Grant) -> bool:
    """Tell whether even the present token of a session is of no use."""
    try:
        await sessions.renew(grant.refresh_token)
    except SessionRevoked:
        return True
    return False


async def test_each_refresh_brings_the_next_refresh_token(sessions: Sessions, grant: Grant, time: Clock) -> None:
    """However long the one before has lain there."""
    for generation in range(2, 5):
        time.now += 600
        grant = await sessions.renew(grant.refresh_token)
        assert generation_of(grant) == generation


async def test_two_tabs_get_the_same_refresh_token_and_a_token_each(
    sessions: Sessions, grant: Grant, signer: TokenSigner, time: Clock
) -> None:
    """The second one presents what the first one has just had exchanged."""
    first = await sessions.renew(grant.refresh_token)
    time.now += 29
    second = await sessions.renew(grant.refresh_token)
    assert second.refresh_token == first.refresh_token
    identities = [signer.verify(each.token, now=time.now) for each in (first, second)]
    assert len({identity.token_id for identity in identities}) == 2
    assert identities[1].issued_at == time.now


@pytest.mark.parametrize("seconds", [0.0, 30.0])
async def test_a_lost_answer_can_be_asked_for_again(
    sessions: Sessions, grant: Grant, time: Clock, seconds: float
) -> None:
    """Up to 30 seconds later; the session goes on from there, for everybody."""
    lost = await sessions.renew(grant.refresh_token)
    time.now += seconds
    again = await sessions.renew(grant.refresh_token)
    assert again.refresh_token == lost.refresh_token
    time.now += 1000
    assert generation_of(await sessions.renew(again.refresh_token)) == 3


async def test_a_page_that_is_reloaded_twice_stays_logged_in(sessions: Sessions, grant: Grant, time: Clock) -> None:
    """Whichever of the three answers its browser has kept."""
    answers = [await sessions.renew(grant.refresh_token) for _ in range(3)]
    assert {generation_of(answer) for answer in answers} == {2}
    time.now += 3000
    assert generation_of(await sessions.renew(answers[0].refresh_token)) == 3


async def test_an_answer_that_comes_late_may_put_back_the_token_before(
    sessions: Sessions, grant: Grant, time: Clock
) -> None:
    """A tab's slow answer overwrites the cookie of a quick one; within 30 seconds that is mended."""
    slow = await sessions.renew(grant.refresh_token)
    quick = await sessions.renew(slow.refresh_token)
    time.now += 30
    assert (await sessions.renew(slow.refresh_token)).refresh_token == quick.refresh_token


async def test_the_second_use_does_not_prolong_the_time_for_a_third(
    sessions: Sessions, grant: Grant, time: Clock
) -> None:
    """The 30 seconds count from the rotation."""
    present = await sessions.renew(grant.refresh_token)
    for seconds in (20, 10):
        time.now += seconds
        await sessions.renew(grant.refresh_token)
    time.now += 0.001
    with pytest.raises(SessionRevoked):
        await sessions.renew(grant.refresh_token)
    assert await is_over(sessions, present)


@pytest.mark.parametrize(("seconds", "ends"), [(30.0, False), (30.001, True), (86_400.0, True)])
async def test_a_clock_that_was_set_back_makes_nobody_wait_longer(
    sessions: Sessions, grant: Grant, time: Clock, seconds: float, *, ends: bool
) -> None:
    """Servers whose clocks differ a little agree all the same."""
    present = await sessions.renew(grant.refresh_token)
    time.now -= seconds
    if ends:
        with pytest.raises(SessionRevoked):
            await sessions.renew(grant.refresh_token)
    else:
        assert (await sessions.renew(grant.refresh_token)).refresh_token == present.refresh_token


async def test_a_thief_who_comes_second_ends_the_session(
    sessions: Sessions,
    grant: Grant,
    revocations: SqlRevocationStore,
    time: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its owner has to log in again, and its access tokens are revoked; the log says whose session it was."""
    stolen = grant.refresh_token
    owners = await sessions.renew(stolen)
    time.now += 31
    with pytest.raises(SessionRevoked):
        await sessions.renew(stolen)
    assert await is_over(sessions, owners)
    assert [each.session for each in await revocations.load()] == [session_of(grant)]
    assert "of alice ended: an old refresh token was used" in caplog.text
    assert stolen.reveal() not in caplog.text


async def test_a_thief_who_comes_first_is_thrown_out_by_the_owner(
    sessions: Sessions, grant: Grant, time: Clock
) -> None:
    """The owner's token is old then, and says so."""
    thiefs = await sessions.renew(grant.refresh_token)
    time.now += 31
    with pytest.raises(SessionRevoked):
        await sessions.renew(grant.refresh_token)
    assert await is_over(sessions, thiefs)


async def test_a_token_older_than_the_one_before_ends_the_session_at_once(sessions: Sessions, grant: Grant) -> None:
    """No honest client has two answers too few."""
    second = await sessions.renew(grant.refresh_token)
    third = await sessions.renew(second.refresh_token)
    with pytest.raises(SessionRevoked):
        await sessions.renew(grant.refresh_token)
    assert await is_over(sessions, third)


async def test_a_token_later_than_the_present_one_ends_the_session(sessions: Sessions, grant: Grant) -> None:
    """We have not written it, or the database is older than it: either way nobody knows who comes."""
    later = TOKENS.write(session_of(grant), generation=2)
    with pytest.raises(SessionRevoked):
        await sessions.renew(later)
    assert await is_over(sessions, grant)


async def test_a_token_that_does_not_verify_ends_nothing(sessions: Sessions, grant: Grant) -> None:
    """Otherwise anybody who has seen a session's id could end it."""
    forged = Token(grant.refresh_token.reveal()[:-4] + "AAAA")
    with pytest.raises(InvalidToken):
        await sessions.renew(forged)
    assert await sessions.renew(grant.refresh_token)


async def test_a_session_that_nobody_has_begun_is_no_session(sessions: Sessions) -> None:
    """Its row may be forgotten, as old ones are."""
    with pytest.raises(InvalidToken):
        await sessions.renew(TOKENS.write("x", generation=1))


async def test_an_ended_session_stays_ended_whatever_is_presented(sessions: Sessions, grant: Grant) -> None:
    """Nothing begins it again."""
    second = await sessions.renew(grant.refresh_token)
    await sessions.end(second.refresh_token)
    for each in (grant, second):
        assert await is_over(sessions, each)


async def test_twenty_refreshes_at_once_agree(sessions: Sessions, grant: Grant) -> None:
    """One of them rotates; the others get what it has made."""
    grants = await asyncio.gather(*(sessions.renew(grant.refresh_token) for _ in range(20)))
    assert {generation_of(each) for each in grants} == {2}


async def test_two_processes_on_one_database_agree(sessions: Sessions, elsewhere: Sessions, grant: Grant) -> None:
    """The database decides, so that a session moves on by one generation, again and again."""
    for generation in range(2, 6):
        present = grant.refresh_token
        grants = await asyncio.gather(*(each.renew(present) for each in [sessions, elsewhere] * 4))
        assert {generation_of(each) for each in grants} == {generation}
        grant = grants[0]


async def test_a_logout_wins_over_a_refresh_at_the_same_time(
    sessions: Sessions, grant: Grant, revocations: SqlRevocationStore
) -> None:
    """Whichever comes first, the session is over, and whatever token the refresh got is revoked."""
    outcomes = await asyncio.gather(
        sessions.renew(grant.refresh_token), sessions.end(grant.refresh_token), return_exceptions=True
    )
    assert outcomes[1] is None
    assert await is_over(sessions, grant)
    assert [each.session for each in await revocations.load()] == [session_of(grant)]
