"""What is known of tickets' requesters, as it is read: the same objects again for as long as the database says the same."""

from __future__ import annotations

import json
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Boolean, Text, and_, bindparam, cast, func, select, type_coerce
from sqlalchemy.types import NullType

from domain.answer import Found, NotFound
from domain.failure import Failure, FailureKind
from domain.identity import TicketId
from domain.lookup import Standing, StoredAnswer
from persistence.answers import customer_from_json
from persistence.connectors import COLUMNS, connector_from
from persistence.quick import tuples
from persistence.rows import as_returned, row_maker
from persistence.tables import answers, connectors, lookups, tickets
from persistence.tickets import newest_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Dialect, FromClause, Select
    from sqlalchemy.types import TypeEngine

    from domain.answer import Answer
    from domain.connector import Connector
    from domain.identity import EmailAddress, WorkspaceId
    from domain.ticket import Ticket
    from persistence.connection import Connection
    from persistence.kept import Kept
    from persistence.tickets import KeptTickets

_ARRANGEMENTS_KEPT: Final = 300
_CONNECTORS_KEPT: Final = 1_000
_STANDINGS_KEPT: Final = 4_000
_WEIGHT_KEPT: Final = 4_000
"""Of the tickets that are kept: the standings that they hold alive, though others would have taken their place above."""
_LEAST_WEIGHT: Final = 4


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class ConnectorStanding:
    """One connector and what it is known to say of one requester: all that a panel needs.

    While nothing changes in the database it is the same object again, so that whoever makes something of it can keep that
    by its identity: it is equal to itself alone.
    """

    connector: Connector
    standing: Standing


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class KnownTicket:
    """A ticket and what each enabled connector knows of its requester, in panel order; the same object again, too.

    A bounce and a ticket without requester have no standings.
    """

    ticket: Ticket
    standings: Sequence[ConnectorStanding]


@dataclass(frozen=True, slots=True, eq=False)
class _KeptConnector:
    """Known again by identity, which costs less than to compare all that a connector is."""

    connector: Connector


@dataclass(frozen=True, slots=True, eq=False)
class _Arrangement:
    """The enabled connectors of a workspace by the ids that the driver returned, in panel order; known again by identity, too."""

    connectors: dict[Any, _KeptConnector]


class KeptStandings:
    """What was read of late, by the very values that the driver returned: never out of date, and never another ticket's."""

    def __init__(self, dialect: Dialect, tickets: KeptTickets) -> None:
        self._tickets = tickets
        self._connector_row = row_maker([(column.name, column.type) for column in COLUMNS], dialect)
        self._known_row = row_maker(_KNOWN.items(), dialect)
        self.arrangement = lru_cache(_ARRANGEMENTS_KEPT)(self._read_arrangement)
        """The connectors of rows."""
        self._connector = lru_cache(_CONNECTORS_KEPT)(self._read_connector)
        self.standing = lru_cache(_STANDINGS_KEPT)(self._read_standing)
        """What a row says of a ticket's requester, and which ticket that is."""
        self._tickets_known: OrderedDict[tuple[Any, ...], KnownTicket] = OrderedDict()
        self._weight = 0

    def forget(self) -> None:
        """Keep nothing that tells of a requester."""
        self.standing.cache_clear()
        self._tickets_known.clear()
        self._weight = 0

    def _read_arrangement(self, rows: frozenset[tuple[Any, ...]]) -> _Arrangement:
        """Sorted here and not where they are read: the same rows come again and again."""
        kept = [(row[0], self._connector(row)) for row in rows]
        return _Arrangement(dict(sorted(kept, key=lambda one: (one[1].connector.position, one[1].connector.id))))

    def _read_connector(self, row: tuple[Any, ...]) -> _KeptConnector:
        return _KeptConnector(connector_from(self._connector_row(row)))

    def _read_standing(self, kept: _KeptConnector, row: tuple[Any, ...]) -> tuple[TicketId, ConnectorStanding]:
        known = self._known_row(row)
        return TicketId(known.ticket_id), ConnectorStanding(kept.connector, _standing(known))

    def ticket(self, row: tuple[Any, ...], arrangement: _Arrangement, said: frozenset[tuple[Any, ...]]) -> KnownTicket:
        """What rows say of the ticket of a row."""
        key = row, arrangement, said
        known = self._tickets_known.get(key)
        if known is not None:
            self._tickets_known.move_to_end(key)
            return known
        known = self._tickets_known[key] = self._read_ticket(row, arrangement, said)
        self._weight += _weight(known)
        while self._weight > _WEIGHT_KEPT:
            _, forgotten = self._tickets_known.popitem(last=False)
            self._weight -= _weight(forgotten)
        return known

    def _read_ticket(self, row: tuple[Any, ...], arrangement: _Arrangement, said: frozenset[tuple[Any, ...]]) -> KnownTicket:
        by_connector = {one[0]: one for one in said}
        return KnownTicket(
            self._tickets.ticket(row),
            [
                self.standing(connector, by_connector[connector_id])[1]
                for connector_id, connector in arrangement.connectors.items()
                if connector_id in by_connector
            ],
        )


