"""What is known of (connector, address): the last good answer and the failure since."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Boolean, Text, and_, bindparam, cast, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from domain.answer import Answer, Badge, BadgeColor, Customer, Field, Found, NotFound
from domain.failure import Failure, FailureKind
from domain.identity import TicketId
from domain.lookup import Outcome, Standing, StoredAnswer
from persistence.connectors import COLUMNS, connector_from
from persistence.rows import as_returned, row_maker
from persistence.tables import answers, connectors, lookups, tickets

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Dialect, Insert, Select
    from sqlalchemy.types import TypeEngine

    from domain.connector import Connector
    from domain.identity import ConnectorId, EmailAddress, WorkspaceId
    from domain.ticket import Ticket
    from persistence.connection import Connection
    from persistence.kept import Kept

_CONNECTORS_KEPT: Final = 1_000
_STANDINGS_KEPT: Final = 4_000


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class ConnectorStanding:
    """One connector and what it is known to say of one requester: all that a panel needs.

    While nothing changes in the database it is the same object again, so that whoever makes something of it can keep that
    by its identity: it is equal to itself alone.
    """

    connector: Connector
    standing: Standing


@dataclass(frozen=True, slots=True, eq=False)
class _KeptConnector:
    """Known again by identity, which costs less than to compare all that a connector is."""

    connector: Connector


class KeptStandings:
    """What was read of late, by the very values that the driver returned: never out of date, and never another ticket's."""

    def __init__(self, dialect: Dialect) -> None:
        self._connector_row = row_maker([(column.name, column.type) for column in COLUMNS], dialect)
        self._known_row = row_maker(_KNOWN.items(), dialect)
        self.connector = lru_cache(_CONNECTORS_KEPT)(self._read_connector)
        """The connector of a row."""
        self.standing = lru_cache(_STANDINGS_KEPT)(self._read_standing)
        """What a row says of a ticket's requester, and which ticket that is."""

    def _read_connector(self, row: Sequence[Any]) -> _KeptConnector:
        return _KeptConnector(connector_from(self._connector_row(row)))

    def _read_standing(self, kept: _KeptConnector, row: Sequence[Any]) -> tuple[TicketId, ConnectorStanding]:
        known = self._known_row(row)
        return TicketId(known.ticket_id), ConnectorStanding(kept.connector, _standing(known))


class AnswerStore:
    """Answers by (connector, address), so that every ticket of a requester shows the same."""

    def __init__(self, connection: Connection, workspace_id: WorkspaceId, kept: Kept) -> None:
        self._connection = connection
        self._workspace_id = workspace_id
        self._kept = kept.standings
        self._kept_tickets = kept.tickets

    async def of(self, ticket_id: TicketId) -> tuple[Ticket, list[ConnectorStanding]] | None:
        """A ticket with what ``standings`` tells of it, in one statement; None when this workspace has none with this id."""
        rows = await self._connection.execute(_OF_TICKET, {"workspace": self._workspace_id, "ticket": ticket_id})
        found = [
            (tuple(row[:_TICKET_ENDS]), tuple(row[_TICKET_ENDS:_CONNECTOR_ENDS]), tuple(row[_CONNECTOR_ENDS:])) for row in rows
        ]
        if not found:
            return None
        ticket = self._kept_tickets.ticket(found[0][0])
        if ticket.bounce or ticket.requester is None:
            return ticket, []
        connectors_and_known = [(connector, known) for _, connector, known in found if connector[0] is not None]
        return ticket, [self._kept.standing(self._kept.connector(one), known)[1] for one, known in connectors_and_known]

    async def standings(self, ticket_ids: Sequence[TicketId]) -> dict[TicketId, list[ConnectorStanding]]:
        """What each enabled connector knows of each ticket's requester, in panel order, in two statements.

        A bounce and a ticket without requester have none.
        """
        found: dict[TicketId, list[ConnectorStanding]] = {ticket_id: [] for ticket_id in ticket_ids}
        if not found:
            return found
        asked = {"workspace": self._workspace_id}
        in_order = (await self._connection.execute(_ENABLED, asked)).all()
        known: dict[Any, list[Any]] = {row.id: [] for row in in_order}
        for row in await self._connection.execute(_STANDINGS, asked | {"tickets": [*found]}):
            known[row.connector_id].append(row)
        for row in in_order:
            connector = self._kept.connector(tuple(row))
            for one in known[row.id]:
                ticket_id, standing = self._kept.standing(connector, tuple(one))
                found[ticket_id].append(standing)
        return found

    async def record(self, connector_id: ConnectorId, email: EmailAddress, outcome: Outcome, now: datetime) -> None:
        """Take note of an outcome: an answer replaces all that was known, a failure leaves the last good answer."""
        outcome_columns = _columns(outcome, now)
        key = {"connector_id": connector_id, "email": email, "workspace_id": self._workspace_id}
        absent = {"found": None, "customer": None, "fetched_at": None}
        upsert = _upsert(self._connection.dialect.name, tuple(outcome_columns))
        await self._connection.execute(upsert, key | absent | outcome_columns)

    async def forget_failures(self, connector_id: ConnectorId) -> None:
        """Make the last good answers the newest outcomes again; where there is none, nothing has been asked."""
        mine = and_(answers.c.workspace_id == self._workspace_id, answers.c.connector_id == connector_id)
        await self._connection.execute(delete(answers).where(mine, answers.c.found.is_(None)))
        await self._connection.execute(update(answers).where(mine).values(failure_kind=None, http_status=None))

    async def drop(self, connector_id: ConnectorId) -> None:
        """Forget everything this connector ever said."""
        mine = and_(answers.c.workspace_id == self._workspace_id, answers.c.connector_id == connector_id)
        await self._connection.execute(delete(answers).where(mine))


