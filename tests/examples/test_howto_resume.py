"""The how-to guide's server can be resumed, and says so where it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from examples.howto_scripts import load, on_the_path
from server.peer import NEWER, Peer, member
from serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEARD = "subscription { noteAdded }"


@pytest.fixture
def resume_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The script, whose table is in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    with on_the_path():
        yield load("resume_app")


async def listen(peer: Peer, wish: dict[str, object]) -> dict[str, Any]:
    """Subscribe, and return what the start says."""
    await peer.start(HEARD, extensions={"gqlink": wish})
    start: dict[str, Any] = (await peer.receive())["payload"]["extensions"]["gqlink"]
    return start


async def test_what_was_added_meanwhile_is_heard(resume_app: Any) -> None:
    """After the cursor of the last note that was heard."""
    async with serving(resume_app.app) as authority:
        async with member(authority, NEWER) as peer:
            assert not (await listen(peer, {"cursor": True}))["recovered"]
            await resume_app.notes.add("one")
            one = (await peer.receive())["payload"]
            assert one["data"] == {"noteAdded": "one"}
        await resume_app.notes.add("two")
        async with member(authority, NEWER) as peer:
            assert (await listen(peer, {"after": one["extensions"]["gqlink"]["cursor"]}))["recovered"]
            assert (await peer.receive())["payload"]["data"] == {"noteAdded": "two"}
            assert (await peer.ask("{ notes }", id="2"))[0]["payload"] == {"data": {"notes": ["one", "two"]}}
            added = await peer.ask('mutation { addNote(text: "three") }', id="3")
            assert {"data": {"addNote": "three"}} in [message.get("payload") for message in added]


async def test_what_was_stored_and_not_heard_is_told(resume_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Listeners are closed, and their cursors of no use."""

    async def fail(topic: str, data: object) -> None:
        raise ConnectionError(topic, data)

    async with serving(resume_app.app) as authority:
        async with member(authority, NEWER) as peer:
            start = await listen(peer, {"cursor": True})
            with monkeypatch.context() as broken:
                broken.setattr(resume_app.graphql.broker, "publish", fail)
                with pytest.raises(ConnectionError):
                    await resume_app.notes.add("one")
            assert await peer.closed() == (4490, "Slow consumer")
        async with member(authority, NEWER) as peer:
            assert not (await listen(peer, {"after": start["cursor"]}))["recovered"]
    assert resume_app.notes.all() == ["one"]