def _weight(known: KnownTicket) -> int:
    return max(_LEAST_WEIGHT, len(known.standings))


class StandingStore:
    """What is known of tickets: every ticket of a requester shows the same."""

    def __init__(self, connection: Connection, workspace_id: WorkspaceId, kept: Kept) -> None:
        self._connection = connection
        self._workspace_id = workspace_id
        self._kept = kept.standings

    async def ticket(self, ticket_id: TicketId) -> KnownTicket | None:
        """One ticket, in one statement; None when this workspace has none with this id."""
        rows = tuples(await self._connection.execute(_OF_TICKET, {"workspace": self._workspace_id, "ticket": ticket_id}))
        if not rows:
            return None
        with_connector = rows if rows[0][_TICKET_ENDS] is not None else []
        arrangement = self._kept.arrangement(frozenset([row[_TICKET_ENDS:_CONNECTOR_ENDS] for row in with_connector]))
        said = frozenset([row[_CONNECTOR_ENDS:] for row in with_connector])
        return self._kept.ticket(rows[0][:_TICKET_ENDS], arrangement, said)

    async def newest(
        self, first: int, *, before: int | None = None, requester: EmailAddress | None = None
    ) -> tuple[list[KnownTicket], bool]:
        """The page of tickets that ``TicketStore.newest`` tells, in three statements, and whether another follows."""
        narrowed = {"before": before, "requester": requester}
        asked = {"workspace": self._workspace_id, **{name: value for name, value in narrowed.items() if value is not None}}
        page = newest_page(before="before" in asked, requester="requester" in asked)
        rows = tuples(await self._connection.execute(page, asked | {"count": first + 1}))
        more, rows = len(rows) > first, rows[:first]
        if not rows:
            return [], more
        arrangement = await self._arrangement()
        said: dict[Any, list[tuple[Any, ...]]] = {row[0]: [] for row in rows}
        for row in tuples(await self._connection.execute(_OF_PAGE, {"workspace": self._workspace_id, "tickets": [*said]})):
            said[row[1]].append(row)
        return [self._kept.ticket(row, arrangement, frozenset(said[row[0]])) for row in rows], more

    async def of(self, ticket_ids: Sequence[TicketId]) -> dict[TicketId, list[ConnectorStanding]]:
        """The standings of tickets, in two statements; none for a bounce, without requester and for an unknown one."""
        found: dict[TicketId, list[ConnectorStanding]] = {ticket_id: [] for ticket_id in ticket_ids}
        if not found:
            return found
        arrangement = await self._arrangement()
        said: defaultdict[Any, list[tuple[Any, ...]]] = defaultdict(list)
        asked = {"workspace": self._workspace_id, "tickets": [*found]}
        for row in tuples(await self._connection.execute(_OF_TICKETS, asked)):
            said[row[0]].append(row)
        for connector_id, connector in arrangement.connectors.items():
            for row in said[connector_id]:
                ticket_id, standing = self._kept.standing(connector, row)
                found[ticket_id].append(standing)
        return found

    async def _arrangement(self) -> _Arrangement:
        rows = await self._connection.execute(_ENABLED, {"workspace": self._workspace_id})
        return self._kept.arrangement(frozenset(tuples(rows)))


