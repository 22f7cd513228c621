import json
from functools import partial

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gqlink.errors import ConnectionClosed, LocalProtocolError
from gqlink.protocol import (
    DIALECTS,
    LEGACY,
    TRANSPORT_WS,
    AckReceived,
    ClientConnection,
    Close,
    Closed,
    CompleteReceived,
    Dialect,
    ErrorReceived,
    ExecutionResult,
    KeepAliveReceived,
    Kind,
    NextReceived,
    Phase,
    PingReceived,
    PongReceived,
    RefusalReceived,
    Request,
    Side,
    Text,
)
from protocol.watched import take_result

ACK = '{"type": "connection_ack"}'
INVALID = "Invalid message received"

both = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)


def initialised(dialect: Dialect = TRANSPORT_WS) -> ClientConnection:
    client = ClientConnection(dialect, now=0.0)
    client.initialise()
    client.outgoing()
    return client


def acknowledged(dialect: Dialect = TRANSPORT_WS) -> ClientConnection:
    client = initialised(dialect)
    client.receive(ACK, now=0.0)
    return client


def subscribed(dialect: Dialect = TRANSPORT_WS) -> ClientConnection:
    client = acknowledged(dialect)
    client.subscribe("1", Request("{ hello }"))
    client.outgoing()
    return client


def said(dialect: Dialect, kind: Kind, **members: object) -> str:
    return json.dumps({"type": dialect.types[Side.SERVER, kind], **members})


def messages(client: ClientConnection) -> list[object]:
    return [json.loads(frame.data) if isinstance(frame, Text) else frame for frame in client.outgoing()]


@both
def test_a_client_asks_with_or_without_parameters(dialect: Dialect) -> None:
    """The payload is left out when there is none."""
    for payload, members in ((None, {}), ({"accessToken": None}, {"payload": {"accessToken": None}})):
        client = ClientConnection(dialect, now=0.0)
        client.initialise(payload)

        assert messages(client) == [{"type": "connection_init", **members}]
        assert client.phase is Phase.INITIALISED


@both
def test_a_client_asks_once(dialect: Dialect) -> None:
    """A second init would be 4429."""
    client = initialised(dialect)
    with pytest.raises(LocalProtocolError) as caught:
        client.initialise()

    assert caught.value.close_code == 4429
    assert messages(client) == []


@both
def test_parameters_that_cannot_be_written_are_not_sent(dialect: Dialect) -> None:
    """The client may ask again with better ones."""
    client = ClientConnection(dialect, now=0.0)
    with pytest.raises(LocalProtocolError, match="JSON"):
        client.initialise({"accessToken": object()})
    assert client.phase is Phase.OPENED
    client.initialise()

    assert messages(client) == [{"type": "connection_init"}]


@both
@pytest.mark.parametrize(
    ("members", "payload"),
    [({}, None), ({"payload": None}, None), ({"payload": {"a": 1}}, {"a": 1}), ({"payload": "welcome"}, None)],
)
def test_an_ack_lets_the_client_in(dialect: Dialect, members: dict[str, object], payload: object) -> None:
    """Whatever it carries."""
    client = initialised(dialect)

    assert client.receive(json.dumps({"type": "connection_ack", **members}), now=0.0) == [AckReceived(payload)]  # type: ignore[arg-type]
    assert client.phase is Phase.ACKNOWLEDGED
    assert client.deadline is None


@both
def test_an_operation_is_written_with_the_words_of_the_dialect(dialect: Dialect) -> None:
    """And is live from then on."""
    client = acknowledged(dialect)
    client.subscribe("1", Request("q", variables={"a": 1}))
    word = {"graphql-transport-ws": "subscribe", "graphql-ws": "start"}[dialect.subprotocol]

    assert messages(client) == [{"id": "1", "type": word, "payload": {"query": "q", "variables": {"a": 1}}}]
    assert client.live == {"1"}


@both
def test_an_operation_waits_for_the_ack(dialect: Dialect) -> None:
    """Also in the legacy dialect, whose stock client does not."""
    for client in (ClientConnection(dialect, now=0.0), initialised(dialect)):
        with pytest.raises(LocalProtocolError, match="subscribe is not legal"):
            client.subscribe("1", Request("q"))
        assert messages(client) == []


