"""The testing room: a scripted server, a proxy that fails on request, a fake clock, and transcripts with players."""

from gqlink.testing.clock import FakeClock, FakeTimer
from gqlink.testing.live import Socket, play_socket
from gqlink.testing.pair import ConnectionPair
from gqlink.testing.players import play_client, play_joined, play_server
from gqlink.testing.playing import ScriptError
from gqlink.testing.proxied import ProxiedConnection
from gqlink.testing.proxy import FaultProxy
from gqlink.testing.scripted import Said, ScriptedConnection
from gqlink.testing.scripted_server import ScriptedServer
from gqlink.testing.steps import (
    Refusal,
    Script,
    Step,
    close,
    drop,
    expect,
    expect_end,
    raw,
    refuse,
    send,
    wait_for,
)
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
    "Refusal",
    "Said",
    "Script",
    "ScriptError",
    "ScriptedConnection",
    "ScriptedServer",
    "Socket",
    "Step",
    "close",
    "drop",
    "eventually",
    "expect",
    "expect_end",
    "load_pages",
    "parse",
    "play_client",
    "play_joined",
    "play_server",
    "play_socket",
    "raw",
    "refuse",
    "send",
    "wait_for",
)
