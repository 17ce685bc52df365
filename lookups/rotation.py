"""Another secret for a connector: tried before it is taken over, and a way back for a day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.audit import AuditAction, Deed
from domain.credentials import check_rotation
from lookups.connectors import forget_failures
from lookups.runner import Candidate

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from domain.connector import Connector
    from domain.identity import ConnectorId, EmailAddress, Principal, WorkspaceId
    from domain.secret import Secret
    from lookups.runner import Runner, Trial
    from persistence.database import Database
    from persistence.store import WorkspaceStore


async def rotate_secret(
    database: Database,
    runner: Runner,
    workspace_id: WorkspaceId,
    connector_id: ConnectorId,
    *,
    value: Secret,
    email: EmailAddress,
    actor: Principal,
    now: Callable[[], datetime],
) -> Trial | None:
    """Ask the endpoint with ``value``; an answer, and nothing else, puts it in force. One that is already is only asked with.

    The trial tells which it was: its outcome is a failure if the old secret is still in force. None for an unknown connector;
    raises InvalidConnector when it has no secret or no header can carry the value.
    """
    async with database.reading(workspace_id) as store:
        connector = await store.connectors.get(connector_id)
    if connector is None:
        return None
    check_rotation(connector, value)

    async def take_over(store: WorkspaceStore) -> None:
        if await store.credentials.rotate_secret(connector_id, value, now()):
            await forget_failures(store, connector_id, now())
            await store.audit.add(actor, Deed.to(connector, AuditAction.SECRET_ROTATED), now())

    return await runner.try_out(workspace_id, connector_id, email, candidate=Candidate(value, take_over))


async def restore_secret(store: WorkspaceStore, connector: Connector, *, actor: Principal, now: datetime) -> bool:
    """Let the secret and the one before it change places; False when there is none to go back to, or no longer.

    Nobody is asked: this is the way back when what is in force does not work. Raises SecretUnreadable when that cannot be opened.
    """
    restored = await store.credentials.restore_secret(connector.id, now)
    if restored:
        await forget_failures(store, connector.id, now)
        await store.audit.add(actor, Deed.to(connector, AuditAction.SECRET_RESTORED), now)
    return restored
