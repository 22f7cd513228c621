"""What an ASGI scope says: who asks, from where, with which credential; the same for HTTP and for a handshake."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from sys import intern
from typing import TYPE_CHECKING, ClassVar, Final
from weakref import WeakValueDictionary

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from gqlink.auth import Credentials, credentials_from_http
from gqlink.server.http_request import is_json
from gqlink.server.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Scope

    from gqlink.server.host import Host
    from gqlink.server.origin import Refusal

__all__ = ("address_of", "credentials_of", "facts_of", "peer_of", "refusal_of")

# The secrets; and what says nothing of whoever asks, and something else for each socket.
_LEFT_OUT: Final = frozenset({b"authorization", b"cookie", b"proxy-authorization", b"sec-websocket-key"})
_PREFLIGHTED = ("graphql-require-preflight", "apollo-require-preflight", "x-requested-with")


def refusal_of(host: Host, scope: Scope) -> Refusal | None:
    """Say why a request or handshake does not get in, and count it; None when it does."""
    headers = _HeaderTable(scope)
    cookie = host.cookie is not None and host.cookie in HTTPConnection(scope).cookies
    cookie = cookie and not _is_deliberate(scope, headers)
    refusal = host.doorkeeper.refusal(headers, cookie=cookie)
    if refusal is not None:
        host.meter.turned_away(scope["type"], status=refusal.status)
    return refusal


def _is_deliberate(scope: Scope, headers: Headers) -> bool:
    """Tell whether only a page of this origin can have made a GET: a browser gives no Origin with one of those.

    Either the browser says so, or a header is there that pages of other origins may send only after a preflight.
    """
    if scope["type"] != "http" or scope["method"] != "GET":
        return False
    return (
        headers.getlist("sec-fetch-site") == ["same-origin"]
        or is_json(headers)
        or any(name in headers for name in _PREFLIGHTED)
    )


def credentials_of(host: Host, scope: Scope) -> Credentials:
    """Find the credential that the headers carry.

    Raises:
        MalformedCredentials: It cannot be read, or two explicit ones disagree.
    """
    cookie = None if host.cookie is None else HTTPConnection(scope).cookies.get(host.cookie)
    said = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
    return credentials_from_http(authorization=said, cookie=cookie)


def facts_of(scope: Scope, *, socket: int | None = None, subprotocol: str | None = None) -> Transport:
    """Return what the application may know of a request or handshake; no credential is in it."""
    return Transport(
        kind="http" if scope["type"] == "http" else "websocket",
        client=peer_of(scope),
        headers=_Headers.of(scope),
        subprotocol=subprotocol,
        socket=socket,
    )


def address_of(scope: Scope) -> str | None:
    """Return the peer's address without its port; None where the server does not tell.

    Behind a proxy it is the client's where the ASGI server was told to believe that proxy, and else the proxy's.
    """
    client = scope.get("client")
    return None if client is None else client[0]


def peer_of(scope: Scope) -> str | None:
    """Return the peer's address, such as "127.0.0.1:50312"; None where the server does not tell."""
    client = scope.get("client")
    return None if client is None else f"{client[0]}:{client[1]}"


class _HeaderTable(Headers):
    """The headers of a scope, gone through once for all that is asked of them.

    Args:
        scope: Theirs.
    """

    def __init__(self, scope: Scope) -> None:
        super().__init__(raw=scope["headers"])
        self._table: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            self._table.setdefault(name, []).append(value)

    def getlist(self, key: str) -> list[str]:
        """Return all values of a name."""
        return [value.decode("latin-1") for value in self._table.get(key.lower().encode("latin-1"), ())]


class _Headers(Mapping[str, str]):
    """The headers of a request or handshake, the same object for those who say the same.

    Ten thousand browsers have few names for themselves, so what they say is kept once, for as long as one of them is
    there. There are few headers, so that they are looked through and need no table.

    Args:
        fields: Each name in lower case, followed by its value.
    """

    __slots__ = ("__weakref__", "_fields")

    _live: ClassVar[WeakValueDictionary[tuple[str, ...], _Headers]] = WeakValueDictionary()

    def __init__(self, fields: tuple[str, ...]) -> None:
        self._fields = fields

    @classmethod
    def of(cls, scope: Scope) -> _Headers:
        """Return those of a scope, without what is secret."""
        said = {
            intern(name.decode("latin-1")): intern(value.decode("latin-1"))
            for name, value in scope["headers"]
            if name not in _LEFT_OUT
        }
        fields = tuple(chain.from_iterable(said.items()))
        headers = cls._live.get(fields)
        if headers is None:
            headers = cls._live[fields] = cls(fields)
        return headers

    def __getitem__(self, name: str) -> str:
        for at, known in enumerate(self):
            if known == name:
                return self._fields[2 * at + 1]
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields[::2])

    def __len__(self) -> int:
        return len(self._fields) // 2
