"""What Alembic runs: over the connection handed in, or over a scratch file when a developer writes a revision."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, create_engine

from persistence.tables import workspaces

_METADATA = workspaces.metadata


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=_METADATA,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


_connection: Connection | None = context.config.attributes.get("connection")
if _connection is not None:
    _run(_connection)
else:
    with create_engine(context.config.get_main_option("sqlalchemy.url") or "").begin() as scratch:
        _run(scratch)
