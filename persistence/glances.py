"""Short reads of a SQLite file in the event loop's own thread."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import DBAPIError

from persistence.quick import QuickConnection, as_told_by_the_engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sqlalchemy import Engine

    from persistence.prepared import Statements

_AT_ONCE: Final = 4
"""Where nobody awaits anything else within a glance, one connection is ever used; the others are for who does."""


class Glances:
    """Snapshots, each on a connection of its own as long as it lasts."""

    def __init__(self, open_one: Callable[[], sqlite3.Connection], statements: Statements, engine: Engine) -> None:
        self._open = open_one
        self._statements = statements
        self._engine = engine
        self._idle: list[sqlite3.Connection] = []
        self._room = asyncio.Semaphore(_AT_ONCE)

    @asynccontextmanager
    async def glancing(self) -> AsyncIterator[QuickConnection]:
        """A snapshot."""
        async with self._room:
            driver = self._begin()
            try:
                yield QuickConnection(driver, self._statements, self._engine)
            except DBAPIError:
                driver.close()  # the next one looks whether the file is better
                raise
            except BaseException:
                self._give_back(driver)
                raise
            self._give_back(driver)

    def close(self) -> None:
        """Close every connection."""
        while self._idle:
            self._idle.pop().close()

    def _begin(self) -> sqlite3.Connection:
        try:
            driver = self._idle.pop() if self._idle else self._open()
        except sqlite3.Error as error:
            raise as_told_by_the_engine(error) from error
        driver.execute("BEGIN")  # touches no file yet: the first statement does
        return driver

    def _give_back(self, driver: sqlite3.Connection) -> None:
        driver.rollback()
        self._idle.append(driver)
