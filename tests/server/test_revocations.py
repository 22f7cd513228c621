"""Who was revoked is out at once, on every node, and does not come back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from gqlink.auth import Identity, Revocation, SigningKey, TokenSigner
from gqlink.errors import AuthUnavailable
from gqlink.protocol import Kind
from gqlink.pubsub import MemoryBroker, Topic
from gqlink.server import Limits
from gqlink.server import revocations as revocations_module
from gqlink.server.control import CONTROL_TOPIC
from gqlink.server.listener import SocketListener
from gqlink.server.speaker import Speaker
from server.eventually import eventually, turns
from server.living import outcomes, ping
from server.nodes import ListStore, Node, nodes
from server.peer import BOTH, LEGACY, NEWER, codes_of, member
from serving import serving

if TYPE_CHECKING:
    from gqlink.auth import Credentials
    from gqlink.protocol import Dialect
    from gqlink.pubsub import Position
    from gqlink.pubsub.subscription import MemorySubscription
    from gqlink.server import PolicyEvent, PolicyOperation
    from server.world import World

REVOKED = (4403, "Session revoked")


# On one node


@pytest.mark.parametrize(
    ("named", "leaves"),
    [
        ({"subject": "alice"}, {"alice/s1/t1", "alice/s2/t2"}),
        ({"session": "s1"}, {"alice/s1/t1", "bob/s1/t3"}),
        ({"token_id": "t1"}, {"alice/s1/t1"}),
        ({"subject": "carol"}, set()),
    ],
)
async def test_exactly_the_matching_sockets_are_closed(
    world: World, dialect: Dialect, named: dict[str, str], leaves: set[str]
) -> None:
    """With 4403 and the reason, which the legacy dialect says before as well; the others notice nothing."""
    async with nodes(world, 1) as [node]:
        tokens = ["alice/s1/t1", "alice/s2/t2", "bob/s1/t3", "bob/s4/t4", None]
        members = {token: await node.admit(dialect, token) for token in tokens}
        await node.app.revoke(**named)
        assert {token for token, each in members.items() if each.close is not None} == leaves
        for token in leaves:
            told = [{"type": "connection_error", "payload": {"message": REVOKED[1]}}] if dialect is LEGACY else []
            assert (members[token].close, members[token].said) == (REVOKED, told)
        ended = [(event.kind, event.code, event.reason) for event in node.events[2 * len(tokens) :]]
        assert ended == [("refused", *REVOKED), ("closed", *REVOKED)] * len(leaves)


async def test_a_live_subscription_says_nothing_more(world: World, dialect: Dialect) -> None:
    """No event comes between the order and the close, nor after it, and the subscription is gone."""
    async with nodes(world, 1) as [node]:
        alice, bob = await node.admit(dialect, "alice"), await node.admit(dialect, "bob")
        for each in (alice, bob):
            each.start("subscription { messages }")
        await eventually(lambda: world.broker.statistics().subscriptions == 2)
        await world.messages.publish("before")
        await bob.until_said(1)
        await world.messages.publish("after")
        await node.app.revoke(subject="alice")
        await bob.until_said(2)
        await turns(50)
        assert alice.close == REVOKED
        assert [said["payload"]["data"]["messages"] for said in alice.said if said["type"] == "next"] == ["before"]
        assert world.broker.statistics().subscriptions == 1


async def test_it_holds_before_the_caller_waits(world: World, dialect: Dialect) -> None:
    """Deny-list and sockets come first, in one step; what may take long comes after them."""
    store = ListStore()
    async with nodes(world, 1, revocation_store=store) as [node]:
        alice = await node.admit(dialect, "alice/s1")
        store.gate.clear()
        revoking = node.app.revoke(session="s1")
        assert alice.close is None
        task = asyncio.ensure_future(revoking)
        await asyncio.sleep(0)
        assert alice.close == REVOKED
        assert node.app._host.revocations.denies(Identity(session="s1"))
        assert not task.done()
        store.gate.set()
        await task


async def test_a_thousand_among_five_thousand(world: World) -> None:
    """Closed in one step, without a turn of the event loop: exactly those, and nobody else."""
    async with nodes(world, 1, limits=Limits(sockets_per_identity=1_000)) as [node]:
        members = [node.call(BOTH[number % 2]) for number in range(5_000)]
        for number, each in enumerate(members):
            name = "alice" if number % 5 == 0 else f"user{number}"
            each.say(Kind.CONNECTION_INIT, payload={"accessToken": name})
        await eventually(lambda: all(each.said for each in members))
        node.app.apply_revocation(Revocation(subject="alice", revoked_at=node.clock.wall()))
        closed = [number for number, each in enumerate(members) if each.close is not None]
        assert closed == list(range(0, 5_000, 5))
        assert {members[number].close for number in closed} == {REVOKED}


async def test_a_socket_that_cannot_be_closed_does_not_spare_the_others(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One mistake of ours is logged, and the pass goes on."""

    def fail(*_: object) -> None:
        raise RuntimeError("a mistake")

    async with nodes(world, 1) as [node]:
        members = [await node.admit(NEWER, "alice") for _ in range(3)]
        monkeypatch.setattr(members[1].outlet, "write", fail)
        await node.app.revoke(subject="alice")
        assert [each.close for each in members] == [REVOKED, None, REVOKED]
        assert "could not be closed" in caplog.text


