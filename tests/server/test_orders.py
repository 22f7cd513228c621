from __future__ import annotations

import json
from typing import Any

import pytest

from gqlink.auth import Revocation
from gqlink.server.orders import Order, Recheck, UnreadableOrder, read_order, write_order

REVOKE: dict[str, object] = {"version": 1, "node": "n1", "order": "revoke", "session": "s1", "revokedAt": 100.5}
RECHECK: dict[str, object] = {"version": 1, "node": "n1", "order": "recheck", "subject": "alice"}


@pytest.mark.parametrize(
    "what",
    [
        Revocation(subject="alice", revoked_at=100.5),
        Revocation(session="s1", revoked_at=100),
        Revocation(token_id="t1", revoked_at=0),
        Recheck("alice"),
        Recheck(None),
    ],
)
def test_an_order_is_plain_json_that_reads_back(what: Revocation | Recheck) -> None:
    """Whatever the broker is made of, it can carry it."""
    order = Order("n1", what)
    assert read_order(json.loads(json.dumps(write_order(order)))) == order


def test_an_order_is_written_like_this() -> None:
    """Nodes of different versions meet: who changes this changes the version."""
    assert write_order(Order("n1", Revocation(session="s1", revoked_at=100.5))) == REVOKE
    assert write_order(Order("n1", Recheck("alice"))) == RECHECK


def test_what_an_order_says_beside_is_left_alone() -> None:
    """A newer node of the same version may add what an older one need not know."""
    assert read_order(REVOKE | {"reason": "stolen"}) == read_order(REVOKE)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (None, "no object"),
        ("revoke alice", "no object"),
        ([REVOKE], "no object"),
        ({}, "another version"),
        (REVOKE | {"version": 2}, "another version"),
        (REVOKE | {"version": "1"}, "another version"),
        (REVOKE | {"order": "dance"}, "an unknown order"),
        (REVOKE | {"order": ["revoke"]}, "an unknown order"),
        (REVOKE | {"node": None}, "whose it is"),
        (REVOKE | {"node": 5}, "node is no text"),
        (REVOKE | {"session": 5}, "session is no text"),
        (REVOKE | {"session": None}, "exactly one"),
        (REVOKE | {"session": ""}, "not empty"),
        (REVOKE | {"subject": "alice"}, "exactly one"),
        (REVOKE | {"revokedAt": None}, "revokedAt is no number"),
        (REVOKE | {"revokedAt": "100"}, "revokedAt is no number"),
        (REVOKE | {"revokedAt": True}, "revoked_at"),
        (REVOKE | {"revokedAt": float("nan")}, "revoked_at"),
        (REVOKE | {"revokedAt": 10**400}, "revoked_at"),
        (RECHECK | {"subject": 5}, "subject is no text"),
    ],
)
def test_what_is_no_order_of_ours_is_told_apart(data: Any, why: str) -> None:
    """With the reason, and without what was written, which may be anything."""
    with pytest.raises(UnreadableOrder, match=why):
        read_order(data)
