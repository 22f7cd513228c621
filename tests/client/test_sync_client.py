"""The client for scripts, threads and notebooks: what it does, and what it refuses instead of waiting for ever."""

from __future__ import annotations

import asyncio
import gc
import inspect
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import httpx2
import pytest

from client.peer import Script
from client.threads import ThreadedPeer, clients_threads, threaded_peer, wait_until
from gqlink.client import Client, PasswordLogin, SyncClient, WebSocketLink
from gqlink.errors import BadUserInput, ConnectionClosed, ConnectionRefused, OperationFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OPEN = "subscription { open }"


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """Whatever a test does, no thread of a client outlives it."""
    yield
    wait_until(lambda: not clients_threads())


@pytest.fixture
def server() -> Iterator[ThreadedPeer]:
    """Run a server in a thread of its own."""
    with threaded_peer() as server:
        yield server


def client_of(server: ThreadedPeer) -> SyncClient:
    """Make a client whose every operation goes over the socket, as Alice."""
    params = {"accessToken": "alice-1"}
    return SyncClient(WebSocketLink(server.peer.url, connection_params=params, idle_seconds=30.0))


def publish(server: ThreadedPeer, *data: object) -> None:
    """Send events to whoever has subscribed."""
    wait_until(lambda: server.peer.subscribers)
    for each in data:
        server.do(lambda each=each: server.peer.publish(each))  # type: ignore[misc] # mypy wants no default in a lambda


def completed(server: ThreadedPeer) -> bool:
    """Say whether the server was told that an operation is over."""
    return any(socket.completed for socket in server.peer.sockets)


@contextmanager
def interrupted_when(condition: Callable[[], object]) -> Iterator[None]:
    """Press Ctrl-C as soon as a condition holds, in the thread that runs the block."""
    here = threading.get_ident()

    def press() -> None:
        wait_until(condition)
        signal.pthread_kill(here, signal.SIGINT)

    finger = threading.Thread(target=press)
    finger.start()
    with pytest.raises(KeyboardInterrupt):
        yield
    finger.join()


def test_it_executes_and_subscribes_without_a_loop(server: ThreadedPeer) -> None:
    """A plain function returns, a plain `for` iterates, and leaving the block ends it on the server."""
    with client_of(server) as client:
        assert client.execute("query { q }", {"n": 1}) == {"by": "alice", "variables": {"n": 1}}
        with client.subscribe(OPEN) as events:
            publish(server, 1, 2)
            assert [next(events).data for _ in range(2)] == [1, 2]
        wait_until(lambda: completed(server))
        with pytest.raises(OperationFailed, match="Syntax"):
            client.execute("query {")


async def test_it_works_where_a_loop_runs(server: ThreadedPeer) -> None:
    """As in a notebook: the caller's loop stands still meanwhile, and the sockets do not."""
    assert asyncio.get_running_loop().is_running()
    with client_of(server) as client, client.subscribe(OPEN) as events:
        publish(server, 1)
        assert next(events).data == 1
        assert client.execute("query { q }") == {"by": "alice", "variables": None}


def test_the_thread_starts_with_the_first_call(server: ThreadedPeer) -> None:
    """There is one for each client, and none for a client that is not used."""
    client = client_of(server)
    assert clients_threads() == []
    client.execute("query { q }")
    client.execute("query { q }")
    assert len(clients_threads()) == 1
    client.close()
    assert clients_threads() == []
    client_of(server).close()


def test_a_link_that_stays_connected_connects_at_once(server: ThreadedPeer) -> None:
    """Entering the block is enough."""
    with SyncClient(WebSocketLink(server.peer.url, lazy=False)):
        wait_until(lambda: server.peer.open)


def test_several_threads_share_one_client(server: ThreadedPeer) -> None:
    """Each gets its own answer, and each event goes to one of those that wait."""
    with client_of(server) as client, ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda n: client.execute("query { q }", {"n": n}), range(40))
        assert list(answers) == [{"by": "alice", "variables": {"n": n}} for n in range(40)]
        with client.subscribe(OPEN) as events:
            waiting = [pool.submit(next, events) for _ in range(8)]
            publish(server, *range(8))
            assert sorted(str(each.result(10).data) for each in waiting) == [str(n) for n in range(8)]
    assert len(server.peer.sockets) == 1


