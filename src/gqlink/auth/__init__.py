"""Who is speaking: identities, tokens, passwords, and where credentials are found.

One coroutine of the application, of type `Authenticate`, serves the `Authorization` header, a cookie where one is
allowed, `connection_init`, and renewal. Absent credentials are anonymous; bad credentials are an error.
"""

from gqlink.errors import MissingExtra

try:
    from gqlink.auth.credentials import Authenticate, Credentials, credentials_from_http, credentials_from_init
    from gqlink.auth.deny_list import DenyList, Revocation
    from gqlink.auth.identity import ANONYMOUS, Identity
    from gqlink.auth.keys import SigningKey
    from gqlink.auth.passwords import PasswordHasher
    from gqlink.auth.signer import TokenSigner
    from gqlink.auth.token import Token
except ImportError as exc:
    raise MissingExtra("server", module=exc.name) from exc

__all__ = (
    "ANONYMOUS",
    "Authenticate",
    "Credentials",
    "DenyList",
    "Identity",
    "PasswordHasher",
    "Revocation",
    "SigningKey",
    "Token",
    "TokenSigner",
    "credentials_from_http",
    "credentials_from_init",
)