async def test_who_was_revoked_does_not_come_back(world: World, dialect: Dialect) -> None:
    """The token still verifies; a subject's tokens of later do get in, and so do other sessions."""
    async with nodes(world, 1) as [node]:
        now = node.clock.wall()
        await node.app.revoke(subject="alice")
        await node.app.revoke(session="s1")
        await node.app.revoke(token_id="t1")
        for token in (f"alice///{now - 1}", f"alice///{now}", "alice", "bob/s1", "bob//t1"):
            refused = node.call(dialect)
            refused.say(Kind.CONNECTION_INIT, payload={"accessToken": token})
            await refused.until(lambda refused=refused: refused.close is not None)
            assert refused.close == REVOKED
        for later in (f"alice///{now + 0.001}", "bob/s2/t2", None):
            await node.admit(dialect, later)


async def test_a_subjects_moment_moves_forward_only(world: World) -> None:
    """To revoke again covers what was issued since; an older order that comes late takes nothing back."""
    async with nodes(world, 1) as [node]:
        first = node.clock.wall()
        await node.app.revoke(subject="alice")
        node.clock.advance(10)
        await node.app.revoke(subject="alice")
        node.app.apply_revocation(Revocation(subject="alice", revoked_at=first))
        denies = node.app._host.revocations.denies
        assert denies(Identity("alice", issued_at=first + 10))
        assert not denies(Identity("alice", issued_at=first + 10.001))


@pytest.mark.parametrize("ahead", [0.5, 3600.0])
async def test_a_clock_that_was_ahead_when_a_token_was_issued_does_not_save_it(
    world: World, dialect: Dialect, ahead: float
) -> None:
    """The issuer's may be, or ours was put back: what a live socket speaks for was issued before, on all nodes."""
    async with nodes(world, 2) as [here, there]:
        issued = here.clock.wall() + ahead
        here.clock.set_wall(issued)
        alice, bob = await here.admit(dialect, f"alice///{issued}"), await here.admit(dialect, f"bob///{issued + 1e6}")
        other = await there.admit(dialect, f"alice///{issued}")
        for each in (here, there):
            each.clock.set_wall(issued - ahead)
        await here.app.revoke(subject="alice")
        await other.until(lambda: other.close is not None)
        assert (alice.close, other.close, bob.close) == (REVOKED, REVOKED, None)
        assert here.app._host.revocations.denies(alice.listener.identity)
        assert not here.app._host.revocations.denies(Identity("alice", issued_at=issued + 0.001))


@pytest.mark.parametrize("issued", [1e300, 4e9, -5.0])
async def test_a_token_from_any_other_time_is_revoked_like_the_others(world: World, issued: float) -> None:
    """A hook may take whatever it likes for a moment; the person is not kept out until then."""
    async with nodes(world, 1) as [node]:
        alice = await node.admit(NEWER, f"alice///{issued}")
        await node.app.revoke(subject="alice")
        assert alice.close == REVOKED
        await node.admit(NEWER, f"alice///{node.clock.wall() + 1}")


