"""When a server that refused asks to be asked again, and who listens."""

from __future__ import annotations

import asyncio

import pytest
from multidict import CIMultiDict

from client.hands import FakeClock, until
from gqlink.client import Client, LinkPhase, WebSocketLink
from gqlink.client.retry_after import read_retry_after

# Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110, section 5.6.7.
WALL = 784_111_777.0


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60.0),
        ("Sunday, 06-Nov-94 08:50:37 GMT", 60.0),
        ("Sun Nov  6 08:50:37 1994", 60.0),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0.0),
        ("Fri, 06 Nov 2099 08:00:00 GMT", 3600.0),
        ("99999999", 3600.0),
        ("9" * 400, 3600.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("nan", None),
        ("٣", None),
        ("Sun, 99 Nov 1994 08:50:37 GMT", None),
    ],
)
def test_both_forms_are_read_and_nonsense_is_not(said: str, seconds: float | None) -> None:
    """Seconds, or a date in any of HTTP's three spellings; an hour at most."""
    assert read_retry_after(CIMultiDict({"retry-after": said}), wall=WALL) == seconds


def test_a_date_is_counted_from_the_servers_own() -> None:
    """The two clocks need not agree."""
    headers = CIMultiDict({"Retry-After": "Sun, 06 Nov 1994 09:00:00 GMT", "Date": "Sun, 06 Nov 1994 08:59:30 GMT"})
    assert read_retry_after(headers, wall=0.0) == 30.0


def test_no_header_says_nothing() -> None:
    """That is most servers."""
    assert read_retry_after({}, wall=WALL) is None


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
async def test_a_refused_upgrade_is_not_tried_again_before_its_time(status: str) -> None:
    """Whatever the dice say: the link waits for at least as long as it was told to."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\nRetry-After: 42\r\n\r\n".encode())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    link = WebSocketLink(url, lazy=False, clock=FakeClock(chance=0.0))
    async with Client(link):
        await until(lambda: link.state.phase is LinkPhase.WAITING)
        assert link.state.retry_in is not None
        assert link.state.retry_in >= 42.0
    server.close()
