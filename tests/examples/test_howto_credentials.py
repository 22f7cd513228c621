"""The guides about the life of a credential do what they say, against servers that really serve."""

from __future__ import annotations

import asyncio
import gc
import warnings
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from ariadne import MutationType, make_executable_schema
from starlette.responses import JSONResponse

from examples.howto_scripts import FOLDER, load, on_the_path
from examples.runs import demo_chat, messages, run_script, say
from gqlink.auth import ANONYMOUS, Credentials, Identity, credentials_from_http
from gqlink.chat import ChatSettings, create_app
from gqlink.chat.settings import DEMO_TOKEN_SECONDS
from gqlink.client import Client, Event, LinkState, PasswordLogin, SocketFrame, WebSocketLink
from gqlink.errors import AuthUnavailable, ConnectionRefused, OperationFailed
from gqlink.server import GraphQLApp
from gqlink.testing import FakeClock
from server.eventually import eventually
from serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from starlette.requests import Request


@pytest.fixture(autouse=True)
def _app_dir() -> Iterator[None]:
    with on_the_path():
        yield


async def test_a_login_after_the_start_begins_the_subscription() -> None:
    """With an account and with a function, what waited for a login hears what is said after it."""
    async with demo_chat() as server:
        run = await run_script(FOLDER / "log_in_later.py", server=server)
    assert (run.code, run.complaints) == (0, "")
    assert run.output.splitlines() == [
        "{'viewer': None}",
        "{'messageAdded': {'from': 'alice', 'text': 'Good morning'}}",
        "{'messageAdded': {'from': 'bob', 'text': 'Good morning to you'}}",
    ]


async def test_one_client_serves_one_person_after_the_other() -> None:
    """A subscription that holds rests between them, and hears what is said for each."""
    async with demo_chat() as server:
        run = await run_script(FOLDER / "log_out.py", server=server)
        assert await messages(server) == [
            {"from": "alice", "text": "Alice was here"},
            {"from": "charlie", "text": "Charlie was here"},
        ]
    assert (run.code, run.complaints) == (0, "")
    assert run.output.splitlines() == [
        "sent",
        "{'messageAdded': {'from': 'alice', 'text': 'Alice was here'}}",
        "sent",
        "{'messageAdded': {'from': 'charlie', 'text': 'Charlie was here'}}",
    ]


async def test_a_mutation_that_a_change_of_person_cut_off_is_perhaps_sent() -> None:
    """Over a socket nobody knows what became of it, and it is not sent again by itself."""
    module: Any = load("log_out")
    said: list[str] = []
    begun, answer = asyncio.Event(), asyncio.Event()
    mutation = MutationType()

    @mutation.field("addMessage")
    async def add_message(*_: object, **arguments: Any) -> dict[str, str]:
        said.append(arguments["input"]["text"])
        begun.set()
        await answer.wait()
        return {"id": "1"}

    schema = make_executable_schema(
        """
        type Query { nothing: Int }
        type Mutation { addMessage(input: In!): Message! }
        input In { text: String! }
        type Message { id: ID! }
        """,
        mutation,
    )

    async def authenticate(credentials: Credentials) -> Identity:
        return Identity(subject=credentials.token.reveal()) if credentials.token else ANONYMOUS

    who = "ann"
    app = GraphQLApp(schema, authenticate=authenticate)
    async with (
        serving(app) as authority,
        Client(WebSocketLink(f"ws://{authority}/graphql", auth=lambda: who)) as client,
    ):
        speaking = asyncio.create_task(module.speak(client, "Hello"))
        await begun.wait()
        who = "ben"
        await client.credentials_changed()
        assert await speaking == "perhaps sent"
        answer.set()
    assert said == ["Hello"]


async def test_a_logout_that_nobody_hears_is_a_logout_here(capsys: pytest.CaptureFixture[str]) -> None:
    """The server is down: the account is empty all the same, and the user is told."""
    module: Any = load("log_out")
    async with demo_chat() as server:
        account = PasswordLogin(server)
        await account.login("alice", "alice123")
    await module.leave(account)
    assert (account.identity, await account.token()) == (None, None)
    assert "The server could not be told" in capsys.readouterr().out