async def test_revocations_are_forgotten_in_time(world: World) -> None:
    """After `revocation_seconds` the credentials have expired; a wall clock that jumps ahead changes nothing."""
    async with nodes(world, 1, revocation_seconds=60) as [node]:
        await node.app.revoke(session="s1")
        node.clock.set_wall(node.clock.wall() + 1e6)
        await node.app.revoke(session="s2")
        assert node.app._host.revocations.denies(Identity(session="s1"))
        node.clock.advance(60.1)
        await node.app.revoke(session="s3")
        assert not node.app._host.revocations.denies(Identity(session="s1"))
    with pytest.raises(ValueError, match="greater than 0"):
        Node(world, revocation_seconds=0)


@pytest.mark.parametrize(
    "named", [{}, {"subject": ""}, {"subject": "alice", "session": "s1"}, {"subject": None}, {"token_id": 5}]
)
async def test_an_order_names_exactly_one(world: World, named: dict[str, Any]) -> None:
    """Anything else is a mistake, and nothing is done."""
    store = ListStore()
    async with nodes(world, 1, revocation_store=store) as [node]:
        alice = await node.admit(NEWER, "alice/s1")
        with pytest.raises(ValueError, match="a revocation names"):
            await node.app.revoke(**named)
        assert (alice.close, store.kept) == (None, [])


# Races


@pytest.mark.parametrize("named", [{"subject": "alice"}, {"session": "slow"}, {"token_id": "t1"}])
async def test_who_was_verified_before_and_is_admitted_after_does_not_get_in(
    world: World, dialect: Dialect, named: dict[str, str]
) -> None:
    """The hook has read the token already when the order comes."""
    async with nodes(world, 1) as [node]:
        alice = node.call(dialect)
        alice.say(Kind.CONNECTION_INIT, payload={"accessToken": "alice/slow/t1"})
        await eventually(lambda: world.authenticating == 1)
        await node.app.revoke(**named)
        assert alice.close is None
        world.gate.set()
        await alice.until(lambda: alice.close is not None)
        assert alice.close == REVOKED


async def test_whichever_turn_of_the_loop_an_order_comes_in_nobody_stays(world: World, dialect: Dialect) -> None:
    """From the init to long after the ack, one turn later each time."""
    async with nodes(world, 1) as [node]:
        acknowledged = 0
        for count in range(40):
            alice = node.call(dialect)
            alice.say(Kind.CONNECTION_INIT, payload={"accessToken": f"alice/s{count}"})
            await turns(count)
            node.app.apply_revocation(Revocation(session=f"s{count}", revoked_at=node.clock.wall()))
            acknowledged += "connection_ack" in alice.types
            await alice.until(lambda alice=alice: alice.close is not None)
            assert alice.close == REVOKED
        assert 0 < acknowledged < 40


async def test_a_token_that_the_signer_remembers_is_denied_all_the_same(world: World, dialect: Dialect) -> None:
    """The deny-list sits behind the hook, so whatever the hook remembers goes past it."""
    signer = TokenSigner([SigningKey("1", b"k" * 32)], issuer="chat", audience="chat-api")
    verified: list[Identity] = []

    async def authenticate(credentials: Credentials) -> Identity:
        assert credentials.token is not None
        verified.append(signer.verify(credentials.token, now=node.clock.wall()))
        return verified[-1]

    async with nodes(world, 1, authenticate=authenticate) as [node]:
        token = signer.issue("alice", now=node.clock.wall(), session="s1").reveal()
        alice = await node.admit(dialect, token)
        await node.app.revoke(session="s1")
        again = node.call(dialect)
        again.say(Kind.CONNECTION_INIT, payload={"accessToken": token})
        await again.until(lambda: again.close is not None)
        assert (alice.close, again.close) == (REVOKED, REVOKED)
        assert verified[0] is verified[1]


# Several nodes


async def test_an_order_reaches_every_node(world: World, dialect: Dialect) -> None:
    """Sockets close there, and the credential does not get in there either; nobody else is touched."""
    async with nodes(world, 3) as [here, *elsewhere]:
        alices = [await node.admit(dialect, "alice") for node in elsewhere]
        bobs = [await node.admit(dialect, "bob") for node in elsewhere]
        await here.app.revoke(subject="alice")
        for node, alice, bob in zip(elsewhere, alices, bobs, strict=True):
            await alice.until(lambda alice=alice: alice.close is not None)
            assert (alice.close, bob.close) == (REVOKED, None)
            assert node.app._host.revocations.denies(Identity("alice"))


