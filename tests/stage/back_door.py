"""A way into the database past the product: what nobody may do, and what nobody else may see."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import BindParameter, NullPool, bindparam, create_engine, make_url, text
from sqlalchemy.types import TypeEngine, Uuid
from sqlmodel.sql.sqltypes import UTCDateTime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, TextClause

_END_ALL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :database"
_TYPES: dict[type, TypeEngine[Any]] = {UUID: Uuid(), datetime: UTCDateTime()}


class BackDoor:
    """Plain SQL on the database that the product is told of by ``url``; no row-level security binds it."""

    def __init__(self, url: str) -> None:
        told = make_url(url)
        self.postgresql = told.get_backend_name() == "postgresql"
        past_all_walls = told.set(drivername="postgresql+psycopg", username="postgres", password=None)
        self._engine = create_engine(past_all_walls if self.postgresql else told.set(drivername="sqlite"), poolclass=NullPool)

    def rows(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        """What a query finds; ids are hexadecimal, as SQLite keeps them."""
        with self._open() as connection:
            found = connection.execute(_typed(statement, values), values)
            return [tuple(value.hex if isinstance(value, UUID) else value for value in row) for row in found]

    def alter(self, statement: str, **values: object) -> int:
        """Change something; how many rows."""
        with self._open() as connection:
            return connection.execute(_typed(statement, values), values).rowcount

    @contextmanager
    def holding(self, statement: str, **values: object) -> Iterator[None]:
        """Keep the locks of a statement until the block ends."""
        with self._open() as connection:
            connection.execute(_typed(statement, values), values)
            yield

    def take_away(self, table: str) -> None:
        """Let whoever needs the table find the database away: on PostgreSQL all of it, on SQLite that table."""
        if self.postgresql:
            self._administer(f"ALTER DATABASE {self._engine.url.database} ALLOW_CONNECTIONS false")
            self._administer(_END_ALL, database=self._engine.url.database)
        else:
            self.alter(f"ALTER TABLE {table} RENAME TO {table}_away")

    def bring_back(self, table: str) -> None:
        """Undo ``take_away``."""
        if self.postgresql:
            self._administer(f"ALTER DATABASE {self._engine.url.database} ALLOW_CONNECTIONS true")
        else:
            self.alter(f"ALTER TABLE {table}_away RENAME TO {table}")

    @contextmanager
    def _open(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            if not self.postgresql:
                connection.execute(text("PRAGMA foreign_keys=ON"))
            yield connection

    def _administer(self, statement: str, **values: object) -> None:
        server = create_engine(self._engine.url.set(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with server.connect() as connection:
            connection.execute(text(statement), values)


def _typed(statement: str, values: dict[str, object]) -> TextClause:
    typed: list[BindParameter[Any]] = [
        bindparam(name, type_=_TYPES[type(value)]) for name, value in values.items() if type(value) in _TYPES
    ]
    return text(statement).bindparams(*typed)
