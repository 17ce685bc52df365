"""The same helpdesk for ours and for the floor: one workspace, three connectors, of each requester a ticket with three answers.

Ids are equal on both sides, so that the same question has the same answer. Tables are filled by plain statements in
large transactions: a million tickets take minutes.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

import psycopg
from sqlalchemy import create_engine

from domain.identity import ConnectorId, Role, TicketId, WorkspaceId, support_address
from persistence import tables
from server.app import Parts
from server.clock import utc_now
from server.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import Connection, Engine, Table

SUPPORT = "support@bench.example"
_CONNECTORS = ("Billing", "CRM", "Warehouse")
_LINK = "https://crm.example.com/customers/{customer_id}"
_YEAR_IN_HOURS = 8760
_AT_ONCE = 10_000
_NEVER_ASKED = "http://127.0.0.1:9/never-asked"
_NAMES = UUID("018f4f6e-0000-7000-8000-000000000000")
_WORKSPACE = WorkspaceId(uuid5(_NAMES, "workspace"))
_CONNECTOR_IDS = tuple(ConnectorId(uuid5(_NAMES, name)) for name in _CONNECTORS)
_MOMENT = datetime(2026, 11, 22, 10, tzinfo=UTC)


def _this_second() -> datetime:
    return utc_now().replace(microsecond=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Helpdesk:
    """What there is, whichever server shows it."""

    tickets: int = 1000
    lookup_url: str = _NEVER_ASKED
    always_ask: bool = False
    """Whether answers are never fresh, so that each mail asks again."""
    fetched_at: datetime = field(default_factory=_this_second)
    """Of every answer."""

    workspace: WorkspaceId = _WORKSPACE
    """The only one."""
    connectors: Sequence[ConnectorId] = _CONNECTOR_IDS
    """In the order of their panels."""

    def ticket(self, number: int) -> TicketId:
        """An id that sorts by age, as those of the product do: a version 7 UUID whose time is the ticket's number."""
        return TicketId(UUID(int=number << 80 | 7 << 76 | 2 << 62 | number))

    def sample(self, count: int = 1000) -> Sequence[TicketId]:
        """So many tickets from all over, in an order in which neighbours are far from each other."""
        step = max(self.tickets // count, 1)
        return [self.ticket(place * 617 % min(count, self.tickets) * step) for place in range(min(count, self.tickets))]


def requester(number: int) -> str:
    """Whom the ticket of this number is about."""
    return f"user{number}@example.com"


def customer(number: int) -> dict[str, Any]:
    """What each connector knows of the requester of this number."""
    fields = [
        ["Plan", f"Business {number % 7}"],
        ["MRR", f"{number * 13 % 997} EUR"],
        ["Since", "2021-04-01"],
        ["Owner", "Jan Novák"],
    ]
    badge = ["VIP" if number % 2 else "Standard", "GREEN"]
    return {"customer_id": f"cust-{number}", "name": f"Žofie User {number} s.r.o.", "badge": badge, "fields": fields}


# Ours.


async def seed_ours(helpdesk: Helpdesk, **given: Any) -> str:  # noqa: ANN401 - any setting
    """Fill the database of a server with these settings; a token for it."""
    settings = load_settings(_env_file=None, **given)
    parts = Parts(settings)
    await parts.migrate()
    await parts.database.close()
    scheme, _, rest = settings.async_database_url.partition("://")
    url = f"{scheme.replace('+aiosqlite', '').replace('+asyncpg', '+psycopg')}://{rest}"
    engine = create_engine(url)
    _fill(engine, helpdesk)
    engine.dispose()
    return parts.tokens.issue(helpdesk.workspace, Role.ADMIN, name="Bench", ttl=timedelta(days=1))


def _fill(engine: Engine, helpdesk: Helpdesk) -> None:
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT set_config('disqua.workspace', %(id)s, false)", {"id": str(helpdesk.workspace)})
        connection.execute(tables.workspaces.insert(), _workspace(helpdesk))
        connection.execute(tables.support_addresses.insert(), _support(helpdesk))
        connection.execute(tables.connectors.insert(), [*_connectors(helpdesk)])
        _insert(connection, tables.tickets, (_ticket(helpdesk, number) for number in range(helpdesk.tickets)))
        _insert(connection, tables.messages, (_message(helpdesk, number) for number in range(helpdesk.tickets)))
        _insert(connection, tables.answers, _answers(helpdesk))
        _insert(connection, tables.lookups, _lookups(helpdesk))
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("ANALYZE")


def _insert(connection: Connection, table: Table, rows: Iterator[dict[str, Any]]) -> None:
    while some := [*islice(rows, _AT_ONCE)]:
        connection.execute(table.insert(), some)


def _workspace(helpdesk: Helpdesk) -> dict[str, Any]:
    return {
        "id": helpdesk.workspace, "name": "Bench", "tickets_opened": helpdesk.tickets, "created_at": _MOMENT,
        "suspended_at": None,
    }  # fmt: skip


def _support(helpdesk: Helpdesk) -> dict[str, Any]:
    return {"address": support_address(SUPPORT), "workspace_id": helpdesk.workspace, "created_at": _MOMENT}


def _connectors(helpdesk: Helpdesk) -> Iterator[dict[str, Any]]:
    for position, (connector_id, name) in enumerate(zip(helpdesk.connectors, _CONNECTORS, strict=True)):
        yield {
            "id": connector_id, "workspace_id": helpdesk.workspace, "name": name, "lookup_url": helpdesk.lookup_url,
            "link_template": _LINK, "cache_ttl_hours": 0 if helpdesk.always_ask else _YEAR_IN_HOURS, "log_results": True,
            "enabled": True, "position": position, "created_at": _MOMENT, "updated_at": _MOMENT,
        }  # fmt: skip


def _ticket(helpdesk: Helpdesk, number: int) -> dict[str, Any]:
    return {
        "id": helpdesk.ticket(number), "workspace_id": helpdesk.workspace, "number": number + 1,
        "subject": f"Order {number} has not arrived", "requester_email": requester(number),
        "requester_name": f"Žofie User {number}",
        "automatic": False, "bounce": False, "created_at": _MOMENT,
    }  # fmt: skip


def _message(helpdesk: Helpdesk, number: int) -> dict[str, Any]:
    return {
        "id": helpdesk.ticket(number), "workspace_id": helpdesk.workspace, "ticket_id": helpdesk.ticket(number),
        "sender_email": requester(number), "sender_name": None, "header_from": requester(number), "text": "Where is my order?",
        "fingerprint": None, "reference_key": None, "received_at": _MOMENT, "sender_verification": "UNKNOWN",
    }  # fmt: skip


def _answers(helpdesk: Helpdesk) -> Iterator[dict[str, Any]]:
    for number in range(helpdesk.tickets):
        for connector_id in helpdesk.connectors:
            yield {
                "connector_id": connector_id, "email": requester(number), "workspace_id": helpdesk.workspace, "found": True,
                "customer": customer(number), "fetched_at": helpdesk.fetched_at, "failure_kind": None, "http_status": None,
            }  # fmt: skip


def _lookups(helpdesk: Helpdesk) -> Iterator[dict[str, Any]]:
    for number in range(helpdesk.tickets):
        ticket_id = helpdesk.ticket(number)
        for place, connector_id in enumerate(helpdesk.connectors):
            yield {
                "id": UUID(int=ticket_id.int + ((place + 1) << 32)), "workspace_id": helpdesk.workspace,
                "connector_id": connector_id, "ticket_id": ticket_id, "email": requester(number), "trigger": "TICKET",
                "urgent": False, "claim": None, "claimed_until": None, "status": "FOUND", "failure_kind": None,
                "http_status": 200, "duration_ms": 20, "warnings": [], "response": None, "requested_at": _MOMENT,
                "completed_at": _MOMENT, "trace": None,
            }  # fmt: skip


# The floor.

FLOOR_TABLES = """
CREATE TABLE workspace (id TEXT PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE connector (
  id TEXT PRIMARY KEY, workspace_id TEXT NOT NULL REFERENCES workspace, name TEXT NOT NULL, position INTEGER NOT NULL
);
CREATE TABLE ticket (
  id TEXT PRIMARY KEY, workspace_id TEXT NOT NULL REFERENCES workspace, number INTEGER NOT NULL, subject TEXT NOT NULL,
  requester_email TEXT NOT NULL, requester_name TEXT NOT NULL
);
CREATE INDEX ticket_list ON ticket (workspace_id, number DESC);
CREATE TABLE panel (
  id TEXT PRIMARY KEY, ticket_id TEXT NOT NULL REFERENCES ticket, connector_id TEXT NOT NULL REFERENCES connector,
  status TEXT NOT NULL, badge_text TEXT, badge_color TEXT, customer_id TEXT, customer_name TEXT, deep_link TEXT,
  fields TEXT NOT NULL, fetched_at TEXT, stale BOOLEAN NOT NULL, position INTEGER NOT NULL
);
CREATE UNIQUE INDEX panel_ticket ON panel (ticket_id, position);
"""
"""As plain as such tables get: a panel is a row, nothing is composed, and an index has every order that is asked for."""


def seed_floor(helpdesk: Helpdesk, file: Path) -> None:
    """Fill a new file of SQLite."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(FLOOR_TABLES)
        for table, width, rows in _floor_rows(helpdesk):
            values = ", ".join("?" * width)
            connection.executemany(f"INSERT INTO {table} VALUES ({values})", rows)  # noqa: S608 - our own tables


def seed_floor_on_postgresql(helpdesk: Helpdesk, url: str) -> None:
    """Fill an empty database of PostgreSQL."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(FLOOR_TABLES)
        for table, _, rows in _floor_rows(helpdesk):
            with cursor.copy(f"COPY {table} FROM STDIN".encode()) as copy:
                for row in rows:
                    copy.write_row(row)
        cursor.execute("ANALYZE")


def _floor_rows(helpdesk: Helpdesk) -> Iterator[tuple[str, int, Iterator[tuple[Any, ...]]]]:
    """Each table with the number of its columns and its rows, parents first."""
    workspace = str(helpdesk.workspace)
    yield "workspace", 2, iter([(workspace, "Bench")])
    connectors = zip(helpdesk.connectors, _CONNECTORS, range(len(_CONNECTORS)), strict=True)
    yield "connector", 4, ((str(connector_id), workspace, name, position) for connector_id, name, position in connectors)
    yield "ticket", 6, (_floor_ticket(helpdesk, number) for number in range(helpdesk.tickets))
    yield (
        "panel",
        13,
        (_floor_panel(helpdesk, number, place) for number in range(helpdesk.tickets) for place in range(len(_CONNECTORS))),
    )


def _floor_ticket(helpdesk: Helpdesk, number: int) -> tuple[Any, ...]:
    ticket = _ticket(helpdesk, number)
    return (
        str(ticket["id"]), str(ticket["workspace_id"]), ticket["number"], ticket["subject"],
        ticket["requester_email"], ticket["requester_name"],
    )  # fmt: skip


def _floor_panel(helpdesk: Helpdesk, number: int, position: int) -> tuple[Any, ...]:
    connector_id = helpdesk.connectors[position]
    known, ticket_id = customer(number), helpdesk.ticket(number)
    fields = [{"key": key, "value": value} for key, value in known["fields"]]
    return (
        str(uuid5(ticket_id, str(connector_id))), str(ticket_id), str(connector_id), "FOUND", *known["badge"],
        known["customer_id"], known["name"], _LINK.format(customer_id=known["customer_id"]),
        json.dumps(fields, ensure_ascii=False), helpdesk.fetched_at.isoformat(), False, position,
    )  # fmt: skip
