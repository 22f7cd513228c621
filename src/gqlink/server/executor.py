"""graphql-core's executor, for subscriptions that go on for a month, and clients that change their mind at once.

graphql-core remembers for each executor which fields a selection comes to, by the identity of a list that it makes
anew for each event, and shares that memory between the executors of all events of a subscription (3.3.2). So it finds
nothing there, and adds to it with each event: about a kilobyte for a field with three fields. Here each event has a
memory of its own, which goes with it.

It also makes a path and a `GraphQLResolveInfo` for each field, asks four times whether there is something to await, and
looks up the type anew; for an attribute that is a text already that is most of what a query costs. Here it does so only
where a resolver or a type of the application's might look, and what depends on the document alone is found out once;
see field_sets.py. A list of objects of which nothing but such attributes is asked, as most are, is read in one loop, up
to the first object that is not so simple. The answers are the same, which a test compares.

It starts a task for each of several fields that are resolved asynchronously. Where an operation is cancelled before
such a task has had its first turn, nobody has begun to await the resolver's coroutine, and Python complains of that in
the log, as often as a client likes. Here such a coroutine is closed, on whatever level it is.
"""

from __future__ import annotations

import inspect
from collections.abc import Coroutine, Mapping
from itertools import chain
from types import CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from graphql import Executor, GraphQLError, GraphQLNonNull, GraphQLObjectType, OperationType, Undefined
from graphql.pyutils import Path, gather_with_cancel

from gqlink.server.field_sets import FieldSet, KnownFields

if TYPE_CHECKING:
    from collections.abc import Awaitable, Generator, Iterator, Sequence

    from gqlink.server.field_sets import Field

__all__ = ("OperationExecutor", "Unbegun", "untie")

ContextT = TypeVar("ContextT")

_RESULT = 4  # its place among the arguments of `complete_awaitable_value`
_MUTATION: Final = OperationType.MUTATION
_LISTS: Final = frozenset({list, tuple})
# Of an `Int`; a `Float` beyond them may be none that JSON has, and is looked at again.
_LEAST: Final = -(2**31)
_MOST: Final = 2**31 - 1


class Unbegun(Coroutine[Any, Any, Any]):
    """A coroutine that may be thrown away before its first turn.

    Args:
        coroutine: graphql-core's.
        within: Another one that it will await: a resolver's.
    """

    __slots__ = ("_coroutine", "_within")

    def __init__(self, coroutine: Any, within: object = None) -> None:
        self._coroutine: CoroutineType[Any, Any, Any] = coroutine
        self._within = within

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coroutine.__await__()

    def __del__(self) -> None:
        _close_unbegun(self._coroutine)
        _close_unbegun(self._within)

    def send(self, value: Any) -> Any:
        """Go on."""
        return self._coroutine.send(value)

    def throw(self, *raised: Any) -> Any:
        """Go on with an exception; where that is the first turn it is the last, and the other one has none."""
        if inspect.getcoroutinestate(self._coroutine) == inspect.CORO_CREATED:
            _close_unbegun(self._within)  # not only in `__del__`: in a cycle it is Python that says which goes first
        return self._coroutine.throw(*raised)

    def close(self) -> None:
        """End it."""
        self._coroutine.close()


