from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import postgresql

from gqlink.chat.records import Account, Message, Room
from gqlink.chat.store import _HOLD_ROOM, Store
from gqlink.chat.tables import messages
from gqlink.errors import BadUserInput, LoginRequired, StoreUnavailable

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

GENERAL = Room("general", "General")
MORNING = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)


async def add_account(store: Store, name: str) -> Account:
    return await store.add_account(name, password_hash="hash", is_demo=False, created_at=MORNING)


async def add(store: Store, text: str, *, author: str = "alice", client_id: str | None = None) -> tuple[Message, bool]:
    return await store.add_message(text, author=author, room=GENERAL, client_id=client_id, created_at=MORNING)


async def test_an_account_is_found_by_its_name_in_any_case(store: Store) -> None:
    """It keeps the spelling it was made with."""
    made = await add_account(store, "Alice")
    assert await store.account("aLICE") == made
    assert made.name == "Alice"
    assert await store.account("bob") is None


async def test_two_names_that_differ_only_in_case_are_one_name(store: Store) -> None:
    """The second one is refused."""
    await add_account(store, "Alice")
    with pytest.raises(BadUserInput, match="'ALICE' is taken"):
        await add_account(store, "ALICE")


async def test_a_hash_is_replaced_unless_somebody_was_faster(store: Store) -> None:
    """A new password must not be undone by a login that began with the old one."""
    read = await add_account(store, "alice")
    await store.replace_password_hash(read, password_hash="newer")
    await store.replace_password_hash(read, password_hash="too late")
    assert (await store.account("alice") or read).password_hash == "newer"


def test_an_account_shows_no_hash() -> None:
    """Neither in a log nor in a trace."""
    assert "secret" not in repr(Account(1, "alice", "secret"))


async def test_rooms_are_found_by_id(store: Store) -> None:
    """There is one so far."""
    assert await store.rooms() == [GENERAL]
    assert await store.room("general") == GENERAL
    assert await store.room("elsewhere") is None


async def test_a_message_comes_back_as_it_was_stored(store: Store) -> None:
    """With its author's name and its room, and the moment in UTC."""
    await add_account(store, "Alice")
    paris = MORNING.astimezone(timezone(timedelta(hours=1)))
    added, is_new = await store.add_message("hi", author="alice", room=GENERAL, client_id="c", created_at=paris)
    assert is_new
    assert added == Message(1, "c", "Alice", GENERAL, "hi", MORNING)
    assert added.created_at.tzinfo is UTC
    assert await store.messages(GENERAL, last=10) == [added]


async def test_the_newest_messages_come_oldest_first(store: Store) -> None:
    """`last` counts from the end; `before` moves the end."""
    await add_account(store, "alice")
    for number in range(1, 6):
        await add(store, f"text {number}")
    assert [message.id for message in await store.messages(GENERAL, last=2)] == [4, 5]
    assert [message.id for message in await store.messages(GENERAL, last=2, before=4)] == [2, 3]
    assert await store.messages(GENERAL, last=2, before=1) == []
    assert await store.messages(Room("other", "Other"), last=2) == []


async def test_a_client_id_stores_one_message_per_author(store: Store) -> None:
    """Repeating it gives what was stored the first time; another author's is another."""
    for name in ("alice", "bob"):
        await add_account(store, name)
    first, _ = await add(store, "first", client_id="c")
    assert await add(store, "second", client_id="c") == (first, False)
    other, is_new = await add(store, "third", author="bob", client_id="c")
    assert is_new
    assert await store.messages(GENERAL, last=10) == [first, other]


async def test_two_stores_on_one_file_agree_on_a_client_id(store: Store, url: URL) -> None:
    """Two processes that are asked at once store one message."""
    await add_account(store, "alice")
    second = Store(url)
    await second.open()
    try:
        added = await asyncio.gather(*(add(each, "hi", client_id="c") for each in [store, second] * 5))
    finally:
        await second.aclose()
    assert len({message.id for message, _ in added}) == 1
    assert [is_new for _, is_new in added].count(True) == 1


def test_postgresql_says_when_a_room_is_written() -> None:
    """A message keeps others from having its room alone until it is committed, if its reference is looked at first."""
    assert str(_HOLD_ROOM.compile(dialect=postgresql.dialect())).endswith(" FOR UPDATE")  # type: ignore[no-untyped-call]
    (reference,) = messages.c.room_id.foreign_keys
    assert (reference.column.table.name, reference.deferrable, reference.initially) == ("rooms", None, None)


async def test_nobody_writes_for_an_account_that_is_gone(store: Store) -> None:
    """A token may live longer than its account."""
    with pytest.raises(LoginRequired):
        await add(store, "boo", author="ghost")
    assert await store.messages(GENERAL, last=10) == []


async def test_readers_who_are_cancelled_leave_the_store_usable(store: Store) -> None:
    """Sockets close while their queries run."""
    for _ in range(20):
        readers = [asyncio.create_task(store.messages(GENERAL, last=1)) for _ in range(8)]
        await asyncio.sleep(0)
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    assert await store.rooms() == [GENERAL]


async def test_a_closed_store_refuses_and_leaves_no_thread(url: URL) -> None:
    """Closing is final, and may be repeated."""
    before = threading.active_count()
    store = Store(url)
    await store.open()
    await asyncio.gather(*(store.check() for _ in range(8)))
    await store.aclose()
    await store.aclose()
    with pytest.raises(StoreUnavailable):
        await store.check()
    assert [thread.name for thread in threading.enumerate() if "gqlink-chat" in thread.name] == []
    assert threading.active_count() <= before + 1  # the event loop keeps the thread that migrated


async def test_a_database_that_fails_is_an_error_of_ours(store: Store) -> None:
    """What the driver says stays in the chain, for the log."""
    await store.write(lambda connection: connection.execute(text("DROP TABLE messages")).close())
    with pytest.raises(StoreUnavailable, match="The database is unavailable") as caught:
        await store.messages(GENERAL, last=1)
    assert "no such table" in str(caught.value.__cause__)
