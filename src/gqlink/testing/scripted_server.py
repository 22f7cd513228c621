"""A WebSocket server that follows scripts, for any client: ours, another one's, or that of a browser."""

from __future__ import annotations

import asyncio
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Self

from picows import WSUpgradeResponse, WSUpgradeResponseWithListener, ws_create_server

from gqlink.protocol import DIALECTS
from gqlink.testing.playing import Play, ScriptError
from gqlink.testing.scripted import ScriptedConnection
from gqlink.testing.steps import Refusal
from gqlink.testing.transcripts import Dialogue

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from picows import WSUpgradeRequest

    from gqlink.testing.steps import Script

__all__ = ("ScriptedServer",)

_NOT_IN_THE_SCRIPT: Final = Refusal(400, body=b"a client has left the script")
_TURNS: Final = 4
_NOBODY_EXPECTED: Final = Refusal(503)


class ScriptedServer:
    """A server on loopback that plays a script to each connection; an async context manager.

    What a client says while its script expects something else is a deviation: its connection is closed with 4400,
    later ones are refused with 400, and `finished` or the end of the block raises a `ScriptError` that says where.
    After its script's last step a connection stays open, and the client may say what it likes.

    Args:
        scripts: One for each connection, in the order in which they come.
        default: The script of all further ones; without one they are refused with 503.
        speaks: The subprotocols that it accepts, the first of them that is offered; a dialogue has its own.
        wait: What lets the seconds of a script pass.
    """

    def __init__(
        self,
        scripts: Sequence[Script] = (),
        *,
        default: Script | None = None,
        speaks: Sequence[str] = tuple(DIALECTS),
        wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._scripts = deque(scripts)
        self._default = default
        self._speaks = tuple(speaks)
        self._wait = wait
        self._server: asyncio.Server | None = None
        self._port = 0
        self._plays: dict[asyncio.Task[None], Play] = {}
        self._tasks = set[asyncio.Task[None]]()
        self._deviation: ScriptError | None = None
        self._changed = asyncio.Event()
        self.connections: list[ScriptedConnection] = []

    @property
    def authority(self) -> str:
        """Where it listens, such as "127.0.0.1:40123"."""
        return f"127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        """Where a client connects to; any other path will do as well."""
        return f"ws://{self.authority}/graphql"

    def add(self, script: Script) -> None:
        """Have a script for one more connection, after those that wait for theirs."""
        self._scripts.append(script)

    async def connection(self, number: int = 1) -> ScriptedConnection:
        """Wait for a connection.

        Args:
            number: Which one, from 1 in the order of arrival; one that was refused counts.
        """
        while len(self.connections) < number:
            await self._news()
        await self.connections[number - 1].wait_connected()
        return self.connections[number - 1]

    async def finished(self, *, seconds: float = 10.0) -> None:
        """Wait until every script but the default one was played to its end.

        Args:
            seconds: After which a client that says nothing has left the script; real ones.

        Raises:
            ScriptError: A client left its script, or did not come.
        """
        try:
            async with asyncio.timeout(seconds):
                while self._deviation is None and (self._scripts or not all(task.done() for task in self._plays)):
                    await self._news()
        except TimeoutError:
            raise ScriptError(self._what_is_missing()) from None
        self._raise()

    async def aclose(self) -> None:
        """Break all connections, and wait until nothing is left."""
        if self._server is not None:
            self._server.close()
            self._server = None
            for _ in range(_TURNS):  # what was being accepted is a connection by then
                await asyncio.sleep(0)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in self.connections:
            connection.drop()
            await connection.wait_gone()

    async def __aenter__(self) -> Self:
        self._server = await ws_create_server(
            self._admit, "127.0.0.1", 0, websocket_handshake_timeout=None, enable_auto_pong=False
        )
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, _kind: object, exc: BaseException | None, _traceback: object) -> None:
        await self.aclose()
        # What went wrong in the block may well be the consequence; both are shown.
        if self._deviation is not None and (exc is None or isinstance(exc, Exception)) and exc is not self._deviation:
            raise self._deviation from exc

    def _raise(self) -> None:
        if self._deviation is not None:
            raise self._deviation

    async def _news(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _what_is_missing(self) -> str:
        for task, play in self._plays.items():
            if not task.done():
                return play.complaint("got:      nothing")
        return f"connection {len(self.connections) + 1} did not come; scripts left: {len(self._scripts)}"

    def _admit(self, request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        expected = bool(self._scripts) and self._deviation is None
        script = self._next_script()
        subprotocol = "" if isinstance(script, Refusal) else self._subprotocol(script, request)
        connection = ScriptedConnection(
            len(self.connections) + 1,
            path=request.path.decode(),
            headers=dict(request.headers),
            subprotocol=subprotocol,
        )
        self.connections.append(connection)
        self._changed.set()
        if isinstance(script, Refusal):
            return _refused(connection, script)
        self._begin(Play(connection, script, wait=self._wait), expected=expected)
        headers = {"Sec-WebSocket-Protocol": subprotocol} if subprotocol else {}
        return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(headers), connection)

    def _next_script(self) -> Script:
        if self._deviation is not None:
            return _NOT_IN_THE_SCRIPT
        if self._scripts:
            return self._scripts.popleft()
        return _NOBODY_EXPECTED if self._default is None else self._default

    def _subprotocol(self, script: Script, request: WSUpgradeRequest) -> str:
        """Choose the first offered; a client that offers none of them is answered with none, and decides itself."""
        speaks = (script.dialect.subprotocol,) if isinstance(script, Dialogue) else self._speaks
        offered = [name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        return next((name for name in offered if name in speaks), "")

    def _begin(self, play: Play, *, expected: bool) -> None:
        task = asyncio.get_running_loop().create_task(play.run())
        self._tasks.add(task)
        if expected:
            self._plays[task] = play
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._changed.set()
        match None if task.cancelled() else task.exception():
            case ScriptError() as deviation:
                self._deviation = self._deviation or deviation
            case Exception() as failure:
                self._deviation = self._deviation or ScriptError(f"the script failed: {failure!r}")


def _refused(connection: ScriptedConnection, refusal: Refusal) -> WSUpgradeResponseWithListener:
    connection.refused()
    response = WSUpgradeResponse.create_error_response(400, refusal.body, dict(refusal.headers))
    response.status = HTTPStatus(refusal.status)  # a redirection has a constructor of its own, which asks for less
    return WSUpgradeResponseWithListener(response, None)
