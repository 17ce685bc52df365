"""Transactions: ``async with database.workspace(id) as store:`` is one transaction and one tenant."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog
from sqlalchemy import exc, make_url, text

from persistence import migrations
from persistence.kept import Kept
from persistence.postgresql import PostgreSQL
from persistence.sqlite import SQLite
from persistence.store import OperatorStore, WorkspaceStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.engine import URL
    from sqlalchemy.ext.asyncio import AsyncConnection

    from domain.identity import WorkspaceId
    from persistence.connection import Connection
    from persistence.encryption import KeyRing
    from persistence.uncancelled import UncancelledConnection

_FAULTS = (exc.DataError, exc.IntegrityError, exc.NotSupportedError, exc.ProgrammingError)
"""What a database refuses although it is there; the others mean that it is away, or that its file is none."""

_AWAY: Final = ("08", "28", "3D", "40", "53", "57", "58", "25006", "55P03")
"""The same by PostgreSQL's codes (appendix A of its manual), whole classes or one of a class.

No connection, no right to one, no such database, rolled back for others, out of resources, told to stop, a broken
disk, a standby that takes no writes, a lock not had in time: another try, later, may well succeed.
"""


_NO_RIGHT: Final = "42501"
"""Told of the schema itself it is the operator's to mend; elsewhere it would be we who ran against the wall between tenants."""

_FOR_A_FILE: Final = timedelta(seconds=5)
_LOOK_AGAIN_SECONDS: Final = 1.0
_SCRUBS: Final = 5
_SCRUB_AGAIN_SECONDS: Final = 0.2
_log = structlog.get_logger(__name__)


class DatabaseAway(Exception):
    """The database cannot be reached or cannot commit now; nothing of the transaction was kept."""


class UnknownAddress(ValueError):
    """The text names no database."""


