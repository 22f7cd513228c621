from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from graphql import build_schema, get_introspection_query, parse, specified_rules, validate
from hypothesis import given
from hypothesis import strategies as st

from gqlink.errors import LimitExceeded
from gqlink.server import Limits
from gqlink.server.document_limits import check_document, check_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ENOUGH = 2**40
GENEROUS = Limits(**{field.name: ENOUGH for field in dataclasses.fields(Limits)})
FRAGMENT_RULES = {"UniqueFragmentNamesRule", "NoFragmentCyclesRule", "NoUnusedFragmentsRule"}
SCHEMA = build_schema("type Query { a: Query b: Query c: Query }")


def exceeded(query: str, limits: Limits) -> LimitExceeded:
    """Check a document that must be over a limit."""
    with pytest.raises(LimitExceeded) as caught:
        is_sound(query, limits)
    return caught.value


def is_sound(query: str, limits: Limits = GENEROUS) -> bool:
    """Check a document, and tell whether its fragments can be counted."""
    check_text(query, limits)
    return check_document(parse(query), limits)


def exceeded_text(query: str) -> float | None:
    """Say how many tokens a text has that has more than one."""
    with pytest.raises(LimitExceeded) as caught:
        check_text(query, dataclasses.replace(GENEROUS, document_tokens=1))
    assert caught.value.limit == "document_tokens"
    return caught.value.actual


AT_THE_BOUND = [
    ("document_bytes", 9, "{ a b c }", "{ a b c  }"),
    ("document_bytes", 11, '{ a #"ж"\n}', '{ a #"ж" \n}'),
    ("document_lines", 3, "{ a\nb\n}", "{ a\nb\n\n}"),
    ("document_lines", 3, "{ a\r\nb\r\n}", "{ a\r\nb\n\r}"),
    ("document_lines", 3, "{ a\rb\r}", "{ a\rb\r\r}"),
    ("document_tokens", 5, "{ a b c }", "{ a b c d }"),
    ("document_tokens", 6, "{ ... { a } }", "{ ... { a b } }"),
    ("document_tokens", 4, "{ a\n#}}}\n}", "{ a\n#}}}\n#\n}"),
    ("document_tokens", 8, '{ a(b: """c " \\""" d""") }', '{ a(b: """c""" "d") }'),
    ("document_tokens", 8, "{ a(b: -1.5e10) }", "{ a(b: -1.5e10 1) }"),
    ("document_operations", 2, "query A { a } query B { b }", "query A { a } query B { b } query C { c }"),
    ("depth", 2, "{ a { b } }", "{ a { b { c } } }"),
    ("depth", 2, "{ ...F } fragment F on Query { a { b } }", "{ a { ...F } } fragment F on Query { a { b } }"),
    ("depth", 1, "{ ... { ... { a } } }", "{ ... { ... { a { b } } } }"),
    ("aliases", 1, "{ x: a b }", "{ x: a y: b }"),
    (
        "aliases",
        2,
        "{ a { ...F } b { ...F } } fragment F on Query { x: a }",
        "{ x: a { ...F } b { ...F } } fragment F on Query { x: a }",
    ),
    ("directives", 1, "{ a @skip(if: true) b }", "{ a @skip(if: true) b @skip(if: true) }"),
    ("directives", 1, "query @a { a }", "query ($v: Int @a) @a { a }"),
    ("directives", 2, "{ ...F @a } fragment F on Query @a { a }", "{ ...F @a } fragment F on Query @a { a @a }"),
    ("fragments", 2, "{ ... { a } ... { b } }", "{ ... { a } ... { b } ... { c } }"),
    ("fragments", 2, "{ ...F ...F } fragment F on Query { a }", "{ ...F ...F ...F } fragment F on Query { a }"),
    (
        "fragments",
        2,
        "{ ...F } fragment F on Query { ...G } fragment G on Query { a }",
        "{ ...F } fragment F on Query { ...G ...G } fragment G on Query { a }",
    ),
    ("root_fields", 2, "{ a b { c } }", "{ a b c }"),
    ("root_fields", 2, "{ a ...F } fragment F on Query { b { c } }", "{ a ...F } fragment F on Query { b c }"),
    ("repeated_fields", 2, "{ a a b }", "{ a a a b }"),
    ("repeated_fields", 2, "{ x: a x: a }", "{ x: a x: a x: b }"),
    ("repeated_fields", 2, "{ a { b } a { b } }", "{ a { b } a { b ... { b } } }"),
    ("repeated_fields", 2, "{ ...F b ...F } fragment F on Query { a }", "{ ...F a ...F } fragment F on Query { a }"),
    ("cost", 3, "{ a { b c } }", "{ a { b c } b }"),
    (
        "cost",
        4,
        "{ a { ...F } b { ...F } } fragment F on Query { c }",
        "{ a { ...F } b { ...F c } } fragment F on Query { c }",
    ),
]