_CONNECTOR_COLUMNS = [as_returned(column, column.name) for column in COLUMNS]
_UNDER_WAY = and_(lookups.c.connector_id == connectors.c.id, lookups.c.completed_at.is_(None), lookups.c.ticket_id.is_not(None))
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
"""What the columns are that `_known_columns` selects."""


def _known_columns(asked: FromClause) -> list[Any]:
    return [
        as_returned(connectors.c.id, "connector_id"),
        as_returned(asked.c.id, "ticket_id"),
        as_returned(answers.c.found, "found"),
        as_returned(cast(answers.c.customer, Text), "customer"),
        as_returned(answers.c.fetched_at, "fetched_at"),
        as_returned(answers.c.failure_kind, "failure_kind"),
        as_returned(answers.c.http_status, "http_status"),
        as_returned(lookups.c.id.is_not(None), "under_way"),
    ]


def _panels_of(asked: FromClause) -> ColumnElement[bool]:
    """Which connectors have a panel in the tickets that are asked about."""
    return and_(
        connectors.c.workspace_id == asked.c.workspace_id,
        connectors.c.enabled.is_(True),
        func.coalesce(asked.c.requester_email, "") != "",  # as IS NOT NULL, it let SQLite go through all by address
        asked.c.bounce.is_(False),
    )


def _known(asked: FromClause, joined: FromClause) -> FromClause:
    """The tickets, ``joined`` with their connectors, with what those know."""
    answered = and_(answers.c.connector_id == connectors.c.id, answers.c.email == asked.c.requester_email)
    under_way = and_(_UNDER_WAY, lookups.c.email == asked.c.requester_email)
    return joined.outerjoin(answers, answered).outerjoin(lookups, under_way)


def _enabled() -> Select[*tuple[Any, ...]]:
    return select(*_CONNECTOR_COLUMNS).where(connectors.c.workspace_id == _WORKSPACE, connectors.c.enabled.is_(True))


def _of_ticket() -> Select[*tuple[Any, ...]]:
    ticket = [as_returned(column, f"of_ticket_{column.name}") for column in tickets.c]
    return (
        select(*ticket, *_CONNECTOR_COLUMNS, *_known_columns(tickets))
        .select_from(_known(tickets, tickets.outerjoin(connectors, _panels_of(tickets))))
        .where(tickets.c.workspace_id == _WORKSPACE, tickets.c.id == bindparam("ticket", type_=tickets.c.id.type))
    )


def _of_tickets(ids: ColumnElement[Any]) -> Select[*tuple[Any, ...]]:
    these = ids.in_(bindparam("tickets", type_=ids.type, expanding=True))
    return (
        select(*_known_columns(tickets))
        .select_from(_known(tickets, tickets.join(connectors, _panels_of(tickets))))
        .where(tickets.c.workspace_id == _WORKSPACE, these)
    )


_TICKET_ENDS: Final = len(tickets.c)
_CONNECTOR_ENDS: Final = _TICKET_ENDS + len(_CONNECTOR_COLUMNS)
_WORKSPACE = bindparam("workspace", type_=tickets.c.workspace_id.type)
_ENABLED = _enabled()
_OF_TICKET = _of_ticket()
_OF_TICKETS = _of_tickets(tickets.c.id)
_OF_PAGE = _of_tickets(type_coerce(tickets.c.id, NullType()))  # their ids as the driver returned them
"""Made once: to make and hash so large a statement takes as long as to run it."""


def _standing(row: Any) -> Standing:  # noqa: ANN401 - of whichever driver
    failure = Failure(FailureKind(row.failure_kind), row.http_status) if row.failure_kind else None
    stored = None if row.found is None else StoredAnswer(_answer(row), row.fetched_at)
    return Standing(stored, failure, under_way=row.under_way)


def _answer(row: Any) -> Answer:  # noqa: ANN401
    return Found(customer_from_json(json.loads(row.customer))) if row.found else NotFound()
