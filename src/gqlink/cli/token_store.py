"""Where the command line keeps tokens: one file of mode 0600 for all servers, shared between processes.

A change is made under a lock and by replacing the file, so a reader sees the old content or the new, never half.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import msgspec

from gqlink.errors import BadUserInput

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("StoredToken", "TokenStore", "server_key")


class StoredToken(msgspec.Struct, frozen=True):
    """A login at one server.

    Shape:
        {"name": str, "token": str, "expires_at": seconds since the Unix epoch or null}
    """

    name: str
    token: str
    expires_at: float | None = None

    def __repr__(self) -> str:
        """Say whose it is, never what it is."""
        return f"StoredToken(name={self.name!r}, expires_at={self.expires_at!r})"


class _File(msgspec.Struct):
    version: int = 1
    servers: dict[str, StoredToken] = {}


@dataclass(frozen=True, slots=True)
class TokenStore:
    """The tokens of one user of this machine.

    Args:
        path: The file; it and its directory are made when the first token is stored.
    """

    path: Path

    @classmethod
    def default(cls) -> Self:
        """Return the store in the user's configuration directory (`$XDG_CONFIG_HOME`, else `~/.config`)."""
        base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        return cls(Path(base) / "gqlink" / "tokens.json")

    def get(self, server: str) -> StoredToken | None:
        """Return the login at a server, or None.

        Args:
            server: A URL of it; its path does not matter.

        Raises:
            BadUserInput: The file is damaged, or the URL is none.
        """
        return self._read().servers.get(server_key(server))

    def put(self, server: str, token: StoredToken) -> None:
        """Store a login in place of the one before.

        Raises:
            BadUserInput: As for `get`.
        """
        with self._changing() as content:
            content.servers[server_key(server)] = token

    def remove(self, server: str) -> StoredToken | None:
        """Forget the login at a server; return what it was.

        Raises:
            BadUserInput: As for `get`.
        """
        with self._changing() as content:
            return content.servers.pop(server_key(server), None)

    @contextmanager
    def _changing(self) -> Iterator[_File]:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            content = self._read()
            yield content
            self._write(content)

    def _read(self) -> _File:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=_File)
        except FileNotFoundError:
            return _File()
        except msgspec.DecodeError as exc:
            raise BadUserInput(f"{self.path} is damaged ({exc}); delete it and log in again") from exc

    def _write(self, content: _File) -> None:
        # mkstemp makes the file with mode 0600.
        descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=".tokens-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(content), indent=2))
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
    return f"{scheme}://{parts.hostname}:{port}"
