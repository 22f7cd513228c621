"""The testing room: a scripted server, a proxy that fails on request, a fake clock, and transcripts with players.

The door opens when somebody asks: `pytest_plugin` lives in this room, and pytest imports it, and so this file, at
each start, whether anybody uses it or not.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

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

_MODULES: Final[Mapping[str, tuple[str, ...]]] = {
    "clock": ("FakeClock", "FakeTimer"),
    "live": ("Socket", "play_socket"),
    "pair": ("ConnectionPair",),
    "players": ("play_client", "play_joined", "play_server"),
    "playing": ("ScriptError",),
    "proxied": ("ProxiedConnection",),
    "proxy": ("FaultProxy",),
    "scripted": ("Said", "ScriptedConnection"),
    "scripted_server": ("ScriptedServer",),
    "steps": (
        "Refusal",
        "Script",
        "Step",
        "close",
        "drop",
        "expect",
        "expect_end",
        "raw",
        "refuse",
        "send",
        "wait_for",
    ),
    "transcripts": ("Dialogue", "Page", "load_pages", "parse"),
    "waiting": ("eventually",),
}
_HOMES: Final = {name: module for module, names in _MODULES.items() for name in names}


if not TYPE_CHECKING:  # or a type checker would believe in any name

    def __getattr__(name: str) -> object:
        """Import what is asked for."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
