"""Saying that the stock executor must do it, before compiling or while executing, and leaving nothing behind."""

from __future__ import annotations

from types import CoroutineType


class Fallback(Exception):
    """Raised while executing: the stock executor runs the operation from its beginning, and what it says counts."""


class Uncovered(Exception):
    """Raised while compiling: something in the operation is not known here, and so there is no plan."""


def closed(awaited: object) -> None:
    """Tell a coroutine that nobody will await it, which Python would complain of otherwise."""
    if isinstance(awaited, CoroutineType):
        awaited.close()
