from __future__ import annotations

import gqlink.server

DOOR = (
    "Clock",
    "Context",
    "GraphQLApp",
    "Limits",
    "SocketEvent",
    "SystemClock",
    "Timer",
    "Transport",
)


def test_the_door_opens_to_these() -> None:
    """What stands here is promised; everything else may change."""
    assert gqlink.server.__all__ == DOOR
    assert all(hasattr(gqlink.server, name) for name in DOOR)
