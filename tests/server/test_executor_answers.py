"""The executor's answers are graphql-core's, whatever an application's objects hold."""

from __future__ import annotations

import asyncio
import gc
import inspect
import warnings
from collections import UserDict, UserList
from functools import partial
from itertools import product
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from graphql import (
    ExecutionResult,
    Executor,
    GraphQLEnumType,
    GraphQLObjectType,
    GraphQLScalarType,
    Undefined,
    build_schema,
    parse,
)
from hypothesis import given
from hypothesis import strategies as st

from gqlink.server.executor import OperationExecutor
from gqlink.server.field_sets import KnownFields, is_constant

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from graphql import DocumentNode, GraphQLSchema

SDL = """
type Query {
  thing: Thing
  things: [Thing!]
  flat: [Thing]
  sure: [Thing!]
  nested: [[Thing]]
  any: Any
  named: [Named]
  resolved(times: Int = 2): Thing
  checked: Checked
}
type Mutation { first: Thing second: Thing! }
interface Named { text: String }
type Thing implements Named {
  text: String
  sure: String!
  id: ID
  whole: Int
  half: Float
  yes: Boolean
  sort: Sort
  own: Own
  below: Thing
  surely: Thing!
  given(word: String): String
  slow: Int
}
type Other implements Named { text: String sure: Int! }
type Checked { text: String }
union Any = Thing | Other
enum Sort { A B }
scalar Own
"""
FIELDS = "text sure id whole half yes sort own given slow"
DOCUMENTS = {
    text: parse(text)
    for text in (
        f"{{ thing {{ {FIELDS} }} }}",
        "{ things { a: text text b: sure below { sure surely { text } } slow } }",
        "{ nested { __typename text whole } checked { text } missing: thing { __typename } }",
        "{ any { ... on Thing { text sure } ... on Other { number: sure text } } named { __typename text } }",
        "{ resolved { ...F } more: resolved(times: 3) { ...F below { ...F } } } fragment F on Thing { id given slow }",
        "query ($no: Boolean = true) { thing { text @skip(if: $no) id @include(if: $no) ... @skip(if: $no) { own } } }",
        "mutation { first { text sure } second { text surely { sure } } third: first { id } }",
    )
}


PLAIN = "text twice: text sure id whole half yes"
LISTS = {
    text: parse(text)
    for text in (
        f"{{ flat {{ {PLAIN} }} sure {{ {PLAIN} }} }}",
        "{ flat { text } again: flat { text } sure { ...F } more: sure { ...F } } fragment F on Thing { text sure id }",
        "{ flat { text __typename } sure { text own } }",
        "{ flat @stream(initialCount: -1) { text } sure @own { text } }",
        "query ($no: Boolean = true) { flat { text yes @skip(if: $no) } sure @include(if: $no) { text id } }",
    )
}


class Awkward(Exception):
    """What an application raises."""


class Holder:
    """An object whose attributes are read, and each only once."""

    def __init__(self, values: dict[str, object]) -> None:
        self._values = values
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> object:
        if name.startswith("_"):
            raise AttributeError(name)
        self.asked.append(name)
        if name not in self._values:
            raise AttributeError(name)
        value = self._values[name]
        if isinstance(value, Awkward) and value.args == ("at once",):
            raise value
        return value


class Text(str):
    """A text that is more than one."""

    __slots__ = ()


