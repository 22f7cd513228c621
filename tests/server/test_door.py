from __future__ import annotations

import gqlink.server

DOOR = (
    "AUTHORIZATION_DIRECTIVES",
    "COST_DIRECTIVES",
    "BuiltPage",
    "Clock",
    "Context",
    "CrossOrigin",
    "Doorkeeper",
    "FileRevocationStore",
    "GraphQLApp",
    "Limits",
    "Playground",
    "Policy",
    "PolicyEvent",
    "PolicyOperation",
    "Requirements",
    "RevocationStore",
    "ServerStatistics",
    "SocketEvent",
    "SystemClock",
    "Timer",
    "Transport",
    "security_policy",
)


def test_the_door_opens_to_these() -> None:
    """What stands here is promised; everything else may change."""
    assert gqlink.server.__all__ == DOOR
    assert all(hasattr(gqlink.server, name) for name in DOOR)
