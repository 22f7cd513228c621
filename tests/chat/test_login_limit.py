from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from gqlink.chat.login import SessionPosts
from gqlink.chat.login_limit import Allowance, LoginLimit, TooManyAttempts
from gqlink.chat.post import Post
from gqlink.errors import AuthUnavailable, InvalidCredentials, StoreUnavailable
from gqlink.server import Doorkeeper

if TYPE_CHECKING:
    from gqlink.chat.accounts import Accounts
    from gqlink.chat.sessions import Sessions

    from .conftest import Clock

HOME = "192.0.2.1"
STRANGER = "203.0.113.9"
MANY = Allowance(1000, 1.0)


async def guess(limit: LoginLimit, name: str = "alice", *, address: str | None = STRANGER) -> float:
    """Guess wrong; return 0, or after how many seconds one may guess again."""
    try:
        async with limit.attempt(name, address=address):
            raise InvalidCredentials
    except InvalidCredentials:
        return 0.0
    except TooManyAttempts as exc:
        return exc.retry_after


async def log_in(limit: LoginLimit, name: str = "alice", *, address: str | None = HOME) -> None:
    """Know the password."""
    async with limit.attempt(name, address=address):
        await asyncio.sleep(0)


@pytest.fixture
def limit(time: Clock) -> LoginLimit:
    """Three failures of an account from an address, five of an account, seven of an address; ten seconds for each."""
    return LoginLimit(
        clock=time, pair=Allowance(3, 10.0), account=Allowance(5, 10.0), address=Allowance(7, 10.0), waiting=50
    )


async def test_some_failures_are_borne_and_then_it_takes_time(limit: LoginLimit, time: Clock) -> None:
    """One more each ten seconds; the refusal says when."""
    assert [await guess(limit) for _ in range(5)] == [0, 0, 0, 10, 10]
    time.now += 4
    assert await guess(limit) == pytest.approx(6)
    time.now += 6
    assert [await guess(limit) for _ in range(2)] == [0, 10]


async def test_whoever_waits_as_long_as_was_said_may_try(time: Clock) -> None:
    """Also where the moments are no round numbers."""
    limit = LoginLimit(clock=time, pair=Allowance(2, 0.1), account=MANY, address=MANY)
    for _ in range(1000):
        time.now += await guess(limit)
    assert time.now > 0


async def test_what_is_forgiven_is_forgiven_up_to_the_allowance(limit: LoginLimit, time: Clock) -> None:
    """A quiet year buys no more than a quiet minute."""
    time.now += 1e7
    assert [await guess(limit) for _ in range(4)] == [0, 0, 0, 10]


async def test_a_refused_attempt_costs_nothing(limit: LoginLimit, time: Clock) -> None:
    """Whoever hammers is let in as soon as whoever waits."""
    for _ in range(100):
        await guess(limit)
    time.now += 10
    assert await guess(limit) == 0


async def test_a_login_that_succeeds_is_held_against_nobody(limit: LoginLimit) -> None:
    """A family behind one address, a test, a demo."""
    for _ in range(100):
        await log_in(limit)
    assert [await guess(limit, address=HOME) for _ in range(4)] == [0, 0, 0, 10]


async def test_a_success_forgives_no_failure(limit: LoginLimit) -> None:
    """Otherwise whoever has an account could guess at another's for ever, logging in in between."""
    outcomes = []
    for _ in range(8):
        outcomes.append(await guess(limit, "alice"))
        await log_in(limit, "mallory", address=STRANGER)
    assert outcomes[:4] == [0, 0, 0, 10]


@pytest.mark.parametrize("failure", [StoreUnavailable(), AuthUnavailable("busy"), asyncio.CancelledError()])
async def test_what_says_nothing_about_the_password_is_no_failure(limit: LoginLimit, failure: BaseException) -> None:
    """A database that is down must not lock people out."""
    for _ in range(10):
        with pytest.raises(type(failure)):
            async with limit.attempt("alice", address=STRANGER):
                raise failure
    assert await guess(limit) == 0


async def test_guesses_at_once_count_like_guesses_in_turn(limit: LoginLimit) -> None:
    """Three are looked at, although none of them was decided when the fourth came."""
    outcomes = await asyncio.gather(*(slow_guess(limit) for _ in range(40)))
    assert sorted(outcomes) == [0] * 3 + [10] * 37


async def slow_guess(limit: LoginLimit) -> float:
    try:
        async with limit.attempt("alice", address=STRANGER):
            await asyncio.sleep(0)
            raise InvalidCredentials
    except InvalidCredentials:
        return 0.0
    except TooManyAttempts as exc:
        return exc.retry_after


async def test_honest_logins_at_once_wait_for_each_other(limit: LoginLimit) -> None:
    """No more than three are looked at together, and all succeed."""
    together = 0
    most = 0

    async def log_in_slowly() -> None:
        nonlocal together, most
        async with limit.attempt("alice", address=HOME):
            together += 1
            most = max(most, together)
            await asyncio.sleep(0)
            together -= 1

    await asyncio.gather(*(log_in_slowly() for _ in range(50)))
    assert most == 3


async def test_no_more_than_a_bounded_number_wait(time: Clock) -> None:
    """The next one is told to come again; it is not said that it failed."""
    limit = LoginLimit(clock=time, pair=Allowance(1, 10.0), account=MANY, address=MANY, waiting=2)
    attempts = [asyncio.create_task(log_in(limit)) for _ in range(4)]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes].count(AuthUnavailable) == 1


