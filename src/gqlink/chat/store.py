"""Where the chat keeps its accounts, rooms and messages; sessions are in `session_store`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from gqlink.chat.connection import Database
from gqlink.chat.records import Account, Message, Room
from gqlink.chat.tables import messages, rooms, users
from gqlink.errors import BadUserInput, LoginRequired

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Row

_ACCOUNTS = select(users.c.id, users.c.name, users.c.password_hash, users.c.is_demo)
_ROOMS = select(rooms.c.id, rooms.c.title)
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


class Store(Database):
    """Accounts, rooms and messages in one database."""

    async def account(self, name: str) -> Account | None:
        """Find an account by its name, in any case."""
        rows = await self.fetch(_ACCOUNTS.where(users.c.name_key == name.lower()))
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
        try:
            async with self.writing() as connection:
                number = await connection.scalar(insert(users).values(values).returning(users.c.id))
        except IntegrityError:
            raise BadUserInput(f"The name {name!r} is taken; choose another.") from None
        return Account(_given(number), name, password_hash, is_demo)

    async def replace_password_hash(self, account: Account, *, password_hash: str) -> None:
        """Change an account's hash, unless somebody else has changed it since `account` was read."""
        unchanged = (users.c.id == account.id) & (users.c.password_hash == account.password_hash)
        async with self.writing() as connection:
            await connection.execute(update(users).where(unchanged).values(password_hash=password_hash))

    async def rooms(self) -> list[Room]:
        """List the rooms in the order of their ids."""
        return [Room(row.id, row.title) for row in await self.fetch(_ROOMS.order_by(rooms.c.id))]

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
        values = {"text": words, "room_id": room.id, "client_id": client_id, "created_at": created_at}
        try:
            return await self._add_message(values, author=author, client_id=client_id)
        except IntegrityError:
            # Through another process (SQLite's writers queue up, PostgreSQL's do not) the same client_id came first.
            return await self._add_message(values, author=author, client_id=client_id)

    async def _add_message(
        self, values: Mapping[str, object], *, author: str, client_id: str | None
    ) -> tuple[Message, bool]:
        async with self.writing() as connection:
            author_id = await connection.scalar(select(users.c.id).where(users.c.name_key == author.lower()))
            if author_id is None:
                raise LoginRequired
            same = (messages.c.author_id == author_id) & (messages.c.client_id == client_id)
            stored = None if client_id is None else (await connection.execute(_MESSAGES.where(same))).first()
            if stored is not None:
                return _message(stored), False
            new = insert(messages).values(author_id=author_id, **values).returning(messages.c.id)
            number = await connection.scalar(new)
            row = (await connection.execute(_MESSAGES.where(messages.c.id == number))).one()
            return _message(row), True


def _message(row: Row[int, str | None, str, str, str, str, datetime]) -> Message:
    number, client_id, author, room_id, title, words, created_at = row
    return Message(number, client_id, author, Room(room_id, title), words, created_at)


def _given(number: int | None) -> int:
    assert number is not None, "an insert returns the row's number"
    return number
