"""What is known of (connector, address): the last good answer and the failure since."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from domain.answer import Answer, Badge, BadgeColor, Customer, Field, Found, NotFound
from domain.failure import Failure, FailureKind
from domain.identity import TicketId
from domain.lookup import Outcome, Standing, StoredAnswer
from persistence.connectors import COLUMNS, connector_from
from persistence.tables import answers, connectors, lookups, tickets

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Row, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from domain.connector import Connector
    from domain.identity import ConnectorId, EmailAddress, WorkspaceId

_CONNECTOR = "connector_"


@dataclass(frozen=True, slots=True)
class ConnectorStanding:
    """One connector and what it is known to say of one requester: all that a panel needs."""

    connector: Connector
    standing: Standing


class AnswerStore:
    """Answers by (connector, address), so that every ticket of a requester shows the same."""

    def __init__(self, connection: AsyncConnection, workspace_id: WorkspaceId) -> None:
        self._connection = connection
        self._workspace_id = workspace_id

    async def standings(self, ticket_ids: Sequence[TicketId]) -> dict[TicketId, list[ConnectorStanding]]:
        """What each enabled connector knows of each ticket's requester, in panel order, in one statement.

        A bounce and a ticket without requester have none.
        """
        found: dict[TicketId, list[ConnectorStanding]] = {ticket_id: [] for ticket_id in ticket_ids}
        for row in await self._connection.execute(_STANDINGS, {"workspace": self._workspace_id, "tickets": ticket_ids}):
            found[TicketId(row.ticket_id)].append(ConnectorStanding(connector_from(row, _CONNECTOR), _standing(row)))
        return found

    async def record(self, connector_id: ConnectorId, email: EmailAddress, outcome: Outcome, now: datetime) -> None:
        """Take note of an outcome: an answer replaces all that was known, a failure leaves the last good answer."""
        outcome_columns = _columns(outcome, now)
        key = {"connector_id": connector_id, "email": email, "workspace_id": self._workspace_id}
        absent = {"found": None, "customer": None, "fetched_at": None}
        dialect = postgresql if self._connection.dialect.name == "postgresql" else sqlite
        statement = dialect.insert(answers).values(key | absent | outcome_columns)
        upsert = statement.on_conflict_do_update(
            index_elements=["connector_id", "email"],
            set_=outcome_columns,
            where=answers.c.workspace_id == self._workspace_id,
        )
        await self._connection.execute(upsert)

    async def forget_failures(self, connector_id: ConnectorId) -> None:
        """Make the last good answers the newest outcomes again; where there is none, nothing has been asked."""
        mine = and_(answers.c.workspace_id == self._workspace_id, answers.c.connector_id == connector_id)
        await self._connection.execute(delete(answers).where(mine, answers.c.found.is_(None)))
        await self._connection.execute(update(answers).where(mine).values(failure_kind=None, http_status=None))

    async def drop(self, connector_id: ConnectorId) -> None:
        """Forget everything this connector ever said."""
        mine = and_(answers.c.workspace_id == self._workspace_id, answers.c.connector_id == connector_id)
        await self._connection.execute(delete(answers).where(mine))


def _all_standings() -> Select[*tuple[Any, ...]]:
    under_way = and_(
        lookups.c.connector_id == connectors.c.id,
        lookups.c.email == tickets.c.requester_email,
        lookups.c.completed_at.is_(None),
        lookups.c.ticket_id.is_not(None),
    )
    known = and_(answers.c.connector_id == connectors.c.id, answers.c.email == tickets.c.requester_email)
    return (
        select(
            tickets.c.id.label("ticket_id"),
            *(column.label(f"{_CONNECTOR}{column.name}") for column in COLUMNS),
            answers.c.found,
            answers.c.customer,
            answers.c.fetched_at,
            answers.c.failure_kind,
            answers.c.http_status,
            lookups.c.id.label("under_way"),
        )
        .select_from(tickets)
        .join(connectors, connectors.c.workspace_id == tickets.c.workspace_id)
        .outerjoin(answers, known)
        .outerjoin(lookups, under_way)
        .where(
            tickets.c.workspace_id == bindparam("workspace", type_=tickets.c.workspace_id.type),
            tickets.c.id.in_(bindparam("tickets", type_=tickets.c.id.type, expanding=True)),
            tickets.c.requester_email.is_not(None),
            tickets.c.bounce.is_(False),
            connectors.c.enabled.is_(True),
        )
        .order_by(connectors.c.position, connectors.c.id)
    )


_STANDINGS = _all_standings()
"""Made once: to make and hash so large a statement takes as long as to run it."""


def _columns(outcome: Outcome, now: datetime) -> dict[str, Any]:
    if isinstance(outcome, Failure):
        return {"failure_kind": outcome.kind, "http_status": outcome.http_status}
    customer = _customer_to_json(outcome.customer) if isinstance(outcome, Found) else None
    found = isinstance(outcome, Found)
    return {"found": found, "customer": customer, "fetched_at": now, "failure_kind": None, "http_status": None}


def _standing(row: Row[*tuple[Any, ...]]) -> Standing:
    failure = Failure(FailureKind(row.failure_kind), row.http_status) if row.failure_kind else None
    stored = None if row.found is None else StoredAnswer(_answer(row), row.fetched_at)
    return Standing(stored, failure, under_way=row.under_way is not None)


def _answer(row: Row[*tuple[Any, ...]]) -> Answer:
    return Found(_customer_from_json(row.customer)) if row.found else NotFound()


def _customer_to_json(customer: Customer) -> dict[str, Any]:
    return {
        "customer_id": customer.customer_id,
        "name": customer.name,
        "badge": [customer.badge.text, customer.badge.color] if customer.badge else None,
        "fields": [[field.key, field.value] for field in customer.fields],
    }


def _customer_from_json(stored: dict[str, Any]) -> Customer:
    badge = stored["badge"]
    return Customer(
        customer_id=stored["customer_id"],
        name=stored["name"],
        badge=Badge(badge[0], BadgeColor(badge[1])) if badge else None,
        fields=tuple(Field(key, value) for key, value in stored["fields"]),
    )
