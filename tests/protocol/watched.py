"""What must always hold in a conversation: shared by the state machines and the fuzzer.

A watched machine has somebody who looks over its shoulder: after each move the promises of the protocol are checked
against a model that is kept from events and frames alone. Three classes, because the two sides and the pair promise
different things and check them alike.
"""

import json
from collections import deque
from collections.abc import Callable, Sequence
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
    ResultMessage,
    ServerConnection,
    Side,
    SubscribeReceived,
    Text,
)
from gqlink.protocol.closing import is_sendable

LIMITS = ConnectionLimits(init_seconds=5, message_bytes=600, operations=3, nesting=20)
_RESULT = b'{"data":null}'


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
        held = self.server._held or {}
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


def take_result(client: ClientConnection, text: bytes | str) -> ResultMessage | None:
    """Offer one frame to the short cut, which takes it if it has something to say, and else leaves it."""
    taken = client.receive_results([text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")])
    assert len(taken) <= 1
    return taken[0] if taken else None


class WatchedClient(Watched):
    """The client's half."""

    def __init__(self, dialect: Dialect) -> None:
        self.client = ClientConnection(dialect, now=0.0, ack_seconds=5.0)
        super().__init__(self.client)
        self.refused = False

    def hear(self, text: bytes | str) -> None:
        """Receive a text frame; the short cut sees in it what the long way does, or nothing, and does nothing."""
        taken = take_result(self.client, text)
        events = self.client.receive(text, now=self.now)
        assert taken is None or events == [NextReceived(taken.id, taken.result)]
        self.check(events)

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
        self.server.next(str(self.used - which), _RESULT)

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
            assert not (isinstance(last, Close) and last.code in faults), last
