"""The tickets of a workspace."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Integer, bindparam, func, insert, select, update

from domain.identity import EmailAddress, TicketId
from domain.ticket import Requester, Ticket
from persistence.rows import as_returned, row_maker
from persistence.tables import new_id, tickets, workspaces

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Dialect, Row, Select

    from domain.identity import WorkspaceId
    from persistence.connection import Connection


class KeptTickets:
    """What was read of late, by the very values that the driver returned: never out of date, and never another's."""

    def __init__(self, dialect: Dialect) -> None:
        self._row = row_maker([(column.name, column.type) for column in tickets.c], dialect)
        self.ticket = lru_cache(_KEPT)(self._read)
        """The ticket of a row."""

    def forget(self) -> None:
        """Keep none of them."""
        self.ticket.cache_clear()

    def _read(self, row: Sequence[Any]) -> Ticket:
        return ticket_from(self._row(row))


class TicketStore:
    """Tickets by id and by number; numbers count from 1 without a gap and in order of commit."""

    def __init__(self, connection: Connection, workspace_id: WorkspaceId, kept: KeptTickets) -> None:
        self._connection = connection
        self._workspace_id = workspace_id
        self._kept = kept

    async def open(
        self, *, subject: str, requester: Requester | None, now: datetime, automatic: bool = False, bounce: bool = False
    ) -> Ticket:
        """Add a ticket with the next number."""
        ticket = Ticket(
            id=TicketId(new_id()),
            workspace_id=self._workspace_id,
            number=await self._next_number(),
            subject=subject,
            requester=requester,
            automatic=automatic,
            bounce=bounce,
            created_at=now,
        )
        values = {
            "id": ticket.id,
            "workspace_id": self._workspace_id,
            "number": ticket.number,
            "subject": subject,
            "requester_email": requester.email if requester else None,
            "requester_name": requester.name if requester else None,
            "automatic": automatic,
            "bounce": bounce,
            "created_at": now,
        }
        await self._connection.execute(_ADD, values)
        return ticket

    async def get(self, ticket_id: TicketId) -> Ticket | None:
        """The ticket, or None when this workspace has none with this id."""
        row = (await self._connection.execute(_GET, {"workspace": self._workspace_id, "ticket": ticket_id})).first()
        return None if row is None else self._kept.ticket(tuple(row))

    async def newest(self, count: int, *, before: int | None = None, requester: EmailAddress | None = None) -> list[Ticket]:
        """Up to ``count`` tickets, newest first, with numbers below ``before``; of one requester, where one is named."""
        narrowed = {"before": before, "requester": requester}
        values = {name: value for name, value in narrowed.items() if value is not None}
        statement = newest_page(before="before" in values, requester="requester" in values)
        rows = await self._connection.execute(statement, {"workspace": self._workspace_id, "count": count, **values})
        return [self._kept.ticket(tuple(row)) for row in rows]

    async def opened_after(self, number: int, *, limit: int) -> list[Ticket]:
        """Tickets with higher numbers, oldest first."""
        statement = (
            select(tickets)
            .where(tickets.c.workspace_id == self._workspace_id, tickets.c.number > number)
            .order_by(tickets.c.number)
            .limit(limit)
        )
        return [ticket_from(row) for row in await self._connection.execute(statement)]

    async def newest_number(self) -> int:
        """The number of the newest ticket; 0 before the first."""
        statement = select(func.max(tickets.c.number)).where(tickets.c.workspace_id == self._workspace_id)
        return (await self._connection.execute(statement)).scalar() or 0

    async def _next_number(self) -> int:
        number: int = (await self._connection.execute(_NEXT_NUMBER, {"workspace": self._workspace_id})).scalar_one()
        return number


_KEPT: Final = 1_000
_WORKSPACE = bindparam("workspace", type_=tickets.c.workspace_id.type)
_AS_RETURNED = select(*(as_returned(column, column.name) for column in tickets.c))
_GET = _AS_RETURNED.where(tickets.c.workspace_id == _WORKSPACE, tickets.c.id == bindparam("ticket", type_=tickets.c.id.type))
_ADD = insert(tickets)
_NEXT_NUMBER = (
    update(workspaces)
    .where(workspaces.c.id == _WORKSPACE)
    .values(tickets_opened=workspaces.c.tickets_opened + 1)
    .returning(workspaces.c.tickets_opened)
)
"""Made once, as what every mail and every view asks for."""


@cache
def newest_page(*, before: bool, requester: bool) -> Select[Any]:
    """Up to ``count`` rows of a ``workspace``'s tickets, newest first; its parameters are those of ``TicketStore.newest``."""
    statement = _AS_RETURNED.where(tickets.c.workspace_id == _WORKSPACE)
    if requester:
        statement = statement.where(tickets.c.requester_email == bindparam("requester", type_=tickets.c.requester_email.type))
    if before:
        statement = statement.where(tickets.c.number < bindparam("before", type_=tickets.c.number.type))
    return statement.order_by(tickets.c.number.desc()).limit(bindparam("count", type_=Integer))


def ticket_from(row: Row[Any]) -> Ticket:
    """The ticket that a row of its table holds."""
    return Ticket(
        id=row.id,
        workspace_id=row.workspace_id,
        number=row.number,
        subject=row.subject,
        requester=Requester(EmailAddress(row.requester_email), row.requester_name) if row.requester_email else None,
        automatic=row.automatic,
        bounce=row.bounce,
        created_at=row.created_at,
    )
