"""The database that the settings name, with a schema that we can work with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from persistence import migrations
from persistence.database import Database, UnknownAddress
from server.settings import PREFIX, WrongSetting

if TYPE_CHECKING:
    from server.settings import Settings

_log = structlog.get_logger(__name__)


def open_database(settings: Settings) -> Database:
    """The database that the settings name; connects when it is first used. Raises WrongSetting where they name none."""
    try:
        return Database(settings.async_database_url, settings.key_ring())
    except UnknownAddress as error:
        raise WrongSetting(f"{PREFIX}DATABASE_URL: {error}") from None


async def bring_up_to_date(settings: Settings, database: Database) -> None:
    """See to it that the schema is one we can work with; raises DatabaseAway, and WrongSetting where it is none.

    A file of our own is brought to the newest schema. A server is shared: `disqua migrate` alone changes its schema, and one
    that is newer than we are is what a rolling restart looks like, for migrations take nothing from the version before.
    """
    settings.prepare_data_dir()
    revision, newest = await database.revision(), migrations.head()
    if database.embedded:
        _refuse_newer(revision)
        await database.migrate()
    elif revision is None or migrations.is_older(revision):
        found = "no tables yet" if revision is None else f"schema {revision}, this version needs {newest}"
        raise WrongSetting(f"the database has {found}: run `disqua migrate`")
    elif revision != newest:
        _log.warning("the database has the schema of a newer version", schema=revision, known=newest)


async def migrate(settings: Settings, database: Database) -> str:
    """Bring the database to the newest schema and say what that took; raises as ``bring_up_to_date``."""
    settings.prepare_data_dir()
    _refuse_newer(await database.revision())
    found, newest = await database.migrate(), migrations.head()
    if found == newest:
        return f"The database had the newest schema already ({newest})."
    if found is None:
        return f"The database was empty and has the newest schema now ({newest})."
    return f"The database has gone from schema {found} to {newest}, the newest."


def _refuse_newer(revision: str | None) -> None:
    if revision is not None and migrations.is_newer(revision):
        raise WrongSetting(f"the database has schema {revision} of a newer version; this one knows {migrations.head()} at most")
