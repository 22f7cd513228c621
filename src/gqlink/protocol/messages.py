"""Between text and messages: the envelope is read once, the payload only when its turn has come.

Nothing here raises on what a peer sent; a message that cannot be read comes back as a `Fault` that says so.

Source: graphql-ws PROTOCOL.md, "Communication"; RFC 8259.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from gqlink.protocol.frames import ExecutionResult, Request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gqlink.protocol.dialects import Dialect

__all__ = ("Envelope", "Fault", "encode_message")

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
        if isinstance(self.id, str) and self.id:
            try:
                if len(self.id.encode()) <= max_bytes:
                    return self.id
            except UnicodeEncodeError:  # half an emoji: it could not be sent back
                pass
        return Fault(f"id must be a string of 1 to {max_bytes} bytes")

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


def decode_envelope(text: bytes | str) -> Envelope | Fault:
    """Read the envelope of one message.

    What msgspec cannot read gets a second chance: JavaScript sends lone surrogates, some clients send `1e400`.
    A message whose type and id can be made out fails alone; only one without them costs the connection.
    """
    try:
        return _ENVELOPE.decode(text)
    except RecursionError:
        return _skim(text)
    except msgspec.ValidationError as exc:
        return _second_reading(text, str(exc))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _second_reading(text, "")


def _second_reading(text: bytes | str, detail: str) -> Envelope | Fault:
    try:
        message = json.loads(text)
    except RecursionError:
        return _skim(text)
    except ValueError:
        return Fault("not JSON")
    if not isinstance(message, dict):
        return Fault("not a JSON object")
    return _without_payload(message, detail)


# A string, or one of the characters that give JSON its structure.
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]')


def _skim(text: bytes | str) -> Envelope | Fault:
    """Find type and id of a message that is nested too deeply for any parser, without recursion, in linear time."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    depth, parts, members = 0, list[str](), dict[str, str]()
    for match in _TOKEN.finditer(text):
        part = match.group()
        depth -= part in "]}"
        if depth == 1:
            parts.append(part)
        depth += part in "[{"
        if parts[-3:-2] and parts[-2] == ":" and parts[-1][0] == '"':
            members[parts[-3]] = parts[-1]
    found = {key: _string(members.get(f'"{key}"')) for key in ("type", "id")}
    return _without_payload(found, "nested too deeply")


def _string(token: str | None) -> str | None:
    try:
        return None if token is None else str(json.loads(token))
    except ValueError:
        return None


def _without_payload(message: Mapping[str, object], detail: str) -> Envelope | Fault:
    kind = message.get("type")
    if not isinstance(kind, str):
        return Fault(detail or "type must be a string")
    return Unreadable(kind, message.get("id"))


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
    """
    if dialect.lists_errors:
        return msgspec.json.encode(errors)
    if len(errors) == 1:
        return msgspec.json.encode(errors[0])
    return msgspec.json.encode({"message": errors[0]["message"], "errors": errors})


def read_errors(payload: object) -> list[Mapping[str, object]]:
    """Read the payload of `error` in the shapes that servers give it: a list, an object, a string, nothing."""
    match payload:
        case {"errors": [*items]} | [*items] if items:
            return [item for part in items for item in read_errors(part)]
        case {"message": str()}:
            return [cast("Mapping[str, object]", payload)]  # JSON objects have string keys
        case str():
            return [{"message": payload}]
        case _:
            return [{"message": "The server reported an error without a message."}]
