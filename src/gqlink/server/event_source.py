"""How a subscription's source is found, known once for all who ask the same: which resolver, with which arguments.

For each subscriber graphql-core builds an executor and collects the fields of the operation, although of all that only
the context differs. Where there are no variables, and the fields are the same each time, nothing but the resolver is
left to be called. What is called is graphql-core's, and so is what comes of it; a test compares.

Source: GraphQL specification (September 2025), section 6.2.3.1, "Source Stream".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphql import (
    ExecutionResult,
    GraphQLError,
    GraphQLResolveInfo,
    get_argument_values,
    located_error,
)
from graphql.execution.collect_fields import collect_fields
from graphql.execution.execute import assert_event_stream
from graphql.pyutils import Path

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable

    from graphql import Executor, FieldNode, GraphQLField
    from graphql.execution.collect_fields import FieldDetailsList

__all__ = ("EventSource",)


class EventSource:
    """The source of one subscription.

    Args:
        executor: One that was built for it, without a context.
        details: Of its one root field, as graphql-core has collected it.
        response_name: What that is called in the answer.
        field: Its definition.
    """

    __slots__ = ("_after", "_before", "_details", "_executor", "_field", "_path", "_resolve")

    def __init__(
        self, executor: Executor[Any], details: FieldDetailsList, *, response_name: str, field: GraphQLField
    ) -> None:
        root_type = executor.schema.subscription_type
        assert root_type is not None
        self._details = details
        self._path = Path(None, response_name, root_type.name)
        info = executor.build_resolve_info(field, self._nodes, root_type, self._path)
        at = info._fields.index("context")
        self._before, self._after = tuple(info)[:at], tuple(info)[at + 1 :]
        self._executor = executor
        self._field = field
        self._resolve = field.subscribe or executor.subscribe_field_resolver

    @classmethod
    def of(cls, executor: Executor[Any]) -> EventSource | None:
        """Find out what an executor would; None where there is something to complain of, which is graphql-core's to do.

        Args:
            executor: As for `EventSource`.
        """
        root_type = executor.schema.subscription_type
        if root_type is None:
            return None
        collected = collect_fields(
            executor.schema,
            executor.fragments,
            executor.variable_values,
            root_type,
            executor.operation,
            executor.hide_suggestions,
        )
        response_name, details = next(iter(collected.grouped_field_set.items()))
        field = executor.schema.get_field(root_type, details[0].node.name.value)
        return None if field is None else cls(executor, details, response_name=response_name, field=field)

    @property
    def _nodes(self) -> list[FieldNode]:
        return [each.node for each in self._details]

    def open(self, context: object) -> AsyncIterable[object] | ExecutionResult | Awaitable[object]:
        """Find it for somebody.

        Args:
            context: What resolvers see.

        Returns:
            What `create_source_event_stream` would: the events, or a result with errors, or what is to be awaited for
            one of them.
        """
        try:
            info: GraphQLResolveInfo[Any] = GraphQLResolveInfo._make((*self._before, context, *self._after))
            arguments = self._arguments() if self._field.args else {}
            events = self._resolve(None, info, **arguments)
            if self._executor.is_awaitable(events):
                return self._await(events)
            return assert_event_stream(events)
        except Exception as exc:  # noqa: BLE001 -- whatever the resolver raises
            return self._failed(exc)

    def _arguments(self) -> dict[str, Any]:
        """Coerce them anew: what a resolver gets is its own to change."""
        executor = self._executor
        return get_argument_values(
            self._field,
            self._details[0].node,
            executor.variable_values,
            self._details[0].fragment_variable_values,
            executor.hide_suggestions,
        )

    async def _await(self, events: Awaitable[object]) -> object:
        try:
            return assert_event_stream(await events)
        except Exception as exc:  # noqa: BLE001 -- likewise
            return self._failed(exc)

    def _failed(self, exc: Exception) -> ExecutionResult:
        error: GraphQLError = located_error(exc, self._nodes, self._path.as_list())
        return ExecutionResult(None, errors=[error])
