"""`gqlink query` and `gqlink subscribe`: operations at any GraphQL server, as whoever is logged in there."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec
import typer

from gqlink.cli.account import DEFAULT_SERVER
from gqlink.cli.credential import credential, login_hint
from gqlink.cli.display import print_event, print_frame, print_note, print_result, state_note
from gqlink.cli.options import Server, graphql_url
from gqlink.client import Client, TokenFile
from gqlink.errors import BadUserInput, ConnectionRefused, OperationFailed

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from gqlink.client import LinkState, TokenSource

__all__ = ("query", "subscribe")

T = TypeVar("T")

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
) -> None:
    """Print the events of a subscription until Ctrl-C: one JSON object a line in a pipe."""
    text, values = _text(document), _object(variables)
    name: str | None = None

    async def run() -> None:
        nonlocal name
        async with credential(server) as source:
            name = _name_of(source)
            await listen(source)

    async def listen(source: TokenSource) -> None:
        async with (
            Client(
                graphql_url(server),
                auth=source,
                on_frame=print_frame if frames else None,
                on_state=None if quiet else _note,
            ) as client,
            client.subscribe(text, values, operation_name=operation) as events,
        ):
            async for event in events:
                print_event(event.data)
                for error in event.errors or ():
                    print_note(f"error: {error.get('message')}")

    try:
        _run(run())
    except ConnectionRefused as exc:
        raise ConnectionRefused(exc.code, f"{exc.reason}; {login_hint(name)}") from exc


def _name_of(source: TokenSource) -> str | None:
    identity = source.identity if isinstance(source, TokenFile) else None
    return None if identity is None else identity.subject


def _note(state: LinkState) -> None:
    note = state_note(state)
    if note is not None:
        print_note(note)


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
