"""The machine's Chromium, and windows in it that remember everything that went wrong in their pages."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NotRequired, Protocol, TypedDict, Unpack

from playwright.async_api import async_playwright

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from playwright.async_api import (
        Browser,
        BrowserContext,
        ConsoleMessage,
        Error,
        Page,
        Request,
        Response,
        ViewportSize,
        WebSocket,
    )

WITHIN_MILLISECONDS: Final = 20_000
DESKTOP: Final[ViewportSize] = {"width": 1280, "height": 800}
PHONE: Final[ViewportSize] = {"width": 390, "height": 844}

# No sandbox: tests run as root in containers. The rest keeps the browser from talking to anybody but the page.
_ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
# The browser says a violation on the console, too; this is the page's own event, so that none is missed.
_TELL_VIOLATIONS: Final = """addEventListener("securitypolicyviolation", (event) =>
    console.error(`Content-Security-Policy: ${event.violatedDirective} refused ${event.blockedURI}`))"""
_FAILED: Final = 400


class ChromiumMissing(Exception):
    """There is no browser on this machine."""

    def __str__(self) -> str:
        return f"The end-to-end tests need one of {', '.join(_NAMES)} on PATH. On Debian: apt-get install chromium"


def find_chromium() -> str:
    """Return the path of the machine's browser.

    Raises:
        ChromiumMissing: There is none.
    """
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise ChromiumMissing
    return found


@asynccontextmanager
async def launched() -> AsyncIterator[Browser]:
    """Run a headless Chromium; contexts in it share nothing, so one does for many tests."""
    executable = find_chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


@dataclass(frozen=True)
class Frame:
    """A WebSocket frame as it passed, unlike the page's own record of it."""

    direction: Literal["sent", "received"]
    type: str
    payload: object


@dataclass(frozen=True)
class Socket:
    """A WebSocket of a page, and its frames so far."""

    url: str
    frames: list[Frame] = field(default_factory=list)
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, frame: Frame) -> None:
        """Take note of a frame."""
        self.frames.append(frame)
        self._came.set()

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so, which can only change with a frame."""
        async with asyncio.timeout(WITHIN_MILLISECONDS / 1_000):
            while not condition():
                self._came.clear()
                await self._came.wait()

    def payloads(self, kind: str) -> list[object]:
        """Return the payloads of frames of one type, in order."""
        return [frame.payload for frame in self.frames if frame.type == kind]


class WindowOptions(TypedDict):
    """How a window is; in Playwright's words."""

    viewport: NotRequired[ViewportSize]
    color_scheme: NotRequired[Literal["light", "dark"]]
    has_touch: NotRequired[bool]
    timezone_id: NotRequired[str]


class Person:
    """Somebody's browser: its tabs share cookies and storage, and share nothing with other people's.

    Args:
        context: Playwright's.
    """

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.sockets: list[Socket] = []
        self._problems: list[str] = []
        self._expected: list[re.Pattern[str]] = []

    def expects(self, *patterns: str) -> None:
        """Name problems that a test causes on purpose."""
        self._expected += [re.compile(pattern) for pattern in patterns]

    @property
    def problems(self) -> list[str]:
        """What went wrong in the pages so far, and was not expected."""
        return [text for text in self._problems if not any(pattern.search(text) for pattern in self._expected)]

    async def tab(self, url: str) -> Page:
        """Open an address in a new tab."""
        page = await self.context.new_page()
        await page.goto(url)
        return page

    def watch(self, page: Page) -> None:
        """Remember what goes wrong in a page; every page of the context comes here."""
        page.on("console", self._on_console)
        page.on("pageerror", self._on_page_error)
        page.on("requestfailed", self._on_request_failed)
        page.on("response", self._on_response)
        page.on("websocket", self._on_websocket)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self._problems.append(f"console: {message.text}")

    def _on_page_error(self, error: Error) -> None:
        self._problems.append(f"error: {error.message}")

    def _on_request_failed(self, request: Request) -> None:
        # Aborted is what the page gave up itself, such as what was under way when it was left.
        if request.failure != "net::ERR_ABORTED":
            self._problems.append(f"request: {request.method} {request.url}: {request.failure}")

    def _on_response(self, response: Response) -> None:
        if response.status >= _FAILED:
            self._problems.append(f"response: {response.request.method} {response.url}: {response.status}")

    def _on_websocket(self, websocket: WebSocket) -> None:
        socket = Socket(websocket.url)
        self.sockets.append(socket)
        websocket.on("framesent", lambda text: socket.add(_frame("sent", text)))
        websocket.on("framereceived", lambda text: socket.add(_frame("received", text)))


class MeetPerson(Protocol):
    """Opens a browser for somebody."""

    async def __call__(self, **options: Unpack[WindowOptions]) -> Person:
        """Open it; whatever goes wrong in its pages, and is not expected, fails the test."""


@asynccontextmanager
async def person(browser: Browser, **options: Unpack[WindowOptions]) -> AsyncIterator[Person]:
    """Open a browser of somebody's own; in the end nothing may have gone wrong in it."""
    chosen: WindowOptions = {"viewport": DESKTOP, **options}
    context = await browser.new_context(locale="en-GB", reduced_motion="reduce", **chosen)
    try:
        context.set_default_timeout(WITHIN_MILLISECONDS)
        await context.add_init_script(_TELL_VIOLATIONS)
        somebody = Person(context)
        context.on("page", somebody.watch)
        yield somebody
        assert somebody.problems == [], somebody.problems
    finally:
        await context.close()


def _frame(direction: Literal["sent", "received"], text: str | bytes) -> Frame:
    message = json.loads(text)
    return Frame(direction, message["type"], message.get("payload"))
