import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from gqlink.errors import ConnectionClosed, LocalProtocolError
from gqlink.protocol import (
    DIALECTS,
    LEGACY,
    TRANSPORT_WS,
    Close,
    Closed,
    CompleteReceived,
    ConnectionLimits,
    Dialect,
    InitReceived,
    Kind,
    OperationRejected,
    Phase,
    Request,
    ServerConnection,
    Side,
    SubscribeReceived,
    Text,
)

INIT = '{"type": "connection_init"}'
HELLO = {"query": "{ hello }"}

both = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)


def opened(dialect: Dialect = TRANSPORT_WS, **limits: int) -> ServerConnection:
    return ServerConnection(dialect, now=0.0, limits=replace(ConnectionLimits(), **limits) if limits else None)


def initialised(dialect: Dialect = TRANSPORT_WS, **limits: int) -> ServerConnection:
    server = opened(dialect, **limits)
    server.receive(INIT, now=0.0)
    return server


def acknowledged(dialect: Dialect = TRANSPORT_WS, **limits: int) -> ServerConnection:
    server = initialised(dialect, **limits)
    server.acknowledge()
    server.outgoing()
    return server


def start(dialect: Dialect, operation_id: object = "1", payload: object = HELLO) -> str:
    word = dialect.types[Side.CLIENT, Kind.SUBSCRIBE]
    return json.dumps({"id": operation_id, "type": word, "payload": payload}, ensure_ascii=False)


def stop(dialect: Dialect, operation_id: object = "1") -> str:
    return json.dumps({"id": operation_id, "type": dialect.types[Side.CLIENT, Kind.COMPLETE]})


def messages(server: ServerConnection) -> list[object]:
    return [json.loads(frame.data) if isinstance(frame, Text) else frame for frame in server.outgoing()]


@both
def test_an_init_asks_the_application(dialect: Dialect) -> None:
    """Nothing is said until it has decided."""
    server = opened(dialect)

    assert server.receive('{"type": "connection_init", "payload": {"a": 1}}', now=0.0) == [InitReceived({"a": 1})]
    assert server.phase is Phase.INITIALISED
    assert messages(server) == []


@both
def test_an_ack_may_carry_a_payload(dialect: Dialect) -> None:
    """graphql-ws PROTOCOL.md, "ConnectionAck"."""
    server = initialised(dialect)

    assert server.acknowledge({"gqlink": {"version": 1}}) == []
    assert server.phase is Phase.ACKNOWLEDGED
    assert messages(server) == [{"type": "connection_ack", "payload": {"gqlink": {"version": 1}}}]


@both
def test_an_ack_that_nobody_asked_for_is_our_fault(dialect: Dialect) -> None:
    """Neither before the init nor a second time; nothing is sent."""
    for server in (opened(dialect), acknowledged(dialect)):
        with pytest.raises(LocalProtocolError) as caught:
            server.acknowledge()

        assert caught.value.close_code == 4004
        assert messages(server) == []


@both
def test_an_ack_for_somebody_who_has_left_is_nobodys_fault(dialect: Dialect) -> None:
    """The conversation ended while we made up our mind."""
    server = initialised(dialect)
    server.disconnected(1001)
    with pytest.raises(ConnectionClosed):
        server.acknowledge()


@both
def test_an_ack_that_cannot_be_written_lets_nobody_in(dialect: Dialect) -> None:
    """Sending raised, so nothing was sent and nothing has changed."""
    server = initialised(dialect)
    with pytest.raises(LocalProtocolError, match="JSON"):
        server.acknowledge({"a": object()})

    assert server.phase is Phase.INITIALISED


@both
def test_an_operation_is_told_to_the_application(dialect: Dialect) -> None:
    """With its request."""
    server = acknowledged(dialect)
    payload = {"query": "q", "variables": {"a": 1}, "operationName": "A", "extensions": {"b": 2}}
    request = Request("q", variables={"a": 1}, operation_name="A", extensions={"b": 2})

    assert server.receive(start(dialect, payload=payload), now=0.0) == [SubscribeReceived("1", request)]
    assert server.live == {"1"}


