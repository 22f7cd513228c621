import json
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gqlink.errors import LocalProtocolError
from gqlink.protocol import LEGACY, TRANSPORT_WS, Dialect, ExecutionResult, Request
from gqlink.protocol.messages import (
    Envelope,
    Fault,
    decode_envelope,
    encode_errors,
    encode_message,
    encode_payload,
    is_operation_id,
    read_errors,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


def decoded(text: bytes | str, *, nesting: int | None = None) -> Envelope:
    envelope = decode_envelope(text, nesting=nesting)
    assert isinstance(envelope, Envelope)
    return envelope


def test_an_envelope_is_read_without_its_payload() -> None:
    """Type and id are known; the payload is read when its turn has come."""
    envelope = decoded('{"type": "subscribe", "id": "1", "payload": {"query": "{ hello }"}}')

    assert envelope.type == "subscribe"
    assert envelope.operation_id(max_bytes=128) == "1"
    assert envelope.request() == Request("{ hello }")


@pytest.mark.parametrize("text", ["", " ", "not json", "{", '{"type": "ping"}x', '{"type": "ping",}', "\ufeff{}"])
def test_what_is_no_json_is_a_fault(text: str) -> None:
    """Nothing can be made out of it."""
    assert decode_envelope(text) == Fault("not JSON")
    assert decode_envelope(text.encode()) == Fault("not JSON")


@pytest.mark.parametrize("text", ["[]", "null", '"x"', "1", "true"])
def test_what_is_no_object_is_a_fault(text: str) -> None:
    """A message is an object."""
    assert decode_envelope(text) == Fault("not a JSON object")


@pytest.mark.parametrize("text", ["{}", '{"type": 1}', '{"type": null}', '{"type": ["ping"]}', '{"a": 1e400}'])
def test_a_message_without_a_type_is_a_fault(text: str) -> None:
    """It says why."""
    fault = decode_envelope(text)

    assert isinstance(fault, Fault)
    assert "type" in fault.detail or "str" in fault.detail or "number" in fault.detail.lower()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_messages_are_utf_8_and_nothing_else(encoding: str) -> None:
    """RFC 6455, section 5.6; the standard library's reader would guess."""
    assert decode_envelope('{"type": "complete", "id": "é"}'.encode(encoding)) == Fault("not JSON")


@pytest.mark.parametrize(
    "variables",
    [
        '"\\ud83d"',  # half an emoji, as JavaScript escapes it
        '"\ud83d"',  # the same, as text that has no UTF-8
        "1e400",
        "9" * 5000,
        "NaN",
        '[1e400, "\\ud83d", ' + "9" * 5000 + "]",
    ],
)
def test_a_payload_that_no_strict_parser_reads_leaves_the_envelope_readable(variables: str) -> None:
    """Only that operation fails, and it can be told so."""
    envelope = decoded(
        f'{{"type": "subscribe", "payload": {{"query": "", "variables": {{"a": {variables}}}}}, "id": "1"}}'
    )

    assert envelope.type == "subscribe"
    assert envelope.operation_id(max_bytes=128) == "1"
    assert isinstance(envelope.request(), Fault)


def test_a_payload_that_is_no_utf_8_fails_when_it_is_read() -> None:
    """The WebSocket library refuses such a frame; the machine does not depend on it."""
    envelope = decoded(b'{"type": "subscribe", "id": "1", "payload": {"query": "\xff"}}')

    assert isinstance(envelope.request(), Fault)


@pytest.mark.parametrize("levels", [1, 50, 198])
def test_nesting_within_the_bound_is_read(levels: int) -> None:
    """The envelope, the payload and `variables` count as levels."""
    deep = "[" * levels + "]" * levels
    envelope = decoded(f'{{"type": "t", "payload": {{"query": "", "variables": {{"a": {deep}}}}}}}', nesting=levels + 3)

    assert isinstance(envelope.request(), Request)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("levels", [199, 5000])
@pytest.mark.parametrize("end", ["whole", "cut"])
def test_nesting_beyond_the_bound_leaves_type_and_id_readable(opening: str, levels: int, end: str) -> None:
    """The same outcome on every interpreter, whatever depth it would bear."""
    closing = {"[": "]", '{"a":': "}"}[opening]
    text = f'{{"type": "subscribe", "id": "\\u0031", "payload": {{"a": {opening * levels}"]}}"'
    if end == "whole":
        text += f'{closing * levels}, "id": "inner"}}, "x": 1, "y": ["id"]}}'
    envelope = decoded(text, nesting=200)

    assert (envelope.type, envelope.id) == ("subscribe", "1")
    assert isinstance(envelope.request(), Fault)


def test_nesting_that_no_interpreter_bears_is_a_fault_of_the_payload() -> None:
    """Without a bound of ours, the interpreter's own holds; it does not raise."""
    for text in ('{"type": "next", "id": "1", "payload": %s}', '{"type": "next", "id": "1", "p": "\\ud83d", "q": %s}'):
        envelope = decoded(text % ("[" * 100_000 + "]" * 100_000))

        assert (envelope.type, envelope.id) == ("next", "1")
        assert isinstance(envelope.result(), Fault)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000,
        '["type", "id", ' + "[" * 5000,
        '{"type": 1, "a": ' + "[" * 5000,
        '{"type": "\\x", "a": ' + "[" * 5000,
    ],
)
def test_nesting_without_a_readable_type_is_a_fault(text: str) -> None:
    """There is nobody to tell."""
    assert isinstance(decode_envelope(text, nesting=200), Fault)


