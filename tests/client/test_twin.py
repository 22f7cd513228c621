"""Errors that several tasks raise."""

from __future__ import annotations

from typing import Self

import pytest

from gqlink import errors
from gqlink.client.operations import same_error
from gqlink.client.refusals import Refusals
from gqlink.client.twin import twin
from gqlink.errors import GqlinkError


class Picky(GqlinkError):
    """An error of the user's own."""

    def __init__(self, one: int, two: int, *, three: int) -> None:
        super().__init__("said")
        self.numbers = (one, two, three)


class Stubborn(GqlinkError):
    """One that cannot be made from its arguments."""

    def __new__(cls, *arguments: object) -> Self:
        """Take two and nothing else."""
        if len(arguments) != 2:
            raise TypeError("two")
        return super().__new__(cls)

    def __init__(self, one: int, two: int) -> None:
        super().__init__(one + two)


ERRORS = [
    errors.AuthUnavailable("x", retry_after=3.0),
    errors.ConnectionRefused(4403, "no"),
    errors.DataUnusable("the file", detail="is damaged"),
    errors.LimitExceeded("operations", allowed=1, actual=2),
    errors.MissingExtra("server", module="starlette"),
    errors.OperationFailed([{"message": "no"}], data={"a": 1}),
    errors.OutcomeUnknown("Pay", code=1006),
    errors.PermissionDenied(),
    errors.RemoteProtocolError("x", close_code=1002),
    errors.RequestFailed("x", status=503),
    errors.StoreUnavailable(),
    errors.SubscriberLagging("news", buffered=3),
    errors.TokenExpired(expired_at=1.0),
    Picky(1, 2, three=3),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_every_error_has_an_equal_one(error: GqlinkError) -> None:
    """Whatever its class takes: the same class, words and attributes, and no traceback."""
    error.__cause__ = OSError("why")
    with pytest.raises(type(error)) as raised:
        raise error
    assert raised.value is error
    for equal in (twin(error), same_error(error)):
        assert equal is not error
        assert type(equal) is type(error)
        assert (str(equal), equal.args, vars(equal)) == (str(error), error.args, vars(error))
        assert equal.__traceback__ is None
    assert twin(error).__cause__ is None
    assert same_error(error).__cause__ is error.__cause__


def test_one_that_cannot_be_made_again_is_itself() -> None:
    """Whoever waits for it gets it, rather than an error about an error."""
    error = Stubborn(1, 2)
    assert same_error(error) is error
    refusals = Refusals()
    refusals.refused("t", error)
    assert refusals.find("t") is error
