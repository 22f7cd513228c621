"""The keys that sign access tokens: made at the first start, kept in one private file.

The file is a JSON Web Key Set, so that a key can be added (the newest is the last, and signs) and an old one removed.
It is refused, not merely complained about, when anybody but its owner may read it: who reads it can be everybody.

Shape:
    {"keys": [{"kty": "oct", "kid": str, "alg": "HS256", "k": str}]}    `k` is base64url of at least 32 bytes

Source: RFC 7517, section 5; RFC 7518, section 6.4.
"""

from __future__ import annotations

import base64
import os
import secrets
import stat
import tempfile
from pathlib import Path
from typing import Literal

import msgspec

from gqlink.auth import SigningKey
from gqlink.chat.data import PRIVATE_FILE, translated
from gqlink.errors import DataUnusable

SECRET_BYTES = 32


class _Key(msgspec.Struct):
    kty: Literal["oct"]
    kid: str
    alg: Literal["HS256"]
    k: str


class _KeySet(msgspec.Struct):
    keys: list[_Key]


def load_signing_keys(path: Path) -> tuple[SigningKey, ...]:
    """Read the signing keys; make the first one if there is no file yet.

    Processes that start at once end up with the same key: whoever links its finished file first has made it.

    Args:
        path: The file; its directory exists.

    Returns:
        At least one key, the newest last.

    Raises:
        DataUnusable: The file is damaged, readable by others, or out of reach.
    """
    with translated(path):
        if not path.exists():
            _create(path)
        _refuse_if_shared(path)
        text = path.read_bytes()
    return _decode(text, path=path)


def _create(path: Path) -> None:
    # A temporary file is made with mode 0600. Linking, unlike renaming, fails when the name is taken, and
    # nobody ever sees half a file.
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_encode(secrets.token_bytes(SECRET_BYTES)))
            file.flush()
            os.fsync(file.fileno())
        _link(name, path)
    finally:
        Path(name).unlink()


def _link(name: str, path: Path) -> None:
    try:
        os.link(name, path)
    except FileExistsError:
        return  # another process was first: its key is the key


def _refuse_if_shared(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & ~PRIVATE_FILE & 0o077:
        detail = f"others may read or change the signing keys (mode {mode:04o}); run: chmod 600 {path}"
        raise DataUnusable(str(path), detail=detail)


def _encode(secret: bytes) -> bytes:
    text = base64.urlsafe_b64encode(secret).rstrip(b"=").decode("ascii")
    key = _Key(kty="oct", kid=secrets.token_hex(8), alg="HS256", k=text)
    return msgspec.json.format(msgspec.json.encode(_KeySet([key]))) + b"\n"


def _decode(text: bytes, *, path: Path) -> tuple[SigningKey, ...]:
    try:
        keys = tuple(SigningKey(key.kid, _secret(key.k)) for key in msgspec.json.decode(text, type=_KeySet).keys)
    except (ValueError, RecursionError):
        keys = ()  # the cause may quote the secret, so it is not chained
    if not keys or len({key.id for key in keys}) < len(keys):
        detail = "the signing keys are damaged; restore the file, or delete it (everybody must then log in again)"
        raise DataUnusable(str(path), detail=detail)
    return keys


def _secret(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
