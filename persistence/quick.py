"""Core statements on a plain sqlite3 connection, in the thread that asks: no engine, no greenlet, no other thread."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError, MultipleResultsFound, NoResultFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Dialect, Engine, Executable

    from persistence.prepared import Statements


class QuickConnection:
    """One transaction, used as an AsyncConnection is, but no execution ever suspends."""

    __slots__ = ("_driver", "_engine", "_statements")

    def __init__(self, driver: sqlite3.Connection, statements: Statements, engine: Engine) -> None:
        """Whoever listens to the statements of ``engine`` hears those of this connection, too."""
        self._driver = driver
        self._statements = statements
        self._engine = engine

    @property
    def dialect(self) -> Dialect:
        """SQLite's."""
        return self._statements.dialect

    async def execute(self, statement: Executable, parameters: Mapping[str, Any] | None = None, /) -> QuickRows:
        """Run one statement and fetch all that it brings; raises DBAPIError."""
        prepared = self._statements.prepared(statement, parameters or {})
        text, values = prepared.bound(parameters or {})
        cursor = self._driver.cursor()
        for told in self._engine.dispatch.before_cursor_execute:
            told(self, cursor, text, tuple(values), None, False)  # noqa: FBT003 - not many at once
        try:
            cursor.execute(text, values)
            rows = cursor.fetchall()
        except sqlite3.Error as error:
            raise as_told_by_the_engine(error, text) from error
        return QuickRows([*map(prepared.make_row, rows)], cursor.rowcount)


class QuickRows:
    """What a statement brought."""

    __slots__ = ("_rows", "rowcount")

    def __init__(self, rows: Sequence[Any], rowcount: int) -> None:
        self._rows = rows
        self.rowcount = rowcount
        """How many rows were changed."""

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def all(self) -> Sequence[Any]:
        """Every row."""
        return self._rows

    def first(self) -> Any:  # noqa: ANN401 - a row is what its statement asked for
        """The first row, None where there is none."""
        return self._rows[0] if self._rows else None

    def one(self) -> Any:  # noqa: ANN401
        """The only row; raises NoResultFound or MultipleResultsFound."""
        if not self._rows:
            raise NoResultFound("no row was found when one was required")
        if len(self._rows) > 1:
            raise MultipleResultsFound("multiple rows were found when exactly one was required")
        return self._rows[0]

    def scalar(self) -> Any:  # noqa: ANN401
        """The first column of the first row, None where there is none."""
        return self._rows[0][0] if self._rows else None

    def scalar_one(self) -> Any:  # noqa: ANN401
        """The first column of the only row."""
        return self.one()[0]

    def scalars(self) -> Iterator[Any]:
        """The first column of every row."""
        return (row[0] for row in self._rows)


def as_told_by_the_engine(error: sqlite3.Error, text: str | None = None) -> Exception:
    """The error as SQLAlchemy's engine would raise it: with the statement ``text``, if it was one's, and without its values."""
    return DBAPIError.instance(text, None, error, sqlite3.Error, hide_parameters=True)
