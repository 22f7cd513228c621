from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from gqlink.chat.connection import NothingWritten
from gqlink.chat.conversation import Conversation
from gqlink.chat.database import open_sqlite_engine
from gqlink.chat.engines import SqliteEngines
from gqlink.chat.records import Message, Room
from gqlink.chat.store import Store
from gqlink.errors import BadUserInput, LoginRequired, StoreUnavailable, SubscriberLagging
from gqlink.pubsub import MemoryBroker, Position

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from sqlalchemy import Connection

    from gqlink.pubsub import Stream

Result = TypeVar("Result")


class GatedBroker(MemoryBroker):
    """A broker that says when it is about to publish, and waits until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()
        self.gate = asyncio.Event()

    async def publish(self, topic: str, data: object) -> Position:
        """Wait, then publish."""
        self.reached.set()
        await self.gate.wait()
        return await super().publish(topic, data)


class FailingBroker(MemoryBroker):
    """A broker that hears nothing, and perhaps cannot even be told so, while it is broken."""

    def __init__(self, *, deaf: bool = False) -> None:
        super().__init__()
        self.broken = True
        self.deaf = deaf

    async def publish(self, topic: str, data: object) -> Position:
        """Fail, or publish."""
        if self.broken:
            raise ConnectionError(topic, data)
        return await super().publish(topic, data)

    async def reset(self, topic: str) -> None:
        """Fail, or begin a new epoch."""
        if self.broken and self.deaf:
            raise ConnectionError(topic)
        await super().reset(topic)


class StrangelyFailingBroker(MemoryBroker):
    """A broker in whose `publish` something is cancelled that is not the caller: a task of its driver's."""

    async def publish(self, topic: str, data: object) -> Position:
        """Fail."""
        raise asyncio.CancelledError(topic, data)


class FailingStore(Store):
    """A store whose database fails once, before or after a message is stored, and perhaps does not answer then.

    Args:
        store: The one that works.
        cause: What the database's driver says.
        stores: Whether the message is stored all the same.
        silent: Whether nothing can be read afterwards, until the test says so.
    """

    def __init__(self, store: Store, cause: Exception, *, stores: bool, silent: bool = False) -> None:
        super().__init__(store._url)
        self._engines = store._engines
        self.cause: Exception | None = cause
        self.stores = stores
        self.silent = silent
        self.failed = False

    async def add_message(
        self, words: str, *, author: str, room: Room, client_id: str | None, created_at: datetime
    ) -> tuple[Message, bool]:
        """Store or not, and fail the first time."""
        cause, self.cause = self.cause, None
        if cause is None or self.stores:
            stored = await super().add_message(
                words, author=author, room=room, client_id=client_id, created_at=created_at
            )
        if cause is None:
            return stored
        self.failed = True
        raise StoreUnavailable from cause

    async def messages(self, room: Room, *, last: int, before: int | None = None) -> list[Message]:
        """Read, unless the database does not answer."""
        self._answer()
        return await super().messages(room, last=last, before=before)

    async def wait_until_written(self, room: Room) -> None:
        """Say that everything is written, or nothing."""
        self._answer()
        await super().wait_until_written(room)

    def _answer(self) -> None:
        if self.failed and self.silent:
            raise StoreUnavailable from ConnectionError("still away")


