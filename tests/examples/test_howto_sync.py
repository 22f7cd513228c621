"""The guide for synchronous code does what it says, against a chat that really serves."""

from __future__ import annotations

from examples.howto_scripts import FOLDER
from examples.runs import demo_chat, messages, run_script


async def test_the_script_hears_what_it_says() -> None:
    """In a script, in threads, and where a loop runs."""
    async with demo_chat() as server:
        run = await run_script(FOLDER / "synchronous.py", server=server)
        assert (run.code, run.complaints) == (0, "")
        assert run.output.splitlines() == [
            "{'messageAdded': {'from': 'alice', 'text': 'Good morning'}}",
            "heard 10, and nothing more for now",
            "{'viewer': None}",
        ]
        said = await messages(server)
        assert isinstance(said, list)
        assert len(said) == 11
