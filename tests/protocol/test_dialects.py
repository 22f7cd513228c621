import pytest

from gqlink.protocol import AFTER, DIALECTS, LEGACY, TRANSPORT_WS, CloseCode, Dialect, Kind, Phase, Side, choose_dialect


def test_the_words_of_the_newer_dialect() -> None:
    """graphql-ws PROTOCOL.md, the "Direction" of each message."""
    client = {"connection_init", "ping", "pong", "subscribe", "complete"}
    server = {"connection_ack", "ping", "pong", "next", "error", "complete"}

    assert {word for (side, _), word in TRANSPORT_WS.types.items() if side is Side.CLIENT} == client
    assert {word for (side, _), word in TRANSPORT_WS.types.items() if side is Side.SERVER} == server


def test_the_words_of_the_legacy_dialect() -> None:
    """subscriptions-transport-ws PROTOCOL.md."""
    client = {"connection_init", "start", "stop", "connection_terminate"}
    server = {"connection_error", "connection_ack", "data", "error", "complete", "ka"}

    assert {word for (side, _), word in LEGACY.types.items() if side is Side.CLIENT} == client
    assert {word for (side, _), word in LEGACY.types.items() if side is Side.SERVER} == server


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_a_word_is_only_understood_from_whom_may_say_it(dialect: Dialect) -> None:
    """A client cannot acknowledge itself, a server cannot ask to be let in."""
    assert dialect.kind(Side.SERVER, "connection_ack") is Kind.CONNECTION_ACK
    assert dialect.kind(Side.CLIENT, "connection_ack") is None
    assert dialect.kind(Side.SERVER, "connection_init") is None


@pytest.mark.parametrize("word", ["connection_error", "ka"])
def test_a_client_tolerates_what_servers_say_against_the_specification(word: str) -> None:
    """Hasura up to 2.29 says both in the newer dialect; it is understood, and never said."""
    assert TRANSPORT_WS.kind(Side.SERVER, word) is LEGACY.kind(Side.SERVER, word)
    assert word not in TRANSPORT_WS.types.values()


def test_the_legacy_dialect_differs_from_the_table_in_one_cell() -> None:
    """An operation while authentication is pending is held, not punished."""
    assert dict(LEGACY.exceptions) == {(Phase.INITIALISED, Side.CLIENT, Kind.SUBSCRIBE): Phase.INITIALISED}
    assert LEGACY.advance(Phase.INITIALISED, Side.CLIENT, Kind.SUBSCRIBE) is Phase.INITIALISED
    assert TRANSPORT_WS.advance(Phase.INITIALISED, Side.CLIENT, Kind.SUBSCRIBE) is CloseCode.UNAUTHORIZED
    assert not TRANSPORT_WS.exceptions


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("kind", Kind)
def test_nothing_of_an_operation_is_legal_before_the_ack(dialect: Dialect, phase: Phase, kind: Kind) -> None:
    """The gate that holds for one dialect holds for both: no result, and no operation that is not merely held."""
    if phase is Phase.ACKNOWLEDGED or kind not in {Kind.SUBSCRIBE, Kind.NEXT}:
        return
    held = phase is Phase.INITIALISED and kind is Kind.SUBSCRIBE and dialect is LEGACY

    assert held or isinstance(dialect.advance(phase, Side.CLIENT, kind), CloseCode)
    assert isinstance(dialect.advance(phase, Side.SERVER, kind), CloseCode)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_what_the_table_does_not_say_is_illegal(dialect: Dialect) -> None:
    """The receiver blames whoever spoke: 4400 for a client, 4004 for a server."""
    assert dialect.advance(Phase.CLOSED, Side.CLIENT, Kind.PING) is CloseCode.BAD_REQUEST
    assert dialect.advance(Phase.CLOSED, Side.SERVER, Kind.PING) is CloseCode.BAD_RESPONSE


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_every_word_is_legal_somewhere(dialect: Dialect) -> None:
    """A word that no phase allows would be no word."""
    legal = {key for row in AFTER.values() for key in row}

    assert set(dialect.types) <= legal


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["graphql-transport-ws"], TRANSPORT_WS),
        (["graphql-ws"], LEGACY),
        (["graphql-ws", "graphql-transport-ws"], TRANSPORT_WS),
        (["mqtt", "graphql-ws"], LEGACY),
        (["GraphQL-WS"], None),
        ([], None),
    ],
)
def test_the_newer_dialect_is_chosen_if_it_is_offered_at_all(offered: list[str], chosen: Dialect | None) -> None:
    """The client's order must not lead to the dialect with fewer means."""
    assert choose_dialect(offered) is chosen
