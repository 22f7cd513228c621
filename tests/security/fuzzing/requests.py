"""HTTP requests over one connection, drawn from a seed: GraphQL, logins, handshakes, and what is no HTTP at all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from security.fuzzing.documents import DocumentMaker
from security.fuzzing.promises import (
    Broken,
    look_at_graphql,
    look_at_handshake,
    look_at_other,
    look_at_post,
    look_for_insides,
)
from security.fuzzing.wire import SOON, dialled

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from security.fuzzing.target import Target
    from security.fuzzing.wire import HttpAnswer, Line

MOST_REQUESTS: Final = 40
"""Over one connection."""

GRAPHQL, POSTS, OTHER, HANDSHAKE, NOISE = "HTTP /graphql", "HTTP logins", "HTTP elsewhere", "handshakes", "HTTP, broken"

_METHODS: Final = ("PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "QUERY", "get")
_ACCEPTS: Final = (
    "*/*", "application/json", "application/graphql-response+json", "text/event-stream", "text/html", "", "a",
    "application/json;q=0, */*;q=x", "text/event-stream, application/json;q=0.5", "é", "," * 200,
)  # fmt: skip
_TYPES: Final = (
    "application/json; charset=utf-8", "application/json;charset=latin-1", "text/plain", "", "application/graphql",
    "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "APPLICATION/JSON", ";", "é",
)  # fmt: skip
_HEADERS: Final = (
    ("Origin", "null"), ("Origin", "http://evil.example"), ("Origin", "http://[::1"), ("Origin", ""),
    ("Cookie", "a=b; ;=;"),
    ("Cookie", "é"), ("X-Forwarded-For", "1.2.3.4, é"), ("Forwarded", "for=x"), ("Host", "evil.example"),
    ("Content-Encoding", "gzip"), ("Expect", "100-continue"), ("Accept-Encoding", "gzip"), ("Range", "bytes=0-1"),
    ("Referer", "\x7f"), ("X", "x" * 8000), ("If-None-Match", "*"), ("traceparent", "00-x-y-z"),
    ("Accept-Charset", "x"),
    ("Access-Control-Request-Method", "POST"), ("Sec-Fetch-Site", "cross-site"), ("User-Agent", "\xff"),
)  # fmt: skip
_CREDENTIALS: Final = (
    "Bearer",
    "Bearer x",
    "Bearer a.b.c",
    "Basic YTpi",
    "bearer  ",
    "Bearer é",
    "Bearer " + "x" * 9000,
    "x",
)
_PATHS: Final = (
    "/",
    "/healthz",
    "/metrics",
    "/playground",
    "/nope",
    "/graphql/",
    "//graphql",
    "/%00",
    "/..%2f",
    "/assets/x",
)
_POSTS: Final = ("/login", "/refresh", "/logout")
_BODIES: Final = (
    b"", b"null", b"[]", b'"x"', b"1", b"{", b"\xff\xfe", b"\xef\xbb\xbf{}", b"[" * 5000, b'{"a":' * 300,
    b'{"query":1}',
    b'{"query":"{ __typename }","variables":[]}', b"x" * 65_536, b"x" * 65_537, b'{"query":"\\ud83d"}', b"1e400",
    b'[{"query":"{ __typename }"}]', b'{"query":null}', b'{"query":"{ __typename }"}{}', b"\x00",
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """One request.

    Args:
        kind: For the table.
        method: As it stands in the request.
        data: All of its bytes.
        logged_in: Whether it shows a credential that is somebody's.
        whole: Whether it is HTTP, so that an answer must come.
        last: Whether nothing can follow it over the same connection.
    """

    kind: str
    method: str
    data: bytes
    logged_in: bool = False
    whole: bool = True
    last: bool = False


class RequestFuzzer:
    """Asks.

    Args:
        target: Whom.
    """

    def __init__(self, target: Target) -> None:
        self._target = target

    def plan(self, dice: random.Random) -> list[Asked]:
        """Draw what is asked over one connection."""
        drawing = _Drawing(self._target, dice)
        asked: list[Asked] = []
        for _ in range(dice.randint(1, MOST_REQUESTS)):
            asked.append(drawing.draw())
            if asked[-1].last:
                break
        return asked

    async def ask(
        self, plan: list[Asked], told: Callable[[str, bytes], None], counted: Callable[[str, str], None]
    ) -> None:
        """Ask it all, and look at every answer.

        Args:
            plan: What to ask.
            told: Is told of everything that is said by either side.
            counted: Is told the kind and the outcome of each request.

        Raises:
            Broken: A promise was.
        """
        asked = list(plan)
        while asked:
            async with dialled(self._target.authority, source=self._target.source) as line:
                while asked:
                    each = asked.pop(0)
                    told("says", each.data)
                    outcome, goes_on = await _ask(line, each, told)
                    counted(each.kind, outcome)
                    if not goes_on:
                        break


async def _ask(line: Line, asked: Asked, told: Callable[[str, bytes], None]) -> tuple[str, bool]:
    """Ask one thing; return what came of it, and whether the connection can be used again."""
    line.write(asked.data)
    try:
        answer = await line.receive_answer(method=asked.method, **({} if asked.whole else {"seconds": SOON}))
    except (EOFError, ConnectionError, TimeoutError) as exc:
        if asked.whole:
            raise Broken("every request is answered", type(exc).__name__) from None
        return "no answer", False
    told("hears", f"{answer.status} {dict(answer.headers)} ".encode() + answer.body)
    if not asked.whole:
        look_for_insides(answer.body)
        if answer.status >= 500 and answer.status not in {501, 503}:
            raise Broken("every status is written down", answer)
        return str(answer.status), False
    _look(answer, asked)
    stays = answer.status != 101 and answer.headers.get("connection", "").lower() != "close"
    return str(answer.status), stays and answer.media_type != "text/event-stream" and not asked.last


def _look(answer: HttpAnswer, asked: Asked) -> None:
    # What asks a browser's question in advance is answered before the application hears of it, in plain words.
    preflight = asked.method == "OPTIONS" and b"Access-Control-Request-Method" in asked.data
    match asked.kind:
        case _ if preflight:
            look_at_other(answer)
        case kind if kind == GRAPHQL:
            look_at_graphql(answer, method=asked.method, logged_in=asked.logged_in)
        case kind if kind == POSTS:
            look_at_post(answer, method=asked.method)
        case kind if kind == HANDSHAKE:
            if answer.status != 101:
                look_at_handshake(answer)
        case _:
            look_at_other(answer)


class _Drawing:
    """Draws requests."""

    def __init__(self, target: Target, dice: random.Random) -> None:
        self._target = target
        self._dice = dice
        self._maker = DocumentMaker(target.schema, dice)
        self._logged_in = False

    def draw(self) -> Asked:
        chance = self._dice.random()
        if chance < 0.02:
            return self._noise()
        if chance < 0.05:
            return self._handshake()
        if chance < 0.09:
            return self._elsewhere()
        if chance < 0.2:
            return self._post()
        return self._graphql()

    def _graphql(self) -> Asked:
        self._logged_in = False
        chance = self._dice.random()
        if chance < 0.7:
            return self._write(GRAPHQL, "POST", "/graphql", self._body())
        if chance < 0.97:
            return self._write(GRAPHQL, "GET", "/graphql" + self._query_string(), b"")
        return self._write(GRAPHQL, self._dice.choice(_METHODS), "/graphql", b"")

    def _post(self) -> Asked:
        self._logged_in = False
        path = self._dice.choice(_POSTS)
        method = "POST" if self._dice.random() < 0.95 else self._dice.choice(_METHODS)
        return self._write(POSTS, method, path, self._form(), credentials=False)

    def _elsewhere(self) -> Asked:
        method = "GET" if self._dice.random() < 0.8 else self._dice.choice((*_METHODS, "POST"))
        return self._write(OTHER, method, self._dice.choice(_PATHS) + self._dice.choice(("", "?a=b", "?%ff")), b"")

    def _handshake(self) -> Asked:
        self._logged_in = False
        fields = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
            "Sec-WebSocket-Protocol": self._dice.choice(
                ("graphql-transport-ws", "graphql-ws", "soap", "a, graphql-ws", "")
            ),
        }
        odd = self._dice.choice([*fields, None, None])
        if odd is not None and odd not in {"Upgrade", "Connection"}:
            fields[odd] = self._dice.choice(
                ("", "x", "8", "é", "websocket", "," * 50, "graphql-ws, graphql-transport-ws")
            )
        if self._dice.random() < 0.1:
            fields["Sec-WebSocket-Extensions"] = self._dice.choice(("permessage-deflate", "x; y=", "é", ";;;"))
        path = self._dice.choice(("/graphql", "/graphql", "/graphql", "/graphql?a=%ff", "/nope", "/login", "/"))
        asked = self._write(HANDSHAKE, "GET", path, b"", fields)
        return Asked(asked.kind, asked.method, asked.data, logged_in=asked.logged_in, last=True)

    def _noise(self) -> Asked:
        """Draw what is no HTTP, or not all of it."""
        data = self._graphql().data
        match self._dice.randint(0, 5):
            case 0:
                data = self._dice.randbytes(self._dice.choice((1, 10, 1000)))
            case 1:
                data = data[: self._dice.randint(0, len(data))]
            case 2:
                data = data.replace(b"HTTP/1.1", self._dice.choice((b"HTTP/9.9", b"HTTP/1.0", b"", b"HTTP/2.0")), 1)
            case 3:
                data = data.replace(b"\r\n", self._dice.choice((b"\n", b"\r", b"\r\n ", b"\r\n\r\n", b": \r\n")), 1)
            case 4:
                extra = self._dice.choice((b"Content-Length: 3", b"Transfer-Encoding: chunked", b"Content-Length: -1"))
                data = data.replace(b"\r\n", b"\r\n" + extra + b"\r\n", 1)
            case _:
                at = self._dice.randint(0, len(data))
                data = data[:at] + self._dice.randbytes(3) + data[at + self._dice.choice((0, 3)) :]
        return Asked(NOISE, "GET", data, whole=False, last=True)

    def _write(
        self, kind: str, method: str, path: str, body: bytes, fields: object = (), *, credentials: bool = True
    ) -> Asked:
        headers: list[tuple[str, str]] = [("Host", self._target.authority)]
        if isinstance(fields, dict):
            headers += fields.items()
        if method == "POST":
            odd = self._dice.random() < 0.05
            headers.append(("Content-Type", self._dice.choice(_TYPES) if odd else "application/json"))
        if self._dice.random() < 0.3:
            headers.append(("Accept", self._dice.choice(_ACCEPTS)))
        if credentials:
            headers += self._credential()
        if self._dice.random() < 0.15:
            headers += self._dice.choices(_HEADERS, k=self._dice.choice((1, 1, 3)))
        framed = self._framed(body) if method == "POST" and self._dice.random() < 0.1 else None
        if framed is None and (body or method == "POST"):
            headers.append(("Content-Length", str(len(body))))
        elif framed is not None:
            headers.append(("Transfer-Encoding", "chunked"))
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        data = f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("utf-8", "replace") + (framed or body)
        is_http = method != "get" and "\x7f" not in lines
        return Asked(kind if is_http else NOISE, method, data, logged_in=self._logged_in, whole=is_http)

    def _framed(self, body: bytes) -> bytes:
        """Write a body in chunks."""
        at = self._dice.randint(0, len(body))
        chunks = [chunk for chunk in (body[:at], body[at:]) if chunk]
        return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"

    def _credential(self) -> list[tuple[str, str]]:
        chance = self._dice.random()
        if chance < 0.5:
            self._logged_in = True
            return [("Authorization", f"Bearer {self._target.token}")]
        if chance < 0.9:
            return []
        return [("Authorization", self._dice.choice(_CREDENTIALS)) for _ in range(self._dice.choice((1, 1, 2)))]

    def _body(self) -> bytes:
        if self._dice.random() < 0.1:
            return self._dice.choice(_BODIES)
        body = json.dumps(self._target.request(self._dice), ensure_ascii=self._dice.random() < 0.5).encode(
            "utf-8", "replace"
        )
        if self._dice.random() < 0.1:
            at = self._dice.randint(0, len(body))
            body = body[:at] + self._dice.choice((b'"', b"{", b"\\", b",", b"\xff", b"\x00")) + body[at + 1 :]
        return body

    def _form(self) -> bytes:
        """Draw a login, a refresh or a logout that is of no use."""
        if self._dice.random() < 0.2:
            return self._dice.choice(_BODIES)
        names = ("name", "username", "password", "cookie", "refreshToken", "other")
        form = {name: self._maker.any_json() for name in names if self._dice.random() < 0.5}
        return json.dumps(form).encode()

    def _query_string(self) -> str:
        request = self._target.request(self._dice)
        members = {
            name: value if name in {"query", "operationName"} and isinstance(value, str) else json.dumps(value)
            for name, value in request.items()
        }
        text = "?" + urlencode({name: value.encode("utf-8", "replace") for name, value in members.items()})
        if self._dice.random() < 0.1:
            at = self._dice.randint(1, len(text))
            text = text[:at] + self._dice.choice(("%", "%ff", "&", "=", "+", "%00", ";", quote("é"))) + text[at:]
        return text
