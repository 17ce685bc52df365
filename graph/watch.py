"""What all who watch share: reading again, told or not, and not giving up while the database is away."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from persistence.database import Database, DatabaseAway

T = TypeVar("T")

_SPREAD_SECONDS = 1.0


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
