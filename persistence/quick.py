"""Core statements on a plain sqlite3 connection, in the thread that asks: no engine, no greenlet, no other thread."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError, MultipleResultsFound, NoResultFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Dialect, Engine, Executable

    from persistence.connection import Rows
    from persistence.prepared import Statements


class QuickConnection:
    """One transaction, used as an AsyncConnection is, but no execution ever suspends."""

    __slots__ = ("_driver", "_engine", "_statements")

    def __init__(self, driver: sqlite3.Connection, statements: Statements, engine: Engine) -> None:
        """Whoever listens to the statements of ``engine`` hears those of this connection, and may put others in their place."""
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
            text, values = told(self, cursor, text, tuple(values), None, False)  # noqa: FBT003 - not many at once
        try:
            cursor.execute(text, values)
            rows = cursor.fetchall()
        except sqlite3.Error as error:
            raise as_told_by_the_engine(error, text) from error
        return QuickRows(rows, prepared.make_row, cursor.rowcount)


class QuickRows:
    """What a statement brought; made into rows with an attribute for each column where they are asked for as such."""

    __slots__ = ("_make", "_returned", "rowcount")

    def __init__(self, returned: Sequence[Sequence[Any]], make: Callable[[Sequence[Any]], Any], rowcount: int) -> None:
        self._returned = returned
        self._make = make
        self.rowcount = rowcount
        """How many rows were changed."""

    def __iter__(self) -> Iterator[Any]:
        return map(self._make, self._returned)

    def tuples(self) -> list[tuple[Any, ...]]:
        """Every row as the driver returned it, without attributes."""
        return [*map(tuple, self._returned)]

    def all(self) -> Sequence[Any]:
        """Every row."""
        return [*self]

    def first(self) -> Any:  # noqa: ANN401 - a row is what its statement asked for
        """The first row, None where there is none."""
        return next(iter(self), None)

    def one(self) -> Any:  # noqa: ANN401
        """The only row; raises NoResultFound or MultipleResultsFound."""
        if not self._returned:
            raise NoResultFound("no row was found when one was required")
        if len(self._returned) > 1:
            raise MultipleResultsFound("multiple rows were found when exactly one was required")
        return self.first()

    def scalar(self) -> Any:  # noqa: ANN401
        """The first column of the first row, None where there is none."""
        return self.first()[0] if self._returned else None

    def scalar_one(self) -> Any:  # noqa: ANN401
        """The first column of the only row."""
        return self.one()[0]

    def scalars(self) -> Iterator[Any]:
        """The first column of every row."""
        return (row[0] for row in self)


def tuples(rows: Rows) -> list[tuple[Any, ...]]:
    """Every row of any connection's as a plain tuple; at no cost where nobody has made more of them yet."""
    return rows.tuples() if isinstance(rows, QuickRows) else [*map(tuple, rows)]


def as_told_by_the_engine(error: sqlite3.Error, text: str | None = None) -> Exception:
    """The error as SQLAlchemy's engine would raise it: with the statement ``text``, if it was one's, and without its values."""
    return DBAPIError.instance(text, None, error, sqlite3.Error, hide_parameters=True)
