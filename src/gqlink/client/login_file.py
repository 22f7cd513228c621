"""A file of logins: one for all servers, mode 0600, shared between the processes of one user.

It is changed by being replaced, so a reader sees the old content or the new, never half, and whoever dies while
writing leaves the old. Whoever changes it holds a lock; `token_file` does.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

import msgspec

from gqlink.errors import BadUserInput, DataUnusable

__all__ = ("LoginFile", "StoredLogin", "server_key")

_VERSION: Final = 2


class StoredLogin(msgspec.Struct, frozen=True, omit_defaults=True):
    """A login at one server.

    Shape:
        {"name": str, "token": str, "expires_at"?: seconds since the Unix epoch, "refresh_token"?: str}
    """

    name: str
    token: str
    expires_at: float | None = None
    refresh_token: str | None = None

    def __repr__(self) -> str:
        """Say whose it is, never what it is."""
        return f"StoredLogin(name={self.name!r}, expires_at={self.expires_at!r})"


class _Content(msgspec.Struct):
    """What the file holds; version 1 had no refresh tokens."""

    version: int = _VERSION
    servers: dict[str, StoredLogin] = {}


@dataclass(frozen=True, slots=True)
class LoginFile:
    """The logins of one user of this machine.

    Args:
        path: The file; it and its directory are made when the first login is stored.
    """

    path: Path

    @classmethod
    def default(cls) -> Self:
        """Return the file in the user's configuration directory (`$XDG_CONFIG_HOME`, else `~/.config`)."""
        base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        return cls(Path(base) / "gqlink" / "tokens.json")

    def read(self, server: str) -> StoredLogin | None:
        """Return the login at a server, or None.

        Args:
            server: Its `server_key`.

        Raises:
            DataUnusable: The file cannot be read, is damaged, or comes from a later version.
        """
        return self._load().servers.get(server)

    def write(self, server: str, login: StoredLogin | None) -> None:
        """Store a login in place of the one before, or forget that; the caller holds the lock.

        Raises:
            DataUnusable: As for `read`, or the file cannot be written.
        """
        content = self._load()
        if login is None:
            content.servers.pop(server, None)
        else:
            content.servers[server] = login
        content.version = _VERSION
        try:
            self._save(msgspec.json.format(msgspec.json.encode(content), indent=2))
        except OSError as exc:
            raise DataUnusable(str(self.path), detail=f"it cannot be written ({exc.strerror})") from exc

    def _load(self) -> _Content:
        try:
            content = msgspec.json.decode(self.path.read_bytes(), type=_Content)
        except FileNotFoundError:
            return _Content()
        except OSError as exc:
            raise DataUnusable(str(self.path), detail=f"it cannot be read ({exc.strerror})") from exc
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise DataUnusable(str(self.path), detail="it is damaged; delete it and log in again") from None
        if content.version > _VERSION:
            raise DataUnusable(str(self.path), detail="a later version of gqlink wrote it")
        return content

    def _save(self, text: bytes) -> None:
        # mkstemp makes the file with mode 0600.
        descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=".tokens-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def server_key(server: str) -> str:
    """Return what stands for a server: scheme, host and port, whichever of its URLs was given.

    Raises:
        BadUserInput: It is no http(s) or ws(s) URL.
    """
    parts = urlsplit(server)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    try:
        port = parts.port or {"http": 80, "https": 443}[scheme]
    except (KeyError, ValueError):
        raise BadUserInput(f"{server!r} is not an http or https address, such as http://localhost:9000") from None
    if not parts.hostname:
        raise BadUserInput(f"{server!r} names no host; an address looks like http://localhost:9000")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{scheme}://{host}:{port}"
