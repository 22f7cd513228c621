"""A lock between processes that nobody's event loop waits for."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from gqlink.errors import AuthUnavailable, DataUnusable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

__all__ = ("locked",)

_POLL_SECONDS: Final = 0.02


@asynccontextmanager
async def locked(path: Path, *, seconds: float) -> AsyncIterator[None]:
    """Hold the lock of a file while the block runs; a process that dies lets go of it.

    It is asked for again and again in a thread, rather than waited for in one: such a thread could not be stopped,
    and would keep the process from ending.

    Args:
        path: The file, which stays empty; it is made, closed to others, when it is not there.
        seconds: How long to wait for whoever holds it.

    Raises:
        AuthUnavailable: Somebody else held it all the time.
        DataUnusable: The file cannot be opened.
    """
    try:
        async with asyncio.timeout(seconds):
            while (descriptor := await _attempt(path)) is None:  # noqa: ASYNC110 -- other processes set no event
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise AuthUnavailable(f"another process holds {path}") from None
    try:
        yield
    finally:
        os.close(descriptor)


async def _attempt(path: Path) -> int | None:
    attempt = asyncio.get_running_loop().run_in_executor(None, _try, path)
    try:
        return await asyncio.shield(attempt)
    except asyncio.CancelledError:
        attempt.add_done_callback(_let_go)
        raise


def _try(path: Path) -> int | None:
    """Return a descriptor that holds the lock, or None."""
    import fcntl  # not at the top: where there is none, the rest of the client works

    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise DataUnusable(str(path), detail=f"it cannot be opened ({exc.strerror})") from exc
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError as exc:
        os.close(descriptor)
        raise DataUnusable(str(path), detail=f"it cannot be locked ({exc.strerror})") from exc
    return descriptor


def _let_go(attempt: asyncio.Future[int | None]) -> None:
    """Close what an attempt brought to somebody who has gone."""
    if not attempt.cancelled() and attempt.exception() is None and (descriptor := attempt.result()) is not None:
        os.close(descriptor)
