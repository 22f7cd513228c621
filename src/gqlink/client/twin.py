"""Equal errors: one that is raised in several places would collect all their tracebacks."""

from __future__ import annotations

from typing import TypeVar

__all__ = ("twin",)

E = TypeVar("E", bound=Exception)


def twin(error: E) -> E:
    """Return an equal error without the traceback, whose frames may hold a token, and without the cause.

    It never raises, because whoever waits for the error would wait for ever: no `__init__` is called, whose arguments
    nobody knows (`copy.copy` calls it with `args`, which has none of the keyword-only ones). Where a class cannot be
    made even so, the error itself is returned.
    """
    try:
        equal: E = type(error).__new__(type(error), *error.args)
        equal.args = error.args
        equal.__dict__.update(error.__dict__)
    except Exception:  # noqa: BLE001 -- a user's class may do anything
        return error
    return equal
