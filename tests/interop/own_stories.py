"""The stories S1 to S9 as our own client lives them; with which server, the test files say."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import msgspec
import pytest

from gqlink.client import (
    Client,
    HttpLink,
    LinkPhase,
    LinkState,
    PasswordLogin,
    Retry,
    SocketFrame,
    WebSocketLink,
    is_subscription,
    split,
)
from gqlink.errors import OperationFailed
from gqlink.testing import FaultProxy
from interop.chat_http import ADD_MESSAGE, MESSAGES
from interop.line_process import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gqlink.client import ConnectionParams, Subscription
    from interop.chat_http import ChatHttp

LIVE = "subscription { messageAdded { from text } }"
VIEWER = "{ viewer { name } }"
STRANGER = ("UNAUTHENTICATED",)
# The waits between connections are random parts of these windows, in seconds.
HASTY = Retry(first_seconds=0.02, server_stop_seconds=0.02)


class ChatServer(Protocol):
    """What a story needs of a server: ours and the two of Node."""

    @property
    def url(self) -> str:
        """Of the socket."""

    @property
    def base_url(self) -> str:
        """Where `/login` is, and `/graphql` over HTTP."""

    @property
    def port(self) -> int:
        """On 127.0.0.1."""

    @property
    def http(self) -> ChatHttp:
        """What happens beside the socket."""

    @property
    def sockets_opened(self) -> int:
        """How many sockets there have been."""

    async def fresh_token(self, name: str) -> str:
        """Log somebody in."""

    async def wait_listening(self) -> None:
        """Wait until one more subscription is live."""

    async def wait_closed(self, socket: int) -> None:
        """Wait until one socket has ended."""


class Person:
    """Somebody at the client: their token, as a function sees it that is called at every connection."""

    def __init__(self, token: str | None = None) -> None:
        self.token = token
        self.presented: list[str | None] = []

    def params(self) -> dict[str, object]:
        """What `connection_params` is given."""
        self.presented.append(self.token)
        return {"accessToken": self.token}

    def headers(self) -> dict[str, str]:
        """What `HttpLink` is given."""
        return {"authorization": f"Bearer {self.token}"} if self.token else {}


class Window:
    """What a link shows of itself: its frames and its states, and a way to wait for them."""

    def __init__(self) -> None:
        self.frames: list[SocketFrame] = []
        self.states: list[LinkState] = []
        self._news = asyncio.Event()

    def on_frame(self, frame: SocketFrame) -> None:
        """Take one frame."""
        self.frames.append(frame)
        self._news.set()

    def on_state(self, state: LinkState) -> None:
        """Take one state."""
        self.states.append(state)
        self._news.set()

    def of_type(self, kind: str) -> list[SocketFrame]:
        """The frames so far, of one type."""
        return [frame for frame in self.frames if frame.type == kind]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition that only a frame or a state can make true."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def wait_live(self) -> LinkState:
        """Wait until the link is acknowledged."""
        await self.until(lambda: bool(self.states) and self.states[-1].phase is LinkPhase.LIVE)
        return self.states[-1]


class Bench:
    """Makes our clients for one server and one offer of subprotocols."""

    def __init__(self, server: ChatServer, subprotocols: Sequence[str]) -> None:
        self.server = server
        self.subprotocols = tuple(subprotocols)
        self.window = Window()

    def link(
        self,
        params: ConnectionParams | None = None,
        *,
        auth: PasswordLogin | None = None,
        lazy: bool = True,
        port: int | None = None,
    ) -> WebSocketLink:
        """A WebSocket link whose frames and states go to the window."""
        return WebSocketLink(
            f"ws://127.0.0.1:{port or self.server.port}/graphql",
            connection_params=params,
            auth=auth,
            lazy=lazy,
            subprotocols=self.subprotocols,
            retry=HASTY,
            on_frame=self.window.on_frame,
            on_state=self.window.on_state,
        )

    def http_link(self, person: Person) -> HttpLink:
        """An HTTP link to the same server."""
        return HttpLink(f"{self.server.base_url}/graphql", headers=person.headers)


def said(author: str, text: str) -> dict[str, object]:
    """The data of one event."""
    return {"messageAdded": {"from": author, "text": text}}


async def hear(events: Subscription) -> object:
    """The data of the next event, within a bound."""
    async with asyncio.timeout(PATIENCE):
        return (await anext(events)).data


async def refusal(events: Subscription) -> tuple[object, ...]:
    """The codes with which a subscription is refused: ours answers it with `error`, Node's with a last event."""
    async with asyncio.timeout(PATIENCE):
        try:
            event = await anext(events)
        except OperationFailed as failure:
            return failure.codes
        with pytest.raises(StopAsyncIteration):
            await anext(events)
    assert event.data is None
    extensions = [msgspec.convert(error.get("extensions"), dict[str, object]) for error in event.errors]
    return tuple(each.get("code") for each in extensions)


