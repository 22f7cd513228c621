"""The testing room: transcripts with their players, and a proxy that fails on request."""

from gqlink.testing.clock import FakeClock, FakeTimer
from gqlink.testing.live import Socket, play_socket
from gqlink.testing.pair import ConnectionPair
from gqlink.testing.players import play_client, play_joined, play_server
from gqlink.testing.proxied import ProxiedConnection
from gqlink.testing.proxy import FaultProxy
from gqlink.testing.transcripts import Dialogue, Page, load_pages, parse
from gqlink.testing.waiting import eventually

__all__ = (
    "ConnectionPair",
    "Dialogue",
    "FakeClock",
    "FakeTimer",
    "FaultProxy",
    "Page",
    "ProxiedConnection",
    "Socket",
    "eventually",
    "load_pages",
    "parse",
    "play_client",
    "play_joined",
    "play_server",
    "play_socket",
)
