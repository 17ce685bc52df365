"""Is everything there that the service needs? A line for each part."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from rich.markup import escape

from domain.errors import DomainError, SecretUnreadable
from lookups.streams import RedisUnfit, redis_version
from persistence import migrations
from persistence.database import DatabaseAway
from server.app import check_redis_address
from server.clock import utc_now
from server.console import HOW_TO_GET_IT, is_built
from server.database import open_database
from server.listen import listen
from server.settings import Settings, WrongSetting, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from persistence.database import Database

_GREETING = "Disqua CRM Connector"  # what the door of inbox/smtp calls itself
_PATIENCE_SECONDS = 3.0
_NO_WALL = (
    "; but row-level security does not bind this role, which is a superuser or has BYPASSRLS: "
    "give the database to an ordinary role and connect as that one"
)


class _Wrong(Exception):
    """What is wrong with a part."""


def examine(console: Console, *, smtp_host: str, smtp_port: int) -> bool:
    """Print a line for each part; True when all are well."""
    try:
        settings = load_settings()
    except WrongSetting as error:
        console.print(f"[red]✗[/] settings: {escape(str(error))}")
        return False
    examinations: dict[str, Callable[[], str]] = {
        "settings": lambda: f"{settings.env}, data in {settings.data_dir.resolve()}",
        "keys": lambda: _keys(settings),
        "database": lambda: asyncio.run(_database(settings)),
        "redis": lambda: asyncio.run(_redis(settings)),
        "mail port": lambda: _mail_port(smtp_host, smtp_port),
        "console": lambda: "built" if is_built() else f"not in this installation, and the API does without; {HOW_TO_GET_IT}",
    }
    results = [_told(console, part, examination) for part, examination in examinations.items()]
    return all(results)


def _told(console: Console, part: str, examination: Callable[[], str]) -> bool:
    try:
        finding = examination()
    except (_Wrong, WrongSetting, DatabaseAway, RedisUnfit, DomainError, OSError, ValueError) as error:
        console.print(f"[red]✗[/] {part}: {escape(str(error).splitlines()[0])}")
        return False
    console.print(f"[green]✓[/] {part}: {escape(finding)}")
    return True


def _keys(settings: Settings) -> str:
    ring = settings.key_ring()
    origin = "given" if settings.encryption_keys else "generated into the data folder"
    tokens = "the identity provider's" if settings.signing_key() is None else "ours"
    return f"secrets are encrypted under {ring.primary} ({origin}), tokens are {tokens}"


async def _database(settings: Settings) -> str:
    settings.prepare_data_dir()
    database = open_database(settings)
    try:
        revision = await database.revision()
        if revision is None and database.embedded:
            return "reachable and empty; `disqua serve` or `disqua migrate` makes the tables"
        schema = _schema(revision, shared=not database.embedded)
        walled = await database.walls_tenants()
        unreadable = await _unreadable_secrets(database)
    finally:
        await database.close()
    if unreadable:
        raise _Wrong(f"no key opens the secrets of connectors {', '.join(unreadable)}: bring the key back or set them again")
    return f"reachable, {schema}, every secret opens{'' if walled else _NO_WALL}"


def _schema(revision: str | None, *, shared: bool) -> str:
    """What is to be said of the schema; on a server that others share, one that is newer than we are will do."""
    newest = migrations.head()
    if revision is None:
        raise _Wrong("reachable and empty: run `disqua migrate`")
    if revision == newest:
        return f"schema {revision}"
    if migrations.is_older(revision):
        raise _Wrong(f"the schema is at {revision}, this version needs {newest}: run `disqua migrate`")
    if not shared:
        raise _Wrong(f"the schema is at {revision}, this version needs {newest}: a newer version of Disqua made it")
    return f"schema {revision} of a newer version (this one knows {newest})"


async def _redis(settings: Settings) -> str:
    if settings.redis_url is None:
        return "not set: queue and updates run inside the one process"
    check_redis_address(settings)
    return f"version {await redis_version(settings.redis_url)} carries queue and updates"


async def _unreadable_secrets(database: Database) -> list[str]:
    async with database.operator_reading() as operator:
        workspaces = await operator.workspaces.all()
    unreadable = []
    for workspace in workspaces:
        async with database.reading(workspace.id) as store:
            for connector in await store.connectors.all():
                try:
                    await store.credentials.carried(connector.id, utc_now(), note_use=False)
                except SecretUnreadable:
                    unreadable.append(str(connector.id))
    return unreadable


def _mail_port(host: str, port: int) -> str:
    """Free, or served by us: anything else on it would keep mail from arriving."""
    try:
        with socket.create_connection((host, port), timeout=_PATIENCE_SECONDS) as connection:
            greeting = connection.recv(512).decode("ascii", errors="replace").strip()
    except ConnectionRefusedError:
        listen(host, port, option="--smtp-port").close()
        return f"{host}:{port} is free"
    except OSError as error:
        raise _Wrong(f"nothing on {host}:{port} greets as a mail server: {error}") from None
    if not greeting.startswith("220"):
        raise _Wrong(f"something that is no mail server listens on {host}:{port}")
    if not greeting.endswith(_GREETING):
        raise _Wrong(f"another mail server listens on {host}:{port}")
    return f"{host}:{port} takes mail"