class Later:
    """A value that takes its time; unlike a coroutine it does not complain where nobody asks for it."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __await__(self) -> Generator[Any, Any, object]:
        yield
        if isinstance(self._value, Exception):
            raise self._value
        return self._value


class Guarded:
    """An object that nobody may ask whether it can be awaited."""

    text = "guarded"

    @property
    def __await__(self) -> object:
        raise Awkward("no such question")


class Proxy:
    """An object that passes for another."""

    def __init__(self, value: object) -> None:
        self._value = value

    @property  # type: ignore[misc] # as libraries do it
    def __class__(self) -> type:
        return type(self._value)

    def __getattr__(self, name: str) -> object:
        return getattr(self._value, name)


async def late(value: object) -> object:
    return await Later(value)


SCALARS: list[Callable[[], object]] = [
    lambda: "a text",
    lambda: Text("another"),
    lambda: "",
    lambda: None,
    lambda: 7,
    lambda: 2**31 - 1,
    lambda: 2**31,
    lambda: -(2**31) - 1,
    lambda: True,
    lambda: 1.5,
    lambda: 3e300,
    lambda: float("nan"),
    lambda: float("inf"),
    lambda: Undefined,
    lambda: Awkward("returned"),
    lambda: Awkward("at once"),
    lambda: lambda _info, **given: str(sorted(given)),
    lambda: Later("a text"),
    lambda: Later(Awkward("later")),
    lambda: lambda _info, **_: Later(4),
    lambda: ["a", "list"],
    lambda: "A",
    lambda: object,
]
LEAVES = ("text", "sure", "id", "whole", "half", "yes", "sort", "own", "given", "slow")
scalars = st.dictionaries(
    st.sampled_from(LEAVES), st.integers(0, len(SCALARS) - 1).map(lambda number: SCALARS[number]), max_size=8
)
shapes = st.recursive(
    st.tuples(st.sampled_from(("dict", "object", "mapping", "plain")), scalars, st.none(), st.booleans()),
    lambda inner: st.tuples(
        st.sampled_from(("dict", "object", "mapping", "plain")), scalars, st.none() | inner, st.booleans()
    ),
    max_leaves=4,
)
MAKERS: dict[str, Callable[[dict[str, object]], object]] = {
    "dict": lambda values: values,
    "object": Holder,
    "mapping": UserDict,
    "plain": lambda values: SimpleNamespace(**values),
}


def make(shape: Any, seen: list[object]) -> object:
    """Make a new object as it was drawn; an awaitable can be awaited only once."""
    kind, drawn, inner, is_other = shape
    values = {name: value() for name, value in drawn.items()}
    values |= {"__typename": "Other" if is_other else "Thing"} if kind != "plain" else {}
    if inner is not None:
        values["below"] = values["surely"] = make(inner, seen)
    made = MAKERS[kind](values)
    seen.append(made)
    return made


def schema() -> GraphQLSchema:
    """Make the schema, with a resolver, an enum, a scalar and a check of its own."""
    built = build_schema(SDL)
    query, own, sort, checked = (built.type_map[name] for name in ("Query", "Own", "Sort", "Checked"))
    assert isinstance(query, GraphQLObjectType)
    assert isinstance(own, GraphQLScalarType)
    assert isinstance(sort, GraphQLEnumType)
    assert isinstance(checked, GraphQLObjectType)
    query.fields["resolved"].resolve = lambda root, info, times: {"text": f"{times} {info.path.as_list()}", **root}
    own.coerce_output_value = lambda value: None if value == "" else repr(value)
    checked.is_type_of = lambda value, _info: isinstance(value, dict)
    thing = built.type_map["Thing"]
    assert isinstance(thing, GraphQLObjectType)
    thing.fields["slow"].resolve = lambda source, _info: late(7 if isinstance(source, dict) else None)
    return built


SCHEMA = schema()


ODD_ITEMS: list[Callable[[], object]] = [
    lambda: None,
    lambda: Undefined,
    lambda: Awkward("an item"),
    lambda: Later(None),
    lambda: Later({"text": "late", "sure": "late"}),
    lambda: "a text",
    lambda: (number for number in range(2)),
    Guarded,
    lambda: Proxy({"text": "not this one"}),
    lambda: Proxy(Awkward("behind a proxy")),
    lambda: Proxy(SimpleNamespace(text="behind", sure="it")),
]
CONTAINERS: dict[str, Callable[[list[object]], object]] = {
    "list": lambda items: items,
    "tuple": tuple,
    "generator": lambda items: (each for each in items),
    "user list": UserList,
}
simple = st.fixed_dictionaries(
    {"text": st.sampled_from(SCALARS[:4]), "sure": st.just(SCALARS[0]), "whole": st.sampled_from((*SCALARS[3:6],))}
)
simple_shapes = st.tuples(st.sampled_from(sorted(MAKERS)), simple, st.none(), st.booleans())
items = st.lists(simple_shapes | shapes | st.sampled_from(ODD_ITEMS), max_size=6)


def root(shape: Any, seen: list[object]) -> dict[str, object]:
    thing = make(shape, seen)
    return {
        "thing": thing,
        "things": [make(shape, seen), Later(make(shape, seen)), make(shape, seen)],
        "nested": [[make(shape, seen), None], None, [Later(None)]],
        "any": make(shape, seen),
        "named": (make(shape, seen) for _ in range(2)),
        "checked": make(shape, seen),
        "first": make(shape, seen),
        "second": Later(make(shape, seen)),
    }


def lists(drawn: list[Any], container: str) -> Callable[[list[object]], dict[str, object]]:
    """Return what makes lists of new objects, as they were drawn."""

    def made(seen: list[object]) -> object:
        return CONTAINERS[container]([each() if callable(each) else make(each, seen) for each in drawn])

    return lambda seen: {"flat": made(seen), "sure": made(seen)}


async def answer(
    executor_class: type[Executor[None]],
    document: DocumentNode,
    made: Callable[[list[object]], dict[str, object]],
    **options: Any,
) -> tuple[object, ...]:
    """Execute a document, and say what came of it and what was asked of the objects."""
    seen: list[object] = []
    executor = executor_class.build(SCHEMA, document, made(seen), **options)
    assert isinstance(executor, Executor)
    result = executor.execute_operation()
    if inspect.isawaitable(result):
        result = await result
    assert isinstance(result, ExecutionResult)
    asked = [each.asked for each in seen if isinstance(each, Holder)]
    return repr(result.data), [repr(error.formatted) for error in result.errors or ()], asked


async def compare(document: DocumentNode, made: Callable[[list[object]], dict[str, object]]) -> None:
    """See that it is answered as graphql-core does, by who comes first and by whoever comes after."""
    expected = await answer(Executor, document, made)
    assert await answer(OperationExecutor, document, made) == expected
    known = KnownFields(shared=True) if is_constant(document) else None
    for _ in range(2):
        assert await answer(OperationExecutor, document, made, known=known) == expected


@given(shape=shapes, text=st.sampled_from(sorted(DOCUMENTS)))
def test_answers_are_those_of_graphql_core(shape: Any, text: str) -> None:
    """Data, errors, their order and their paths are the same, and so is what was asked of each object.

    That holds the first time and for whoever comes after, and however the document was kept.
    """
    asyncio.run(compare(DOCUMENTS[text], partial(root, shape)))


@given(drawn=items, container=st.sampled_from(sorted(CONTAINERS)), text=st.sampled_from(sorted(LISTS)))
def test_lists_are_answered_as_graphql_core_does(drawn: list[Any], container: str, text: str) -> None:
    """Wherever in a list one stands that is not like the others, or has a value that is not like its type."""
    asyncio.run(compare(LISTS[text], lists(drawn, container)))


@pytest.mark.parametrize("odd", ODD_ITEMS)
@pytest.mark.parametrize("text", sorted(LISTS))
async def test_every_item_is_answered_as_graphql_core_does(odd: Callable[[], object], text: str) -> None:
    """What is no object, or only seems to be one: at either end of a list and within it."""
    simple_one = ("object", {"text": SCALARS[0], "sure": SCALARS[0]}, None, False)
    for drawn in ([odd, simple_one], [simple_one, odd, simple_one], [simple_one, odd], [odd, odd]):
        await compare(LISTS[text], lists(drawn, "list"))


async def test_objects_of_one_class_may_pass_for_others() -> None:
    """Each item is what it passes for, whatever the one before was."""
    for first, second in product((each for each in ODD_ITEMS if isinstance(each(), Proxy)), repeat=2):
        await compare(parse("{ flat { text } sure { text } }"), lists([first, second], "list"))


async def test_what_waits_in_a_list_is_settled_when_it_fails() -> None:
    """However it fails: Python has nothing to complain of."""

    def made(_seen: list[object]) -> dict[str, object]:
        return {"flat": [{"text": "first"}, Guarded(), late(None)]}

    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always")
        await compare(parse("{ flat { text } }"), made)
        await asyncio.sleep(0)
        gc.collect()
    assert [str(complaint.message) for complaint in complaints] == []


@pytest.mark.parametrize("kind", sorted(MAKERS))
@pytest.mark.parametrize("text", sorted(LISTS))
async def test_every_value_in_a_list_is_answered_as_graphql_core_does(kind: str, text: str) -> None:
    """After an object whose values are those of its fields' types, and before one."""
    simple_one = (kind, {"text": SCALARS[0], "sure": SCALARS[0]}, None, False)
    for value in SCALARS:
        await compare(
            LISTS[text], lists([simple_one, (kind, dict.fromkeys(LEAVES, value), None, False), simple_one], "list")
        )


