"""Every transcript is played: against the server machine, the client machine, and both joined.

Also: the notation itself, the players, and that no row of the table is without a transcript.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace

import pytest

from gqlink.errors import LocalProtocolError
from gqlink.protocol import (
    AFTER,
    DIALECTS,
    LEGACY,
    TRANSPORT_WS,
    AckReceived,
    Close,
    Closed,
    CompleteReceived,
    ConnectionLimits,
    Dialect,
    ErrorReceived,
    ExecutionResult,
    Frame,
    InitReceived,
    Kind,
    NextReceived,
    Phase,
    ServerConnection,
    Side,
    Text,
)
from gqlink.protocol.tables import Then
from gqlink.testing import (
    ConnectionPair,
    Dialogue,
    load_pages,
    parse,
    play_client,
    play_joined,
    play_server,
    play_socket,
)
from gqlink.testing.matching import matches
from gqlink.testing.players import _ClientPlayer
from gqlink.testing.transcripts import CloseLine, FrameLine, WaitLine

PAGES = load_pages()
DIALOGUES = [dialogue for page in PAGES for dialogue in page.dialogues]
FOR_SERVERS = [dialogue for dialogue in DIALOGUES if dialogue.suits_server]
FOR_CLIENTS = [dialogue for dialogue in DIALOGUES if dialogue.suits_client]
FOR_BOTH = [dialogue for dialogue in FOR_SERVERS if dialogue.suits_client]


def name(dialogue: Dialogue) -> str:
    return dialogue.name


@pytest.mark.parametrize("dialogue", FOR_SERVERS, ids=name)
def test_the_server_machine_plays_it(dialogue: Dialogue) -> None:
    """The client's lines are fed, the server's are expected."""
    play_server(dialogue)


@pytest.mark.parametrize("dialogue", FOR_CLIENTS, ids=name)
def test_the_client_machine_plays_it(dialogue: Dialogue) -> None:
    """The sides exchanged."""
    play_client(dialogue)


@pytest.mark.parametrize("dialogue", FOR_BOTH, ids=name)
def test_both_machines_play_it_joined(dialogue: Dialogue) -> None:
    """What one says the other understands."""
    play_joined(dialogue)


def test_every_rule_states_force_and_source() -> None:
    """A page that could not be cited would be no rule."""
    assert all(page.title and page.source and page.force in {"MUST", "SHOULD", "MAY"} for page in PAGES)
    assert len({page.title for page in PAGES}) == len(PAGES)


class Recording(Dialect):
    """A dialect that remembers which cells of the table were asked for."""

    asked: "set[tuple[str, Phase, Side, Kind]]" = set()  # noqa: RUF012 -- shared on purpose

    def advance(self, phase: Phase, speaker: Side, kind: Kind) -> Then:
        """Remember, then answer."""
        self.asked.add((self.subprotocol, phase, speaker, kind))
        return super().advance(phase, speaker, kind)


def test_every_row_of_the_table_has_a_transcript() -> None:
    """For each dialect that has a word for it."""
    for dialogue in DIALOGUES:
        played = dialogue.dialect
        recording = Recording(
            played.subprotocol,
            played.types,
            played.exceptions,
            played.tolerated,
            played.acknowledges_complete,
            played.lists_errors,
        )
        for suits, play in ((dialogue.suits_server, play_server), (dialogue.suits_client, play_client)):
            if suits:
                play(replace(dialogue, dialect=recording))
    rows = {
        (dialect.subprotocol, phase, speaker, kind)
        for dialect in DIALECTS.values()
        for phase, row in AFTER.items()
        for speaker, kind in row
        if (speaker, kind) in dialect.types
        or (speaker is Side.SERVER and kind in {Kind.CONNECTION_ERROR, Kind.KEEP_ALIVE})
    }

    assert rows - Recording.asked == set()


@pytest.mark.parametrize("dialogue", FOR_SERVERS, ids=name)
def test_a_server_that_says_anything_else_fails_it(dialogue: Dialogue) -> None:
    """A transcript without one of the server's lines, or with another in its place, is not passed."""
    for position, line in enumerate(dialogue.lines):
        if isinstance(line, WaitLine) or line.speaker is Side.CLIENT or line.decided:
            continue
        missing = (*dialogue.lines[:position], *dialogue.lines[position + 1 :])
        other = (*dialogue.lines[:position], altered(line), *dialogue.lines[position + 1 :])
        for lines in (missing, other):
            with pytest.raises(AssertionError):
                play_server(replace(dialogue, lines=lines))


def altered(line: FrameLine | CloseLine) -> FrameLine:
    members = line.value if isinstance(line, FrameLine) and isinstance(line.value, dict) else {}
    return FrameLine(line.number, line.speaker, "", {**members, "type": "something else"}, decided=False)


