from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from gqlink.server.origin import Doorkeeper, Refusal

HOSTS = ("localhost", "127.0.0.1", "::1", "Chat.Example", "xn--bcher-kva.example")
APP = "https://app.example"


def headers(**fields: str | list[str] | None) -> Headers:
    """Write headers; a list is sent one by one."""
    found: list[tuple[bytes, bytes]] = []
    for name, value in fields.items():
        values = [] if value is None else [value] if isinstance(value, str) else value
        found += [(name.replace("_", "-").encode(), each.encode("latin-1")) for each in values]
    return Headers(raw=found)


def refusal(
    host: str | list[str] | None,
    origin: str | list[str] | None = None,
    *,
    hosts: tuple[str, ...] = HOSTS,
    allowed: tuple[str, ...] = (),
    cookie: bool = False,
    page: bool = False,
    **fields: str | list[str],
) -> Refusal | None:
    """Ask a doorkeeper."""
    sent = headers(host=host, origin=origin, **fields)
    return Doorkeeper(hosts, allowed).refusal(sent, cookie=cookie, page=page)


def status(host: str | list[str] | None, origin: str | list[str] | None = None, **options: object) -> int | None:
    """Return the status of the refusal, or None."""
    found = refusal(host, origin, **options)  # type: ignore[arg-type] # as `refusal` has them
    return None if found is None else found.status


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:9000",
        "LOCALHOST:9000",
        "127.0.0.1",
        "127.0.0.1:80",
        "[::1]",
        "[::1]:9000",
        "chat.example",
        "CHAT.example:443",
        "XN--bcher-KVA.example",
    ],
)
def test_a_host_that_was_meant_gets_in(host: str) -> None:
    """Whatever its case and port."""
    assert status(host) is None


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example",
        "localhost.evil.example",
        "evil-localhost",
        "localhost.",
        "localhost:9000.",
        ".localhost",
        "localhost:",
        "localhost:9000:9000",
        "localhost:http",
        "localhost:\xb2",
        "localhost:9000@evil.example",
        "localhost, evil.example",
        "local host",
        "localhost ",
        " localhost",
        "local\thost",
        "localhost\n",
        "localhost\x00",
        "localhost/",
        "localhost\\",
        "http://localhost",
        "//localhost",
        "b\xfccher.example",
        "::1",
        "[127.0.0.1]",
        "[::1]x",
        "[::1%25lo]",
        "localhost@evil.example",
        "evil.example/@localhost",
        "evil.example#localhost",
        "evil.example?localhost",
        "user@localhost",
        "[::1",
        "[::2]",
        "127.0.0.2",
        "0.0.0.0",
    ],
)
def test_a_foreign_host_does_not(host: str | None) -> None:
    """A page whose name was rebound to this machine gives itself away by it."""
    assert status(host) == 400


def test_more_than_one_host_is_no_host() -> None:
    """Somebody before us may have looked at the other one."""
    assert status(["localhost", "evil.example"], hosts=("*",)) == 400
    assert status(["localhost", "localhost"]) == 400


def test_every_host_may_be_allowed() -> None:
    """Behind a proxy that looks at it itself."""
    assert status("any.example", hosts=("*",)) is None


def test_allowed_hosts_may_have_brackets() -> None:
    """Both ways to write an IPv6 address mean the same."""
    assert status("[::1]:80", hosts=("[::1]",)) is None
    assert status("[::1]:80", hosts=("::1",)) is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "localhost:9000",
        "http://localhost",
        "[::1]:80",
        "*.example",
        "b\xfccher.example",
        "\u212aelvin",
        "a b",
        "a,b",
    ],
)
def test_a_host_that_nobody_could_ask_for_is_a_mistake(name: str) -> None:
    """It would allow nothing, and its author would believe it did."""
    with pytest.raises(ValueError, match="name without a port"):
        Doorkeeper((name,), ())


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "*",
        "null",
        "chat.example",
        "//chat.example",
        "https://",
        "https://*",
        "https://*.example",
        "https://chat.example/app",
        "https://user@chat.example",
        "https://chat.example:",
        "https://chat.example:80*",
        "https://chat.example:*:*",
        "https://b\xfccher.example",
        "http\u017f://chat.example",
    ],
)
def test_an_origin_that_no_page_could_have_is_a_mistake(origin: str) -> None:
    """So is one that any page can have: everybody, or the `null` of a frame in a sandbox."""
    with pytest.raises(ValueError, match="an origin is such as"):
        Doorkeeper((), (origin,))


