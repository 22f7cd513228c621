from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from gqlink.server import BuiltPage, Doorkeeper, security_policy

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = "console.log('page');" * 100
ASSET = "/assets/page-1a2b3c.js"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a build leaves; beside it lies a file that is nobody's business."""
    folder = tmp_path / "page"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>page</title>")
    (folder / "favicon.svg").write_text("<svg/>")
    (folder / "assets" / "page-1a2b3c.js").write_text(SCRIPT)
    (folder / "assets" / "font.woff2").write_bytes(b"\0" * 500)
    (tmp_path / "secret.txt").write_text("secret")
    return folder


def browser(folder: Path, *, mount: str = "") -> httpx2.AsyncClient:
    """Somebody who asks for the page."""
    page = BuiltPage(folder, policy=security_policy(), doorkeeper=Doorkeeper(("localhost",), ()))
    routes = page.routes("/")
    app = Starlette(routes=[Mount(mount, routes=routes)] if mount else routes)
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://localhost")


def directives(answer: httpx2.Response) -> dict[str, str]:
    """The Content-Security-Policy of an answer."""
    parts = (part.strip().partition(" ") for part in answer.headers["content-security-policy"].split(";"))
    return {name: sources for name, _, sources in parts}


async def test_a_page_may_load_from_its_server_only(folder: Path) -> None:
    """No inline script, no inline style, no frame round it, no plug-in, no base."""
    async with browser(folder) as client:
        answer = await client.get("/")
    assert answer.status_code == 200
    assert directives(answer) == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "font-src": "'self'",
        "manifest-src": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "form-action": "'self'",
    }


@pytest.mark.parametrize("path", ["/", ASSET, "/favicon.svg", "/assets/nothing.js"])
async def test_every_answer_is_closed_to_tricks(folder: Path, path: str) -> None:
    """A browser guesses no type, tells nobody where it was, and shares no window."""
    async with browser(folder) as client:
        headers = (await client.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "content-security-policy" in headers


async def test_assets_are_kept_and_the_page_is_asked_for_again(folder: Path) -> None:
    """The name of an asset says its content; the page's does not."""
    async with browser(folder) as client:
        asset, page, icon = [await client.get(path) for path in (ASSET, "/", "/favicon.svg")]
        again = await client.get("/", headers={"if-none-match": page.headers["etag"]})
    assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert asset.headers["content-type"] == "text/javascript; charset=utf-8"
    assert page.headers["cache-control"] == icon.headers["cache-control"] == "no-cache"
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", page.headers["etag"])


@pytest.mark.parametrize(
    ("accepted", "path", "is_compressed"),
    [
        ("gzip, deflate, br", ASSET, True),
        ("br;q=1.0, GZIP;q=0.5", ASSET, True),
        ("gzip;q=0", ASSET, False),
        ("identity", ASSET, False),
        ("gzip", "/favicon.svg", False),
        ("gzip", "/assets/font.woff2", False),
    ],
)
async def test_what_gets_shorter_is_compressed_for_who_takes_it(
    folder: Path, accepted: str, path: str, *, is_compressed: bool
) -> None:
    """And caches on the way are told."""
    async with browser(folder) as client, client.stream("GET", path, headers={"accept-encoding": accepted}) as answer:
        raw = b"".join([chunk async for chunk in answer.aiter_raw()])
    assert (answer.headers.get("content-encoding") == "gzip") is is_compressed
    assert answer.headers["vary"] == "accept-encoding"
    assert int(answer.headers["content-length"]) == len(raw)
    if is_compressed:
        assert gzip.decompress(raw).decode() == SCRIPT


@pytest.mark.parametrize(
    "path", ["/assets/../../secret.txt", "/assets/%2e%2e/%2e%2e/secret.txt", "/assets//etc/passwd", "/assets/", "/x"]
)
async def test_no_path_leads_out_of_the_folder(folder: Path, path: str) -> None:
    """Only what was there when the page was made is served."""
    async with browser(folder) as client:
        assert (await client.get(path)).status_code == 404


async def test_a_page_under_a_foreign_name_is_not_shown(folder: Path) -> None:
    """The name may have been rebound to this machine, so that the page would be of the same origin."""
    async with browser(folder) as client:
        answers = [await client.get(path, headers={"host": "evil.example"}) for path in ("/", ASSET, "/favicon.svg")]
        foreign = await client.get(ASSET, headers={"origin": "https://evil.example"})
        own = await client.get(ASSET, headers={"origin": "http://localhost"})
    assert [answer.status_code for answer in answers] == [400, 400, 400]
    assert (foreign.status_code, own.status_code) == (403, 200)


async def test_a_page_cannot_be_posted_to(folder: Path) -> None:
    """GET and HEAD are all there is."""
    async with browser(folder) as client:
        assert (await client.post("/")).status_code == 405
        assert (await client.head("/")).status_code == 200


async def test_a_page_works_under_a_mount(folder: Path) -> None:
    """Its addresses are relative."""
    async with browser(folder, mount="/chat") as client:
        assert (await client.get("/chat/")).status_code == 200
        assert (await client.get(f"/chat{ASSET}")).text == SCRIPT


async def test_a_page_that_is_not_built_says_how_to_build_it(tmp_path: Path) -> None:
    """In a sentence, without a traceback."""
    async with browser(tmp_path / "nothing") as client:
        answer = await client.get("/")
        foreign = await client.get("/", headers={"host": "evil.example"})
    assert (answer.status_code, answer.headers["content-type"]) == (503, "text/plain; charset=utf-8")
    assert "make setup" in answer.text
    assert foreign.status_code == 400


def test_a_policy_may_be_loosened_by_name() -> None:
    """One directive at a time."""
    policy = security_policy(worker_src="'self' blob:", style_src="'self' 'unsafe-inline'")
    assert "worker-src 'self' blob:" in policy
    assert "style-src 'self' 'unsafe-inline'" in policy
    assert "script-src 'self';" in policy