@asynccontextmanager
async def chat_with_oauth(directory: Path) -> AsyncIterator[tuple[str, list[str]]]:
    """Serve a chat, and beside it an endpoint that gives tokens of alice; yield its URL and who asked."""
    app = create_app(ChatSettings(data_dir=directory, demo=True))
    asked: list[str] = []

    async def give(request: Request) -> JSONResponse:
        asked.append(request.headers["authorization"])
        if "down" in directory.name:
            return JSONResponse({}, 503)
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
            answer = await http.post("/login", json={"name": "alice", "password": "alice123"})
        return JSONResponse({"access_token": answer.json()["token"], "expires_in": answer.json()["expiresIn"]})

    app.router.add_route("/token", give, methods=["POST"])
    async with serving(app) as authority:
        yield f"http://{authority}", asked


@pytest.mark.parametrize("subprotocol", ["graphql-transport-ws", "graphql-ws"])
async def test_a_service_renews_its_token_and_misses_nothing(
    subprotocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a ping, or where there is none by a second socket; every message comes once, and in order."""
    module: Any = load("service_token")
    clock = FakeClock()
    states: list[LinkState] = []
    frames: list[SocketFrame] = []
    heard: list[Event] = []

    def link(url: str, **options: Any) -> WebSocketLink:
        options |= {"clock": clock, "on_frame": frames.append, "subprotocols": [subprotocol], "ping_seconds": None}
        return WebSocketLink(url, **options)

    async with chat_with_oauth(tmp_path) as (server, asked):
        monkeypatch.setattr(module, "SERVER", server)
        monkeypatch.setattr(module, "TOKENS", f"{server}/token")
        monkeypatch.setattr(module, "WebSocketLink", link)
        monkeypatch.setattr(module, "monotonic", clock.now)
        listening = asyncio.create_task(module.listen(heard.append, on_state=states.append))
        await eventually(lambda: sum(frame.type in {"subscribe", "start"} for frame in frames) == 1)
        await say(server, ["before"])
        clock.advance(0.75 * DEMO_TOKEN_SECONDS)
        if subprotocol == "graphql-ws":
            await eventually(lambda: sum(frame.type == "start" for frame in frames) == 2)
            await say(server, ["while both sockets carry it"])
            await eventually(lambda: sum(frame.type == "data" for frame in frames) >= 5)  # each begins with one
            clock.advance(2.5)
        await eventually(lambda: states[-1].renewed == 1)
        await say(server, ["after"])
        await eventually(lambda: len(heard) == (3 if subprotocol == "graphql-ws" else 2))
        listening.cancel()
        await asyncio.wait([listening])

    assert [event.data["messageAdded"]["text"] for event in heard] == [  # type: ignore[index]
        "before",
        *(["while both sockets carry it"] if subprotocol == "graphql-ws" else []),
        "after",
    ]
    assert len(asked) == 2
    assert {frame.socket for frame in frames} == ({1, 2} if subprotocol == "graphql-ws" else {1})


async def test_a_service_whose_oauth_server_is_down_is_not_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says `AuthUnavailable`, which a link takes for "later"."""
    module: Any = load("service_token")
    directory = tmp_path / "down"
    async with chat_with_oauth(directory) as (server, _):
        monkeypatch.setattr(module, "TOKENS", f"{server}/token")
        with pytest.raises(AuthUnavailable):
            await module.ServiceToken()()


def test_an_event_without_an_id_has_no_key() -> None:
    """Then it may come twice, and is not lost."""
    module: Any = load("service_token")
    assert module.message_id(Event({"messageAdded": {"id": "7"}})) == "7"
    assert module.message_id(Event(None)) is None


class Listener:
    """Somebody who listens at the application that can revoke."""

    def __init__(self, authority: str, token: str) -> None:
        self.client = Client(WebSocketLink(f"ws://{authority}/graphql", auth=lambda: token))

    async def is_heard(self) -> None:
        """Wait until the server has read what was sent: it answers in order, and so everything runs."""
        assert await self.client.execute("{ whoAmI }") is not None


@pytest.fixture
def revoke_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The application, with its table in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    yield load("revoke_app")
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        gc.collect()


def token_for(name: str, *, session: str | None = None) -> str:
    """Return what the other guide's signer gives."""
    starlette_app: Any = __import__("starlette_app")
    return str(starlette_app.signer.issue(name, now=starlette_app.time.time(), session=session).reveal())


@pytest.mark.parametrize("order", ["put_out", "end_login", "end_token"])
async def test_each_order_ends_the_socket_and_the_token(revoke_app: Any, order: str) -> None:
    """4403 on the socket, 401 over HTTP, and nobody else is touched."""
    token, other = token_for("ann", session="s1"), token_for("ben", session="s2")
    identity = await revoke_app.authenticate(credentials_from_http(authorization=[f"Bearer {token}"]))
    async with serving(revoke_app.app) as authority:
        ann, ben = Listener(authority, token), Listener(authority, other)
        async with (
            ann.client,
            ben.client,
            ann.client.subscribe("subscription { news }") as lost,
            ben.client.subscribe("subscription { news }") as kept,
        ):
            await ben.is_heard()
            await getattr(revoke_app, order)("ann" if order == "put_out" else identity)
            with pytest.raises(ConnectionRefused) as ended:
                await anext(lost)
            assert (ended.value.code, ended.value.reason) == (4403, "Session revoked")
            await revoke_app.graphql.topic("news").publish("still there")
            assert (await anext(kept)).data == {"news": "still there"}
        async with httpx2.AsyncClient() as http:
            answer = await http.post(
                f"http://{authority}/graphql",
                json={"query": "{ whoAmI }"},
                headers={"authorization": f"Bearer {token}"},
            )
        assert answer.status_code == 401
        assert answer.json()["errors"][0]["message"] == "Session revoked"


async def test_a_revocation_outlives_the_process(revoke_app: Any) -> None:
    """The table is read before anybody is let in; who logs in again is."""
    before = token_for("ann")
    async with serving(revoke_app.app):
        await revoke_app.put_out("ann")
    again: Any = load("revoke_app")
    async with serving(again.app) as authority:
        with pytest.raises(OperationFailed):
            async with Client(f"http://{authority}/graphql", auth=lambda: before) as client:
                await client.execute("{ whoAmI }")
        after = token_for("ann")
        async with Client(f"http://{authority}/graphql", auth=lambda: after) as client:
            assert await client.execute("{ whoAmI }") == {"whoAmI": "ann"}


async def test_who_loses_a_right_loses_what_depends_on_it(revoke_app: Any) -> None:
    """The one subscription ends with FORBIDDEN, its sibling on the same socket goes on."""
    async with serving(revoke_app.app) as authority:
        ann, ben = Listener(authority, token_for("ann")), Listener(authority, token_for("ben"))
        async with (
            ann.client,
            ben.client,
            ann.client.subscribe("subscription { reports }") as reports,
            ann.client.subscribe("subscription { news }") as news,
        ):
            with pytest.raises(OperationFailed) as refused:
                await anext(ben.client.subscribe("subscription { reports }"))
            assert refused.value.codes == ("FORBIDDEN",)
            await ann.is_heard()
            await revoke_app.graphql.topic("reports").publish("something")
            assert (await anext(reports)).data == {"reports": "something"}

            await revoke_app.take_the_badge("ann")
            with pytest.raises(OperationFailed) as lost:
                await anext(reports)
            assert lost.value.codes == ("FORBIDDEN",)
            await revoke_app.graphql.topic("news").publish("and on it goes")
            assert (await anext(news)).data == {"news": "and on it goes"}
