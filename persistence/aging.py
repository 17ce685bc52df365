"""What has been kept long enough: found by the ids, whose order is that of age."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from sqlalchemy import delete, exists, select

from domain.identity import WorkspaceId
from persistence.tables import connectors, lookups, messages, raw_messages

if TYPE_CHECKING:
    from datetime import datetime

    from persistence.connection import Connection

_MILLISECONDS_FROM: Final = 80
"""The bit of a version 7 UUID at which its time begins (RFC 9562, 5.7)."""


def first_id_of(moment: datetime) -> UUID:
    """An id below which every id was made before that moment."""
    return UUID(int=int(moment.timestamp() * 1000) << _MILLISECONDS_FROM)


class AgedRows:
    """Which workspaces hold something too old, across all of them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def with_log_before(self, moment: datetime) -> list[WorkspaceId]:
        """Those whose logs have ended entries from before."""
        old = exists().where(
            lookups.c.connector_id == connectors.c.id,
            lookups.c.id < first_id_of(moment),
            lookups.c.completed_at.is_not(None),
        )
        rows = await self._connection.execute(select(connectors.c.workspace_id).where(old).distinct())
        return [WorkspaceId(row.workspace_id) for row in rows]

    async def with_raw_mail_before(self, moment: datetime) -> list[WorkspaceId]:
        """Those that keep mails as they arrived from before."""
        statement = (
            select(messages.c.workspace_id)
            .join(raw_messages, raw_messages.c.message_id == messages.c.id)
            .where(raw_messages.c.message_id < first_id_of(moment))
            .distinct()
        )
        return [WorkspaceId(row.workspace_id) for row in await self._connection.execute(statement)]


class AgingStore:
    """Lets go of what is too old in one workspace, a little at a time."""

    def __init__(self, connection: Connection, workspace_id: WorkspaceId) -> None:
        self._connection = connection
        self._workspace_id = workspace_id

    async def erase_log(self, before: datetime, *, at_most: int) -> int:
        """Remove ended entries of the log; how many. An answer that is shown does not depend on them."""
        ours = select(connectors.c.id).where(connectors.c.workspace_id == self._workspace_id)
        old = (
            select(lookups.c.id)
            .where(
                lookups.c.workspace_id == self._workspace_id,
                lookups.c.connector_id.in_(ours),
                lookups.c.id < first_id_of(before),
                lookups.c.completed_at.is_not(None),
            )
            .limit(at_most)
        )
        statement = delete(lookups).where(lookups.c.workspace_id == self._workspace_id, lookups.c.id.in_(old))
        return (await self._connection.execute(statement)).rowcount

    async def erase_raw_mail(self, before: datetime, *, at_most: int) -> int:
        """Remove mails as they arrived; how many. What tells a second delivery from a new mail stays."""
        old = (
            select(raw_messages.c.message_id)
            .join(messages, messages.c.id == raw_messages.c.message_id)
            .where(messages.c.workspace_id == self._workspace_id, raw_messages.c.message_id < first_id_of(before))
            .limit(at_most)
        )
        return (await self._connection.execute(delete(raw_messages).where(raw_messages.c.message_id.in_(old)))).rowcount