class SlowBackend(Store):
    """The other end of a connection: it has run the statements, and commits when it may.

    Args:
        store: On whose database it works, with a connection of its own.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store._url)
        self._engines = SqliteEngines(open_sqlite_engine(store._url))
        self.ran = threading.Event()
        self.may_commit = threading.Event()

    async def write(self, work: Callable[[Connection], Result]) -> Result:
        """Run work, and commit later."""

        def slowly(connection: Connection) -> Result:
            result = work(connection)
            self.ran.set()
            self.may_commit.wait(10)
            return result

        return await super().write(slowly)


class LosingStore(Store):
    """A store that loses its connection while the database commits, which it does all the same.

    Args:
        store: The one that works.
        backend: Where the message is.
        locked: Whether nobody can tell, because the commit takes too long, until the test lets it go on.
    """

    def __init__(self, store: Store, backend: SlowBackend, *, locked: bool = False) -> None:
        super().__init__(store._url)
        self._engines = store._engines
        self.backend = backend
        self.locked = locked
        self.committing: asyncio.Task[tuple[Message, bool]] | None = None

    async def add_message(
        self, words: str, *, author: str, room: Room, client_id: str | None, created_at: datetime
    ) -> tuple[Message, bool]:
        """Fail when the message is on its way."""
        self.committing = asyncio.create_task(
            self.backend.add_message(words, author=author, room=room, client_id=client_id, created_at=created_at)
        )
        await asyncio.to_thread(self.backend.ran.wait, 10)
        raise StoreUnavailable from LOST

    async def wait_until_written(self, room: Room) -> None:
        """Wait; only then the backend commits."""
        if self.locked:
            raise StoreUnavailable from TimeoutError("the room is locked")
        waiting = asyncio.create_task(super().wait_until_written(room))
        await asyncio.sleep(0)
        self.backend.may_commit.set()
        await waiting


class GatedStore(Store):
    """A store that waits before the first message is stored, and lets later ones pass."""

    def __init__(self, store: Store) -> None:
        super().__init__(store._url)
        self._engines = store._engines
        self.reached = asyncio.Event()
        self.gate = asyncio.Event()
        self.calls = 0

    async def add_message(
        self, words: str, *, author: str, room: Room, client_id: str | None, created_at: datetime
    ) -> tuple[Message, bool]:
        """Wait the first time, then store."""
        self.calls += 1
        self.reached.set()
        if self.calls == 1:
            await self.gate.wait()
        return await super().add_message(words, author=author, room=room, client_id=client_id, created_at=created_at)


@pytest.fixture
async def backend(store: Store) -> AsyncIterator[SlowBackend]:
    """The database's end of a connection."""
    backend = SlowBackend(store)
    yield backend
    await backend.aclose()


@pytest.fixture
async def heard(conversation: Conversation) -> AsyncIterator[Stream]:
    """Somebody who listens in the room "general"."""
    async with aclosing(await conversation.listen("general")) as stream:
        await stream.open()
        yield stream


async def take(stream: Stream, count: int) -> list[object]:
    return [await anext(stream) for _ in range(count)]


async def nothing_waits(stream: Stream, broker: MemoryBroker) -> bool:
    """Whether the next thing that is heard is something published only now."""
    await broker.publish("room:general", "marker")
    return await anext(stream) == "marker"


async def test_what_is_said_is_stored_and_heard(conversation: Conversation, heard: Stream) -> None:
    """The answer, the store and the listeners have the same message; white space around the text is dropped."""
    message = await conversation.add_message(" hello\n", author="alice", room_id="general", client_id="c1")
    assert message == Message(
        1, "c1", "alice", Room("general", "General"), "hello", datetime(2027, 1, 15, 8, 0, 0, 125_000, tzinfo=UTC)
    )
    assert await conversation.messages("general") == [message]
    assert await take(heard, 1) == [message]


async def test_everybody_hears_everything_once_and_in_the_order_of_ids(conversation: Conversation) -> None:
    """However many speak at once."""
    async with (
        aclosing(await conversation.listen("general")) as one,
        aclosing(await conversation.listen("general")) as two,
    ):
        await asyncio.gather(one.open(), two.open())
        said = await asyncio.gather(
            *(conversation.add_message(f"{n}", author=("alice", "bob")[n % 2], room_id="general") for n in range(40))
        )
        in_order = sorted(said, key=lambda message: message.id)
        assert await take(one, 40) == in_order
        assert await take(two, 40) == in_order
    assert await conversation.messages("general", last=200) == in_order


async def test_repeating_a_client_id_stores_and_publishes_nothing(
    conversation: Conversation, heard: Stream, broker: MemoryBroker
) -> None:
    """The author gets what was stored the first time, even with another text."""
    first = await conversation.add_message("one", author="alice", room_id="general", client_id="c")
    assert await conversation.add_message("two", author="alice", room_id="general", client_id="c") == first
    assert await take(heard, 1) == [first]
    assert await nothing_waits(heard, broker)
    assert await conversation.messages("general") == [first]


