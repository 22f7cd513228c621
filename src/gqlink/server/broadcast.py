"""The shortest way of a shared result: from one list of messages to thousands of sockets that have nothing to wait for.

Whoever is in a lane is one whose results need no decision: there is no policy, they want no cursors, nothing waits for
them, and they leave it in the very step in which anything ends for them. What could still stand against it is looked at
once for all of them by the caller: that nobody's credential can have ended. For each of them only four objects are
touched, because with thousands of sockets it is the processor's cache that one waits for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from gqlink.server.frame_bytes import text_head

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("Lane", "LaneFollower", "broadcast")


class Lane(Protocol):
    """The outlet of a socket to which frames may be written at once."""

    is_clear: bool
    """Whether nothing waits, nothing is stuck, and nothing has ended."""

    def write_now(self, data: bytes) -> None:
        """Write whole frames; only where it is clear. What goes wrong concerns nobody else, and is not raised."""


class LaneFollower(Protocol):
    """Somebody who may be in a lane."""

    lane: Lane | None
    """Where; None for somebody whose results need a decision."""

    head: bytes
    """How each message of theirs begins."""

    events: int
    """How many they were sent, to be counted later."""


FollowerT = TypeVar("FollowerT", bound=LaneFollower)


def broadcast(followers: Sequence[FollowerT], tails: Sequence[bytes]) -> list[FollowerT]:
    """Send messages to all who are in a clear lane.

    Args:
        followers: To whom.
        tails: The rest of each message, after the head that is each follower's own.

    Returns:
        Those who are not, and were sent nothing.
    """
    others: list[FollowerT] = []
    heads: dict[int, list[tuple[bytes, bytes]]] = {}
    for follower in followers:
        lane, head = follower.lane, follower.head
        if lane is None or not lane.is_clear:
            others.append(follower)
            continue
        length = len(head)
        frames = heads.get(length)
        if frames is None:
            frames = heads[length] = [(text_head(length + len(tail)), tail) for tail in tails]
        if len(frames) == 1:
            begun, tail = frames[0]
            lane.write_now(begun + head + tail)
        else:
            lane.write_now(b"".join([begun + head + tail for begun, tail in frames]))
        follower.events += len(tails)
    return others
