"""Core statements on a plain asyncpg connection: no greenlet and no adapter in between."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from asyncpg import InterfaceError, InternalClientError, PostgresError
from sqlalchemy.exc import DBAPIError

from persistence.discretion import quote_no_value
from persistence.quick import QuickRows

if TYPE_CHECKING:
    from collections.abc import Mapping

    import asyncpg
    from sqlalchemy import Dialect, Engine, Executable
    from sqlalchemy.pool import PoolProxiedConnection

    from persistence.prepared import Statements

_ERRORS: Final = (PostgresError, InterfaceError, InternalClientError)


class Line:
    """One connection, used as an AsyncConnection is, for one transaction after the other.

    A statement is prepared when it is first sent, and kept by asyncpg.
    """

    __slots__ = ("_adapted", "_driver", "_engine", "_statements", "born_at")

    def __init__(self, opened: PoolProxiedConnection, statements: Statements, engine: Engine) -> None:
        """It was ``opened`` by ``engine``, so that both ways read the same; who may change its statements may change these."""
        self._adapted: Any = opened.dbapi_connection
        self._driver = cast("asyncpg.Connection[Any]", opened.driver_connection)
        self._statements = statements
        self._engine = engine
        self.born_at = time.monotonic()

    @property
    def dialect(self) -> Dialect:
        """That of asyncpg."""
        return self._statements.dialect

    @property
    def closed(self) -> bool:
        """Whether it is known to have ended."""
        return bool(self._driver.is_closed())

    async def execute(self, statement: Executable, parameters: Mapping[str, Any] | None = None, /) -> QuickRows:
        """Run one statement and fetch all that it brings; raises DBAPIError."""
        prepared = self._statements.prepared(statement, parameters or {})
        text, values = prepared.bound(parameters or {})
        for told in self._engine.dispatch.before_cursor_execute:
            text, values = told(self, None, text, tuple(values), None, False)  # noqa: FBT003 - not many at once
        try:
            if prepared.brings_rows:
                rows = await self._driver.fetch(text, *values)
                return QuickRows(rows, prepared.make_row, len(rows))
            done = await self._driver.execute(text, *values)
        except _ERRORS as error:
            self._raise_as_the_engine(error, text)
        return QuickRows([], tuple, _changed(done))

    async def say(self, text: str) -> str:
        """Send statements that have no values, in one round trip; what the server says it did by the last."""
        try:
            done: str = await self._driver.execute(text)
        except _ERRORS as error:
            self._raise_as_the_engine(error, None)
        return done

    async def close(self) -> None:
        """Say farewell to the server."""
        await self._driver.close()

    def hang_up(self) -> None:
        """End it at once, whatever the server does."""
        self._driver.terminate()

    def _raise_as_the_engine(self, error: Exception, text: str | None) -> NoReturn:
        """Raise what the engine would, with the statement ``text`` and without its values."""
        try:
            self._adapted._handle_exception(error)  # noqa: SLF001 - how SQLAlchemy translates it
        except self.dialect.loaded_dbapi.Error as translated:
            raise as_the_engine(self.dialect, translated, text) from translated
        raise error  # pragma: no cover - it has raised


def as_the_engine(dialect: Dialect, error: Exception, text: str | None = None) -> Exception:
    """The dialect's error as the engine would raise it."""
    told = DBAPIError.instance(text, None, error, dialect.loaded_dbapi.Error, hide_parameters=True, dialect=dialect)
    quote_no_value(told)
    return told


def _changed(done: str) -> int:
    """How many rows, of what the server says it did: ``UPDATE 3``."""
    _, _, count = done.rpartition(" ")
    return int(count) if count.isdecimal() else -1