@both
@pytest.mark.parametrize("operation_id", ["1", "", "\ud83d"])
def test_an_id_must_be_new_and_a_text_of_some_length(dialect: Dialect, operation_id: str) -> None:
    """Our fault; nothing is sent."""
    client = subscribed(dialect)
    with pytest.raises(LocalProtocolError, match="id"):
        client.subscribe(operation_id, Request("q"))

    assert messages(client) == []


@both
def test_a_request_that_cannot_be_written_is_not_live(dialect: Dialect) -> None:
    """Nothing was sent."""
    client = acknowledged(dialect)
    with pytest.raises(LocalProtocolError, match="JSON"):
        client.subscribe("1", Request("q", variables={"a": object()}))

    assert client.live == frozenset()
    assert messages(client) == []


@both
def test_results_are_told(dialect: Dialect) -> None:
    """Any number of them, with their errors."""
    client = subscribed(dialect)
    payload = {"data": {"a": None}, "errors": [{"message": "no"}], "extensions": {"b": 1}}
    result = ExecutionResult({"a": None}, [{"message": "no"}], {"b": 1})

    for _ in range(2):
        text = said(dialect, Kind.NEXT, id="1", payload=payload)
        assert client.receive(text, now=0.0) == [NextReceived("1", result)]
    assert client.live == {"1"}


@both
def test_a_result_that_cannot_be_read_fails_its_operation(dialect: Dialect) -> None:
    """The application is told, and so is the server."""
    client = subscribed(dialect)
    (event,) = client.receive(said(dialect, Kind.NEXT, id="1", payload=[]), now=0.0)

    assert isinstance(event, ErrorReceived)
    assert event.id == "1"
    assert client.live == frozenset()
    assert messages(client) == [{"id": "1", "type": dialect.types[Side.CLIENT, Kind.COMPLETE]}]


@both
def test_an_operation_ends_with_complete(dialect: Dialect) -> None:
    """Once; a second one is ignored."""
    client = subscribed(dialect)
    text = said(dialect, Kind.COMPLETE, id="1")

    assert client.receive(text, now=0.0) == [CompleteReceived("1")]
    assert client.receive(text, now=0.0) == []
    assert client.live == frozenset()


@both
def test_an_operation_ends_with_an_error(dialect: Dialect) -> None:
    """Once; a second one is ignored."""
    client = subscribed(dialect)
    text = said(dialect, Kind.ERROR, id="1", payload=[{"message": "no"}])

    assert client.receive(text, now=0.0) == [ErrorReceived("1", [{"message": "no"}])]
    assert client.receive(text, now=0.0) == []
    assert client.live == frozenset()


@both
def test_an_error_without_an_id_is_told_and_ends_nothing(dialect: Dialect) -> None:
    """AppSync says such."""
    client = subscribed(dialect)

    assert client.receive(said(dialect, Kind.ERROR, payload="no"), now=0.0) == [
        ErrorReceived(None, [{"message": "no"}])
    ]
    assert client.live == {"1"}


@both
@pytest.mark.parametrize("operation_id", ["2", 2, None, ["1"], True])
def test_what_is_said_of_nobodys_operation_is_ignored(dialect: Dialect, operation_id: object) -> None:
    """graphql-ws PROTOCOL.md, "Complete": a normal race."""
    client = subscribed(dialect)
    for kind in (Kind.NEXT, Kind.COMPLETE):
        assert client.receive(said(dialect, kind, id=operation_id, payload={}), now=0.0) == []
    assert client.live == {"1"}


@both
def test_a_server_that_turns_ids_into_numbers_is_understood(dialect: Dialect) -> None:
    """Our ids are digits, and some servers' JSON is loose."""
    client = subscribed(dialect)

    assert client.receive(said(dialect, Kind.COMPLETE, id=1), now=0.0) == [CompleteReceived("1")]


@both
def test_a_client_may_end_an_operation(dialect: Dialect) -> None:
    """What still arrives for it is ignored."""
    client = subscribed(dialect)
    client.complete("1")

    assert messages(client) == [{"id": "1", "type": dialect.types[Side.CLIENT, Kind.COMPLETE]}]
    assert client.receive(said(dialect, Kind.NEXT, id="1", payload={"data": 1}), now=0.0) == []
    with pytest.raises(LocalProtocolError):
        client.complete("1")


