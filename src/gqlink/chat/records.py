"""What the chat is about: accounts, sessions, rooms and messages, as plain immutable values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may log in.

    Attributes:
        id: The store's own number.
        name: As it was written when the account was made; names that differ only in case are the same name.
        password_hash: An encoded argon2 hash.
        is_demo: The password is public knowledge, so the account is of use only in demo mode.
    """

    id: int
    name: str
    password_hash: str = field(repr=False)
    is_demo: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """A login, from then until its logout or its age ends it.

    Attributes:
        id: 22 characters of base64url, also the `sid` of its access tokens; no secret.
        account: Whose.
        generation: The number of its present refresh token, from 1.
        created_at: When the password was given; aware, in UTC.
        expires_at: When it will be asked for again.
        ended_at: When it was ended by a logout, a revocation or a stolen token, or None.
        rotated_at: When the present generation replaced the one before it; None for the first.
    """

    id: str
    account: Account
    generation: int
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    rotated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Room:
    """A place to talk.

    Attributes:
        id: 1 to 64 characters of a-z, 0-9 and "-".
        title: For people.
    """

    id: str
    title: str


@dataclass(frozen=True, slots=True)
class Message:
    """Something that was said; never changed afterwards.

    Attributes:
        id: Ascending in the order of publication.
        client_id: What the author's client called it, unique per author, or None.
        author: The author's name.
        room: Where it was said.
        text: 1 to 4000 characters.
        created_at: Aware, in UTC.
    """

    id: int
    client_id: str | None
    author: str
    room: Room
    text: str
    created_at: datetime
