"""The connectors of a workspace."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, assert_never

from sqlalchemy import bindparam, delete, func, insert, select, update

from domain.connector import MAX_POSITION, Connector, ConnectorSettings
from domain.health import Failing, Health, Paused, Working
from domain.identity import ConnectorId
from persistence.credentials import CREDENTIAL_COLUMNS, WITHOUT_SECRET, sealed_secret
from persistence.tables import connectors, new_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from domain.identity import WorkspaceId
    from domain.secret import Secret
    from persistence.connection import Connection
    from persistence.encryption import KeyRing

_HOUR = timedelta(hours=1)
_THIS = (
    connectors.c.workspace_id == bindparam("workspace", type_=connectors.c.workspace_id.type),
    connectors.c.id == bindparam("connector", type_=connectors.c.id.type),
)
COLUMNS: Final = (
    *(column for column in connectors.c if column.name not in CREDENTIAL_COLUMNS),
    connectors.c.secret.is_not(None).label("has_secret"),
)
"""What `connector_from` reads."""

_GET = select(*COLUMNS).where(*_THIS)  # made once, as what each lookup asks for


class ConnectorStore:
    """Connectors in panel order: by position, equal ones by age."""

    def __init__(self, connection: Connection, workspace_id: WorkspaceId, keys: KeyRing) -> None:
        self._connection = connection
        self._workspace_id = workspace_id
        self._keys = keys

    async def all(self) -> list[Connector]:
        """Every connector in panel order, the disabled ones too."""
        statement = (
            select(*COLUMNS)
            .where(connectors.c.workspace_id == self._workspace_id)
            .order_by(connectors.c.position, connectors.c.id)
        )
        return [connector_from(row) for row in await self._connection.execute(statement)]

    async def get(self, connector_id: ConnectorId) -> Connector | None:
        """The connector, or None when this workspace has none with this id."""
        row = (await self._connection.execute(_GET, self._named(connector_id))).first()
        return None if row is None else connector_from(row)

    async def count(self) -> int:
        """How many there are."""
        statement = select(func.count()).where(connectors.c.workspace_id == self._workspace_id)
        count: int = (await self._connection.execute(statement)).scalar_one()
        return count

    async def last_position(self) -> int:
        """The position that sorts a connector behind all others."""
        statement = select(func.max(connectors.c.position)).where(connectors.c.workspace_id == self._workspace_id)
        highest = (await self._connection.execute(statement)).scalar()
        return 0 if highest is None else min(highest + 1, MAX_POSITION)

    async def add(self, settings: ConnectorSettings, secret: Secret | None, now: datetime) -> Connector:
        """Store a new connector; ``settings`` have been checked."""
        connector_id = ConnectorId(new_id())
        values = {
            "id": connector_id,
            "workspace_id": self._workspace_id,
            "secret": sealed_secret(self._keys, self._workspace_id, connector_id, secret) if secret else None,
            "secret_changed_at": now if secret else None,
            "created_at": now,
            "updated_at": now,
        }
        await self._connection.execute(insert(connectors).values(values | _columns(settings)))
        stored = await self.get(connector_id)
        assert stored is not None  # noqa: S101 - inserted in this very transaction
        return stored

    async def save(self, connector_id: ConnectorId, settings: ConnectorSettings, now: datetime) -> None:
        """Replace the settings; ``settings`` have been checked. The secret goes when they say there is none."""
        values = _columns(settings) | {"updated_at": now} | ({} if settings.has_secret else WITHOUT_SECRET)
        await self._connection.execute(update(connectors).where(*self._this(connector_id)).values(values))

    async def save_positions(self, moved: Sequence[Connector], now: datetime) -> None:
        """Replace the positions of these, and nothing else."""
        for connector in moved:
            values = {"position": connector.position, "updated_at": now}
            await self._connection.execute(update(connectors).where(*self._this(connector.id)).values(values))

    async def save_health(self, connector_id: ConnectorId, health: Health, *, success_at: datetime | None = None) -> None:
        """Replace what is known of how the endpoint fares; ``success_at`` if an answer has told it."""
        values = _health_columns(health) | ({"last_success_at": success_at} if success_at else {})
        await self._connection.execute(update(connectors).where(*self._this(connector_id)).values(values))

    async def delete(self, connector_id: ConnectorId) -> bool:
        """Delete the connector with its answers and its log; False when there is none with this id."""
        return (await self._connection.execute(delete(connectors).where(*self._this(connector_id)))).rowcount > 0

    def _this(self, connector_id: ConnectorId) -> tuple[Any, ...]:
        return connectors.c.workspace_id == self._workspace_id, connectors.c.id == connector_id

    def _named(self, connector_id: ConnectorId) -> dict[str, UUID]:
        return {"workspace": self._workspace_id, "connector": connector_id}


def connector_from(row: Any) -> Connector:  # noqa: ANN401 - of whichever driver
    """The connector that a row of `COLUMNS` holds."""
    return Connector(
        id=row.id,
        name=row.name,
        lookup_url=row.lookup_url,
        secret_header_name=row.secret_header_name,
        has_secret=row.has_secret,
        link_template=row.link_template,
        cache_ttl=row.cache_ttl_hours * _HOUR,
        log_results=row.log_results,
        enabled=row.enabled,
        position=row.position,
        created_at=row.created_at,
        updated_at=row.updated_at,
        health=_health(row.failures_in_a_row, row.health_since, row.next_probe_at),
        last_success_at=row.last_success_at,
    )


def _health(failures: int, since: datetime | None, next_probe_at: datetime | None) -> Health:
    if since is None or not failures:
        return Working(since)
    return Failing(since, failures) if next_probe_at is None else Paused(since, failures, next_probe_at)


def _health_columns(health: Health) -> dict[str, Any]:
    match health:
        case Working():
            failures, next_probe_at = 0, None
        case Failing():
            failures, next_probe_at = health.failures, None
        case Paused():
            failures, next_probe_at = health.failures, health.next_probe_at
        case _:
            assert_never(health)
    return {"failures_in_a_row": failures, "health_since": health.since, "next_probe_at": next_probe_at}


def _columns(settings: ConnectorSettings) -> dict[str, Any]:
    return {
        "name": settings.name,
        "lookup_url": settings.lookup_url,
        "secret_header_name": settings.secret_header_name,
        "link_template": settings.link_template,
        "cache_ttl_hours": settings.cache_ttl // _HOUR,
        "log_results": settings.log_results,
        "enabled": settings.enabled,
        "position": settings.position,
    }
