"""`gqlink serve`: the chat on a port, and one line for each step in the life of a socket."""

from __future__ import annotations

import gc
import ipaddress
import os
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import uvicorn

from gqlink.cli.display import visible
from gqlink.cli.limits import parse_limits
from gqlink.cli.logs import LogFormat, LogLevel, log_to_stderr
from gqlink.cli.options import Data, default_data_dir
from gqlink.cli.secret import read_metrics_token
from gqlink.cli.uvicorn_protocol import bounded_protocols
from gqlink.errors import BadUserInput
from gqlink.server import Doorkeeper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gqlink.auth import Identity
    from gqlink.chat import ChatSettings
    from gqlink.server import GraphQLApp, SocketEvent

__all__ = ("describe_event", "serve")

_LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
_BACKLOG = 1024
_STOP_SECONDS = 10
_UNREAD_MILLISECONDS = 20_000
_UNSENT_BYTES = 16_384


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = 9000,
    data: Data = None,
    database: Annotated[
        str | None, typer.Option("--database", envvar="GQLINK_DATABASE", help="postgresql://… instead of SQLite.")
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Accounts alice, bob and charlie with public passwords; loopback only.")
    ] = False,
    dev: Annotated[
        bool, typer.Option("--dev", help="Errors in full and the playground, without accounts; loopback only.")
    ] = False,
    playground: Annotated[
        bool, typer.Option("--playground", help="The playground at /playground, and introspection for everybody.")
    ] = False,
    allow_host: Annotated[
        list[str] | None, typer.Option("--allow-host", help="A name this server is asked for by; repeatable.")
    ] = None,
    allow_origin: Annotated[
        list[str] | None, typer.Option("--allow-origin", help="An origin whose pages may connect; repeatable.")
    ] = None,
    trust_proxy: Annotated[
        list[str] | None,
        typer.Option("--trust-proxy", help="Address or network of a proxy whose X-Forwarded-For counts; repeatable."),
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option("--limit", metavar="NAME=VALUE", help="What a client may do or hold; repeatable."),
    ] = None,
    metrics_token_file: Annotated[
        Path | None,
        typer.Option(
            "--metrics-token-file",
            help="Its first line lets one read /metrics from elsewhere; also $GQLINK_METRICS_TOKEN.",
        ),
    ] = None,
    log_format: Annotated[
        LogFormat, typer.Option("--log-format", help="Of standard error: lines for people, or JSON.")
    ] = LogFormat.TEXT,
    log_level: Annotated[LogLevel, typer.Option("--log-level", help="What is logged at least.")] = LogLevel.WARNING,
) -> None:
    """Serve the chat: its page at /, GraphQL over HTTP and WebSocket at /graphql, logins at /login."""
    from gqlink.chat import ChatSettings, create_app

    if demo and not _is_loopback(host):
        raise BadUserInput(f"--demo has public passwords, so it listens on loopback only, not on {host}")
    if dev and not _is_loopback(host):
        raise BadUserInput(f"--dev shows errors in full, so it listens on loopback only, not on {host}")
    _check_door(allow_host or (), origins=allow_origin or ())
    proxies = [_proxy(address) for address in trust_proxy or ()]
    settings = ChatSettings(
        data_dir=data or default_data_dir(demo=demo),
        database_url=database,
        demo=demo,
        debug=demo or dev,
        playground=demo or dev or playground,
        allowed_hosts=(*_LOOPBACK_HOSTS, *(allow_host or ())),
        allowed_origins=tuple(allow_origin or ()),
        limits=parse_limits(limit or ()),
        metrics_token=read_metrics_token(metrics_token_file),
    )
    log_to_stderr(log_format, log_level)
    app = create_app(settings, on_socket_event=lambda event: _say(describe_event(event)))
    http, ws = bounded_protocols(settings.limits)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=http,
        ws=ws,
        log_config=None,
        access_log=False,
        server_header=False,
        # The application's own bound closes with a reason; this one only keeps the frame parser from buffering more.
        ws_max_size=2 * settings.limits.message_bytes,
        ws_per_message_deflate=False,
        # Unless told otherwise uvicorn believes every process of this machine.
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    with _listen(host, port) as listening:
        server = _Server(config, welcome=_welcome(settings, listening), graphql=app.state.graphql)
        server.run(sockets=[listening])
    if not server.started:
        raise typer.Exit(1)


class _Server(uvicorn.Server):
    """Says where it is once it can be reached, and tells sockets why it stops before it drops them."""

    def __init__(self, config: uvicorn.Config, *, welcome: str, graphql: GraphQLApp) -> None:
        super().__init__(config)
        self._welcome = welcome
        self._graphql = graphql

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and not self.should_exit:
            # What the start has made stays until the end. Were it looked through at each full collection, everybody
            # would wait 60 ms for it.
            gc.collect()
            gc.freeze()
            _say(self._welcome)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._graphql.aclose()
        await super().shutdown(sockets)