class Database:
    """Opens transactions for one tenant, or for the operator across all of them.

    In a writing transaction nobody else writes in its workspace: a read that decides a write cannot be outrun.
    """

    def __init__(self, url: str, keys: KeyRing, *, patience: timedelta = timedelta(seconds=8)) -> None:
        """Raises UnknownAddress.

        A transaction on a server that lasts longer than ``patience`` finds it away; an operator's may last eight times as long.
        One that waits as long for a file that another process writes, 5 seconds at most, finds that away.
        """
        parsed = _parsed(url)
        self._keys = keys
        self.embedded = parsed.get_backend_name() == "sqlite"
        """Whether it is a file that belongs to whoever opens it, and not a server that others share."""
        self._server: SQLite | PostgreSQL = (
            SQLite(parsed, patience=min(patience, _FOR_A_FILE)) if self.embedded else PostgreSQL(parsed, patience=patience)
        )
        self._returning: asyncio.Task[None] | None = None
        self._scrubbing = asyncio.Lock()
        self._erasures = self._scrubbed = 0
        self._kept = Kept(self._server.dialect)

    @asynccontextmanager
    async def workspace(
        self, workspace_id: WorkspaceId, *, power_safe: bool = True, at_length: bool = False
    ) -> AsyncIterator[WorkspaceStore]:
        """One writing transaction in one workspace: commits when the block ends, rolls back when it raises.

        A commit survives the end of the process in any case; ``power_safe`` ones survive a power cut, too, and wait for the disk.
        A block waits for nothing but the database, for others wait for it: several may share a commit, and on SQLite their
        statements run in the event loop's thread. One whose statements concern many rows or megabytes says ``at_length``.
        """
        writing = self._server.writing(workspace_id, power_safe=power_safe, at_length=at_length)
        with _Telling():
            async with writing as connection:
                yield self._store(connection, workspace_id)

    @asynccontextmanager
    async def reading(self, workspace_id: WorkspaceId) -> AsyncIterator[WorkspaceStore]:
        """One snapshot of one workspace, for reading only."""
        with _Telling():
            async with self._server.reading(workspace_id) as connection:
                yield self._store(connection, workspace_id)

    @asynccontextmanager
    async def glancing(self, workspace_id: WorkspaceId) -> AsyncIterator[WorkspaceStore]:
        """One snapshot of one workspace, for short reads by index: some hundred rows, and never a log's responses.

        On SQLite they are read in the event loop's own thread, which costs a tenth and makes all others wait meanwhile.
        """
        with _Telling():
            async with self._server.glancing(workspace_id) as connection:
                yield self._store(connection, workspace_id)

    @asynccontextmanager
    async def operator(self) -> AsyncIterator[OperatorStore]:
        """One writing transaction over all workspaces, beside which nobody writes: for the command line."""
        async with self._operating() as connection:
            yield OperatorStore(connection, self._keys)

    @asynccontextmanager
    async def operator_reading(self) -> AsyncIterator[OperatorStore]:
        """One snapshot over all workspaces, for reading only: for the sweeper and the command line."""
        with _Telling():
            async with self._server.reading(None) as connection:
                yield OperatorStore(connection, self._keys)

    @asynccontextmanager
    async def operator_glancing(self) -> AsyncIterator[OperatorStore]:
        """The same as ``glancing`` is for one workspace: for the doors, which ask for one row by its index."""
        with _Telling():
            async with self._server.glancing(None) as connection:
                yield OperatorStore(connection, self._keys)

    async def ping(self) -> None:
        """Raise DatabaseAway unless the database answers."""
        async with self._looking() as connection:
            await connection.execute(text("SELECT 1"))

    async def back(self) -> None:
        """Return when the database answers again, a second from now at the earliest; thousands who wait ask it but once."""
        if self._returning is None or self._returning.done():
            self._returning = asyncio.create_task(self._return())
        await asyncio.shield(self._returning)

    def _store(self, connection: Connection, workspace_id: WorkspaceId) -> WorkspaceStore:
        return WorkspaceStore(connection, workspace_id, self._keys, self._kept)

    async def _return(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            with suppress(DatabaseAway):
                return await self.ping()

    async def migrate(self) -> str | None:
        """Bring the schema to the newest revision, in one transaction; safe to run side by side.

        The revision that it had.
        """
        async with self._operating(*_AWAY, _NO_RIGHT) as connection:
            found = await connection.run_sync(migrations.current)
            if found != migrations.head():
                await connection.run_sync(migrations.upgrade)
            return found

    async def revision(self) -> str | None:
        """The revision that the schema has; None before the first migration."""
        async with self._looking(*_AWAY, _NO_RIGHT) as connection:
            return await connection.run_sync(migrations.current)

    async def scrub(self) -> None:
        """Let what has just been erased not linger in this process, nor in SQLite's journal.

        Waits for readers for some seconds at most. Many who have erased at once share one.
        """
        erased, self._kept = self._kept, Kept(self._server.dialect)
        erased.forget()
        self._erasures += 1
        mine = self._erasures
        async with self._scrubbing:
            if self._scrubbed < mine:  # no scrub has begun since this erasure
                self._scrubbed = self._erasures
                await self._scrub()

    async def _scrub(self) -> None:
        for _ in range(_SCRUBS):
            with suppress(DatabaseAway), _Telling():
                if await self._server.scrub():
                    return
            await asyncio.sleep(_SCRUB_AGAIN_SECONDS)
        _log.warning("what was erased may stay in the database's journal until it is written back")

    async def walls_tenants(self) -> bool:
        """Whether the database itself, too, keeps the workspaces apart, where it can at all."""
        with _Telling():
            return await self._server.walls_tenants()

    async def close(self) -> None:
        """Close every connection."""
        if self._returning is not None:
            self._returning.cancel()
        await self._server.close()

    @asynccontextmanager
    async def _operating(self, *away: str) -> AsyncIterator[AsyncConnection | UncancelledConnection]:
        with _Telling(away or _AWAY):
            async with self._server.operating() as connection:
                yield connection

    @asynccontextmanager
    async def _looking(self, *away: str) -> AsyncIterator[AsyncConnection | UncancelledConnection]:
        with _Telling(away or _AWAY):
            async with self._server.looking() as connection:
                yield connection


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except (exc.ArgumentError, ValueError):
        raise UnknownAddress("it must be postgresql://user:password@host:port/database, with %40 for @ in a password") from None


class _Telling:
    """Tells whatever means that the database is away by that one name; ``away`` are the codes of PostgreSQL that do."""

    __slots__ = ("_away",)

    def __init__(self, away: tuple[str, ...] = _AWAY) -> None:
        self._away = away

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is None or not isinstance(error, exc.DBAPIError | exc.TimeoutError | OSError):
            return
        if isinstance(error, exc.DBAPIError) and _is_fault(error, self._away):
            return
        raise DatabaseAway(_reason(error)) from error


def _reason(error: exc.DBAPIError | exc.TimeoutError | OSError) -> str:
    if isinstance(error, exc.DBAPIError) and error.statement is None:
        return str(error.orig)
    return str(error) or "no answer in time"  # what asyncpg raises then is without words


def _is_fault(error: exc.DBAPIError, away: tuple[str, ...]) -> bool:
    code: str | None = getattr(error.orig, "sqlstate", None)
    if code is None:
        return isinstance(error, _FAULTS)
    concerns_a_statement = error.statement is not None
    return concerns_a_statement and not code.startswith(away)
