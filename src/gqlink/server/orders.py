"""What the nodes of one deployment tell each other, as plain JSON.

A node takes no notice of what it cannot read: a newer one may say more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gqlink.auth import Revocation

__all__ = (
    "Order",
    "Recheck",
    "UnreadableOrder",
    "read_order",
    "read_revocation",
    "write_order",
    "write_revocation",
)

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Recheck:
    """Ask the policy again about everything that runs.

    Args:
        subject: For whom; None for everybody.
    """

    subject: str | None


@dataclass(frozen=True, slots=True)
class Order:
    """What each node must do at once.

    Args:
        node: The node that gave it, which has obeyed already.
        what: What it is.
    """

    node: str
    what: Revocation | Recheck


class UnreadableOrder(Exception):
    """It was not written by this version of gqlink; the text says why, without what was written."""


def write_order(order: Order) -> dict[str, object]:
    """Write an order.

    Shape:
        {"version": 1, "node": str, "order": "revoke", "subject" or "session" or "tokenId": str, "revokedAt": number}
        {"version": 1, "node": str, "order": "recheck", "subject": str | null}
    """
    head: dict[str, object] = {"version": _VERSION, "node": order.node}
    if isinstance(order.what, Recheck):
        return {**head, "order": "recheck", "subject": order.what.subject}
    return {**head, "order": "revoke", **write_revocation(order.what)}


def write_revocation(revocation: Revocation) -> dict[str, object]:
    """Write a revocation.

    Shape:
        {"subject" or "session" or "tokenId": str, "revokedAt": number}
    """
    named = {"subject": revocation.subject, "session": revocation.session, "tokenId": revocation.token_id}
    return {**{name: value for name, value in named.items() if value is not None}, "revokedAt": revocation.revoked_at}


def read_order(data: object) -> Order:
    """Read an order; see `write_order` for the shape.

    Raises:
        UnreadableOrder: It is not of this shape, or of another version.
    """
    if not isinstance(data, Mapping):
        raise UnreadableOrder("no object")
    if data.get("version") != _VERSION:
        raise UnreadableOrder("another version")
    match data.get("order"):
        case "revoke":
            return Order(_node(data), read_revocation(data))
        case "recheck":
            return Order(_node(data), Recheck(_text(data, "subject")))
        case _:
            raise UnreadableOrder("an unknown order")


def read_revocation(data: Mapping[object, object]) -> Revocation:
    """Read a revocation; see `write_revocation` for the shape.

    Raises:
        UnreadableOrder: It is not of this shape.
    """
    revoked_at = data.get("revokedAt")
    if not isinstance(revoked_at, int | float):
        raise UnreadableOrder("revokedAt is no number")
    try:
        return Revocation(
            subject=_text(data, "subject"),
            session=_text(data, "session"),
            token_id=_text(data, "tokenId"),
            revoked_at=revoked_at,
        )
    except ValueError as exc:
        raise UnreadableOrder(str(exc)) from None


def _node(data: Mapping[object, object]) -> str:
    node = _text(data, "node")
    if node is None:
        raise UnreadableOrder("it does not say whose it is")
    return node


def _text(data: Mapping[object, object], name: str) -> str | None:
    value = data.get(name)
    if value is not None and not isinstance(value, str):
        raise UnreadableOrder(f"{name} is no text")
    return value
