"""Stock JavaScript clients and servers, driven from Python.

`StockClient` runs one of the six clients of `DRIVERS` in Node; `NodeServer` runs one of the two servers of `SERVERS`,
which serve the chat. Both print what happens to them as events; `wait_for` waits for one and takes it.

Commands of a client (its methods), and what it prints:

* `create`: `created`. What a client then does by itself: `dialling`, `connected` (`subprotocol`), `params_called`
  (`count`, `token`), `sent` and `received` (`type`, and `id` or `keys` and `token`), `acked`, `refused` (a
  `connection_error`, its payload as `reason`), `socket_error`, `closed` (`code`, `reason`); each with its `socket`.
* `subscribe`, `execute`: `next` (`payload`), `error` (`errors`, or `code` and `reason`), `complete`, with the `id`.
* `set_token`, `unsubscribe`, `close_socket`, `dispose`: nothing of their own.

A server prints `opened` (`subprotocol`, `offered`), `received`, `sent`, `closed`, and `listening` (`user`) when a
subscription is live: what is said from then on reaches it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

import msgspec

from interop.chat_http import ChatHttp
from interop.line_process import PATIENCE, Event, LineProcess, ProgramFailed
from interop.node import NPM_PACKAGES, InstallFailed, ToolMissing, find_toolchain, install

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = (
    "DRIVERS",
    "LEGACY",
    "MODERN",
    "PATIENCE",
    "SECRET",
    "SERVERS",
    "ChatHttp",
    "Driver",
    "Event",
    "InstallFailed",
    "NodeServer",
    "ProgramFailed",
    "StockClient",
    "ToolMissing",
    "fingerprint",
    "install",
)

MODERN = "graphql-transport-ws"
LEGACY = "graphql-ws"
SECRET = "the-node-servers-sign-with-this-secret-of-the-tests"
_RETRY_WAIT_MS = 50


@dataclass(frozen=True, slots=True)
class Driver:
    """One stock client and what it can do.

    Attributes:
        name: As it is called in the parametrised tests.
        program: Its program, below `npm/`.
        subprotocol: The one it offers; none of the six offers two.
        executes_over: Where `execute` goes: the same socket, or HTTP (Apollo's split).
        idle_close: What `inactivity_timeout` means: `always` closes after the last operation, at once when it is 0;
            `option` only when it is set, and only when that operation was ended by the client.
        reconnects_idle: Whether it dials again after `close_socket` when no operation runs; then wait for `acked`
            before the next one, or it dials twice.
        retries_refusal: Whether it dials again, by itself, after its credential was refused.
        close_command: What `close_socket` calls, in the client's own words.
    """

    name: str
    program: str
    subprotocol: str
    executes_over: Literal["socket", "http"]
    idle_close: Literal["always", "option"]
    reconnects_idle: bool
    retries_refusal: Literal["five times", "for ever"]
    close_command: str


def _modern(name: str, program: str, executes_over: Literal["socket", "http"] = "socket") -> Driver:
    return Driver(
        name=name,
        program=f"modern/{program}.mjs",
        subprotocol=MODERN,
        executes_over=executes_over,
        idle_close="always",
        reconnects_idle=False,
        retries_refusal="five times",
        close_command="client.terminate()",
    )


def _legacy(name: str, program: str) -> Driver:
    return Driver(
        name=name,
        program=f"legacy/{program}.cjs",
        subprotocol=LEGACY,
        executes_over="socket",
        idle_close="option",
        reconnects_idle=True,
        retries_refusal="for ever",
        close_command="subscriptionClient.close(false, false)",
    )


DRIVERS: Mapping[str, Driver] = {
    driver.name: driver
    for driver in (
        _modern("graphql-ws-6", "client_graphql_ws_6"),
        _modern("graphql-ws-5", "client_graphql_ws_5"),
        _modern("apollo-client-4", "client_apollo_4", "http"),
        _legacy("stw-0.9.18", "client_stw_0_9_18"),
        _legacy("stw-0.11", "client_stw_0_11"),
        _legacy("apollo-link-ws", "client_apollo_link_ws"),
    )
}
SERVERS: Mapping[str, str] = {MODERN: "modern/server_graphql_ws.mjs", LEGACY: "legacy/server_stw.cjs"}


def fingerprint(token: str | None) -> str | None:
    """What the programs print in place of a token."""
    return hashlib.sha256(token.encode()).hexdigest()[:12] if token else None


class StockClient(LineProcess):
    """One stock client in its own process, for the length of an `async with` block.

    Args:
        driver: Which one.
    """

    def __init__(self, driver: Driver) -> None:
        super().__init__([str(find_toolchain().node), driver.program], cwd=NPM_PACKAGES)
        self.driver = driver

    async def create(
        self,
        url: str,
        *,
        http_url: str | None = None,
        params: Literal["object", "function"] = "function",
        key: str = "accessToken",
        token: str | None = None,
        lazy: bool = True,
        inactivity_timeout: int = 0,
        reconnect: bool = True,
    ) -> None:
        """Make the client.

        Args:
            url: Of the socket.
            http_url: For Apollo's HTTP half; derived from `url` when not given.
            params: Whether connectionParams is an object, made now, or a function that reads the current token.
            key: Under which the token travels in it.
            token: The current token; None travels as null.
            lazy: Passed on.
            inactivity_timeout: Milliseconds; `lazyCloseTimeout` in graphql-ws.
            reconnect: Passed on; `retryAttempts` 0 in graphql-ws when False.
        """
        self.command(
            "create",
            url=url,
            httpUrl=http_url or url.replace("ws://", "http://", 1),
            params=params,
            key=key,
            token=token,
            lazy=lazy,
            inactivityTimeout=inactivity_timeout,
            reconnect=reconnect,
            retryWait=_RETRY_WAIT_MS,
        )
        await self.wait_for("created")

    def set_token(self, token: str | None) -> None:
        """Change the variable that the function reads; an object that was made before does not notice."""
        self.command("set_token", token=token)

    def subscribe(self, operation: str, query: str, *, variables: Mapping[str, object] | None = None) -> None:
        """Start a subscription; `operation` is the `id` of its events."""
        self.command("subscribe", id=operation, query=query, variables=dict(variables or {}))

    def unsubscribe(self, operation: str) -> None:
        """End a subscription."""
        self.command("unsubscribe", id=operation)

    def execute(self, operation: str, query: str, *, variables: Mapping[str, object] | None = None) -> None:
        """Run a query or a mutation; its result is a `next`, then `complete`."""
        self.command("execute", id=operation, query=query, variables=dict(variables or {}))

    async def outcome(self, operation: str) -> Event:
        """The next result of an operation, or the error that ended it: whichever of the two the server chose."""
        return await self.wait_for("next", "error", id=operation)

    def close_socket(self) -> None:
        """What a user of this client does to have it connect anew: `driver.close_command`."""
        self.command("close_socket")

    def dispose(self) -> None:
        """End the client for good."""
        self.command("dispose")


class NodeServer(LineProcess):
    """One stock server in its own process, for the length of an `async with` block, with `http` to speak to it.

    Args:
        subprotocol: `MODERN` for graphql-ws 6, `LEGACY` for subscriptions-transport-ws 0.11; each speaks only its own.
        negotiate: LEGACY only: pick `graphql-ws` out of several offers. Without it, it is as its users run it: the
            first offer is accepted, and the socket closed with 1002 when that was another one.
    """

    def __init__(self, subprotocol: str, *, negotiate: bool = False) -> None:
        options = msgspec.json.encode({"secret": SECRET, "negotiate": negotiate}).decode()
        super().__init__([str(find_toolchain().node), SERVERS[subprotocol], options], cwd=NPM_PACKAGES)
        self.subprotocol = subprotocol

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        try:
            ready = await self.wait_for("ready")
        except BaseException:
            await super().__aexit__()  # nobody else ends the process when entering fails
            raise
        assert ready.port is not None
        self.port = ready.port
        self.http = ChatHttp(self.base_url)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.http.__aexit__()
        await super().__aexit__(*exc_info)

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"ws://127.0.0.1:{self.port}/graphql"

    @property
    def base_url(self) -> str:
        """Where `/login` is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def sockets_opened(self) -> int:
        """How many sockets there have been."""
        return len(self.seen("opened"))

    async def fresh_token(self, name: str) -> str:
        """Log somebody in."""
        return await self.http.login(name)

    async def wait_listening(self) -> None:
        """Wait until one more subscription is live."""
        await self.wait_for("listening")

    async def wait_closed(self, socket: int) -> None:
        """Wait until one socket has ended."""
        await self.wait_for("closed", socket=socket)

    def cut(self) -> None:
        """End the TCP connection of every socket, without a close frame."""
        self.command("cut")

    def close_sockets(self, code: int, reason: str) -> None:
        """Close every socket with a code."""
        self.command("close", code=code, reason=reason)
