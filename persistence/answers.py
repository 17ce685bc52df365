"""What is known of (connector, address): the last good answer and the failure since, as it is written down."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, update
from sqlalchemy.dialects import postgresql, sqlite

from domain.answer import Badge, BadgeColor, Customer, Field, Found
from domain.failure import Failure
from persistence.tables import answers

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Insert

    from domain.identity import ConnectorId, EmailAddress, WorkspaceId
    from domain.lookup import Outcome
    from persistence.connection import Connection


class AnswerStore:
    """Answers by (connector, address), so that every ticket of a requester shows the same."""

    def __init__(self, connection: Connection, workspace_id: WorkspaceId) -> None:
        self._connection = connection
        self._workspace_id = workspace_id

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


def _customer_to_json(customer: Customer) -> dict[str, Any]:
    return {
        "customer_id": customer.customer_id,
        "name": customer.name,
        "badge": [customer.badge.text, customer.badge.color] if customer.badge else None,
        "fields": [[field.key, field.value] for field in customer.fields],
    }


def customer_from_json(stored: dict[str, Any]) -> Customer:
    """The customer of a row."""
    badge = stored["badge"]
    return Customer(
        customer_id=stored["customer_id"],
        name=stored["name"],
        badge=Badge(badge[0], BadgeColor(badge[1])) if badge else None,
        fields=tuple(Field(key, value) for key, value in stored["fields"]),
    )