@pytest.mark.parametrize(("limit", "bound", "at", "above"), AT_THE_BOUND, ids=lambda value: str(value)[:40])
def test_a_limit_is_a_bound_that_may_be_reached(limit: str, bound: int, at: str, above: str) -> None:
    """What is at it passes; one more is refused, with the limit's name, what it allows and what came."""
    limits = dataclasses.replace(GENEROUS, **{limit: bound})

    assert is_sound(at, limits)
    error = exceeded(above, limits)
    assert (error.limit, error.allowed, error.actual) == (limit, bound, bound + 1)


def test_a_documents_text_is_counted_in_bytes() -> None:
    """Of UTF-8, whatever it holds: a lone surrogate is three, and no reason to fail."""
    limits = dataclasses.replace(GENEROUS, document_bytes=6)

    check_text("жжж", limits)
    check_text("\ud800\ud800", limits)
    assert exceeded("\ud800\ud800 ", limits).actual == 7


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("", 0),
        ("  \n,,\ufeff", 0),
        ("~ ` ж \\", 0),
        ('{ a(b: "', 6),
        ('{ a(b: """ }', 6),
        ('"a\n"b', 2),
        ("... .. .", 1),
        ("007", 1),
    ],
)
def test_a_text_that_is_no_document_has_tokens_too(query: str, number: int) -> None:
    """What cannot be parsed is for the parser to say; what does not end is one token to the end of its line or text."""
    assert exceeded_text(f"{'{' * 100} {query}") == number + 100


@pytest.mark.parametrize(
    "query",
    [
        "{ a }",
        "query A { ...F } query B { a { ...F } } fragment F on Query { a }",
        "{ ...Unknown }",
        "{ ...F ...Unknown } fragment F on Query { ...Unknown }",
        "type Query { a: Int }",
    ],
)
def test_a_document_whose_fragments_are_counted_is_sound(query: str) -> None:
    """A spread of an unknown fragment adds itself, and nothing else: there is nothing else to look at."""
    assert is_sound(query)


@pytest.mark.parametrize(
    "query",
    [
        "{ a } fragment F on Query { a }",
        "fragment F on Query { a }",
        "{ ...F } fragment F on Query { a } fragment F on Query { b }",
        "{ ...F } fragment F on Query { ...F }",
        "{ ...F } fragment F on Query { ...G } fragment G on Query { a { ...F } }",
        "{ a } fragment F on Query { ...G } fragment G on Query { ...F }",
    ],
)
def test_a_document_with_fragments_that_cannot_be_counted_is_not_sound(query: str) -> None:
    """One that is unused, or defined twice, or part of itself: nothing but the rules that say so may look at it."""
    assert not is_sound(query)


@dataclass(frozen=True)
class Field:
    """A field, as Hypothesis makes it."""

    name: str
    alias: str | None
    directives: int
    selections: tuple[Any, ...]

    def __str__(self) -> str:
        alias = f"{self.alias}: " if self.alias else ""
        inner = f" {{ {' '.join(map(str, self.selections))} }}" if self.selections else ""
        return f"{alias}{self.name}{' @d' * self.directives}{inner}"


@dataclass(frozen=True)
class Inline:
    """An inline fragment."""

    directives: int
    selections: tuple[Any, ...]

    def __str__(self) -> str:
        return f"...{' @d' * self.directives} {{ {' '.join(map(str, self.selections))} }}"


@dataclass(frozen=True)
class Spread:
    """A spread of one of the fragments F0, F1, ...; of what comes after the fragment that it stands in."""

    number: int
    directives: int

    def __str__(self) -> str:
        return f"...F{self.number}{' @d' * self.directives}"


@dataclass(frozen=True)
class Written:
    """A document: the selections of its operations, and of its fragments with the directives on each."""

    operations: tuple[tuple[Any, ...], ...]
    fragments: tuple[tuple[int, tuple[Any, ...]], ...]

    def __str__(self) -> str:
        operations = [f"query Q{n} {{ {' '.join(map(str, each))} }}" for n, each in enumerate(self.operations)]
        fragments = [
            f"fragment F{number} on Query{' @d' * directives} {{ {' '.join(map(str, each))} }}"
            for number, (directives, each) in enumerate(self.fragments)
        ]
        return " ".join([*operations, *fragments])


