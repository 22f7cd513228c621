from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from starlette.requests import Request as HttpRequest

from gqlink.protocol import Request
from gqlink.server.http_request import (
    EVENT_STREAM,
    GRAPHQL_RESPONSE,
    JSON,
    BadRequest,
    accepts_events,
    negotiate,
    read_body,
    read_query_string,
    read_request,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/json", JSON),
        ("application/graphql-response+json", GRAPHQL_RESPONSE),
        ("application/graphql-response+json; charset=utf-8, application/json; charset=utf-8", GRAPHQL_RESPONSE),
        ("application/json, application/graphql-response+json", JSON),
        ("application/json;q=0.5, application/graphql-response+json", GRAPHQL_RESPONSE),
        ("application/graphql-response+json;q=0.5, application/json;q=0.4", GRAPHQL_RESPONSE),
        ("text/html, */*;q=0.1", JSON),
        ("APPLICATION/JSON", JSON),
        ("application/json;q=2", JSON),
        ("application/json;q=x, */*;q=0.1", JSON),
        ("text/event-stream", EVENT_STREAM),
        ("Text/Event-Stream; charset=utf-8, */*", EVENT_STREAM),
        ("*/*, text/event-stream", JSON),
        ("text/*, application/json;q=0.1", JSON),
    ],
)
def test_the_answer_has_a_media_type_that_is_accepted(accept: str | None, chosen: str) -> None:
    """The heaviest, then the first; clients that say nothing are older than the draft."""
    assert negotiate(accept) == chosen


@pytest.mark.parametrize(
    "accept", ["text/html", "application/json;q=0", "*/*;q=0", "application/xml, image/*", "application/json;q=nan"]
)
def test_whoever_accepts_nothing_of_ours_gets_406(accept: str) -> None:
    """With what there would be."""
    with pytest.raises(BadRequest) as caught:
        negotiate(accept)
    assert caught.value.status == 406
    assert GRAPHQL_RESPONSE in caught.value.message


@pytest.mark.parametrize("kinds", [0, 30])
def test_a_long_accept_is_read_as_a_short_one(kinds: int) -> None:
    """However much a client names before what we have; and the answer is the same whenever it is asked."""
    accept = "".join(f"image/x-{number};q=0.9, " for number in range(kinds))
    for _ in range(2):
        assert negotiate(f"{accept}application/graphql-response+json;q=0.2") == GRAPHQL_RESPONSE
        with pytest.raises(BadRequest):
            negotiate(f"{accept}text/html")


@pytest.mark.parametrize(
    ("accept", "taken"),
    [
        ("text/event-stream", True),
        ("application/json, Text/Event-Stream; q=0.001", True),
        ("application/json, text/event-stream; q=0", False),
        ("application/json", False),
        ("*/*, text/*", False),
        ("", False),
    ],
)
def test_events_are_taken_by_whoever_names_them(accept: str, *, taken: bool) -> None:
    """However little they prefer them; who takes anything may be no match for an answer that goes on."""
    assert accepts_events(accept) is taken


