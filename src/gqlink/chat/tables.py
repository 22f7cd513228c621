"""The tables, as the newest migration leaves them.

Core tables without mapped classes: rows become the values of `records`, nothing is loaded lazily, so no query
hides in a resolver. Constraints are named by convention, so that a later migration finds them again on SQLite, where
altering a table means writing it anew.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment in UTC, also where the database, like SQLite, keeps no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Send it in UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Get it back in UTC."""
        return None if value is None else value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# SQLite counts by itself only what is declared as plain INTEGER.
_number = BigInteger().with_variant(Integer(), "sqlite")

users = Table(
    "users",
    metadata,
    Column("id", _number, primary_key=True),
    Column("name", String(32), nullable=False),
    Column("name_key", String(32), nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("is_demo", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("name_key"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("user_id", _number, ForeignKey("users.id"), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("rotated_at", UtcDateTime, nullable=True),  # when the present generation replaced the one before it
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime, nullable=True),
    Index(None, "user_id"),
    Index(None, "expires_at"),
)

revocations = Table(
    "revocations",
    metadata,
    Column("id", _number, primary_key=True),
    Column("subject", Text, nullable=True),  # exactly one of these three, as in gqlink.auth.Revocation
    Column("session", Text, nullable=True),
    Column("token_id", Text, nullable=True),
    Column("revoked_at", Double, nullable=False),  # seconds since the Unix epoch, as a token says them
    Index(None, "session"),
    Index(None, "token_id"),
    Index(None, "revoked_at"),
    sqlite_autoincrement=True,  # an id is never used twice: a watcher asks for larger ones
)

rooms = Table(
    "rooms",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("title", String(100), nullable=False),
)

messages = Table(
    "messages",
    metadata,
    Column("id", _number, primary_key=True),
    Column("client_id", String(128), nullable=True),
    Column("author_id", _number, ForeignKey("users.id"), nullable=False),
    Column("room_id", String(64), ForeignKey("rooms.id"), nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("author_id", "client_id"),
    Index(None, "room_id", "id"),
    sqlite_autoincrement=True,  # an id is never used twice, so "before" stays true when messages can be deleted
)
