"""What is remembered of refusals."""

from __future__ import annotations

import gc
from dataclasses import dataclass

from gqlink.client.refusals import Refusals, refusals_of
from gqlink.client.tokens import FunctionSource
from gqlink.errors import ConnectionRefused, RequestFailed


def test_a_refusal_is_found_again_as_often_as_asked() -> None:
    """Each time as an error of its own, without a traceback, in which the token might be seen."""
    refusals = Refusals()
    try:
        raise RequestFailed("no", status=401)
    except RequestFailed as exc:
        refusals.refused("secret", exc)
    first, second = refusals.find("secret"), refusals.find("secret")
    assert isinstance(first, RequestFailed)
    assert (str(first), first.status, first.temporary, first.__traceback__) == (
        "HTTP status 401: no",
        401,
        False,
        None,
    )
    assert first is not second
    assert refusals.find("another") is None
    assert refusals.find(None) is None


def test_only_digests_are_kept_and_only_the_last_ones() -> None:
    """The memory holds 32; one that is refused again counts as new."""
    refusals = Refusals()
    for number in range(32):
        refusals.refused(f"secret-{number}", ConnectionRefused(4403, "Token invalid"))
    refusals.refused("secret-0", ConnectionRefused(4403, "Token expired"))
    refusals.refused("half an emoji \ud83d", ConnectionRefused())
    assert [number for number in range(32) if refusals.find(f"secret-{number}") is None] == [1]
    assert str(refusals.find("secret-0")).endswith("Token expired")
    assert "secret" not in f"{vars(refusals)} {refusals!r}"


def test_every_link_of_a_source_has_the_same_memory() -> None:
    """It goes when the source goes."""
    source, other = FunctionSource(lambda: None), FunctionSource(lambda: None)
    refusals_of(source).refused("t", ConnectionRefused())
    assert refusals_of(source).find("t") is not None
    assert refusals_of(other).find("t") is None
    key = id(source)
    from gqlink.client import refusals

    assert key in refusals._known
    del source
    gc.collect()
    assert key not in refusals._known


def test_a_source_of_ones_own_need_not_be_hashable() -> None:
    """One that cannot be referred to weakly is remembered by each link for itself."""

    @dataclass
    class Own(FunctionSource):
        def __init__(self) -> None:
            super().__init__(lambda: None)

    class Slotted:
        __slots__ = ("expires_at",)

        async def token(self) -> str | None:
            return None

        async def refresh(self, stale: str | None) -> str | None:
            return stale

        def subscribe(self, changed: object) -> object:
            return changed

    own = Own()
    assert refusals_of(own) is refusals_of(own)
    slotted = Slotted()
    assert refusals_of(slotted) is not refusals_of(slotted)  # type: ignore[arg-type] # a sketch of one