async def test_repeating_a_client_id_at_the_same_time_does_so_too(
    conversation: Conversation, heard: Stream, broker: MemoryBroker
) -> None:
    """An impatient client asks again before the first answer."""
    calls = [conversation.add_message("hi", author="alice", room_id="general", client_id="c") for _ in range(5)]
    first, *others = await asyncio.gather(*calls)
    assert others == [first] * 4
    assert await take(heard, 1) == [first]
    assert await nothing_waits(heard, broker)


async def test_two_authors_may_use_the_same_client_id(conversation: Conversation) -> None:
    """Nobody can keep another from speaking, or read their message, by guessing an id."""
    mine = await conversation.add_message("mine", author="alice", room_id="general", client_id="c")
    yours = await conversation.add_message("yours", author="bob", room_id="general", client_id="c")
    assert (mine.text, yours.text) == ("mine", "yours")


@pytest.mark.usefixtures("accounts")
async def test_cancelling_between_storing_and_publishing_still_publishes(store: Store) -> None:
    """The author's socket closes at the worst moment: stored is heard."""
    broker = GatedBroker()
    conversation = Conversation(store, broker=broker)
    async with aclosing(await conversation.listen("general")) as heard:
        await heard.open()
        caller = asyncio.create_task(conversation.add_message("hi", author="alice", room_id="general"))
        await broker.reached.wait()
        (stored,) = await conversation.messages("general")
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        broker.gate.set()
        await conversation.aclose()
        assert await take(heard, 1) == [stored]
    await broker.aclose()


@pytest.mark.usefixtures("accounts")
async def test_cancelling_before_storing_still_stores_and_publishes(store: Store, broker: MemoryBroker) -> None:
    """A mutation that has begun is finished."""
    gated = GatedStore(store)
    conversation = Conversation(gated, broker=broker)
    async with aclosing(await conversation.listen("general")) as heard:
        await heard.open()
        caller = asyncio.create_task(conversation.add_message("hi", author="alice", room_id="general"))
        await gated.reached.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        gated.gate.set()
        await conversation.aclose()
        assert await take(heard, 1) == await conversation.messages("general")


@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize("turns", [0, 1, 5])
async def test_cancelling_before_its_turn_has_come_stores_nothing(
    store: Store, broker: MemoryBroker, turns: int
) -> None:
    """Its author was told that it took too long; a message that had not even begun then is not said later."""
    gated = GatedStore(store)
    conversation = Conversation(gated, broker=broker)
    first = asyncio.create_task(conversation.add_message("first", author="alice", room_id="general"))
    await gated.reached.wait()
    refused = asyncio.create_task(conversation.add_message("refused", author="bob", room_id="general"))
    third = asyncio.create_task(conversation.add_message("third", author="alice", room_id="general"))
    for _ in range(turns):
        await asyncio.sleep(0)
    refused.cancel()
    with pytest.raises(asyncio.CancelledError):
        await refused
    gated.gate.set()
    await asyncio.gather(first, third)
    await conversation.aclose()
    assert [message.text for message in await store.messages(first.result().room, last=10)] == ["first", "third"]


@pytest.mark.usefixtures("accounts")
async def test_a_slow_message_holds_back_the_later_ones_of_its_room(store: Store, broker: MemoryBroker) -> None:
    """The order of publication is the order of ids, since one section ends before the next begins."""
    gated = GatedStore(store)
    conversation = Conversation(gated, broker=broker)
    async with aclosing(await conversation.listen("general")) as heard:
        await heard.open()
        slow = asyncio.create_task(conversation.add_message("slow", author="alice", room_id="general"))
        await gated.reached.wait()
        quick = asyncio.create_task(conversation.add_message("quick", author="bob", room_id="general"))
        await store.check()
        assert gated.calls == 1
        gated.gate.set()
        said = [await slow, await quick]
        assert [message.id for message in said] == [1, 2]
        assert await take(heard, 2) == said