class OperationExecutor(Executor[ContextT]):
    """Executes one operation, and each of its events if it is a subscription; make it with `build`.

    Args:
        arguments: graphql-core's.
        known: What is known of the operation's fields already; None for nothing.
        options: graphql-core's.
    """

    def __init__(self, *arguments: Any, known: KnownFields | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._known = KnownFields(shared=False) if known is None else known

    def execute_operation(self, serially: bool | None = None) -> Any:  # noqa: FBT001 -- graphql-core's signature
        """Execute the operation; what is still to be awaited may be thrown away."""
        root = self._known.found_root
        if root is None or (self.operation.operation is _MUTATION if serially is None else serially):
            result = super().execute_operation(serially)
            return Unbegun(result) if result.__class__ is CoroutineType else result
        # As graphql-core does, but for finding the fields out, and for incremental delivery, which there is not.
        try:
            data = self._execute_set(root, self.root_value, None)
        except GraphQLError as error:
            return self._respond_without_data(error)
        return Unbegun(self._respond_later(data)) if self.is_awaitable(data) else self.build_response(data)

    async def _respond_later(self, awaited: Awaitable[dict[str, Any]]) -> Any:
        try:
            data = await awaited
        except GraphQLError as error:
            return self._respond_without_data(error)
        return self.build_response(data)

    def _respond_without_data(self, error: GraphQLError) -> Any:
        self.collected_errors.add(error, None)
        return self.build_response(None)

    def complete_awaitable_value(self, *arguments: Any) -> Any:
        """Complete what a resolver returned and what is still to be awaited; graphql-core's, see the module's text."""
        return Unbegun(super().complete_awaitable_value(*arguments), arguments[_RESULT])

    def complete_list_value(self, *arguments: Any) -> Any:
        """Complete a list; likewise."""
        completed = Executor.complete_list_value(self, *arguments)
        return Unbegun(completed) if completed.__class__ is CoroutineType else completed

    def complete_iterable_value(  # noqa: PLR0917 -- graphql-core's signature
        self, item_type: Any, details: Any, info: Any, path: Any, items: Any, position_context: Any
    ) -> Any:
        """Complete a list; here only objects of which plain fields are asked, up to the first that is not so simple.

        The rest is graphql-core's to complete, with what is done already in its place.
        """
        inner = item_type.of_type if item_type.__class__ is GraphQLNonNull else item_type
        # Other iterables may fail while they are iterated; and a directive may say something of the list.
        if type(items) in _LISTS and _is_silent(inner) and not details[0].node.directives:
            fields = self._known.below(inner, details)
            if fields is not None and fields.is_plain:
                done: list[Any] = []
                rest = iter(items)
                odd = _take_objects(rest, done, fields=fields, nullable=inner is item_type)
                if odd is None:
                    return done
                items = chain(map(_Done, done), odd, rest)
        return Executor.complete_iterable_value(self, item_type, details, info, path, items, position_context)

    def complete_value(  # noqa: PLR0917 -- graphql-core's signature
        self, return_type: Any, details: Any, info: Any, path: Any, result: Any, position_context: Any
    ) -> Any:
        """Complete a value; here only an object whose type has nothing to say, which is most of them."""
        if result.__class__ is _Done:
            return result.value
        inner = return_type.of_type if return_type.__class__ is GraphQLNonNull else return_type
        if not _is_silent(inner) or result is None or result is Undefined or isinstance(result, Exception):
            return Executor.complete_value(self, return_type, details, info, path, result, position_context)
        return self.collect_and_execute_subfields(inner, details, path, result, position_context)

    def execute_root_grouped_field_set(
        self, root_type: Any, root_value: Any, grouped: Any, serially: Any, position_context: Any
    ) -> Any:
        """Execute the fields of the operation itself."""
        fields = self._known.root(self.schema, root_type, grouped)
        if serially:
            return self.execute_fields_serially(root_type, root_value, None, fields.grouped, position_context)
        return self._execute_set(fields, root_value, None)

    def collect_and_execute_subfields(
        self, return_type: Any, details: Any, path: Any, result: Any, position_context: Any
    ) -> Any:
        """Execute what is selected in a field, on its value."""
        del position_context  # of incremental delivery, which there is not
        fields = self._known.below(return_type, details)
        if fields is None:
            grouped = self.collect_subfields(return_type, details).grouped_field_set
            fields = self._known.add(FieldSet(self.schema, return_type, grouped), details)
        return self._execute_set(fields, result, path)

    def _execute_set(self, fields: FieldSet, source: Any, path: Path | None) -> Any:
        """Execute fields on an object, in their order; those that take their time together.

        Where a field is what its object has under its name, and that is what the answer will say, it is done. Anything
        else is graphql-core's to complete. It gets what was read in place of the object, which is asked only once.
        """
        results, rest, awaited = dict[str, Any](), fields.fields, list[str]()
        value: Any
        try:
            if source.__class__ is _Begun:
                source, results, value = source
                field, rest = rest[len(results)], rest[len(results) + 1 :]
                self._execute_field(fields, field, {field.name: value}, path, results, awaited)
            is_mapping = source.__class__ is dict or isinstance(source, Mapping)
            for field in rest:
                response_name, _, name, plain, nullable = field
                owner = source
                if plain is not None:
                    try:
                        value = source.get(name) if is_mapping else getattr(source, name, None)
                    except Exception as exc:  # noqa: BLE001 -- the field's error, as if its resolver had raised it
                        value = exc
                    kind = value.__class__
                    if kind is plain and (kind is str or kind is bool or _LEAST <= value <= _MOST):
                        results[response_name] = value
                        continue
                    if value is None and nullable:
                        results[response_name] = None
                        continue
                    owner = {name: value}
                self._execute_field(fields, field, owner, path, results, awaited)
        except Exception:
            if awaited:
                # Others fail too, perhaps: of what nobody waits for any more Python would complain.
                self.settle_in_background([results[each] for each in awaited])
            raise
        return Unbegun(_await(results, awaited)) if awaited else results

    def _execute_field(  # noqa: PLR0917 -- for each field that is not plain
        self,
        fields: FieldSet,
        field: Field,
        source: Any,
        path: Path | None,
        results: dict[str, Any],
        awaited: list[str],
    ) -> None:
        parent_type, response_name = fields.parent_type, field.response_name
        where = Path(path, response_name, parent_type.name)
        completed = self.execute_field(parent_type, source, field.details, where, None)
        if completed is not Undefined:
            results[response_name] = completed
            if self.is_awaitable(completed):
                awaited.append(response_name)

    def build_per_event_executor(self, payload: object) -> Executor[ContextT]:
        """Make the executor of one event, which leaves nothing behind in this one.

        Args:
            payload: The event: the root value of its execution.
        """
        executor = super().build_per_event_executor(payload)
        assert isinstance(executor, OperationExecutor)
        executor._relevant_sub_fields = {}  # noqa: SLF001 -- there is no public way; see the module's text
        if not self._known.shared:
            executor._known = KnownFields(shared=False)  # noqa: SLF001 -- of the same class
        return executor


def untie(executor: Executor[object]) -> None:
    """Let an executor go that will resolve no field any more.

    It and what it lends to resolvers hold each other. The collector would find them, after it has gone through every
    socket that there is; and each subscriber of a shared run leaves an executor behind.
    """
    executor.async_helpers = None  # type: ignore[assignment] # nobody asks any more


async def _await(results: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Put what is awaited in its place."""
    if len(names) == 1:
        results[names[0]] = await results[names[0]]
    else:
        results.update(zip(names, await gather_with_cancel(*(results[each] for each in names)), strict=True))
    return results


class _Done(NamedTuple):
    """An item of a list that is completed already, where graphql-core looks at it again.

    Args:
        value: What came of it.
    """

    value: Any


class _Begun(NamedTuple):
    """An object of which some fields are read already, in place of the object.

    Args:
        source: The object.
        results: Its first fields, as the answer will say them.
        value: What it has under the name of the next field.
    """

    source: Any
    results: dict[str, Any]
    value: Any


def _is_silent(inner: Any) -> bool:
    """Tell whether a type is an object's, and has nothing to say of what is taken for one."""
    return inner.__class__ is GraphQLObjectType and inner.is_type_of is None


def _take_objects(  # noqa: C901 -- the loop that most of a query is spent in
    items: Iterator[Any], done: list[Any], *, fields: FieldSet, nullable: bool
) -> tuple[object] | None:
    """Complete objects of which nothing but plain fields is asked, until one of them is not simple.

    Args:
        items: They, or what is there in their place; what is left of them is not looked at.
        done: Gets what comes of each.
        fields: Those that are asked for.
        nullable: Whether there may be None.

    Returns:
        The one that is not simple, as far as it was read; None where there is none.
    """
    members, known, is_mapping = fields.fields, None, False
    for item in items:
        kind = type(item)
        try:
            if kind is not known:
                if item is None and nullable:
                    done.append(None)
                    continue
                if not _is_object(item):
                    return (item,)
                known, is_mapping = kind, isinstance(item, Mapping)
            if kind is not dict and hasattr(item, "__await__"):
                return (item,)
        except Exception:  # noqa: BLE001 -- it fails again where graphql-core looks
            return (item,)
        results: dict[str, Any] = {}
        for response_name, _, name, plain, may_be_none in members:
            value: Any
            try:
                value = item.get(name) if is_mapping else getattr(item, name, None)
            except Exception as exc:  # noqa: BLE001 -- as in `_execute_set`
                return (_Begun(item, results, exc),)
            of = value.__class__
            if of is plain and (of is str or of is bool or _LEAST <= value <= _MOST):
                results[response_name] = value
            elif value is None and may_be_none:
                results[response_name] = None
            else:
                return (_Begun(item, results, value),)
        done.append(results)
    return None


def _is_object(item: object) -> bool:
    """Tell whether an item is what it seems, and nothing that graphql-core takes for no object."""
    return (
        item is not None
        and item is not Undefined
        and item.__class__ is type(item)
        and not isinstance(item, Exception | GeneratorType)
    )


def _close_unbegun(coroutine: object) -> None:
    if inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
        coroutine.close()
