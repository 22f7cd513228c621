import json
from functools import partial

import pytest

from gqlink.errors import ConnectionClosed, LocalProtocolError
from gqlink.protocol import (
    LEGACY,
    TRANSPORT_WS,
    ClientConnection,
    Close,
    Closed,
    Dialect,
    Frame,
    Phase,
    PingReceived,
    PongReceived,
    ServerConnection,
    Side,
    Text,
)

Machine = ClientConnection | ServerConnection


def acknowledged(side: Side, dialect: Dialect = TRANSPORT_WS) -> Machine:
    """Return a machine of that side that is past the ack."""
    if side is Side.SERVER:
        server = ServerConnection(dialect, now=0.0)
        server.receive('{"type": "connection_init"}', now=0.0)
        server.acknowledge()
        server.outgoing()
        return server
    client = ClientConnection(dialect, now=0.0)
    client.initialise()
    client.receive('{"type": "connection_ack"}', now=0.0)
    client.outgoing()
    return client


def messages(machine: Machine) -> list[object]:
    return [json.loads(frame.data) if isinstance(frame, Text) else frame for frame in machine.outgoing()]


both = pytest.mark.parametrize("side", Side)


@both
def test_each_frame_is_handed_out_once(side: Side) -> None:
    """The oldest first."""
    machine = acknowledged(side)
    machine.ping({"a": 1})
    machine.ping()

    assert messages(machine) == [{"type": "ping", "payload": {"a": 1}}, {"type": "ping"}]
    assert messages(machine) == []


@both
def test_a_ping_is_answered_and_told(side: Side) -> None:
    """The pong is on its way when the application hears of the ping."""
    machine = acknowledged(side)

    assert machine.receive('{"type": "ping", "payload": {"a": 1}}', now=0.0) == [PingReceived({"a": 1})]
    assert messages(machine) == [{"type": "pong", "payload": {"a": 1}}]


@both
def test_a_ping_with_a_token_is_told_but_not_echoed(side: Side) -> None:
    """The application gets the renewal; the wire does not get the token a second time."""
    machine = acknowledged(side)
    payload = {"gqlink": {"accessToken": "a", "seq": 1}, "at": 1}

    assert machine.receive(json.dumps({"type": "ping", "payload": payload}), now=0.0) == [PingReceived(payload)]
    assert messages(machine) == [{"type": "pong"}]


@both
def test_a_pong_is_told(side: Side) -> None:
    """Asked or unasked."""
    machine = acknowledged(side)

    assert machine.receive('{"type": "pong", "payload": {"a": 1}}', now=0.0) == [PongReceived({"a": 1})]
    assert machine.receive('{"type": "pong"}', now=0.0) == [PongReceived(None)]
    assert messages(machine) == []


@both
def test_a_pong_may_be_said_unasked(side: Side) -> None:
    """graphql-ws PROTOCOL.md, "Pong"."""
    machine = acknowledged(side)
    machine.pong({"a": 1})

    assert messages(machine) == [{"type": "pong", "payload": {"a": 1}}]


@pytest.mark.parametrize("payload", ["[]", '"a"', "1"])
@pytest.mark.parametrize("word", ["ping", "pong"])
def test_a_ping_or_pong_with_another_payload_is_no_message_for_a_server(payload: str, word: str) -> None:
    """graphql-ws PROTOCOL.md, "Invalid message"; a client is more tolerant."""
    machine = acknowledged(Side.SERVER)
    (event,) = machine.receive(f'{{"type": "{word}", "payload": {payload}}}', now=0.0)

    assert isinstance(event, Closed)
    assert event.code == 4400


@both
def test_the_legacy_dialect_has_no_ping_to_say(side: Side) -> None:
    """Its stock client throws on it; nothing is sent."""
    machine = acknowledged(side, LEGACY)
    for say in (machine.ping, partial(machine.pong, {})):
        with pytest.raises(LocalProtocolError, match="graphql-ws has no"):
            say()

    assert messages(machine) == []