@both
def test_results_go_out_as_they_were_encoded(dialect: Dialect) -> None:
    """The payload is spliced in, so that one encoding may serve many sockets."""
    server = acknowledged(dialect)
    server.receive(start(dialect), now=0.0)
    server.next("1", b'{"data": {"hello":"world"}}')
    word = dialect.types[Side.SERVER, Kind.NEXT].encode()

    assert server.outgoing() == [
        Text(b'{"id":"1","type":"' + word + b'","payload":{"data": {"hello":"world"}}}'),
    ]
    assert server.live == {"1"}


@both
def test_the_head_of_a_result_the_result_and_a_brace_are_the_message(dialect: Dialect) -> None:
    """What is spliced is what `next` says; also with an id that JSON has to escape."""
    server = acknowledged(dialect)
    for operation_id in ("1", 'quote " and \\ and é'):
        server.receive(start(dialect, operation_id), now=0.0)
        server.next(operation_id, b'{"data":null}')
        [said] = server.outgoing()
        assert isinstance(said, Text)
        assert server.result_head(operation_id) + b'{"data":null}' + b"}" == said.data


@both
def test_only_a_live_operation_has_results(dialect: Dialect) -> None:
    """One that has ended, one that never was, and none after the end of the conversation."""
    server = acknowledged(dialect)
    server.receive(start(dialect), now=0.0)
    server.complete("1")
    for operation_id in ("1", "2"):
        with pytest.raises(LocalProtocolError):
            server.result_head(operation_id)
    server.close(1000)
    with pytest.raises(ConnectionClosed):
        server.result_head("1")


@both
@pytest.mark.parametrize("how", ["error", "complete"])
def test_an_operation_ends_once(dialect: Dialect, how: str) -> None:
    """After its end nothing can be said of it, and its id is free."""
    server = acknowledged(dialect)
    server.receive(start(dialect), now=0.0)
    if how == "error":
        server.error("1", [{"message": "no"}])
    else:
        server.complete("1")
    assert server.live == frozenset()
    server.outgoing()

    for say in (partial(server.next, "1", b"{}"), partial(server.complete, "1"), partial(server.error, "1", [])):
        with pytest.raises(LocalProtocolError, match="no operation with this id is live"):
            say()
    assert messages(server) == []
    assert len(server.receive(start(dialect), now=0.0)) == 1


@both
def test_nothing_can_be_said_of_an_operation_to_somebody_who_has_left(dialect: Dialect) -> None:
    """Nobody's fault."""
    server = acknowledged(dialect)
    server.receive(start(dialect), now=0.0)
    server.disconnected(1006)

    assert server.live == frozenset()
    for say in (partial(server.next, "1", b"{}"), partial(server.complete, "1"), server.keep_alive):
        with pytest.raises(ConnectionClosed):
            say()


@both
def test_errors_that_cannot_be_written_leave_the_operation_live(dialect: Dialect) -> None:
    """Nothing was sent, so it has not ended."""
    server = acknowledged(dialect)
    server.receive(start(dialect), now=0.0)
    for errors in ([], [{"message": "no", "extensions": object()}]):
        with pytest.raises(LocalProtocolError):
            server.error("1", errors)

    assert server.live == {"1"}
    assert messages(server) == []


def test_a_client_that_ends_an_operation_is_told_to_the_application() -> None:
    """In the newer dialect nothing more is said."""
    server = acknowledged()
    server.receive(start(TRANSPORT_WS), now=0.0)

    assert server.receive(stop(TRANSPORT_WS), now=0.0) == [CompleteReceived("1")]
    assert server.live == frozenset()
    assert messages(server) == []


def test_a_legacy_client_that_ends_an_operation_gets_it_confirmed() -> None:
    """subscriptions-transport-ws PROTOCOL.md, "GQL_COMPLETE"; gql waits for it."""
    server = acknowledged(LEGACY)
    server.receive(start(LEGACY), now=0.0)

    assert server.receive(stop(LEGACY), now=0.0) == [CompleteReceived("1")]
    assert server.live == frozenset()
    assert messages(server) == [{"id": "1", "type": "complete"}]


@both
def test_the_end_of_an_operation_that_nobody_knows_is_ignored(dialect: Dialect) -> None:
    """Before the ack and after it."""
    for server in (opened(dialect), initialised(dialect), acknowledged(dialect)):
        assert server.receive(stop(dialect), now=0.0) == []
        assert messages(server) == []