@pytest.mark.parametrize(
    ("body", "request_"),
    [
        (b'{"query": "{ a }"}', Request("{ a }")),
        (b' {"query": "{ a }", "variables": null, "operationName": null, "extensions": null} ', Request("{ a }")),
        (
            b'{"query": "{ a }", "variables": {"x": [1]}, "operationName": "A", "extensions": {}, "other": 5}',
            Request("{ a }", {"x": [1]}, "A", {}),
        ),
    ],
)
def test_a_body_is_a_request(body: bytes, request_: Request) -> None:
    """Members that nobody knows are ignored, null is absent."""
    assert read_request(body) == request_


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "The body is empty: it must be a JSON object with a query."),
        (b" \n", "The body is empty: it must be a JSON object with a query."),
        (b"{", "The body is not readable JSON."),
        (b"\xff\xfe", "The body is not readable JSON."),
        (b'{"query": "", "variables": {"x": ' + b"[" * 50_000, "The body is not readable JSON."),
        (b'{"query": "\xc3"}', "The body is not readable JSON."),
        (b"{}", "missing required field `query`"),
        (b"[]", "Expected `object`, got `array`"),
        (b'{"query": null}', "Expected `str`, got `null` - at `query`"),
        (b'{"query": "", "variables": "{}"}', "at `variables`"),
        (b'{"query": "", "operationName": {}}', "at `operationName`"),
        (b'{"query": "", "extensions": []}', "at `extensions`"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_body_that_is_none_gets_400(body: bytes, sentence: str) -> None:
    """With a sentence that says where."""
    with pytest.raises(BadRequest) as caught:
        read_request(body)
    assert (caught.value.status, caught.value.code) == (400, "BAD_USER_INPUT")
    assert sentence in caught.value.message


def test_a_query_string_is_a_request() -> None:
    """Variables and extensions are JSON there."""
    parameters = {"query": "{ a }", "variables": '{"x": 1}', "operationName": "A", "extensions": "{}", "other": "5"}
    assert read_query_string(parameters) == Request("{ a }", {"x": 1}, "A", {})
    assert read_query_string({"query": "{ a }", "variables": "null"}) == Request("{ a }")


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({}, "The parameter query is missing."),
        ({"variables": "{}"}, "The parameter query is missing."),
        ({"query": "", "variables": ""}, "The parameter variables is not readable JSON."),
        ({"query": "", "variables": "{"}, "The parameter variables is not readable JSON."),
        ({"query": "", "variables": "\ud83d"}, "The parameter variables is not readable JSON."),
        ({"query": "", "extensions": "[" * 50_000}, "The parameter extensions is not readable JSON."),
        ({"query": "", "variables": "5"}, "A parameter is of the wrong type"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_query_string_that_is_none_gets_400(parameters: dict[str, str], sentence: str) -> None:
    """With a sentence that says which parameter."""
    with pytest.raises(BadRequest) as caught:
        read_query_string(parameters)
    assert caught.value.status == 400
    assert sentence in caught.value.message


def post(*chunks: bytes, content_type: str | None = "application/json", ends: bool = True) -> HttpRequest:
    """Make a request whose body comes in chunks, and perhaps never ends."""
    headers = [] if content_type is None else [(b"content-type", content_type.encode())]
    messages: Sequence[dict[str, Any]] = [
        {"type": "http.request", "body": chunk, "more_body": not ends or index < len(chunks) - 1}
        for index, chunk in enumerate(chunks)
    ]
    incoming = iter(messages)

    async def receive() -> Any:
        message = next(incoming, None)
        if message is None:
            await asyncio.Event().wait()
        return message

    return HttpRequest({"type": "http", "method": "POST", "headers": headers}, receive)


async def test_a_body_may_come_in_pieces() -> None:
    """And be as long as is allowed."""
    assert await read_body(post(b"12345", b"67890"), max_bytes=10, seconds=5) == b"1234567890"


@pytest.mark.parametrize("ends", [True, False])
async def test_a_body_that_is_too_long_gets_413(ends: bool) -> None:  # noqa: FBT001 -- a parameter
    """As soon as it is; the rest is not waited for."""
    with pytest.raises(BadRequest) as caught:
        await read_body(post(b"12345", b"678901", ends=ends), max_bytes=10, seconds=5)
    assert (caught.value.status, caught.value.code) == (413, "LIMIT_EXCEEDED")


async def test_a_body_that_does_not_come_gets_408() -> None:
    """A client that sends a byte a minute holds nothing for long."""
    with pytest.raises(BadRequest) as caught:
        await read_body(post(b"1", ends=False), max_bytes=10, seconds=0.01)
    assert (caught.value.status, caught.value.headers) == (408, {"connection": "close"})


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/json; charset=utf8; x=y",
        "application/json; x=y",
    ],
)
async def test_json_in_utf_8_is_read(content_type: str) -> None:
    """However it is spelt."""
    assert await read_body(post(b"{}", content_type=content_type), max_bytes=10, seconds=5) == b"{}"


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "text/plain; application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=application/json",
        "application/graphql",
        "application/jsonp",
        "application/json; charset=utf-16",
        "application/json, text/plain",
    ],
)
async def test_anything_else_gets_415(content_type: str | None) -> None:
    """What a page of another origin can send without being asked first is among it."""
    with pytest.raises(BadRequest) as caught:
        await read_body(post(b"{}", content_type=content_type), max_bytes=10, seconds=5)
    assert (caught.value.status, caught.value.headers) == (415, {"accept": JSON})
