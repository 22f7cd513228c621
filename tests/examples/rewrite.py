"""Puts the present lines of the scripts, and what these print, into the pages; run it as a program."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))

from examples.pages import LESSON_SCRIPTS, PAGES, regions, replace_blocks, settled
from examples.runs import run_each

if TYPE_CHECKING:
    from examples.pages import Block


def main() -> None:
    """Rewrite every page."""
    runs = asyncio.run(run_each(LESSON_SCRIPTS))

    def text_of(block: Block) -> str:
        if block.quotation is not None:
            script, region = block.quotation
            return regions(script)[region]
        if block.output_of is not None:
            return settled(runs[block.output_of].output)
        return block.text

    for page in PAGES:
        replace_blocks(page, text_of)


if __name__ == "__main__":
    main()
