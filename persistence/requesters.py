"""Forgetting a requester: everything that connectors ever said of an address, and the names it wrote under."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select, update

from domain.erasure import Erased
from persistence.tables import answers, connectors, lookups, messages, tickets

if TYPE_CHECKING:
    from sqlalchemy import Delete, Update

    from domain.identity import EmailAddress, WorkspaceId
    from persistence.connection import Connection


class RequesterStore:
    """The requesters of one workspace."""

    def __init__(self, connection: Connection, workspace_id: WorkspaceId) -> None:
        self._connection = connection
        self._workspace_id = workspace_id

    async def forget(self, email: EmailAddress) -> Erased:
        """Remove answers, log entries with their responses, and names; tickets keep their address and their messages.

        A lookup under way loses its row, and with it the right to store anything when it ends.
        """
        ours = select(connectors.c.id).where(connectors.c.workspace_id == self._workspace_id)
        known = answers.c.workspace_id == self._workspace_id, answers.c.connector_id.in_(ours), answers.c.email == email
        logged = lookups.c.workspace_id == self._workspace_id, lookups.c.email == email
        written = tickets.c.workspace_id == self._workspace_id, tickets.c.requester_email == email
        said = messages.c.workspace_id == self._workspace_id, messages.c.sender_email == email
        entries = func.count(), func.count(lookups.c.completed_at), func.count(lookups.c.response)
        all_entries, ended, responses = (await self._connection.execute(select(*entries).where(*logged))).one()
        await self._count(delete(lookups).where(*logged))
        return Erased(
            answers=await self._count(delete(answers).where(*known)),
            lookups=all_entries,
            under_way=all_entries - ended,
            responses=responses,
            names=await self._count(
                update(tickets).where(*written, tickets.c.requester_name.is_not(None)).values(requester_name=None)
            )
            + await self._count(update(messages).where(*said, messages.c.sender_name.is_not(None)).values(sender_name=None)),
        )

    async def _count(self, statement: Delete | Update) -> int:
        return (await self._connection.execute(statement)).rowcount
