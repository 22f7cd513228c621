"""Playing transcripts against either machine, and against both joined.

Whatever a machine says must stand in the transcript at that place, and the other way round; a deviation raises
AssertionError with the page and the line.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, cast

import msgspec

from gqlink.protocol import (
    ClientConnection,
    Closed,
    CompleteReceived,
    ErrorReceived,
    Event,
    Frame,
    Kind,
    NextReceived,
    Request,
    ServerConnection,
    Side,
    SubscribeReceived,
)
from gqlink.protocol.messages import read_errors
from gqlink.testing.matching import require_match
from gqlink.testing.transcripts import CloseLine, FrameLine, WaitLine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gqlink.testing.transcripts import Dialogue, Line

__all__ = ("play_client", "play_joined", "play_server")


def play_server(dialogue: Dialogue) -> None:
    """Play a dialogue against the server machine: the client's lines are fed, the server's are expected."""
    player = _ServerPlayer(dialogue)
    for position, line in enumerate(dialogue.lines):
        match line:
            case WaitLine():
                player.wait(line)
            case FrameLine() | CloseLine() if line.speaker is Side.SERVER:
                player.say(line, following=dialogue.lines[position + 1 :])
            case FrameLine() | CloseLine():
                player.hear(line)
    player.finish()


def play_client(dialogue: Dialogue) -> None:
    """Play a dialogue against the client machine: the server's lines are fed, the client's are expected."""
    player = _ClientPlayer(dialogue)
    for line in dialogue.lines:
        match line:
            case WaitLine():
                player.wait(line)
            case FrameLine() | CloseLine() if line.speaker is Side.CLIENT:
                player.say(line)
            case FrameLine() | CloseLine():
                player.hear(line)
    player.finish()


def play_joined(dialogue: Dialogue) -> None:
    """Play a dialogue between both machines: each line is expected of one and then fed to the other."""
    server, client = _ServerPlayer(dialogue), _ClientPlayer(dialogue)
    for position, line in enumerate(dialogue.lines):
        match line:
            case WaitLine():
                server.wait(line)
                client.wait(line)
            case FrameLine() | CloseLine() if line.speaker is Side.SERVER:
                server.say(line, following=dialogue.lines[position + 1 :])
                client.hear(line)
            case FrameLine() | CloseLine():
                client.say(line)
                server.hear(line)
    server.finish()
    client.finish()


class _Player:
    """One machine with what it has said and nobody has read yet."""

    def __init__(self, dialogue: Dialogue, machine: ClientConnection | ServerConnection) -> None:
        self.dialogue = dialogue
        self.machine = machine
        self.now = 0.0
        self.said = deque[Frame]()

    def wait(self, line: WaitLine) -> None:
        self.now += line.seconds
        self.took(self.machine.expire(now=self.now))

    def hear(self, line: FrameLine | CloseLine) -> None:
        """Feed a line of the peer; whatever this machine said before must have been read by now."""
        self.require_silence(line)
        match line:
            case CloseLine():
                self.took(self.machine.disconnected(line.code, line.reason))
            case FrameLine(text=None):
                self.took(self.machine.receive_binary(now=self.now))
            case FrameLine(text=text):
                self.took(self.machine.receive(str(text), now=self.now))

    def expect(self, line: FrameLine | CloseLine) -> None:
        """Take the oldest frame, which must be that of the line."""
        if not self.said:
            raise AssertionError(f"{self.dialogue.name}, line {line.number}: the {self.machine.side} said nothing")
        require_match(self.dialogue, line, self.said.popleft(), exactly=True)

    def took(self, events: Sequence[Event]) -> None:
        del events
        self.said += self.machine.outgoing()

    def require_silence(self, line: Line | None) -> None:
        where = f"line {line.number}" if line else "the end"
        if self.said:
            raise AssertionError(f"{self.dialogue.name}, before {where}: also said: {self.said[0]}")

    def finish(self) -> None:
        self.require_silence(None)


class _ServerPlayer(_Player):
    def __init__(self, dialogue: Dialogue) -> None:
        self.server = ServerConnection(dialogue.dialect, now=0.0, limits=dialogue.limits)
        self.running = set[str]()
        super().__init__(dialogue, self.server)

    def say(self, line: FrameLine | CloseLine, *, following: Sequence[Line]) -> None:
        if line.decided:
            self.require_silence(line)
            self.took(self.decide(line, following))
        self.expect(line)

    def took(self, events: Sequence[Event]) -> None:
        """Keep account of the operations that the application was told of."""
        super().took(events)
        for event in events:
            match event:
                case SubscribeReceived(id=operation_id):
                    self.running.add(operation_id)
                case CompleteReceived(id=operation_id):
                    self.running.discard(operation_id)
                case Closed():
                    self.running.clear()

    def decide(self, line: FrameLine | CloseLine, following: Sequence[Line]) -> Sequence[Event]:
        """Do what an application does that says this line."""
        if isinstance(line, CloseLine):
            return self.server.close(line.code, line.reason)
        message = _message(line)
        payload, operation_id = message.get("payload"), str(message.get("id"))
        match self.dialogue.dialect.kind(Side.SERVER, str(message.get("type"))):
            case Kind.CONNECTION_ACK:
                return self.server.acknowledge(_object(payload))
            case Kind.CONNECTION_ERROR:
                return self.refuse(line, following)
            case Kind.NEXT:
                self.require_running(line, operation_id)
                self.server.next(operation_id, msgspec.json.encode(payload))
            case Kind.ERROR:
                self.require_running(line, operation_id)
                self.running.discard(operation_id)
                self.server.error(operation_id, read_errors(payload))
            case Kind.COMPLETE:
                self.require_running(line, operation_id)
                self.running.discard(operation_id)
                self.server.complete(operation_id)
            case Kind.PING:
                self.server.ping(_object(payload))
            case Kind.PONG:
                self.server.pong(_object(payload) or {})
            case _:
                self.server.keep_alive()
        return []

    def refuse(self, line: Line, following: Sequence[Line]) -> Sequence[Event]:
        """The message and the close that comes after it are one decision."""
        close = next((item for item in following if isinstance(item, CloseLine)), None)
        if close is None:
            raise AssertionError(f"{self.dialogue.name}, line {line.number}: a refusal needs a close after it")
        return self.server.refuse(close.code, close.reason)

    def require_running(self, line: Line, operation_id: str) -> None:
        if operation_id not in self.running:
            raise AssertionError(f"{self.dialogue.name}, line {line.number}: the application knows no {operation_id}")


class _ClientPlayer(_Player):
    def __init__(self, dialogue: Dialogue) -> None:
        self.client = ClientConnection(dialogue.dialect, now=0.0)
        self.running = set[str]()
        super().__init__(dialogue, self.client)

    def say(self, line: FrameLine | CloseLine) -> None:
        if line.decided:
            self.require_silence(line)
            self.decide(line)
            self.took([])
        self.expect(line)

    def took(self, events: Sequence[Event]) -> None:
        """Keep account of the operations: nothing may be told of one that is over."""
        super().took(events)
        for event in events:
            match event:
                case NextReceived(id=operation_id):
                    self.require_running(operation_id)
                case CompleteReceived(id=operation_id) | ErrorReceived(id=str(operation_id)):
                    self.require_running(operation_id)
                    self.running.discard(operation_id)
                case _:
                    pass

    def require_running(self, operation_id: str) -> None:
        if operation_id not in self.running:
            raise AssertionError(f"{self.dialogue.name}: the application is told of {operation_id}, which is over")

    def decide(self, line: FrameLine | CloseLine) -> None:
        """Do what an application does that says this line."""
        if isinstance(line, CloseLine):
            self.client.close(line.code, line.reason)
            return
        message = _message(line)
        payload, operation_id = message.get("payload"), str(message.get("id"))
        match self.dialogue.dialect.kind(Side.CLIENT, str(message.get("type"))):
            case Kind.CONNECTION_INIT:
                self.client.initialise(_object(payload))
            case Kind.SUBSCRIBE:
                self.client.subscribe(operation_id, msgspec.convert(payload, Request))
                self.running.add(operation_id)
            case Kind.COMPLETE:
                self.running.discard(operation_id)
                self.client.complete(operation_id)
            case Kind.PING:
                self.client.ping(_object(payload))
            case Kind.CONNECTION_TERMINATE:
                self.client.close(1000, "")  # it announces a normal end; the close frame is the next line
            case _:
                self.client.pong(_object(payload) or {})


def _message(line: FrameLine) -> Mapping[str, object]:
    if not isinstance(line.value, dict):
        raise ValueError(f"line {line.number}: an application cannot decide to say this")  # noqa: TRY004 -- the transcript's fault
    return line.value


def _object(payload: object) -> Mapping[str, object] | None:
    return None if payload is None else cast("Mapping[str, object]", payload)
