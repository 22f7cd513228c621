from __future__ import annotations

import gqlink.chat


def test_the_door_shows_what_others_may_use() -> None:
    """Anything else is the room's own business."""
    assert gqlink.chat.__all__ == (
        "DEMO_PASSWORDS",
        "Accounts",
        "Administration",
        "ChatSettings",
        "create_app",
        "open_administration",
    )
    assert all(hasattr(gqlink.chat, name) for name in gqlink.chat.__all__)
