"""Reading a GraphQL request from HTTP: method, media types, body or query string.

Source: GraphQL over HTTP (draft), sections 4 and 5.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Self

import msgspec
from starlette.requests import ClientDisconnect

from gqlink.errors import LimitExceeded
from gqlink.protocol import Request
from gqlink.server.time_bound import within

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.datastructures import Headers
    from starlette.requests import Request as HttpRequest

__all__ = (
    "EVENT_STREAM",
    "GRAPHQL_RESPONSE",
    "JSON",
    "BadRequest",
    "accepts_events",
    "is_json",
    "negotiate",
    "read_body",
    "read_query_string",
    "read_request",
)

EVENT_STREAM: Final = "text/event-stream"
GRAPHQL_RESPONSE: Final = "application/graphql-response+json"
JSON: Final = "application/json"

_COMMON_LENGTH: Final = 256
_MEMBERS: Final = ("query", "variables", "operationName", "extensions")


class BadRequest(Exception):
    """A request that is no GraphQL request.

    Args:
        status: The HTTP status.
        message: What is wrong and what would be right.
        code: The `extensions.code`.
        headers: Further headers of the answer.
        exceeded: The limit that it is over, which then says message and code; None where it is wrong by itself.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = "BAD_USER_INPUT",
        headers: Mapping[str, str] | None = None,
        exceeded: LimitExceeded | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.headers = headers or {}
        self.exceeded = exceeded

    @classmethod
    def over(cls, exceeded: LimitExceeded, *, status: int, headers: Mapping[str, str] | None = None) -> Self:
        """Refuse a request that is over a limit."""
        return cls(status, str(exceeded), code=exceeded.extension_code, headers=headers, exceeded=exceeded)


def negotiate(accept: str | None) -> str:
    """Choose the media type of the answer.

    Args:
        accept: The `Accept` header; absent means `application/json`, as clients older than the draft expect.

    Raises:
        BadRequest: 406, nothing that we can write is accepted.
    """
    if not accept:
        return JSON
    return _choose_again(accept) if len(accept) <= _COMMON_LENGTH else _choose(accept)


def _choose(accept: str) -> str:
    best, quality = None, 0.0
    for entry in accept.split(","):
        media_type, _, parameters = entry.partition(";")
        offered = _ACCEPTED.get(media_type.strip().lower())
        weight = _weight(parameters)
        # At equal weight the first one named wins.
        if offered is not None and weight > quality:
            best, quality = offered, weight
    if best is None:
        raise BadRequest(406, f"The answer can be {GRAPHQL_RESPONSE}, {JSON} or {EVENT_STREAM}; Accept allows none.")
    return best


# Browsers and clients have few ways to say it.
_choose_again = lru_cache(maxsize=64)(_choose)


def accepts_events(accept: str) -> bool:
    """Tell whether the answer may be an event stream, though another media type be preferred.

    Args:
        accept: The `Accept` header. Clients that do not look into the document name all that they can read, the event
            stream last.
    """
    entries = (entry.partition(";") for entry in accept.split(","))
    return any(name.strip().lower() == EVENT_STREAM and _weight(rest) > 0 for name, _, rest in entries)


_ACCEPTED: Final = {
    EVENT_STREAM: EVENT_STREAM,
    GRAPHQL_RESPONSE: GRAPHQL_RESPONSE,
    JSON: JSON,
    "application/*": JSON,
    "*/*": JSON,
}


def _weight(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0


async def read_body(http: HttpRequest, *, max_bytes: int, seconds: float) -> bytes:
    """Read the body of a POST.

    Args:
        http: The request.
        max_bytes: How long it may be.
        seconds: How long it may take to come.

    Raises:
        BadRequest: 415, it is no JSON in UTF-8; 413, it is over `max_bytes`; 408, it does not come.
    """
    _require_json(http)
    until = asyncio.get_running_loop().time() + seconds
    try:
        return await within(_read_stream(http, max_bytes=max_bytes), until=until)
    except TimeoutError:
        exceeded = LimitExceeded("init_seconds", allowed=seconds)
        raise BadRequest.over(exceeded, status=408, headers={"connection": "close"}) from None


def is_json(headers: Headers) -> bool:
    """Tell whether a content type says JSON, which a page may send to another origin only after a preflight.

    Two of them say nothing: somebody before us may have looked at the other one.
    """
    types = headers.getlist("content-type")
    return len(types) == 1 and types[0].partition(";")[0].strip().lower() == JSON


def _require_json(http: HttpRequest) -> None:
    headers = http.headers
    if not is_json(headers):
        raise BadRequest(415, f"A POST must have a JSON body: Content-Type: {JSON}.", headers={"accept": JSON})
    if not _is_utf8(headers["content-type"].partition(";")[2]):
        raise BadRequest(415, "The body must be UTF-8.", headers={"accept": JSON})


async def _read_stream(http: HttpRequest, *, max_bytes: int) -> bytes:
    received = bytearray()
    while True:
        message = await http.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        if len(received) + len(chunk) > max_bytes:
            raise BadRequest.over(LimitExceeded("message_bytes", allowed=max_bytes), status=413)
        if not message.get("more_body", False):
            return bytes(received) + chunk
        received += chunk


def _is_utf8(parameters: str) -> bool:
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "charset":
            return value.strip('" ').lower() in {"utf-8", "utf8"}
    return True


def read_request(body: bytes) -> Request:
    """Read a GraphQL request from a JSON body.

    Raises:
        BadRequest: 400, it is no JSON, or not of the right shape.
    """
    if not body.strip():
        raise BadRequest(400, "The body is empty: it must be a JSON object with a query.")
    try:
        return _REQUEST.decode(body)
    except msgspec.ValidationError as exc:
        detail = str(exc).replace("`$.", "`").replace("`$`", "the body")
        raise BadRequest(400, f"The request must be a JSON object with a query: {detail}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest(400, "The body is not readable JSON.") from None


_REQUEST: Final = msgspec.json.Decoder(Request)


def read_query_string(parameters: Mapping[str, str]) -> Request:
    """Read a GraphQL request from the query string of a GET; `variables` and `extensions` are JSON there.

    Raises:
        BadRequest: 400, the query is missing, or a member is not of the right shape.
    """
    members: dict[str, object] = {}
    for name in _MEMBERS:
        value = parameters.get(name)
        if value is not None:
            members[name] = _json(name, value) if name in {"variables", "extensions"} else value
    if "query" not in members:
        raise BadRequest(400, "The parameter query is missing.")
    try:
        return msgspec.convert(members, Request)
    except msgspec.ValidationError as exc:
        detail = str(exc).replace("`$.", "`")
        raise BadRequest(400, f"A parameter is of the wrong type: {detail}.") from None


def _json(name: str, value: str) -> object:
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        raise BadRequest(400, f"The parameter {name} is not readable JSON.") from None