def test_a_wait_for_the_next_event_may_be_bounded(server: ThreadedPeer) -> None:
    """Nothing is lost when the time is over."""
    with client_of(server) as client, client.subscribe(OPEN) as events:
        with pytest.raises(TimeoutError):
            events.next(timeout=0.01)
        publish(server, *range(100))
        got: list[object] = []
        while len(got) < 100:
            with suppress(TimeoutError):
                got.append(events.next(timeout=0.0001).data)
        assert got == list(range(100))
        server.do(server.peer.subscribers[0].finish)
        assert list(events) == []
        with pytest.raises(StopIteration):
            events.next(timeout=10)


def test_an_answer_that_takes_too_long_is_given_up(server: ThreadedPeer) -> None:
    """On the server as well."""
    server.peer.script.hold_operations = True
    with client_of(server) as client:
        with pytest.raises(TimeoutError):
            client.execute("query { q }", timeout=0.05)
        wait_until(lambda: completed(server) or not server.peer.operations)


def test_ctrl_c_ends_a_query_on_the_server(server: ThreadedPeer) -> None:
    """And the client goes on."""
    server.peer.script.hold_operations = True
    with client_of(server) as client:
        with interrupted_when(lambda: server.peer.operations):
            client.execute("query { q }")
        wait_until(lambda: completed(server))
        server.peer.script.hold_operations = False
        assert client.execute("query { q }") == {"by": "alice", "variables": None}


def test_ctrl_c_ends_a_subscription_on_the_server(server: ThreadedPeer) -> None:
    """Also one that is only iterated over, whose block is none."""
    with client_of(server) as client:
        events = client.subscribe(OPEN)
        with interrupted_when(lambda: server.peer.subscribers):
            next(events)
        wait_until(lambda: completed(server))
        assert list(events) == []


def test_one_that_nothing_refers_to_any_more_ends_on_the_server(server: ThreadedPeer) -> None:
    """`for event in client.subscribe(...)` with a `break` leaves nobody who could close it."""
    with client_of(server) as client:
        events = client.subscribe(OPEN)
        answers = ThreadPoolExecutor(1).submit(next, events)
        publish(server, 1)
        assert answers.result(10).data == 1
        del events, answers
        gc.collect()
        wait_until(lambda: completed(server))


def test_closing_tells_those_who_wait(server: ThreadedPeer) -> None:
    """Whatever they wait for, in whatever thread; and nothing can be asked after that."""
    server.peer.script.hold_operations = True
    client = client_of(server)
    events = client.subscribe(OPEN)

    async def forever() -> None:
        await asyncio.Event().wait()

    with ThreadPoolExecutor(3) as pool:
        waiting: list[Future[object]] = [
            pool.submit(client.execute, "query { q }"),
            pool.submit(lambda: next(events)),
            pool.submit(lambda: client.run(forever())),
        ]
        wait_until(lambda: len(server.peer.operations) == 2 and len(client._thread._pending) == 3)
        client.close()
        for each in waiting:
            with pytest.raises(ConnectionClosed):
                each.result(10)
    client.close()
    events.close()
    with pytest.raises(ConnectionClosed):
        client.execute("query { q }")
    with pytest.raises(ConnectionClosed):
        client.subscribe(OPEN).next()
    with pytest.raises(ConnectionClosed):
        client.run(forever())


def test_a_login_is_run_by_the_client_that_uses_it(server: ThreadedPeer) -> None:
    """The account belongs to the client's loop."""
    answer = {"token": "alice-1", "expiresIn": 900}
    account = PasswordLogin(
        "http://server.invalid", transport=httpx2.MockTransport(lambda _: httpx2.Response(200, json=answer))
    )
    with SyncClient(WebSocketLink(server.peer.url, auth=account)) as client:
        with pytest.raises(OperationFailed):
            client.execute("query { q }")
        assert client.run(account.login("alice", "alice123")).subject == "alice"
        assert client.execute("query { q }") == {"by": "alice", "variables": None}


def test_a_change_of_a_bare_function_is_followed(server: ThreadedPeer) -> None:
    """When the application says so."""
    tokens = ["alice-1"]
    with SyncClient(WebSocketLink(server.peer.url, auth=lambda: tokens[-1])) as client, client.subscribe(OPEN):
        tokens.append("bob-1")
        client.credentials_changed()
        assert client.execute("query { q }") == {"by": "bob", "variables": None}


