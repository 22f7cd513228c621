"""Keeps secrets in an address out of the HTTP library's log, which tells the whole URL of each request at INFO."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

import httpx2

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("short_addresses",)

_OURS: Final[ContextVar[bool]] = ContextVar("gqlink request", default=False)


@contextmanager
def short_addresses() -> Iterator[None]:
    """Log requests that are made meanwhile without user, password and query; those of others stay as they are."""
    logging.getLogger("httpx2").addFilter(_SHORTEN)  # harmless when it is there
    token = _OURS.set(True)
    try:
        yield
    finally:
        _OURS.reset(token)


class _Shorten(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if _OURS.get() and isinstance(record.args, tuple):
            record.args = tuple(_short(each) if isinstance(each, httpx2.URL) else each for each in record.args)
        return True


_SHORTEN: Final = _Shorten()


def _short(url: httpx2.URL) -> httpx2.URL:
    return url.copy_with(userinfo=b"", query=None)