def describe_event(event: SocketEvent) -> str:
    """Say in one line what happened to a socket.

    Args:
        event: From `GraphQLApp(on_socket_event=…)`.

    Returns:
        Such as `12:01:15 socket 2 alice, token until 12:03:15`.
    """
    clock = time.strftime("%H:%M:%S")
    return f"{clock} socket {event.socket} {visible(_what(event))}"


def _what(event: SocketEvent) -> str:
    identity = event.identity
    name = identity.subject or "anonymous"
    match event.kind:
        case "opened":
            return f"opened from {event.client or 'somewhere'}, {event.subprotocol}"
        case "acknowledged":
            return f"{name}, {_token(identity)}"
        case "renewed":
            return f"{name}, renewed, {_token(identity)}"
        case "refused" if identity.is_anonymous:
            return f"refused: {event.code} {event.reason}"
        case "refused":  # somebody who was in: the token has expired, or was revoked
            return f"{name}, ended: {event.code} {event.reason}"
        case _:
            return f"closed: {event.code} {event.reason}".rstrip()


def _token(identity: Identity) -> str:
    if identity.expires_at is None:
        return "no token" if identity.is_anonymous else "token that does not expire"
    return time.strftime("token until %H:%M:%S", time.localtime(identity.expires_at))


def _welcome(settings: ChatSettings, listening: socket.socket) -> str:
    address, port = listening.getsockname()[:2]
    host = "localhost" if _is_loopback(address) else f"[{address}]" if ":" in address else address
    url = f"http://{host}:{port}"
    lines = ["", f"  The chat is at {url}"]
    lines += [f"  The playground is at {url}/playground"] if settings.playground else []
    lines += [f"  GraphQL is at {url}/graphql, over HTTP and WebSocket; logins at {url}/login"]
    readers = "this machine, or the token" if settings.metrics_token else "this machine only"
    lines += [f"  Metrics are at {url}/metrics, for {readers}", ""]
    lines += [f"  Data: {settings.data_dir}"]
    if settings.demo:
        gqlink = _command_name()
        option = "" if port == 9000 else f" --server {url}"  # noqa: PLR2004 -- the default of --port
        lines += [
            "  Demo: passwords are public, errors are shown in full, loopback only",
            "  Accounts: alice / alice123, bob / bob123, charlie / charlie123",
            "",
            "  Try in another terminal, line by line:",
            f"    {gqlink} subscribe 'subscription {{ messageAdded {{ from text }} }}' --frames{option}",
            f"    echo alice123 | {gqlink} login alice{option}",
            f"    {gqlink} subscribe 'subscription {{ messageAdded {{ from text }} }}' --frames{option}",
            "  and in a third one:",
            f"    {gqlink} query 'mutation {{ addMessage(input: {{text: \"Hello\"}}) {{ id }} }}'{option}",
        ]
    elif settings.debug:
        lines += ["  Development: errors are shown in full, loopback only"]
    lines += ["", "  Ctrl-C stops it. Sockets:"]
    return "\n".join(lines)


def _command_name() -> str:
    """Return how this command was typed, so that the next ones can be typed the same way."""
    command = Path(sys.argv[0])
    try:
        return os.fspath(command.resolve().relative_to(Path.cwd()))
    except ValueError:
        return "gqlink"


def _listen(host: str, port: int) -> socket.socket:
    """Bind the port here, where a failure can still be said in a sentence."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # No ASGI server drops the buffer of a client that has stopped to read; the kernel does, on Linux.
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MILLISECONDS)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            # Otherwise the kernel takes megabytes for a client that does not read, and nobody knows that it is slow.
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as exc:
        raise BadUserInput(f"cannot listen on {host}, port {port}: {exc.strerror}; another one: --port 9001") from exc
    return listening


def _check_door(hosts: Sequence[str], *, origins: Sequence[str]) -> None:
    try:
        Doorkeeper(hosts, origins)
    except ValueError as exc:
        raise BadUserInput(f"--allow-host and --allow-origin: {exc}") from None


def _proxy(address: str) -> str:
    """Return the address or network of a proxy; uvicorn would take any text, and then believe nobody."""
    try:
        return str(ipaddress.ip_network(address, strict=False))
    except ValueError:
        raise BadUserInput(
            f"--trust-proxy takes an IP address or a network such as 10.0.0.0/8, not {address}"
        ) from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _say(line: str) -> None:
    print(line, flush=True)
