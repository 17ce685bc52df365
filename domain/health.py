"""How an endpoint fares, and when a failing one is spared: a rule that only takes lookups away and never adds one.

Every transition is told of one event: a lookup that starts, or one that ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, assert_never

from domain.failure import Failure, FailureKind
from domain.lookup import LookupTrigger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from domain.lookup import Outcome

FAILURES_TO_PAUSE: Final = 20
"""In a row: fewer are a bad moment of the endpoint."""

FAILING_TO_PAUSE: Final = timedelta(minutes=10)
"""From the first failure of the run to the newest: a restart of the endpoint under load is over sooner."""

PROBE_EVERY: Final = timedelta(minutes=5)
"""How long after the pause began, and then after each probe, the next ticket or view is let through."""

SUCCESS_NOTED: Final = timedelta(minutes=1)
"""How coarse the moment of the last success is, so that not every success writes one."""

LONGEST_WAIT: Final = timedelta(hours=1)
"""An endpoint that asks for more with Retry-After is probed all the same: it may mean a day, or have erred."""

_GONE: Final = 410
_TOO_MANY_REQUESTS: Final = 429
_OURS: Final = frozenset({FailureKind.INTERRUPTED, FailureKind.SECRET_UNREADABLE})
"""What says nothing of the endpoint: our process died, our key is not there.

BLOCKED_ADDRESS is its own: its name leads where nobody may go, and its admins should hear of it.
"""

RetryAfter = timedelta | datetime
"""What an endpoint asks for, in either form of RFC 9110, 10.2.3: a time to wait, or the time when it may be asked."""


@dataclass(frozen=True, slots=True)
class Working:
    """The newest lookup brought an answer, or there has been none."""

    since: datetime | None = None
    """None: ever since the connector was made."""


@dataclass(frozen=True, slots=True)
class Failing:
    """The newest lookups failed; it is asked like any other."""

    since: datetime
    """When the first of them ended."""
    failures: int


@dataclass(frozen=True, slots=True)
class Paused:
    """Tickets and views start nothing, but for one probe at a time; a refresh goes through."""

    since: datetime
    failures: int
    """In a row, those before the pause included."""
    next_probe_at: datetime


Health = Working | Failing | Paused

UNTROUBLED: Final = Working()


def may_start(health: Health, trigger: LookupTrigger, now: datetime) -> bool:
    """Whether this trigger may start a lookup now: in a pause a refresh or a test may, anything else once a probe is due."""
    if not isinstance(health, Paused):
        return True
    match trigger:
        case LookupTrigger.REFRESH | LookupTrigger.TEST:
            return True
        case LookupTrigger.TICKET | LookupTrigger.VIEW:
            return now >= health.next_probe_at
        case _:
            assert_never(trigger)


def goes_first(health: Health, trigger: LookupTrigger, now: datetime) -> bool:
    """Whether its lookup is sent before a backlog: an agent waits, or it is a probe, which tells whether the backlog may go.

    An agent who only looks does not send what a pause holds.
    """
    return may_start(health, trigger, now) if isinstance(health, Paused) else trigger.urgent


def after_start(health: Health, trigger: LookupTrigger, now: datetime) -> Health:
    """The health once a lookup that may start has been queued: a probe puts the next one off, a refresh is none."""
    if isinstance(health, Paused) and trigger in {LookupTrigger.TICKET, LookupTrigger.VIEW}:
        return replace(health, next_probe_at=now + PROBE_EVERY)
    return health


def after_outcome(
    health: Health, trigger: LookupTrigger, outcome: Outcome, now: datetime, *, retry_after: RetryAfter | None = None
) -> Health:
    """The health once a lookup has ended; the same object where nothing changed, so that a success after a success is free."""
    if trigger is LookupTrigger.TEST:
        return health
    if isinstance(outcome, Failure):
        return health if outcome.kind in _OURS else _after_failure(health, outcome, now, retry_after)
    return health if isinstance(health, Working) else Working(now)


def gives_backlog_up(
    before: Health, after: Health, outcome: Outcome, now: datetime, *, retry_after: RetryAfter | None = None
) -> bool:
    """Whether what is queued, and urgent to nobody, is sent no more: the endpoint is gone, or a pause begins.

    Where the endpoint itself asks for time, its backlog is held instead and goes on afterwards.
    """
    if not isinstance(after, Paused) or not isinstance(outcome, Failure):
        return False
    asks_for_time = outcome.http_status == _TOO_MANY_REQUESTS and _until(retry_after, now) is not None
    return outcome.http_status == _GONE or not (asks_for_time or isinstance(before, Paused))


def _after_failure(health: Health, failure: Failure, now: datetime, retry_after: RetryAfter | None) -> Health:
    failing = _one_more(health, now)
    if failure.http_status == _TOO_MANY_REQUESTS and (until := _until(retry_after, now)) is not None:
        return _paused(failing, now, until)
    if failure.http_status == _GONE or _long_enough(failing, now):
        return _paused(failing, now, now + PROBE_EVERY)
    return failing


def _one_more(health: Health, now: datetime) -> Failing | Paused:
    match health:
        case Working():
            return Failing(now, 1)
        case Failing() | Paused():
            return replace(health, failures=health.failures + 1)
        case _:
            assert_never(health)


def _paused(health: Failing | Paused, now: datetime, next_probe_at: datetime) -> Paused:
    """A pause that begins, or goes on: only what the endpoint itself asks for moves its next probe."""
    if isinstance(health, Paused):
        return replace(health, next_probe_at=next_probe_at)
    return Paused(now, health.failures, next_probe_at)


def _long_enough(health: Failing | Paused, now: datetime) -> bool:
    return isinstance(health, Failing) and health.failures >= FAILURES_TO_PAUSE and now - health.since >= FAILING_TO_PAUSE


def _until(retry_after: RetryAfter | None, now: datetime) -> datetime | None:
    """When the endpoint may be asked again; None where it did not say, or said now: that is a failure like any other."""
    match retry_after:
        case None:
            return None
        case timedelta():
            wait = retry_after
        case datetime():
            wait = retry_after - now
        case _:
            assert_never(retry_after)
    return now + min(wait, LONGEST_WAIT) if wait > timedelta() else None


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """What the newest lines of the log tell of an endpoint; tests are no part of it."""

    durations: Sequence[timedelta]
    """Of the requests that were sent."""

    def percentile(self, share: float) -> timedelta | None:
        """The shortest duration that this share of the lookups did not exceed (nearest rank); None without any."""
        if not self.durations:
            return None
        return sorted(self.durations)[math.ceil(share * len(self.durations)) - 1]
