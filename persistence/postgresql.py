"""PostgreSQL: one writer at a time in each workspace, and rows that only their workspace's transactions see.

Everything a connection is told about a transaction ends with it, so that a pooler in transaction mode may stand between.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode
from uuid import UUID
from weakref import WeakValueDictionary

from sqlalchemy import event, exc, text
from sqlalchemy.ext.asyncio import create_async_engine

from persistence.discretion import quote_no_value
from persistence.groups import Groups
from persistence.patience import Patience

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager
    from datetime import timedelta

    from sqlalchemy import Dialect
    from sqlalchemy.engine import URL, ExceptionContext
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
    from sqlalchemy.pool import ConnectionPoolEntry

    from domain.identity import WorkspaceId
    from persistence.connection import Connection
    from persistence.lines import Lines
    from persistence.patience import Limit

EVERY_WORKSPACE: Final = "*"
"""What the operator's transactions say in place of a workspace's id; migration 0002 knows it, too."""

_POOL_SIZE: Final = 10
"""On asyncpg these serve the workspaces' transactions, those at a rush the operator's."""
_MORE_AT_A_RUSH: Final = 5
"""At most 15 connections in all for each process: six processes fit into PostgreSQL's own default of 100."""
_CONNECT_SECONDS: Final = 3
_OPERATORS_PATIENCE: Final = 8
"""How many times as long an operator's transaction may take: it may concern every row there is."""
_SHARE_FOR_THE_QUEUE: Final = 0.75
"""Of what is left of a transaction's time, for those before it; 0 would mean for ever."""
_LEAVING_SECONDS: Final = 3.0

_SETTING = "SELECT set_config('disqua.workspace', :tenant, true)"
_OF_A_VANISHED_CLIENT = "set_config('idle_in_transaction_session_timeout', :patience, true)"  # its locks hold others up
_OF_A_LONG_QUEUE = "set_config('lock_timeout', :waiting, true)"  # the server says so itself: nobody need doubt it
_ALL = f"hashtextextended('{EVERY_WORKSPACE}', 0)"
_READ = text(_SETTING)
_LOOK = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL disqua.workspace = '{tenant}'"
_LOCK = (
    f"{_SETTING}, {_OF_A_VANISHED_CLIENT}, {_OF_A_LONG_QUEUE}, pg_advisory_xact_lock_shared({_ALL}), "
    "pg_advisory_xact_lock(hashtextextended(:tenant, 0))"
)
_WRITE = text(_LOCK)
_BEGIN = "BEGIN; " + re.sub(r":(\w+)", r"'{\1}'", _LOCK)
_OPERATE = text(f"{_SETTING}, {_OF_A_VANISHED_CLIENT}, {_OF_A_LONG_QUEUE}, pg_advisory_xact_lock({_ALL})")
_WALLS = text("SELECT row_security_active(to_regclass('workspaces'))")


