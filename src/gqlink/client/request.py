"""An operation as the client sees it before any link: its document, and which kind of operation it asks for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import graphql

from gqlink.errors import BadUserInput, OperationFailed
from gqlink.protocol import Request as Message

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("OperationKind", "Request", "is_subscription", "read_request")

_DOCUMENTS: Final = 256


class OperationKind(StrEnum):
    """What an operation does; it decides which link takes it, and whether it may be sent twice."""

    QUERY = "query"
    MUTATION = "mutation"
    SUBSCRIPTION = "subscription"


@dataclass(frozen=True, slots=True)
class Request:
    """One operation, on its way to a link.

    Args:
        query: The GraphQL document.
        kind: What the chosen operation of the document does.
        variables: Values that JSON can express.
        operation_name: Which operation of the document; its own name where it holds only one.
    """

    query: str
    kind: OperationKind
    variables: Mapping[str, object] | None = None
    operation_name: str | None = None

    @property
    def message(self) -> Message:
        """The operation as it goes over the wire, the same for HTTP and WebSocket."""
        variables = None if self.variables is None else dict(self.variables)
        return Message(self.query, variables, self.operation_name)


def read_request(
    query: str, variables: Mapping[str, object] | None = None, operation_name: str | None = None
) -> Request:
    """Find out what kind of operation a document asks for.

    Args:
        query: The GraphQL document; each is parsed once and remembered.
        variables: Values that JSON can express.
        operation_name: Needed where the document holds several operations.

    Raises:
        OperationFailed: A syntax error, with the code `GRAPHQL_PARSE_FAILED`, as a server would put it.
        BadUserInput: The document holds no operation of that name, or several and no name was given.
    """
    operations = _parse(query)
    if operation_name is None:
        if len(operations) != 1:
            raise BadUserInput(f"operation_name must choose one of the document's {len(operations)} operations")
        return Request(query, operations[0][1], variables, operations[0][0])
    for name, kind in operations:
        if name == operation_name:
            return Request(query, kind, variables, operation_name)
    raise BadUserInput(f"the document has no operation called {operation_name!r}")


def is_subscription(request: Request) -> bool:
    """Say whether an operation is a subscription; the usual test for `split`."""
    return request.kind is OperationKind.SUBSCRIPTION


@lru_cache(maxsize=_DOCUMENTS)
def _parse(query: str) -> tuple[tuple[str | None, OperationKind], ...]:
    """Return name and kind of each operation of a document."""
    try:
        document = graphql.parse(query, no_location=True)
    except graphql.GraphQLSyntaxError as exc:
        locations = [{"line": at.line, "column": at.column} for at in exc.locations or ()]
        raise _parse_failed(exc.message, locations) from None
    except RecursionError:
        raise _parse_failed("the document is nested too deeply", []) from None
    return tuple(
        (definition.name.value if definition.name else None, OperationKind(definition.operation.value))
        for definition in document.definitions
        if isinstance(definition, graphql.OperationDefinitionNode)
    )


def _parse_failed(message: str, locations: list[dict[str, int]]) -> OperationFailed:
    error = {"message": message, "locations": locations, "extensions": {"code": "GRAPHQL_PARSE_FAILED"}}
    return OperationFailed([error])
