"""The guide about missing nothing does what it says, against a server whose connections break."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from graphql import build_schema

from examples.howto_scripts import load
from gqlink.auth import ANONYMOUS, Identity
from gqlink.client import Client, Retry, WebSocketLink
from gqlink.server import GraphQLApp
from gqlink.testing import FaultProxy, eventually
from serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Coroutine

    from gqlink.auth import Credentials
    from gqlink.pubsub import Stream, Topic

SCHEMA = """
    type Message { id: ID! text: String! }
    input MessageInput { text: String! clientId: ID }
    type Query { messages: [Message!]! }
    type Mutation { addMessage(input: MessageInput!): Message! }
    type Subscription { messageAdded: Message! messages(after: ID): Message! price: Int! }
"""
# What a user waits for between two attempts, a test does not.
AT_ONCE = Retry(first_seconds=0.0, server_stop_seconds=0.01, per_minute=10_000)


class Hall:
    """A conversation whose server gives cursors, or wraps its streams, and then has none to give."""

    def __init__(self, *, cursors: bool = True) -> None:
        schema = build_schema(SCHEMA)
        assert schema.query_type is not None
        assert schema.mutation_type is not None
        assert schema.subscription_type is not None
        schema.query_type.fields["messages"].resolve = lambda *_: self.messages
        schema.mutation_type.fields["addMessage"].resolve = self._add
        fields = schema.subscription_type.fields
        fields["messageAdded"].subscribe = self._stream if cursors else self._wrapped
        fields["messages"].subscribe = self._wrapped
        fields["price"].subscribe = lambda *_: self.app.topic("price").stream()
        for field in fields.values():
            field.resolve = lambda event, *_args, **_kwargs: event
        self.app: GraphQLApp = GraphQLApp(schema, authenticate=_anybody)
        self.messages: list[dict[str, str]] = []
        self.listeners = 0
        self.gate: asyncio.Event | None = None
        self.asked = 0
        self._by_client_id: dict[str, dict[str, str]] = {}

    @property
    def topic(self) -> Topic:
        """Where it is heard."""
        return self.app.topic("messages")

    async def say(self, *texts: str) -> None:
        """Store, and let everybody hear."""
        for text in texts:
            message = {"id": str(len(self.messages) + 1), "text": text}
            self.messages.append(message)
            await self.topic.publish(message)

    async def _add(self, _root: object, _info: object, *, input: dict[str, str]) -> dict[str, str]:  # noqa: A002 -- the schema's
        self.asked += 1
        if input["clientId"] not in self._by_client_id:
            await self.say(input["text"])
            self._by_client_id[input["clientId"]] = self.messages[-1]
        if self.gate is not None:
            await self.gate.wait()
        return self._by_client_id[input["clientId"]]

    def _stream(self, *_: object) -> Stream:
        return self.topic.stream()

    async def _wrapped(self, _root: object, _info: object, *, after: str | None = None) -> AsyncGenerator[object]:
        known = list(self.messages[int(after) :]) if after else []
        for message in known:
            yield message
        self.listeners += 1
        try:
            async for event in self.topic.stream():
                yield event
        finally:
            self.listeners -= 1


async def _anybody(_: Credentials) -> Identity:
    return ANONYMOUS


@asynccontextmanager
async def hall_of(hall: Hall) -> AsyncIterator[tuple[Client, FaultProxy]]:
    """Serve it behind a proxy that can cut lines."""
    async with (
        serving(hall.app) as authority,
        FaultProxy(authority) as proxy,
        Client(WebSocketLink(f"ws://{proxy.authority}/graphql", retry=AT_ONCE)) as client,
    ):
        yield client, proxy


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Let an example run meanwhile."""
    task = asyncio.create_task(work)
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture
def module() -> Any:
    """The script."""
    return load("miss_nothing")


def texts(heard: list[Any]) -> list[str]:
    """Return what was said, whatever the field is called."""
    return [next(iter(data.values()))["text"] for data in heard]


async def listening(hall: Hall) -> None:
    """Wait until somebody hears a stream that nobody wraps: the ack and the word that it is live have gone out."""
    await eventually(lambda: hall.app.statistics().messages_sent >= 2)


async def heard_again(hall: Hall, proxy: FaultProxy, *said: str) -> None:
    """Cut the line, say something while nobody can come back, and let them come."""
    await proxy.refuse()
    proxy.cut()
    await eventually(lambda: hall.app.statistics().sockets == 0)
    await hall.say(*said)
    await proxy.accept()


async def test_nothing_is_missed_where_the_server_gives_cursors(module: Any) -> None:
    """What is said between two connections comes, in its order."""
    hall, heard = Hall(), list[Any]()
    async with hall_of(hall) as (client, proxy), running(module.listen(client, heard.append)):
        await listening(hall)
        await hall.say("one")
        await eventually(lambda: len(heard) == 1)
        await heard_again(hall, proxy, "two", "three")
        await eventually(lambda: len(heard) == 3)
        assert texts(heard) == ["one", "two", "three"]


