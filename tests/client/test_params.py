"""What a connection presents: mapping or function, with the attempt or without, sync or async."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import pytest

from gqlink.client import Attempt
from gqlink.client.params import Params
from gqlink.client.tokens import FunctionSource
from gqlink.errors import AuthUnavailable, BadUserInput, LoginRequired

if TYPE_CHECKING:
    from gqlink.client.params import ConnectionParams, Headers


async def payload(params: ConnectionParams | None, *, token: str | None = None) -> object:
    """Evaluate parameters once."""
    source = None if token is None else FunctionSource(lambda: token)
    return (await Params(params, headers=None, source=source).evaluate("first")).payload


async def test_a_mapping_is_what_it_says() -> None:
    """Any mapping will do."""
    assert await payload({"a": 1}) == {"a": 1}
    assert await payload(MappingProxyType({"a": 1})) == {"a": 1}


async def test_without_parameters_there_is_no_payload_or_the_sources_token() -> None:
    """Nothing at all without a token source; with one `accessToken`, null while there is no token."""
    assert await payload(None) is None
    assert await payload(None, token="t") == {"accessToken": "t"}
    nobody = Params(None, headers=None, source=FunctionSource(lambda: None))
    assert (await nobody.evaluate("first")).payload == {"accessToken": None}


async def test_a_function_is_called_with_what_it_takes() -> None:
    """Nothing, or the attempt; sync or async; a default of its own is left alone."""

    def none() -> dict[str, object]:
        return {"a": 1}

    async def none_async() -> dict[str, object]:
        return {"a": 2}

    def one(attempt: Attempt) -> dict[str, object]:
        return {"a": attempt.token}

    async def one_async(attempt: Attempt) -> dict[str, object]:
        return {"a": attempt.reason}

    def named(attempt: Attempt | None = None) -> dict[str, object]:
        return {"a": attempt and attempt.token}

    def captured(value: int = 7) -> dict[str, object]:
        return {"a": value}

    functions: list[ConnectionParams] = [none, none_async, one, one_async, named, captured, partial(captured, 8)]
    assert [await payload(function, token="t") for function in functions] == [
        {"a": 1}, {"a": 2}, {"a": "t"}, {"a": "first"}, {"a": "t"}, {"a": 7}, {"a": 8}
    ]  # fmt: skip
    assert await payload(lambda: None) is None


async def test_a_method_and_a_callable_object_count_their_arguments_without_self() -> None:
    """An object with `__call__` is as good as a function."""

    class Presenter:
        def __call__(self, attempt: Attempt) -> dict[str, object]:
            return {"reason": attempt.reason}

        def present(self) -> dict[str, object]:
            return {"a": 1}

    assert await payload(Presenter()) == {"reason": "first"}
    assert await payload(Presenter().present) == {"a": 1}


@pytest.mark.parametrize("params", ["text", 7, lambda a, b: {a: b}])
def test_what_cannot_be_used_is_refused_at_once(params: object) -> None:
    """Neither a mapping nor a function of no argument or one."""
    with pytest.raises(BadUserInput, match="connection_params must"):
        Params(cast("Any", params), headers=None, source=None)


@pytest.mark.parametrize("value", ["text", [], {"a": object()}, {"a": float}, {"a": "\ud83d"}])
async def test_what_is_no_json_object_is_refused(value: object) -> None:
    """The function gave a text, a list, or something that JSON has no form for."""
    with pytest.raises(BadUserInput, match="connection_params"):
        await payload(cast("Any", lambda: value))


async def test_a_failure_says_which_kind_and_no_secret() -> None:
    """A bug is the caller's fault; the network's is temporary; an error of ours goes through as it is."""

    def failing(error: Exception) -> ConnectionParams:
        def params() -> dict[str, object]:
            raise error

        return params

    with pytest.raises(BadUserInput, match="raised KeyError") as bug:
        await payload(failing(KeyError("secret-token")))
    assert "secret-token" not in str(bug.value)
    with pytest.raises(AuthUnavailable) as outage:
        await payload(failing(ConnectionResetError("secret-token")))
    assert outage.value.temporary
    assert "secret-token" not in str(outage.value)
    with pytest.raises(LoginRequired):
        await payload(failing(LoginRequired()))


async def test_headers_are_a_mapping_or_a_function() -> None:
    """Evaluated at every connection, like the parameters; they are part of what the server judges."""

    async def function() -> dict[str, str]:
        return {"x-key": "2"}

    given: list[Headers | None] = [None, {"x-key": "1"}, lambda: {"x-key": "3"}, function]
    found = [await Params({"a": 1}, headers=headers, source=None).evaluate("first") for headers in given]
    assert [dict(credential.headers) for credential in found] == [{}, {"x-key": "1"}, {"x-key": "3"}, {"x-key": "2"}]
    assert len({credential.fingerprint for credential in found}) == 4


@pytest.mark.parametrize("headers", [{"a": "b\r\nx-evil: 1"}, {"a\n": "b"}, {"a": 1}, {"a": "é"}, "a: b"])
async def test_a_header_cannot_smuggle_another_one(headers: object) -> None:
    """A line break in a token does not begin a second header."""
    with pytest.raises(BadUserInput, match="header"):
        await Params(None, headers=cast("Any", lambda: headers), source=None).evaluate("first")


async def test_equal_credentials_have_equal_fingerprints_in_any_order() -> None:
    """The order of the members says nothing."""
    one, two = {"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}
    first = await Params(one, headers=None, source=None).evaluate("first")
    second = await Params(two, headers=None, source=None).evaluate("changed")
    assert first.fingerprint == second.fingerprint


async def test_nothing_of_a_credential_is_in_its_repr() -> None:
    """Neither the payload nor the headers nor the token."""
    params = Params({"a": "s3cret"}, headers={"h": "s3cret"}, source=FunctionSource(lambda: "s3cret"))
    assert "s3cret" not in repr(await params.evaluate("first"))
    assert "s3cret" not in repr(Attempt("first", "s3cret"))


async def test_the_token_is_found_and_everything_else_compared() -> None:
    """Two credentials of which only the token differs have the same frame, wherever it stands."""

    async def credential(
        params: ConnectionParams | None, headers: Headers | None = None, token: str | None = None
    ) -> Any:
        source = FunctionSource(lambda: token) if token else None
        return await Params(params, headers=headers, source=source).evaluate("first")

    one = await credential({"authorization": "Bearer one", "locale": "en"})
    two = await credential({"authorization": "Bearer two", "locale": "en"})
    other = await credential({"authorization": "Bearer two", "locale": "de"})
    assert (one.token, two.token) == ("one", "two")
    assert one.frame == two.frame != other.frame
    twice = await credential({"accessToken": "one"}, headers={"authorization": "bearer one"})
    again = await credential({"accessToken": "two"}, headers={"authorization": "bearer two"})
    assert twice.frame == again.frame
    own = await credential(lambda attempt: {"deep": [{"mine": attempt.token}]}, token="one")
    assert own.token == own.sourced == "one"
    assert own.frame == (await credential({"deep": [{"mine": None}]})).frame


@pytest.mark.parametrize(
    ("payload", "anonymous"),
    [
        (None, False),
        ({}, False),
        ({"locale": "en"}, False),
        ({"accessToken": None}, True),
        ({"Authorization": ""}, True),
        ({"headers": {"AUTHORIZATION": "Bearer "}}, True),
        ({"authToken": 7}, True),
        ({"accessToken": "t"}, False),
    ],
)
async def test_only_who_says_nobody_is_known_to_be_nobody(
    payload: dict[str, object] | None, *, anonymous: bool
) -> None:
    """Who says nothing may still be somebody, by a cookie or a certificate; with a source, the source knows."""
    assert (await Params(payload, headers=None, source=None).evaluate("first")).anonymous is anonymous
    nobody = await Params(payload, headers=None, source=FunctionSource(lambda: None)).evaluate("first")
    assert nobody.anonymous is (payload != {"accessToken": "t"})
