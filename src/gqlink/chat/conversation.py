"""The conversation: what is said in the rooms, stored and then heard by everybody, once and in order.

Storing and publishing are one section. A lock per room makes the order of publication the order of ids; the section
runs as a task of the conversation's own, so that a caller who is cancelled (an operation that took too long, a server
that stops) can come between neither; only what still waits for its turn is dropped. So what is stored is published and
the other way round, in one order, or the room's topic begins a new epoch, which is how its listeners learn that they
may have missed something (`doubts`): where the broker fails after the message was stored, and where the database cannot
say whether it was.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from gqlink.chat.connection import NothingWritten
from gqlink.chat.doubts import Doubts
from gqlink.errors import BadUserInput, StoreUnavailable
from gqlink.pubsub import Topic

if TYPE_CHECKING:
    from collections.abc import Callable

    from gqlink.chat.records import Message, Room
    from gqlink.chat.store import Store
    from gqlink.pubsub import Broker, Stream

TEXT_CHARACTERS: Final = 4000
CLIENT_ID_CHARACTERS: Final = 128
LAST_MESSAGES: Final = 200

_ROOM_ID: Final = re.compile(r"[a-z0-9-]{1,64}")
_MESSAGE_ID: Final = re.compile(r"[1-9][0-9]{0,17}")  # fits 64 bits

log = logging.getLogger(__name__)


_WHOEVER_MAY_LISTEN: Final = "members"
"""The share key of a room's messages: whoever may listen there gets the same."""


class Conversation:
    """Reads, stores and publishes messages; who may do so is the caller's business.

    Args:
        store: Opened and closed by the caller.
        broker: Likewise. What is published is a `Message`.
        clock: Seconds since the Unix epoch.
        retry_seconds: Between two attempts to tell listeners that they may have missed something.
    """

    def __init__(
        self, store: Store, *, broker: Broker, clock: Callable[[], float] = time.time, retry_seconds: float = 1.0
    ) -> None:
        self._store = store
        self._broker = broker
        self._clock = clock
        self._rooms: dict[str, Room] = {}  # only rooms that exist, so their number bounds both
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._newest: dict[str, int] = {}  # the greatest id that this process knows of, by room
        self._sections: set[asyncio.Task[Message]] = set()
        self._doubts = Doubts(locks=self._locks, check=self._check, reset=self._reset, retry_seconds=retry_seconds)
        self._closed = False

    async def aclose(self) -> None:
        """Let what has begun be stored and heard; refuse everything later."""
        self._closed = True
        while self._sections:
            await asyncio.wait(self._sections)
        await self._doubts.aclose()

    async def rooms(self) -> list[Room]:
        """List the rooms."""
        return await self._store.rooms()

    async def messages(self, room_id: str, *, last: int = 50, before: str | None = None) -> list[Message]:
        """Read the newest messages of a room, oldest first.

        Args:
            room_id: Which room.
            last: How many at most: 1 to 200.
            before: A message's id: only those with a smaller one.

        Raises:
            BadUserInput: An argument is out of range, or there is no such room.
        """
        if not 1 <= last <= LAST_MESSAGES:
            raise BadUserInput(f"last must be between 1 and {LAST_MESSAGES}, not {last}.")
        if before is not None and not _MESSAGE_ID.fullmatch(before):
            raise BadUserInput("before must be the id of a message.")
        room = await self._room(room_id)
        return await self._store.messages(room, last=last, before=None if before is None else int(before))

    async def listen(self, room_id: str) -> Stream:
        """Hear every message that is added to a room from now on, or after where whoever opens it left off.

        Returns:
            An asynchronous iterator of `Message`, the same for everybody; it subscribes when it is first used. It ends
            with `SubscriberLagging` where something may have been missed.

        Raises:
            BadUserInput: There is no such room.
        """
        return self._topic((await self._room(room_id)).id).stream(share_key=_WHOEVER_MAY_LISTEN)

    async def add_message(self, text: str, *, author: str, room_id: str, client_id: str | None = None) -> Message:
        """Store a message and let everybody in the room hear it.

        Messages of a room take turns. Whoever is cancelled before it is theirs has said nothing. Later it does not undo
        anything: the message is then stored and heard all the same.

        Args:
            text: 1 to 4000 characters, without the white space around them.
            author: The name of an account.
            room_id: Which room.
            client_id: 1 to 128 characters, unique per author. Repeating it returns the message stored the first
                time, whatever the rest says, and nobody hears it again.

        Raises:
            BadUserInput: An argument is not allowed, or there is no such room.
            LoginRequired: The author's account is gone.
            StoreUnavailable: The database fails. It was not stored; or nobody can tell, and then the room's listeners
                learn that they may have missed something. With a `client_id` it is safe to repeat.
        """
        text = _checked_text(text)
        _check_client_id(client_id)
        room = await self._room(room_id)
        if self._closed:
            raise StoreUnavailable
        begun = asyncio.Event()
        section = asyncio.create_task(
            self._store_and_publish(text, author=author, room=room, client_id=client_id, begun=begun)
        )
        self._sections.add(section)
        section.add_done_callback(self._sections.discard)
        return await _sheltered(section, begun=begun)

    async def _store_and_publish(
        self, text: str, *, author: str, room: Room, client_id: str | None, begun: asyncio.Event
    ) -> Message:
        async with self._locks[room.id]:
            begun.set()
            if not await self._doubts.settle(room.id):
                raise StoreUnavailable
            message, is_new = await self._store_message(text, author=author, room=room, client_id=client_id)
            if is_new:
                self._newest[room.id] = message.id
                await self._publish(message)
            return message

    async def _store_message(
        self, text: str, *, author: str, room: Room, client_id: str | None
    ) -> tuple[Message, bool]:
        """Store a message; see `Store.add_message`. Where the database fails in the middle, find out what it did."""
        created_at = datetime.fromtimestamp(self._clock(), UTC)
        try:
            return await self._store.add_message(
                text, author=author, room=room, client_id=client_id, created_at=created_at
            )
        except NothingWritten:
            raise
        except StoreUnavailable:
            stored = await self._find_stored(text, author=author, room=room, created_at=created_at)
            if stored is None:
                raise
            return stored, True

    async def _find_stored(self, text: str, *, author: str, room: Room, created_at: datetime) -> Message | None:
        """Find the message that a store which failed may have stored all the same; where that is open, doubt it."""
        try:
            # The connection may have been lost while the database committed, which may take it a while.
            await self._store.wait_until_written(room)
            newest = await self._store.messages(room, last=LAST_MESSAGES)
        except StoreUnavailable:
            await self._doubts.raise_doubt(room.id)
            return None
        for message in newest:
            is_new = message.id > self._newest.get(room.id, 0)
            same = (message.text, message.author.lower(), message.created_at) == (text, author.lower(), created_at)
            if same and is_new:
                return message
        return None

    async def _publish(self, message: Message) -> None:
        try:
            await self._topic(message.room.id).publish(message)
        except (Exception, asyncio.CancelledError):
            if _is_ending():
                raise
            # Somebody else's cancellation, such as of a task of the broker's driver, is one more way to fail.
            extra = {"gqlink_event": "message_unpublished", "room": message.room.id}
            log.exception("message %d is stored, but could not be published", message.id, extra=extra)
            await self._doubts.raise_doubt(message.room.id)

    async def _check(self, room_id: str) -> None:
        await self._store.wait_until_written(self._rooms[room_id])

    async def _reset(self, room_id: str) -> None:
        await self._topic(room_id).reset()

    async def _room(self, room_id: str) -> Room:
        room = self._rooms.get(room_id)
        if room is None and _ROOM_ID.fullmatch(room_id):
            room = await self._store.room(room_id)
        if room is None:
            raise BadUserInput(f"There is no room {room_id[:64]!a}.")
        return self._rooms.setdefault(room.id, room)

    def _topic(self, room_id: str) -> Topic:
        return Topic(self._broker, f"room:{room_id}")