def test_a_page_need_not_come_by_http() -> None:
    """An extension or an application with pages of its own has an origin too."""
    assert status("localhost", "chrome-extension://abc") == 403
    assert status("localhost", "chrome-extension://abc", allowed=("chrome-extension://abc",)) is None


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:9000", "http://localhost:9000"),
        ("localhost:9000", "HTTP://LOCALHOST:9000"),
        ("localhost", "http://localhost"),
        ("localhost", "http://localhost:80"),
        ("localhost:80", "http://localhost"),
        ("localhost", "https://localhost"),
        ("localhost:443", "https://localhost"),
        ("[::1]:9000", "http://[::1]:9000"),
        ("xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ],
)
def test_a_page_of_the_same_origin_gets_in(host: str, origin: str) -> None:
    """The scheme is left out: behind a proxy the server does not know its own."""
    assert status(host, origin, cookie=True) is None


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://evil.example",
        "http://localhost:9001",
        "http://localhost",
        "http://sub.localhost:9000",
        "http://localhost.evil.example:9000",
        "http://127.0.0.1:9000",
        "file://",
        "chrome-extension://abc",
        "localhost:9000",
        "http://[::1",
        "http://localhost:99999",
    ],
)
@pytest.mark.parametrize("cookie", [True, False])
def test_a_page_of_another_origin_does_not(origin: str, cookie: bool) -> None:  # noqa: FBT001 -- a parameter
    """Another port is another origin, and so is another name of the same machine."""
    assert status("localhost:9000", origin, cookie=cookie) == 403


def test_two_origins_are_none() -> None:
    """A browser sends one."""
    assert status("localhost", ["http://localhost", "http://evil.example"]) == 403
    assert status("localhost", ["http://localhost", "http://localhost"]) == 403
    assert status("localhost", f"{APP}, http://evil.example", allowed=(APP,)) == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "CROSS-SITE", "", "none, cross-site", "some-new-site"])
def test_what_another_site_loads_is_refused(site: str) -> None:
    """An image, a script or a link has no Origin; the browser says where it comes from, and no page can change that."""
    assert status("localhost", sec_fetch_site=site) == 403
    assert status("localhost", sec_fetch_site=["none", site]) == 403


@pytest.mark.parametrize("site", ["same-origin", "none", "Same-Origin"])
def test_what_a_page_of_ours_or_a_user_asks_gets_in(site: str) -> None:
    """`none` is an address that somebody has typed. It stands for no Origin beside a cookie."""
    assert status("localhost", sec_fetch_site=site) is None
    assert status("localhost", sec_fetch_site=site, cookie=True) == 403


def test_an_allowed_origin_may_be_of_another_site() -> None:
    """That is what it is allowed for."""
    for site in ("cross-site", "same-site", "same-origin"):
        assert status("localhost", APP, sec_fetch_site=site, allowed=(APP,), cookie=True) is None


def test_the_browser_knows_the_scheme_that_the_server_does_not() -> None:
    """Whoever can put a page under our name without TLS is another site to it, also behind a proxy."""
    assert status("chat.example", "http://chat.example", sec_fetch_site="cross-site") == 403
    assert status("chat.example", "http://chat.example", sec_fetch_site="same-origin") is None


def test_a_link_leads_to_a_page() -> None:
    """Not so what another site shows in a frame or loads unseen, nor a link to what is no page."""
    link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert status("localhost", page=True, **link) is None
    assert status("localhost", **link) == 403
    assert status("localhost", page=True, **link | {"sec_fetch_dest": "iframe"}) == 403
    assert status("localhost", page=True, **link | {"sec_fetch_mode": "no-cors"}) == 403
    assert status("localhost", "http://evil.example", page=True, **link) == 403
    assert status("evil.example", page=True, **link) == 400


def test_without_an_origin_a_cookie_does_not_count() -> None:
    """A program has no Origin and no cookie; a page that hides its Origin must not borrow one."""
    assert status("localhost") is None
    assert status("localhost", cookie=True) == 403


@pytest.mark.parametrize(
    ("origin", "admitted"),
    [
        ("https://app.example", True),
        ("HTTPS://App.Example", True),
        ("https://app.example:8443", False),
        ("http://app.example", False),
        ("https://sub.app.example", False),
        ("https://app.example.evil.example", False),
        ("http://dev.example", True),
        ("http://dev.example:5173", True),
        ("http://dev.example:5173x", False),
        ("http://dev.example:", False),
        ("http://dev.example.evil.example", False),
        ("http://dev.example:@evil.example", False),
        ("http://dev.example:\xb2", False),
        ("http://dev.example:*", False),
        ("http://dev.example:1:2", False),
        ("https://app.example/", False),
        ("https://app.example:443", False),
        ("https://app.example.", False),
        ("null", False),
    ],
)
def test_other_origins_may_be_allowed(origin: str, admitted: bool) -> None:  # noqa: FBT001 -- a parameter
    """One by one, or every port of one."""
    allowed = ("https://app.example/", "http://dev.example:*")
    assert (status("localhost", origin, cookie=True, allowed=allowed) is None) is admitted


def test_an_allowed_origin_does_not_help_a_foreign_host() -> None:
    """The Host is looked at first."""
    assert status("evil.example", "https://app.example", allowed=("https://app.example",)) == 400


@pytest.mark.parametrize(("host", "origin"), [("evil.example", None), ("localhost", "http://evil.example")])
def test_a_refusal_says_which_setting_would_allow_it(host: str, origin: str | None) -> None:
    """For the one who runs the server; the stranger learns nothing from it."""
    found = refusal(host, origin)
    assert found is not None
    assert ("allowed_origins" if origin else "allowed_hosts") in found.message