@pytest.mark.parametrize("machine", [ServerConnection(TRANSPORT_WS, now=0.0), ClientConnection(TRANSPORT_WS, now=0.0)])
def test_nobody_pings_before_the_ack(machine: Machine) -> None:
    """Some clients fail on it."""
    for say in (machine.ping, partial(machine.pong, {})):
        with pytest.raises(LocalProtocolError, match="opened"):
            say()

    assert messages(machine) == []


@both
def test_a_close_is_the_last_word(side: Side) -> None:
    """What was said before still goes out; nothing comes after it, and nobody hears anything more."""
    machine = acknowledged(side)
    machine.ping()

    assert machine.close(1001, "Going away") == [Closed(1001, "Going away", side)]
    assert machine.phase is Phase.CLOSED
    assert machine.close(1000) == []
    assert machine.receive('{"type": "ping"}', now=0.0) == []
    assert machine.receive_binary(now=0.0) == []
    assert machine.expire(now=1e9) == []
    assert machine.disconnected(1000) == []
    with pytest.raises(ConnectionClosed):
        machine.ping()
    assert messages(machine) == [{"type": "ping"}, Close(1001, "Going away")]


@both
@pytest.mark.parametrize("code", [1005, 1006, 1015, 42, 5000])
def test_a_code_that_no_frame_may_carry_is_our_fault(side: Side, code: int) -> None:
    """RFC 6455, section 7.4: nothing was sent, and the conversation lives."""
    machine = acknowledged(side)
    with pytest.raises(LocalProtocolError, match=str(code)):
        machine.close(code)

    assert machine.phase is Phase.ACKNOWLEDGED
    assert messages(machine) == []


@both
def test_a_long_reason_is_cut(side: Side) -> None:
    """The event says what the frame says."""
    machine = acknowledged(side)

    assert machine.close(4400, "é" * 100) == [Closed(4400, "é" * 61, side)]
    assert messages(machine) == [Close(4400, "é" * 61)]


@both
def test_a_lost_connection_takes_what_was_not_sent_with_it(side: Side) -> None:
    """Nothing can be sent any more."""
    machine = acknowledged(side)
    machine.ping()

    assert machine.disconnected(1006) == [Closed(1006, "", Side.CLIENT if side is Side.SERVER else Side.SERVER)]
    assert machine.phase is Phase.CLOSED
    assert messages(machine) == []


@both
def test_a_binary_frame_is_no_message(side: Side) -> None:
    """Neither subprotocol knows one."""
    machine = acknowledged(side)
    (event,) = machine.receive_binary(now=0.0)

    assert isinstance(event, Closed)
    assert event.by is side


@both
def test_text_and_bytes_are_the_same(side: Side) -> None:
    """A WebSocket library may hand out either."""
    for text in ('{"type": "ping"}', b'{"type": "ping"}'):
        assert acknowledged(side).receive(text, now=0.0) == [PingReceived(None)]


@pytest.mark.parametrize(
    ("machine", "frame"),
    [
        (ServerConnection(TRANSPORT_WS, now=5.0), Close(4408, "Connection initialisation timeout")),
        (ClientConnection(TRANSPORT_WS, now=5.0), Close(4504, "Connection acknowledgement timeout")),
    ],
)
def test_the_last_moment_belongs_to_the_deadline(machine: Machine, frame: Frame) -> None:
    """A message that arrives with it is too late, text or binary."""
    assert machine.deadline == 15.0
    assert machine.expire(now=14.999) == []
    assert len(machine.receive('{"type": "ping"}', now=15.0)) == 1
    assert machine.deadline is None
    assert messages(machine) == [frame]


@pytest.mark.parametrize("machine", [ServerConnection(LEGACY, now=0.0), ClientConnection(LEGACY, now=0.0)])
def test_a_binary_frame_may_be_too_late_too(machine: Machine) -> None:
    """The deadline is looked at first."""
    (event,) = machine.receive_binary(now=10.0)

    assert isinstance(event, Closed)
    assert event.code in {4408, 4504}


@both
def test_after_the_ack_nothing_is_awaited(side: Side) -> None:
    """A connection may be idle for days."""
    machine = acknowledged(side)

    assert machine.deadline is None
    assert machine.expire(now=1e9) == []
