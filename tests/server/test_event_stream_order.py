"""Whatever happens to an event stream, in whatever order: what is heard is what may be heard, and it ends once."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gqlink.auth import Revocation
from gqlink.server import PolicyEvent
from server.eventually import turns
from server.nodes import nodes
from server.streaming import COMPLETE, Listening
from server.world import World

if TYPE_CHECKING:
    from gqlink.auth import Identity
    from gqlink.server import PolicyOperation
    from server.nodes import Node

LIFE: Final = 90.0
ACTIONS: Final = ("publish", "advance", "oversleep", "revoke", "forbid", "stick", "read", "turn", "stop")


class Story:
    """One stream, what was done to it, and what its client may have heard by then.

    Args:
        world: Where the messages are.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.allowed = True
        self.is_out = False
        """Its credential has ended, was revoked or forbidden, or the server has stopped: nothing more may come."""
        self.most = math.inf
        """How many may be heard altogether."""
        self.published: list[str] = []
        """Before it was out."""
        self._count = 0
        self._elapsed = 0.0

    def policy(self, _identity: Identity, what: PolicyOperation | PolicyEvent) -> bool:
        """Allow what is allowed at the moment; what it lets through is looked at once more below."""
        return self.allowed or not isinstance(what, PolicyEvent)

    async def act(self, action: str, node: Node, listening: Listening) -> None:
        """Do one thing to it."""
        match action:
            case "publish":
                await self._publish()
            case "advance" | "oversleep":
                self._let_pass(node, slept=action == "oversleep")
            case "revoke" | "forbid" | "stop":
                self._end(action, node, listening)
            case "stick":
                listening.reads.clear()
            case "read":
                listening.reads.set()
            case "turn":
                await turns(30)

    async def _publish(self) -> None:
        self._count += 1
        if not self.is_out:
            self.published.append(str(self._count))
        await self.world.messages.publish(str(self._count))

    def _let_pass(self, node: Node, *, slept: bool) -> None:
        """Let 50 seconds pass; only the wall clock sees those in which a machine sleeps."""
        if slept:
            node.clock.set_wall(node.clock.wall() + 50)
        else:
            node.clock.advance(50)
        self._elapsed += 50
        self.is_out = self.is_out or self._elapsed >= LIFE

    def _end(self, how: str, node: Node, listening: Listening) -> None:
        if how == "revoke" and not self.is_out and listening.is_stuck:
            self.most = len(listening.events) + 1  # what the server has taken already goes on
        self.is_out = True
        if how == "revoke":
            node.app.apply_revocation(Revocation(session="s", revoked_at=node.clock.wall()))
        elif how == "forbid":
            self.allowed = False
        else:
            for speaker in tuple(node.app._host.listeners):
                speaker.close(1012, "Service restart")


@settings(max_examples=150, deadline=None)
@example(actions=["oversleep", "oversleep"], asks=False)
@example(actions=["advance", "oversleep", "publish"], asks=True)
@example(actions=["stick", "publish", "publish", "publish", "turn", "revoke"], asks=False)
@example(actions=["stick", "publish", "publish", "turn", "stop", "revoke"], asks=True)
@given(actions=st.lists(st.sampled_from(ACTIONS), max_size=14), asks=st.booleans())
def test_what_is_heard_was_published_before_the_end_and_comes_in_order(actions: list[str], *, asks: bool) -> None:
    """No message is left out, comes twice, or comes to somebody who is out; nothing is left behind."""
    asyncio.run(_play([action for action in actions if asks or action != "forbid"], asks=asks))


async def _play(actions: list[str], *, asks: bool) -> None:
    world = World()
    story = Story(world)
    async with nodes(world, 1, policy=story.policy if asks else None) as [node]:
        async with Listening(node.app, "subscription { messages }", token=f"alice/s/t//{LIFE:.0f}") as listening:
            await listening.begun()
            for action in actions:
                await story.act(action, node, listening)
            listening.reads.set()
            await turns(60)
            if story.is_out:
                # A clock that was put forward, or a right that is missing, is noticed at the next event at the latest.
                await world.messages.publish("too late")
                await listening.ended()
            heard = [data["data"]["messages"] for _, data in listening.events if data and "data" in data]
            assert heard == story.published[: len(heard)]
            assert len(heard) <= story.most
            assert listening.has_ended == story.is_out
            if not story.is_out:
                assert heard == story.published
            assert COMPLETE not in listening.events[:-1]
        assert (node.app._host.admission.sockets, world.broker.statistics().subscriptions) == (0, 0)
        assert node.app.statistics().waiting_bytes == 0
    await world.broker.aclose()