@both
@pytest.mark.parametrize("operation_id", [None, 1, "", "a" * 129, ["1"]])
def test_an_operation_without_an_id_ends_the_connection(dialect: Dialect, operation_id: object) -> None:
    """Nobody could be told what is wrong."""
    for text in (start(dialect, operation_id), stop(dialect, operation_id)):
        server = acknowledged(dialect)
        reason = "Invalid message: id must be a string of 1 to 128 bytes"

        assert server.receive(text, now=0.0) == [Closed(4400, reason, Side.SERVER)]
        assert messages(server) == [Close(4400, reason)]


@both
def test_an_operation_whose_payload_cannot_be_read_is_answered(dialect: Dialect) -> None:
    """By the machine, which only says so; the connection lives."""
    server = acknowledged(dialect)

    assert server.receive(start(dialect, payload={"variables": {}}), now=0.0) == [OperationRejected("1")]
    (message,) = messages(server)
    assert isinstance(message, dict)
    assert (message["id"], message["type"]) == ("1", "error")
    assert server.live == frozenset()


@both
def test_operations_are_bounded(dialect: Dialect) -> None:
    """One too many is answered by the machine, which says by which bound."""
    server = acknowledged(dialect, operations=2)
    told = [event for operation_id in "abc" for event in server.receive(start(dialect, operation_id), now=0.0)]

    assert [type(event) for event in told[:2]] == [SubscribeReceived, SubscribeReceived]
    assert told[2:] == [OperationRejected("c", "operations_per_socket")]
    assert server.live == {"a", "b"}


@both
def test_a_live_id_ends_the_connection(dialect: Dialect) -> None:
    """4409, with the reason of the specification."""
    server = acknowledged(dialect)
    server.receive(start(dialect), now=0.0)

    assert server.receive(start(dialect), now=0.0) == [Closed(4409, "Subscriber for 1 already exists", Side.SERVER)]
    assert server.live == frozenset()


def test_the_legacy_dialect_holds_operations_until_the_ack() -> None:
    """They count as live, are told at the ack, in their order."""
    server = initialised(LEGACY)

    assert server.receive(start(LEGACY, "b"), now=0.0) == []
    assert server.receive(start(LEGACY, "a"), now=0.0) == []
    assert server.live == {"a", "b"}
    request = Request("{ hello }")
    assert server.acknowledge() == [SubscribeReceived("b", request), SubscribeReceived("a", request)]
    assert messages(server) == [{"type": "connection_ack"}]


def test_the_newer_dialect_does_not() -> None:
    """graphql-ws PROTOCOL.md, "Subscribe": 4401."""
    server = initialised()

    assert server.receive(start(TRANSPORT_WS), now=0.0) == [Closed(4401, "Unauthorized", Side.SERVER)]


def test_a_held_operation_that_is_stopped_is_never_told() -> None:
    """And its id is free again."""
    server = initialised(LEGACY)
    server.receive(start(LEGACY), now=0.0)

    assert server.receive(stop(LEGACY), now=0.0) == []
    assert server.live == frozenset()
    assert server.acknowledge() == []
    assert messages(server) == [{"type": "connection_ack"}]


@pytest.mark.parametrize("how", ["refuse", "close", "expire", "disconnected"])
def test_a_held_operation_is_dropped_with_the_connection(how: str) -> None:
    """Nothing of it is kept."""
    server = initialised(LEGACY)
    server.receive(start(LEGACY), now=0.0)
    match how:
        case "refuse":
            server.refuse(4403, "Token invalid")
        case "close":
            server.close(1012)
        case "expire":
            server.expire(now=10.0)
        case _:
            server.disconnected(1006)

    assert server.live == frozenset()
    assert not server._held
    with pytest.raises(ConnectionClosed):
        server.acknowledge()


def test_held_operations_are_bounded_in_number() -> None:
    """Nothing can be answered before the ack, so the connection ends."""
    server = initialised(LEGACY, operations=2)
    events = [event for operation_id in "abc" for event in server.receive(start(LEGACY, operation_id), now=0.0)]

    assert events == [Closed(1009, "Too much before the acknowledgement", Side.SERVER)]


