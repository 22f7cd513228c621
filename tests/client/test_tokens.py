"""Token sources."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from gqlink.client import (
    AccessToken,
    EnvironmentToken,
    FunctionSource,
    PasswordLogin,
    RefreshTokenLogin,
    TokenFile,
    TokenSource,
)
from gqlink.client.tokens import as_token_source
from gqlink.errors import AuthUnavailable, BadUserInput, GqlinkError, LoginRequired
from gqlink.testing import FakeClock

if TYPE_CHECKING:
    from gqlink.client import Change


async def test_a_function_is_a_source_whether_sync_or_async() -> None:
    """It is asked each time."""

    async def later() -> str | None:
        return "t"

    assert await as_token_source(later).token() == "t"
    answers = iter(["a", None])
    source = as_token_source(lambda: next(answers))
    assert [await source.token(), await source.token()] == ["a", None]


def test_a_function_cannot_say_when_its_answer_changes() -> None:
    """Subscribing to it is possible and means nothing."""

    async def changed(_change: Change) -> None:
        raise AssertionError

    FunctionSource(lambda: None).subscribe(changed)()


def test_a_source_stays_what_it_is() -> None:
    """Anything with `token`, `refresh`, `expires_at` and `subscribe` is one."""
    url = "http://localhost:9000"
    for source in (PasswordLogin(url), RefreshTokenLogin(url, "r"), TokenFile(url), EnvironmentToken()):
        assert isinstance(source, TokenSource)
        assert as_token_source(source) is source


def test_anything_else_is_refused() -> None:
    """A bare token would be the plain object again that is read once."""
    with pytest.raises(BadUserInput, match="function"):
        as_token_source(cast("Any", "token"))


async def test_a_refresh_asks_the_function_again_once_for_all() -> None:
    """Who joins one whose answer is what they wanted to be rid of causes another one."""
    gate, asked = asyncio.Event(), 0

    async def function() -> str:
        nonlocal asked
        asked += 1
        number = asked
        await gate.wait()
        return f"t{number}"

    source = FunctionSource(function)
    callers = [asyncio.create_task(source.refresh(stale)) for stale in ("t0", "t0", "t1", "t1")]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*callers) == ["t1", "t1", "t2", "t2"]
    assert asked == 2


async def test_a_token_that_was_given_lately_is_another_one_already() -> None:
    """Twenty who come one after the other with the same refused token are one question; ten seconds later it is old."""
    clock, answers = FakeClock(), [f"t{number}" for number in range(1, 6)]
    source = FunctionSource(lambda: answers.pop(0), clock=clock)
    assert await source.token() == "t1"
    assert [await source.refresh("t1") for _ in range(20)] == ["t2"] * 20
    assert await source.refresh("t2") == "t3"
    clock.advance(10.0)
    assert await source.refresh("t2") == "t3"
    clock.advance(0.1)
    assert await source.refresh("t2") == "t4"
    assert await source.refresh(None) == "t4"


async def test_a_token_that_has_ended_is_not_another_one() -> None:
    """Nor is nobody."""
    clock = FakeClock()
    answers = [AccessToken("t1", 5.0), AccessToken("t2", 5.0), None, AccessToken("t3", 5.0)]
    source = FunctionSource(lambda: answers.pop(0), clock=clock)
    assert await source.token() == "t1"
    clock.advance(5.0)
    assert await source.refresh("t0") == "t2"
    assert await source.token() is None
    assert await source.refresh("t2") == "t3"


async def test_an_answer_that_comes_late_is_not_the_last_one() -> None:
    """It is for whoever asked."""
    gate, asked = asyncio.Event(), 0

    async def function() -> AccessToken:
        nonlocal asked
        asked += 1
        number = asked
        if number == 1:
            await gate.wait()
        return AccessToken(f"t{number}", 60.0 * number)

    source = FunctionSource(function, clock=FakeClock())
    late = asyncio.create_task(source.token())
    await asyncio.sleep(0)
    assert await source.token() == "t2"
    gate.set()
    assert await late == "t1"
    assert (source.expires_at, await source.refresh("t1"), await source.refresh("t2")) == (1120.0, "t2", "t3")


async def test_an_access_token_says_when_it_ends() -> None:
    """A function that keeps its token says the same seconds again: they count from the first time."""
    clock = FakeClock()
    a, b = AccessToken("a", 60.0), AccessToken("b", 60.0)
    answers: list[str | AccessToken | None] = [a, a, b, "c", None]
    source = FunctionSource(lambda: answers.pop(0), clock=clock)
    ends = [source.expires_at]
    while answers:
        await source.token()
        ends.append(source.expires_at)
        clock.advance(10)
    assert ends == [None, 1060.0, 1060.0, 1080.0, None, None]


@pytest.mark.parametrize("wrong", [("",), (7,), ("t", float("nan")), ("t", float("inf"))])
def test_a_token_is_a_text_and_its_time_a_number(wrong: tuple[Any, ...]) -> None:
    """Nobody is None."""
    with pytest.raises(BadUserInput):
        AccessToken(*wrong)


def test_a_token_is_not_shown() -> None:
    """Its time is."""
    assert repr(AccessToken("secret", 3.0)) == "AccessToken(expires_in=3.0)"


@pytest.mark.parametrize(
    ("raised", "error"),
    [(KeyError("secret"), BadUserInput), (OSError("secret"), AuthUnavailable), (LoginRequired(), LoginRequired)],
)
async def test_a_function_that_fails_is_an_error_of_ours(raised: Exception, error: type[GqlinkError]) -> None:
    """A network that is down says to try again; what was raised is the cause, and its text nobody's business."""

    def function() -> str:
        raise raised

    source = FunctionSource(function)
    for asking in (source.token(), source.refresh(None)):
        with pytest.raises(error) as failed:
            await asking
        assert "secret" not in str(failed.value)
    with pytest.raises(BadUserInput, match="not empty"):
        await FunctionSource(lambda: "").token()


async def test_the_environment_is_read_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody renews it, and nothing shows it."""
    source = EnvironmentToken("A_TOKEN")

    async def changed(_change: Change) -> None:
        raise AssertionError

    source.subscribe(changed)()
    monkeypatch.delenv("A_TOKEN", raising=False)
    assert (await source.token(), source.expires_at) == (None, None)
    monkeypatch.setenv("A_TOKEN", "  ")
    assert await source.token() is None
    monkeypatch.setenv("A_TOKEN", "secret\n")
    assert (await source.token(), await source.refresh("secret")) == ("secret", "secret")
    assert repr(source) == "EnvironmentToken('A_TOKEN')"
