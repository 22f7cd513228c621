"""Refresh tokens: opaque to whoever holds them, and nothing that the database could give away.

Token n of a session is `<session>.<n>.<mac>`, the mac being HMAC-SHA256 of session and n under a key that is derived
from the signing key. So nothing secret is stored; a forged token is refused without asking the database; and the
successor of a token can be said again, which is what an honest client needs when an answer was lost.

Source: docs/explanation/design.md; RFC 9700, section 4.14.
"""

from __future__ import annotations

import base64
import hmac
import re
from typing import TYPE_CHECKING, Final

from gqlink.auth import Token
from gqlink.errors import InvalidToken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gqlink.auth import SigningKey

# So that no signature of an access token is ever the mac of a refresh token, nor the other way round.
_PURPOSE: Final = b"gqlink refresh tokens, version 1"
_TOKEN: Final = re.compile(r"([A-Za-z0-9_-]{1,32})\.([1-9][0-9]{0,8})\.([A-Za-z0-9_-]{43})", re.ASCII)


class RefreshTokens:
    """Writes and reads refresh tokens; asks no database, so it cannot say whether their session goes on.

    Args:
        keys: The signing keys, at least one; the newest is the last, and writes.
    """

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        self._secrets = [hmac.digest(key.secret, _PURPOSE, "sha256") for key in keys]

    def write(self, session: str, *, generation: int) -> Token:
        """Return token `generation` of a session; the same one each time.

        Args:
            session: The session's id: 1 to 32 characters of base64url.
            generation: From 1 to 999,999,999.
        """
        return Token(_write(self._secrets[-1], session, generation))

    def read(self, token: Token) -> tuple[str, int]:
        """Return the session and the generation of a token of ours.

        Raises:
            InvalidToken: It is not.
        """
        match = _TOKEN.fullmatch(token.reveal())
        if match is None:
            raise InvalidToken("not the shape of a refresh token")
        session, generation = match[1], int(match[2])
        given = token.reveal().encode("ascii")
        # Every key is tried, whichever fits: the time says nothing.
        fits = [hmac.compare_digest(given, _write(key, session, generation).encode("ascii")) for key in self._secrets]
        if not any(fits):
            raise InvalidToken("a refresh token that we did not write")
        return session, generation


def _write(secret: bytes, session: str, generation: int) -> str:
    name = f"{session}.{generation}"
    mac = base64.urlsafe_b64encode(hmac.digest(secret, name.encode("ascii"), "sha256"))
    return f"{name}.{mac.rstrip(b'=').decode('ascii')}"
