from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gqlink.auth import ANONYMOUS, Identity
from gqlink.errors import LoginRequired, PermissionDenied
from gqlink.server.policy import PolicyEvent, PolicyOperation, check_policy
from gqlink.server.requirements import NOTHING_REQUIRED, Requirements, all_of

LOGIN = Requirements(authenticated=True)


def scopes(*several: list[list[str]], authenticated: bool = False) -> Requirements:
    """Demand what some `@requiresScopes` demand."""
    alternatives = frozenset(frozenset(frozenset(one) for one in each) for each in several)
    return Requirements(authenticated=authenticated, scopes=alternatives)


def ann(*names: str) -> Identity:
    """Somebody who has logged in, with scopes."""
    return Identity(subject="ann", scopes=frozenset(names))


def test_nothing_is_demanded_at_first() -> None:
    """It is false, so that whoever sees it asks nobody."""
    assert not Requirements()
    assert Requirements() == NOTHING_REQUIRED
    NOTHING_REQUIRED.check(ANONYMOUS)


def test_a_login_is_enough_where_a_login_is_demanded() -> None:
    """With whatever scopes."""
    LOGIN.check(ann())
    with pytest.raises(LoginRequired):
        LOGIN.check(ANONYMOUS)


@pytest.mark.parametrize(
    ("brought", "enough"),
    [("", False), ("a", False), ("a c", False), ("a b", True), ("c d", True), ("a b c d e", True)],
)
def test_all_scopes_of_one_inner_list_are_enough(brought: str, *, enough: bool) -> None:
    """The outer list says "or", the inner ones say "and"."""
    demanded = scopes([["a", "b"], ["c", "d"]])
    if enough:
        demanded.check(ann(*brought.split()))
    else:
        with pytest.raises(PermissionDenied):
            demanded.check(ann(*brought.split()))


def test_each_of_several_demands_has_to_be_met() -> None:
    """What two elements of a schema demand is not an alternative."""
    demanded = all_of([scopes([["a"]]), scopes([["b"], ["c"]]), LOGIN])
    demanded.check(ann("a", "c"))
    for brought in (ann("a"), ann("b", "c")):
        with pytest.raises(PermissionDenied):
            demanded.check(brought)


def test_a_stranger_is_asked_to_log_in() -> None:
    """Also where scopes are missing; which ones, a stranger is not told."""
    with pytest.raises(LoginRequired) as refused:
        scopes([["admin"]]).check(ANONYMOUS)
    assert "admin" not in str(refused.value)


def test_somebody_anonymous_may_have_scopes() -> None:
    """An application may grant everybody something; `@requiresScopes` alone does not ask for a login."""
    guest = Identity(scopes=frozenset({"read"}))
    scopes([["read"]]).check(guest)
    with pytest.raises(LoginRequired):
        scopes([["read"]], authenticated=True).check(guest)


@pytest.mark.parametrize(
    ("demanded", "words"),
    [
        (scopes([["a"]]), "the scope a"),
        (scopes([["b", "a"]]), "the scopes a and b"),
        (scopes([["b"], ["a"]]), "the scopes a or b"),
        (scopes([["c"], ["b", "a"]]), "the scopes (a and b) or c"),
        (scopes([["b"]], [["a"]]), "the scopes a and b"),
        (scopes([["b"], ["d"]], [["a"]]), "the scopes a and (b or d)"),
        (scopes([["held"]], [["a"]]), "the scope a"),
    ],
)
def test_somebody_who_has_logged_in_is_told_what_is_missing(demanded: Requirements, words: str) -> None:
    """As RFC 6750 has it for `insufficient_scope`; what they do have is not said again."""
    with pytest.raises(PermissionDenied) as refused:
        demanded.check(ann("held"))
    assert str(refused.value) == f"You are not allowed to do this without {words}."


def test_the_same_demands_are_the_same_value() -> None:
    """However often, and in whatever order, the schema says it."""
    first = all_of([scopes([["a", "b"], ["c"]]), LOGIN, scopes([["d"]])])
    second = all_of([LOGIN, scopes([["d"]], [["c"], ["b", "a", "a"]]), LOGIN])
    assert first == second
    assert hash(first) == hash(second)
    assert first.fingerprint == second.fingerprint


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    """Whatever Python's hashes are there; shared executions of several nodes may have it in their names."""
    program = (
        "from gqlink.server.requirements import Requirements as R; f = frozenset;"
        "print(R(authenticated=True, scopes=f({f({f('abc'), f('de')}), f({f('f')})})).fingerprint)"
    )
    run = [subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True) for _ in "12"]
    expected = scopes([["a", "b", "c"], ["d", "e"]], [["f"]], authenticated=True).fingerprint
    assert {each.stdout.strip() for each in run} == {expected}
    assert NOTHING_REQUIRED.fingerprint == ""


names = st.sampled_from(["a", "b", "c"])
alternatives = st.frozensets(st.frozensets(names, min_size=1), min_size=1)
demands = st.builds(Requirements, authenticated=st.booleans(), scopes=st.frozensets(alternatives, max_size=3))


@given(demands, demands)
def test_a_fingerprint_tells_two_demands_apart(first: Requirements, second: Requirements) -> None:
    """It is the same if and only if they are."""
    assert (first.fingerprint == second.fingerprint) == (first == second)


@given(st.lists(demands, max_size=4), st.frozensets(names), st.sampled_from(["ann", None]))
def test_demands_together_let_pass_whom_each_lets_pass(
    several: list[Requirements], brought: frozenset[str], subject: str | None
) -> None:
    """Neither more nor fewer."""

    def passes(demanded: Requirements) -> bool:
        try:
            demanded.check(Identity(subject=subject, scopes=brought))
        except (LoginRequired, PermissionDenied):
            return False
        return True

    assert passes(all_of(several)) == all(map(passes, several))


@pytest.mark.parametrize("event", [False, True])
def test_the_policy_is_asked_after_what_is_demanded(*, event: bool) -> None:
    """It need not think of those whom the schema keeps out."""
    asked: list[object] = []

    def policy(_: Identity, what: object) -> bool:
        asked.append(what)
        return False

    operation = PolicyOperation("subscription", requirements=scopes([["a"]]))
    what = PolicyEvent(operation, data=1) if event else operation
    with pytest.raises(PermissionDenied, match="without the scope a"):
        check_policy(policy, ann(), what)
    assert asked == []
    check_policy(None, ann("a"), what)
    with pytest.raises(PermissionDenied, match="to do this\\."):
        check_policy(policy, ann("a"), what)
    assert asked == [what]


def test_scopes_that_are_no_set_let_nobody_through_by_mistake(caplog: pytest.LogCaptureFixture) -> None:
    """A list does what a set does; a text is not its own letters' owner; None is a failure, and refuses."""
    operation = PolicyOperation("query", requirements=scopes([["admin"]]))
    check_policy(None, Identity("ann", scopes=["admin"]), operation)  # type: ignore[arg-type] # the mistake
    for wrong in ("admin", None):
        with pytest.raises(PermissionDenied):
            check_policy(None, Identity("ann", scopes=wrong), operation)  # type: ignore[arg-type] # the mistake
    assert "the policy failed" in caplog.text
