"""Short reads of a SQLite file in the event loop's own thread."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import DBAPIError

from persistence.busy import when_free
from persistence.quick import QuickConnection

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Callable
    from datetime import timedelta

    from sqlalchemy import Engine

    from persistence.prepared import Statements

_AT_ONCE: Final = 4
"""Where nobody awaits anything else within a glance, one connection is ever used; the others are for who does."""


class Glances:
    """Snapshots, each on a connection of its own as long as it lasts."""

    def __init__(
        self, open_one: Callable[[], sqlite3.Connection], statements: Statements, engine: Engine, *, patience: timedelta
    ) -> None:
        """``patience`` is for another process that keeps the file for itself, and for a turn among many."""
        self._open = open_one
        self._statements = statements
        self._engine = engine
        self._idle: list[sqlite3.Connection] = []
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._patience = patience.total_seconds()
        self._closings = 0

    @asynccontextmanager
    async def glancing(self) -> AsyncIterator[QuickConnection]:
        """A snapshot; raises TimeoutError where others end none."""
        given_up_at = asyncio.get_running_loop().time() + self._patience
        await self._take_turn(given_up_at)
        try:
            closings, driver = self._closings, await self._begin(given_up_at)
            try:
                yield QuickConnection(driver, self._statements, self._engine)
            except DBAPIError:
                driver.close()  # the next one looks whether the file is better
                raise
            except BaseException:
                self._give_back(driver, closings)
                raise
            self._give_back(driver, closings)
        finally:
            self._room.release()

    def close(self) -> None:
        """Close every connection, those in use as soon as they are not."""
        self._closings += 1
        while self._idle:
            self._idle.pop().close()

    async def _take_turn(self, given_up_at: float) -> None:
        if self._room.locked():
            async with asyncio.timeout_at(given_up_at):
                await self._room.acquire()
        else:
            await self._room.acquire()  # at once

    async def _begin(self, given_up_at: float) -> sqlite3.Connection:
        driver = self._idle.pop() if self._idle else await when_free(self._open, given_up_at=given_up_at)
        driver.execute("BEGIN")  # touches no file yet: the first statement does
        return driver

    def _give_back(self, driver: sqlite3.Connection, closings: int) -> None:
        driver.rollback()
        if closings == self._closings:
            self._idle.append(driver)
        else:
            driver.close()