async def test_a_gap_is_given_where_it_is(module: Any) -> None:
    """The page is read again, and then it goes on."""
    hall, heard = Hall(), list[Any]()

    async def reload() -> None:
        heard.append({"gap": {"text": "reloaded"}})

    async with hall_of(hall) as (client, _), running(module.show(client, heard.append, reload)):
        await listening(hall)
        await hall.say("one")
        await eventually(lambda: len(heard) == 1)
        await hall.topic.reset()
        await eventually(lambda: len(heard) == 2)
        await hall.say("two")
        await eventually(lambda: len(heard) == 3)
        assert texts(heard) == ["one", "reloaded", "two"]


async def test_a_copy_begins_anew_at_a_gap(module: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """It is read as a whole when it is heard again."""
    hall, copies, heard = Hall(), list[Any](), list[Any]()
    async with hall_of(hall) as (client, _), running(module.mirror(client, copies.append, heard.append)):
        await eventually(lambda: len(copies) == 1)
        await hall.say("one")
        await hall.topic.reset()
        await eventually(lambda: len(copies) == 2)
        assert [message["text"] for message in copies[1]["messages"]] == ["one"]
    assert "copying everything again: events may have been missed" in capsys.readouterr().out


async def test_a_function_is_told_of_a_gap(module: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the next event."""
    hall, heard = Hall(), list[Any]()
    async with hall_of(hall) as (client, _), running(module.listen_and_complain(client, heard.append)):
        await listening(hall)
        await hall.say("one")
        await hall.topic.reset()
        await eventually(lambda: "some messages may be missing" in capsys.readouterr().err)
        await hall.say("two")
        await eventually(lambda: texts(heard) == ["one", "two"])


async def test_whole_states_need_no_gap(module: Any) -> None:
    """The latest is what counts."""
    hall, heard = Hall(), list[Any]()
    async with hall_of(hall) as (client, _), running(module.watch(client, heard.append)):
        await listening(hall)
        await hall.app.topic("price").publish(7)
        await eventually(lambda: heard == [{"price": 7}])


async def test_a_cursor_outlives_the_program(module: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The second run begins behind what the first has taken; where that is not known any more, it says so."""
    hall, heard = Hall(), list[Any]()
    kept = dict[str, str]()
    async with hall_of(hall) as (client, _):
        async with running(module.go_on(client, kept, heard.append)):
            await listening(hall)
            await hall.say("one")
            await eventually(lambda: bool(kept))
        await hall.say("two")
        async with running(module.go_on(client, kept, heard.append)):
            await eventually(lambda: len(heard) == 2)
        assert capsys.readouterr().out == ""
        kept["cursor"] = "from another life"
        async with running(module.go_on(client, kept, heard.append)):
            await eventually(lambda: "read the history" in capsys.readouterr().out)
    assert texts(heard) == ["one", "two"]


@pytest.mark.parametrize("example", ["resume", "catch_up"])
async def test_other_servers_are_asked_by_means_of_the_application(module: Any, example: str) -> None:
    """From the last event on, or with a query; nothing is missed, and nothing doubled."""
    hall, heard = Hall(cursors=False), list[Any]()
    async with hall_of(hall) as (client, proxy), running(getattr(module, example)(client, heard.append)):
        await eventually(lambda: hall.listeners == 1)
        await hall.say("one")
        await eventually(lambda: len(heard) == 1)
        await heard_again(hall, proxy, "two")
        await eventually(lambda: hall.listeners == 1)
        await hall.say("three")
        await eventually(lambda: len(heard) == 3)
        assert texts(heard) == ["one", "two", "three"]


async def test_a_slow_consumer_is_told_how_much_it_leaves_out(module: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The newest hundred are kept."""
    hall, heard, go_on = Hall(), list[Any](), asyncio.Event()

    async def take(data: object) -> None:
        heard.append(data)
        await go_on.wait()

    async with hall_of(hall) as (client, _), running(module.skim(client, take)):
        await listening(hall)
        await hall.say("first")
        await eventually(lambda: len(heard) == 1)
        await hall.say(*map(str, range(150)))
        await eventually(lambda: hall.app.statistics().messages_sent >= 152)
        await client.execute(module.MESSAGES)  # whose answer comes after them
        go_on.set()
        await eventually(lambda: len(heard) == 101)
    assert texts(heard) == ["first", *map(str, range(50, 150))]
    assert capsys.readouterr().out == "left out 50\n"


async def test_a_mutation_is_done_once(module: Any) -> None:
    """Its answer is lost, and its id makes it safe to ask again."""
    hall = Hall()
    hall.gate = asyncio.Event()
    async with hall_of(hall) as (client, proxy):
        speaking = asyncio.create_task(module.speak(client, "Once"))
        await eventually(lambda: hall.asked == 1)
        proxy.cut()
        hall.gate.set()
        assert await speaking == {"addMessage": {"id": "1", "text": "Once"}}
    assert hall.asked == 2
    assert [message["text"] for message in hall.messages] == ["Once"]
