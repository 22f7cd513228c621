"""From an address to a socket: TCP, TLS, the handshake, and which subprotocol it agreed on."""

from __future__ import annotations

import asyncio
import logging
import socket as tcp
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from picows import WSHandshakeError, WSUpgradeRequest, WSUpgradeResponse, ws_connect
from python_socks import ProxyError

from gqlink.client.ending import Ending
from gqlink.client.frames import FrameWatcher
from gqlink.client.proxy_url import check_proxy
from gqlink.client.retry_after import read_retry_after
from gqlink.client.socket import Socket
from gqlink.protocol import DIALECTS, ClientConnection, CloseCode, Verdict, clip_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from picows.url import WSParsedURL

    from gqlink.client.params import Credential
    from gqlink.client.settings import LinkSettings
    from gqlink.protocol import Dialect, Event, NextReceived, ResultMessage

__all__ = ("Dialler",)


# What an idle socket keeps for reading, which grows by itself where more comes: of picows' own 16 KiB most are idle.
_READ_BYTES: Final = 2048


class _WithoutHandshakes(logging.LoggerAdapter[logging.Logger]):
    """picows' logger, deaf to the level below DEBUG at which it prints the handshake, Authorization included."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 -- logging's name
        """Say whether a level is heard."""
        return level >= logging.DEBUG and super().isEnabledFor(level)


_log: Final = _WithoutHandshakes(logging.getLogger("gqlink.client.socket"))


class _NoSubprotocolError(Exception):
    """The server answered the handshake without a subprotocol that we know."""


class Dialler:
    """One attempt to open a socket.

    Args:
        settings: Where to, and how patiently.
        dialects: The subprotocols to offer, in order.
        credential: What to present.
        number: The socket's.
        on_event: Told of every event of the socket.
        on_gone: Told that its TCP connection is gone.
        on_results: Told of the results of the socket.
    """

    def __init__(
        self,
        settings: LinkSettings,
        *,
        dialects: Sequence[Dialect],
        credential: Credential,
        number: int,
        on_event: Callable[[Socket, Event], None],
        on_gone: Callable[[Socket], None],
        on_results: Callable[[Socket, Sequence[NextReceived | ResultMessage]], None],
    ) -> None:
        self._settings = settings
        self._dialects = dialects
        self._credential = credential
        self._number = number
        self._on_event = on_event
        self._on_gone = on_gone
        self._on_results = on_results
        self._tcp: tcp.socket | None = None

    async def dial(self) -> Socket | Ending:
        """Open the socket, or say why there is none; no exception but cancellation leaves here."""
        try:
            async with asyncio.timeout(self._settings.connect_seconds):
                return await self._connect()
        except WSHandshakeError as exc:
            return self._rejected(exc)
        except _NoSubprotocolError as exc:
            return Ending(Verdict.OTHER_DIALECT, reason=str(exc), dialect=self._dialects[0], cause=exc)
        except (OSError, ProxyError) as exc:  # TimeoutError and ssl.SSLError are OSErrors
            return Ending.unreachable(exc)
        except Exception as exc:  # noqa: BLE001 -- whatever picows, a proxy or a host name can still raise
            return Ending(Verdict.FAIL, reason=clip_reason(str(exc) or type(exc).__name__), cause=exc)

    def _rejected(self, exc: WSHandshakeError) -> Ending:
        """Read an answer that is no handshake; where it is broken, its status may say nothing."""
        response = exc.response
        if response is None or response.status == HTTPStatus.SWITCHING_PROTOCOLS:
            return Ending(Verdict.FAIL, reason=str(exc), cause=exc)
        retry_after = read_retry_after(response.headers, wall=self._settings.clock.wall())
        return Ending.rejected(int(response.status), retry_after=retry_after)

    async def _connect(self) -> Socket | Ending:
        settings = self._settings
        check_proxy(settings.proxy)  # what picows says of one repeats its password
        ping = settings.ping_seconds
        try:
            _, listener = await ws_connect(
                self._listener,
                settings.url,
                ssl_context=settings.ssl_context,
                websocket_handshake_timeout=None,  # `dial` bounds the whole of it
                logger_name=_log,
                enable_auto_ping=ping is not None,
                auto_ping_idle_timeout=ping or 1.0,
                auto_ping_reply_timeout=ping or 1.0,
                enable_auto_pong=False,  # the socket answers them, within a bound
                max_frame_size=settings.message_bytes,
                read_buffer_init_size=_READ_BYTES,
                extra_headers=self._headers(),
                max_redirects=0,  # a credential is not carried to another address
                proxy=settings.proxy,
                socket_factory=self._open,
            )
        except BaseException:
            self._abandon()
            raise
        # Where the line breaks during the handshake, picows returns without ever having asked for a listener.
        lost = Ending(Verdict.RETRY, CloseCode.ABNORMAL, "the connection broke during the handshake")
        return listener if isinstance(listener, Socket) else lost

    def _headers(self) -> list[tuple[str, str]]:
        offered = ", ".join(dialect.subprotocol for dialect in self._dialects)
        return [("Sec-WebSocket-Protocol", offered), *self._credential.headers.items()]

    def _listener(self, _request: WSUpgradeRequest, response: WSUpgradeResponse) -> Socket:
        # Some servers answer with a subprotocol that nobody offered; if we speak it, so be it.
        dialect = DIALECTS.get(response.headers.get("Sec-WebSocket-Protocol", "").strip())
        if dialect is None:
            raise _NoSubprotocolError("the server answered without a subprotocol of ours")
        settings = self._settings
        watcher = settings.on_frame and FrameWatcher(
            settings.on_frame, socket=self._number, clock=settings.clock, secrets=self._credential.secrets
        )
        return Socket(
            ClientConnection(dialect, now=settings.clock.now(), ack_seconds=settings.ack_seconds),
            number=self._number,
            credential=self._credential,
            clock=settings.clock,
            on_event=self._on_event,
            on_gone=self._on_gone,
            on_results=self._on_results,
            watcher=watcher,
            message_bytes=settings.message_bytes,
        )

    async def _open(self, url: WSParsedURL) -> tcp.socket:
        """Open the TCP connection, at the first address that answers; each gets its share of the time."""
        loop = asyncio.get_running_loop()
        addresses = await _resolve(url)
        failure = OSError(f"{url.host} has no address")
        for family, kind, protocol, _, address in addresses:
            self._tcp = tcp.socket(family, kind, protocol)
            self._tcp.setblocking(False)  # noqa: FBT003 -- the standard library's signature
            try:
                async with asyncio.timeout(self._settings.connect_seconds / len(addresses)):
                    await loop.sock_connect(self._tcp, address)
            except OSError as exc:
                self._tcp.close()
                failure = exc
            except BaseException:
                self._tcp.close()
                raise
            else:
                return self._tcp
        raise failure

    def _abandon(self) -> None:
        """Let go of a connection whose handshake did not come to its end: picows itself would keep it open."""
        if self._tcp is not None:
            with suppress(OSError):  # it is closed already
                self._tcp.shutdown(tcp.SHUT_RDWR)


async def _resolve(url: WSParsedURL) -> list[tuple[Any, ...]]:
    """Return the addresses of a host; one that is an address itself needs no thread to look it up."""
    try:
        # In bytes: for a string the first look loads the tables of all scripts that a host name may be written in.
        numeric = url.host.encode("ascii", "replace")
        return [*tcp.getaddrinfo(numeric, url.port, type=tcp.SOCK_STREAM, flags=tcp.AI_NUMERICHOST)]
    except tcp.gaierror:
        return [*await asyncio.get_running_loop().getaddrinfo(url.host, url.port, type=tcp.SOCK_STREAM)]
