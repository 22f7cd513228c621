"""Token sources."""

from __future__ import annotations

from typing import Any, cast

import pytest

from gqlink.client import PasswordLogin, TokenSource
from gqlink.client.tokens import FunctionSource, as_token_source
from gqlink.errors import BadUserInput


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

    async def changed() -> None:
        raise AssertionError

    FunctionSource(lambda: None).subscribe(changed)()


def test_a_source_stays_what_it_is() -> None:
    """Anything with `token` and `subscribe` is one."""
    login = PasswordLogin("http://localhost:9000")
    assert isinstance(login, TokenSource)
    assert as_token_source(login) is login


def test_anything_else_is_refused() -> None:
    """A bare token would be the plain object again that is read once."""
    with pytest.raises(BadUserInput, match="function"):
        as_token_source(cast("Any", "token"))
