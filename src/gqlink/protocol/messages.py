"""Between text and messages: the envelope is read once, the payload only when its turn has come.

Nothing here raises on what a peer sent; a message that cannot be read comes back as a `Fault` that says so.

Source: graphql-ws PROTOCOL.md, "Communication"; RFC 8259.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, Self, TypeGuard, cast

import msgspec

from gqlink.errors import LocalProtocolError
from gqlink.protocol.frames import ExecutionResult, Request
from gqlink.protocol.nesting import is_deeper, skim

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gqlink.protocol.dialects import Dialect

__all__ = (
    "RESULT_MESSAGES",
    "Envelope",
    "Fault",
    "ResultMessage",
    "begins_with_id",
    "decode_envelope",
    "encode_errors",
    "encode_message",
    "encode_payload",
    "is_operation_id",
    "read_errors",
)

_ABSENT: Final = msgspec.Raw(b"")


class Fault(msgspec.Struct, frozen=True):
    """Why something could not be read, in words that are safe to show to the peer."""

    detail: str


class Envelope(msgspec.Struct):
    """One message, its payload still unread.

    Shape:
        {"type": str, "id"?: str, "payload"?: any}
    """

    type: str
    id: Any = None  # anything at all may come; `operation_id` narrows it
    payload: msgspec.Raw = _ABSENT

    def operation_id(self, *, max_bytes: int) -> str | Fault:
        """Return the id, or a fault if it is not a string of 1 to `max_bytes` bytes."""
        if is_operation_id(self.id, max_bytes=max_bytes):
            return self.id
        return Fault(f"id must be a string of 1 to {max_bytes} bytes")

    @property
    def size(self) -> int:
        """How many bytes a detached copy holds."""
        return len(bytes(self.payload)) + len(str(self.id).encode())

    def detached(self) -> Self:
        """Return a copy that keeps nothing else of the message alive: a payload is a view of all of it."""
        return msgspec.structs.replace(self, payload=self.payload.copy())

    def object_payload(self) -> dict[str, object] | Fault | None:
        """Return the payload as an object; None when it is absent or null."""
        return self._payload(_OBJECT, "payload must be an object")

    def request(self) -> Request | Fault:
        """Return the payload of an operation."""
        request = self._payload(_REQUEST, "payload must be an object with a query")
        return Fault("payload must be an object with a query") if request is None else request

    def result(self) -> ExecutionResult | Fault:
        """Return the payload of an event."""
        result = self._payload(_RESULT, "payload must be an execution result")
        return Fault("payload must be an execution result") if result is None else result

    def raw_payload(self) -> bytes:
        """Return the payload as it came."""
        return bytes(self.payload)

    def any_payload(self) -> object:
        """Return the payload whatever it is; None when it is absent or unreadable."""
        value = self._payload(_ANY, "")
        return None if isinstance(value, Fault) else value

    def _payload(self, decoder: msgspec.json.Decoder[Any], expected: str) -> Any | Fault:
        if not bytes(self.payload):
            return None
        try:
            return decoder.decode(self.payload)
        except msgspec.ValidationError as exc:
            return Fault(f"{expected} ({exc})".replace("`$", "`payload"))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Fault(f"{expected} (not readable JSON)")


class Unreadable(Envelope):
    """A message of which only type and id could be made out."""

    def _payload(self, decoder: msgspec.json.Decoder[Any], expected: str) -> Any | Fault:
        del decoder, expected
        return Fault("payload is not readable: a number out of range, half a surrogate pair, or nested too deeply")


_ENVELOPE: Final = msgspec.json.Decoder(Envelope)
_OBJECT: Final = msgspec.json.Decoder(dict[str, object] | None)
_REQUEST: Final = msgspec.json.Decoder(Request | None)
_RESULT: Final = msgspec.json.Decoder(ExecutionResult | None)
_ANY: Final = msgspec.json.Decoder()


class ResultMessage(msgspec.Struct, frozen=True, gc=False):
    """A message that brings a result, read at once: what almost every frame of a busy connection is.

    Outside of the garbage collector's sight: what comes out of JSON has no cycles, and there are many.

    Shape:
        {"type": str, "id": str, "payload": {"data"?: object, "errors"?: [object], "extensions"?: object}}
    """

    type: str
    id: str
    result: ExecutionResult = msgspec.field(name="payload")


RESULT_MESSAGES: Final = msgspec.json.Decoder(ResultMessage)
"""Reads a whole message at once, if it has the shape of one that brings a result; whatever else it is, well-formed or
not, is for `decode_envelope`, which says what is wrong with it."""


def decode_envelope(text: bytes | str, *, nesting: int | None = None) -> Envelope | Fault:
    """Read the envelope of one message.

    What msgspec cannot read gets a second chance: JavaScript sends lone surrogates, some clients send `1e400`.
    A message whose type and id can be made out fails alone; only one without them costs the connection.

    Args:
        text: The message, UTF-8 where it is bytes.
        nesting: How many levels it may have; None for as many as the interpreter reads, which differs by version.
    """
    if nesting is not None and is_deeper(text, nesting):
        return _skimmed(text)
    try:
        return _ENVELOPE.decode(text)
    except RecursionError:
        return _skimmed(text)
    except msgspec.ValidationError as exc:
        return _second_reading(text, str(exc))
    except (msgspec.DecodeError, UnicodeError):
        return _second_reading(text, "")


def begins_with_id(text: bytes | str) -> str | None:
    """Return the id of the operation that a frame is about, though the frame is cut off or garbled after that.

    Servers write `type` and `id` before the payload; what stands behind it may already be part of what is garbled.
    """
    start = text[:_BEGINNING]
    found = _ID_FIRST.match(start.decode("utf-8", "replace") if isinstance(start, bytes) else start)
    return None if found is None else found[1] or found[2]


_BEGINNING: Final = 512
_ID_FIRST: Final = re.compile(
    r'\s*\{\s*(?:"type"\s*:\s*"[^"\\]*"\s*,\s*)?"id"\s*:\s*(?:"([^"\\]+)"|(\d{1,18})(?=[\s,}]))', re.ASCII
)


def _second_reading(text: bytes | str, detail: str) -> Envelope | Fault:
    try:
        # Decoded here, because `json` would also take UTF-16 for what it is.
        message = json.loads(text.decode() if isinstance(text, bytes) else text, parse_int=_bounded_int)
    except RecursionError:
        return _skimmed(text)
    except ValueError:
        return Fault("not JSON")
    if not isinstance(message, dict):
        return Fault("not a JSON object")
    return _without_payload(message, detail)


def _bounded_int(digits: str) -> int | float:
    """Read an integer that the interpreter would refuse for its length: no reason to give up the connection."""
    return int(digits) if len(digits) <= _INT_DIGITS else float(digits)


_INT_DIGITS: Final = 20


def _skimmed(text: bytes | str) -> Envelope | Fault:
    members = skim(text, ("type", "id"))
    return Fault("not a JSON object") if members is None else _without_payload(members, "nested too deeply")


def _without_payload(message: Mapping[str, object], detail: str) -> Envelope | Fault:
    kind = message.get("type")
    if not isinstance(kind, str):
        return Fault(detail or "type must be a string")
    return Unreadable(kind, message.get("id"))


def is_operation_id(value: object, *, max_bytes: int) -> TypeGuard[str]:
    """Say whether something is a string of 1 to `max_bytes` bytes."""
    # Half an emoji is none: it could not be sent back.
    return isinstance(value, str) and 0 < len(value.encode("utf-8", "replace")) <= max_bytes and _is_unicode(value)


def _is_unicode(text: str) -> bool:
    return not _SURROGATE.search(text)


_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def encode_payload(value: object) -> bytes:
    """Write a payload of ours as UTF-8 JSON.

    Raises:
        LocalProtocolError: It holds something that JSON has no form for.
    """
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise LocalProtocolError(f"the payload cannot be written as JSON: {exc}") from exc


def encode_message(wire_type: str, *, operation_id: str | None = None, payload: bytes | None = None) -> bytes:
    """Write one message as UTF-8.

    Args:
        wire_type: The dialect's word for its kind.
        operation_id: Left out when None.
        payload: JSON text, spliced in as it is; left out when None.
    """
    parts = [b'{"id":', msgspec.json.encode(operation_id), b',"type":"'] if operation_id is not None else [b'{"type":"']
    parts.append(wire_type.encode())
    parts.append(b'"}' if payload is None else b'","payload":' + payload + b"}")
    return b"".join(parts)


def encode_errors(dialect: Dialect, errors: Sequence[Mapping[str, object]]) -> bytes:
    """Write the payload of `error`: a list, or in the legacy dialect one object.

    Stock legacy clients read the object's `message`, or the list under `errors` where there is one.

    Raises:
        LocalProtocolError: There is no error, or one without a `message`.
    """
    if not errors or not all(isinstance(error.get("message"), str) for error in errors):
        raise LocalProtocolError("error: at least one error is needed, each with a message")
    if dialect.lists_errors:
        return encode_payload(errors)
    return encode_payload(errors[0] if len(errors) == 1 else {"message": errors[0]["message"], "errors": errors})


def read_errors(payload: object) -> list[Mapping[str, object]]:
    """Read the payload of `error` in the shapes that servers give it: a list, an object, a string, nothing."""
    match payload:
        case {"errors": [*items]} | [*items] if items:
            return [_read_error(item) for item in items]
        case _:
            return [_read_error(payload)]


def _read_error(item: object) -> Mapping[str, object]:
    match item:
        case {"message": str()}:
            return cast("Mapping[str, object]", item)  # JSON objects have string keys
        case str():
            return {"message": item}
        case _:
            return {"message": "The server reported an error without a message."}
