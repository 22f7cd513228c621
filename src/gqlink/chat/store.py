"""Where the chat keeps its accounts, sessions, rooms and messages; the only file that speaks SQL."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from gqlink.chat.database import WRITING, open_engine
from gqlink.chat.migrations import migrate
from gqlink.chat.records import Account, Message, Room, Session
from gqlink.chat.tables import messages, rooms, sessions, users
from gqlink.errors import BadUserInput, LoginRequired, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
    from datetime import datetime

    from sqlalchemy import Row
    from sqlalchemy.engine import URL
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_ACCOUNTS = select(users.c.id, users.c.name, users.c.password_hash, users.c.is_demo)
_SESSIONS = select(
    sessions.c.id,
    sessions.c.generation,
    sessions.c.created_at,
    sessions.c.expires_at,
    sessions.c.ended_at,
    users.c.id.label("user_id"),
    users.c.name,
    users.c.password_hash,
    users.c.is_demo,
).join(users, sessions.c.user_id == users.c.id)
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


def _whole(
    read: Callable[Concatenate[Store, Arguments], Coroutine[object, object, Result]],
) -> Callable[Concatenate[Store, Arguments], Coroutine[object, object, Result]]:
    """Let a read run to its end although its caller is cancelled.

    A connection that is cut off in the middle of a query can only be thrown away, and not every driver does it well.
    """

    @wraps(read)
    async def run(store: Store, /, *args: Arguments.args, **options: Arguments.kwargs) -> Result:
        task = asyncio.ensure_future(read(store, *args, **options))
        store._reads.add(task)  # noqa: SLF001 -- the store's own
        task.add_done_callback(store._forget_read)  # noqa: SLF001
        return await asyncio.shield(task)

    return run


class Store:
    """Accounts, sessions, rooms and messages in one database.

    Args:
        url: As `database_url` gives it.
    """

    def __init__(self, url: URL) -> None:
        self._url = url
        self._engine: AsyncEngine | None = None
        self._reads: set[asyncio.Future[Any]] = set()

    async def open(self) -> None:
        """Migrate the database, then get ready.

        Raises:
            DataUnusable: A newer gqlink wrote the database, it is not one of ours, or it cannot be reached.
        """
        # Migrations read files and block, so they run in a thread, with an engine of their own.
        await asyncio.to_thread(migrate, self._url)
        self._engine = open_engine(self._url)

    async def aclose(self) -> None:
        """Close every connection; what comes later is refused."""
        engine, self._engine = self._engine, None
        if engine is not None:
            if self._reads:
                await asyncio.wait(self._reads)
            await engine.dispose()

    @_whole
    async def check(self) -> None:
        """Ask the database for a sign of life.

        Raises:
            StoreUnavailable: There was none.
        """
        async with self._reading() as connection:
            await connection.execute(text("SELECT 1"))

    @_whole
    async def account(self, name: str) -> Account | None:
        """Find an account by its name, in any case."""
        async with self._reading() as connection:
            row = (await connection.execute(_ACCOUNTS.where(users.c.name_key == name.lower()))).first()
        return None if row is None else Account(row.id, row.name, row.password_hash, row.is_demo)

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
            async with self._writing() as connection:
                number = await connection.scalar(insert(users).values(values).returning(users.c.id))
        except IntegrityError:
            raise BadUserInput(f"The name {name!r} is taken; choose another.") from None
        return Account(_given(number), name, password_hash, is_demo)

    async def replace_password_hash(self, account: Account, *, password_hash: str) -> None:
        """Change an account's hash, unless somebody else has changed it since `account` was read."""
        unchanged = (users.c.id == account.id) & (users.c.password_hash == account.password_hash)
        async with self._writing() as connection:
            await connection.execute(update(users).where(unchanged).values(password_hash=password_hash))

    async def add_session(
        self, session_id: str, *, account: Account, created_at: datetime, expires_at: datetime
    ) -> Session:
        """Add a session, and forget those of anybody that have reached their age."""
        session = Session(session_id, account, generation=1, created_at=created_at, expires_at=expires_at)
        new = insert(sessions).values(
            id=session.id,
            user_id=account.id,
            generation=session.generation,
            created_at=created_at,
            expires_at=expires_at,
        )
        async with self._writing() as connection:
            await connection.execute(delete(sessions).where(sessions.c.expires_at <= created_at))
            await connection.execute(new)
        return session

    @_whole
    async def session(self, session_id: str) -> Session | None:
        """Find a session by its id, also one that has ended."""
        async with self._reading() as connection:
            row = (await connection.execute(_SESSIONS.where(sessions.c.id == session_id))).first()
        if row is None:
            return None
        account = Account(row.user_id, row.name, row.password_hash, row.is_demo)
        return Session(row.id, account, row.generation, row.created_at, row.expires_at, row.ended_at)

    async def end_session(self, session_id: str, *, ended_at: datetime) -> None:
        """End a session, unless it has ended before."""
        goes_on = (sessions.c.id == session_id) & sessions.c.ended_at.is_(None)
        async with self._writing() as connection:
            await connection.execute(update(sessions).where(goes_on).values(ended_at=ended_at))

    @_whole
    async def rooms(self) -> list[Room]:
        """List the rooms in the order of their ids."""
        async with self._reading() as connection:
            rows = await connection.execute(_ROOMS.order_by(rooms.c.id))
            return [Room(row.id, row.title) for row in rows]

    @_whole
    async def room(self, room_id: str) -> Room | None:
        """Find a room by its id."""
        async with self._reading() as connection:
            row = (await connection.execute(_ROOMS.where(rooms.c.id == room_id))).first()
        return None if row is None else Room(row.id, row.title)

    @_whole
    async def messages(self, room: Room, *, last: int, before: int | None = None) -> list[Message]:
        """Read the newest `last` messages of a room, oldest first; with `before`, of those with a smaller id."""
        query = _MESSAGES.where(messages.c.room_id == room.id).order_by(messages.c.id.desc()).limit(last)
        if before is not None:
            query = query.where(messages.c.id < before)
        async with self._reading() as connection:
            newest_first = (await connection.execute(query)).all()
        return [_message(row) for row in reversed(newest_first)]

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
        async with self._writing() as connection:
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

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        with _translated():
            async with self._opened().connect() as connection:
                yield connection

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncConnection]:
        with _translated():
            async with self._opened().execution_options(**WRITING).begin() as connection:
                yield connection

    def _forget_read(self, task: asyncio.Future[Any]) -> None:
        self._reads.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, in case that nobody is left to be told

    def _opened(self) -> AsyncEngine:
        if self._engine is None:
            raise StoreUnavailable
        return self._engine


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise  # means something to who wrote
    except (SQLAlchemyError, OSError) as exc:
        raise StoreUnavailable from exc


def _message(row: Row[int, str | None, str, str, str, str, datetime]) -> Message:
    number, client_id, author, room_id, title, words, created_at = row
    return Message(number, client_id, author, Room(room_id, title), words, created_at)


def _given(number: int | None) -> int:
    assert number is not None, "an insert returns the row's number"
    return number