class PostgreSQL:
    """The transactions of one database, each ended in time whatever the server or the network does.

    A workspace's writers come one after the other, an operator's transaction comes alone: what SQLite's single
    writer promises, a read that decides a write cannot be outrun, holds here too.
    """

    def __init__(self, url: URL, *, patience: timedelta) -> None:
        """``patience`` is for one transaction with all its waiting; letting go of a connection that hangs takes 2 s more."""
        self._patience = Patience(patience.total_seconds())
        self._engine = _engine(url)
        self._reading_engine = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._lines = _lines(self._engine, self._patience)
        self._groups = None if self._lines is None else Groups(self._lines, self._patience, self._begin)
        self._queues = WeakValueDictionary[str, asyncio.Lock]()
        event.listen(self._engine.sync_engine, "handle_error", _hide_values)
        event.listen(self._engine.sync_engine, "connect", _note_birth)
        event.listen(self._engine.sync_engine, "checkout", self._look_at)

    @property
    def dialect(self) -> Dialect:
        """How its statements are compiled."""
        return self._engine.dialect

    def writing(
        self,
        tenant: WorkspaceId,
        *,
        power_safe: bool = True,  # noqa: ARG002 - every commit here is
        at_length: bool = False,
    ) -> AbstractAsyncContextManager[Connection]:
        """A part of the only transaction that writes in this workspace, by itself in it where it writes ``at_length``."""
        if self._groups is None:
            return self._writing(tenant)
        return self._groups.writing(_quoted(tenant), at_length=at_length)

    def operating(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """The only transaction that writes at all."""
        return self._writing(None)

    @asynccontextmanager
    async def _writing(self, tenant: WorkspaceId | None) -> AsyncIterator[AsyncConnection]:
        name = EVERY_WORKSPACE if tenant is None else str(tenant)
        patience = self._patience.seconds * (_OPERATORS_PATIENCE if tenant is None else 1)
        queue = self._queues.setdefault(name, asyncio.Lock())  # whoever waits here holds no connection
        async with self._patience.limit(patience) as limit, queue, self._engine.begin() as connection:
            limit.connected = True
            await connection.execute(_OPERATE if tenant is None else _WRITE, self._told(name, limit))
            yield connection

    def _begin(self, name: str, limit: Limit) -> str:
        return _BEGIN.format(**self._told(name, limit))

    def _told(self, name: str, limit: Limit) -> dict[str, str]:
        """What the server is told when one begins that writes."""
        waiting = max(limit.rest, 0) * _SHARE_FOR_THE_QUEUE
        return {"tenant": name, "patience": _milliseconds(self._patience.seconds), "waiting": _milliseconds(waiting)}

    @asynccontextmanager
    async def reading(self, tenant: WorkspaceId | None) -> AsyncIterator[Connection]:
        """A snapshot that can change nothing, with as little as can be between us and the server."""
        if self._lines is None:
            async with self.looking(tenant) as connection:
                yield connection
            return
        async with self._patience.limit(self._patience.seconds) as limit:
            line = await self._lines.take()
            limit.connected = True
            try:
                await line.say(_LOOK.format(tenant=_quoted(tenant)))
                yield line
            finally:
                self._lines.end(line, "COMMIT")

    glancing = reading

    @asynccontextmanager
    async def looking(self, tenant: WorkspaceId | None = None) -> AsyncIterator[AsyncConnection]:
        """The same on a connection of the engine's, for who asks after the schema; a pooler knows no other."""
        async with self._patience.limit(self._patience.seconds) as limit, self._reading_engine.begin() as connection:
            limit.connected = True
            await connection.execute(_READ, {"tenant": EVERY_WORKSPACE if tenant is None else str(tenant)})
            yield connection

    async def scrub(self) -> bool:
        """The server's own vacuum overwrites what was deleted, when its time comes: nothing to do here."""
        return True

    async def walls_tenants(self) -> bool:
        """Whether row-level security binds the role that we are: a superuser's it does not."""
        async with self._patience.limit(self._patience.seconds), self._engine.begin() as connection:
            return (await connection.execute(_WALLS)).scalar() is not False

    async def close(self) -> None:
        """Close every connection, one that hangs without farewell."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LEAVING_SECONDS):
                if self._groups is not None and self._lines is not None:
                    await self._groups.close()
                    await self._lines.close()
                await self._engine.dispose()

    def _look_at(self, connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:  # noqa: ANN401 - whatever driver
        """Let no transaction begin on a connection that is known to be dead or doubted; the pool then opens new ones."""
        closed = getattr(connection.driver_connection, "is_closed", bool)
        if closed() or self._patience.is_doubted(record.info["born_at"]):
            raise exc.InvalidatePoolError


def _quoted(tenant: WorkspaceId | None) -> str:
    """What may stand between quotes in a statement: no text that is not an id comes through."""
    return EVERY_WORKSPACE if tenant is None else str(UUID(str(tenant)))


def _lines(engine: AsyncEngine, patience: Patience) -> Lines | None:
    if engine.dialect.driver != "asyncpg":
        return None
    from persistence.lines import Lines  # noqa: PLC0415 - a server over SQLite does without the driver's megabytes

    return Lines(engine, at_most=_POOL_SIZE, is_doubted=patience.is_doubted)


def _engine(url: URL) -> AsyncEngine:
    """What is said in the query of a URL is libpq's, whichever driver reads it."""
    query = {"application_name": "disqua"} | {name: _joined(value) for name, value in url.query.items()}
    options: dict[str, Any] = {"hide_parameters": True, "pool_size": _POOL_SIZE, "max_overflow": _MORE_AT_A_RUSH}
    if url.get_driver_name() == "psycopg":
        arguments: dict[str, Any] = {"connect_timeout": _CONNECT_SECONDS, "prepare_threshold": None} | query
        options |= {"pool_pre_ping": True, "use_native_hstore": False}
    else:
        options["pool_size"], options["max_overflow"] = 1, _MORE_AT_A_RUSH - 1
        timeout = float(query.pop("connect_timeout", _CONNECT_SECONDS))
        dsn = f"postgresql://?{urlencode(query)}"  # asyncpg takes sslrootcert and its like from there alone
        arguments = {"timeout": timeout, "dsn": dsn}
    return create_async_engine(url.set(query={}), connect_args=arguments, **options)


def _milliseconds(seconds: float) -> str:
    return f"{math.ceil(seconds * 1000) or 1}ms"


def _joined(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else ",".join(value)


def _hide_values(context: ExceptionContext) -> None:
    if context.sqlalchemy_exception is not None:
        quote_no_value(context.sqlalchemy_exception)


def _note_birth(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["born_at"] = time.monotonic()