@pytest.mark.parametrize("kind", sorted(MAKERS))
@pytest.mark.parametrize("text", sorted(DOCUMENTS))
async def test_every_value_is_answered_as_graphql_core_does(kind: str, text: str) -> None:
    """Numbers of more than 32 bits, texts of a class of their own, errors that are values: in each kind of field."""
    for value in SCALARS:
        made = partial(root, (kind, dict.fromkeys(LEAVES, value), None, False))
        assert await answer(OperationExecutor, DOCUMENTS[text], made) == await answer(Executor, DOCUMENTS[text], made)


def test_an_item_after_a_failure_is_not_looked_at() -> None:
    """What else is in a list is left as it is, once one of its objects has made it null; graphql-core does so too."""
    asked = [Holder({"text": "a", "sure": "b"}), Holder({"text": "a"}), Holder({"text": "a", "sure": "b"})]
    executor = OperationExecutor[None].build(SCHEMA, parse("{ sure { text sure } }"), {"sure": asked})
    assert isinstance(executor, OperationExecutor)
    result = executor.execute_operation()
    assert isinstance(result, ExecutionResult)
    assert result.data == {"sure": None}
    assert [each.asked for each in asked] == [["text", "sure"], ["text", "sure"], []]


def test_fields_that_depend_on_variables_are_found_out_each_time() -> None:
    """What one request leaves out is there for the next."""
    document = parse("query ($no: Boolean!) { thing { text @skip(if: $no) id } }")
    assert not is_constant(document)
    for no, data in ((True, {"id": "1"}), (False, {"text": "t", "id": "1"})):
        executor = OperationExecutor[None].build(
            SCHEMA, document, {"thing": {"text": "t", "id": "1"}}, raw_variable_values={"no": no}
        )
        assert isinstance(executor, OperationExecutor)
        assert executor.execute_operation() == ExecutionResult({"thing": data}, None)
