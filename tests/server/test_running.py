from __future__ import annotations

from typing import TYPE_CHECKING

from gqlink.server.policy import PolicyEvent, PolicyOperation
from gqlink.server.running import Running
from server.living import living

if TYPE_CHECKING:
    from gqlink.auth import Identity
    from gqlink.protocol import Dialect
    from gqlink.server import Transport
    from server.world import World

ASKED = PolicyOperation(kind="subscription", fields=("messages",))


def test_an_operation_begins_live() -> None:
    """And beyond doubt."""
    running = Running("1", mutation=False, asked=None)
    assert (running.id, running.live, running.doubtful, running.task) == ("1", True, False, None)


def test_a_policy_is_asked_about_events_only_where_there_is_one() -> None:
    """Without one nothing is built for it."""
    assert Running("1", mutation=False, asked=None).event("one") is None
    assert Running("1", mutation=False, asked=ASKED).event("one") == PolicyEvent(ASKED, "one")


async def test_resolvers_see_who_the_socket_speaks_for_and_how_it_came_in(world: World, dialect: Dialect) -> None:
    """Queries, mutations and subscriptions alike."""
    seen: list[tuple[str | None, int | None, str | None]] = []

    def build(identity: Identity, transport: Transport) -> object:
        seen.append((identity.subject, transport.socket, transport.subprotocol))
        return None

    scene = await living(world, dialect, context=build).admitted("alice:")
    scene.start("{ hello }", id="1")
    scene.start('mutation { add(text: "a") }', id="2")
    scene.start("subscription { count(to: 1) }", id="3")
    await scene.until_said(6)
    assert seen == [("alice", 7, dialect.subprotocol)] * 4
    scene.listener.on_lost(1001)
