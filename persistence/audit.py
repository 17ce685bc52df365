"""The audit log of a workspace: written in the transaction of the deed, never changed."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import insert, select

from domain.audit import AuditAction, AuditEntry, AuditEntryId, Deed, NamedConnector
from domain.erasure import Erased
from domain.identity import ConnectorId, TicketId
from persistence.tables import audit_log, new_id

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Row

    from domain.identity import Principal, WorkspaceId
    from persistence.connection import Connection


class AuditStore:
    """Entries by age."""

    def __init__(self, connection: Connection, workspace_id: WorkspaceId) -> None:
        self._connection = connection
        self._workspace_id = workspace_id

    async def add(self, actor: Principal, deed: Deed, now: datetime) -> None:
        """Write down what the actor does in this transaction."""
        values = {
            "id": new_id(),
            "workspace_id": self._workspace_id,
            "subject": actor.subject,
            "name": actor.name,
            "token_id": actor.token_id,
            "action": deed.action,
            "details": _details(deed),
            "happened_at": now,
        }
        await self._connection.execute(insert(audit_log).values(values))

    async def newest(self, count: int, *, before: AuditEntryId | None = None) -> list[AuditEntry]:
        """Up to ``count`` entries, newest first."""
        statement = select(audit_log).where(audit_log.c.workspace_id == self._workspace_id)
        if before is not None:
            statement = statement.where(audit_log.c.id < before)
        rows = await self._connection.execute(statement.order_by(audit_log.c.id.desc()).limit(count))
        return [_entry(row) for row in rows]


def _details(deed: Deed) -> dict[str, Any]:
    return {
        "connectors": [[str(connector.id), connector.name] for connector in deed.connectors],
        "members": list(deed.members),
        "ticket_id": str(deed.ticket_id) if deed.ticket_id else None,
        "erased": asdict(deed.erased) if deed.erased else None,
    }


def _entry(row: Row[Any]) -> AuditEntry:
    details = row.details
    deed = Deed(
        action=AuditAction(row.action),
        connectors=tuple(NamedConnector(ConnectorId(UUID(connector_id)), name) for connector_id, name in details["connectors"]),
        members=tuple(details["members"]),
        ticket_id=TicketId(UUID(details["ticket_id"])) if details["ticket_id"] else None,
        erased=_erased(details["erased"]) if details["erased"] else None,
    )
    return AuditEntry(
        id=AuditEntryId(row.id),
        subject=row.subject,
        name=row.name,
        token_id=row.token_id,
        deed=deed,
        happened_at=row.happened_at,
    )


def _erased(counts: dict[str, int]) -> Erased:
    """What was counted then, by a version that may have counted more or less than this one."""
    return Erased(**{field.name: counts.get(field.name, 0) for field in fields(Erased)})
