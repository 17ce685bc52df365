"""One asking: why it begins, what it can end in, how long its answer lives."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, assert_never

from domain.answer import Answer, AnswerWarning, Found, NotFound
from domain.failure import Failure, FailureKind

if TYPE_CHECKING:
    from domain.identity import ConnectorId, EmailAddress, LookupId, TicketId

BUDGET: Final = timedelta(seconds=3)
"""From name resolution to the last byte of the answer."""

GRACE: Final = timedelta(seconds=5)
"""How long after the budget a claimed lookup may still be saving before its process counts as dead."""

PER_CONNECTOR: Final = 8
"""Lookups under way at once for one connector, so that a slow endpoint cannot hold the others."""

PER_WORKSPACE: Final = 32
"""Lookups under way at once for one workspace, so that a company with many slow endpoints cannot hold the others."""

Outcome = Answer | Failure


class LookupTrigger(StrEnum):
    """What started a lookup."""

    TICKET = "TICKET"
    VIEW = "VIEW"
    REFRESH = "REFRESH"
    TEST = "TEST"

    @property
    def urgent(self) -> bool:
        """Whether an agent waits for it: such a lookup goes before a backlog of TICKET."""
        return self is not LookupTrigger.TICKET


class LookupStatus(StrEnum):
    """The outcome in one word; PENDING only while there has been none."""

    PENDING = "PENDING"
    FOUND = "FOUND"
    NOT_FOUND = "NOT_FOUND"
    ERROR = "ERROR"
    TIMEOUT = "TIMEOUT"


def status_of(outcome: Outcome | None) -> LookupStatus:
    """The word for an outcome; a failure is never shown as not found."""
    match outcome:
        case None:
            return LookupStatus.PENDING
        case Found():
            return LookupStatus.FOUND
        case NotFound():
            return LookupStatus.NOT_FOUND
        case Failure(kind=FailureKind.TIMEOUT):
            return LookupStatus.TIMEOUT
        case Failure():
            return LookupStatus.ERROR
        case _:
            assert_never(outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """A line of a connector's log: one asking from its request to its end."""

    id: LookupId
    connector_id: ConnectorId
    ticket_id: TicketId | None
    email: EmailAddress
    trigger: LookupTrigger
    status: LookupStatus
    failure: Failure | None
    http_status: int | None
    duration: timedelta | None
    warnings: tuple[AnswerWarning, ...]
    response: str | None
    requested_at: datetime
    completed_at: datetime | None


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The last good answer and when it was fetched."""

    answer: Answer
    fetched_at: datetime

    def expires_at(self, ttl: timedelta) -> datetime:
        """The end of its freshness by the connector's TTL of now."""
        return self.fetched_at + ttl

    def fresh(self, ttl: timedelta, now: datetime) -> bool:
        """Whether it can be shown without asking again; never with a TTL of zero."""
        return ttl > timedelta() and now < self.expires_at(ttl)


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything known of (connector, address): the last good answer, the failure since, the lookup under way."""

    answer: StoredAnswer | None = None
    failure: Failure | None = None
    """Set when the newest outcome is a failure."""
    under_way: bool = False

    @property
    def newest(self) -> Outcome | None:
        """The newest outcome, if there has been one."""
        if self.failure is not None:
            return self.failure
        return None if self.answer is None else self.answer.answer


class Occasion(StrEnum):
    """What happened that may call for a lookup."""

    TICKET_OPENED = "a ticket opened"
    REPLY_ARRIVED = "a reply arrived"
    TICKET_VIEWED = "a ticket was viewed"
    REFRESH_ASKED = "an agent asked for a refresh"

    @property
    def trigger(self) -> LookupTrigger:
        """The word for it in the log."""
        match self:
            case Occasion.TICKET_OPENED | Occasion.REPLY_ARRIVED:
                return LookupTrigger.TICKET
            case Occasion.TICKET_VIEWED:
                return LookupTrigger.VIEW
            case Occasion.REFRESH_ASKED:
                return LookupTrigger.REFRESH
            case _:
                assert_never(self)


def calls_for_lookup(occasion: Occasion, standing: Standing, ttl: timedelta, now: datetime) -> bool:
    """Whether the occasion wants an answer that is not there; one under way already is joined, not repeated.

    Opening a ticket asks again after a failure, viewing one does not; a reply only renews an expired answer.
    """
    fresh = standing.answer is not None and standing.answer.fresh(ttl, now)
    match occasion:
        case Occasion.TICKET_OPENED:
            return not fresh or standing.failure is not None
        case Occasion.REPLY_ARRIVED:
            return standing.answer is not None and not fresh
        case Occasion.TICKET_VIEWED:
            return not fresh and standing.failure is None
        case Occasion.REFRESH_ASKED:
            return True
        case _:
            assert_never(occasion)