@both
def test_a_refusal_is_told_and_then_the_server_may_close(dialect: Dialect) -> None:
    """The close frame says more than the message; nothing else is heard."""
    client = initialised(dialect)
    payload = {"message": "Token invalid"}
    text = json.dumps({"type": "connection_error", "payload": payload})

    assert client.receive(text, now=1.0) == [RefusalReceived("Token invalid", payload)]
    assert client.phase is Phase.REFUSED
    assert client.receive(ACK, now=1.0) == []
    assert client.receive_binary(now=1.0) == []
    assert client.disconnected(4403, "Token invalid") == [Closed(4403, "Token invalid", Side.SERVER)]


@both
def test_a_server_that_does_not_close_after_a_refusal_is_closed(dialect: Dialect) -> None:
    """After a second, with a code that says nothing new."""
    client = initialised(dialect)
    client.receive('{"type": "connection_error"}', now=1.0)

    assert client.deadline == 2.0
    assert client.receive(ACK, now=2.0) == [Closed(1000, "Refused", Side.CLIENT)]
    assert messages(client) == [Close(1000, "Refused")]


@both
def test_who_is_refused_has_nothing_more_to_say(dialect: Dialect) -> None:
    """It is over, and nobody's fault."""
    client = initialised(dialect)
    client.receive('{"type": "connection_error"}', now=0.0)
    for say in (client.initialise, partial(client.subscribe, "1", Request("q")), partial(client.complete, "1")):
        with pytest.raises(ConnectionClosed):
            say()
    client.close(1000)

    assert messages(client) == [Close(1000)]


@both
def test_a_connection_error_after_the_ack_ends_nothing(dialect: Dialect) -> None:
    """subscriptions-transport-ws answers a frame that it cannot read with it."""
    client = subscribed(dialect)

    assert client.receive('{"type": "connection_error", "payload": "?"}', now=0.0) == [RefusalReceived("?", "?")]
    assert client.phase is Phase.ACKNOWLEDGED
    assert client.live == {"1"}
    assert client.deadline is None


@both
def test_keep_alives_are_told(dialect: Dialect) -> None:
    """At any time."""
    for client in (ClientConnection(dialect, now=0.0), initialised(dialect), acknowledged(dialect)):
        assert client.receive('{"type": "ka"}', now=0.0) == [KeepAliveReceived()]


@both
@pytest.mark.parametrize(
    "text", ['{"type": "toast"}', '{"type": "connection_init"}', '{"type": "subscribe", "id": "1"}']
)
def test_a_type_that_is_no_servers_is_ignored(dialect: Dialect, text: str) -> None:
    """A server may be newer than we are."""
    client = subscribed(dialect)

    assert client.receive(text, now=0.0) == []
    assert client.phase is Phase.ACKNOWLEDGED


@both
@pytest.mark.parametrize("text", ["<html>", "[]", "null", "{}", '{"type": 1}'])
def test_what_is_no_message_ends_the_connection(dialect: Dialect, text: str) -> None:
    """4004, as graphql-ws does."""
    client = subscribed(dialect)

    assert client.receive(text, now=0.0) == [Closed(4004, INVALID, Side.CLIENT)]
    assert messages(client) == [Close(4004, INVALID)]
    assert client.live == frozenset()


@both
@pytest.mark.parametrize("rest", [', "payload": {"data": ', ', "payload": {oops}, "id": "2"}', "", ',"type": 1}', "}"])
def test_a_frame_that_is_cut_off_fails_the_operation_it_names(dialect: Dialect, rest: str) -> None:
    """One bad frame fails one operation, if it still says which; the server is told, and the others go on."""
    client = subscribed(dialect)
    client.subscribe("2", Request("{ hello }"))
    client.outgoing()

    beginning = '{"type": "next", "id": 1' if rest.startswith(", ") else '{"id": "1"'
    events = client.receive(beginning + rest, now=0.0)

    assert [(type(event), getattr(event, "id", None)) for event in events] == [(ErrorReceived, "1")]
    assert messages(client) == [{"type": dialect.types[Side.CLIENT, Kind.COMPLETE], "id": "1"}]
    assert client.live == {"2"}
    assert client.receive(beginning + rest, now=0.0) == []


@both
@pytest.mark.parametrize("text", ['{"id": "2", oops}', '{"id": 1', '[{"id": "1"', '{"payload": oops, "id": "1"}'])
def test_a_frame_that_names_nobodys_operation_and_is_no_json_ends_the_connection(dialect: Dialect, text: str) -> None:
    """Nobody can say what was lost with it."""
    assert subscribed(dialect).receive(text, now=0.0) == [Closed(4004, INVALID, Side.CLIENT)]


