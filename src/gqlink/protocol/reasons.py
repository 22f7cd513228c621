"""What the words of a close reason say, where the code alone does not.

Servers do not agree on the code for a refused credential, but their words are alike. They are only asked where no
normative reason matches; a word too few costs a second attempt, a word too many a question for another credential.

Source: issues #7696 and #9765 of hasura/graphql-engine; docs/reference/servers.md.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ("real_code", "speaks_of_credential", "speaks_of_expiry")

_REAL_CODE: Final = re.compile(r"(?<!\d)(4\d{3}): ")
# "token" alone is none: JavaScript says "Unexpected token" of JSON that it cannot read.
_CREDENTIAL: Final = re.compile(
    r"\bjwt|un-?authori[sz]ed|unauthenticated|\bnot (?:authenticated|authori[sz]ed|logged in)\b|\bforbidden\b"
    r"|\b(?:access|permission) denied\b|\blog ?in required\b"
    r"|\bauth(?:entication|ori[sz]ation)? (?:has )?(?:failed|required|error|expired|missing|invalid)\b"
    r"|\b(?:invalid|expired|missing|bad|wrong|no|revoked) (?:access |auth |bearer |id )?(?:token|credentials?|key)\b"
    r"|\b(?:token|credentials?|session|api key) (?:(?:is|has|was|were) )?(?:invalid|expired|missing|revoked|rejected)\b"
    r"|\b(?:missing|invalid|no|bad) authori[sz]ation\b|\bconnection initialization failed\b",
    re.IGNORECASE,
)
_EXPIRY: Final = re.compile(r"\bjwtexpired\b|\bexpired\b", re.IGNORECASE)


def real_code(code: int, reason: str) -> int:
    """Return the close code that a server meant.

    Older Hasura closes with 1000 and writes the code into the reason: `{"server_error_msg":"4400: ..."}`.

    Args:
        code: The code on the wire.
        reason: The peer's reason.
    """
    written = _REAL_CODE.search(reason) if code == 1000 else None  # noqa: PLR2004 -- a normal end, which it is not
    return int(written[1]) if written else code


def speaks_of_credential(reason: str) -> bool:
    """Say whether a reason blames the credential."""
    return _CREDENTIAL.search(reason) is not None


def speaks_of_expiry(reason: str) -> bool:
    """Say whether a reason blames the credential's age."""
    return speaks_of_credential(reason) and _EXPIRY.search(reason) is not None