@pytest.mark.usefixtures("road")
async def test_an_order_reaches_a_socket_of_another_server(world: World, dialect: Dialect) -> None:
    """Over the network: two servers, one broker; and HTTP is refused at the other as well."""
    apps = [world.app(), world.app()]
    async with (
        serving(apps[0]),
        serving(apps[1]) as authority,
        member(authority, dialect, "alice") as alice,
        member(authority, dialect, "bob") as bob,
        httpx2.AsyncClient() as http,
    ):
        await apps[0].revoke(subject="alice")
        assert await alice.closed() == REVOKED
        assert await bob.is_well()
        response = await http.post(
            f"http://{authority}/graphql", json={"query": "{ hello }"}, headers={"authorization": "Bearer alice"}
        )
        assert response.status_code == 401


async def test_a_nodes_own_order_that_comes_back_harms_nobody(world: World) -> None:
    """Whoever has logged in again meanwhile stays."""
    async with nodes(world, 2) as [here, there]:
        await here.app.revoke(subject="alice")
        now = here.clock.wall()
        again = [await node.admit(NEWER, f"alice///{now + 1}") for node in (here, there)]
        await turns(50)
        await here.app.revoke(session="s9")
        await turns(50)
        assert [each.close for each in again] == [None, None]


async def test_a_right_that_is_taken_away_ends_what_runs_on_every_node(world: World, dialect: Dialect) -> None:
    """`recheck` travels the same way: the one subscription ends with FORBIDDEN, its socket stays."""
    banned: set[str | None] = set()

    def policy(identity: Identity, _: PolicyOperation | PolicyEvent) -> bool:
        return identity.subject not in banned

    async with nodes(world, 2, policy=policy) as [here, there]:
        members = [await node.admit(dialect, name) for node in (here, there) for name in ("alice", "bob", None)]
        for each in members:
            each.start("subscription { messages }")
        await eventually(lambda: world.broker.statistics().subscriptions == 6)
        banned |= {"alice", "bob"}
        await here.app.recheck(subject="alice")
        for alice in (members[0], members[3]):
            [error] = await alice.until_said(1)
            assert codes_of(error) == ["FORBIDDEN"]
        await turns(50)
        assert [len(each.said) for each in members] == [1, 0, 0, 1, 0, 0]
        await here.app.recheck()
        for bob in (members[1], members[4]):
            await bob.until_said(1)
        assert {each.close for each in members} == {None}
        assert [len(each.said) for each in members] == [1, 1, 0, 1, 1, 0]


