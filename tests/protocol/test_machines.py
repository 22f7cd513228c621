"""State machines: no conversation, however odd, breaks a promise of the protocol.

The promises are in `watched.py`, the grammar in `grammar.py`: no input makes `receive` raise; nothing follows a close;
an operation ends exactly once; nothing runs before the ack; ids and held operations are bounded; frames are valid JSON
and reasons fit into a close frame; joined, neither machine ever finds fault with the other.

A run holds 60 conversations a machine. More, through Hypothesis, which shrinks what it finds:

    GQLINK_CONVERSATIONS=5000 .venv/bin/pytest tests/protocol/test_machines.py --timeout=0 -q

And very many, without shrinking, from the same grammar under the same promises:

    .venv/bin/python tools/fuzz_protocol.py --conversations 100000
"""

import os
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from gqlink.protocol import DIALECTS, TRANSPORT_WS, Dialect
from protocol.grammar import Move, client_moves, heard_by_a_client, heard_by_a_server, pair_moves, server_moves
from protocol.watched import WatchedClient, WatchedPair, WatchedServer

PROFILE = "gqlink-long" if "GQLINK_CONVERSATIONS" in os.environ else "gqlink-short"
NUMBERS = st.integers(0, 2**31)
NOISE = st.text() | st.binary()
# Most of what may end a conversation does not happen, so that there is one.
RARELY = st.sampled_from([False] * 9 + [True])


class ServerConversation(RuleBasedStateMachine):
    """A server, a client that says anything, and an application that decides anything."""

    dialect = TRANSPORT_WS

    def __init__(self) -> None:
        super().__init__()
        self.server = WatchedServer(self.dialect)
        self.good, self.odd = heard_by_a_server(self.dialect)
        self.moves = server_moves(self.server)

    @initialize(how=st.sampled_from(["strange", "asked", "let in", "let in"]))
    def begin(self, how: str) -> None:
        """Many conversations begin as they should."""
        if how != "strange":
            self.server.hear('{"type": "connection_init"}')
        if how == "let in":
            self.server.acknowledge()

    @rule(number=NUMBERS)
    def hear(self, number: int) -> None:
        """The client says something that a connection survives."""
        self.server.hear(self.good[number % len(self.good)])

    @rule(number=NUMBERS)
    def decide(self, number: int) -> None:
        """The application decides something."""
        make(self.moves[0], number)

    @rule(number=NUMBERS, rarely=RARELY)
    def hear_odd(self, number: int, *, rarely: bool) -> None:
        """The client says anything."""
        if rarely:
            self.server.hear(self.odd[number % len(self.odd)])

    @rule(number=NUMBERS, at=NUMBERS, noise=NOISE, rarely=RARELY)
    def hear_broken(self, number: int, at: int, noise: bytes | str, *, rarely: bool) -> None:
        """The client says something that is broken in one place, or all over."""
        if rarely:
            self.server.hear(broken(self.good[number % len(self.good)], at=at, noise=noise))
            self.server.hear(noise)

    @rule(number=NUMBERS, rarely=RARELY)
    def end(self, number: int, *, rarely: bool) -> None:
        """The application closes, time passes, or the socket breaks."""
        if rarely:
            make(self.moves[1], number)


class ClientConversation(RuleBasedStateMachine):
    """A client, a server that says anything, and an application that decides anything."""

    dialect = TRANSPORT_WS

    def __init__(self) -> None:
        super().__init__()
        self.client = WatchedClient(self.dialect)
        self.good, self.odd = heard_by_a_client(self.dialect)
        self.moves = client_moves(self.client)

    @initialize(how=st.sampled_from(["strange", "asked", "let in", "let in"]))
    def begin(self, how: str) -> None:
        """Many conversations begin as they should."""
        if how != "strange":
            self.client.initialise()
        if how == "let in":
            self.client.hear('{"type": "connection_ack"}')

    @rule(number=NUMBERS)
    def hear(self, number: int) -> None:
        """The server says something that a connection survives."""
        self.client.hear(self.good[number % len(self.good)])

    @rule(number=NUMBERS)
    def decide(self, number: int) -> None:
        """The application decides something."""
        make(self.moves[0], number)

    @rule(number=NUMBERS, rarely=RARELY)
    def hear_odd(self, number: int, *, rarely: bool) -> None:
        """The server says anything."""
        if rarely:
            self.client.hear(self.odd[number % len(self.odd)])

    @rule(number=NUMBERS, at=NUMBERS, noise=NOISE, rarely=RARELY)
    def hear_broken(self, number: int, at: int, noise: bytes | str, *, rarely: bool) -> None:
        """The server says something that is broken in one place, or all over."""
        if rarely:
            self.client.hear(broken(self.good[number % len(self.good)], at=at, noise=noise))
            self.client.hear(noise)

    @rule(number=NUMBERS, rarely=RARELY)
    def end(self, number: int, *, rarely: bool) -> None:
        """The application closes, time passes, or the socket breaks."""
        if rarely:
            make(self.moves[1], number)


class JoinedConversation(RuleBasedStateMachine):
    """Both machines, and frames that cross on their way."""

    dialect = TRANSPORT_WS

    def __init__(self) -> None:
        super().__init__()
        self.pair = WatchedPair(self.dialect)
        self.moves = pair_moves(self.pair)

    @initialize(how=st.sampled_from(["strange", "let in", "let in", "let in"]))
    def begin(self, how: str) -> None:
        """Many conversations begin as they should."""
        if how == "let in":
            self.pair.let_in()

    @rule(number=NUMBERS)
    def decide(self, number: int) -> None:
        """Either application decides something, or a frame arrives."""
        make(self.moves[0], number)

    @rule(number=NUMBERS, rarely=RARELY)
    def end(self, number: int, *, rarely: bool) -> None:
        """Either closes, or time passes."""
        if rarely:
            make(self.moves[1], number)


def make(moves: tuple[Move, ...], number: int) -> None:
    """Make one of the moves."""
    _, do = moves[number % len(moves)]
    do()


def broken(text: str, *, at: int, noise: bytes | str) -> bytes | str:
    """Put noise in the place of a character."""
    if isinstance(noise, bytes):
        data = text.encode("utf-8", "replace")
        return data[: at % (len(data) + 1)] + noise + data[at % (len(data) + 1) + 1 :]
    return text[: at % (len(text) + 1)] + noise + text[at % (len(text) + 1) + 1 :]


@pytest.mark.parametrize("machine", [ServerConversation, ClientConversation, JoinedConversation])
@pytest.mark.parametrize("spoken", DIALECTS.values(), ids=DIALECTS)
def test_no_conversation_breaks_a_promise(machine: Callable[[], RuleBasedStateMachine], spoken: Dialect) -> None:
    """Whatever is said and decided, in whatever order."""

    class Conversation(machine):  # type: ignore[misc, valid-type]
        dialect = spoken

    run_state_machine_as_test(Conversation, settings=settings.get_profile(PROFILE))
