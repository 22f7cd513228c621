from dataclasses import FrozenInstanceError
from typing import cast

import pytest

from gqlink.auth import ANONYMOUS, Identity


def test_somebody_without_a_subject_is_anonymous() -> None:
    """Anonymous is an identity too: one without a subject, without rights, that never expires."""
    assert ANONYMOUS.is_anonymous
    assert Identity() == ANONYMOUS
    assert ANONYMOUS.scopes == frozenset()
    assert ANONYMOUS.expires_at is None
    assert not Identity("alice").is_anonymous


def test_the_representation_shows_no_claims() -> None:
    """Claims may be private: a name, an address."""
    identity = Identity("alice", claims={"email": "alice@example.org"})
    assert "alice@" not in repr(identity)
    assert "alice@" not in str(identity)


def test_nothing_in_an_identity_can_be_changed() -> None:
    """An identity is shared by all who present the same token: no resolver may change it for the next request."""
    roles = ["reader"]
    claims: dict[str, object] = {"roles": roles, "realm": {"admin": [False]}}
    identity = Identity("alice", claims=claims)
    roles.append("admin")
    claims["more"] = True
    assert identity.claims == {"roles": ("reader",), "realm": {"admin": (False,)}}
    with pytest.raises(TypeError):
        cast("dict[str, object]", identity.claims)["sub"] = "bob"
    with pytest.raises(TypeError):
        cast("dict[str, object]", identity.claims["realm"])["admin"] = True
    with pytest.raises(FrozenInstanceError):
        identity.subject = "bob"  # type: ignore[misc] # what is tested


def test_what_is_no_json_stays_as_it_is() -> None:
    """Null is JSON; what an application adds of its own is its business."""
    value = object()
    assert Identity("alice", claims={"nothing": None, "own": value}).claims == {"nothing": None, "own": value}


def test_identities_compare_by_all_they_say() -> None:
    """Two identities are equal if everything in them is, and then they have the same hash."""
    assert Identity("alice", claims={"a": [1]}) == Identity("alice", claims={"a": [1]})
    assert hash(Identity("alice", claims={"a": [1]})) == hash(Identity("alice", claims={"a": [1]}))
    assert Identity("alice", claims={"a": [1]}) != Identity("alice", claims={"a": [2]})
