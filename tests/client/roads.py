"""What stands between a client and a server, each on loopback: proxies that carry, and TLS in front of a server."""

from __future__ import annotations

import asyncio
import base64
import ssl
import struct
import subprocess
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

__all__ = ("Certificate", "Road", "connect_proxy", "socks_proxy", "tls_front")

_USER, _PASSWORD = "carrier", "s3cret-of-the-proxy"


class Road:
    """Where one leads, and who took it.

    Args:
        scheme: Of its URL.
        port: Where it listens.
        taken: The addresses that it was asked for.
    """

    def __init__(self, scheme: str, port: int, taken: list[str]) -> None:
        self.url = f"{scheme}://{_USER}:{_PASSWORD}@127.0.0.1:{port}"
        self.stranger = f"{scheme}://{_USER}:another-secret@127.0.0.1:{port}"
        self.port = port
        self.taken = taken
        self.secrets = (_PASSWORD, "another-secret", _basic(), _basic("another-secret"))


def _basic(password: str = _PASSWORD) -> str:
    return base64.b64encode(f"{_USER}:{password}".encode()).decode()


@asynccontextmanager
async def _served(
    greet: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[str | None]],
    *,
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """Listen, let `greet` find out where to, and carry until one side ends."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            address = await greet(reader, writer)
            if address is not None:
                host, _, port = address.rpartition(":")
                far_reader, far_writer = await asyncio.open_connection(host, int(port))
                await _carry((reader, far_writer), (far_reader, writer))
                far_writer.close()
        writer.close()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(begin, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


async def _carry(*ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65_536):
                sink.write(data)
                await sink.drain()

    pumps = [asyncio.ensure_future(pump(*way)) for way in ways]
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in pumps:
            each.cancel()
        for _, writer in ways:
            writer.close()
        await asyncio.gather(*pumps, return_exceptions=True)


@asynccontextmanager
async def connect_proxy() -> AsyncIterator[Road]:
    """Run a proxy that carries by HTTP's CONNECT, and plain HTTP by its absolute URL; it asks for a password."""
    taken: list[str] = []

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str | None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, _ = head.partition("\r\n")[0].split(" ")
        taken.append(target)
        if f"proxy-authorization: basic {_basic()}".lower() not in head.lower():
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        elif method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            return target
        else:
            answer = b'{"data": {"by": "the proxy"}}'
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))
        await writer.drain()
        return None

    async with _served(greet) as port:
        yield Road("http", port, taken)


@asynccontextmanager
async def socks_proxy() -> AsyncIterator[Road]:
    """Run a proxy that carries by SOCKS5 (RFC 1928), with a user name and a password (RFC 1929)."""
    taken: list[str] = []

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str | None:
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(b"\x05\x02")
        given = []
        await reader.readexactly(1)
        for _ in range(2):
            (length,) = await reader.readexactly(1)
            given.append((await reader.readexactly(length)).decode())
        if given != [_USER, _PASSWORD]:
            writer.write(b"\x01\x01")
            await writer.drain()
            return None
        writer.write(b"\x01\x00")
        _, _, _, kind = await reader.readexactly(4)
        length = 4 if kind == 1 else (await reader.readexactly(1))[0]
        host = await reader.readexactly(length)
        (port,) = struct.unpack("!H", await reader.readexactly(2))
        address = f"{'.'.join(map(str, host)) if kind == 1 else host.decode()}:{port}"
        taken.append(address)
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
        return address

    async with _served(greet) as port:
        yield Road("socks5", port, taken)


class Certificate:
    """One that nobody trusts but who is told to, for 127.0.0.1 and localhost.

    Args:
        folder: Where its files go.
    """

    def __init__(self, folder: Path) -> None:
        self._key, self._file = folder / "key.pem", folder / "certificate.pem"
        command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=gqlink"
        names = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
        files = ["-keyout", str(self._key), "-out", str(self._file)]
        subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)

    @property
    def server(self) -> ssl.SSLContext:
        """What a server shows."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._file, self._key)
        return context

    @property
    def client(self) -> ssl.SSLContext:
        """What a client trusts."""
        return ssl.create_default_context(cafile=self._file)


@asynccontextmanager
async def tls_front(target: str, certificate: Certificate) -> AsyncIterator[str]:
    """Put TLS in front of a server; yields the address."""

    async def greet(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> str | None:
        return target

    async with _served(greet, context=certificate.server) as port:
        yield f"127.0.0.1:{port}"
