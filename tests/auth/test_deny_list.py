import math
from dataclasses import FrozenInstanceError
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.forge import KEY, NOW
from gqlink.auth import ANONYMOUS, DenyList, Identity, Revocation, TokenSigner

HOUR = 3600.0


def deny_list(*revocations: Revocation, remember_seconds: float = HOUR) -> DenyList:
    """Make a deny-list to which everything was added at the moment 0."""
    made = DenyList(remember_seconds=remember_seconds)
    for revocation in revocations:
        made.add(revocation, now=0)
    return made


# A revocation


@pytest.mark.parametrize(
    "named",
    [
        {},
        {"subject": "alice", "session": "s1"},
        {"subject": "alice", "token_id": "t1"},
        {"session": "s1", "token_id": "t1"},
        {"subject": "alice", "session": "s1", "token_id": "t1"},
    ],
)
def test_a_revocation_names_exactly_one(named: dict[str, str]) -> None:
    """None would be everybody or nobody, two would be a riddle."""
    with pytest.raises(ValueError, match="exactly one of subject, session and token_id"):
        Revocation(**named, revoked_at=NOW)


@pytest.mark.parametrize("name", ["subject", "session", "token_id"])
@pytest.mark.parametrize("value", ["", 5, b"alice", ["alice"], "\ud800"])
def test_what_is_named_is_a_text(name: str, value: Any) -> None:
    """Anything else would never match, or could not be told to another node."""
    with pytest.raises(ValueError, match="a text that is not empty"):
        Revocation(**{name: value}, revoked_at=NOW)


@pytest.mark.parametrize("moment", [math.nan, math.inf, -math.inf, "now", None, True, -1, 10**12, 10**400])
def test_the_moment_is_a_date(moment: Any) -> None:
    """One beyond all dates would deny a person for ever, and what is no number nobody at all."""
    with pytest.raises(ValueError, match="revoked_at lies between 1970 and 9999"):
        Revocation(subject="alice", revoked_at=moment)


def test_a_revocation_cannot_be_changed() -> None:
    """It is shared, and kept."""
    with pytest.raises(FrozenInstanceError):
        Revocation(subject="alice", revoked_at=NOW).subject = "bob"  # type: ignore[misc] # what is tested


# Whom it covers


@pytest.mark.parametrize(
    ("revocation", "covered"),
    [
        (Revocation(subject="alice", revoked_at=100), Identity("alice", issued_at=99)),
        (Revocation(subject="alice", revoked_at=100), Identity("alice", issued_at=100)),
        (Revocation(subject="alice", revoked_at=100), Identity("alice")),
        (Revocation(subject="alice", revoked_at=100), Identity("alice", issued_at=math.nan)),
        (Revocation(subject="alice", revoked_at=100), Identity("alice", issued_at=math.inf)),
        (Revocation(subject="alice", revoked_at=100), Identity("alice", issued_at=1e12)),
        (Revocation(session="s1", revoked_at=100), Identity("alice", session="s1", issued_at=99)),
        (Revocation(session="s1", revoked_at=100), Identity("bob", session="s1", issued_at=101)),
        (Revocation(session="s1", revoked_at=100), Identity(session="s1")),
        (Revocation(token_id="t1", revoked_at=100), Identity("alice", token_id="t1", issued_at=101)),
        (Revocation(token_id="t1", revoked_at=100), Identity(token_id="t1")),
    ],
)
def test_what_a_revocation_covers_is_denied(revocation: Revocation, covered: Identity) -> None:
    """A subject's covers what was issued until its moment, or nobody knows when; the others whatever the moment."""
    assert revocation.matches(covered)
    assert deny_list(revocation).denies(covered)


@pytest.mark.parametrize(
    ("revocation", "spared"),
    [
        (Revocation(subject="alice", revoked_at=100), Identity("alice", issued_at=100.001)),
        (Revocation(subject="alice", revoked_at=100), Identity("bob", issued_at=99)),
        (Revocation(subject="alice", revoked_at=100), Identity(session="alice", token_id="alice")),
        (Revocation(subject="alice", revoked_at=100), ANONYMOUS),
        (Revocation(session="s1", revoked_at=100), Identity("alice", session="s2")),
        (Revocation(session="s1", revoked_at=100), Identity("s1", token_id="s1")),
        (Revocation(session="s1", revoked_at=100), ANONYMOUS),
        (Revocation(token_id="t1", revoked_at=100), Identity("alice", token_id="t2")),
        (Revocation(token_id="t1", revoked_at=100), Identity("t1", session="t1")),
        (Revocation(token_id="t1", revoked_at=100), ANONYMOUS),
    ],
)
def test_what_a_revocation_does_not_cover_is_spared(revocation: Revocation, spared: Identity) -> None:
    """Whoever logged in later, somebody else, or another kind of name that happens to read the same."""
    assert not revocation.matches(spared)
    assert not deny_list(revocation).denies(spared)