class Choices:
    """Numbers that say what to write next; when there are no more, the shortest there is."""

    def __init__(self, numbers: list[int]) -> None:
        self._numbers = iter(numbers)

    def take(self, most: int) -> int:
        """Return a number from 0 to `most`."""
        return next(self._numbers, 0) % (most + 1)

    def field(self, *, later: range, depth: int) -> Field:
        """Write a field, with fields in it or not."""
        name, alias = "abc"[self.take(2)], (None, None, "a", "b")[self.take(3)]
        inner = self.selections(later=later, depth=depth - 1) if depth and self.take(2) else ()
        return Field(name, alias, self.take(2), inner)

    def selection(self, *, later: range, depth: int) -> Field | Inline | Spread:
        """Write a field or a fragment."""
        match self.take(5):
            case 5 if depth:
                return Inline(self.take(2), self.selections(later=later, depth=depth - 1))
            case 3 | 4 if later:
                return Spread(later[self.take(len(later) - 1)], self.take(2))
            case _:
                return self.field(later=later, depth=depth)

    def selections(self, *, later: range, depth: int = 3) -> tuple[Any, ...]:
        """Write a selection set that may spread some fragments."""
        return tuple(self.selection(later=later, depth=depth) for _ in range(1 + self.take(3)))

    def document(self) -> Written:
        """Write a document; a fragment spreads only those after it."""
        number = self.take(4)
        operations = tuple(self.selections(later=range(number)) for _ in range(1 + self.take(2)))
        fragments = tuple((self.take(2), self.selections(later=range(each + 1, number))) for each in range(number))
        return Written(operations, fragments)


def written() -> st.SearchStrategy[Written]:
    """Draw a document."""
    return st.lists(st.integers(0, 59), max_size=150).map(lambda numbers: Choices(numbers).document())


class Expanded:
    """A document with every fragment written out, and what is counted on the way."""

    def __init__(self, document: Written) -> None:
        self.document = document
        self.counts: Counter[str] = Counter()
        self.repeated = 0
        self.depth = 0
        self.root_fields = 0
        for operation in document.operations:
            fields = list(self.write_out(operation, depth=1))
            self.root_fields = max(self.root_fields, len(fields))
            self.merge(fields)

    def write_out(self, selected: Sequence[Any], *, depth: int) -> Iterator[tuple[str, list[Any]]]:
        """Yield fields by response name, each with the fields in it."""
        for each in selected:
            self.counts["directives"] += each.directives
            match each:
                case Field():
                    self.counts["cost"] += 1
                    self.counts["aliases"] += each.alias is not None
                    self.depth = max(self.depth, depth)
                    yield each.alias or each.name, list(self.write_out(each.selections, depth=depth + 1))
                case Inline():
                    self.counts["fragments"] += 1
                    yield from self.write_out(each.selections, depth=depth)
                case Spread():
                    directives, inner = self.document.fragments[each.number]
                    self.counts["fragments"] += 1
                    self.counts["directives"] += directives
                    yield from self.write_out(inner, depth=depth)

    def merge(self, fields: list[tuple[str, list[Any]]]) -> None:
        """Count each response name where fields of one selection set are put together, and so on below."""
        by_name: dict[str, list[list[Any]]] = {}
        for name, inner in fields:
            by_name.setdefault(name, []).append(inner)
        for inners in by_name.values():
            self.repeated = max(self.repeated, len(inners))
            self.merge([each for inner in inners for each in inner])

    def measures(self) -> dict[str, int]:
        """Return what each limit counts."""
        fragments = max(self.counts["fragments"], len(self.document.fragments))
        return {
            "document_operations": len(self.document.operations),
            "depth": self.depth,
            "root_fields": self.root_fields,
            "aliases": self.counts["aliases"],
            "directives": self.counts["directives"],
            "cost": self.counts["cost"],
            "fragments": fragments,
        }

    def uses_all(self) -> bool:
        """Tell whether each fragment is part of an operation."""
        used: set[int] = set()
        waiting = [each for operation in self.document.operations for each in operation]
        while waiting:
            each = waiting.pop()
            if isinstance(each, Spread):
                if each.number not in used:
                    used.add(each.number)
                    waiting += self.document.fragments[each.number][1]
            else:
                waiting += each.selections
        return len(used) == len(self.document.fragments)


@given(written())
def test_what_is_counted_is_what_stands_there_with_every_fragment_written_out(document: Written) -> None:
    """Each measure is that of the document without fragments, exactly, whatever spreads what."""
    parsed, expanded = parse(str(document)), Expanded(document)

    for limit, actual in expanded.measures().items():
        assert check_document(parsed, dataclasses.replace(GENEROUS, **{limit: max(1, actual)})) == expanded.uses_all()
        if actual > 1:
            with pytest.raises(LimitExceeded) as caught:
                check_document(parsed, dataclasses.replace(GENEROUS, **{limit: actual - 1}))
            assert (caught.value.limit, caught.value.actual) == (limit, actual)