async def _sheltered(section: asyncio.Task[Message], *, begun: asyncio.Event) -> Message:
    try:
        return await asyncio.shield(section)
    except asyncio.CancelledError:
        if not begun.is_set():
            section.cancel()
        # Nobody waits for the outcome any more, so a failure would go unseen.
        section.add_done_callback(_report_failure)
        raise


def _is_ending() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _report_failure(section: asyncio.Task[Message]) -> None:
    if not section.cancelled() and (failure := section.exception()) is not None:
        text, extra = "a message whose author went away could not be stored", {"gqlink_event": "message_not_stored"}
        log.error(text, exc_info=failure, extra=extra)


def _checked_text(text: str) -> str:
    text = text.strip()
    if not 1 <= len(text) <= TEXT_CHARACTERS:
        raise BadUserInput(f"text must have 1 to {TEXT_CHARACTERS} characters, not {len(text)}.")
    _check_characters(text, name="text")
    return text


def _check_client_id(client_id: str | None) -> None:
    if client_id is None:
        return
    if not 1 <= len(client_id) <= CLIENT_ID_CHARACTERS:
        raise BadUserInput(f"clientId must have 1 to {CLIENT_ID_CHARACTERS} characters, not {len(client_id)}.")
    _check_characters(client_id, name="clientId")


def _check_characters(text: str, *, name: str) -> None:
    # UTF-8 cannot say half a character, and PostgreSQL's text takes no NUL.
    if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text):
        raise BadUserInput(f"{name} contains a character that cannot be stored: NUL, or half an emoji.")
