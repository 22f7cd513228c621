"""GraphQL over HTTP: what is sent, and what is made of each answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import httpx2
import pytest

from gqlink.client import Client, HttpLink
from gqlink.errors import (
    BadUserInput,
    ConnectionClosed,
    LoginRequired,
    OperationFailed,
    OutcomeUnknown,
    RequestFailed,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from gqlink.client import Headers

URL = "http://server.invalid/graphql"
ERROR = {"message": "no", "extensions": {"code": "UNAUTHENTICATED"}}


class Server:
    """Answers every request with one answer, and keeps the requests."""

    def __init__(self, answer: httpx2.Response | Exception) -> None:
        self.answer = answer
        self.requests: list[httpx2.Request] = []
        self.transport = httpx2.MockTransport(self._answer)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def link(self, headers: Headers | None = None, auth: Callable[[], str | None] | None = None) -> HttpLink:
        """Make a link to it."""
        return HttpLink(URL, headers=headers, auth=auth, transport=self.transport)


def json_answer(body: object, status: int = 200) -> httpx2.Response:
    """Make an answer."""
    return httpx2.Response(status, json=body, headers={"set-cookie": "session=alice"})


async def test_an_operation_is_one_post() -> None:
    """The document, the variables and the name, as JSON; a GraphQL answer is asked for."""
    server = Server(json_answer({"data": {"a": 1}}))
    async with Client(server.link()) as client:
        assert await client.execute("query A($x: Int) { a } query B { b }", {"x": 1}, "A") == {"a": 1}
    (request,) = server.requests
    assert request.method == "POST"
    assert request.headers["accept"].startswith("application/graphql-response+json")
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.content)["operationName"] == "A"
    assert json.loads(request.content)["variables"] == {"x": 1}


async def test_errors_are_raised_with_the_data_that_came() -> None:
    """Also from a 401 whose body is a GraphQL answer."""
    for status in (200, 400, 401):
        server = Server(json_answer({"data": {"a": None}, "errors": [ERROR], "extensions": {"x": 1}}, status))
        async with Client(server.link()) as client:
            with pytest.raises(OperationFailed) as failed:
                await client.execute("{ a }")
        assert (failed.value.codes, failed.value.data) == (("UNAUTHENTICATED",), {"a": None})
        assert failed.value.extensions == {"x": 1}


@pytest.mark.parametrize(
    ("answer", "status", "temporary"),
    [
        (httpx2.Response(502, html="<h1>Bad gateway</h1>"), 502, True),
        (httpx2.Response(404, text="not here"), 404, False),
        (httpx2.Response(200, json=[]), 200, False),
        (httpx2.Response(200, json={"error": "not GraphQL"}), 200, False),
        (httpx2.Response(200, content=b"\xff"), 200, False),
        (httpx2.Response(302, headers={"location": "http://elsewhere.invalid"}), 302, False),
        (httpx2.ConnectError("refused"), None, True),
        (httpx2.ReadTimeout("slow"), None, True),
        (httpx2.DecodingError("bad gzip"), None, True),
    ],
)
async def test_what_is_no_graphql_answer_has_its_status(
    answer: httpx2.Response | Exception, status: int | None, *, temporary: bool
) -> None:
    """A proxy's page, another application, or nothing at all."""
    async with Client(Server(answer).link()) as client:
        with pytest.raises(RequestFailed) as failed:
            await client.execute("{ a }")
    assert (failed.value.status, failed.value.temporary) == (status, temporary)
    if isinstance(answer, httpx2.TransportError):
        assert "server.invalid" in str(failed.value)


async def test_a_mutation_that_was_sent_and_not_answered_has_an_unknown_outcome() -> None:
    """It may have run; one that could not be sent has not."""
    async with Client(Server(httpx2.ReadTimeout("slow")).link()) as client:
        with pytest.raises(OutcomeUnknown) as unknown:
            await client.execute("mutation Add { a }")
    assert unknown.value.operation_name == "Add"
    async with Client(Server(httpx2.ConnectError("refused")).link()) as client:
        with pytest.raises(RequestFailed):
            await client.execute("mutation Add { a }")


async def test_the_token_is_asked_for_at_every_request() -> None:
    """Nobody, then Alice; headers of one's own win over it."""
    tokens = iter([None, "alice-1"])
    server = Server(json_answer({"data": {}}))
    async with Client(server.link(auth=lambda: next(tokens))) as client:
        await client.execute("{ a }")
        await client.execute("{ a }")
    assert [request.headers.get("authorization") for request in server.requests] == [None, "Bearer alice-1"]
    own = Server(json_answer({"data": {}}))
    async with Client(own.link({"Authorization": "Basic eA=="}, lambda: "t")) as client:
        await client.execute("{ a }")
    assert own.requests[0].headers.get_list("authorization") == ["Basic eA=="]


async def test_a_cookie_is_not_kept() -> None:
    """It would go on speaking for somebody who has logged out."""
    server = Server(json_answer({"data": {}}))
    async with Client(server.link()) as client:
        await client.execute("{ a }")
        await client.execute("{ a }")
    assert "cookie" not in server.requests[1].headers


async def test_headers_that_fail_or_lie_are_the_callers_fault() -> None:
    """Nothing is sent; what the function raised is the cause; errors of ours go through."""

    def broken() -> dict[str, str]:
        raise KeyError

    def ours() -> dict[str, str]:
        raise LoginRequired

    server = Server(json_answer({"data": {}}))
    for headers in (broken, lambda: {"a": "b\r\nc: d"}, cast("Any", lambda: ["a"])):
        async with Client(server.link(headers)) as client:
            with pytest.raises(BadUserInput):
                await client.execute("{ a }")
    async with Client(server.link(ours)) as client:
        with pytest.raises(LoginRequired):
            await client.execute("{ a }")
    assert server.requests == []


async def test_variables_must_be_json() -> None:
    """Half an emoji, or an object of Python's, is refused before anything is sent."""
    server = Server(json_answer({"data": {}}))
    async with Client(server.link()) as client:
        for value in ("\ud83d", object()):
            with pytest.raises(BadUserInput, match="variables"):
                await client.execute("query A($a: String) { a }", {"a": value})
    assert server.requests == []


async def test_it_carries_no_subscription_and_nothing_once_closed() -> None:
    """Both are said plainly."""
    link = Server(json_answer({"data": {}})).link()
    async with link:
        with pytest.raises(BadUserInput, match="split"):
            Client(link).subscribe("subscription { a }")
        await link.credentials_changed()
    with pytest.raises(ConnectionClosed):
        await Client(link).execute("{ a }")
    with pytest.raises(BadUserInput, match="http:"):
        HttpLink("ws://server.invalid")
