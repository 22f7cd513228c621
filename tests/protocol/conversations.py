"""What may happen in a conversation, and what must always hold: shared by the state machines and the fuzzer.

A watched machine has somebody who looks over its shoulder: after each move the promises of the protocol are checked
against a model that is kept from events and frames alone. The moves are the grammar: a finite alphabet of everything
that a peer may send, good and bad, and everything that an application may decide.
"""

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from gqlink.errors import ConnectionClosed, LocalProtocolError
from gqlink.protocol import (
    AckReceived,
    ClientConnection,
    Close,
    Closed,
    CompleteReceived,
    ConnectionLimits,
    Dialect,
    ErrorReceived,
    Event,
    Frame,
    InitReceived,
    Kind,
    NextReceived,
    Phase,
    RefusalReceived,
    Request,
    ServerConnection,
    Side,
    SubscribeReceived,
    Text,
)
from gqlink.protocol.closing import is_sendable

LIMITS = ConnectionLimits(init_seconds=5, message_bytes=600, operations=3, nesting=20)
IDS = ("1", "2", "3", "😀", "a" * 128)
RESULTS = (b'{"data":{"hello":"world"}}', b'{"data":null,"errors":[{"message":"no"}]}')
ERRORS: tuple[list[dict[str, object]], ...] = (
    [{"message": "no"}],
    [{"message": "a"}, {"message": "b", "extensions": {"code": "X"}}],
)
CLOSES = ((1000, ""), (1012, "Service restart"), (4403, "Token expired"), (4400, "ü" * 200), (1006, "no frame has it"))
SECONDS = (0.5, 4.9, 5.0, 60.0)

Move = tuple[str, Callable[[], None]]
Moves = tuple[tuple[Move, ...], tuple[Move, ...]]
"""What leaves a conversation alive, and what ends it."""


class Watched:
    """One machine, and what has been seen of it.

    Args:
        machine: The one to watch.
    """

    def __init__(self, machine: ClientConnection | ServerConnection) -> None:
        self.machine = machine
        self.now = 0.0
        self.acknowledged = False
        self.ended = False
        self.running = set[str]()
        self.frames = 0
        self.sent = deque[Frame]()
        """What has been said and not been taken from here."""

    def hear(self, text: bytes | str) -> None:
        """Receive a text frame; whatever it is, this does not raise."""
        self.check(self.machine.receive(text, now=self.now))

    def hear_binary(self) -> None:
        """Receive a binary frame."""
        self.check(self.machine.receive_binary(now=self.now))

    def lose(self, code: int = 1006, reason: str = "") -> None:
        """Lose the socket."""
        self.check(self.machine.disconnected(code, reason))

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.check(self.machine.expire(now=self.now))

    def decide(self, do: Callable[[], Sequence[Event] | None]) -> bool:
        """Let the application do something; what is refused has sent nothing and changed nothing."""
        before = (self.machine.phase, self.machine.live, self.machine.deadline)
        try:
            events = do()
        except (LocalProtocolError, ConnectionClosed):
            assert (self.machine.phase, self.machine.live, self.machine.deadline) == before
            assert self.machine.outgoing() == []
            return False
        self.check(events or [])
        return True

    def check(self, events: Sequence[Event]) -> None:
        """Look at what came of a move."""
        frames = self.machine.outgoing()
        assert not (self.ended and (frames or events)), "nothing follows a close"
        for frame in frames:
            self.check_frame(frame, last=frame is frames[-1])
        for event in events:
            if isinstance(event, Closed):
                assert event is events[-1]
                self.ended = True
                self.running.clear()
            else:
                self.check_event(event)
        self.sent += frames
        self.frames += len(frames)
        assert self.ended == (self.machine.phase is Phase.CLOSED), "a close is told"
        assert any(isinstance(frame, Close) for frame in frames) <= self.ended
        assert self.machine.live >= self.running
        assert self.machine.live == self.running or self.machine.phase is Phase.INITIALISED
        assert (self.machine.deadline is None) == (self.ended or self.machine.phase is Phase.ACKNOWLEDGED)

    def check_frame(self, frame: Frame, *, last: bool) -> None:
        """A frame is a message of ours as JSON, or the close, which is the last."""
        match frame:
            case Close(code, reason):
                assert last
                assert is_sendable(code)
                assert len(reason.encode()) <= 123
            case Text(data):
                message = json.loads(data.decode())
                kinds = {word: kind for (side, kind), word in self.machine.dialect.types.items() if side is self.side}
                self.check_message(kinds[message["type"]], message)

    @property
    def side(self) -> Side:
        """Which half it is."""
        return self.machine.side

    def check_message(self, kind: Kind, message: dict[str, object]) -> None:
        """Hold one message of ours against what has been seen."""
        raise NotImplementedError

    def check_event(self, event: Event) -> None:
        """Hold one event against what has been seen."""
        raise NotImplementedError