@pytest.mark.usefixtures("accounts")
async def test_a_broker_that_fails_loses_no_message_and_listeners_are_told(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """The author has the message stored; who listens learns that something may be missing; the log has no text."""
    broker = FailingBroker()
    conversation = Conversation(store, broker=broker)
    known = await broker.position("room:general")
    async with aclosing(await conversation.listen("general")) as heard:
        await heard.open()
        message = await conversation.add_message("not for the log", author="alice", room_id="general")
        assert await conversation.messages("general") == [message]
        with pytest.raises(SubscriberLagging):
            await anext(heard)
    assert not (await broker.subscribe("room:general", after=known)).recovered
    assert "message 1 is stored, but could not be published" in caplog.messages
    assert "not for the log" not in "".join(caplog.messages)
    await conversation.aclose()
    await broker.aclose()


@pytest.mark.usefixtures("accounts")
async def test_a_broker_that_is_cancelled_from_within_has_failed_too(store: Store) -> None:
    """Nobody asked the section to end, so this is one more way not to publish: listeners are told."""
    broker = StrangelyFailingBroker()
    conversation = Conversation(store, broker=broker)
    async with aclosing(await conversation.listen("general")) as heard:
        await heard.open()
        message = await conversation.add_message("stored", author="alice", room_id="general")
        assert await conversation.messages("general") == [message]
        with pytest.raises(SubscriberLagging):
            await anext(heard)
    await conversation.aclose()
    await broker.aclose()


@pytest.mark.usefixtures("accounts")
async def test_a_section_that_is_made_to_end_ends(store: Store) -> None:
    """As when the event loop is closed around it: then there is nobody left to be told."""
    broker = GatedBroker()
    conversation = Conversation(store, broker=broker)
    caller = asyncio.create_task(conversation.add_message("hi", author="alice", room_id="general"))
    await broker.reached.wait()
    (section,) = conversation._sections
    section.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await conversation.aclose()
    await broker.aclose()


@pytest.mark.usefixtures("accounts")
async def test_nothing_is_said_after_something_that_nobody_heard(store: Store) -> None:
    """Until the listeners have been told, the next message would pass for the one that they missed: it is refused."""
    broker = FailingBroker(deaf=True)
    conversation = Conversation(store, broker=broker, retry_seconds=60.0)
    async with aclosing(await conversation.listen("general")) as heard:
        await heard.open()
        await conversation.add_message("one", author="alice", room_id="general")
        with pytest.raises(StoreUnavailable):
            await conversation.add_message("two", author="alice", room_id="general")
        broker.broken = False
        await conversation.add_message("three", author="alice", room_id="general")
        with pytest.raises(SubscriberLagging):
            await anext(heard)
    assert [message.text for message in await conversation.messages("general")] == ["one", "three"]
    await conversation.aclose()
    await broker.aclose()


REFUSED = OperationalError("INSERT", {}, Exception("disk is full"))
LOST = OperationalError("COMMIT", {}, Exception("server closed the connection"), connection_invalidated=True)


@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize("cause", [REFUSED, LOST, OSError("connection reset")])
async def test_what_was_stored_although_the_database_failed_is_heard_and_answered(
    store: Store, broker: MemoryBroker, cause: Exception
) -> None:
    """The answer got lost, not the message: its author need not know, and everybody hears it in its place."""
    conversation = Conversation(FailingStore(store, cause, stores=True), broker=broker, clock=lambda: 1000.0)
    async with aclosing(await conversation.listen("general")) as heard:
        await heard.open()
        said = [await conversation.add_message("hi", author="ALICE", room_id="general") for _ in range(2)]
        assert await take(heard, 2) == said == await conversation.messages("general")
        assert await nothing_waits(heard, broker)
    await conversation.aclose()


@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize("cause", [REFUSED, LOST, OSError("connection reset")])
async def test_what_was_not_stored_is_not_heard(store: Store, broker: MemoryBroker, cause: Exception) -> None:
    """The database says itself that it did not, and who listens has missed nothing.

    The same author may have said the same in the same moment: that is another message.
    """
    failing = FailingStore(store, cause, stores=False)
    conversation = Conversation(failing, broker=broker, clock=lambda: 1000.0)
    async with aclosing(await conversation.listen("general")) as heard:
        await heard.open()
        failing.cause = None
        first = await conversation.add_message("hi", author="alice", room_id="general")
        failing.cause = cause
        with pytest.raises(StoreUnavailable):
            await conversation.add_message("hi", author="alice", room_id="general")
        assert await take(heard, 1) == [first]
        assert await nothing_waits(heard, broker)
    await conversation.aclose()


@pytest.mark.usefixtures("accounts")
async def test_what_is_stored_only_after_the_connection_broke_is_heard_and_answered_too(
    store: Store, broker: MemoryBroker, backend: SlowBackend
) -> None:
    """The database was still committing: it is waited for, and then everything is as it should be."""
    conversation = Conversation(LosingStore(store, backend), broker=broker)
    async with aclosing(await conversation.listen("general")) as heard:
        await heard.open()
        said = await conversation.add_message("late", author="alice", room_id="general", client_id="c")
        assert await take(heard, 1) == [said] == await conversation.messages("general")
    await conversation.aclose()


@pytest.mark.usefixtures("accounts")
async def test_what_takes_too_long_to_be_stored_is_told_to_listeners_when_it_is(
    store: Store, broker: MemoryBroker, backend: SlowBackend
) -> None:
    """Until then nothing else can be said, for it would pass for the next; who comes back then reads it."""
    losing = LosingStore(store, backend, locked=True)
    conversation = Conversation(losing, broker=broker, retry_seconds=0.0)
    async with aclosing(await conversation.listen("general")) as heard:
        epoch = (await heard.open()).position.epoch
        for text in ("late", "refused"):
            with pytest.raises(StoreUnavailable):
                await conversation.add_message(text, author="alice", room_id="general")
        assert (await broker.position("room:general")).epoch == epoch
        losing.locked = False
        with pytest.raises(SubscriberLagging):
            await anext(heard)
    assert [message.text for message in await conversation.messages("general")] == ["late"]
    await conversation.aclose()


@pytest.mark.usefixtures("accounts")
async def test_a_database_that_cannot_even_be_reached_has_stored_nothing(
    store: Store, broker: MemoryBroker, tmp_path: Path
) -> None:
    """Not a statement was run, so there is no doubt: nobody is sent away, not even once the database is back."""
    conversation = Conversation(store, broker=broker, retry_seconds=60.0)
    async with aclosing(await conversation.listen("general")) as heard:
        await heard.open()
        away = SqliteEngines(create_engine(f"sqlite:///{tmp_path}/nowhere/chat.sqlite3"))
        there, store._engines = store._engines, away
        with pytest.raises(NothingWritten) as caught:
            await conversation.add_message("never", author="alice", room_id="general")
        assert isinstance(caught.value.__cause__, OperationalError)
        store._engines = there
        await away.aclose()
        said = await conversation.add_message("said", author="alice", room_id="general")
        assert await take(heard, 1) == [said]
    await conversation.aclose()


@pytest.mark.usefixtures("accounts")
async def test_what_nobody_can_look_up_is_told_once_the_database_answers(store: Store, broker: MemoryBroker) -> None:
    """Not before: who comes back then reads what it missed. Nobody needs to say anything for that."""
    failing = FailingStore(store, OSError("connection reset"), stores=True, silent=True)
    conversation = Conversation(failing, broker=broker, retry_seconds=0.0)
    async with aclosing(await conversation.listen("general")) as heard:
        await heard.open()
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await conversation.add_message("hi", author="alice", room_id="general")
        listening = asyncio.ensure_future(anext(heard))
        for _ in range(50):  # each attempt takes a few turns of the loop
            await asyncio.sleep(0)
        assert not listening.done()
        failing.silent = False
        with pytest.raises(SubscriberLagging):
            await listening
    assert [message.text for message in await conversation.messages("general")] == ["hi"]
    await conversation.aclose()


@pytest.mark.usefixtures("accounts")
async def test_a_failure_that_nobody_waits_for_is_reported(
    store: Store, broker: MemoryBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller went away and the database failed: the log is all that is left."""
    gated = GatedStore(store)
    conversation = Conversation(gated, broker=broker)
    caller = asyncio.create_task(conversation.add_message("hi", author="alice", room_id="general"))
    await gated.reached.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    gated._engines = None
    gated.gate.set()
    await conversation.aclose()
    await asyncio.sleep(0)
    assert ("gqlink.chat.conversation", logging.ERROR, "a message whose author went away could not be stored") in (
        caplog.record_tuples
    )


async def test_a_closed_conversation_takes_nothing(conversation: Conversation) -> None:
    """What is said after the end is refused rather than half done."""
    await conversation.aclose()
    with pytest.raises(StoreUnavailable):
        await conversation.add_message("late", author="alice", room_id="general")
    assert await conversation.messages("general") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "text must have 1 to 4000 characters, not 0."),
        (" \n\t", "text must have 1 to 4000 characters, not 0."),
        ("x" * 4001, "text must have 1 to 4000 characters, not 4001."),
        ("half \ud83d", "text contains a character that cannot be stored: NUL, or half an emoji."),
        ("nul \0 nul", "text contains a character that cannot be stored: NUL, or half an emoji."),
    ],
)
async def test_a_text_that_cannot_be_a_message_is_refused(conversation: Conversation, text: str, message: str) -> None:
    """The sentence tells what would do; nothing is stored."""
    with pytest.raises(BadUserInput) as caught:
        await conversation.add_message(text, author="alice", room_id="general")
    assert str(caught.value) == message
    assert await conversation.messages("general") == []


@pytest.mark.parametrize("text", ["x" * 4000, " " + "ä" * 4000 + " ", "👩‍💻", "<b>not bold</b>", "'; DROP TABLE users"])
async def test_any_other_text_is_kept_as_it_is(conversation: Conversation, text: str) -> None:
    """Showing it safely is the reader's business."""
    await conversation.add_message(text, author="alice", room_id="general")
    assert [message.text for message in await conversation.messages("general")] == [text.strip()]


@pytest.mark.parametrize("client_id", ["", "x" * 129, "\ud83d", "\0"])
async def test_a_client_id_that_cannot_be_stored_is_refused(conversation: Conversation, client_id: str) -> None:
    """It has 1 to 128 characters."""
    with pytest.raises(BadUserInput, match="clientId"):
        await conversation.add_message("hi", author="alice", room_id="general", client_id=client_id)


@pytest.mark.parametrize("room_id", ["elsewhere", "", "General", "\ud83d", "x" * 100_000, "a'b", "\0"])
async def test_an_unknown_room_is_refused_everywhere(conversation: Conversation, room_id: str) -> None:
    """Reading, writing and listening say the same short sentence."""
    calls = (
        lambda: conversation.messages(room_id),
        lambda: conversation.listen(room_id),
        lambda: conversation.add_message("hi", author="alice", room_id=room_id),
    )
    for call in calls:
        with pytest.raises(BadUserInput, match="There is no room") as caught:
            await call()
        assert len(str(caught.value).encode()) < 500


async def test_nobody_speaks_for_an_account_that_is_gone(conversation: Conversation) -> None:
    """Its token may live a little longer."""
    with pytest.raises(LoginRequired):
        await conversation.add_message("boo", author="ghost", room_id="general")


async def test_a_page_of_messages_ends_before_the_one_that_is_named(conversation: Conversation) -> None:
    """So a reader scrolls back page by page, and each page reads downwards."""
    for number in range(5):
        await conversation.add_message(f"{number}", author="alice", room_id="general")
    newest = await conversation.messages("general", last=2)
    older = await conversation.messages("general", last=2, before=str(newest[0].id))
    assert [message.text for message in older + newest] == ["1", "2", "3", "4"]


@pytest.mark.parametrize("last", [0, -1, 201, 2**31 - 1])
async def test_a_page_has_1_to_200_messages(conversation: Conversation, last: int) -> None:
    """Nobody reads the whole store at once."""
    with pytest.raises(BadUserInput, match="last must be between 1 and 200"):
        await conversation.messages("general", last=last)


@pytest.mark.parametrize("before", ["", "x", "0", "-1", "1.5", "1e3", " 1", "٣", "9" * 19, "9" * 5000, "1\n", "\ud83d"])
async def test_a_page_can_only_end_before_a_message(conversation: Conversation, before: str) -> None:
    """Anything that is no id is refused before it reaches the database."""
    with pytest.raises(BadUserInput, match="before must be the id of a message"):
        await conversation.messages("general", before=before)


async def test_there_is_one_room(conversation: Conversation) -> None:
    """More will come."""
    assert await conversation.rooms() == [Room("general", "General")]
