"""Who stands at the door: what a browser sends for each kind of page, and for what is no page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from gqlink.protocol import Kind, Side
from server.raw import dialled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gqlink.protocol import Dialect

GUEST = "https://app.example"
"""The one origin that is allowed beside a server's own."""

Verdict = Literal["in", "host", "origin"]


@dataclass(frozen=True)
class Visitor:
    """Somebody who asks, and what should come of it.

    Args:
        host: The Host; `{port}` stands for the server's.
        origin: The Origin, likewise; None for none.
        site: What the browser says in `Sec-Fetch-Site`; None where it says nothing.
        alone: What should come of it: "in", or for what they are refused.
        cookie: The same, when they bring a cookie that would say who they are.
    """

    host: str
    origin: str | None
    site: str | None
    alone: Verdict
    cookie: Verdict

    def headers(self, port: str) -> dict[str, str]:
        """What they send to the server at this port."""
        sent = {"host": self.host, "origin": self.origin, "sec-fetch-site": self.site}
        return {name: value.replace("{port}", port) for name, value in sent.items() if value is not None}


OWN = "localhost:{port}"
VISITORS = {
    "own page": Visitor(OWN, "http://localhost:{port}", "same-origin", "in", "in"),
    "own page in an old browser": Visitor(OWN, "http://localhost:{port}", None, "in", "in"),
    "own page in upper case": Visitor("LOCALHOST:{port}", "HTTP://LOCALHOST:{port}", None, "in", "in"),
    "own page by its address": Visitor("127.0.0.1:{port}", "http://127.0.0.1:{port}", "same-origin", "in", "in"),
    "guest": Visitor(OWN, GUEST, "cross-site", "in", "in"),
    "guest in upper case": Visitor(OWN, GUEST.upper(), None, "in", "in"),
    "foreign": Visitor(OWN, "https://evil.example", "cross-site", "origin", "origin"),
    "foreign in an old browser": Visitor(OWN, "https://evil.example", None, "origin", "origin"),
    "foreign with our name in it": Visitor(OWN, "http://localhost.evil.example:{port}", None, "origin", "origin"),
    "foreign that claims to be us": Visitor(OWN, "https://evil.example", "same-origin", "origin", "origin"),
    "null": Visitor(OWN, "null", "cross-site", "origin", "origin"),
    "null in an old browser": Visitor(OWN, "null", None, "origin", "origin"),
    "subdomain": Visitor(OWN, "http://sub.localhost:{port}", "same-site", "origin", "origin"),
    "subdomain of the guest": Visitor(OWN, "https://sub.app.example", None, "origin", "origin"),
    "other port": Visitor(OWN, "http://localhost:1", "same-site", "origin", "origin"),
    "other port of the guest": Visitor(OWN, f"{GUEST}:8443", None, "origin", "origin"),
    "other name of this machine": Visitor(OWN, "http://127.0.0.1:{port}", "cross-site", "origin", "origin"),
    "guest without its TLS": Visitor(OWN, "http://app.example", None, "origin", "origin"),
    "own page without our TLS": Visitor(OWN, "http://localhost:{port}", "cross-site", "origin", "origin"),
    "absent": Visitor(OWN, None, None, "in", "origin"),
    "absent, of another site": Visitor(OWN, None, "cross-site", "origin", "origin"),
    "absent, of a sister site": Visitor(OWN, None, "same-site", "origin", "origin"),
    "absent, typed": Visitor(OWN, None, "none", "in", "origin"),
    "rebinding": Visitor("evil.example:{port}", "http://evil.example:{port}", "same-origin", "host", "host"),
    "rebinding in an old browser": Visitor("evil.example:{port}", None, None, "host", "host"),
    "rebinding by a guest": Visitor("evil.example:{port}", GUEST, None, "host", "host"),
}
STATUS = {"host": 400, "origin": 403}


async def open_socket(
    authority: str, dialect: Dialect, *, headers: Mapping[str, str], query: str
) -> tuple[int, dict[str, Any] | None]:
    """Open a socket with the headers of a browser; return the status, and what a query is then answered with."""
    fields = {name.title(): value for name, value in headers.items()}
    async with dialled(authority) as raw:
        status = await raw.shake_hands(authority, subprotocol=dialect.subprotocol, **fields)
        if status != 101:
            return status, None
        raw.send({"type": dialect.types[Side.CLIENT, Kind.CONNECTION_INIT]})
        await raw.message()
        raw.send({"type": dialect.types[Side.CLIENT, Kind.SUBSCRIBE], "id": "1", "payload": {"query": query}})
        data: dict[str, Any] | None = (await raw.message())["payload"]["data"]
        return status, data