class WatchedServer(Watched):
    """The server's half."""

    def __init__(self, dialect: Dialect) -> None:
        self.server = ServerConnection(dialect, now=0.0, limits=LIMITS)
        super().__init__(self.server)
        self.initialised = False

    def acknowledge(self) -> None:
        """Let the client in."""
        self.decide(self._acknowledge)

    def _acknowledge(self) -> Sequence[Event]:
        events = self.server.acknowledge({"gqlink": {"version": 1}})
        self.acknowledged = True
        return events

    def refuse(self, code: int, reason: str) -> None:
        """Turn the client away."""
        self.decide(partial(self.server.refuse, code, reason))

    def close(self, code: int, reason: str) -> None:
        """End it."""
        self.decide(partial(self.server.close, code, reason))

    def next(self, operation_id: str, payload: bytes) -> None:
        """Say a result."""
        assert self.decide(partial(self.server.next, operation_id, payload)) == (operation_id in self.running)

    def end(self, operation_id: str, errors: Sequence[dict[str, object]] | None) -> None:
        """End an operation, with errors or without."""
        was_running = operation_id in self.running
        self.running.discard(operation_id)
        done = self.decide(
            partial(self.server.complete, operation_id)
            if errors is None
            else partial(self.server.error, operation_id, errors)
        )
        assert done == was_running, "an operation ends exactly once"

    def check(self, events: Sequence[Event]) -> None:
        """See also that what the client can make grow is bounded."""
        super().check(events)
        assert len(self.server.live) <= LIMITS.operations
        assert all(0 < len(operation_id.encode()) <= LIMITS.operation_id_bytes for operation_id in self.server.live)
        held = self.server._held
        assert held.keys() == (self.server.live if self.server.phase is Phase.INITIALISED else set())
        assert sum(envelope.size for envelope in held.values()) <= LIMITS.message_bytes

    def check_message(self, kind: Kind, message: dict[str, object]) -> None:
        """Results are of running operations; the machine's own answers are not."""
        match kind:
            case Kind.NEXT:
                assert message["id"] in self.running
            case Kind.ERROR:
                assert message["id"] not in self.running
                assert self.acknowledged
            case Kind.COMPLETE:
                assert self.acknowledged
            case Kind.CONNECTION_ACK:
                assert self.initialised
            case _:
                pass

    def check_event(self, event: Event) -> None:
        """Nothing is told before the ack, and nothing twice."""
        match event:
            case InitReceived():
                assert not self.initialised
                self.initialised = True
            case SubscribeReceived(id=operation_id):
                assert self.acknowledged, "nothing runs before the ack"
                assert operation_id not in self.running
                self.running.add(operation_id)
            case CompleteReceived(id=operation_id):
                assert operation_id in self.running, "an operation ends exactly once"
                self.running.remove(operation_id)
            case _:
                pass