async def test_a_stranger_does_not_lock_an_account_out_elsewhere(limit: LoginLimit) -> None:
    """The stranger's place is used up, the owner's is not."""
    for _ in range(10):
        await guess(limit)
    await log_in(limit)


async def test_many_addresses_share_what_is_borne_of_an_account(limit: LoginLimit) -> None:
    """Five in all."""
    outcomes = [await guess(limit, address=f"203.0.113.{number}") for number in range(7)]
    assert outcomes == [0, 0, 0, 0, 0, 10, 10]


async def test_many_addresses_do_not_lock_an_owner_out_at_home(limit: LoginLimit) -> None:
    """Where the account has logged in before, only what was guessed there counts."""
    await log_in(limit)
    for number in range(7):
        await guess(limit, address=f"203.0.113.{number}")
    await log_in(limit)
    assert [await guess(limit, address=HOME) for _ in range(4)] == [0, 0, 0, 10]
    with pytest.raises(TooManyAttempts):
        await log_in(limit, address=STRANGER)


async def test_one_address_may_not_try_all_accounts(limit: LoginLimit) -> None:
    """Seven in all, whether anybody has these names or not."""
    outcomes = [await guess(limit, f"name-{number}") for number in range(9)]
    assert outcomes == [0] * 7 + [10, 10]


async def test_a_name_is_the_same_in_every_case(limit: LoginLimit) -> None:
    """As it is for the accounts."""
    assert [await guess(limit, name) for name in ("alice", "Alice", "ALICE", "aLICE")] == [0, 0, 0, 10]


async def test_names_are_remembered_briefly_however_long_they_are(limit: LoginLimit) -> None:
    """And whatever is in them."""
    for name in ("x" * 60_000, "\ud83d", "\0", ""):
        assert await guess(limit, name) == 0
    assert all(len(key) <= 32 for table in limit._tables for key in table)


async def test_what_is_remembered_is_bounded(time: Clock) -> None:
    """The one that was longest quiet goes first; whoever is refused pushes nobody out."""
    limit = LoginLimit(clock=time, pair=Allowance(1, 1e6), account=MANY, address=Allowance(20, 1e6), remembered=10)
    assert await guess(limit, "victim") == 0
    outcomes = [await guess(limit, f"name-{number}", address=f"203.0.113.{number}") for number in range(9)]
    assert outcomes == [0] * 9
    assert await guess(limit, "victim") > 0
    for number in range(50):
        await log_in(limit, f"name-{number}", address=f"198.51.100.{number}")
    assert max(len(table) for table in limit._tables) <= 10
    assert len(limit._at_home) <= 10
    flooded = LoginLimit(clock=time, pair=Allowance(1, 1e6), account=MANY, address=Allowance(5, 1e6), remembered=10)
    for number in range(100):
        await guess(flooded, f"name-{number}")
    assert [len(table) for table in flooded._tables] == [5, 5, 1]


async def test_what_is_under_way_is_not_forgotten(time: Clock) -> None:
    """Its outcome is still to be counted."""
    limit = LoginLimit(clock=time, pair=Allowance(1, 1e6), account=MANY, address=MANY, remembered=1)
    slow = asyncio.create_task(slow_guess(limit))
    await asyncio.sleep(0)
    assert await guess(limit, "bob", address=HOME) == 0
    assert await slow == 0
    assert await guess(limit) > 0


class Door:
    """POST /login from addresses of the test's choice."""

    def __init__(self, app: Starlette) -> None:
        self._app = app

    async def post(self, name: str, password: str, *, address: str = STRANGER) -> httpx2.Response:
        """Try to log in."""
        transport = httpx2.ASGITransport(self._app, client=(address, 1234))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            headers = {"x-forwarded-for": f"198.51.100.{len(password)}", "forwarded": "for=198.51.100.1"}
            return await client.post("/login", json={"name": name, "password": password}, headers=headers)


@pytest.fixture
def door(accounts: Accounts, sessions: Sessions, limit: LoginLimit) -> Door:
    """The endpoint, with the allowances of `limit`."""
    posts = SessionPosts(accounts, sessions=sessions, limit=limit)
    return Door(Starlette(routes=[Route("/login", Post(posts.login, doorkeeper=Doorkeeper(("localhost",), ())))]))


@pytest.mark.parametrize("name", ["alice", "nobody", "not a name"])
async def test_whoever_guesses_too_often_is_told_when_to_come_again(door: Door, time: Clock, name: str) -> None:
    """429 in the shape of every refusal, the same for names that nobody has; not even the right password helps."""
    wrong = [(await door.post(name, "x" * length)).status_code for length in range(1, 5)]
    assert wrong == [401, 401, 401, 429]
    time.now += 0.5
    refused = await door.post(name, "alice123")
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "10"
    assert refused.headers["cache-control"] == "no-store"
    message = "Too many failed logins; try again in 10 seconds."
    assert refused.json() == {"error": {"code": "LIMIT_EXCEEDED", "message": message}}


async def test_who_has_waited_may_log_in(door: Door, time: Clock) -> None:
    """And the owner, elsewhere, need not wait."""
    for length in range(1, 5):
        await door.post("alice", "x" * length)
    assert (await door.post("alice", "alice123", address=HOME)).status_code == 200
    time.now += 10
    assert (await door.post("alice", "alice123")).status_code == 200


async def test_a_refused_guess_costs_the_server_no_hash(door: Door, accounts: Accounts) -> None:
    """The hasher is closed here, and would answer 503."""
    for length in range(1, 4):
        await door.post("alice", "x" * length)
    await accounts._hasher.aclose()
    assert (await door.post("alice", "guess")).status_code == 429
    assert (await door.post("bob", "guess")).status_code == 503
