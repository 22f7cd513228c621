"""Documents are parsed and validated once, then kept by their text.

A parsed document takes up to 300 times the memory of its text, so what is kept is bounded by the text's length too.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

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

_LARGEST_SHARE: Final = 32


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
        characters: How much text they may have together. One that would take more than a 32nd of it is not kept, so
            that a stranger's few large ones cannot drive out everybody's small ones.
        debug: Allow introspection, and suggest names in errors.
        introspection: Allow it without `debug` too.
    """

    def __init__(
        self, schema: GraphQLSchema, *, size: int, characters: int, debug: bool, introspection: bool = False
    ) -> None:
        self._schema = schema
        self._size = size
        self._characters = characters
        self._kept_characters = 0
        self._debug = debug
        self._rules: list[type[ASTValidationRule]] = list(specified_rules)
        if not (debug or introspection):
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
        # graphql-core answers documents that are nested too deeply with an error of its own, here and in `validate`.
        try:
            document = parse(query)
        except GraphQLError as error:
            return InvalidDocument("GRAPHQL_PARSE_FAILED", (error,))
        errors = validate(self._schema, document, self._rules, hide_suggestions=not self._debug)
        return InvalidDocument("GRAPHQL_VALIDATION_FAILED", tuple(errors)) if errors else document

    def _keep(self, query: str, document: DocumentNode) -> None:
        if len(query) > self._characters // _LARGEST_SHARE:
            return
        self._kept[query] = document
        self._kept_characters += len(query)
        while len(self._kept) > self._size or self._kept_characters > self._characters:
            forgotten, _ = self._kept.popitem(last=False)
            self._kept_characters -= len(forgotten)


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
