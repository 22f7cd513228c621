"""Documents are parsed and validated once, then kept by their text.

A parsed document takes up to 300 times the memory of its text, so what is kept is bounded by the text's length too.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from graphql import (
    DocumentNode,
    GraphQLError,
    NoFragmentCyclesRule,
    NoSchemaIntrospectionCustomRule,
    NoUnusedFragmentsRule,
    OperationDefinitionNode,
    OperationType,
    UniqueFragmentNamesRule,
    parse,
    specified_rules,
    validate,
)

from gqlink.server.cost import CostPlan, CostRules
from gqlink.server.document_limits import check_document, check_text
from gqlink.server.field_sets import KnownFields, is_constant
from gqlink.server.requirement_rules import RequirementRules

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphql import ASTValidationRule, GraphQLSchema

    from gqlink.server.limits import Limits
    from gqlink.server.requirements import Requirements

__all__ = ("Document", "Documents", "InvalidDocument", "PreparedOperation")

_LARGEST_SHARE: Final = 32
# An attacker's document may be wrong in a thousand places, and each error takes as long as twenty right fields.
_ERRORS: Final = 3
_FRAGMENT_RULES: Final = (UniqueFragmentNamesRule, NoFragmentCyclesRule, NoUnusedFragmentsRule)


@dataclass(frozen=True, slots=True)
class InvalidDocument:
    """Why a document cannot be executed.

    Args:
        code: `GRAPHQL_PARSE_FAILED` or `GRAPHQL_VALIDATION_FAILED`.
        errors: At least one.
    """

    code: str
    errors: tuple[GraphQLError, ...]


@dataclass(frozen=True, slots=True)
class PreparedOperation:
    """What is known of one operation of a valid document, found out once.

    Args:
        node: The operation.
        cost: What it costs, as far as that can be said without variables.
        requirements: What the schema's directives demand for it.
        fields: Which fields it comes to; None where that is not the same each time.
    """

    node: OperationDefinitionNode
    cost: CostPlan
    requirements: Requirements
    fields: KnownFields | None


class Document:
    """A valid document within the limits.

    Args:
        node: What was parsed.
        prepare: Finds out what there is to know of one of its operations; called once for each.
    """

    __slots__ = ("_prepare", "_prepared", "node")

    def __init__(self, node: DocumentNode, *, prepare: Callable[[OperationDefinitionNode], PreparedOperation]) -> None:
        self.node = node
        self._prepare = prepare
        self._prepared: dict[str | None, PreparedOperation] = {}

    def operation(self, name: str | None) -> PreparedOperation | None:
        """Return the operation that a request means; None when the name is unknown, or missing among several."""
        prepared = self._prepared.get(name)
        if prepared is None:
            node = find_operation(self.node, name)
            if node is None:
                return None
            prepared = self._prepared[name] = self._prepare(node)
        return prepared


class Documents:
    """The documents of one schema, bounded, the longest unused forgotten first.

    An invalid one is not kept: its sender has no hurry. Nor is one that would take more than a 32nd of
    `documents_characters`, so that a stranger's few large ones cannot drive out everybody's small ones.

    Args:
        schema: What they are validated against.
        limits: The bounds of one document, and of what is kept.
        debug: Allow introspection, and suggest names in errors.
        introspection: Allow it without `debug` too.
    """

    def __init__(self, schema: GraphQLSchema, *, limits: Limits, debug: bool, introspection: bool = False) -> None:
        self._schema = schema
        self._limits = limits
        self._costs = CostRules(schema)
        self._requirements = RequirementRules(schema)
        self._kept_characters = 0
        self._debug = debug
        self._rules: list[type[ASTValidationRule]] = list(specified_rules)
        if not (debug or introspection):
            self._rules.append(NoSchemaIntrospectionCustomRule)
        self._kept: OrderedDict[str, Document] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, query: str) -> Document | InvalidDocument:
        """Return the document of a text, from the cache where it is known.

        Raises:
            LimitExceeded: It is larger than the limits allow; nothing of it was validated.
        """
        document = self._kept.get(query)
        if document is not None:
            self._kept.move_to_end(query)
            return document
        checked = self._check(query)
        if isinstance(checked, Document):
            self._keep(query, checked)
        return checked

    def _check(self, query: str) -> Document | InvalidDocument:
        check_text(query, self._limits)
        # graphql-core answers documents that are nested too deeply with an error of its own, here and in `validate`.
        try:
            node = parse(query)
        except GraphQLError as error:
            return InvalidDocument("GRAPHQL_PARSE_FAILED", (error,))
        rules = self._rules if check_document(node, self._limits) else _FRAGMENT_RULES
        errors = validate(self._schema, node, rules, max_errors=_ERRORS, hide_suggestions=not self._debug)
        if errors:
            return InvalidDocument("GRAPHQL_VALIDATION_FAILED", tuple(errors))
        return Document(node, prepare=partial(self._prepare, node))

    def _prepare(self, document: DocumentNode, operation: OperationDefinitionNode) -> PreparedOperation:
        return PreparedOperation(
            operation,
            cost=self._costs.plan(document, operation),
            requirements=self._requirements.collect(document, operation),
            fields=KnownFields(shared=True) if is_constant(document) else None,
        )

    def _keep(self, query: str, document: Document) -> None:
        if len(query) > self._limits.documents_characters // _LARGEST_SHARE:
            return
        self._kept[query] = document
        self._kept_characters += len(query)
        while len(self._kept) > self._limits.documents or self._kept_characters > self._limits.documents_characters:
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
