"""What holds for a socket of either subprotocol and for an event stream alike."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from gqlink.auth import Revocation
from gqlink.server import PolicyEvent
from gqlink.server.listener import SocketListener
from server.eventually import turns
from server.nodes import nodes
from server.peer import BOTH
from server.streaming import Listening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from gqlink.auth import Identity
    from gqlink.server import PolicyOperation
    from gqlink.server.speaker import Speaker
    from server.nodes import Member, Node
    from server.world import World

MESSAGES = "subscription { messages }"
WAYS = (*(dialect.subprotocol for dialect in BOTH), "event stream")


class Heard:
    """What one subscriber has heard.

    Args:
        speaker: Who speaks to it.
        source: Where it is kept.
    """

    def __init__(self, speaker: Speaker, source: Member | Listening) -> None:
        self.speaker = speaker
        self._source = source

    @property
    def texts(self) -> list[str]:
        """The messages that came."""
        if isinstance(self._source, Listening):
            results = [data for _, data in self._source.events if data]
        else:
            results = [message["payload"] for message in self._source.said if message["type"] == "next"]
        return [result["data"]["messages"] for result in results if result.get("data")]


@asynccontextmanager
async def subscribed(node: Node, way: str, token: str) -> AsyncIterator[Heard]:
    """Subscribe to the messages in one of `WAYS`."""
    before = set(node.app._host.listeners)
    if way == "event stream":
        async with Listening(node.app, MESSAGES, token=token) as listening:
            await listening.begun()
            [speaker] = node.app._host.listeners - before
            yield Heard(speaker, listening)
        return
    [dialect] = [dialect for dialect in BOTH if dialect.subprotocol == way]
    member = await node.admit(dialect, token)
    member.start(MESSAGES)
    await turns()
    yield Heard(member.listener, member)
    member.listener.on_lost(1001)
    await member.listener.wait_ended()
    node.app._host.listeners.discard(member.listener)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """Each of the three."""
    chosen: str = request.param
    return chosen


async def test_what_was_published_is_heard(world: World, way: str) -> None:
    """Or the tests below would prove nothing."""
    async with nodes(world, 1) as [node], subscribed(node, way, "alice/s/t//90") as heard:
        await world.messages.publish("one")
        await turns(30)
        assert (heard.texts, heard.speaker.identity.subject, heard.speaker.state) == (["one"], "alice", "acknowledged")


def expire(node: Node) -> None:
    """Let the credential end."""
    node.clock.advance(90)


def oversleep(node: Node) -> None:
    """Let it end without a timer that says so."""
    node.clock.set_wall(node.clock.wall() + 90)


def revoke(node: Node) -> None:
    """Revoke it."""
    node.app.apply_revocation(Revocation(session="s", revoked_at=node.clock.wall()))


@pytest.mark.parametrize("end", [expire, oversleep, revoke])
@pytest.mark.parametrize("moment", [1, 2], ids=["before it is resolved", "before it is sent"])
async def test_nothing_is_sent_that_the_policy_allowed_a_moment_too_late(
    world: World, way: str, end: Callable[[Node], None], moment: int
) -> None:
    """The hook takes its time, and the credential may end in it: what it allows then is for nobody."""
    asked: list[object] = []

    def policy(_: Identity, what: PolicyOperation | PolicyEvent) -> bool:
        if isinstance(what, PolicyEvent):
            asked.append(what.data)
            if len(asked) == moment:
                end(node)
        return True

    async with nodes(world, 1, policy=policy) as [node], subscribed(node, way, "alice/s/t//90") as heard:
        await world.messages.publish("one")
        await turns(30)
        assert (heard.texts, heard.speaker.state, asked) == ([], "closing", ["one"] * moment)


async def test_a_revocation_ends_all_of_them_in_one_step(world: World) -> None:
    """Before anything else can happen on this node; who is not meant stays."""
    async with (
        nodes(world, 1) as [node],
        subscribed(node, WAYS[0], "alice/s/1") as first,
        subscribed(node, WAYS[1], "alice/s/2") as second,
        subscribed(node, WAYS[2], "alice/s/3") as third,
        subscribed(node, WAYS[2], "alice/s2/4") as fourth,
    ):
        revoke(node)
        everyone = (first, second, third, fourth)
        assert [each.speaker.state for each in everyone] == ["closing"] * 3 + ["acknowledged"]
        await world.messages.publish("one")
        await turns(30)
        assert [each.texts for each in everyone] == [[], [], [], ["one"]]


async def test_a_speaker_of_ours_that_fails_does_not_spare_the_others(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake in one kind is logged, and the pass goes on to the other."""

    def fail(*_: object) -> None:
        raise RuntimeError("a mistake")

    async with (
        nodes(world, 1) as [node],
        subscribed(node, WAYS[0], "alice/s/1") as socket,
        subscribed(node, WAYS[2], "alice/s/2") as stream,
    ):
        monkeypatch.setattr(SocketListener, "dismiss", fail)
        revoke(node)
        assert (socket.speaker.state, stream.speaker.state) == ("acknowledged", "closing")
        assert "could not be closed" in caplog.text


async def test_rights_that_were_taken_away_end_what_runs(world: World, way: str) -> None:
    """At a recheck; what is still allowed goes on."""
    allowed = {"alice", "bob"}

    def policy(identity: Identity, _: object) -> bool:
        return identity.subject in allowed

    async with (
        nodes(world, 1, policy=policy) as [node],
        subscribed(node, way, "alice") as alice,
        subscribed(node, way, "bob") as bob,
    ):
        allowed.discard("alice")
        await node.app.recheck()
        await world.messages.publish("one")
        await turns(30)
        assert (alice.texts, bob.texts) == ([], ["one"])


async def test_sockets_and_streams_are_counted_apart(world: World) -> None:
    """Each by its own name, in the statistics and in the metrics."""
    async with (
        nodes(world, 1) as [node],
        subscribed(node, WAYS[0], "alice"),
        subscribed(node, WAYS[2], "alice"),
        subscribed(node, WAYS[2], ""),
    ):
        found = node.app.statistics()
        assert (found.sockets, found.event_streams, found.operations) == (1, 2, 3)
