from __future__ import annotations

import pytest

from gqlink.errors import LimitExceeded
from gqlink.server import Limits
from gqlink.server.admission import Admission


def admission(**limits: int) -> Admission:
    """Make one with few places."""
    return Admission(Limits(**limits))


def test_there_are_so_many_places_and_no_more() -> None:
    """Whoever comes then is told the limit, what it allows and what there would be."""
    places = admission(sockets=2)
    held = [places.enter("192.0.2.1"), places.enter(None)]
    with pytest.raises(LimitExceeded) as caught:
        places.enter("192.0.2.2")
    assert (caught.value.limit, caught.value.allowed, caught.value.actual) == ("sockets", 2, 3)
    held[0].leave()
    assert places.enter("192.0.2.2")
    assert places.sockets == 2


def test_an_address_has_so_many_of_them() -> None:
    """Others are not held up by it."""
    places = admission(sockets_per_address=2)
    for _ in range(2):
        places.enter("192.0.2.1")
    with pytest.raises(LimitExceeded) as caught:
        places.enter("192.0.2.1")
    assert (caught.value.limit, caught.value.allowed, caught.value.actual) == ("sockets_per_address", 2, 3)
    places.enter("192.0.2.2")
    assert places.sockets == 3


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
    ],
)
def test_an_ipv6_address_counts_as_its_network_of_64_bits(one: str, other: str, same: bool) -> None:  # noqa: FBT001 -- a table
    """Whoever has one of them has all of them."""
    places = admission(sockets_per_address=1)
    places.enter(one)
    if same:
        with pytest.raises(LimitExceeded):
            places.enter(other)
    else:
        places.enter(other)


@pytest.mark.parametrize("address", [None, ""])
def test_peers_without_an_address_share_none(address: str | None) -> None:
    """Behind a Unix socket everybody is from nowhere; they count only for `sockets`."""
    places = admission(sockets_per_address=1, sockets=2)
    places.enter(address)
    places.enter(address)
    with pytest.raises(LimitExceeded) as caught:
        places.enter(address)
    assert caught.value.limit == "sockets"


def test_a_subject_has_so_many_of_them() -> None:
    """Wherever they come from; the place that is refused one stays what it was."""
    places = admission(sockets_per_identity=1)
    first, second = places.enter("192.0.2.1"), places.enter("192.0.2.2")
    first.claim("alice")
    with pytest.raises(LimitExceeded) as caught:
        second.claim("alice")
    assert (caught.value.limit, caught.value.allowed, caught.value.actual) == ("sockets_per_identity", 1, 2)
    second.claim("bob")
    first.leave()
    places.enter("192.0.2.3").claim("alice")


def test_anonymous_ones_are_not_counted_together() -> None:
    """Strangers have nothing in common but being strangers."""
    places = admission(sockets_per_identity=1)
    for _ in range(5):
        places.enter(None).claim(None)
    assert places.sockets == 5


def test_claiming_again_changes_nothing() -> None:
    """A renewal is for the same subject."""
    places = admission(sockets_per_identity=1)
    place = places.enter(None)
    place.claim("alice")
    place.claim("alice")
    place.leave()
    assert places.remembered == 0


def test_a_place_is_claimed_for_one_subject_at_a_time() -> None:
    """Who becomes somebody else is counted as that; where there is no place for them, as who they were."""
    places = admission(sockets_per_identity=1)
    first, second = places.enter(None), places.enter(None)
    first.claim("alice")
    second.claim("bob")
    with pytest.raises(LimitExceeded):
        first.claim("bob")
    with pytest.raises(LimitExceeded):
        places.enter(None).claim("alice")
    second.claim("carol")
    first.claim("bob")
    second.claim("alice")


@pytest.mark.parametrize("subject", [None, "alice"])
def test_leaving_gives_everything_back_once(subject: str | None) -> None:
    """However often it is said, and whatever is claimed afterwards."""
    places = admission()
    with places.enter("192.0.2.1") as place:
        place.claim(subject)
        assert places.remembered == (1 if subject is None else 2)
        place.leave()
    place.leave()
    place.claim("bob")
    assert (places.sockets, places.remembered) == (0, 0)


def test_those_who_are_refused_are_not_remembered() -> None:
    """A flood from many addresses, or of many names, leaves nothing in memory."""
    places = admission(sockets=1, sockets_per_identity=1)
    place = places.enter("192.0.2.1")
    for number in range(100):
        with pytest.raises(LimitExceeded):
            places.enter(f"198.51.100.{number}")
    assert places.remembered == 1
    place.leave()
    assert places.remembered == 0


def test_so_many_requests_are_answered_at_a_time() -> None:
    """One that fails gives its place back too."""
    places = admission(requests=1)
    with places.request():
        assert places.requests == 1
        with pytest.raises(LimitExceeded) as caught, places.request():
            raise AssertionError("not entered")
        assert (caught.value.limit, caught.value.allowed, caught.value.actual) == ("requests", 1, 2)
        assert places.requests == 1
    with pytest.raises(ZeroDivisionError), places.request():
        raise ZeroDivisionError
    assert places.requests == 0
