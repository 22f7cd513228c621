"""One call at a time for everybody who wants its outcome."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from gqlink.errors import ConnectionClosed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ("SharedCall",)

_log: Final = logging.getLogger("gqlink.client")

T = TypeVar("T")


class SharedCall(Generic[T]):
    """A call that is made once, however many ask for it at the same time.

    Whoever stops waiting does not stop it for the others, nor for those who come later: a refresh whose answer nobody
    reads would be a credential lost.

    Args:
        call: Makes the call; its errors reach everybody who waits.
        name: What it is, for whoever looks at its task or is told of its end.
    """

    def __init__(self, call: Callable[[], Coroutine[object, object, T]], *, name: str) -> None:
        self._call = call
        self._name = name
        self._task: asyncio.Task[T] | None = None

    @property
    def running(self) -> bool:
        """Whether somebody waits for it, or nobody does any more and it goes on."""
        return self._task is not None

    async def __call__(self) -> T:
        """Join the call that is under way, or begin one; return its outcome, or raise its error.

        Raises:
            ConnectionClosed: `aclose` has ended it.
        """
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._call(), name=self._name)
            self._task.add_done_callback(self._done)
        task = self._task
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():  # not the caller's end, but that of what it waits for
                raise ConnectionClosed(None, f"{self._name} was ended") from None
            raise

    async def aclose(self, *, after_seconds: float = 0.0) -> None:
        """End the call that is under way, if any.

        Args:
            after_seconds: How long to wait for its own end.
        """
        task = self._task
        if task is not None:
            await asyncio.wait([task], timeout=after_seconds)
            task.cancel()
            await asyncio.wait([task])

    def _done(self, task: asyncio.Task[T]) -> None:
        self._task = None
        # Read here, for the case that everybody has gone.
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.debug("%s failed: %s", self._name, type(error).__name__)