PAGE = """# A rule

MUST · somewhere

Because.

```transcript graphql-ws server-only operations=2 init_seconds=3
# a remark
C {"id": "<ab*3>"}

S+ {"a": 1}
C raw no <x*2>
C raw
C binary
S close 4400 It was ...
C+ close 1000
wait 2.5
```
"""


def test_a_page_is_read() -> None:
    """The notation, line by line."""
    page = parse(PAGE, name="a.md")
    (dialogue,) = page.dialogues

    assert (page.name, page.title, page.force, page.source) == ("a.md", "A rule", "MUST", "somewhere")
    assert dialogue == Dialogue(
        "a.md:7",
        LEGACY,
        frozenset({"server-only"}),
        ConnectionLimits(operations=2, init_seconds=3),
        (
            FrameLine(9, Side.CLIENT, '{"id": "ababab"}', {"id": "ababab"}, decided=False),
            FrameLine(11, Side.SERVER, '{"a": 1}', {"a": 1}, decided=True),
            FrameLine(12, Side.CLIENT, "no xx", None, decided=False),
            FrameLine(13, Side.CLIENT, "", None, decided=False),
            FrameLine(14, Side.CLIENT, None, None, decided=False),
            CloseLine(15, Side.SERVER, 4400, "It was ...", decided=False),
            CloseLine(16, Side.CLIENT, 1000, "", decided=True),
            WaitLine(17, 2.5),
        ),
    )


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("MUST · somewhere", "somewhere", "a.md"),
        ("```transcript", "```", "a.md"),
        ("graphql-ws", "mqtt", "a.md:7"),
        ("server-only", "sometimes", "a.md:7"),
        ("C binary", "X binary", "a.md:14"),
        ("C binary", 'C "x"', "a.md:14"),
        ("wait 2.5", "wait long", "a.md:17"),
    ],
)
def test_what_is_not_in_the_notation_is_refused_by_name(old: str, new: str, where: str) -> None:
    """The message says where."""
    with pytest.raises(ValueError, match=where):
        parse(PAGE.replace(old, new, 1), name="a.md")


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ({"a": 1, "b": [True, None]}, {"b": [True, None], "a": 1}),
        ({"a": "..."}, {"a": {"b": 1}}),
        ({"a": 1, "...": "..."}, {"a": 1, "b": 2}),
        (["..."], [1]),
    ],
)
def test_a_message_matches(expected: object, actual: object) -> None:
    """As JSON, with what is left open."""
    assert matches(expected, actual)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": 1, "...": "..."}, {"b": 2}),
        ({"a": "..."}, {}),
        ([1], [1, 2]),
        (1, True),
        (1, 1.0),
        ({}, []),
        (None, {}),
    ],
)
def test_a_message_does_not_match(expected: object, actual: object) -> None:
    """Nothing more, nothing less, nothing else."""
    assert not matches(expected, actual)


def test_a_live_server_may_say_more() -> None:
    """Members that a line does not name are let pass, at every level; those that it names are not."""
    assert matches({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}, "d": 3}, exactly=False)
    assert not matches({"a": {"b": 1}}, {"a": {"c": 2}}, exactly=False)


def play(text: str, player: Callable[[Dialogue], None], *, dialect: Dialect = TRANSPORT_WS) -> None:
    page = f"# A rule\n\nMUST · somewhere\n\n```transcript {dialect.subprotocol}\n{text}\n```\n"
    player(parse(page).dialogues[0])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('S {"type": "connection_ack"}', "said nothing"),
        ('C {"type": "ping"}', "the end: also said"),
        ('C {"type": "ping"}\nC {"type": "ping"}\nS {"type": "pong"}', "line 7: also said"),
        ('C {"type": "ping"}\nS {"type": "ping"}', "expected .* got"),
        ('C {"type": "ping"}\nS close 4400', "expected .* got"),
        ('C {"type": "pong"}\nS+ {"id": "1", "type": "next", "payload": {}}', "knows no 1"),
    ],
)
def test_a_server_that_deviates_is_named_with_the_line(text: str, complaint: str) -> None:
    """Silence where something is owed, words that nobody expected, others than expected."""
    with pytest.raises(AssertionError, match=complaint):
        play(text, play_server)


def test_an_application_cannot_speak_out_of_turn() -> None:
    """The machine says so, as it would to a real one."""
    with pytest.raises(LocalProtocolError):
        play('S+ {"type": "connection_ack"}', play_server)


@pytest.mark.parametrize("player", [play_server, play_client, play_joined])
def test_an_application_decides_to_say_messages_only(player: Callable[[Dialogue], None]) -> None:
    """A text that is no message cannot be anybody's decision."""
    side = "C" if player is play_client else "S"
    with pytest.raises(ValueError, match="cannot decide"):
        play(f"{side}+ raw text", player)


def test_a_client_that_deviates_is_named_with_the_line() -> None:
    """The same for the other side."""
    with pytest.raises(AssertionError, match="line 6: the client said nothing"):
        play('C {"type": "connection_init"}', play_client)
    with pytest.raises(AssertionError, match="the end: also said"):
        play('S {"type": "ping"}', play_client)


