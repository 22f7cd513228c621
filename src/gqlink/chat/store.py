"""Where the chat keeps its accounts, rooms and messages; sessions are in `session_store`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from gqlink.chat.connection import Database
from gqlink.chat.database import BUSY_SECONDS
from gqlink.chat.records import Account, Message, Room
from gqlink.chat.tables import messages, rooms, users
from gqlink.errors import BadUserInput, LoginRequired

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

_ACCOUNT = select(users.c.id, users.c.name, users.c.password_hash, users.c.is_demo).where(
    users.c.name_key == bindparam("key")
)
_ROOMS = select(rooms.c.id, rooms.c.title).order_by(rooms.c.id)
_MESSAGES = (
    select(
        messages.c.id,
        messages.c.client_id,
        users.c.name,
        messages.c.room_id,
        rooms.c.title,
        messages.c.text,
        messages.c.created_at,
    )
    .join(users, messages.c.author_id == users.c.id)
    .join(rooms, messages.c.room_id == rooms.c.id)
)
_SAME_MESSAGE = _MESSAGES.where(
    (users.c.name_key == bindparam("author_key")) & (messages.c.client_id == bindparam("client_id"))
)
_AUTHOR = select(users.c.id, users.c.name).where(users.c.name_key == bindparam("key"))
_ADD_MESSAGE = insert(messages).returning(messages.c.id)
_HOLD_ROOM = select(rooms.c.id).where(rooms.c.id == bindparam("room_id")).with_for_update()


class Store(Database):
    """Accounts, rooms and messages in one database."""

    async def account(self, name: str) -> Account | None:
        """Find an account by its name, in any case."""
        rows = await self.fetch(_ACCOUNT, {"key": name.lower()})
        return next((Account(row.id, row.name, row.password_hash, row.is_demo) for row in rows), None)

    async def add_account(self, name: str, *, password_hash: str, is_demo: bool, created_at: datetime) -> Account:
        """Add an account.

        Raises:
            BadUserInput: The name is taken, perhaps in another case.
        """
        values = {
            "name": name,
            "name_key": name.lower(),
            "password_hash": password_hash,
            "is_demo": is_demo,
            "created_at": created_at,
        }
        new = insert(users).values(values).returning(users.c.id)
        try:
            number = await self.write(lambda connection: connection.scalar(new))
        except IntegrityError:
            raise BadUserInput(f"The name {name!r} is taken; choose another.") from None
        return Account(_given(number), name, password_hash, is_demo)

    async def replace_password_hash(self, account: Account, *, password_hash: str) -> None:
        """Change an account's hash, unless somebody else has changed it since `account` was read."""
        unchanged = (users.c.id == account.id) & (users.c.password_hash == account.password_hash)
        change = update(users).where(unchanged).values(password_hash=password_hash)
        await self.write(lambda connection: connection.execute(change).close())

    async def rooms(self) -> list[Room]:
        """List the rooms in the order of their ids."""
        return [Room(row.id, row.title) for row in await self.fetch(_ROOMS)]

    async def room(self, room_id: str) -> Room | None:
        """Find a room by its id."""
        found = await self.fetch(_ROOMS.where(rooms.c.id == room_id))
        return next((Room(row.id, row.title) for row in found), None)

    async def messages(self, room: Room, *, last: int, before: int | None = None) -> list[Message]:
        """Read the newest `last` messages of a room, oldest first; with `before`, of those with a smaller id."""
        query = _MESSAGES.where(messages.c.room_id == room.id).order_by(messages.c.id.desc()).limit(last)
        if before is not None:
            query = query.where(messages.c.id < before)
        return [_message(row) for row in reversed(await self.fetch(query))]

    async def add_message(
        self, words: str, *, author: str, room: Room, client_id: str | None, created_at: datetime
    ) -> tuple[Message, bool]:
        """Store a message, unless its author has stored one with this `client_id` before.

        Returns:
            The message as stored, and whether it is new.

        Raises:
            LoginRequired: The author's account is gone.
        """
        key = author.lower()
        values = {"room_id": room.id, "client_id": client_id, "text": words, "created_at": created_at}

        def work(connection: Connection) -> Message:
            found = connection.execute(_AUTHOR, {"key": key}).first()
            if found is None:
                raise LoginRequired
            author_id, name = found
            number = connection.scalar(_ADD_MESSAGE, {"author_id": author_id, **values})
            return Message(_given(number), client_id, name, room, words, created_at.astimezone(UTC))

        try:
            return await self.write(work), True
        except IntegrityError:
            # Asked for the second time, here or through another process; whoever was first has committed.
            stored = await self.fetch(_SAME_MESSAGE, {"author_key": key, "client_id": client_id})
            if not stored:
                raise
            return _message(stored[0]), False

    async def wait_until_written(self, room: Room) -> None:
        """Wait until what is being written in a room is there, or undone, although its writer's connection was lost.

        PostgreSQL may be about to commit what nobody waits for any more. Until it has, the new message holds its room's
        row, to which it refers, and nobody else can have that row alone. SQLite has one writer at a time.

        Raises:
            StoreUnavailable: It takes more than `BUSY_SECONDS`, or the database does not answer.
        """

        def work(connection: Connection) -> None:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{BUSY_SECONDS}s'")
            connection.execute(_HOLD_ROOM, {"room_id": room.id}).close()

        await self.write(work)


def _message(row: Row[int, str | None, str, str, str, str, datetime]) -> Message:
    number, client_id, author, room_id, title, words, created_at = row
    return Message(number, client_id, author, Room(room_id, title), words, created_at)


def _given(number: int | None) -> int:
    assert number is not None, "an insert returns the row's number"
    return number