def test_its_own_thread_is_told_instead_of_waiting_for_ever(server: ThreadedPeer) -> None:
    """There it would wait for itself."""
    with client_of(server) as client:

        async def wrong() -> None:
            client.execute("query { q }")

        with pytest.raises(BadUserInput, match="own thread"):
            client.run(wrong())
        assert client.execute("query { q }") == {"by": "alice", "variables": None}


def test_one_that_is_forgotten_says_so_and_ends(server: ThreadedPeer) -> None:
    """Its thread and its socket do not stay."""
    client = client_of(server)
    client.execute("query { q }")
    with pytest.warns(ResourceWarning, match="SyncClient was not closed"):  # noqa: PT031 -- the last reference goes
        del client
        gc.collect()
    wait_until(lambda: not server.peer.open)


def test_a_subscription_keeps_its_client(server: ThreadedPeer) -> None:
    """Who iterates over one need not hold the other."""
    events = client_of(server).subscribe(OPEN)
    with events:
        publish(server, 1)
        gc.collect()
        assert next(events).data == 1
    events._client.close()


def test_a_link_that_was_closed_before_is_told(server: ThreadedPeer) -> None:
    """With the first call, and there is no thread."""
    link = WebSocketLink(server.peer.url, lazy=False)
    asyncio.run(link.aclose())
    client = SyncClient(link)
    with pytest.raises(ConnectionClosed):
        client.execute("query { q }")
    with pytest.raises(ConnectionClosed):
        client.execute("query { q }")
    client.close()


@pytest.mark.parametrize("name", ["__init__", "execute", "subscribe"])
def test_it_takes_what_the_asynchronous_one_takes(name: str) -> None:
    """Every argument, with the same default."""
    ours, theirs = (inspect.signature(getattr(kind, name)).parameters for kind in (SyncClient, Client))
    assert list(ours.values()) == list(theirs.values())


def run_script(server: ThreadedPeer, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script with a client in an interpreter of its own."""
    head = f"""
import os, sys
from gqlink.client import SyncClient, WebSocketLink
client = SyncClient(WebSocketLink({server.peer.url!r}, connection_params={{"accessToken": "alice-1"}}))
"""
    command = [sys.executable, "-W", "default", "-c", head + script]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_an_interpreter_that_ends_does_not_wait(server: ThreadedPeer) -> None:
    """For a client that nobody closed, with a subscription that never ends; it says so."""
    done = run_script(server, f"events = client.subscribe({OPEN!r}); events.__enter__(); print('done')")
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert "ResourceWarning: a SyncClient was not closed" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_forked_child_is_told_instead_of_waiting_for_ever(server: ThreadedPeer) -> None:
    """The thread is not in the child; the parent's client goes on, whatever the child closes.

    One that was not used before the fork is as good as new.
    """
    done = run_script(
        server,
        f"""
fresh = SyncClient(WebSocketLink({server.peer.url!r}, connection_params={{"accessToken": "bob-1"}}))
"""
        """
with client:
    client.execute("query { q }")
    child = os.fork()
    if child == 0:
        with fresh:
            print(fresh.execute("query { q }"), flush=True)
        for work in (lambda: client.execute("query { q }"), lambda: client.subscribe("subscription { open }").next()):
            try:
                work()
            except Exception as exc:
                print(type(exc).__name__, exc, flush=True)
        client.close()
        del client
        sys.exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    print(client.execute("query { q }"))
""",
    )
    told = "BadUserInput a SyncClient does not survive a fork: make one in each process\n"
    bob, alice = ("{'by': 'bob', 'variables': None}\n", "{'by': 'alice', 'variables': None}\n")
    assert done.stdout == bob + told * 2 + alice
    assert (done.returncode, done.stderr) == (0, "")


def test_a_refusal_is_raised_where_it_is_waited_for() -> None:
    """With its own type, in the caller's thread."""
    script = Script(close_on_init=(4403, "Session revoked"))
    with threaded_peer(script) as server, client_of(server) as client, pytest.raises(ConnectionRefused):
        client.execute("query { q }")