class WatchedClient(Watched):
    """The client's half."""

    def __init__(self, dialect: Dialect) -> None:
        self.client = ClientConnection(dialect, now=0.0, ack_seconds=5.0)
        super().__init__(self.client)
        self.refused = False

    def initialise(self) -> None:
        """Ask to be let in."""
        self.decide(partial(self.client.initialise, {"accessToken": None}))

    def subscribe(self, operation_id: str) -> None:
        """Start an operation."""
        fresh = operation_id not in self.running
        if self.client.phase is Phase.ACKNOWLEDGED:
            self.running.add(operation_id)
        done = self.decide(partial(self.client.subscribe, operation_id, Request("{ hello }", variables={"a": 1})))
        assert done == (fresh and self.acknowledged and not self.ended)

    def complete(self, operation_id: str) -> None:
        """End an operation."""
        was_running = operation_id in self.running
        self.running.discard(operation_id)
        assert self.decide(partial(self.client.complete, operation_id)) == was_running

    def close(self, code: int, reason: str) -> None:
        """End it."""
        self.decide(partial(self.client.close, code, reason))

    def check_message(self, kind: Kind, message: dict[str, object]) -> None:
        """Operations are asked for after the ack only."""
        assert kind is not Kind.SUBSCRIBE or (self.acknowledged and message["id"] in self.running)

    def check_event(self, event: Event) -> None:
        """What is told is of running operations, and each ends once."""
        assert not self.refused, "a refusal is the last that is heard"
        match event:
            case AckReceived():
                assert not self.acknowledged
                self.acknowledged = True
            case NextReceived(id=operation_id):
                assert operation_id in self.running
            case CompleteReceived(id=operation_id) | ErrorReceived(id=str(operation_id)):
                assert operation_id in self.running, "an operation ends exactly once"
                self.running.remove(operation_id)
            case RefusalReceived():
                self.refused = not self.acknowledged
            case _:
                pass