def test_a_client_that_tells_too_much_fails_it() -> None:
    """What arrives for an operation that is over must not reach the application."""
    player = _ClientPlayer(DIALOGUES[0])
    for event in (NextReceived("1", ExecutionResult()), CompleteReceived("1"), ErrorReceived("1", [])):
        with pytest.raises(AssertionError, match="which is over"):
            player.took([event])


def test_a_pair_carries_what_is_said() -> None:
    """Messages, closes and time reach the other side, and both are told."""
    pair = ConnectionPair(TRANSPORT_WS)
    pair.client.initialise({"a": 1})

    assert pair.to_server()[1] == [InitReceived({"a": 1})]
    pair.server.acknowledge()
    assert pair.to_client() == ([Text(b'{"type":"connection_ack"}')], [AckReceived(None)])
    pair.client.close(1000, "Bye")
    assert pair.to_server()[1] == [Closed(1000, "Bye", Side.CLIENT)]
    assert [event.code for event in ConnectionPair(LEGACY).advance(10) if isinstance(event, Closed)] == [4504, 4408]


class ServerSocket:
    """A live server in miniature: the server machine with an application that knows the standard answers."""

    def __init__(self, dialogue: Dialogue, *, chatty: bool = False) -> None:
        self.server = ServerConnection(dialogue.dialect, now=0.0)
        self.frames = deque[Frame]()
        if chatty:
            self.frames.append(Text(b'{"type":"ka"}'))

    async def send_text(self, text: str) -> None:
        """Feed the machine, and let everybody in."""
        for event in self.server.receive(text, now=0.0):
            if isinstance(event, InitReceived):
                self.server.acknowledge({"gqlink": {"version": 1}})
        self.frames += self.server.outgoing()

    async def send_bytes(self, data: bytes) -> None:
        """Feed the machine."""
        assert data
        self.server.receive_binary(now=0.0)
        self.frames += self.server.outgoing()

    async def receive(self) -> Frame:
        """Return what it said; everything is said at once."""
        return self.frames.popleft()

    async def close(self, code: int, reason: str) -> None:
        """Leave."""
        self.server.disconnected(code, reason)


BY_ITSELF = [
    dialogue
    for dialogue in FOR_SERVERS
    if dialogue.suits_live_server
    and all(
        isinstance(line, FrameLine) and isinstance(line.value, dict) and line.value["type"] == "connection_ack"
        for line in dialogue.lines
        if not isinstance(line, WaitLine) and line.speaker is Side.SERVER and line.decided
    )
]


@pytest.mark.parametrize("dialogue", BY_ITSELF, ids=name)
async def test_a_server_behind_a_socket_plays_it(dialogue: Dialogue) -> None:
    """Those that need no answers of an application; it says more in its ack than the line does."""
    await play_socket(dialogue, ServerSocket(dialogue))


async def test_a_keep_alive_between_the_lines_is_let_pass() -> None:
    """A live legacy server repeats it as it likes."""
    dialogue = next(d for d in BY_ITSELF if d.dialect is LEGACY and d.name.startswith("unknown-type"))

    await play_socket(dialogue, ServerSocket(dialogue, chatty=True))


async def test_a_live_server_that_deviates_is_named_with_the_line() -> None:
    """As a machine is."""
    dialogue = next(d for d in BY_ITSELF if d.name.startswith("operation-before-init"))
    socket = ServerSocket(dialogue)
    socket.frames.append(Close(1000))
    with pytest.raises(AssertionError, match=r"operation-before-init\.md"):
        await play_socket(dialogue, socket)


async def test_a_live_server_may_be_given_time() -> None:
    """The caller moves the clock; by default it really waits."""
    dialogue = next(d for d in DIALOGUES if d.name.startswith("connection-init-never") and d.dialect is LEGACY)
    socket = ServerSocket(dialogue)

    async def wait(seconds: float) -> None:
        socket.server.expire(now=seconds)
        socket.frames += socket.server.outgoing()

    assert not dialogue.suits_live_server
    await play_socket(dialogue, socket, wait=wait)


async def test_a_client_may_close_a_live_connection() -> None:
    """A line of the client's is done, not expected."""
    page = "# A rule\n\nMUST · somewhere\n\n```transcript graphql-ws\nC binary\nS close 4400 ...\nC close 1000\n```\n"
    dialogue = parse(page).dialogues[0]
    socket = ServerSocket(dialogue)
    await play_socket(dialogue, socket)

    assert socket.server.phase is Phase.CLOSED


async def test_a_keep_alive_may_be_what_is_expected() -> None:
    """Then it is the line's."""
    page = '# A rule\n\nMUST · somewhere\n\n```transcript graphql-ws\nS+ {"type": "ka"}\n```\n'
    dialogue = parse(page).dialogues[0]
    socket = ServerSocket(dialogue, chatty=True)
    await play_socket(dialogue, socket)

    assert not socket.frames
