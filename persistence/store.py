"""The stores of one transaction, for one tenant or for the operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persistence.aging import AgedRows, AgingStore
from persistence.answers import AnswerStore
from persistence.audit import AuditStore
from persistence.connectors import ConnectorStore
from persistence.credentials import CredentialStore, EveryCredential
from persistence.lookups import LookupStore, OpenLookups
from persistence.messages import MessageStore
from persistence.requesters import RequesterStore
from persistence.revocations import RevocationList
from persistence.tickets import TicketStore
from persistence.workspaces import WorkspaceDirectory

if TYPE_CHECKING:
    from domain.identity import WorkspaceId
    from persistence.connection import Connection
    from persistence.encryption import KeyRing
    from persistence.kept import Kept


class WorkspaceStore:
    """Everything of one workspace, in one transaction: no query of these can forget the tenant."""

    def __init__(self, connection: Connection, workspace_id: WorkspaceId, keys: KeyRing, kept: Kept) -> None:
        self.workspace_id = workspace_id
        self._directory = WorkspaceDirectory(connection)
        self.tickets = TicketStore(connection, workspace_id, kept.tickets)
        self.messages = MessageStore(connection, workspace_id)
        self.connectors = ConnectorStore(connection, workspace_id, keys)
        self.credentials = CredentialStore(connection, workspace_id, keys)
        self.lookups = LookupStore(connection, workspace_id)
        self.answers = AnswerStore(connection, workspace_id, kept)
        self.requesters = RequesterStore(connection, workspace_id)
        self.audit = AuditStore(connection, workspace_id)
        self.aging = AgingStore(connection, workspace_id)

    async def suspended(self) -> bool:
        """Whether the workspace's doors are shut."""
        return await self._directory.is_suspended(self.workspace_id)


class OperatorStore:
    """What concerns all workspaces at once."""

    def __init__(self, connection: Connection, keys: KeyRing) -> None:
        self.workspaces = WorkspaceDirectory(connection)
        self.lookups = OpenLookups(connection)
        self.credentials = EveryCredential(connection, keys)
        self.revocations = RevocationList(connection)
        self.aged = AgedRows(connection)
