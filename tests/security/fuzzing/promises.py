"""What the server promises about everything that it says, whatever was said to it; a word too many is a find."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gqlink.protocol import CloseCode, Kind, Side

if TYPE_CHECKING:
    from gqlink.protocol import Dialect
    from security.fuzzing.wire import HttpAnswer

JSON_TYPES: Final = frozenset({"application/json", "application/graphql-response+json"})
STEADY: Final = b"steady "
"""How every message begins that only somebody who is logged in may read."""

GRAPHQL_STATUSES: Final = frozenset({200, 400, 401, 403, 405, 406, 408, 413, 414, 415, 429, 503})
POST_STATUSES: Final = frozenset({200, 204, 400, 401, 403, 405, 408, 413, 415, 429, 503})
HANDSHAKE_STATUSES: Final = frozenset({400, 403, 404, 405, 426, 429, 431, 503})
CLOSE_CODES: Final = frozenset(
    {
        CloseCode.PROTOCOL_ERROR,
        CloseCode.INVALID_DATA,
        CloseCode.POLICY_VIOLATION,
        CloseCode.MESSAGE_TOO_BIG,
        CloseCode.TRY_AGAIN_LATER,
        CloseCode.BAD_REQUEST,
        CloseCode.UNAUTHORIZED,
        CloseCode.FORBIDDEN,
        CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE,
        CloseCode.INITIALISATION_TIMEOUT,
        CloseCode.SUBSCRIBER_ALREADY_EXISTS,
        CloseCode.TOO_MANY_INITIALISATION_REQUESTS,
    }
)
"""Those that a client of ours may earn; 1011 is not among them, which would be a mistake of the server's."""

# What only a program would say: a traceback, a file, an address in memory, the name of an exception's class.
_INSIDE: Final = re.compile(
    rb"Traceback|site-packages|\.py\b|object at 0x|\b(?!GraphQLError\b)[A-Z][A-Za-z]+(?:Error|Exception)\b"
    rb"|INTERNAL_SERVER_ERROR|sqlite|asyncio|Internal Server Error"
)


class Broken(Exception):
    """A promise was broken.

    Args:
        promise: Which.
        evidence: What shows it.
    """

    def __init__(self, promise: str, evidence: object = "") -> None:
        super().__init__(promise, evidence)
        self.promise = promise
        self.evidence = evidence

    def __str__(self) -> str:
        return f"{self.promise}: {self.evidence!r}"


def look_for_insides(said: bytes) -> None:
    """Nothing that is said shows the server from within.

    Raises:
        Broken: It does.
    """
    if _INSIDE.search(said):
        raise Broken("no text of an exception leaves the server", said[:500])


def look_at_close(payload: bytes, *, own: int | None) -> str:
    """A conversation ends with a code that is written down, and a reason of at most 123 bytes.

    Args:
        payload: Of the close frame.
        own: The code with which we have closed, which may come back.

    Returns:
        How it ended, in a word.

    Raises:
        Broken: Or it does not.
    """
    if not payload:
        if own != CloseCode.NO_CODE:
            raise Broken("a close has a code")
        return "closed by us"
    code, reason = int.from_bytes(payload[:2], "big"), payload[2:]
    look_for_insides(reason)
    if code == own:
        return "closed by us"
    if code not in CLOSE_CODES:
        raise Broken("every close code is written down", (code, reason))
    if len(reason) > 123:
        raise Broken("a reason has room in its frame", reason)
    return f"closed with {code}"


class Listener:
    """Looks at what the server says on one socket.

    Args:
        dialect: What it should speak.
        logged_in: Whether the client has shown a credential that is somebody's.
    """

    def __init__(self, dialect: Dialect, *, logged_in: bool) -> None:
        self._kinds = {word: kind for (side, kind), word in dialect.types.items() if side is Side.SERVER}
        self._logged_in = logged_in
        self.let_in = False
        """Whether the ack has come."""

    def hear(self, text: bytes) -> tuple[Kind, dict[str, Any]]:
        """Every message is one of the subprotocol's, at its time, and for those who may have it.

        Raises:
            Broken: Or it is not.
        """
        look_for_insides(text)
        try:
            message = msgspec.json.decode(text)
            kind = self._kinds[message["type"]]
        except (msgspec.DecodeError, KeyError, TypeError) as exc:
            raise Broken("every message is one of the subprotocol's", text[:500]) from exc
        if kind is Kind.CONNECTION_ACK:
            if self.let_in:
                raise Broken("there is one ack", text)
            self.let_in = True
        elif not self.let_in and kind in {Kind.NEXT, Kind.ERROR, Kind.COMPLETE}:
            raise Broken("nothing is said of an operation before the ack", text[:500])
        if STEADY in text and not self._logged_in:
            raise Broken("a stranger reads no message", text[:500])
        return kind, message


def look_at_graphql(answer: HttpAnswer, *, method: str, logged_in: bool) -> None:
    """An answer of /graphql has a status that is written down, and a GraphQL response in JSON.

    Raises:
        Broken: Or it has not.
    """
    _look_at_answer(answer, GRAPHQL_STATUSES)
    if STEADY in answer.body and not logged_in:
        raise Broken("a stranger reads no message", answer.body[:500])
    if method == "HEAD" or answer.media_type == "text/event-stream":
        return
    content = _read_json(answer)
    if not {"data", "errors"} & content.keys():
        raise Broken("an answer is a GraphQL response", answer.body[:500])


def look_at_post(answer: HttpAnswer, *, method: str) -> None:
    """An answer of /login, /refresh and /logout is JSON with a status that is written down.

    Raises:
        Broken: Or it is not.
    """
    _look_at_answer(answer, POST_STATUSES)
    if method != "HEAD" and answer.status != 204:
        _read_json(answer)


def look_at_other(answer: HttpAnswer) -> None:
    """Whatever else is asked, the server does not fail and shows nothing of itself.

    Raises:
        Broken: Or it does.
    """
    if answer.status >= 500 and answer.status != 503:
        raise Broken("every status is written down", answer)
    if answer.media_type not in {"text/html", "text/javascript", "application/javascript", "text/css"}:
        look_for_insides(answer.body)


def look_at_handshake(answer: HttpAnswer) -> None:
    """A handshake that is refused has a status that is written down.

    Raises:
        Broken: Or it has not.
    """
    _look_at_answer(answer, HANDSHAKE_STATUSES)
    if answer.media_type in JSON_TYPES:
        _read_json(answer)


def _look_at_answer(answer: HttpAnswer, statuses: frozenset[int]) -> None:
    if answer.status not in statuses:
        raise Broken("every status is written down", answer)
    look_for_insides(answer.body)


def _read_json(answer: HttpAnswer) -> dict[str, Any]:
    try:
        content = json.loads(answer.body)
    except ValueError as exc:
        raise Broken("an answer is JSON", answer) from exc
    if answer.media_type not in JSON_TYPES or not isinstance(content, dict):
        raise Broken("an answer is a JSON object, and says so", answer)
    return content
