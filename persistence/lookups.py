"""The lookups of a workspace: a queue while they are open, a log afterwards.

The row is the truth: a lookup is queued until it is claimed and open until it is completed. The claim, a
compare-and-set, comes before the request, so that each is sent at most once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from sqlalchemy import and_, bindparam, case, exists, false, func, insert, or_, select, true, update
from sqlalchemy.dialects import postgresql, sqlite

from domain.answer import AnswerWarning
from domain.failure import Failure, FailureKind
from domain.health import TrackRecord
from domain.identity import ConnectorId, EmailAddress, LookupId, TicketId, WorkspaceId
from domain.lookup import BUDGET, GRACE, PER_CONNECTOR, PER_WORKSPACE, Lookup, LookupStatus, LookupTrigger, Outcome, status_of
from persistence.tables import connectors, lookups, new_id, workspaces

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import BindParameter, ColumnElement, Row, ScalarSelect, Select
    from sqlalchemy.sql.dml import ReturningUpdate

    from persistence.connection import Connection

_MILLISECOND = timedelta(milliseconds=1)
_OPEN = lookups.c.completed_at.is_(None)
_UNDER_WAY = and_(_OPEN, lookups.c.ticket_id.is_not(None))
_QUEUED = and_(_OPEN, lookups.c.claim.is_(None))
_RUNNING = and_(_OPEN, lookups.c.claim.is_not(None))
_INTERRUPTED = Failure(FailureKind.INTERRUPTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to send one lookup's request, once."""

    lookup_id: LookupId
    token: UUID
    workspace_id: WorkspaceId
    connector_id: ConnectorId
    ticket_id: TicketId | None
    email: EmailAddress
    trigger: LookupTrigger
    requested_at: datetime
    until: datetime
    """When the sweeper may end it."""
    trace: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What is written when a lookup ends."""

    outcome: Outcome
    http_status: int | None = None
    duration: timedelta | None = None
    warnings: Sequence[AnswerWarning] = ()
    response: str | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A workspace with queued lookups; ``urgent`` when an agent waits for one of them."""

    workspace_id: WorkspaceId
    urgent: bool


