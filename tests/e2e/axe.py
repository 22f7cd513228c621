"""axe-core, which finds the barriers in a page that a program can find."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from interop.node import install

if TYPE_CHECKING:
    from playwright.async_api import Page

_FOLDER: Final = Path(__file__).parent / "npm"
# A colour on its way from one to another has a contrast of neither.
_RUN: Final = """async () => {
    for (let frames = 0; frames < 2; frames += 1) await new Promise(requestAnimationFrame);
    await Promise.allSettled(document.getAnimations().map(({ finished }) => finished));
    const { violations } = await axe.run();
    return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join("  ")}`);
}"""


async def violations(page: Page) -> list[str]:
    """Judge a page as it stands by all of axe's rules; say what it breaks.

    Args:
        page: Any; the browser's debugger brings the program in, so the page's policy is untouched.
    """
    await page.evaluate(_source())
    found: list[str] = await page.evaluate(_RUN)
    return found


async def has_no_barriers(page: Page) -> None:
    """Judge a page as it stands, in both colour schemes."""
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        await page.emulate_media(color_scheme=scheme)
        assert await violations(page) == []


@cache
def _source() -> str:
    install(_FOLDER)
    return (_FOLDER / "node_modules" / "axe-core" / "axe.min.js").read_text()
