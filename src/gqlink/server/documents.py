"""Documents are parsed and validated once, then kept by their text."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphql import (
    GraphQLError,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OperationType,
    parse,
    specified_rules,
    validate,
)

if TYPE_CHECKING:
    from graphql import ASTValidationRule, DocumentNode, GraphQLSchema

__all__ = ("Documents", "InvalidDocument")


@dataclass(frozen=True, slots=True)
class InvalidDocument:
    """Why a document cannot be executed.

    Args:
        code: `GRAPHQL_PARSE_FAILED` or `GRAPHQL_VALIDATION_FAILED`.
        errors: At least one.
    """

    code: str
    errors: tuple[GraphQLError, ...]


class Documents:
    """The documents of one schema, bounded, the longest unused forgotten first.

    Args:
        schema: What they are validated against.
        size: How many valid ones are kept. An invalid one is not: its sender has no hurry.
        debug: Allow introspection, and suggest names in errors.
    """

    def __init__(self, schema: GraphQLSchema, *, size: int, debug: bool) -> None:
        self._schema = schema
        self._size = size
        self._debug = debug
        self._rules: list[type[ASTValidationRule]] = list(specified_rules)
        if not debug:
            self._rules.append(NoSchemaIntrospectionCustomRule)
        self._kept: OrderedDict[str, DocumentNode] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, query: str) -> DocumentNode | InvalidDocument:
        """Return the document of a text, from the cache where it is known."""
        document = self._kept.get(query)
        if document is not None:
            self._kept.move_to_end(query)
            return document
        checked = self._check(query)
        if not isinstance(checked, InvalidDocument):
            self._keep(query, checked)
        return checked

    def _check(self, query: str) -> DocumentNode | InvalidDocument:
        try:
            document = parse(query)
        except GraphQLError as error:
            return InvalidDocument("GRAPHQL_PARSE_FAILED", (error,))
        except RecursionError:
            return InvalidDocument("GRAPHQL_PARSE_FAILED", (GraphQLError("The document is nested too deeply."),))
        errors = validate(self._schema, document, self._rules, hide_suggestions=not self._debug)
        return InvalidDocument("GRAPHQL_VALIDATION_FAILED", tuple(errors)) if errors else document

    def _keep(self, query: str, document: DocumentNode) -> None:
        self._kept[query] = document
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)


def find_operation(document: DocumentNode, operation_name: str | None) -> OperationDefinitionNode | None:
    """Return the operation that a request means; None when the name is unknown, or missing among several."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if operation_name is None:
        return operations[0] if len(operations) == 1 else None
    named = (node for node in operations if node.name is not None and node.name.value == operation_name)
    return next(named, None)


def is_mutation(operation: OperationDefinitionNode) -> bool:
    """Tell whether an operation may change something."""
    return operation.operation is OperationType.MUTATION


def is_subscription(operation: OperationDefinitionNode) -> bool:
    """Tell whether an operation goes on."""
    return operation.operation is OperationType.SUBSCRIPTION
