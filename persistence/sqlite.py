"""SQLite: one file in which one transaction writes at a time, whoever it is."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import Connection
    from sqlalchemy.engine import URL
    from sqlalchemy.ext.asyncio import AsyncConnection

    from domain.identity import WorkspaceId

_BUSY_SECONDS = 5
_PRAGMAS = (
    f"busy_timeout={_BUSY_SECONDS * 1000}",
    "foreign_keys=ON",
    "secure_delete=ON",  # what is deleted or replaced is overwritten, not only let go of
)
_SCRUB_PATIENCE = 500  # milliseconds, in which nobody writes


class SQLite:
    """The transactions of one file; a writing one takes the write lock when it begins."""

    def __init__(self, url: URL) -> None:
        self._engine = create_async_engine(url, hide_parameters=True)
        event.listen(self._engine.sync_engine, "do_connect", _try_to_open)
        event.listen(self._engine.sync_engine, "connect", _set_pragmas)
        event.listen(self._engine.sync_engine, "begin", _begin)
        self._writers = asyncio.Lock()  # SQLite's own queue of writers is unfair; this one is in order
        self._writing_engine = self._engine.execution_options(begin=("PRAGMA synchronous=FULL", "BEGIN IMMEDIATE"))
        self._hasty_engine = self._engine.execution_options(begin=("PRAGMA synchronous=NORMAL", "BEGIN IMMEDIATE"))

    @asynccontextmanager
    async def writing(self, _tenant: WorkspaceId | None, *, power_safe: bool = True) -> AsyncIterator[AsyncConnection]:
        """The only transaction that writes."""
        engine = self._writing_engine if power_safe else self._hasty_engine
        async with self._writers, engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def reading(self, _tenant: WorkspaceId | None) -> AsyncIterator[AsyncConnection]:
        """A snapshot."""
        async with self._engine.begin() as connection:
            yield connection

    async def scrub(self) -> bool:
        """Write the journal back and cut it off: it still holds what the file no longer does. False while readers need it."""
        async with self._writers, self._engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None  # noqa: S101 - it is connected
            await driver.execute_fetchall(f"PRAGMA busy_timeout={_SCRUB_PATIENCE}")
            try:
                ((busy, *_),) = await driver.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                await driver.execute_fetchall(f"PRAGMA {_PRAGMAS[0]}")
            return not busy

    async def walls_tenants(self) -> bool:
        """Who has the file has everything in it: no second wall is promised here."""
        return True

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()


def _try_to_open(_dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]) -> None:
    """Fail here and not in aiosqlite, whose thread then outlives the event loop and complains of its end."""
    with closing(sqlite3.connect(*arguments, **options)) as connection:
        _write_ahead(connection)


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch a new file to its journal: of several who do that at once all but one are refused, without any waiting."""
    given_up_at = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > given_up_at:
                raise
            time.sleep(0.005)
        else:
            return


def _set_pragmas(connection: Any, _record: object) -> None:  # noqa: ANN401 - whatever driver
    connection.isolation_level = None  # the driver would begin too late: its reads ran outside the transaction
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    for statement in connection.get_execution_options().get("begin", ("BEGIN",)):
        connection.exec_driver_sql(statement)
