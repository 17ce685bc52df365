"""What all who watch share: reading again, told or not, not all the time, and not giving up while the database is away."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from persistence.database import Database, DatabaseAway

T = TypeVar("T")

_SPREAD_SECONDS = 1.0
_REST = 20
"""How many times as long as a reading took nobody reads again: a watcher takes a twentieth of what there is."""
_LONGEST_REST_SECONDS = 5.0


def patience() -> float:
    """Seconds after which a watcher reads again without having been told: an announcement may be lost."""
    return random.uniform(15, 30)  # noqa: S311 - spreads load, guards nothing


async def read_again(database: Database, read: Callable[[], Awaitable[T]]) -> T:
    """What is read, once the database is there: an outage must not end what a front end watches, for it would not ask again."""
    while True:
        try:
            return await read()
        except DatabaseAway:
            await database.back()
            await asyncio.sleep(random.uniform(0, _SPREAD_SECONDS))  # noqa: S311 - spreads load, guards nothing


class Rest:
    """A pause after a reading that grows with it, for what may be long: without it those who watch leave the others nothing."""

    def __init__(self) -> None:
        self._seconds = 0.0

    async def after(self, reading: Awaitable[T]) -> T:
        """What was read."""
        began = time.monotonic()
        try:
            return await reading
        finally:
            self._seconds = min(_REST * (time.monotonic() - began), _LONGEST_REST_SECONDS)

    async def take(self) -> None:
        """Wait as long as the last reading calls for."""
        await asyncio.sleep(self._seconds)
