"""The tenants and the addresses at which they receive mail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, insert, select, true, update

from domain.errors import DomainError
from domain.identity import EmailAddress, WorkspaceId, support_address
from persistence.tables import new_id, support_addresses, workspaces

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import ColumnElement

    from persistence.connection import Connection


class AddressTaken(DomainError):
    """A support address belongs to one workspace at most."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """A tenant with its support addresses, oldest first; those of one moment by name."""

    id: WorkspaceId
    name: str
    support_addresses: tuple[EmailAddress, ...]
    suspended_at: datetime | None = None
    """Since when its doors are shut; None while they are open."""


_SUSPENDED = select(workspaces.c.id).where(
    workspaces.c.id == bindparam("workspace", type_=workspaces.c.id.type), workspaces.c.suspended_at.is_not(None)
)
_OWNER = select(support_addresses.c.workspace_id).where(
    support_addresses.c.address == bindparam("address", type_=support_addresses.c.address.type)
)
"""Made once, as what each mail asks for."""


class WorkspaceDirectory:
    """All workspaces."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def create(self, name: str, addresses: Iterable[EmailAddress], now: datetime) -> WorkspaceId:
        """Add a tenant; raises AddressTaken when one of the addresses is another's."""
        workspace_id = WorkspaceId(new_id())
        await self._connection.execute(insert(workspaces).values(id=workspace_id, name=name, tickets_opened=0, created_at=now))
        for address in addresses:
            await self.add_address(workspace_id, address, now)
        return workspace_id

    async def add_address(self, workspace_id: WorkspaceId, address: EmailAddress, now: datetime) -> None:
        """Give the workspace one more address; one it already has stays as it is."""
        owner = await self._owner(address)
        if owner == workspace_id:
            return
        if owner is not None:
            message = f"{address} belongs to another workspace."
            raise AddressTaken(message)
        values = {"address": address, "workspace_id": workspace_id, "created_at": now}
        await self._connection.execute(insert(support_addresses).values(values))

    async def remove_address(self, workspace_id: WorkspaceId, address: EmailAddress) -> bool:
        """Take an address away; False when the workspace did not have it."""
        statement = delete(support_addresses).where(
            support_addresses.c.workspace_id == workspace_id, support_addresses.c.address == address
        )
        return (await self._connection.execute(statement)).rowcount > 0

    async def receiving(self, recipient: EmailAddress) -> WorkspaceId | None:
        """The workspace that a mail to this recipient belongs to; a ``+tag`` does not matter."""
        return await self._owner(support_address(recipient))

    async def suspend(self, workspace_id: WorkspaceId, now: datetime) -> bool:
        """Shut every door of the workspace; False when they were shut already."""
        return await self._mark(workspace_id, workspaces.c.suspended_at.is_(None), now)

    async def resume(self, workspace_id: WorkspaceId) -> bool:
        """Open the doors again; False when they were open."""
        return await self._mark(workspace_id, workspaces.c.suspended_at.is_not(None), None)

    async def is_suspended(self, workspace_id: WorkspaceId) -> bool:
        """Whether its doors are shut."""
        return (await self._connection.execute(_SUSPENDED, {"workspace": workspace_id})).first() is not None

    async def get(self, workspace_id: WorkspaceId) -> Workspace | None:
        """One workspace, or None when there is none with this id."""
        found = await self._load(workspaces.c.id == workspace_id)
        return found[0] if found else None

    async def exists(self, workspace_id: WorkspaceId) -> bool:
        """Whether there is a workspace with this id."""
        statement = select(workspaces.c.id).where(workspaces.c.id == workspace_id)
        return (await self._connection.execute(statement)).first() is not None

    async def all(self) -> list[Workspace]:
        """Every workspace, oldest first."""
        return await self._load(true())

    async def _mark(self, workspace_id: WorkspaceId, before: ColumnElement[bool], suspended_at: datetime | None) -> bool:
        statement = update(workspaces).where(workspaces.c.id == workspace_id, before).values(suspended_at=suspended_at)
        return (await self._connection.execute(statement)).rowcount > 0

    async def _owner(self, address: EmailAddress) -> WorkspaceId | None:
        found: WorkspaceId | None = (await self._connection.execute(_OWNER, {"address": address})).scalar()
        return found

    async def _load(self, condition: ColumnElement[bool]) -> list[Workspace]:
        statement = (
            select(workspaces.c.id, workspaces.c.name, workspaces.c.suspended_at, support_addresses.c.address)
            .join_from(workspaces, support_addresses, isouter=True)
            .where(condition)
            .order_by(workspaces.c.id, support_addresses.c.created_at, support_addresses.c.address)
        )
        found: dict[WorkspaceId, tuple[str, datetime | None]] = {}
        addresses: dict[WorkspaceId, list[EmailAddress]] = {}
        for row in await self._connection.execute(statement):
            found[row.id] = row.name, row.suspended_at
            addresses.setdefault(row.id, []).extend([EmailAddress(row.address)] if row.address else [])
        return [Workspace(one, name, tuple(addresses[one]), suspended_at) for one, (name, suspended_at) in found.items()]