_CONNECTOR_COLUMNS = [as_returned(column, column.name) for column in COLUMNS]
_UNDER_WAY = and_(
    lookups.c.connector_id == connectors.c.id,
    lookups.c.email == tickets.c.requester_email,
    lookups.c.completed_at.is_(None),
    lookups.c.ticket_id.is_not(None),
)
_ANSWERED = and_(answers.c.connector_id == connectors.c.id, answers.c.email == tickets.c.requester_email)
_KNOWN_COLUMNS = [
    as_returned(connectors.c.id, "connector_id"),
    as_returned(tickets.c.id, "ticket_id"),
    as_returned(answers.c.found, "found"),
    as_returned(cast(answers.c.customer, Text), "customer"),
    as_returned(answers.c.fetched_at, "fetched_at"),
    as_returned(answers.c.failure_kind, "failure_kind"),
    as_returned(answers.c.http_status, "http_status"),
    as_returned(lookups.c.id.is_not(None), "under_way"),
]


def _enabled() -> Select[*tuple[Any, ...]]:
    return (
        select(*_CONNECTOR_COLUMNS)
        .where(connectors.c.workspace_id == _WORKSPACE, connectors.c.enabled.is_(True))
        .order_by(connectors.c.position, connectors.c.id)
    )


def _all_standings() -> Select[*tuple[Any, ...]]:
    return (
        select(*_KNOWN_COLUMNS)
        .select_from(tickets)
        .join(connectors, connectors.c.workspace_id == tickets.c.workspace_id)
        .outerjoin(answers, _ANSWERED)
        .outerjoin(lookups, _UNDER_WAY)
        .where(
            tickets.c.workspace_id == _WORKSPACE,
            tickets.c.id.in_(bindparam("tickets", type_=tickets.c.id.type, expanding=True)),
            func.coalesce(tickets.c.requester_email, "") != "",  # as IS NOT NULL, it let SQLite go through all by address
            tickets.c.bounce.is_(False),
            connectors.c.enabled.is_(True),
        )
    )


def _of_ticket() -> Select[*tuple[Any, ...]]:
    ours = and_(connectors.c.workspace_id == tickets.c.workspace_id, connectors.c.enabled.is_(True))
    return (
        select(*(as_returned(column, f"of_ticket_{column.name}") for column in tickets.c), *_CONNECTOR_COLUMNS, *_KNOWN_COLUMNS)
        .select_from(tickets)
        .outerjoin(connectors, ours)
        .outerjoin(answers, _ANSWERED)
        .outerjoin(lookups, _UNDER_WAY)
        .where(tickets.c.workspace_id == _WORKSPACE, tickets.c.id == bindparam("ticket", type_=tickets.c.id.type))
        .order_by(connectors.c.position, connectors.c.id)
    )


_TICKET_ENDS: Final = len(tickets.c)
_CONNECTOR_ENDS: Final = _TICKET_ENDS + len(_CONNECTOR_COLUMNS)
_WORKSPACE = bindparam("workspace", type_=tickets.c.workspace_id.type)
_ENABLED = _enabled()
_STANDINGS = _all_standings()
_OF_TICKET = _of_ticket()
"""Made once: to make and hash so large a statement takes as long as to run it."""

_KNOWN: Final[dict[str, TypeEngine[Any]]] = {
    "connector_id": answers.c.connector_id.type,
    "ticket_id": tickets.c.id.type,
    "found": answers.c.found.type,
    "customer": Text(),
    "fetched_at": answers.c.fetched_at.type,
    "failure_kind": answers.c.failure_kind.type,
    "http_status": answers.c.http_status.type,
    "under_way": Boolean(),
}
"""What the columns of `_STANDINGS` are."""


@cache
def _upsert(dialect: str, replaced: tuple[str, ...]) -> Insert:
    statement = (postgresql if dialect == "postgresql" else sqlite).insert(answers)
    upsert: Insert = statement.on_conflict_do_update(
        index_elements=["connector_id", "email"],
        set_={name: statement.excluded[name] for name in replaced},
        where=answers.c.workspace_id == statement.excluded.workspace_id,
    )
    return upsert


def _columns(outcome: Outcome, now: datetime) -> dict[str, Any]:
    if isinstance(outcome, Failure):
        return {"failure_kind": outcome.kind, "http_status": outcome.http_status}
    customer = _customer_to_json(outcome.customer) if isinstance(outcome, Found) else None
    found = isinstance(outcome, Found)
    return {"found": found, "customer": customer, "fetched_at": now, "failure_kind": None, "http_status": None}


def _standing(row: Any) -> Standing:  # noqa: ANN401 - of whichever driver
    failure = Failure(FailureKind(row.failure_kind), row.http_status) if row.failure_kind else None
    stored = None if row.found is None else StoredAnswer(_answer(row), row.fetched_at)
    return Standing(stored, failure, under_way=row.under_way)


def _answer(row: Any) -> Answer:  # noqa: ANN401
    return Found(_customer_from_json(json.loads(row.customer))) if row.found else NotFound()


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