@given(written())
def test_a_response_name_is_counted_where_selection_sets_are_merged(document: Written) -> None:
    """Two fields of one name are one selection set, with all that stands in both."""
    # Whatever is unused goes no further than the rules about fragments, so here nothing is.
    all_of_them = tuple(Spread(number, 0) for number in range(len(document.fragments)))
    document = dataclasses.replace(document, operations=(*document.operations, (*all_of_them, Field("a", None, 0, ()))))
    expanded = Expanded(document)

    assert is_sound(str(document), dataclasses.replace(GENEROUS, repeated_fields=expanded.repeated))
    if expanded.repeated > 1:
        error = exceeded(str(document), dataclasses.replace(GENEROUS, repeated_fields=expanded.repeated - 1))
        assert (error.limit, error.actual) == ("repeated_fields", expanded.repeated)


@given(
    st.lists(st.lists(st.integers(0, 5), max_size=3), max_size=5),
    st.lists(st.integers(0, 5), max_size=3),
    st.lists(st.integers(0, 4), max_size=2),
)
def test_a_document_is_unsound_where_a_rule_about_fragments_says_so(
    spreads: list[list[int]], root: list[int], twice: list[int]
) -> None:
    """And nowhere else: what is let through was counted, what is not gets an error."""
    texts = [" ".join(f"...F{each}" for each in inner) for inner in spreads]
    fragments = [f"fragment F{number} on Query {{ a {text} }}" for number, text in enumerate(texts)]
    fragments += [fragments[number] for number in twice if number < len(fragments)]
    document = parse(f"{{ a {' '.join(f'...F{each}' for each in root)} }} {' '.join(fragments)}")

    rules = [rule for rule in specified_rules if rule.__name__ in FRAGMENT_RULES]
    assert len(rules) == len(FRAGMENT_RULES)
    assert check_document(document, GENEROUS) == (not validate(SCHEMA, document, rules))


def doubling(times: int) -> str:
    """Return fragments that each spread the next one twice."""
    fragments = [f"fragment F{number} on Query {{ ...F{number + 1} ...F{number + 1} }}" for number in range(times)]
    return f"{{ ...F0 }} {' '.join(fragments)} fragment F{times} on Query {{ a }}"


def steps(query: str, limits: Limits) -> int:
    """Count the calls, Python's own included, until a document is refused."""
    document, number = parse(query), 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal number
        number += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        with pytest.raises(LimitExceeded):
            check_document(document, limits)
    finally:
        sys.setprofile(before)
    return number


@pytest.mark.parametrize("limit", ["cost", "fragments", "root_fields"])
def test_fragments_that_double_are_refused_after_work_in_proportion_to_their_text(limit: str) -> None:
    """Four million fields in 23 fragments take about twice as many steps as two thousand in 12."""
    limits = dataclasses.replace(GENEROUS, **{limit: 100})

    assert exceeded(doubling(22), limits).limit == limit
    assert steps(doubling(22), limits) < 3 * steps(doubling(11), limits)
    assert steps(doubling(44), limits) < 3 * steps(doubling(22), limits)


def test_what_nobody_can_count_is_told_as_a_number_that_everybody_can_read() -> None:
    """Beyond 2**53 numbers of JSON are not what they look like, and some writers of JSON refuse them."""
    assert exceeded(doubling(200), dataclasses.replace(GENEROUS, cost=100)).actual == 2**53 - 1


@pytest.mark.parametrize("operations", [10, 20])
def test_operations_that_spread_the_same_fragments_count_together(operations: int) -> None:
    """All of them are validated, so it is their sum that is bounded, and so is the work that looks at them."""
    texts = [f"query Q{number} {{ ...F0 }}" for number in range(operations)]
    query = doubling(6).replace("{ ...F0 }", " ".join(texts))

    assert exceeded(query, dataclasses.replace(GENEROUS, cost=100)).actual == operations * 2**6
    assert exceeded(query, dataclasses.replace(GENEROUS, document_operations=operations - 1)).actual == operations


@pytest.mark.parametrize(
    "query",
    [
        get_introspection_query(),
        get_introspection_query(
            specified_by_url=True, directive_is_repeatable=True, schema_description=True, input_value_deprecation=True
        ),
    ],
    ids=["plain", "with all options"],
)
def test_the_question_that_every_tool_asks_is_within_the_limits(query: str) -> None:
    """Introspection as GraphiQL and code generators send it."""
    assert is_sound(query, Limits())