def test_held_operations_are_bounded_in_bytes() -> None:
    """All of them together are no larger than one message; ids count, stopped ones do not."""
    server = initialised(LEGACY, message_bytes=1000)
    for number in range(100):
        server.receive(start(LEGACY, str(number), {"query": "x" * 600}), now=0.0)
        server.receive(stop(LEGACY, str(number)), now=0.0)
    assert server.phase is Phase.INITIALISED
    server.receive(start(LEGACY, "a", {"query": "x" * 480}), now=0.0)
    server.receive(start(LEGACY, "b", {"query": "x" * 400}), now=0.0)
    assert server.phase is Phase.INITIALISED
    (event,) = server.receive(start(LEGACY, "c" * 128, {"query": ""}), now=0.0)

    assert event == Closed(1009, "Too much before the acknowledgement", Side.SERVER)


def test_a_refusal_in_the_newer_dialect_is_a_close() -> None:
    """graphql-ws PROTOCOL.md, "ConnectionInit"."""
    server = initialised()

    assert server.refuse(4403, "Token invalid") == [Closed(4403, "Token invalid", Side.SERVER)]
    assert messages(server) == [Close(4403, "Token invalid")]


@pytest.mark.parametrize("make", [initialised, acknowledged])
def test_a_refusal_in_the_legacy_dialect_is_said_before_the_close(make: Callable[[Dialect], ServerConnection]) -> None:
    """A stock client hears nothing of a close code; also when its credential ends later."""
    server = make(LEGACY)
    server.refuse(4403, "Token expired")

    assert messages(server) == [
        {"type": "connection_error", "payload": {"message": "Token expired"}},
        Close(4403, "Token expired"),
    ]


def test_a_refusal_before_any_init_is_a_close() -> None:
    """subscriptions-transport-ws PROTOCOL.md: `connection_error` answers an init."""
    server = opened(LEGACY)
    server.refuse(4403, "Forbidden")

    assert messages(server) == [Close(4403, "Forbidden")]


@both
def test_a_refusal_of_somebody_who_has_left_is_harmless(dialect: Dialect) -> None:
    """Nothing is said."""
    server = initialised(dialect)
    server.disconnected(1001)

    assert server.refuse(4403, "Token invalid") == []
    assert messages(server) == []


@both
def test_a_refusal_with_a_code_that_no_frame_may_carry_says_nothing(dialect: Dialect) -> None:
    """Our fault, and no half of it is sent."""
    server = initialised(dialect)
    with pytest.raises(LocalProtocolError):
        server.refuse(1006, "Token invalid")

    assert messages(server) == []


@pytest.mark.parametrize("text", ["x" * 101, "é" * 51, b"x" * 101, "\ud83d" * 40])
def test_a_message_over_the_bound_ends_the_connection(text: bytes | str) -> None:
    """Measured in bytes, before anything of it is read."""
    server = opened(message_bytes=100)

    assert server.receive(text, now=0.0) == [Closed(1009, "Message too big", Side.SERVER)]
    assert server.receive(text, now=0.0) == []
    assert messages(server) == [Close(1009, "Message too big")]


@pytest.mark.parametrize("padding", [" ", "é"])
def test_a_message_within_the_bound_is_read(padding: str) -> None:
    """To the last byte."""
    text = '{"type": "ping", "payload": {"a": "' + padding
    text += " " * (100 - len(text.encode()) - 3) + '"}}'
    assert len(text.encode()) == 100

    assert len(opened(message_bytes=100).receive(text, now=0.0)) == 1


def test_a_message_over_the_bound_may_be_too_late_too() -> None:
    """The deadline is looked at first."""
    server = opened(message_bytes=100)

    assert server.receive("x" * 101, now=10.0) == [Closed(4408, "Connection initialisation timeout", Side.SERVER)]


def test_keep_alive_is_a_word_of_the_legacy_dialect() -> None:
    """After the ack only."""
    server = acknowledged(LEGACY)
    server.keep_alive()

    assert messages(server) == [{"type": "ka"}]
    with pytest.raises(LocalProtocolError, match="keep_alive"):
        acknowledged(TRANSPORT_WS).keep_alive()
    with pytest.raises(LocalProtocolError, match="initialised"):
        initialised(LEGACY).keep_alive()


def test_the_deadline_holds_until_the_ack() -> None:
    """It includes authentication."""
    server = opened(init_seconds=3)
    server.receive(INIT, now=2.0)

    assert server.deadline == 3.0
    assert server.expire(now=3.0) == [Closed(4408, "Connection initialisation timeout", Side.SERVER)]
