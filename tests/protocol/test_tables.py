import pytest

from gqlink.protocol import AFTER, CloseCode, Kind, Phase, Side


def test_every_phase_has_a_row() -> None:
    """A phase without a row would be a hole in the rules."""
    assert set(AFTER) == set(Phase)


@pytest.mark.parametrize("phase", [Phase.REFUSED, Phase.CLOSED])
def test_nothing_is_legal_when_it_is_over(phase: Phase) -> None:
    """Closed is a row like any other, and an empty one: nothing can follow."""
    assert not AFTER[phase]


def test_only_a_server_lets_anybody_in() -> None:
    """The one way to ACKNOWLEDGED is the server's ack after the client's init."""
    ways = [
        (phase, *key)
        for phase, row in AFTER.items()
        for key, then in row.items()
        if then is Phase.ACKNOWLEDGED and phase is not Phase.ACKNOWLEDGED
    ]

    assert ways == [(Phase.INITIALISED, Side.SERVER, Kind.CONNECTION_ACK)]


@pytest.mark.parametrize(
    ("phase", "then"),
    [
        (Phase.OPENED, Phase.INITIALISED),
        (Phase.INITIALISED, CloseCode.TOO_MANY_INITIALISATION_REQUESTS),
        (Phase.ACKNOWLEDGED, CloseCode.TOO_MANY_INITIALISATION_REQUESTS),
    ],
)
def test_a_client_asks_once(phase: Phase, then: Phase | CloseCode) -> None:
    """graphql-ws PROTOCOL.md, "ConnectionInit": a second one is 4429."""
    assert AFTER[phase][Side.CLIENT, Kind.CONNECTION_INIT] is then


@pytest.mark.parametrize("phase", [Phase.OPENED, Phase.INITIALISED])
def test_an_operation_before_the_ack_is_unauthorized(phase: Phase) -> None:
    """graphql-ws PROTOCOL.md, "Subscribe": 4401."""
    assert AFTER[phase][Side.CLIENT, Kind.SUBSCRIBE] is CloseCode.UNAUTHORIZED


@pytest.mark.parametrize("phase", [Phase.OPENED, Phase.INITIALISED, Phase.ACKNOWLEDGED])
@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("kind", [Kind.PING, Kind.PONG])
def test_pings_are_legal_at_any_time_and_change_nothing(phase: Phase, side: Side, kind: Kind) -> None:
    """graphql-ws PROTOCOL.md, "Ping" and "Pong"."""
    assert AFTER[phase][side, kind] is phase