class LookupStore:
    """The lookups of one workspace."""

    def __init__(self, connection: Connection, workspace_id: WorkspaceId) -> None:
        self._connection = connection
        self._workspace_id = workspace_id

    async def queue(
        self,
        connector_id: ConnectorId,
        ticket_id: TicketId,
        email: EmailAddress,
        trigger: LookupTrigger,
        now: datetime,
        *,
        trace: str | None = None,
        urgent: bool | None = None,
    ) -> bool:
        """Add a lookup unless one is under way for (connector, address), which an urgent one makes urgent.

        ``trace`` is the traceparent of what called for it; ``urgent`` stands for what the trigger says. False when one was under
        way.
        """
        urgent = trigger.urgent if urgent is None else urgent
        values = self._columns(connector_id, ticket_id, email, trigger, now) | {"trace": trace, "urgent": urgent}
        if (await self._connection.execute(_QUEUEING[self._connection.dialect.name], values)).first() is not None:
            return True
        if urgent:
            await self._connection.execute(
                update(lookups)
                .where(
                    lookups.c.workspace_id == self._workspace_id,
                    lookups.c.connector_id == connector_id,
                    lookups.c.email == email,
                    _UNDER_WAY,
                    _QUEUED,
                )
                .values(urgent=True)
            )
        return False

    async def claim_next(self, now: datetime, *, urgent_only: bool = False, before: datetime | None = None) -> Claim | None:
        """Claim the lookup that is next in the workspace; None when none is queued, too many run, or it is suspended.

        Urgent ones go first, then those of the connector that has the fewest running, then the oldest; with ``before`` only
        those that have been queued since then or longer. A paused connector's are held until it may be asked again, all but the
        urgent ones.
        """
        token = uuid4()
        values = {
            "workspace": self._workspace_id,
            "token": token,
            "until": now + BUDGET + GRACE,
            "before": before or now,
            "now": now,
        }
        row = (await self._connection.execute(_CLAIMING[urgent_only], values)).first()
        return None if row is None else _claim(row, token)

    async def any_queued(self, now: datetime) -> bool:
        """Whether a lookup of the workspace waits to be claimed, and is not held."""
        values = {"workspace": self._workspace_id, "before": now, "now": now}
        return (await self._connection.execute(_ANY_QUEUED, values)).first() is not None

    async def claim_test(self, connector_id: ConnectorId, email: EmailAddress, now: datetime) -> Claim:
        """Add a test, claimed from the start: it waits for nothing and joins nothing."""
        token = uuid4()
        values = self._columns(connector_id, None, email, LookupTrigger.TEST, now) | {
            "claim": token,
            "claimed_until": now + BUDGET + GRACE,
        }
        row = (await self._connection.execute(insert(lookups).values(values).returning(lookups))).one()
        return _claim(row, token)

    async def finish(self, claim: Claim, ending: Ending, now: datetime) -> bool:
        """End the lookup that was claimed; False when it was interrupted meanwhile, and nothing may be stored."""
        claimed = {"workspace": self._workspace_id, "lookup": claim.lookup_id, "token": claim.token}
        return (await self._connection.execute(_FINISH, claimed | _ending_columns(ending, now))).rowcount > 0

    async def ended_so(self, claim: Claim, outcome: Outcome) -> bool:
        """Whether this claim's lookup has ended, and with this outcome."""
        kind = outcome.kind if isinstance(outcome, Failure) else None
        statement = select(lookups.c.id).where(
            lookups.c.workspace_id == self._workspace_id,
            lookups.c.id == claim.lookup_id,
            lookups.c.claim == claim.token,
            lookups.c.status == status_of(outcome),
            lookups.c.failure_kind.is_not_distinct_from(kind),
        )
        return (await self._connection.execute(statement)).first() is not None

    async def interrupt(self, connector_id: ConnectorId, now: datetime) -> None:
        """End every open lookup of the connector: what they would bring belongs to settings that are gone."""
        mine = and_(lookups.c.workspace_id == self._workspace_id, lookups.c.connector_id == connector_id)
        await self._connection.execute(
            update(lookups).where(mine, _OPEN).values(_ending_columns(Ending(outcome=_INTERRUPTED), now))
        )

    async def interrupt_backlog(self, connector_id: ConnectorId, now: datetime) -> None:
        """End the connector's queued lookups but for the urgent ones."""
        mine = and_(lookups.c.workspace_id == self._workspace_id, lookups.c.connector_id == connector_id)
        await self._connection.execute(
            update(lookups)
            .where(mine, _QUEUED, lookups.c.urgent.is_(False))
            .values(_ending_columns(Ending(outcome=_INTERRUPTED), now))
        )

    async def forget_responses(self, connector_id: ConnectorId) -> None:
        """Remove every byte of a response from the connector's log."""
        mine = and_(lookups.c.workspace_id == self._workspace_id, lookups.c.connector_id == connector_id)
        await self._connection.execute(update(lookups).where(mine).values(response=None))
        rows = await self._connection.execute(select(lookups.c.id, lookups.c.warnings).where(mine))
        for row in rows.all():
            if row.warnings:
                unlogged = [_warning_to_json(_warning_from_json(warning).unlogged()) for warning in row.warnings]
                await self._connection.execute(update(lookups).where(lookups.c.id == row.id).values(warnings=unlogged))

    async def newest(self, connector_id: ConnectorId, count: int, *, before: LookupId | None = None) -> list[Lookup]:
        """Up to ``count`` lines of the connector's log, newest first."""
        statement = select(lookups).where(lookups.c.workspace_id == self._workspace_id, lookups.c.connector_id == connector_id)
        if before is not None:
            statement = statement.where(lookups.c.id < before)
        rows = await self._connection.execute(statement.order_by(lookups.c.id.desc()).limit(count))
        return [_lookup(row) for row in rows]

    async def some(self, connector_id: ConnectorId, lookup_ids: Sequence[LookupId]) -> list[Lookup]:
        """These lines of the connector's log, oldest first; those that are gone are left out."""
        mine = and_(lookups.c.workspace_id == self._workspace_id, lookups.c.connector_id == connector_id)
        rows = await self._connection.execute(select(lookups).where(mine, lookups.c.id.in_(lookup_ids)).order_by(lookups.c.id))
        return [_lookup(row) for row in rows]

    async def newest_but(self, connector_id: ConnectorId, count: int) -> LookupId | None:
        """The newest line of the connector's log but for the ``count`` that are newer; None when there are no more."""
        mine = and_(lookups.c.workspace_id == self._workspace_id, lookups.c.connector_id == connector_id)
        statement = select(lookups.c.id).where(mine).order_by(lookups.c.id.desc()).offset(count).limit(1)
        found = (await self._connection.execute(statement)).scalar()
        return None if found is None else LookupId(found)

    async def standing(self, connector_id: ConnectorId, *, since: LookupId | None) -> dict[LookupId, LookupStatus]:
        """How the lines of the connector's log stand from ``since`` on, and those that are open, however old."""
        line = select(lookups.c.id, lookups.c.status).where(
            lookups.c.workspace_id == self._workspace_id, lookups.c.connector_id == connector_id
        )
        newer = line if since is None else line.where(lookups.c.id >= since)
        rows = await self._connection.execute(newer.union(line.where(_QUEUED), line.where(_RUNNING)))
        return {LookupId(row.id): LookupStatus(row.status or LookupStatus.PENDING) for row in rows}

    async def track_record(self, connector_id: ConnectorId, count: int) -> TrackRecord:
        """What the newest ``count`` lines of the connector's log tell, those left out that tell nothing.

        No more is read, however long the log, and whatever it holds.
        """
        newest = (
            select(lookups.c.id, lookups.c.trigger, lookups.c.duration_ms)
            .where(lookups.c.workspace_id == self._workspace_id, lookups.c.connector_id == connector_id)
            .order_by(lookups.c.id.desc())
            .limit(count)
            .subquery("newest")
        )
        sent = and_(newest.c.trigger != LookupTrigger.TEST, newest.c.duration_ms.is_not(None))
        rows = await self._connection.execute(select(newest.c.duration_ms).where(sent).order_by(newest.c.id.desc()))
        return TrackRecord([duration * _MILLISECOND for duration in rows.scalars()])

    def _columns(
        self,
        connector_id: ConnectorId,
        ticket_id: TicketId | None,
        email: EmailAddress,
        trigger: LookupTrigger,
        now: datetime,
    ) -> dict[str, Any]:
        return {
            "id": new_id(),
            "workspace_id": self._workspace_id,
            "connector_id": connector_id,
            "ticket_id": ticket_id,
            "email": email,
            "trigger": trigger,
            "urgent": trigger.urgent,
            "warnings": [],
            "requested_at": now,
        }