@both
@pytest.mark.parametrize("payload", [[{"message": "no"}], {"message": "no"}, "no"])
def test_an_error_before_the_ack_is_a_refusal(dialect: Dialect, payload: object) -> None:
    """Nothing else runs yet that it could be about."""
    client = initialised(dialect)

    assert client.receive(said(dialect, Kind.ERROR, payload=payload), now=0.0) == [RefusalReceived("no", payload)]
    assert client.phase is Phase.REFUSED


def test_a_ping_with_an_odd_payload_is_answered_without_it() -> None:
    """So is a pong taken: neither is worth a connection."""
    client = subscribed()

    assert client.receive('{"type": "ping", "payload": [1]}', now=0.0) == [PingReceived(None)]
    assert client.receive('{"type": "pong", "payload": "x"}', now=0.0) == [PongReceived(None)]
    assert messages(client) == [{"type": "pong"}]


@both
def test_a_server_out_of_turn_ends_the_connection(dialect: Dialect) -> None:
    """An ack that nobody asked for, a second one, a result before it."""
    closed = [Closed(4004, INVALID, Side.CLIENT)]

    assert ClientConnection(dialect, now=0.0).receive(ACK, now=0.0) == closed
    assert acknowledged(dialect).receive(ACK, now=0.0) == closed
    assert initialised(dialect).receive(said(dialect, Kind.NEXT, id="1", payload={}), now=0.0) == closed


def test_a_legacy_client_announces_a_normal_end() -> None:
    """subscriptions-transport-ws PROTOCOL.md, "GQL_CONNECTION_TERMINATE"."""
    for client in (initialised(LEGACY), subscribed(LEGACY)):
        assert client.close(1000, "Bye") == [Closed(1000, "Bye", Side.CLIENT)]
        assert client.close(1000) == []
        assert messages(client) == [{"type": "connection_terminate"}, Close(1000, "Bye")]


@pytest.mark.parametrize(
    "client", [ClientConnection(LEGACY, now=0.0), subscribed(LEGACY), acknowledged(TRANSPORT_WS)], ids=str
)
def test_no_other_end_is_announced(client: ClientConnection) -> None:
    """Not before the init, not when something went wrong, not in a dialect without the word."""
    code = 4499 if client.live else 1000
    client.close(code)

    assert messages(client) == [Close(code)]


@both
def test_the_time_to_be_let_in_begins_with_the_handshake(dialect: Dialect) -> None:
    """The caller says how long it may take."""
    client = ClientConnection(dialect, now=5.0, ack_seconds=2.0)
    client.initialise()
    client.outgoing()

    assert client.deadline == 7.0
    assert client.expire(now=7.0) == [Closed(4504, "Connection acknowledgement timeout", Side.CLIENT)]
    with pytest.raises(ConnectionClosed):
        client.initialise()


@both
def test_a_result_is_taken_at_once(dialect: Dialect) -> None:
    """The short cut reads type, id and result in one go, in whatever order they come."""
    client = subscribed(dialect)
    result = {"data": {"hello": "world"}, "errors": [{"message": "no"}], "extensions": {"a": 1}}

    taken = take_result(client, said(dialect, Kind.NEXT, payload=result, id="1", other=[1]))

    assert taken is not None
    assert (taken.id, taken.result) == ("1", ExecutionResult(**result))  # type: ignore[arg-type] # it is one
    assert client.outgoing() == []


@both
def test_results_are_taken_until_something_else_comes(dialect: Dialect) -> None:
    """In their order, and not what stands behind anything that is none."""
    client = subscribed(dialect)
    results = [said(dialect, Kind.NEXT, id="1", payload={"data": number}).encode() for number in range(5)]
    ping = b'{"type":"ping"}'

    for other in (None, ping, b"{", said(dialect, Kind.NEXT, id="2", payload={}).encode()):
        frames: list[bytes | None] = [*results, other, *results]

        assert [each.result.data for each in client.receive_results(frames)] == [0, 1, 2, 3, 4]
        assert client.receive_results(frames[5:]) == []
    assert client.receive_results([]) == []


