"""How large a document is, before it is parsed and before it is validated.

Validation and execution look at fields as if each fragment's fields stood wherever it is spread, and a few spreads of
spreads are more fields than anybody can count. So what is expanded is counted, never written out: each fragment is
measured once, and its measures are added wherever it is spread. Only what the counts have shown to be small is walked.

Validation looks at all that stands in a document, and not at the one operation that is meant. So the operations are
counted together; and where a fragment is in none of them, or has a name that another has, or is spread in itself, there
is nothing to count it by, and the document must go no further than the rules that say so.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
)

from gqlink.errors import LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from graphql import DocumentNode, SelectionNode, SelectionSetNode

    from gqlink.server.limits import Limits

__all__ = ("check_document", "check_text", "fields_of", "fragments_of")

# GraphQL specification (September 2025), section 2.1; a string that does not end goes to the end of its line, or of the
# text, so that no character is looked at twice.
_TOKEN: Final = re.compile(
    r"""
    \#[^\n\r]*+                                             # a comment
    | \"\"\"(?:\\\"\"\"|[^"]|"(?!""))*+(?:\"\"\"|\Z)        # a block string
    | "(?:[^"\\\n\r]|\\[^\n\r])*+"?                         # a string
    | [_A-Za-z][_0-9A-Za-z]*+                               # a name
    | -?[0-9]++(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+        # a number
    | \.\.\. | [!$&()*:=@\[\]{|}]                           # a punctuator
    """,
    re.VERBOSE,
)
# The largest whole number that every reader of JSON reads as it is; fragments may expand to far more.
_LARGEST: Final = 2**53 - 1
_COUNTED: Final = ("depth", "aliases", "directives", "fragments", "root_fields")


def check_text(query: str, limits: Limits) -> None:
    """Check a document's text, before it is parsed.

    Raises:
        LimitExceeded: `document_bytes`, `document_lines` or `document_tokens`.
    """
    size = len(query) if query.isascii() else len(query.encode("utf-8", "surrogatepass"))
    _require("document_bytes", allowed=limits.document_bytes, actual=size)
    # Hardly any text has a line for each of its characters: most need not be counted.
    if size > limits.document_lines:
        # GraphQL specification (September 2025), section 2.1.2: CR LF ends one line.
        lines = 1 + query.count("\n") + query.count("\r") - query.count("\r\n")
        _require("document_lines", allowed=limits.document_lines, actual=lines)
    # Nor a token for each of its characters: most need not be counted.
    if size > limits.document_tokens:
        _require("document_tokens", allowed=limits.document_tokens, actual=len(_TOKEN.findall(query)))


def check_document(document: DocumentNode, limits: Limits) -> bool:
    """Check what was parsed, before it is validated.

    Takes time in proportion to the document and to what the limits allow, whatever its fragments expand to.

    Returns:
        Whether its fragments are sound: each has a name of its own, is part of an operation, and is not spread in
        itself. Otherwise not everything in it was counted, and only the rules about fragments may look at it.

    Raises:
        LimitExceeded: `document_operations`, `depth`, `aliases`, `directives`, `fragments`, `root_fields`,
            `repeated_fields`, or `cost` because there are that many fields.
    """
    fragments = fragments_of(document)
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    _require("document_operations", allowed=limits.document_operations, actual=len(operations))
    number = sum(isinstance(definition, FragmentDefinitionNode) for definition in document.definitions)
    _require("fragments", allowed=limits.fragments, actual=number)
    sizes = _Sizes(fragments)
    size = sizes.of_operations(operations)
    for name in _COUNTED:
        _require(name, allowed=getattr(limits, name), actual=getattr(size, name))
    _require("cost", allowed=limits.cost, actual=size.fields)
    is_sound = number == len(fragments) == len(sizes.spread) and not sizes.cyclic
    if is_sound:
        for operation in operations:
            most = _most_repeated(operation, fragments, allowed=limits.repeated_fields)
            _require("repeated_fields", allowed=limits.repeated_fields, actual=most)
    return is_sound


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    """Return a document's fragments by name."""
    return {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}


def fields_of(
    selected: Iterable[SelectionSetNode], fragments: Mapping[str, FragmentDefinitionNode]
) -> Iterator[tuple[FieldNode, str | None]]:
    """Return the fields of selection sets, with those of the fragments in them, as often as they stand there.

    Args:
        selected: The selection sets.
        fragments: From `fragments_of`; none of them may be spread in itself.

    Returns:
        Each with the name of the type that the innermost fragment round it is on; None where there is none.
    """
    waiting: list[tuple[SelectionNode, str | None]] = [(node, None) for each in selected for node in each.selections]
    waiting.reverse()
    while waiting:
        node, on = waiting.pop()
        if isinstance(node, FieldNode):
            yield node, on
            continue
        inner: InlineFragmentNode | FragmentDefinitionNode | None = None
        if isinstance(node, InlineFragmentNode):
            inner = node
        elif isinstance(node, FragmentSpreadNode):
            inner = fragments.get(node.name.value)
        if inner is not None:
            condition = inner.type_condition
            on = on if condition is None else condition.name.value
            waiting += [(each, on) for each in reversed(inner.selection_set.selections)]


@dataclass(slots=True)
class _Size:
    """The measures of a definition, with everything that it spreads; see `Limits`."""

    fields: int = 0
    depth: int = 0
    aliases: int = 0
    directives: int = 0
    fragments: int = 0
    root_fields: int = 0

    def include(self, fragment: _Size, *, depth: int, times: int) -> None:
        """Add what a fragment holds, `times` often, in `depth` fields."""
        self.fields += times * fragment.fields
        self.depth = max(self.depth, depth + fragment.depth)
        self.aliases += times * fragment.aliases
        self.directives += times * fragment.directives
        self.fragments += times * fragment.fragments
        self.root_fields += times * fragment.root_fields if depth == 0 else 0

    def add(self, operation: _Size) -> None:
        """Put another operation beside."""
        self.fields += operation.fields
        self.depth = max(self.depth, operation.depth)
        self.aliases += operation.aliases
        self.directives += operation.directives
        self.fragments += operation.fragments
        self.root_fields = max(self.root_fields, operation.root_fields)


@dataclass(slots=True)
class _Own(_Size):
    """The measures of what stands in a definition itself.

    Args:
        spreads: The fragments that it spreads: how many fields they stand in, and how often.
    """

    spreads: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))