class WatchedPair:
    """Both machines, and two wires on which frames travel one by one, so that they can cross.

    Ids are fresh, as those of our client are: with an id that is used again at once, a frame for its former owner
    could still be on its way.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.server = WatchedServer(dialect)
        self.client = WatchedClient(dialect)
        self.used = 0

    def let_in(self) -> None:
        """Go through the beginning as it should be."""
        self.client.initialise()
        self.carry(Side.CLIENT)
        self.server.acknowledge()
        self.carry(Side.SERVER)

    def subscribe(self) -> None:
        """Start an operation with a fresh id."""
        self.used += 1
        self.client.subscribe(str(self.used))

    def complete(self, which: int) -> None:
        """Let the client end one of the operations."""
        self.client.complete(str(self.used - which))

    def next(self, which: int) -> None:
        """Let the server say a result."""
        self.server.next(str(self.used - which), RESULTS[0])

    def end(self, which: int, errors: Sequence[dict[str, object]] | None) -> None:
        """Let the server end one of the operations."""
        self.server.end(str(self.used - which), errors)

    def carry(self, side: Side) -> None:
        """Bring the oldest frame of one side to the other; neither side finds fault with what the other says."""
        source, target = (self.client, self.server) if side is Side.CLIENT else (self.server, self.client)
        if source.sent:
            match source.sent.popleft():
                case Text(data):
                    target.hear(data)
                case Close(code, reason):
                    target.lose(code, reason)
        self.check()

    def wait(self, seconds: float) -> None:
        """Let time pass on both sides."""
        self.client.wait(seconds)
        self.server.wait(seconds)
        self.check()

    def check(self) -> None:
        """The machines understand each other: no close that blames the other side."""
        for watched, faults in ((self.client, {4004}), (self.server, {4400, 4401, 4409, 4429})):
            last = watched.sent[-1] if watched.sent else None
            assert not (isinstance(last, Close) and last.code in faults and last.reason != "ü" * 61), last


def server_moves(server: WatchedServer) -> Moves:
    """Return everything that an application of the server may decide."""
    return tuple(_server_decisions(server)), (
        *((f"refuse {code}", partial(server.refuse, code, reason)) for code, reason in CLOSES),
        *((f"close {code}", partial(server.close, code, reason)) for code, reason in CLOSES),
        *_losses(server),
    )


def _server_decisions(server: WatchedServer) -> Iterator[Move]:
    for _ in range(4):
        yield "acknowledge", server.acknowledge
    yield "acknowledge unwritable", lambda: _unwritable(server)
    for operation_id in IDS:
        yield f"next {operation_id}", partial(server.next, operation_id, RESULTS[0])
        yield f"next {operation_id}", partial(server.next, operation_id, RESULTS[1])
        yield f"complete {operation_id}", partial(server.end, operation_id, None)
        for errors in ERRORS:
            yield f"error {operation_id}", partial(server.end, operation_id, errors)
    yield "no errors", lambda: _must_refuse(server, partial(server.server.error, "1", []))
    yield "keep alive", lambda: _ignore(server.decide(server.server.keep_alive))
    yield from _signs_of_life(server)


def client_moves(client: WatchedClient) -> Moves:
    """Return everything that an application of the client may decide."""
    return tuple(_client_decisions(client)), (
        *((f"close {code}", partial(client.close, code, reason)) for code, reason in CLOSES),
        *_losses(client),
    )


def _client_decisions(client: WatchedClient) -> Iterator[Move]:
    yield "initialise", client.initialise
    yield "unwritable", lambda: _must_refuse(client, partial(client.client.initialise, {"a": object()}))
    for operation_id in IDS:
        yield f"subscribe {operation_id}", partial(client.subscribe, operation_id)
        yield f"subscribe {operation_id}", partial(client.subscribe, operation_id)
        yield f"complete {operation_id}", partial(client.complete, operation_id)
    yield "empty id", lambda: _must_refuse(client, partial(client.client.subscribe, "", Request("q")))
    yield from _signs_of_life(client)


def pair_moves(pair: WatchedPair) -> Moves:
    """Return everything that the two applications and the wires may do."""
    return tuple(_pair_decisions(pair)), (
        ("refuse", partial(pair.server.refuse, 4403, "Token expired")),
        ("server closes", partial(pair.server.close, 1012, "Service restart")),
        ("client closes", partial(pair.client.close, 1000, "")),
        ("wait", partial(pair.wait, 5.0)),
    )


def _pair_decisions(pair: WatchedPair) -> Iterator[Move]:
    for _ in range(6):
        yield "to the server", partial(pair.carry, Side.CLIENT)
        yield "to the client", partial(pair.carry, Side.SERVER)
    for _ in range(2):
        yield "initialise", pair.client.initialise
        yield "acknowledge", pair.server.acknowledge
        yield "subscribe", pair.subscribe
        yield "subscribe", pair.subscribe
    for which in range(3):
        yield f"client completes {which}", partial(pair.complete, which)
        yield f"next {which}", partial(pair.next, which)
        yield f"complete {which}", partial(pair.end, which, None)
        yield f"error {which}", partial(pair.end, which, ERRORS[which % 2])
    for watched in (pair.client, pair.server):
        yield "ping", partial(_ping, watched)
        yield "pong", partial(_pong, watched)
    yield "keep alive", lambda: _ignore(pair.server.decide(pair.server.server.keep_alive))
    yield "wait", partial(pair.wait, 0.01)


def _signs_of_life(watched: Watched) -> Iterator[Move]:
    yield "wait", partial(watched.wait, 0.01)
    yield "ping", partial(_ping, watched)
    yield "pong", partial(_pong, watched)


def _losses(watched: Watched) -> Iterator[Move]:
    for seconds in SECONDS:
        yield f"wait {seconds}", partial(watched.wait, seconds)
    yield "binary", watched.hear_binary
    yield "lost", watched.lose
    yield "left", partial(watched.lose, 1001, "Going away")


def _ping(watched: Watched) -> None:
    watched.decide(partial(watched.machine.ping, {"at": 1}))


def _pong(watched: Watched) -> None:
    watched.decide(partial(watched.machine.pong, {"at": 1}))


def _unwritable(server: WatchedServer) -> None:
    _must_refuse(server, partial(server.server.acknowledge, {"a": object()}))


def _must_refuse(watched: Watched, do: Callable[[], Sequence[Event] | None]) -> None:
    assert not watched.decide(do)


def _ignore(_: object) -> None:
    """Whether it was legal does not matter here."""


Texts = tuple[tuple[str, ...], tuple[str, ...]]
"""What leaves a connection alive most of the time, and what often ends it."""


def heard_by_a_server(dialect: Dialect) -> Texts:
    """Return what clients may say: each word, with ids and payloads of all kinds, and what is no message."""
    start, stop = dialect.types[Side.CLIENT, Kind.SUBSCRIBE], dialect.types[Side.CLIENT, Kind.COMPLETE]
    good = [_message(word, id=operation_id, payload=REQUEST) for word in (start, stop, stop) for operation_id in IDS]
    large = [_message(start, id=operation_id, payload={"query": "x" * 300}) for operation_id in IDS]
    pings = ["ping", "pong"] * 4 if (Side.CLIENT, Kind.PING) in dialect.types else []
    return (*good, *good, *large, *_failing(start), *map(_message, pings)), tuple(_everything(_words(dialect)))


def heard_by_a_client(dialect: Dialect) -> Texts:
    """Return what servers may say."""
    words = [dialect.types[Side.SERVER, kind] for kind in (Kind.NEXT, Kind.ERROR, Kind.COMPLETE)]
    good = [_message(word, id=operation_id, payload=RESULT) for word in words for operation_id in IDS]
    failing = [text for word in words for text in _failing(word)]
    heard = ["ka", "toast", "pong", "connection_error"]
    return (*good, *good, *failing, *map(_message, heard)), tuple(
        _everything([*_words(dialect), "ka", "connection_error"])
    )


def _failing(word: str) -> Iterator[str]:
    """What may fail an operation, but no connection."""
    for payload in PAYLOADS:
        yield _message(word, id="1", payload=payload)
    for unreadable in UNREADABLE:
        yield f'{{"id":"1","type":"{word}","payload":{unreadable}}}'
        yield f'{{"type":"{word}","payload":{{"query":"q","variables":{{"a":{unreadable}}}}},"id":"2"}}'


REQUEST: dict[str, object] = {"query": "{ hello }"}
RESULT: dict[str, object] = {"data": {"hello": "world"}}
PAYLOADS: tuple[object, ...] = (
    REQUEST, RESULT, None, {}, [], "text", 1, {"query": 1}, {"query": "q", "variables": []}, {"message": "no"},
    {"errors": [{"message": "no"}]}, [{"message": "no"}], {"gqlink": {"accessToken": "a", "seq": 1}},
    {"query": "x" * 400},
)  # fmt: skip
ODD_IDS: tuple[object, ...] = ("", "a" * 129, "é" * 65, 1, None, True, ["1"], {"id": "1"}, 1.5)
NO_MESSAGES = (
    "", "not json", "[]", "null", '"x"', "1", "{}", '{"type":1}', '{"type":"toast"}', '{"type":"ping"}x', "[" * 500,
    "x" * 601, '{"type":"\\ud83d"}', "\ud83d", '{"type":"connection_init","payload":{"a":"\ud83d"}}', '{"a":1e400}',
)  # fmt: skip
# In place of a payload: what only a second reading can make anything of.
UNREADABLE = ('"\\ud83d"', "1e400", "9" * 450, "[" * 100 + "]" * 100, '{"a":' * 50, "NaN", '"\ud83d"')


def _words(dialect: Dialect) -> list[str]:
    return sorted(set(dialect.types.values()))


def _everything(words: Sequence[str]) -> Iterator[str]:
    yield from NO_MESSAGES
    for word in words:
        yield _message(word)
        for payload in PAYLOADS:
            yield _message(word, payload=payload)
        for operation_id in ODD_IDS:
            yield _message(word, id=operation_id, payload=REQUEST)
        yield from _failing(word)


def _message(word: str, **members: object) -> str:
    return json.dumps({"type": word, **members}, ensure_ascii=False)