@both
def test_results_of_several_operations_are_taken_together(dialect: Dialect) -> None:
    """Each is asked for whether it is live, also behind one that is."""
    client = subscribed(dialect)
    client.subscribe("2", Request("subscription { other }"))
    frames = [said(dialect, Kind.NEXT, id=each, payload={}).encode() for each in ("1", "2", "2", "1", "3", "1")]

    assert [each.id for each in client.receive_results(frames)] == ["1", "2", "2", "1"]

    client.complete("2")
    assert [each.id for each in client.receive_results(frames)] == ["1"]


@both
@pytest.mark.parametrize(
    "members",
    [
        {"id": "2", "payload": {"data": None}},
        {"id": 1, "payload": {"data": None}},
        {"id": "1"},
        {"id": "1", "payload": None},
        {"id": "1", "payload": []},
        {"id": "1", "payload": {"errors": "no"}},
        {"payload": {"data": None}},
    ],
)
def test_what_is_odd_about_a_result_goes_the_long_way(dialect: Dialect, members: dict[str, object]) -> None:
    """An unknown operation, an id that is a number, a payload that is no result: nothing happens on the short cut."""
    client = subscribed(dialect)

    assert take_result(client, said(dialect, Kind.NEXT, **members)) is None
    assert client.live == {"1"}
    assert client.outgoing() == []


@both
def test_other_messages_go_the_long_way(dialect: Dialect) -> None:
    """Also where they look like a result, and what is none of ours at all."""
    client = subscribed(dialect)
    words = {dialect.types[Side.SERVER, kind] for kind in (Kind.ERROR, Kind.COMPLETE)} | {"next", "data"}

    for word in words - {dialect.types[Side.SERVER, Kind.NEXT]}:
        assert take_result(client, json.dumps({"type": word, "id": "1", "payload": {"data": None}})) is None
    for text in ("", "[]", "{", "[" * 100_000, b"\xff", '"\ud83d"', '{"type":"\ud83d"}'):
        assert take_result(client, text) is None


@both
def test_no_result_is_taken_outside_of_a_conversation(dialect: Dialect) -> None:
    """Neither before the ack nor after the end; an operation that has ended has no results."""
    text = said(dialect, Kind.NEXT, id="1", payload={"data": None})
    ended, closed = subscribed(dialect), subscribed(dialect)
    ended.complete("1")
    closed.close(1000)

    for client in (ClientConnection(dialect, now=0.0), initialised(dialect), acknowledged(dialect), ended, closed):
        assert take_result(client, text) is None


IDS = st.sampled_from(["1", "1", "1", "2", "", 1, None, True, "\ud83d"])
RESULTS = st.sampled_from(
    ['{"data":null}', '{"data":{"a":[1,"b"]},"errors":[{"message":"no"}]}', "{}", "null", "[]", "1e400", '"\\ud83d"',
     '{"data":1e400}', '{"data":"\\ud83d"}', '{"errors":[1]}', '{"extensions":[]}', '{"data":1,"data":2,"more":{}}']
)  # fmt: skip
MEMBERS = st.one_of(
    st.tuples(
        st.just('"type"'), st.sampled_from(["next", "data", "next", "data", "complete", 1, None]).map(json.dumps)
    ),
    st.tuples(st.just('"id"'), IDS.map(json.dumps)),
    st.tuples(st.just('"payload"'), RESULTS),
    st.tuples(st.text().map(json.dumps), st.integers().map(str)),
)
FRAMES = st.one_of(
    st.lists(MEMBERS, max_size=6).map(lambda members: "{" + ",".join(map(":".join, members)) + "}"),
    st.text(),
    st.binary(),
)


@both
@given(frame=FRAMES, cut=st.integers(0, 3))
@example(frame='{"type":"ping","type":"next","type":"data","id":"2","id":"1","payload":{"data":1}}', cut=0)
@example(frame='{"id":"1","payload":{"data":1}}', cut=0)
def test_the_short_cut_sees_what_the_long_way_sees(dialect: Dialect, frame: bytes | str, cut: int) -> None:
    """Members twice, missing, odd or cut off: either it has nothing to say, or it says the same."""
    client = subscribed(dialect)
    text = frame[: len(frame) - cut]

    taken = take_result(client, text)
    expected = client.receive(text, now=0.0)

    assert taken is None or expected == [NextReceived(taken.id, taken.result)]
    assert taken is None or client.outgoing() == []