async def test_a_recheck_that_fails_for_one_is_made_for_the_others(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One mistake of ours is logged, and the pass goes on."""
    asked = 0

    def policy(*_: object) -> bool:
        nonlocal asked
        asked += 1
        return True

    def recheck(listener: SocketListener) -> None:
        if listener is members[1].listener:
            raise RuntimeError("a mistake")
        Speaker.recheck(listener)

    async with nodes(world, 1, policy=policy) as [node]:
        members = [await node.admit(NEWER, "alice") for _ in range(3)]
        for each in members:
            each.start("subscription { messages }")
        await eventually(lambda: world.broker.statistics().subscriptions == 3)
        monkeypatch.setattr(SocketListener, "recheck", recheck)
        asked = 0
        await node.app.recheck()
        assert asked == 2
        assert "could not be looked at again" in caplog.text
        monkeypatch.undo()


@pytest.mark.parametrize("data", ["nonsense", None, {"version": 2, "order": "revoke"}, {"version": 1, "order": "x"}])
async def test_what_cannot_be_read_is_ignored(world: World, data: object, caplog: pytest.LogCaptureFixture) -> None:
    """A newer node may say more; what comes after it is heard."""
    async with nodes(world, 2) as [here, there]:
        alice = await there.admit(NEWER, "alice")
        await Topic(world.broker, CONTROL_TOPIC).publish(data)
        await here.app.revoke(subject="alice")
        await alice.until(lambda: alice.close is not None)
        assert caplog.text.count("cannot be read, and is ignored") == 2


def test_no_resolver_comes_by_the_topic_of_orders(world: World) -> None:
    """A topic's name may be a client's choice."""
    for name in (CONTROL_TOPIC, "gqlink:", "gqlink:messages"):
        with pytest.raises(ValueError, match="gqlink's own"):
            world.app().topic(name)
    assert world.app().topic("gqlink").name == "gqlink"


# The store


async def test_what_was_revoked_stays_so_after_a_restart(world: World, dialect: Dialect) -> None:
    """The next process loads it before it lets anybody in."""
    store = ListStore()
    async with nodes(world, 1, revocation_store=store) as [node]:
        await node.app.revoke(session="s1")
        await node.app.revoke(session="s1")
    assert {(each.session, each.revoked_at) for each in store.kept} == {("s1", node.clock.wall())}
    async with nodes(world, 1, revocation_store=store) as [node]:
        refused = node.call(dialect)
        refused.say(Kind.CONNECTION_INIT, payload={"accessToken": "alice/s1"})
        await refused.until(lambda: refused.close is not None)
        assert refused.close == REVOKED
        await node.admit(dialect, "alice/s2")


async def test_until_it_is_known_who_was_revoked_nobody_gets_in(world: World, dialect: Dialect) -> None:
    """Sockets and requests wait, the anonymous ones too, and are not asked about before."""
    store = ListStore()
    store.gate.clear()
    store.kept.append(Revocation(session="s1", revoked_at=0))
    node = Node(world, revocation_store=store)
    async with serving(node.app) as authority, httpx2.AsyncClient() as http:
        alice, bob = node.call(dialect), node.call(dialect)
        alice.say(Kind.CONNECTION_INIT, payload={"accessToken": "alice/s1"})
        bob.say(Kind.CONNECTION_INIT)
        request = asyncio.create_task(http.post(f"http://{authority}/graphql", json={"query": "{ hello }"}))
        await eventually(lambda: store.loads == 1)
        await turns(200)
        assert (alice.said, alice.close, bob.said, request.done()) == ([], None, [], False)
        store.gate.set()
        assert (await request).status_code == 200
        await alice.until(lambda: alice.close is not None)
        assert (alice.close, bob.types) == (REVOKED, ["connection_ack"])
        assert store.loads == 1


async def test_a_store_that_fails_is_503_and_1013_and_tried_again(world: World, dialect: Dialect) -> None:
    """The credential is not refused; when the store is back, so is everybody."""
    store = ListStore()
    store.fault = OSError("secret text")
    node = Node(world, revocation_store=store)
    async with serving(node.app) as authority, httpx2.AsyncClient() as http:
        url, body = f"http://{authority}/graphql", {"query": "{ hello }"}
        for _ in range(3):
            loads = store.loads
            response = await http.post(url, json=body)
            assert (response.status_code, response.headers["retry-after"]) == (503, "1")
            assert "secret" not in response.text
            assert store.loads > loads
        alice = node.call(dialect)
        alice.say(Kind.CONNECTION_INIT, payload={"accessToken": "alice"})
        await alice.until(lambda: alice.close is not None)
        assert alice.close == (1013, "Try again later")
        store.fault = None
        assert (await http.post(url, json=body)).status_code == 200
        await node.admit(dialect, "alice")
    assert world.resolved == 1


async def test_without_a_store_nothing_is_waited_for(world: World) -> None:
    """A node that hears the others is ready in the same turn of the loop."""
    async with nodes(world, 1) as [node]:
        ready = node.app._host.revocations.ready()
        with pytest.raises(StopIteration):
            ready.send(None)


@pytest.mark.parametrize("fails", ["store", "broker", "both"])
async def test_what_fails_is_told_and_the_rest_is_done(
    world: World, fails: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The sockets here are closed in any case; repeated when all is well again, it is complete.

    The log names the kind of failure: the words of a broker or a store may hold a password.
    """
    store = ListStore()
    async with nodes(world, 2, revocation_store=store) as [here, there]:
        alices = [await node.admit(NEWER, "alice") for node in (here, there)]

        async def fail(*_: object) -> None:
            raise ConnectionResetError("secret text")

        with monkeypatch.context() as patch:
            if fails != "store":
                patch.setattr(world.broker, "publish", fail)
            store.fault = OSError("secret text") if fails != "broker" else None
            with pytest.raises(AuthUnavailable, match="holds on this node") as caught:
                await here.app.revoke(subject="alice")
        assert "secret" not in str(caught.value) + caplog.text
        assert ("an order was not kept: OSError" in caplog.text) == (fails != "broker")
        assert ("an order was not told to other nodes: ConnectionResetError" in caplog.text) == (fails != "store")
        assert type(caught.value.__cause__).__name__ == {
            "store": "OSError", "broker": "ConnectionResetError", "both": "ExceptionGroup",
        }[fails]  # fmt: skip
        await turns(50)
        assert [each.close for each in alices] == [REVOKED, REVOKED if fails == "store" else None]
        assert len(store.kept) == (fails == "broker")
        store.fault = None
        await here.app.revoke(subject="alice")
        await alices[1].until(lambda: alices[1].close is not None)
        assert store.kept


async def test_a_recheck_that_cannot_be_told_is_told_to_the_caller(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was made here all the same."""

    async def fail(*_: object) -> None:
        raise asyncio.CancelledError

    async with nodes(world, 1) as [node]:
        monkeypatch.setattr(world.broker, "publish", fail)
        with pytest.raises(AuthUnavailable, match="looked at again on this node"):
            await node.app.recheck()
        monkeypatch.undo()


async def test_a_store_that_does_not_answer_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a bounded time the caller learns of it; the other nodes were told."""
    monkeypatch.setattr(revocations_module, "STEP_SECONDS", 0.01)
    store = ListStore()
    async with nodes(world, 2, revocation_store=store) as [here, there]:
        alice = await there.admit(NEWER, "alice")
        store.gate.clear()
        with pytest.raises(AuthUnavailable):
            await here.app.revoke(subject="alice")
        await alice.until(lambda: alice.close is not None)
        store.gate.set()


async def test_a_caller_that_leaves_does_not_stop_an_order(world: World) -> None:
    """An administrator who closes the page has still revoked: it is kept, and told."""
    store = ListStore()
    async with nodes(world, 2, revocation_store=store) as [here, there]:
        alice = await there.admit(NEWER, "alice")
        store.gate.clear()
        revoking = asyncio.create_task(here.app.revoke(subject="alice"))
        await turns()
        revoking.cancel()
        await turns()
        assert revoking.cancelled()
        store.gate.set()
        await eventually(lambda: len(store.kept) == 1)
        assert alice.close == REVOKED


async def test_other_nodes_do_not_wait_for_the_store(world: World) -> None:
    """It may take its time: they are told at once, and again when it is done."""
    store = ListStore()
    async with nodes(world, 2, revocation_store=store) as [here, there]:
        alice = await there.admit(NEWER, "alice")
        store.gate.clear()
        revoking = asyncio.create_task(here.app.revoke(subject="alice"))
        await alice.until(lambda: alice.close is not None)
        assert not revoking.done()
        store.gate.set()
        await revoking
        heard = await world.broker.position(CONTROL_TOPIC)
        assert (alice.close, heard.offset) == (REVOKED, 2)


async def test_a_node_that_lagged_loads_again_what_it_has_missed(world: World, dialect: Dialect) -> None:
    """Orders that it never heard close sockets all the same."""
    store = ListStore()
    broker = MemoryBroker(buffer=2)
    async with nodes(world, 1, revocation_store=store, broker=broker) as [node]:
        alice, bob = await node.admit(dialect, "alice/s5"), await node.admit(dialect, "bob/s0")
        for number in range(10):
            store.kept.append(Revocation(session=f"s{number}", revoked_at=0))
            # Nobody gets a turn in between: eight of ten are dropped.
            await broker.publish(CONTROL_TOPIC, "lost")
        assert broker.statistics().subscriptions == 0
        await eventually(lambda: alice.close == bob.close == REVOKED)
        assert store.loads == 2
        assert broker.statistics().subscriptions == 1
    assert broker.statistics().subscriptions == 0


class BrokenBroker(MemoryBroker):
    """A broker that drops who lags, and takes nobody while it is broken."""

    broken = False

    async def subscribe(self, topic: str, *, after: Position | None = None) -> MemorySubscription:
        """Take somebody, or not."""
        if self.broken:
            raise OSError("secret text")
        return await super().subscribe(topic, after=after)

    async def fail(self, node: Node) -> None:
        """Let go of everybody, and take nobody."""
        self.broken = True
        # Nobody gets a turn in between: the node falls behind.
        for _ in range(5):
            await self.publish(CONTROL_TOPIC, "lost")
        await eventually(lambda: not node.app._host.revocations.is_ready)


@pytest.mark.usefixtures("road")
async def test_who_is_verified_while_the_broker_is_lost_does_not_get_in(world: World, dialect: Dialect) -> None:
    """The hook began before; but nobody can tell any more who was revoked since. The next request tries again."""
    broker = BrokenBroker(buffer=2)
    async with (
        nodes(world, 1, broker=broker) as [node],
        serving(node.app) as authority,
        httpx2.AsyncClient(headers={"authorization": "Bearer alice/slow"}) as http,
    ):
        url, body = f"http://{authority}/graphql", {"query": "{ hello }"}
        there = await node.admit(NEWER, "alice//t1")
        alice = node.call(dialect)
        alice.say(Kind.CONNECTION_INIT, payload={"accessToken": "alice/slow"})
        ping(there, "alice/slow")
        asking = asyncio.create_task(http.post(url, json=body))
        await eventually(lambda: world.authenticating == 3)
        await broker.fail(node)
        world.gate.set()
        await alice.until(lambda: alice.close is not None)
        assert alice.close == (1013, "Try again later")
        assert ((await asking).status_code, world.resolved) == (503, 0)
        await there.until(lambda: bool(outcomes(there)))
        assert outcomes(there) == [{"seq": 1, "error": "Try again later"}]
        assert there.close is None
        broker.broken = False
        assert (await http.post(url, json=body)).status_code == 200


async def test_a_long_list_is_loaded_without_holding_everybody_up(world: World) -> None:
    """The loop turns in between; nobody is let in before the last one."""
    store = ListStore()
    store.kept = [Revocation(session=f"s{number}", revoked_at=0) for number in range(10_000)]
    node = Node(world, revocation_store=store)
    ready = asyncio.create_task(node.app._host.revocations.ready())
    passed = 0
    while not ready.done():
        await asyncio.sleep(0)
        passed += 1
    assert passed >= 10
    assert node.app._host.revocations.denies(Identity(session="s9999"))
    await node.app.aclose()


# Its life


async def test_an_application_that_is_closed_revokes_here_and_says_that_it_went_no_further(world: World) -> None:
    """And starts nothing again; nobody gets in."""
    node = Node(world, broker=None)
    await node.app.revoke(session="s1")
    await node.app.aclose()
    await node.app.aclose()
    with pytest.raises(AuthUnavailable):
        await node.app.revoke(session="s2")
    with pytest.raises(AuthUnavailable):
        await node.app._host.revocations.ready()
    assert node.app._host.revocations.denies(Identity(session="s2"))
    assert not node.app._host.revocations.tasks


async def test_an_order_under_way_is_waited_for_at_a_stop(world: World) -> None:
    """It is kept and told before the application is gone."""
    store = ListStore()
    async with nodes(world, 1, revocation_store=store) as [node]:
        store.gate.clear()
        revoking = asyncio.create_task(node.app.revoke(session="s1"))
        await turns()
        closing = asyncio.create_task(node.app.aclose())
        await turns(50)
        assert not closing.done()
        store.gate.set()
        await closing
        await revoking
        assert len(store.kept) == 1


async def test_an_order_that_does_not_get_through_is_given_up_at_a_stop(world: World) -> None:
    """After `execution_seconds`; whoever gave it is told so, rather than cancelled."""
    store = ListStore()
    async with nodes(world, 1, revocation_store=store, limits=Limits(execution_seconds=0.01)) as [node]:
        store.gate.clear()
        revoking = asyncio.create_task(node.app.revoke(session="s1"))
        await turns()
        await node.app.aclose()
        with pytest.raises(AuthUnavailable, match="holds on this node"):
            await revoking
        assert (store.kept, node.app._host.revocations.tasks) == ([], frozenset())


@pytest.mark.parametrize("start", ["lifespan", "lifespan of its own", "revoke", "recheck", "first request"])
async def test_it_listens_from_the_first_occasion(world: World, start: str) -> None:
    """Before that an application holds nothing, and after its end nothing again."""
    broker = MemoryBroker()
    node = Node(world, broker=broker)
    await turns()
    assert broker.statistics().subscriptions == 0
    match start:
        case "lifespan":
            async with node.app.lifespan():
                await eventually(lambda: broker.statistics().subscriptions == 1)
        case "lifespan of its own":
            async with serving(node.app, lifespan="on"):
                await eventually(lambda: broker.statistics().subscriptions == 1)
        case "revoke":
            await node.app.revoke(session="s1")
        case "recheck":
            await node.app.recheck()
        case _:
            await node.admit(NEWER)
    await eventually(lambda: broker.statistics().subscriptions == (0 if "lifespan" in start else 1))
    await node.app.aclose()
    assert broker.statistics().subscriptions == 0