class OpenLookups:
    """The open lookups of all workspaces, for the sweeper."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def abandoned(self, now: datetime) -> list[Claim]:
        """Claims whose process should have finished long ago: it is dead, or as good as dead."""
        statement = select(lookups).where(_RUNNING, lookups.c.claimed_until < now)
        return [_claim(row, row.claim) for row in await self._connection.execute(statement)]

    async def waiting(self, now: datetime, *, before: datetime | None = None) -> list[Waiting]:
        """The workspaces with lookups that have been queued since ``before`` or longer and are not held.

        Suspended workspaces are left out. Looks for one of each connector, so that the length of a backlog does not matter.
        """
        queued = and_(
            lookups.c.workspace_id == connectors.c.workspace_id,
            lookups.c.connector_id == connectors.c.id,
            lookups.c.requested_at <= (before or now),
            _QUEUED,
        )
        pressing = exists().where(queued, lookups.c.urgent.is_(true()))
        patient = exists().where(queued, lookups.c.urgent.is_(false()))
        statement = (
            select(connectors.c.workspace_id, func.max(case((pressing, 1), else_=0)).label("urgent"))
            .where(or_(pressing, and_(_may_be_asked(now), patient)))
            .where(~exists().where(workspaces.c.id == connectors.c.workspace_id, workspaces.c.suspended_at.is_not(None)))
            .group_by(connectors.c.workspace_id)
        )
        rows = await self._connection.execute(statement)
        return [Waiting(WorkspaceId(row.workspace_id), urgent=bool(row.urgent)) for row in rows]

    async def depth(self) -> dict[str, int]:
        """How many lookups are queued and how many are running."""
        queued, running = (select(func.count()).where(state).scalar_subquery() for state in (_QUEUED, _RUNNING))
        row = (await self._connection.execute(select(queued.label("queued"), running.label("running")))).one()
        return {"queued": row.queued, "running": row.running}


def _claiming(*, urgent_only: bool) -> ReturningUpdate[Any]:
    return (
        update(lookups)
        .where(lookups.c.id == _next(urgent_only=urgent_only), _QUEUED)
        .values(claim=_TOKEN, claimed_until=_UNTIL)
        .returning(lookups)
    )


def _next(*, urgent_only: bool) -> ScalarSelect[UUID]:
    """Read from the ends of indexes, one connector after the other: the length of a backlog does not matter."""
    urgent = _oldest_queued(urgent=True)
    queued = urgent if urgent_only else func.coalesce(urgent, _oldest_not_held())
    running = _running()
    heads = (
        select(
            queued.label("id"),
            urgent.is_(None).label("patient"),
            running.label("running"),
            func.sum(running).over().label("running_together"),
        )
        .where(connectors.c.workspace_id == _WORKSPACE)
        .subquery("heads")
    )
    return (
        select(heads.c.id)
        .where(heads.c.id.is_not(None), heads.c.running < PER_CONNECTOR, heads.c.running_together < PER_WORKSPACE)
        .where(~exists().where(workspaces.c.id == _WORKSPACE, workspaces.c.suspended_at.is_not(None)))
        .order_by(heads.c.patient, heads.c.running, heads.c.id)
        .limit(1)
        .scalar_subquery()
    )


def _oldest_queued(*, urgent: bool) -> ScalarSelect[UUID]:
    return (
        select(lookups.c.id)
        .where(
            lookups.c.workspace_id == _WORKSPACE,
            lookups.c.connector_id == connectors.c.id,
            lookups.c.urgent == urgent,
            lookups.c.requested_at <= _BEFORE,
            _QUEUED,
        )
        .order_by(lookups.c.id)
        .limit(1)
        .correlate(connectors)
        .scalar_subquery()
    )


def _oldest_not_held() -> ColumnElement[UUID | None]:
    return case((_may_be_asked(_NOW), _oldest_queued(urgent=False)))


def _may_be_asked(now: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    """Whether what a connector has queued is not held by its pause; of the paused ones, those that a probe may ask again."""
    return or_(connectors.c.next_probe_at.is_(None), connectors.c.next_probe_at <= now)


def _any_queued() -> Select[UUID]:
    """Asks for one of each connector: what is held may be long."""
    one = func.coalesce(_oldest_queued(urgent=True), _oldest_not_held())
    return select(connectors.c.id).where(connectors.c.workspace_id == _WORKSPACE, one.is_not(None)).limit(1)


def _running() -> ScalarSelect[int]:
    """Of one connector; tests stand apart: they wait for nothing and hold nothing up."""
    mine = and_(lookups.c.workspace_id == _WORKSPACE, lookups.c.connector_id == connectors.c.id, lookups.c.ticket_id.is_not(None))
    return select(func.count()).select_from(lookups).where(mine, _RUNNING).correlate(connectors).scalar_subquery()


_WORKSPACE = bindparam("workspace", type_=lookups.c.workspace_id.type)
_TOKEN = bindparam("token", type_=lookups.c.claim.type)
_BEFORE = bindparam("before", type_=lookups.c.requested_at.type)
_NOW = bindparam("now", type_=connectors.c.next_probe_at.type)
_UNTIL = bindparam("until", type_=lookups.c.claimed_until.type)
_CLAIMING = {urgent_only: _claiming(urgent_only=urgent_only) for urgent_only in (False, True)}
_ANY_QUEUED = _any_queued()
_QUEUEING = {
    dialect.dialect.name: dialect.insert(lookups)
    .on_conflict_do_nothing(index_elements=["connector_id", "email"], index_where=_UNDER_WAY)
    .returning(lookups.c.id)
    for dialect in (postgresql, sqlite)
}
_FINISH = update(lookups).where(
    lookups.c.workspace_id == _WORKSPACE,
    lookups.c.id == bindparam("lookup", type_=lookups.c.id.type),
    lookups.c.claim == _TOKEN,
    _OPEN,
)
"""Made once: to make so large a statement for each claim takes a worker as long as half of its waiting for the database."""


def _claim(row: Row[Any], token: UUID) -> Claim:
    return Claim(
        lookup_id=LookupId(row.id),
        token=token,
        workspace_id=WorkspaceId(row.workspace_id),
        connector_id=ConnectorId(row.connector_id),
        ticket_id=TicketId(row.ticket_id) if row.ticket_id else None,
        email=EmailAddress(row.email),
        trigger=LookupTrigger(row.trigger),
        requested_at=row.requested_at,
        until=row.claimed_until,
        trace=row.trace,
    )


def _ending_columns(ending: Ending, now: datetime) -> dict[str, Any]:
    return {
        "status": status_of(ending.outcome),
        "failure_kind": ending.outcome.kind if isinstance(ending.outcome, Failure) else None,
        "http_status": ending.http_status,
        "duration_ms": None if ending.duration is None else round(ending.duration / _MILLISECOND),
        "warnings": [_warning_to_json(warning) for warning in ending.warnings],
        "response": ending.response,
        "completed_at": now,
    }


def _lookup(row: Row[Any]) -> Lookup:
    return Lookup(
        id=LookupId(row.id),
        connector_id=ConnectorId(row.connector_id),
        ticket_id=TicketId(row.ticket_id) if row.ticket_id else None,
        email=EmailAddress(row.email),
        trigger=LookupTrigger(row.trigger),
        status=LookupStatus(row.status) if row.status else LookupStatus.PENDING,
        failure=Failure(FailureKind(row.failure_kind), row.http_status) if row.failure_kind else None,
        http_status=row.http_status,
        duration=None if row.duration_ms is None else row.duration_ms * _MILLISECOND,
        warnings=tuple(_warning_from_json(warning) for warning in row.warnings),
        response=row.response,
        requested_at=row.requested_at,
        completed_at=row.completed_at,
    )


def _warning_to_json(warning: AnswerWarning) -> dict[str, str | None]:
    return {
        "path": warning.path,
        "expected": warning.expected,
        "received_type": warning.received_type,
        "received_value": warning.received_value,
        "anonymous_path": warning.anonymous_path,
    }


def _warning_from_json(stored: dict[str, Any]) -> AnswerWarning:
    return AnswerWarning(**stored)
