"""`gqlink query` and `gqlink subscribe`: operations at any GraphQL server, as whoever is logged in there."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import msgspec
import typer

from gqlink.cli.account import DEFAULT_SERVER
from gqlink.cli.credential import credential, login_hint
from gqlink.cli.display import gap_note, print_event, print_frame, print_note, print_result, state_note
from gqlink.cli.options import Server, graphql_url
from gqlink.client import Client, TokenFile
from gqlink.errors import BadUserInput, ConnectionRefused, OperationFailed

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from gqlink.client import Gap, LinkState, TokenSource

__all__ = ("query", "subscribe")

T = TypeVar("T")

# What the log tells of the connection is said in our own words, or is the error with which the command ends.
_SAID: Final = {"lost", "waiting", "failed", "gap", "lagging"}

Document = Annotated[str, typer.Argument(help="The GraphQL document; - reads standard input.")]
Variables = Annotated[str | None, typer.Option("--variables", "-v", help="A JSON object.")]
OperationName = Annotated[str | None, typer.Option("--operation", help="Which one, where there are several.")]


def query(
    document: Document,
    variables: Variables = None,
    operation: OperationName = None,
    server: Server = DEFAULT_SERVER,
) -> None:
    """Run a query or a mutation over HTTP and print its data."""
    text, values = _text(document), _object(variables)

    async def run() -> object:
        async with credential(server) as source, Client(graphql_url(server), auth=source) as client:
            return await client.execute(text, values, operation_name=operation)

    try:
        print_result(_run(run()))
    except OperationFailed as exc:
        if exc.data is not None:
            print_result(exc.data)
        raise


def subscribe(
    document: Document,
    variables: Variables = None,
    operation: OperationName = None,
    server: Server = DEFAULT_SERVER,
    frames: Annotated[bool, typer.Option("--frames", help="Show the frames of the socket, on standard error.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing about the connection.")] = False,
    after: Annotated[str | None, typer.Option("--after", help="Go on after this cursor, said at the end.")] = None,
) -> None:
    """Print the events of a subscription until Ctrl-C: one JSON object a line in a pipe."""
    text, values = _text(document), _object(variables)
    name: str | None = None
    cursor = after

    async def run() -> None:
        nonlocal name
        async with credential(server) as source:
            name = _name_of(source)
            await listen(source)

    async def listen(source: TokenSource) -> None:
        nonlocal cursor
        async with (
            Client(
                graphql_url(server),
                auth=source,
                on_frame=print_frame if frames else None,
                on_state=None if quiet else _States().note,
            ) as client,
            client.subscribe(text, values, operation_name=operation, on_gap=_note_gap, after=after) as events,
        ):
            async for event in events:
                print_event(event.data)
                cursor = event.cursor or cursor
                for error in event.errors or ():
                    print_note(f"error: {error.get('message')}")

    logging.getLogger("gqlink.client").addHandler(_Remarks(logging.WARNING))
    try:
        _run(run())
    except ConnectionRefused as exc:
        raise ConnectionRefused(exc.code, f"{exc.reason}; {login_hint(name)}") from exc
    finally:
        if cursor is not None and not quiet:
            print_note(f"to go on from here: --after {cursor}")


def _name_of(source: TokenSource) -> str | None:
    identity = source.identity if isinstance(source, TokenFile) else None
    return None if identity is None else identity.subject


class _States:
    """Says what is new of the connection; that there is one more gap has been said by then."""

    def __init__(self) -> None:
        self._gaps = 0

    def note(self, state: LinkState) -> None:
        news, self._gaps = state.gaps == self._gaps, state.gaps
        note = state_note(state) if news else None
        if note is not None:
            print_note(note)


class _Remarks(logging.Handler):
    """Says what the log warns of and nobody else does."""

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "gqlink_event", None) not in _SAID:
            print_note(record.getMessage())


def _note_gap(gap: Gap) -> None:
    print_note(gap_note(gap))


def _run(work: Coroutine[object, object, T]) -> T:
    """Run until the work ends or somebody stops it; stopping is clean and leaves the exit code of the signal."""
    stopped_by: list[int] = []

    async def main() -> T:
        task = asyncio.ensure_future(work)

        def stop(number: int) -> None:
            stopped_by.append(number)
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop, number)
        return await task

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        raise typer.Exit(128 + stopped_by[0]) from None


def _text(document: str) -> str:
    return sys.stdin.read() if document == "-" else document


def _object(variables: str | None) -> dict[str, object] | None:
    if variables is None:
        return None
    try:
        return msgspec.json.decode(variables, type=dict[str, object])
    except msgspec.DecodeError as exc:
        raise BadUserInput(f"--variables must be a JSON object: {exc}") from exc
