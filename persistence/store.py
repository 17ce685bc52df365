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
from persistence.standings import StandingStore
from persistence.tickets import TicketStore
from persistence.workspaces import WorkspaceDirectory

if TYPE_CHECKING:
    from domain.identity import WorkspaceId
    from persistence.connection import Connection
    from persistence.encryption import KeyRing
    from persistence.kept import Kept


class WorkspaceStore:
    """Everything of one workspace, in one transaction: no query of these can forget the tenant.

    A store is made where it is asked for: few transactions need more than one.
    """

    __slots__ = ("_connection", "_kept", "_keys", "workspace_id")

    def __init__(self, connection: Connection, workspace_id: WorkspaceId, keys: KeyRing, kept: Kept) -> None:
        self.workspace_id = workspace_id
        self._connection = connection
        self._keys = keys
        self._kept = kept

    @property
    def tickets(self) -> TicketStore:
        """The tickets."""
        return TicketStore(self._connection, self.workspace_id, self._kept.tickets)

    @property
    def messages(self) -> MessageStore:
        """Their messages."""
        return MessageStore(self._connection, self.workspace_id)

    @property
    def connectors(self) -> ConnectorStore:
        """The connectors."""
        return ConnectorStore(self._connection, self.workspace_id, self._keys)

    @property
    def credentials(self) -> CredentialStore:
        """Their secrets and signing keys."""
        return CredentialStore(self._connection, self.workspace_id, self._keys)

    @property
    def lookups(self) -> LookupStore:
        """The lookups."""
        return LookupStore(self._connection, self.workspace_id)

    @property
    def answers(self) -> AnswerStore:
        """What endpoints said."""
        return AnswerStore(self._connection, self.workspace_id)

    @property
    def standings(self) -> StandingStore:
        """What is known of tickets."""
        return StandingStore(self._connection, self.workspace_id, self._kept)

    @property
    def requesters(self) -> RequesterStore:
        """Who wrote."""
        return RequesterStore(self._connection, self.workspace_id)

    @property
    def audit(self) -> AuditStore:
        """Who changed what."""
        return AuditStore(self._connection, self.workspace_id)

    @property
    def aging(self) -> AgingStore:
        """What is old."""
        return AgingStore(self._connection, self.workspace_id)

    async def suspended(self) -> bool:
        """Whether the workspace's doors are shut."""
        return await WorkspaceDirectory(self._connection).is_suspended(self.workspace_id)


class OperatorStore:
    """What concerns all workspaces at once."""

    def __init__(self, connection: Connection, keys: KeyRing) -> None:
        self.workspaces = WorkspaceDirectory(connection)
        self.lookups = OpenLookups(connection)
        self.credentials = EveryCredential(connection, keys)
        self.revocations = RevocationList(connection)
        self.aged = AgedRows(connection)
