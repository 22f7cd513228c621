"""What a request asks for, once it is found and validated; and where the events of a subscription come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gqlink.protocol import read_cursor_request
from gqlink.server.executor import untie
from gqlink.server.requirements import NOTHING_REQUIRED, Requirements

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from graphql import DocumentNode, Executor, OperationDefinitionNode

    from gqlink.protocol import CursorRequest, Request
    from gqlink.server.field_sets import KnownFields

__all__ = ("Operation", "Source", "close_source")


@dataclass(frozen=True, slots=True)
class Operation:
    """What a request asks for, found and validated.

    Args:
        request: As it came.
        document: Its document.
        node: The operation in it that is meant.
        requirements: What the schema's directives demand for it.
        cost: What it costs.
        fields: Which fields it comes to, where that is the same each time; None where it is not known.
    """

    request: Request
    document: DocumentNode
    node: OperationDefinitionNode
    requirements: Requirements = NOTHING_REQUIRED
    cost: int = 0
    fields: KnownFields | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Where the events of a subscription come from.

    Args:
        operation: The subscription.
        events: What the resolver returned.
        executor: With which they were found, and may be executed; None where that took none.
    """

    operation: Operation
    events: AsyncIterable[object]
    executor: Executor[object] | None = None

    @property
    def wanted(self) -> CursorRequest | None:
        """Whether whoever asked wants cursors, and after which."""
        return read_cursor_request(self.operation.request.extensions)

    async def aclose(self) -> None:
        """End it, where nobody has begun to iterate it; its executor executes nothing more."""
        if self.executor is not None:
            untie(self.executor)
        await close_source(self.events)


async def close_source(iterable: object) -> None:
    """End something that was iterated, or was to be."""
    aclose = getattr(iterable, "aclose", None)
    if aclose is not None:
        await aclose()