class _Sizes:
    """Measures definitions, each fragment once.

    Attributes:
        cyclic: Whether one of the fragments is spread in itself.
        spread: The names of those that are part of an operation that was measured.
    """

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self.cyclic = False
        self.spread: set[str] = set()
        self._own = {name: _measure(node) for name, node in fragments.items()}
        self._sizes: dict[str, _Size] = {}
        for name in fragments:
            self._find(name)

    def of_operations(self, operations: Iterable[OperationDefinitionNode]) -> _Size:
        """Measure operations: what is counted together, what is nested or at the root in the largest."""
        size = _Size()
        for operation in operations:
            own = _measure(operation)
            own.directives += sum(len(each.directives or ()) for each in operation.variable_definitions or ())
            self._mark(own)
            size.add(self._total(own))
        return size

    def _mark(self, own: _Own) -> None:
        """Remember which fragments a definition spreads, and which those do."""
        waiting = [own]
        while waiting:
            names = {name for name, _ in waiting.pop().spreads if name in self._own} - self.spread
            self.spread |= names
            waiting += [self._own[name] for name in names]

    def _find(self, root: str) -> None:
        """Measure a fragment after those that it spreads; with a stack, because they may be a long chain."""
        path = [(root, iter(self._own[root].spreads))]
        open_names = {root}
        while path:
            name, spreads = path[-1]
            for spread, _ in spreads:
                if spread in open_names:
                    self.cyclic = True  # validation will say so; until then nothing is walked
                elif spread in self._own and spread not in self._sizes:
                    path.append((spread, iter(self._own[spread].spreads)))
                    open_names.add(spread)
                    break
            else:
                path.pop()
                open_names.discard(name)
                self._sizes[name] = self._total(self._own[name])

    def _total(self, own: _Own) -> _Size:
        total = _Size(own.fields, own.depth, own.aliases, own.directives, own.fragments, own.root_fields)
        for (name, depth), times in own.spreads.items():
            size = self._sizes.get(name)
            if size is not None:  # otherwise there is no such fragment, or it is spread in itself
                total.include(size, depth=depth, times=times)
        return total


def _measure(definition: OperationDefinitionNode | FragmentDefinitionNode) -> _Own:
    own = _Own(directives=len(definition.directives or ()))
    waiting: list[tuple[SelectionNode, int]] = [(node, 0) for node in definition.selection_set.selections]
    while waiting:
        node, depth = waiting.pop()
        own.directives += len(node.directives or ())
        if isinstance(node, FieldNode):
            own.fields += 1
            own.root_fields += depth == 0
            own.aliases += node.alias is not None
            depth += 1
            own.depth = max(own.depth, depth)
        elif isinstance(node, FragmentSpreadNode):
            own.fragments += 1
            own.spreads[node.name.value, depth] += 1
            continue
        else:
            own.fragments += 1
        inner: SelectionSetNode | None = node.selection_set  # type: ignore[attr-defined] # of a field or inline fragment
        waiting += [(each, depth) for each in inner.selections] if inner is not None else ()
    return own


def _most_repeated(
    operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode], *, allowed: int
) -> int:
    """Say how often a response name stands in one selection set, with all that is merged there; enough when too often.

    Walks what is expanded: its fields were counted before.
    """
    most = 0
    waiting: list[list[SelectionSetNode]] = [[operation.selection_set]]
    while waiting and most <= allowed:
        by_name: dict[str, list[FieldNode]] = defaultdict(list)
        for node, _ in fields_of(waiting.pop(), fragments):
            by_name[(node.alias or node.name).value].append(node)
        for nodes in by_name.values():
            most = max(most, len(nodes))
            inner = [node.selection_set for node in nodes if node.selection_set is not None]
            if inner:
                waiting.append(inner)
    return most


def _require(limit: str, *, allowed: int, actual: int) -> None:
    if actual > allowed:
        raise LimitExceeded(limit, allowed=allowed, actual=min(actual, _LARGEST))
