"""From a request to results: the document is found, the operation run, each result encoded once.

A subscription is driven from here rather than by graphql-core, so that every event gets a context of its own: who
the connection speaks for may have changed since the event before. Where it changes while a query or an event is being
executed, that is executed again: no result leaves that was made for somebody as they were before.

Source: GraphQL specification (September 2025), section 6, "Execution".
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec
from graphql import ExecutionResult, Executor, GraphQLError, create_source_event_stream

from gqlink.errors import LimitExceeded, SubscriberLagging
from gqlink.protocol import position_extensions
from gqlink.pubsub import Stream
from gqlink.server.cursors import PlacedEvent, open_stream
from gqlink.server.documents import Documents, InvalidDocument, is_mutation
from gqlink.server.event_source import EventSource
from gqlink.server.executor import OperationExecutor, Unbegun
from gqlink.server.operation import Operation, Source, close_source
from gqlink.server.results import EventResult, RequestError, SharedResult, encode_result, start_payload
from gqlink.server.tasks import in_a_task, is_ending
from gqlink.server.time_bound import OutOfTime, within
from gqlink.server.variable_limits import check_variables

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Mapping
    from types import TracebackType

    from graphql import GraphQLSchema

    from gqlink.protocol import CursorRequest, Request
    from gqlink.pubsub import Publication
    from gqlink.server.limits import Limits
    from gqlink.server.masking import ErrorFormatter

__all__ = ("Execution",)

T = TypeVar("T")
Written_co = TypeVar("Written_co", covariant=True)


class Write(Protocol[Written_co]):
    """Writes a result."""

    def __call__(
        self, data: object, errors: list[dict[str, object]] | None, extensions: Mapping[str, object] | None, /
    ) -> Written_co:
        """Write `data`, `errors` and `extensions`."""


class _SomebodyElse(Exception):
    """Somebody else took the place of the one it was begun for."""


def _nobody_in_particular() -> object:
    return None


def _no_objection(_event: object) -> None:
    """Let every event be executed."""


class _Reporting:
    """See `Execution.reporting`; it holds nothing, so that one is enough for all.

    Args:
        errors: What clients may read of errors.
    """

    __slots__ = ("_errors",)

    def __init__(self, errors: ErrorFormatter) -> None:
        self._errors = errors

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc is None or isinstance(exc, RequestError | SubscriberLagging):
            return
        is_accident = isinstance(exc, asyncio.CancelledError) and not is_ending()
        if isinstance(exc, Exception) or is_accident:
            raise RequestError([self._errors.format(exc)]) from exc


class Execution:
    """Runs the operations of one schema.

    Args:
        schema: The schema.
        limits: The bounds of a request, and `execution_seconds` and `documents`.
        errors: What clients may read of errors.
        debug: Introspection and suggestions.
        introspection: That without suggestions.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        *,
        limits: Limits,
        errors: ErrorFormatter,
        debug: bool,
        introspection: bool = False,
    ) -> None:
        self._schema = schema
        self._limits = limits
        self._errors = errors
        self._debug = debug
        self.reporting = _Reporting(errors)
        """A context manager that makes a `RequestError` of whatever an application's source does."""
        self.documents = Documents(schema, limits=limits, debug=debug, introspection=introspection)

    def prepare(self, request: Request) -> Operation:
        """Find what a request asks for; every transport comes by here, and every limit of a request is checked here.

        Raises:
            RequestError: It is over a limit, or its document cannot be parsed, does not validate, or has no such
                operation.
        """
        try:
            return self._find(request)
        except RequestError:
            raise
        except Exception as exc:  # a limit; or a type of the schema failed in validation, no reason to end a socket
            raise RequestError([self._errors.format(exc)]) from exc

    async def run(
        self,
        operation: Operation,
        context: Callable[[], object],
        *,
        present: Callable[[], object] = _nobody_in_particular,
    ) -> bytes:
        """Run a query or a mutation to its end.

        Args:
            operation: From `prepare`.
            context: Builds what resolvers see; may return an awaitable.
            present: Says who it is for now. If that is somebody else in the end than at the beginning, a query is
                executed again, within `execution_seconds` altogether; a mutation never is.

        Returns:
            An execution result as JSON text.

        Raises:
            RequestError: Variables cannot be coerced.
        """

        async def execute() -> object:
            executor = self._executor(operation, await _settle(context()))
            return await _settle(executor.execute_operation())

        return await self._answer(execute, _nobody_in_particular if is_mutation(operation.node) else present)

    def begin(self, operation: Operation, context: Callable[[], object]) -> bytes | Coroutine[Any, Any, bytes]:
        """Begin to run a query in this very step; where nothing has to be waited for, that is all there is to do.

        Args:
            operation: From `prepare`.
            context: Builds what resolvers see; may return an awaitable.

        Returns:
            An execution result as JSON text; or what is to be awaited for it, within what is left of the time. It may
            be awaited in another task, or by nobody: nothing of it has begun to wait.

        Raises:
            RequestError: Variables cannot be coerced.
        """
        until = self._latest()
        try:
            built = context()
            if inspect.isawaitable(built):
                return self._finish(Unbegun(self._execute_later(operation, built), built), until)
            result = self._executor(operation, built).execute_operation()
            return self._finish(result, until) if inspect.isawaitable(result) else self._write(result)
        except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001 -- `_error_of` raises what is no result
            return self._write_failure(exc)

    async def open(
        self,
        operation: Operation,
        context: Callable[[], object],
        *,
        present: Callable[[], object] = _nobody_in_particular,
    ) -> Source:
        """Find the source of a subscription's events; whoever opens it gives it to `events`, or closes it.

        Args:
            operation: From `prepare`.
            context: Builds what resolvers see.
            present: As for `run`: the beginning is executed again when it was executed for somebody else.

        Raises:
            RequestError: Variables cannot be coerced, or the subscription does not begin.
        """
        with self.reporting:
            executor, source = await self._within_time(self._subscribe(operation, context, present))
            if not isinstance(source, AsyncIterable):
                raise RequestError(self._errors.format_all(_errors_of(source)))
            return Source(operation, source, executor)

    def shared(
        self, operation: Operation, context: Callable[[], object]
    ) -> Callable[[Publication], Awaitable[SharedResult]]:
        """Make what executes the events of a subscription for everybody who gets the same.

        Args:
            operation: From `prepare`.
            context: Builds what resolvers see, anew for every event; it knows no identity.

        Raises:
            RequestError: Variables cannot be coerced.
        """
        executor = self._executor(operation, None)

        async def execute(publication: Publication) -> SharedResult:
            run = partial(_execute_event, executor, publication.data, context, _no_objection)
            return await self._written(run, _nobody_in_particular, partial(SharedResult, publication))

        return execute

    async def events(
        self,
        operation: Operation,
        context: Callable[[], object],
        *,
        present: Callable[[], object] = _nobody_in_particular,
        check: Callable[[object], None] = _no_objection,
    ) -> AsyncGenerator[EventResult, None]:
        """Run a subscription by itself from its beginning to its end: see `open` and `results`."""
        source = await self.open(operation, context, present=present)
        results = self.results(source, context, present=present, check=check)
        try:
            async for result in results:
                yield result
        finally:
            await results.aclose()

    async def results(
        self,
        source: Source,
        context: Callable[[], object],
        *,
        present: Callable[[], object] = _nobody_in_particular,
        check: Callable[[object], None] = _no_objection,
    ) -> AsyncGenerator[EventResult, None]:
        """Execute each event of a source; close it at the end, whatever the end is.

        Where the request asks for cursors and the source is a `Stream`, the first result is no event: it says where
        the subscription starts, and whether that is where the subscriber left off. Each later one says where it stands.

        Args:
            source: From `open`.
            context: Builds what resolvers see, anew for every event.
            present: As for `run`: an event is executed again when it was executed for somebody else.
            check: Called with each event in the step in which its resolvers begin; a `RequestError` that it raises is
                the end.

        Raises:
            RequestError: The source fails.
            SubscriberLagging: The events came faster than they were taken, or their topic was reset.
        """
        with self.reporting:
            executor = source.executor or self._executor(source.operation, None)
            async with self._listening(source.events, source.wanted) as iterator:
                async for item in iterator:
                    event = item if isinstance(item, PlacedEvent) else PlacedEvent(item)
                    if event.is_start:
                        yield EventResult(start_payload(event.position), None, is_event=False)
                    else:
                        yield EventResult(await self._event(executor, event, context, present, check), event.data)

    async def _subscribe(
        self, operation: Operation, context: Callable[[], object], present: Callable[[], object]
    ) -> tuple[Executor[object] | None, object]:
        """Find the source of events, for one and the same from beginning to end; the caller bounds the time."""

        async def execute() -> tuple[Executor[object] | None, object]:
            somebody = present()
            built = await _settle(context())
            if present() is not somebody:
                raise _SomebodyElse
            known = self._event_source(operation)
            executor: Executor[object] | None = None
            if known is None:
                executor = self._executor(operation, built)
                source = await _settle(create_source_event_stream(executor))
            else:
                source = await _settle(known.open(built))
            if present() is not somebody:
                await close_source(source)
                raise _SomebodyElse
            return executor, source

        return await _execute_for_one(execute, present)

    async def _event(
        self,
        executor: Executor[object],
        event: PlacedEvent,
        context: Callable[[], object],
        present: Callable[[], object],
        check: Callable[[object], None],
    ) -> bytes:
        execute = partial(_execute_event, executor, event.data, context, check)
        return await self._answer(execute, present, _extensions_of(event))

    async def _answer(
        self,
        execute: Callable[[], Awaitable[object]],
        present: Callable[[], object],
        extensions: Mapping[str, object] | None = None,
    ) -> bytes:
        """Await a result, and write it with ours beside its own extensions."""
        return await self._written(
            execute,
            present,
            lambda data, errors, own: encode_result(data, errors, {**(own or {}), **(extensions or {})}),
        )

    async def _written(
        self, execute: Callable[[], Awaitable[object]], present: Callable[[], object], write: Write[T]
    ) -> T:
        """Await a result and write it; whatever a resolver does is one, and what cannot be written is an error."""
        try:
            return write(*self._parts(await self._within_time(_execute_for_one(execute, present))))
        except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001 -- `_error_of` raises what is no result
            return write(None, [self._error_of(exc)], None)

    async def _execute_later(self, operation: Operation, context: Awaitable[object]) -> object:
        return await _settle(self._executor(operation, await context).execute_operation())

    async def _finish(self, result: Awaitable[object], until: float) -> bytes:
        try:
            return self._write(await self._within_time(_settle(result), until=until))
        except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001 -- `_error_of` raises what is no result
            return self._write_failure(exc)

    def _write(self, result: object) -> bytes:
        return encode_result(*self._parts(result))

    def _write_failure(self, exc: BaseException) -> bytes:
        return encode_result(None, [self._error_of(exc)], None)

    def _error_of(self, exc: BaseException) -> dict[str, object]:
        """Say what a client reads of what was raised while its operation was executed.

        Raises:
            RequestError: It is one.
            CancelledError: The task was asked to end.
        """
        if isinstance(exc, RequestError) or (isinstance(exc, asyncio.CancelledError) and is_ending()):
            raise exc
        return self._errors.format(exc)

    def _find(self, request: Request) -> Operation:
        check_variables(request.variables, self._limits)
        document = self.documents.find(request.query)
        if isinstance(document, InvalidDocument):
            raise RequestError(self._errors.format_all(document.errors, code=document.code))
        prepared = document.operation(request.operation_name)
        if prepared is None:
            raise RequestError([_no_operation(request)])
        cost = prepared.cost.check(request.variables or {}, self._limits)
        return Operation(request, document.node, prepared.node, prepared.requirements, cost, prepared.fields)

    async def _within_time(self, work: Coroutine[Any, Any, T], *, until: float | None = None) -> T:
        try:
            return await within(work, until=self._latest() if until is None else until)
        except OutOfTime as exc:
            raise LimitExceeded("execution_seconds", allowed=self._limits.execution_seconds) from exc

    def _latest(self) -> float:
        """Say until when what begins now may take, by the clock of the event loop."""
        return asyncio.get_running_loop().time() + self._limits.execution_seconds

    @asynccontextmanager
    async def _listening(
        self, source: AsyncIterable[object], wanted: CursorRequest | None
    ) -> AsyncIterator[AsyncIterator[object]]:
        """Begin to listen now, not at the first event; in the end close the source, and what iterates it.

        Only a `Stream` knows where its events stand: of anything else nobody is told, and what was wanted is ignored.
        """
        iterator: AsyncIterator[object] | None = None
        try:
            if isinstance(source, Stream):
                iterator = await self._within_time(open_stream(source, wanted))
            else:
                iterator = aiter(source)
            yield iterator
        finally:
            try:
                if iterator is not source:
                    await close_source(iterator)
            finally:
                await close_source(source)

    def _event_source(self, operation: Operation) -> EventSource | None:
        """Return where a subscription's events come from, where that is the same for everybody but for the context."""
        fields = operation.fields
        if fields is None or operation.request.variables:
            return None
        if fields.event_source is None:
            fields.event_source = EventSource.of(self._executor(operation, None))
        return fields.event_source

    def _executor(self, operation: Operation, context: object) -> Executor[object]:
        built = OperationExecutor.build(
            self._schema,
            operation.document,
            context_value=context,
            raw_variable_values=operation.request.variables,
            operation_name=operation.request.operation_name,
            hide_suggestions=not self._debug,
            known=operation.fields,
        )
        if isinstance(built, Executor):
            return built
        sent = msgspec.json.encode(operation.request.variables).decode()
        raise RequestError(self._errors.format_all(built, code="BAD_USER_INPUT", sent=sent))

    def _parts(self, result: object) -> tuple[object, list[dict[str, object]] | None, Mapping[str, object] | None]:
        if not isinstance(result, ExecutionResult):
            raise TypeError("incremental delivery is not supported")
        errors = self._errors.format_all(result.errors) if result.errors else None
        return result.data, errors, result.extensions


