from __future__ import annotations

import pytest

from gqlink.server.origin import Doorkeeper

HOSTS = ("localhost", "127.0.0.1", "::1", "Chat.Example")


def status(
    host: str | None, origin: str | None = None, *, cookie: bool = False, allowed: tuple[str, ...] = ()
) -> int | None:
    """Return the status of the refusal, or None."""
    hosts = [] if host is None else [host]
    origins = [] if origin is None else [origin]
    refusal = Doorkeeper(HOSTS, allowed).refusal(hosts=hosts, origins=origins, cookie=cookie)
    return None if refusal is None else refusal.status


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
    refusal = Doorkeeper(("*",), ()).refusal(hosts=["localhost", "evil.example"], origins=[], cookie=False)
    assert refusal is not None
    assert refusal.status == 400


def test_every_host_may_be_allowed() -> None:
    """Behind a proxy that looks at it itself."""
    assert Doorkeeper(("*",), ()).refusal(hosts=["any.example"], origins=[], cookie=False) is None


def test_allowed_hosts_may_have_brackets() -> None:
    """Both ways to write an IPv6 address mean the same."""
    assert Doorkeeper(("[::1]",), ()).refusal(hosts=["[::1]:80"], origins=[], cookie=False) is None


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
    refusal = Doorkeeper(HOSTS, ()).refusal(
        hosts=["localhost"], origins=["http://localhost", "http://evil.example"], cookie=False
    )
    assert refusal is not None
    assert refusal.status == 403


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
    refusal = Doorkeeper(HOSTS, ()).refusal(hosts=[host], origins=[origin] if origin else [], cookie=False)
    assert refusal is not None
    assert ("allowed_origins" if origin else "allowed_hosts") in refusal.message