def test_brackets_within_a_text_are_no_nesting() -> None:
    """A document has as many as it likes."""
    envelope = decoded('{"type": "t", "payload": {"query": "%s"}}' % ("[" * 500), nesting=200)

    assert envelope.request() == Request("[" * 500)


@pytest.mark.parametrize(
    "tail", ['"' + '\\"' * 30_000, '"' * 30_000, "\\" * 30_000, "[" * 30_000, "[]," * 10_000, '"a":' * 10_000]
)
def test_a_message_that_wants_to_be_slow_to_read_is_not(tail: str) -> None:
    """Reading is linear in the length: a hostile 64 KB take milliseconds, not minutes."""
    began = time.process_time()
    decode_envelope('{"type": "subscribe", "id": "1", "payload": ' + "[" * 2000 + tail, nesting=200)

    assert time.process_time() - began < 2


@given(st.text() | st.binary())
def test_no_text_makes_reading_raise(text: bytes | str) -> None:
    """Whatever comes is an envelope or a fault."""
    assert isinstance(decode_envelope(text, nesting=4), Envelope | Fault)
    assert isinstance(decode_envelope(text), Envelope | Fault)


@given(JSON)
def test_no_value_makes_reading_raise(value: object) -> None:
    """Any JSON in any of the places where a peer may put it."""
    for text in (json.dumps(value), json.dumps({"type": "t", "id": value, "payload": value})):
        envelope = decode_envelope(text, nesting=4)
        if isinstance(envelope, Envelope):
            assert isinstance(envelope.operation_id(max_bytes=8), str | Fault)
            assert isinstance(envelope.request(), Request | Fault)
            assert isinstance(envelope.result(), ExecutionResult | Fault)
            assert isinstance(envelope.object_payload(), dict | Fault | None)
            assert read_errors(envelope.any_payload())


@pytest.mark.parametrize("value", ["1", "a" * 128, "é" * 64, "😀" * 32, "\x00"])
def test_an_id_is_a_string_of_1_to_128_bytes(value: str) -> None:
    """Bytes, because that is what it costs to keep and to send."""
    assert is_operation_id(value, max_bytes=128)


@pytest.mark.parametrize("value", ["", "a" * 129, "é" * 65, "\ud83d", None, 1, True, [], {}])
def test_nothing_else_is_an_id(value: object) -> None:
    """Not even half an emoji, which could not be sent back."""
    assert not is_operation_id(value, max_bytes=128)


def test_an_optional_payload_is_an_object_or_null_or_missing() -> None:
    """graphql-ws PROTOCOL.md: `payload?: Record<string, unknown> | null`."""
    assert decoded('{"type": "t"}').object_payload() is None
    assert decoded('{"type": "t", "payload": null}').object_payload() is None
    assert decoded('{"type": "t", "payload": {"a": 1}}').object_payload() == {"a": 1}
    assert isinstance(decoded('{"type": "t", "payload": []}').object_payload(), Fault)