async def refuse(client: Client, *, subscribe: bool = True) -> None:
    """Have everything refused that needs a login."""
    if subscribe:
        assert await refusal(client.subscribe(LIVE)) == STRANGER
    for query, variables in ((MESSAGES, None), (ADD_MESSAGE, {"text": "hello"})):
        with pytest.raises(OperationFailed) as refused:
            await client.execute(query, variables)
        assert refused.value.codes == STRANGER


class Stories:
    """Our client in S1 to S6, S8 and S9; S7 differs from server to server."""

    async def test_s1_a_plain_object_without_a_token_reads_and_changes_nothing(self, bench: Bench) -> None:
        """S1: the socket is acknowledged as anonymous, and every operation is answered with UNAUTHENTICATED."""
        async with Client(bench.link({"accessToken": None}, lazy=False)) as client:
            await bench.window.wait_live()
            await refuse(client)
        async with Client(bench.http_link(Person())) as client:
            await refuse(client, subscribe=False)
        assert [frame.payload for frame in bench.window.of_type("connection_init")] == [{"accessToken": None}]
        assert bench.server.sockets_opened == 1
        assert await bench.server.http.texts(token=await bench.server.fresh_token("alice")) == []

    async def test_s2_a_plain_object_stays_null_after_login(self, bench: Bench) -> None:
        """S2: what was written into the mapping is sent again at a reconnection."""
        person = Person()
        async with Client(bench.link({"accessToken": person.token})) as client:
            await refuse(client)
            first = len(bench.window.of_type("connection_init"))
            person.token = await bench.server.fresh_token("alice")
            await client.credentials_changed()
            await refuse(client)
        inits = [frame.payload for frame in bench.window.of_type("connection_init")]
        assert 0 < first < len(inits)
        assert all(payload == {"accessToken": None} for payload in inits)

    async def test_s3_a_function_brings_the_token_at_the_first_connection_after_login(self, bench: Bench) -> None:
        """S3: the client was made before anybody had logged in; a message added over HTTP arrives once."""
        person = Person()
        link = split(is_subscription, bench.link(person.params), bench.http_link(person))
        async with Client(link) as client:
            person.token = await bench.server.http.login("alice")
            async with client.subscribe(LIVE) as events:
                await bench.server.wait_listening()
                for text in ("one", "two"):
                    await client.execute(ADD_MESSAGE, {"text": text})
                assert [await hear(events), await hear(events)] == [said("alice", "one"), said("alice", "two")]
        assert person.presented == [person.token]
        assert person.token not in str(bench.window.frames)

    async def test_s4_a_lazy_link_has_a_socket_only_while_it_subscribes(self, bench: Bench) -> None:
        """S4: it closes when the last subscription ends, not before."""
        person = Person(await bench.server.fresh_token("alice"))
        link = split(is_subscription, bench.link(person.params), bench.http_link(person))
        async with Client(link) as client:
            assert await client.execute(VIEWER) == {"viewer": {"name": "alice"}}
            assert (bench.server.sockets_opened, bench.window.states) == (0, [])
            async with client.subscribe(LIVE) as last:
                await bench.server.wait_listening()
                async with client.subscribe(LIVE):
                    await bench.server.wait_listening()
                await client.execute(ADD_MESSAGE, {"text": "still open"})
                assert await hear(last) == said("alice", "still open")
                assert bench.window.of_type("close") == []
            await bench.server.wait_closed(1)
        assert bench.server.sockets_opened == 1
        assert bench.window.of_type("close")[0].payload == {"code": 1000, "reason": ""}

    async def test_s4_without_lazy_a_link_connects_when_it_is_entered(self, bench: Bench) -> None:
        """S4, the other way round: which shows that the absence of a socket was no accident."""
        async with Client(bench.link(Person().params, lazy=False)):
            state = await bench.window.wait_live()
        assert state.subprotocol == bench.subprotocols[0]

    async def test_s5_a_cut_connection_is_dialled_again_with_what_the_function_says_then(self, bench: Bench) -> None:
        """S5: the function is called a second time, and the same subscription goes on."""
        alice, fresh = [await bench.server.fresh_token("alice") for _ in range(2)]
        person = Person(alice)
        async with FaultProxy(f"127.0.0.1:{bench.server.port}") as proxy:
            link = bench.link(person.params, port=int(proxy.authority.rpartition(":")[2]))
            async with Client(link) as client, client.subscribe(LIVE) as events:
                await bench.server.wait_listening()
                await bench.server.http.say("before the cut", token=alice)
                assert await hear(events) == said("alice", "before the cut")
                person.token = fresh
                proxy.cut()
                await bench.server.wait_listening()
                await bench.server.http.say("still here", token=alice)
                assert await hear(events) == said("alice", "still here")
            assert proxy.accepted == bench.server.sockets_opened == 2
        assert person.presented == [alice, fresh]
        assert bench.window.of_type("close")[0].payload == {"code": 1006, "reason": ""}

    async def test_s6_the_next_connection_acts_as_whoever_is_logged_in_then(self, bench: Bench) -> None:
        """S6: alice logs out and bob logs in; his is the next socket."""
        person = Person()
        async with Client(bench.link(person.params)) as client:
            for number, name in enumerate(("alice", "bob"), start=1):
                person.token = await bench.server.fresh_token(name)
                async with client.subscribe(LIVE) as events:
                    await bench.server.wait_listening()
                    assert await client.execute(VIEWER) == {"viewer": {"name": name}}
                    await client.execute(ADD_MESSAGE, {"text": "it is me"})
                    assert await hear(events) == said(name, "it is me")
                await bench.server.wait_closed(number)
        assert bench.server.sockets_opened == 2

    async def test_s8_two_users_see_each_others_messages_at_once_in_order_each_exactly_once(self, bench: Bench) -> None:
        """S8: they speak at the same time, and both hear what was stored, as it was stored."""
        server = bench.server
        tokens = {name: await server.fresh_token(name) for name in ("alice", "bob")}
        alice, bob = (Client(bench.link({"accessToken": token})) for token in tokens.values())
        async with alice, bob, alice.subscribe(LIVE) as hers, bob.subscribe(LIVE) as his:
            await server.wait_listening()
            await server.wait_listening()
            async with asyncio.TaskGroup() as tasks:
                for number, (name, client) in _rounds(5, {"alice": alice, "bob": bob}):
                    tasks.create_task(client.execute(ADD_MESSAGE, {"text": f"{name} {number}"}))
            await server.http.say("alice says that was all", token=tokens["alice"])
            stored = await server.http.texts(token=tokens["bob"])
            assert len(stored) == len(set(stored)) == 11
            for events in (hers, his):
                # What comes last comes next: nothing came twice.
                assert [await hear(events) for _ in stored] == [said(text.split()[0], text) for text in stored]

    async def test_s9_a_change_that_a_function_makes_known_brings_an_open_socket_along(self, bench: Bench) -> None:
        """S9: nobody cuts the anonymous socket; when `credentials_changed()` returns, the new one is acknowledged."""
        person = Person()
        link = bench.link(person.params, lazy=False)
        async with Client(link) as client:
            await bench.window.wait_live()
            await refuse(client)
            person.token = await bench.server.fresh_token("alice")
            await refuse(client)
            await client.credentials_changed()
            assert link.state.phase is LinkPhase.LIVE
            async with client.subscribe(LIVE) as events:
                await bench.server.wait_listening()
                await client.execute(ADD_MESSAGE, {"text": "at last"})
                assert await hear(events) == said("alice", "at last")
        assert (person.presented, bench.server.sockets_opened) == ([None, person.token], 2)

    async def test_s9_a_token_source_brings_an_open_socket_along_by_itself(self, bench: Bench) -> None:
        """S9: logging in and logging in as another are all that the user does; the subscription goes on."""
        account = PasswordLogin(bench.server.base_url)
        async with Client(bench.link(auth=account, lazy=False)) as client:
            await bench.window.wait_live()
            await refuse(client)
            await account.login("alice", "alice123")
            async with client.subscribe(LIVE) as events:
                await bench.server.wait_listening()
                await account.login("bob", "bob123")
                await bench.server.wait_listening()
                await client.execute(ADD_MESSAGE, {"text": "it is me"})
                assert await hear(events) == said("bob", "it is me")
        assert bench.server.sockets_opened == 3

    async def test_s9_after_a_logout_nothing_reaches_who_was_logged_in(self, bench: Bench) -> None:
        """S9, the other way round: what alice's subscription had not taken when she left is not given to a stranger."""
        account = PasswordLogin(bench.server.base_url)
        async with Client(bench.link(auth=account, lazy=False)) as client:
            await account.login("alice", "alice123")
            async with client.subscribe(LIVE) as events:
                await bench.server.wait_listening()
                await client.execute(ADD_MESSAGE, {"text": "for my eyes only"})
                await bench.window.until(lambda: bool(_data_frames(bench.window)))
                await account.logout()
                assert await refusal(events) == STRANGER
            await refuse(client)


def _rounds(count: int, people: dict[str, Client]) -> Iterator[tuple[int, tuple[str, Client]]]:
    return ((number, person) for number in range(count) for person in people.items())


def _data_frames(window: Window) -> list[SocketFrame]:
    """The frames that brought an event of the subscription, as either subprotocol calls them."""
    frames = [*window.of_type("next"), *window.of_type("data")]
    return [frame for frame in frames if "messageAdded" in str(frame.payload)]
