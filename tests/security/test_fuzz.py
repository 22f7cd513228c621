"""The fuzzer finds nothing at the chat, and something at one that is broken; a million more: tools/fuzz_server.py."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from gqlink.chat import ChatSettings, create_app, open_administration
from gqlink.chat.resolvers import chat_schema
from gqlink.cli.uvicorn_protocol import bounded_protocols
from gqlink.protocol import DIALECTS, Dialect
from security.fuzzing.fuzzer import Fuzzer
from security.fuzzing.requests import RequestFuzzer
from security.fuzzing.served import ACCOUNTS, STOPPED, served_chat
from security.fuzzing.sockets import SocketFuzzer
from security.fuzzing.steady import Steady
from security.fuzzing.target import Target
from serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from starlette.types import Message, Receive, Scope, Send

(USER, PASSWORD), STEADY = ACCOUNTS


def target(authority: str) -> Target:
    return Target(authority, name=USER, password=PASSWORD, schema=chat_schema())


@pytest.mark.timeout(240)  # it takes some seconds, on a machine that has nothing else to do
async def test_a_few_thousand_messages_break_no_promise_of_the_running_server(tmp_path: Path) -> None:
    """The process lives, complains of nothing, keeps nothing of anybody, and serves those who keep to the rules."""
    async with served_chat(tmp_path, limits=["messages_per_second=100000"]) as served:
        report = await Fuzzer(target(served.authority), seed=4).run(messages=2_000, steady=STEADY)
        assert report.finds == []
        assert report.heard >= 2
        served.look()
        await served.wait_idle()
        assert await served.stop() in STOPPED
        assert served.complaints == []
    kinds = {kind for kind, _ in report.outcomes}
    assert kinds >= {"graphql-transport-ws", "graphql-ws", "HTTP /graphql", "HTTP logins", "handshakes"}


def test_a_conversation_is_drawn_from_its_seed() -> None:
    """What was found can be looked at again."""
    one, other = target("localhost:1"), target("localhost:1")
    assert SocketFuzzer(one).plan(random.Random(7)) == SocketFuzzer(other).plan(random.Random(7))
    assert RequestFuzzer(one).plan(random.Random(7)) == RequestFuzzer(other).plan(random.Random(7))


def no_code_that_is_known(message: Message) -> list[Message]:
    """Close with a code that stands nowhere."""
    return [{**message, "code": 4777}] if message["type"] == "websocket.close" else [message]


def no_close(message: Message) -> list[Message]:
    """Fail instead of closing."""
    if message["type"] == "websocket.close":
        raise RuntimeError("this is on purpose")
    return [message]


def insides_on_a_socket(message: Message) -> list[Message]:
    """Tell what failed within."""
    text = message.get("text") or ""
    return [{**message, "text": text.replace('"message":"', '"message":"KeyError: ')}] if text else [message]


def insides_over_http(message: Message) -> list[Message]:
    """Say where the code is."""
    body = message.get("body", b"")
    return [{**message, "body": body.replace(b"Syntax Error", b"line 1 in .py")[: len(body)]}]


def an_end_before_the_ack(message: Message) -> list[Message]:
    """Speak of an operation to a stranger who is not let in yet."""
    if '"subject":null' not in (message.get("text") or ""):
        return [message]
    return [{**message, "text": '{"id":"1","type":"complete"}'}, message]


def everything_twice(message: Message) -> list[Message]:
    """Deliver each event twice."""
    return [message] * (2 if "messageAdded" in (message.get("text") or "") else 1)


def a_status_of_its_own(message: Message) -> list[Message]:
    """Answer with a status that stands nowhere."""
    return [{**message, "status": 418}] if message.get("status") == 400 else [message]


def no_json(message: Message) -> list[Message]:
    """Answer with something else."""
    body = message.get("body", b"")
    return [{**message, "body": b"<" + body[1:]}] if body.startswith(b'{"errors') else [message]


def everything_to_everybody(message: Message) -> list[Message]:
    """Let strangers read what others have said."""
    return (
        [{**message, "text": (message.get("text") or "").replace('"viewer":null', '"viewer":"steady 1"')}]
        if message.get("text")
        else [message]
    )


FLAWS: dict[Callable[[Message], list[Message]], str] = {
    no_code_that_is_known: "every close code is written down",
    no_close: "every conversation ends with a close",
    insides_on_a_socket: "no text of an exception leaves the server",
    insides_over_http: "no text of an exception leaves the server",
    an_end_before_the_ack: "nothing is said of an operation before the ack",
    everything_twice: "every message comes once and in order",
    a_status_of_its_own: "every status is written down",
    no_json: "an answer is JSON",
    everything_to_everybody: "a stranger reads no message",
}


@asynccontextmanager
async def flawed_chat(folder: Path, flaw: Callable[[Message], list[Message]]) -> AsyncIterator[str]:
    """Serve the chat, and spoil what it sends."""
    settings = ChatSettings(data_dir=folder)
    async with open_administration(settings) as administration:
        for name, password in ACCOUNTS:
            await administration.accounts.create(name, password=password)
    app = create_app(settings)

    async def flawed(scope: Scope, receive: Receive, send: Send) -> None:
        async def spoilt(message: Message) -> None:
            for each in flaw(message):
                await send(each)

        # What is sent on the direct path nobody could spoil.
        scope.get("extensions", {}).pop("gqlink.direct", None)
        await app(scope, receive, send if scope["type"] == "lifespan" else spoilt)

    http, ws = bounded_protocols(settings.limits)
    async with serving(flawed, http=http, ws=ws, log_level="critical") as authority:
        yield authority


@pytest.mark.parametrize(("flaw", "promise"), FLAWS.items(), ids=[flaw.__name__ for flaw in FLAWS])
async def test_a_chat_that_breaks_a_promise_is_found_out(
    tmp_path: Path, flaw: Callable[[Message], list[Message]], promise: str
) -> None:
    """A fuzzer that finds nothing proves nothing: each promise is broken here once."""
    async with flawed_chat(tmp_path, flaw) as authority:
        report = await Fuzzer(target(authority), seed=4, most_finds=1).run(messages=10_000, steady=STEADY)
    assert promise in {find.promise for find in report.finds}
    assert all(find.said for find in report.finds if find.number is not None)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
async def test_a_steady_client_shows_a_fresh_credential_and_goes_on(tmp_path: Path, dialect: Dialect) -> None:
    """A run may take longer than a token lives."""
    async with flawed_chat(tmp_path, lambda message: [message]) as authority:
        client = Steady(authority, dialect, name=STEADY[0], password=STEADY[1])
        async with client.listening():
            await client.say()
            await client.renew()
            await client.say()
        assert client.heard == 2
