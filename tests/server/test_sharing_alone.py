"""Each subscriber alone, or with the others: the same frames, whoever comes, leaves, resumes, is slow or is refused."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gqlink.protocol import DIALECTS, TRANSPORT_WS
from gqlink.pubsub import Position
from gqlink.server import Limits
from gqlink.server.cursors import CursorCodec
from server.recorder import Recorder
from server.shared_world import CURSORS, FIELDS, Party, SharedWorld, no_secrets_for_bob

if TYPE_CHECKING:
    from gqlink.protocol import Dialect
    from gqlink.server.policy import Policy
    from server.recorder import Scene

PEOPLE = ("alice", "amy", "bob", "carol")
ROOMS = ("lobby", "attic")
SCALES = (None, 1, 1.0, 2.5)


class Play:
    """One script, played in one application.

    Args:
        fields: Of the type `Said`.
        shared: Whether results are shared.
        policy: Of the application.
    """

    def __init__(self, fields: tuple[str, ...], *, shared: bool, policy: Policy | None) -> None:
        self.world = SharedWorld(fields, shared=shared)
        self.party = Party(self.world, policy=policy, limits=Limits(messages_per_second=10_000))
        self.guests: dict[int, Scene] = {}
        self.cursors: dict[str, str] = {}

    async def act(self, step: tuple[Any, ...]) -> None:
        """Take one step of the script."""
        what, *arguments = step
        await getattr(self, f"_{what}")(*arguments)
        await self.party.first.settle()

    async def _admit(self, seat: int, name: str, dialect: Dialect) -> None:
        if seat not in self.guests:
            self.guests[seat] = await self.party.admit(name, dialect)

    async def _stop(self, seat: int, id_: str) -> None:
        if seat in self.guests:
            await self._read_on(self.guests[seat])
            self.guests[seat].stop(id_)

    async def _slow(self, seat: int, slow: bool) -> None:  # noqa: FBT001 -- a word of the script
        if seat in self.guests:
            writable = self.guests[seat].outlet.writable
            writable.clear() if slow else writable.set()

    async def _lose(self, seat: int) -> None:
        if seat in self.guests:
            await self._read_on(self.guests[seat])
            self.guests[seat].listener.on_lost(1006)

    async def _read_on(self, guest: Scene) -> None:
        """Let somebody slow read first: alone one event more may have been executed for them, and sent."""
        guest.outlet.writable.set()
        await guest.settle()

    async def _say(self, sayings: list[tuple[str, str]]) -> None:
        for text, room in sayings:
            await self.world.say(text, room=room)

    async def _subscribe(self, seat: int, id_: str, asked: tuple[str, Any, list[str], str]) -> None:
        guest = self.guests.get(seat)
        if guest is None or id_ in guest.listener._running:
            return
        room, scale, selected, wish = asked
        extensions: dict[str, Any] = {}
        if wish == "cursor":
            extensions = {"extensions": CURSORS}
        elif wish == "after" and room in self.cursors:
            extensions = {"extensions": {"gqlink": {"after": self.cursors[room]}}}
        guest.start(
            f"subscription A($room: String!, $scale: Float) {{ said(room: $room, scale: $scale) "
            f"{{ {' '.join(selected)} }} }}",
            id=id_,
            variables={"room": room} if scale is None else {"room": room, "scale": scale},
            **extensions,
        )
        await guest.settle()
        self._remember()

    def _remember(self) -> None:
        """Keep the first cursor of each room, for those who come back."""
        for message in (message for guest in self.guests.values() for message in guest.said):
            cursor = _cursor(message)
            if cursor is not None:
                self.cursors.setdefault(self._room_of(cursor), cursor)

    def _room_of(self, cursor: str) -> str:
        return next(room for room in ROOMS if cursor.startswith(_codec(room)))

    async def end(self) -> dict[tuple[int, str], list[str]]:
        """Let everybody read to the end; return what each operation got, and each close."""
        for guest in self.guests.values():
            guest.outlet.writable.set()
        for _ in range(5):
            await self.party.first.settle()
        got: dict[tuple[int, str], list[str]] = defaultdict(list)
        for seat, guest in self.guests.items():
            for message in guest.said:
                got[seat, str(message.get("id"))].append(_plain(message))
            got[seat, "close"].append(str(guest.close))
        await self.party.first.app.aclose()
        assert self.party.host.shared_runs.tasks == frozenset()
        return dict(got)


def _codec(room: str) -> str:
    return CursorCodec(room).write(Position("", 0)).split(".")[0]


def _plain(message: dict[str, Any]) -> str:
    """Return a message without what differs by chance: a topic's epoch, and the ids of masked errors."""
    text = json.dumps(message, sort_keys=True)
    cursor, payload = _cursor(message), message.get("payload")
    if cursor is not None:
        text = text.replace(cursor, ".".join(cursor.split(".")[:2]))
    for error in payload.get("errors", ()) if isinstance(payload, dict) else ():
        text = text.replace(error.get("extensions", {}).get("id", "no id"), "id")
    return text


