import msgspec
import pytest

from gqlink.protocol import AckAddition, ack_payload, read_ack


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