@pytest.mark.parametrize("payload", ["", ', "payload": null', ', "payload": 1', ', "payload": {"query": null}'])
def test_an_operation_needs_a_query(payload: str) -> None:
    """graphql-ws PROTOCOL.md, "Subscribe"; the fault speaks of the payload, not of our reader."""
    fault = decoded(f'{{"type": "subscribe", "id": "1"{payload}}}').request()

    assert isinstance(fault, Fault)
    assert fault.detail.startswith("payload must be an object with a query")
    assert "$" not in fault.detail


@pytest.mark.parametrize("payload", ["", ', "payload": null', ', "payload": []'])
def test_an_event_needs_a_result(payload: str) -> None:
    """graphql-ws PROTOCOL.md, "Next"."""
    assert isinstance(decoded(f'{{"type": "next", "id": "1"{payload}}}').result(), Fault)


def test_a_detached_envelope_holds_its_own_bytes_only() -> None:
    """A payload is a view of the whole message, which may be much larger."""
    envelope = decoded('{"type": "t", "id": "é", "payload": {"query": "a"}, "rest": "%s"}' % ("x" * 1000)).detached()

    assert envelope.request() == Request("a")
    assert envelope.size == len('{"query": "a"}') + 2


def test_a_message_is_written_in_one_piece() -> None:
    """The id first, where readers that splice it look for it; the payload as it is given."""
    assert encode_message("ping") == b'{"type":"ping"}'
    assert encode_message("pong", payload=b'{"a": 1}') == b'{"type":"pong","payload":{"a": 1}}'
    assert encode_message("complete", operation_id='"') == b'{"id":"\\"","type":"complete"}'
    assert encode_message("next", operation_id="1", payload=b"{}") == b'{"id":"1","type":"next","payload":{}}'


@given(st.text(min_size=1), JSON)
def test_what_is_written_can_be_read(operation_id: str, payload: object) -> None:
    """Any id and payload survive the journey."""
    text = encode_message("next", operation_id=operation_id, payload=msgspec.json.encode(payload))

    assert json.loads(text) == {"id": operation_id, "type": "next", "payload": payload}


@pytest.mark.parametrize("value", [object(), "\ud83d", {"a": {1: object()}}])
def test_a_payload_of_ours_that_json_has_no_form_for_is_our_fault(value: object) -> None:
    """Nothing was sent; the error says what was wrong."""
    with pytest.raises(LocalProtocolError, match="JSON"):
        encode_payload(value)


def test_errors_are_a_list_or_one_object() -> None:
    """graphql-ws PROTOCOL.md, "Error"; subscriptions-transport-ws PROTOCOL.md, "GQL_ERROR"."""
    one, two = {"message": "one"}, {"message": "two", "extensions": {"code": "X"}}

    assert json.loads(encode_errors(TRANSPORT_WS, [one])) == [one]
    assert json.loads(encode_errors(TRANSPORT_WS, [one, two])) == [one, two]
    assert json.loads(encode_errors(LEGACY, [one])) == one
    assert json.loads(encode_errors(LEGACY, [one, two])) == {"message": "one", "errors": [one, two]}


@pytest.mark.parametrize("dialect", [TRANSPORT_WS, LEGACY])
@pytest.mark.parametrize("errors", [[], [{}], [{"message": "one"}, {"message": 2}]])
def test_an_error_of_ours_needs_a_message(dialect: Dialect, errors: list[dict[str, object]]) -> None:
    """GraphQL specification, section 7.1.2: every error has one."""
    with pytest.raises(LocalProtocolError, match="message"):
        encode_errors(dialect, errors)


@pytest.mark.parametrize(
    ("payload", "messages"),
    [
        ([{"message": "a"}, {"message": "b"}], ["a", "b"]),
        ({"message": "a"}, ["a"]),
        ({"message": "a", "errors": [{"message": "b"}, "c"]}, ["b", "c"]),
        ("a", ["a"]),
        (["a"], ["a"]),
    ],
)
def test_errors_are_read_in_the_shapes_that_servers_give_them(payload: object, messages: list[str]) -> None:
    """Lists, objects, texts."""
    assert [error["message"] for error in read_errors(payload)] == messages


@pytest.mark.parametrize("payload", [None, {}, [], 1, {"message": 1}, {"errors": []}, [[["deep"]]], [None]])
def test_an_error_without_a_message_is_an_error_nevertheless(payload: object) -> None:
    """The operation is over; that must not be lost for want of words."""
    (error,) = read_errors(payload)

    assert isinstance(error["message"], str)
