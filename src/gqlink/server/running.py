"""One operation on one socket, from its start to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gqlink.server.policy import PolicyEvent

if TYPE_CHECKING:
    import asyncio

    from gqlink.server.policy import PolicyOperation

__all__ = ("Running",)


class Running:
    """What a listener knows of an operation; `live` until it has ended for the client.

    Args:
        operation_id: What the client calls it.
        mutation: Whether it may change something, and so has to finish.
        asked: What the policy was asked about; None where there is no policy.
    """

    __slots__ = ("asked", "doubtful", "id", "live", "mutation", "task")

    def __init__(self, operation_id: str, *, mutation: bool, asked: PolicyOperation | None) -> None:
        self.id = operation_id
        self.mutation = mutation
        self.asked = asked
        self.live = True
        self.doubtful = False
        """Rights may have changed since it started, so its answer needs to be asked about."""
        self.task: asyncio.Task[None] | None = None

    def event(self, data: object) -> PolicyEvent | None:
        """Return what to ask the policy about one event; None where there is no policy."""
        return None if self.asked is None else PolicyEvent(self.asked, data)