def test_who_logs_in_again_is_let_in_again() -> None:
    """Revoking a subject ends its credentials, not the person."""
    signer = TokenSigner([KEY], issuer="chat", audience="chat-api")
    before = signer.verify(signer.issue("alice", now=NOW), now=NOW)
    after = signer.verify(signer.issue("alice", now=NOW + 0.001), now=NOW + 1)
    denied = deny_list(Revocation(subject="alice", revoked_at=NOW))
    assert denied.denies(before)
    assert not denied.denies(after)


def test_the_signers_memory_does_not_let_in_what_was_revoked() -> None:
    """A token that the signer remembers as genuine stays genuine, and is denied all the same."""
    signer = TokenSigner([KEY], issuer="chat", audience="chat-api")
    token = signer.issue("alice", now=NOW, session="s1")
    remembered = signer.verify(token, now=NOW)
    denied = deny_list(Revocation(session="s1", revoked_at=NOW))
    assert signer.verify(token, now=NOW) is remembered
    assert denied.denies(signer.verify(token, now=NOW))


# Several of them


@pytest.mark.parametrize("moments", list(permutations([100.0, 200.0, 150.0])))
def test_a_subjects_moment_moves_forward_only(moments: tuple[float, ...]) -> None:
    """Whichever of several orders comes last, the latest moment counts."""
    denied = deny_list(*(Revocation(subject="alice", revoked_at=moment) for moment in moments))
    assert denied.denies(Identity("alice", issued_at=200))
    assert not denied.denies(Identity("alice", issued_at=201))
    assert len(denied) == 1


def test_to_add_the_same_again_changes_nothing() -> None:
    """A node hears its own orders, and those that it has loaded already."""
    orders = [
        Revocation(subject="alice", revoked_at=100),
        Revocation(session="s1", revoked_at=100),
        Revocation(token_id="t1", revoked_at=100),
    ]
    assert len(deny_list(*orders, *orders, *orders)) == 3


_NAMES = st.sampled_from(["a", "b"])
_REVOCATIONS = st.builds(
    lambda kind, name, moment: Revocation(**{kind: name}, revoked_at=moment),
    st.sampled_from(["subject", "session", "token_id"]),
    _NAMES,
    st.floats(0, 10),
)
_IDENTITIES = st.builds(
    Identity,
    subject=st.none() | _NAMES,
    session=st.none() | _NAMES,
    token_id=st.none() | _NAMES,
    issued_at=st.none() | st.floats(0, 10),
)


@given(st.lists(_REVOCATIONS), _IDENTITIES)
def test_a_deny_list_denies_what_one_of_its_revocations_covers(
    revocations: list[Revocation], identity: Identity
) -> None:
    """The list is no more and no less than its entries together, however it looks them up."""
    assert deny_list(*revocations).denies(identity) == any(each.matches(identity) for each in revocations)


# How long they are remembered


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan])
def test_a_memory_has_a_length(seconds: float) -> None:
    """A list that forgets at once denies nobody."""
    with pytest.raises(ValueError, match="remember_seconds must be greater than 0"):
        DenyList(remember_seconds=seconds)


@pytest.mark.parametrize(
    ("revocation", "identity"),
    [
        (Revocation(subject="old", revoked_at=100), Identity("old")),
        (Revocation(session="old", revoked_at=100), Identity(session="old")),
        (Revocation(token_id="old", revoked_at=100), Identity(token_id="old")),
    ],
)
def test_what_was_added_too_long_ago_is_forgotten(revocation: Revocation, identity: Identity) -> None:
    """With the next one that is added, because then the credentials have expired; not a moment earlier."""
    denied = deny_list(revocation, remember_seconds=10)
    denied.add(Revocation(session="new", revoked_at=100), now=10)
    assert denied.denies(identity)
    denied.add(Revocation(session="newer", revoked_at=100), now=10.001)
    assert not denied.denies(identity)
    assert len(denied) == 2


def test_what_is_revoked_again_is_remembered_for_longer() -> None:
    """The last order counts."""
    denied = deny_list(Revocation(session="s1", revoked_at=100), remember_seconds=10)
    denied.add(Revocation(session="s2", revoked_at=100), now=1)
    denied.add(Revocation(session="s1", revoked_at=100), now=9)
    denied.add(Revocation(session="s3", revoked_at=100), now=12)
    assert denied.denies(Identity(session="s1"))
    assert not denied.denies(Identity(session="s2"))


def test_the_memory_is_bounded_by_its_length() -> None:
    """Ten revocations a second for an hour, remembered for a minute: never more than the last minute's."""
    denied = DenyList(remember_seconds=60)
    for tick in range(36_000):
        denied.add(Revocation(token_id=f"t{tick}", revoked_at=NOW), now=tick / 10)
        assert len(denied) <= 601
    assert denied.denies(Identity(token_id="t35999"))
    assert not denied.denies(Identity(token_id="t35398"))


def test_a_list_from_which_everything_was_forgotten_is_like_new() -> None:
    """The one that is added is never forgotten in the same step."""
    denied = deny_list(Revocation(subject="alice", revoked_at=100), remember_seconds=1)
    denied.add(Revocation(subject="bob", revoked_at=100), now=1000)
    assert (len(denied), denied.denies(Identity("bob"))) == (1, True)
