"""SQLite: one file in which one transaction writes at a time, whoever it is."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine

from persistence.glances import Glances
from persistence.prepared import Statements
from persistence.uncancelled import UncancelledConnection, uncancelled
from persistence.writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from sqlalchemy import Connection as EngineConnection
    from sqlalchemy import Dialect
    from sqlalchemy.engine import URL
    from sqlalchemy.ext.asyncio import AsyncConnection

    from domain.identity import WorkspaceId
    from persistence.connection import Connection

_BUSY_SECONDS = 5
_TURN_SECONDS = 30
_READERS = 15
"""At once, in threads of their own."""
_AT_A_RUSH = _READERS - 4
"""Connections that are not kept beside the five that are: one is for who writes at length."""
_MILLISECOND = timedelta(milliseconds=1)
_PRAGMAS = (
    "foreign_keys=ON",
    "secure_delete=ON",  # what is deleted or replaced is overwritten, not only let go of
)
_SCRUB_PATIENCE = 500  # milliseconds, in which nobody writes
_GLANCES_PATIENCE = "busy_timeout=10"  # in which nobody does anything: only who recovers a file holds its readers up


class SQLite:
    """The transactions of one file; a writing one takes the write lock when it begins."""

    def __init__(self, url: URL, *, patience: timedelta) -> None:
        """``patience`` is for another process that holds the lock of the file."""
        self._patience = patience
        self._engine = create_async_engine(url, hide_parameters=True, max_overflow=_AT_A_RUSH)
        self._room = asyncio.Semaphore(_READERS)
        event.listen(self._engine.sync_engine, "do_connect", _try_to_open)
        event.listen(self._engine.sync_engine, "connect", self._set_pragmas)
        event.listen(self._engine.sync_engine, "begin", _begin)
        statements, engine = Statements(self._engine.dialect), self._engine.sync_engine
        self._glances = Glances(self._open_to_read, statements, engine, patience=patience)
        self._writer = Writer(self._open, statements, engine, patience=patience)
        self._writing_engine = self._engine.execution_options(begin=("PRAGMA synchronous=FULL", "BEGIN IMMEDIATE"))
        self._hasty_engine = self._engine.execution_options(begin=("PRAGMA synchronous=NORMAL", "BEGIN IMMEDIATE"))

    @property
    def dialect(self) -> Dialect:
        """How its statements are compiled."""
        return self._engine.dialect

    @asynccontextmanager
    async def writing(
        self, _tenant: WorkspaceId, *, power_safe: bool = True, at_length: bool = False
    ) -> AsyncIterator[Connection]:
        """The only block that writes; in the loop's thread, unless it does so ``at_length``."""
        if not at_length:
            async with self._writer.writing(power_safe=power_safe) as quick:
                yield quick
            return
        engine = self._writing_engine if power_safe else self._hasty_engine
        async with self._writer.alone(), _begun(engine.connect()) as connection:
            yield connection

    @asynccontextmanager
    async def operating(self) -> AsyncIterator[UncancelledConnection]:
        """The only transaction that writes."""
        async with self._writer.alone(), _begun(self._writing_engine.connect()) as connection:
            yield connection

    @asynccontextmanager
    async def reading(self, _tenant: WorkspaceId | None = None) -> AsyncIterator[UncancelledConnection]:
        """A snapshot; whoever is cancelled while waiting for a turn waits no more."""
        async with asyncio.timeout(_TURN_SECONDS):
            await self._room.acquire()
        try:
            async with _begun(self._engine.connect()) as connection:
                yield connection
        finally:
            self._room.release()

    looking = reading

    def glancing(self, _tenant: WorkspaceId | None) -> AbstractAsyncContextManager[Connection]:
        """A snapshot that is read in the loop's own thread: never suspends for the database, and holds all others up."""
        return self._glances.glancing()

    async def scrub(self) -> bool:
        """Write the journal back and cut it off: it still holds what the file no longer does. False while readers need it."""
        async with self._writer.alone(), self._engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None  # noqa: S101 - it is connected
            await driver.execute_fetchall(f"PRAGMA busy_timeout={_SCRUB_PATIENCE}")
            try:
                ((busy, *_),) = await driver.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                await driver.execute_fetchall(f"PRAGMA {self._busy_timeout()}")
            return not busy

    async def walls_tenants(self) -> bool:
        """Who has the file has everything in it: no second wall is promised here."""
        return True

    async def close(self) -> None:
        """Close every connection."""
        self._glances.close()
        await self._writer.close()
        await self._engine.dispose()

    def _open_to_read(self) -> sqlite3.Connection:
        driver = self._open()
        driver.execute(f"PRAGMA {_GLANCES_PATIENCE}")
        driver.execute("PRAGMA query_only=ON")
        return driver

    def _open(self) -> sqlite3.Connection:
        """A connection for the loop's thread: it is never waited for there."""
        (file,), options = self._engine.dialect.create_connect_args(self._engine.url)
        at_once: dict[str, Any] = {**options, "timeout": 0, "check_same_thread": False}
        driver: sqlite3.Connection = sqlite3.connect(file, **at_once)
        try:
            driver.execute("PRAGMA journal_mode=WAL")
            self._set_pragmas(driver)
            driver.execute("PRAGMA busy_timeout=0")
        except BaseException:
            driver.close()
            raise
        return driver

    def _busy_timeout(self) -> str:
        return f"busy_timeout={self._patience // _MILLISECOND}"

    def _set_pragmas(self, connection: Any, _record: object = None) -> None:  # noqa: ANN401 - whatever driver
        connection.isolation_level = None  # the driver would begin too late: its reads ran outside the transaction
        cursor = connection.cursor()
        for pragma in (self._busy_timeout(), *_PRAGMAS):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()


@asynccontextmanager
async def _begun(connection: AsyncConnection) -> AsyncIterator[UncancelledConnection]:
    """A transaction that has ended when this returns, although its block was cancelled."""
    try:
        await uncancelled(_begin_at(connection))
        yield UncancelledConnection(connection)
        await uncancelled(connection.commit())
    finally:
        if connection.sync_connection is not None:
            await uncancelled(connection.close())  # what was not committed is rolled back


async def _begin_at(connection: AsyncConnection) -> None:
    _ = await connection.start()
    _ = await connection.begin().start()


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


def _begin(connection: EngineConnection) -> None:
    for statement in connection.get_execution_options().get("begin", ("BEGIN",)):
        connection.exec_driver_sql(statement)