def _cursor(message: dict[str, Any]) -> str | None:
    payload = message.get("payload")
    if not isinstance(payload, dict):
        return None
    cursor: str | None = payload.get("extensions", {}).get("gqlink", {}).get("cursor")
    return cursor


SEATS = st.integers(0, 4)
STEPS = st.one_of(
    st.tuples(st.just("admit"), SEATS, st.sampled_from(PEOPLE), st.sampled_from(list(DIALECTS.values()))),
    st.tuples(st.just("stop"), SEATS, st.sampled_from(["1", "2"])),
    st.tuples(st.just("slow"), SEATS, st.booleans()),
    st.tuples(st.just("lose"), SEATS),
    st.tuples(
        st.just("say"),
        st.lists(
            st.tuples(st.sampled_from(["one", "two", "odd", "secret"]), st.sampled_from(ROOMS)), min_size=1, max_size=4
        ),
    ),
)


@st.composite
def scripts(draw: st.DrawFn) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Draw a schema, and what people do with it."""
    fields = tuple(draw(st.lists(st.sampled_from(sorted(FIELDS)), min_size=1, unique=True)))
    subscribe = st.tuples(
        st.just("subscribe"),
        SEATS,
        st.sampled_from(["1", "2"]),
        st.tuples(
            st.sampled_from(ROOMS),
            st.sampled_from(SCALES),
            st.lists(st.sampled_from(fields), min_size=1, unique=True),
            st.sampled_from(["", "cursor", "after"]),
        ),
    )
    opening = [("admit", seat, draw(st.sampled_from(PEOPLE)), TRANSPORT_WS) for seat in range(3)]
    return fields, [*opening, *draw(st.lists(st.one_of(subscribe, subscribe, STEPS), min_size=3, max_size=25))]


WHILE_THE_FIRST_IS_HANDED_OUT: list[tuple[Any, ...]] = [
    ("admit", 0, "alice", TRANSPORT_WS),
    ("subscribe", 0, "1", ("attic", None, ["later"], "cursor")),
    ("say", [("one", "attic"), ("two", "attic")]),
]
"""The second event takes a turn of the loop to execute, in which the first one is handed out."""


@given(script=scripts(), has_policy=st.booleans())
@settings(max_examples=60, deadline=None)
@example(script=(("later",), WHILE_THE_FIRST_IS_HANDED_OUT), has_policy=False)
def test_everybody_gets_the_frames_that_they_would_get_alone(
    script: tuple[tuple[str, ...], list[tuple[Any, ...]]],
    has_policy: bool,  # noqa: FBT001 -- drawn
) -> None:
    """Random schemas, share keys, identities, variables and subscriptions; members come, leave, resume and are slow."""
    fields, steps = script

    async def play(*, shared: bool, lanes: bool = False) -> dict[tuple[int, str], list[str]]:
        Recorder.has_lane = lanes
        stage = Play(fields, shared=shared, policy=policy)
        for step in steps:
            await stage.act(step)
        return await stage.end()

    async def both() -> None:
        alone = await play(shared=False)
        assert await play(shared=True) == alone
        assert await play(shared=True, lanes=True) == alone

    policy = no_secrets_for_bob if has_policy else None
    try:
        asyncio.run(both())
    finally:
        Recorder.has_lane = False