def _extensions_of(event: PlacedEvent) -> dict[str, object]:
    return {} if event.position is None else position_extensions(event.position)


def _errors_of(result: object) -> list[GraphQLError]:
    errors = result.errors if isinstance(result, ExecutionResult) else None
    return errors or [GraphQLError("The subscription has no source.")]


def _no_operation(request: Request) -> dict[str, object]:
    message = (
        "The document holds several operations: operationName must say which."
        if request.operation_name is None
        else f"The document holds no operation named {request.operation_name!r}."
    )
    return {"message": message, "extensions": {"code": "BAD_USER_INPUT"}}


async def _execute_for_one(execute: Callable[[], Awaitable[T]], present: Callable[[], object]) -> T:
    """Execute until nobody else took the place of the one it was executed for; the caller bounds the time."""
    while True:
        somebody = present()
        try:
            result = await execute()
        except _SomebodyElse:
            continue
        except Exception:
            if present() is somebody:
                raise
        else:
            if present() is somebody:
                return result


async def _execute_event(
    executor: Executor[object], data: object, context: Callable[[], object], check: Callable[[object], None]
) -> object:
    """Execute one event of a subscription, with a context of its own."""
    per_event = executor.build_per_event_executor(data)
    per_event.context_value = await _settle(context())
    check(data)
    return await _settle(per_event.execute_operation(False))  # noqa: FBT003 -- graphql-core's own call


async def _settle(value: Awaitable[T] | T) -> T:
    if not inspect.isawaitable(value):
        return value
    await in_a_task()
    return await value
