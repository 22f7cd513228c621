import msgspec
import pytest

from gqlink.protocol import (
    AckAddition,
    CursorRequest,
    EventPosition,
    Renewal,
    RenewalOutcome,
    ack_payload,
    outcome_payload,
    position_extensions,
    read_ack,
    read_cursor_request,
    read_outcome,
    read_position,
    read_renewal,
    renewal_payload,
    request_extensions,
)


def test_the_addition_of_the_ack_has_the_documented_shape() -> None:
    """All of ours sits under one key, with the names and nulls that the reference gives."""
    assert ack_payload(AckAddition(subject="alice", expires_in=120.0)) == {
        "gqlink": {"version": 1, "subject": "alice", "expiresIn": 120.0, "renewal": None}
    }


def test_what_a_server_adds_a_client_reads() -> None:
    """The client gets back what the server put in, after a journey as JSON."""
    addition = AckAddition(subject=None, expires_in=None, renewal="ping")

    assert read_ack(msgspec.json.decode(msgspec.json.encode(ack_payload(addition)))) == addition


def test_a_newer_server_may_add_more() -> None:
    """Members that this version does not know are ignored."""
    payload = {"gqlink": {"version": 2, "subject": "alice", "mood": "sunny"}, "other": 1}

    assert read_ack(payload) == AckAddition(version=2, subject="alice")


@pytest.mark.parametrize("payload", [None, {}, {"gqlink": None}, {"gqlink": "yes"}, {"gqlink": {"expiresIn": "soon"}}])
def test_any_other_server_has_added_nothing(payload: dict[str, object] | None) -> None:
    """No payload, no key of ours, or something else under it: nothing is known of the identity."""
    assert read_ack(payload) is None


def test_a_renewal_carries_a_token_and_a_number_under_the_same_key() -> None:
    """What a client puts into a ping a server reads; who looks at the value does not see the token."""
    renewal = Renewal(seq=3, access_token="a-secret")

    assert renewal_payload(renewal) == {"gqlink": {"seq": 3, "accessToken": "a-secret"}}
    assert read_renewal(renewal_payload(renewal)) == renewal
    assert "a-secret" not in repr(renewal)


@pytest.mark.parametrize(
    "payload", [None, {"at": 1}, {"gqlink": {}}, {"gqlink": {"seq": "1", "accessToken": "x"}}, {"gqlink": {"seq": 1}}]
)
def test_any_other_ping_is_no_renewal(payload: dict[str, object] | None) -> None:
    """Without a number or a token in their types there is nothing to answer."""
    assert read_renewal(payload) is None


@pytest.mark.parametrize(
    ("outcome", "written"),
    [
        (RenewalOutcome(seq=1, expires_in=120.0), {"seq": 1, "expiresIn": 120.0}),
        (RenewalOutcome(seq=2), {"seq": 2, "expiresIn": None}),
        (RenewalOutcome(seq=3, error="Token invalid"), {"seq": 3, "error": "Token invalid"}),
    ],
)
def test_the_outcome_of_a_renewal_says_of_which_and_for_how_long_or_why_not(
    outcome: RenewalOutcome, written: dict[str, object]
) -> None:
    """Either seconds, null for no end, or an error: never both."""
    assert outcome_payload(outcome) == {"gqlink": written}
    assert read_outcome(outcome_payload(outcome)) == outcome


def test_any_other_pong_is_no_outcome() -> None:
    """An echo of somebody's own payload says nothing of a renewal."""
    assert read_outcome({"at": 1}) is None


def test_a_subscriber_asks_for_cursors_or_names_the_last_one() -> None:
    """Both shapes are those of the reference; to name a cursor is to want more of them."""
    assert request_extensions() == {"gqlink": {"cursor": True}}
    assert request_extensions("c1") == {"gqlink": {"after": "c1"}}
    assert read_cursor_request(request_extensions()) == CursorRequest(cursor=True)
    assert read_cursor_request(request_extensions("c1")) == CursorRequest(after="c1")


@pytest.mark.parametrize(
    "extensions",
    [None, {}, {"gqlink": {}}, {"gqlink": {"cursor": False}}, {"gqlink": {"after": None}}, {"gqlink": {"after": 3}}],
)
def test_anybody_else_gets_no_cursors(extensions: dict[str, object] | None) -> None:
    """Who does not ask, or not legibly, gets what any server would send."""
    assert read_cursor_request(extensions) is None


def test_a_result_says_where_it_stands() -> None:
    """The first one says besides whether all that was missed will come; it is no event."""
    assert position_extensions(EventPosition("c1", recovered=False)) == {"gqlink": {"cursor": "c1", "recovered": False}}
    assert position_extensions(EventPosition("c2")) == {"gqlink": {"cursor": "c2"}}
    assert read_position({"gqlink": {"cursor": "c1", "recovered": True}}) == EventPosition("c1", recovered=True)
    assert read_position({"gqlink": {"cursor": "c2"}, "other": 1}) == EventPosition("c2")
    assert read_position({"tracing": {}}) is None
