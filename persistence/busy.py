"""A file that another process has locked: it is waited for by trying again, which holds nobody else in the loop up."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Final, TypeVar

from persistence.quick import as_told_by_the_engine

if TYPE_CHECKING:
    from collections.abc import Callable

_FIRST_PAUSE: Final = 0.001
_LONGEST_PAUSE: Final = 0.05

T = TypeVar("T")


async def when_free(attempt: Callable[[], T], *, given_up_at: float) -> T:
    """What the first attempt brings that finds no lock, one at least until that time of the loop's; raises DBAPIError."""
    loop, pause = asyncio.get_running_loop(), _FIRST_PAUSE
    while True:
        try:
            return attempt()
        except sqlite3.Error as error:
            if not _is_busy(error) or loop.time() > given_up_at:
                raise as_told_by_the_engine(error) from error
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def _is_busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
