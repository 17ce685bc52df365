"""Transactions: ``async with database.workspace(id) as store:`` is one transaction and one tenant."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, exc, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from persistence import migrations
from persistence.store import OperatorStore, WorkspaceStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from domain.identity import WorkspaceId
    from persistence.encryption import KeyRing

_PRAGMAS = (
    "busy_timeout=5000",
    "journal_mode=WAL",
    "foreign_keys=ON",
)

_FAULTS = (exc.DataError, exc.IntegrityError, exc.InternalError, exc.NotSupportedError, exc.ProgrammingError)
"""What a database refuses although it is there; the others mean that it is away, or that its file is none."""


class DatabaseAway(Exception):
    """The database cannot be reached or cannot commit now; nothing of the transaction was kept."""


class Database:
    """Opens transactions for one tenant, or for the operator across all of them.

    A writing transaction takes SQLite's write lock when it begins: a read that decides a write cannot be outrun.
    """

    def __init__(self, url: str, keys: KeyRing) -> None:
        self._keys = keys
        self._engine = create_async_engine(url, hide_parameters=True)
        self._write_lock: AbstractAsyncContextManager[Any] = nullcontext()
        if make_url(url).get_backend_name() == "sqlite":
            event.listen(self._engine.sync_engine, "do_connect", _try_to_open)
            event.listen(self._engine.sync_engine, "connect", _set_pragmas)
            event.listen(self._engine.sync_engine, "begin", _begin)
            self._write_lock = asyncio.Lock()  # SQLite's own queue of writers is unfair; this one is in order
        self._writing_engine = self._engine.execution_options(begin=("PRAGMA synchronous=FULL", "BEGIN IMMEDIATE"))
        self._hasty_engine = self._engine.execution_options(begin=("PRAGMA synchronous=NORMAL", "BEGIN IMMEDIATE"))

    @asynccontextmanager
    async def workspace(self, workspace_id: WorkspaceId, *, power_safe: bool = True) -> AsyncIterator[WorkspaceStore]:
        """One writing transaction in one workspace: commits when the block ends, rolls back when it raises.

        A commit survives the end of the process in any case; ``power_safe`` ones survive a power cut, too, and wait for the disk.
        """
        async with self._writing(power_safe=power_safe) as connection:
            yield WorkspaceStore(connection, workspace_id, self._keys)

    @asynccontextmanager
    async def reading(self, workspace_id: WorkspaceId) -> AsyncIterator[WorkspaceStore]:
        """One snapshot of one workspace, for reading only."""
        async with self._transaction(self._engine) as connection:
            yield WorkspaceStore(connection, workspace_id, self._keys)

    @asynccontextmanager
    async def operator(self) -> AsyncIterator[OperatorStore]:
        """One writing transaction over all workspaces: for the command line, the doors and the sweeper."""
        async with self._writing() as connection:
            yield OperatorStore(connection, self._keys)

    @asynccontextmanager
    async def operator_reading(self) -> AsyncIterator[OperatorStore]:
        """One snapshot over all workspaces, for reading only."""
        async with self._transaction(self._engine) as connection:
            yield OperatorStore(connection, self._keys)

    async def ping(self) -> None:
        """Raise DatabaseAway unless the database answers."""
        async with self._transaction(self._engine) as connection:
            await connection.execute(text("SELECT 1"))

    async def migrate(self) -> None:
        """Bring the schema to the newest revision, in one transaction; safe to run side by side."""
        async with self._writing() as connection:
            await connection.run_sync(migrations.upgrade)

    async def revision(self) -> str | None:
        """The revision that the schema has; None before the first migration."""
        async with self._transaction(self._engine) as connection:
            return await connection.run_sync(migrations.current)

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()

    @asynccontextmanager
    async def _writing(self, *, power_safe: bool = True) -> AsyncIterator[AsyncConnection]:
        engine = self._writing_engine if power_safe else self._hasty_engine
        async with self._write_lock, self._transaction(engine) as connection:
            yield connection

    @asynccontextmanager
    async def _transaction(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        try:
            async with engine.begin() as connection:
                yield connection
        except (exc.DatabaseError, exc.InterfaceError, exc.TimeoutError) as error:
            if isinstance(error, _FAULTS):
                raise
            raise DatabaseAway(str(error)) from error


def _try_to_open(_dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]) -> None:
    """Fail here and not in aiosqlite, whose thread then outlives the event loop and complains of its end."""
    sqlite3.connect(*arguments, **options).close()


def _set_pragmas(connection: Any, _record: object) -> None:  # noqa: ANN401 - whatever driver
    connection.isolation_level = None  # the driver would begin too late: its reads ran outside the transaction
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    for statement in connection.get_execution_options().get("begin", ("BEGIN",)):
        connection.exec_driver_sql(statement)
