"""What `--limit` has to say so that one machine may be many clients, and a flood of publications is none.

Everything else keeps its default. The address is one because all clients are on this machine; the chat's clients share
ten accounts; and one socket publishes what in life a room full of people says.
"""

from __future__ import annotations

from typing import Final

_DEFAULT_SOCKETS: Final = 10_000
_PUBLICATIONS_PER_SECOND: Final = 5_000


def raised(clients: int) -> dict[str, int]:
    """Return the limits that are raised, for so many clients and one that publishes."""
    sockets = clients + 100
    return {
        **({"sockets": sockets} if sockets > _DEFAULT_SOCKETS else {}),
        "sockets_per_address": sockets,
        "sockets_per_identity": sockets,
        "messages_per_second": _PUBLICATIONS_PER_SECOND,
    }
