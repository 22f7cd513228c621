import subprocess
import sys
from pathlib import Path

import gqlink.pubsub

SOURCE = Path(gqlink.pubsub.__file__).parents[2]


def test_the_door_lists_what_is_public() -> None:
    """Everything in `__all__` is there, sorted, and nothing else is promised."""
    assert gqlink.pubsub.__all__ == (
        "Broker",
        "MemoryBroker",
        "Position",
        "Publication",
        "Statistics",
        "Stream",
        "Subscription",
        "Topic",
    )
    assert all(hasattr(gqlink.pubsub, name) for name in gqlink.pubsub.__all__)


def test_the_room_needs_nothing_beside_python() -> None:
    """It opens in an interpreter without any installed package."""
    code = f"import sys; sys.path.insert(0, {str(SOURCE)!r}); import gqlink.pubsub; print(len(gqlink.pubsub.__all__))"
    ran = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, check=True, timeout=30)
    assert ran.stdout.strip() == b"8"
