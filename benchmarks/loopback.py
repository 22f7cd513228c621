"""What the servers of the long runs have in common: a socket on loopback, and uvicorn as `gqlink serve` sets it up."""

from __future__ import annotations

import os
import signal
import socket
import threading
from typing import TYPE_CHECKING

import uvicorn
import uvloop

if TYPE_CHECKING:
    import asyncio

    from starlette.types import ASGIApp


def make_socket() -> socket.socket:
    """Make a TCP socket for `serve`, not bound yet, so that options can be set."""
    # Named as TCP, or asyncio would leave it to wait for more before it sends (Nagle's algorithm).
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return made


def listen(listening: socket.socket, *, port: int = 0) -> int:
    """Listen on loopback; return the port, a free one for 0."""
    listening.bind(("127.0.0.1", port))
    listening.listen(1024)
    return int(listening.getsockname()[1])


def run(app: ASGIApp, *, port: int, ws: str | type[asyncio.Protocol] = "websockets-sansio") -> None:
    """Serve an application on a port until a signal comes, or standard input ends: with whoever started this."""
    listening = make_socket()
    listen(listening, port=port)
    threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
    uvloop.run(serve(app, listening, stop_seconds=1, ws=ws))


async def serve(
    app: ASGIApp,
    listening: socket.socket,
    *,
    stop_seconds: int = 5,
    ws: str | type[asyncio.Protocol] = "websockets-sansio",
) -> None:
    """Serve an application until a signal comes."""
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws=ws,
        ws_per_message_deflate=False,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=stop_seconds,
    )
    await uvicorn.Server(config).serve(sockets=[listening])


def _stop_at_end_of_input() -> None:
    # Not through sys.stdin, whose lock this thread would hold when the interpreter ends.
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
