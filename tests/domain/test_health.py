from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from domain.answer import Customer, Found, NotFound
from domain.failure import Failure, FailureKind
from domain.health import (
    FAILING_TO_PAUSE,
    FAILURES_TO_PAUSE,
    LONGEST_WAIT,
    PROBE_EVERY,
    UNTROUBLED,
    Failing,
    Health,
    Paused,
    RetryAfter,
    TrackRecord,
    Working,
    after_outcome,
    after_start,
    gives_backlog_up,
    goes_first,
    may_start,
)
from domain.lookup import LookupTrigger, Outcome

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
INSTANT = timedelta(microseconds=1)
FOUND = Found(Customer(None, None, None, ()))
ERROR = Failure(FailureKind.HTTP_STATUS, 500)
GONE = Failure(FailureKind.HTTP_STATUS, 410)
TOO_MANY = Failure(FailureKind.HTTP_STATUS, 429)
OURS = [FailureKind.INTERRUPTED, FailureKind.SECRET_UNREADABLE]
AUTOMATIC = [LookupTrigger.TICKET, LookupTrigger.VIEW]
COUNTED = [*AUTOMATIC, LookupTrigger.REFRESH]
PAUSED = Paused(NOW, 20, NOW + PROBE_EVERY)
HEALTHS: list[Health] = [UNTROUBLED, Working(NOW), Failing(NOW, 3), PAUSED]


def ended(
    health: Health,
    outcome: Outcome,
    now: datetime = NOW,
    trigger: LookupTrigger = LookupTrigger.TICKET,
    *,
    retry_after: RetryAfter | None = None,
) -> Health:
    return after_outcome(health, trigger, outcome, now, retry_after=retry_after)


def run_of(failures: int, lasting: timedelta) -> Health:
    """What a run of failures leaves, the first at noon and the last so much later."""
    health: Health = UNTROUBLED
    for number in range(failures):
        health = ended(health, ERROR, NOW + lasting * number / max(1, failures - 1))
    return health


# When a pause begins


@pytest.mark.parametrize(
    ("failures", "lasting", "paused"),
    [
        (FAILURES_TO_PAUSE, FAILING_TO_PAUSE, True),
        (FAILURES_TO_PAUSE - 1, FAILING_TO_PAUSE, False),
        (FAILURES_TO_PAUSE, FAILING_TO_PAUSE - INSTANT, False),
        (1000, FAILING_TO_PAUSE - INSTANT, False),
        (2, timedelta(days=30), False),
    ],
)
def test_a_pause_needs_twenty_failures_in_a_row_over_ten_minutes(failures: int, lasting: timedelta, paused: bool) -> None:
    health = run_of(failures, lasting)

    last = NOW + lasting
    assert health == (Paused(last, failures, last + PROBE_EVERY) if paused else Failing(NOW, failures))


@pytest.mark.parametrize("outcome", [FOUND, NotFound()])
@pytest.mark.parametrize("trigger", COUNTED)
def test_one_answer_begins_the_count_anew(outcome: Outcome, trigger: LookupTrigger) -> None:
    later = NOW + FAILING_TO_PAUSE

    health = ended(run_of(19, FAILING_TO_PAUSE), outcome, later, trigger)

    assert health == Working(later)
    assert ended(health, ERROR, later + SECOND) == Failing(later + SECOND, 1)


@pytest.mark.parametrize("before", HEALTHS[:3])
@pytest.mark.parametrize("kind", [FailureKind.HTTP_STATUS, FailureKind.TIMEOUT])
def test_a_410_pauses_at_once(before: Health, kind: FailureKind) -> None:
    health = ended(before, Failure(kind, 410))

    assert isinstance(health, Paused)
    assert (health.since, health.next_probe_at) == (NOW, NOW + PROBE_EVERY)


@pytest.mark.parametrize(
    ("asked", "waits"),
    [
        (SECOND, SECOND),
        (LONGEST_WAIT, LONGEST_WAIT),
        (LONGEST_WAIT + SECOND, LONGEST_WAIT),
        (timedelta(seconds=999_999_999), LONGEST_WAIT),
        (NOW + SECOND, SECOND),
        (NOW + LONGEST_WAIT, LONGEST_WAIT),
        (datetime(9999, 12, 31, tzinfo=UTC), LONGEST_WAIT),
    ],
)
@pytest.mark.parametrize("before", HEALTHS)
def test_a_429_pauses_for_as_long_as_it_says_and_an_hour_at_most(before: Health, asked: RetryAfter, waits: timedelta) -> None:
    health = ended(before, TOO_MANY, retry_after=asked)

    assert isinstance(health, Paused)
    assert (health.since, health.next_probe_at) == (NOW, NOW + waits)


@pytest.mark.parametrize("asked", [None, timedelta(), NOW, NOW - SECOND])
def test_a_429_that_asks_for_no_wait_is_a_failure_like_any_other(asked: RetryAfter | None) -> None:
    assert ended(UNTROUBLED, TOO_MANY, retry_after=asked) == Failing(NOW, 1)


@pytest.mark.parametrize("status", [500, 503, 410])
def test_retry_after_means_nothing_beside_another_status(status: int) -> None:
    failure = Failure(FailureKind.HTTP_STATUS, status)

    assert ended(UNTROUBLED, failure, retry_after=LONGEST_WAIT) == ended(UNTROUBLED, failure)


# What is queued then


@pytest.mark.parametrize(
    ("before", "outcome", "retry_after", "given_up"),
    [
        (UNTROUBLED, GONE, None, True),
        (PAUSED, GONE, None, True),
        (Failing(NOW - FAILING_TO_PAUSE, 19), ERROR, None, True),
        (Failing(NOW - FAILING_TO_PAUSE, 19), TOO_MANY, None, True),
        (Failing(NOW - FAILING_TO_PAUSE, 19), TOO_MANY, SECOND, False),
        (UNTROUBLED, TOO_MANY, SECOND, False),
        (PAUSED, TOO_MANY, SECOND, False),
        (PAUSED, ERROR, None, False),
        (PAUSED, Failure(FailureKind.INTERRUPTED), None, False),
        (PAUSED, FOUND, None, False),
        (UNTROUBLED, ERROR, None, False),
    ],
)
def test_a_backlog_is_given_up_when_a_pause_begins_that_the_endpoint_did_not_ask_for(
    before: Health, outcome: Outcome, retry_after: RetryAfter | None, given_up: bool
) -> None:
    after = ended(before, outcome, retry_after=retry_after)

    assert gives_backlog_up(before, after, outcome, NOW, retry_after=retry_after) is given_up


@pytest.mark.parametrize(
    ("trigger", "untroubled", "paused", "due"),
    [
        (LookupTrigger.TICKET, False, False, True),
        (LookupTrigger.VIEW, True, False, True),
        (LookupTrigger.REFRESH, True, True, True),
    ],
)
def test_a_refresh_or_a_probe_goes_before_a_backlog_that_is_held(
    trigger: LookupTrigger, untroubled: bool, paused: bool, due: bool
) -> None:
    assert goes_first(UNTROUBLED, trigger, NOW) is untroubled
    assert goes_first(PAUSED, trigger, NOW) is paused
    assert goes_first(PAUSED, trigger, PAUSED.next_probe_at) is due


# What counts


@pytest.mark.parametrize("kind", [kind for kind in FailureKind if kind not in OURS])
@pytest.mark.parametrize("trigger", COUNTED)
def test_every_failure_of_the_endpoint_counts_whatever_asked(kind: FailureKind, trigger: LookupTrigger) -> None:
    assert ended(Failing(NOW, 1), Failure(kind), NOW, trigger) == Failing(NOW, 2)


@pytest.mark.parametrize("kind", OURS)
@pytest.mark.parametrize("before", HEALTHS)
def test_what_failed_on_our_side_counts_neither_way(kind: FailureKind, before: Health) -> None:
    assert ended(before, Failure(kind)) is before


@pytest.mark.parametrize("outcome", [FOUND, NotFound(), ERROR, GONE, TOO_MANY])
@pytest.mark.parametrize("before", HEALTHS)
def test_a_test_neither_counts_nor_closes(outcome: Outcome, before: Health) -> None:
    assert ended(before, outcome, NOW + SECOND, LookupTrigger.TEST, retry_after=SECOND) is before


@pytest.mark.parametrize("before", [UNTROUBLED, Working(NOW)])
def test_a_success_after_a_success_changes_nothing(before: Health) -> None:
    assert ended(before, FOUND, NOW + SECOND) is before


# While it is paused


@pytest.mark.parametrize("health", HEALTHS[:3])
@pytest.mark.parametrize("trigger", LookupTrigger)
def test_who_is_not_paused_is_asked(health: Health, trigger: LookupTrigger) -> None:
    assert may_start(health, trigger, NOW)
    assert after_start(health, trigger, NOW) is health


@pytest.mark.parametrize("trigger", AUTOMATIC)
def test_a_pause_keeps_tickets_and_views_away_until_a_probe_is_due(trigger: LookupTrigger) -> None:
    due = NOW + PROBE_EVERY

    assert not may_start(PAUSED, trigger, NOW)
    assert not may_start(PAUSED, trigger, due - INSTANT)
    assert may_start(PAUSED, trigger, due)


@pytest.mark.parametrize("trigger", AUTOMATIC)
def test_a_probe_puts_the_next_one_off_by_five_minutes(trigger: LookupTrigger) -> None:
    late = NOW + timedelta(hours=3)

    assert after_start(PAUSED, trigger, late) == Paused(NOW, 20, late + PROBE_EVERY)


@pytest.mark.parametrize("trigger", [LookupTrigger.REFRESH, LookupTrigger.TEST])
def test_a_refresh_and_a_test_always_go_through_and_are_no_probe(trigger: LookupTrigger) -> None:
    assert may_start(PAUSED, trigger, NOW)
    assert after_start(PAUSED, trigger, NOW + PROBE_EVERY) is PAUSED


@pytest.mark.parametrize("outcome", [ERROR, Failure(FailureKind.TIMEOUT)])
def test_a_failure_in_a_pause_is_counted_and_moves_no_probe(outcome: Outcome) -> None:
    assert ended(PAUSED, outcome, NOW + SECOND, LookupTrigger.REFRESH) == Paused(NOW, 21, PAUSED.next_probe_at)


@pytest.mark.parametrize("outcome", [FOUND, NotFound()])
@pytest.mark.parametrize("trigger", COUNTED)
def test_one_answer_ends_a_pause(outcome: Outcome, trigger: LookupTrigger) -> None:
    assert ended(PAUSED, outcome, NOW + SECOND, trigger) == Working(NOW + SECOND)


class Endpoint(RuleBasedStateMachine):
    """Whatever happens in whatever order, beside the simplest account of it that can be kept."""

    def __init__(self) -> None:
        super().__init__()
        self.health: Health = UNTROUBLED
        self.now = NOW
        self.run: list[datetime] = []
        self.probes: list[datetime] = []

    @rule(time=st.sampled_from([SECOND, timedelta(minutes=1), PROBE_EVERY, LONGEST_WAIT]))
    def time_passes(self, time: timedelta) -> None:
        self.now += time

    @rule(trigger=st.sampled_from(AUTOMATIC))
    def somebody_comes(self, trigger: LookupTrigger) -> None:
        paused = isinstance(self.health, Paused)
        if may_start(self.health, trigger, self.now):
            self.health = after_start(self.health, trigger, self.now)
            if paused:
                assert not may_start(self.health, trigger, self.now), "one probe at a time"
                self.probes.append(self.now)

    @rule(outcome=st.sampled_from([FOUND, NotFound()]), trigger=st.sampled_from(COUNTED))
    def it_answers(self, outcome: Outcome, trigger: LookupTrigger) -> None:
        self.health = ended(self.health, outcome, self.now, trigger)
        self.run, self.probes = [], []
        assert isinstance(self.health, Working)

    @rule(count=st.integers(1, 20), trigger=st.sampled_from(COUNTED))
    def it_fails(self, count: int, trigger: LookupTrigger) -> None:
        for _ in range(count):
            self.now += SECOND
            self.health = ended(self.health, ERROR, self.now, trigger)
            self.run.append(self.now)

    @rule()
    def nothing_of_it_counts(self) -> None:
        before = self.health
        assert ended(before, FOUND, self.now, LookupTrigger.TEST) is before
        assert ended(before, Failure(FailureKind.INTERRUPTED), self.now) is before

    @invariant()
    def it_is_what_the_run_makes_it(self) -> None:
        long_enough = len(self.run) >= FAILURES_TO_PAUSE and self.run[-1] - self.run[0] >= FAILING_TO_PAUSE
        match self.health:
            case Working():
                assert not self.run
            case Failing(since, failures):
                assert (since, failures) == (self.run[0], len(self.run))
                assert not long_enough
            case Paused(since, failures):
                assert failures == len(self.run)
                assert self.run[0] + FAILING_TO_PAUSE <= since <= self.run[-1]

    @invariant()
    def probes_are_five_minutes_apart(self) -> None:
        assert all(later - earlier >= PROBE_EVERY for earlier, later in zip(self.probes, self.probes[1:], strict=False))


TestAnyEndpoint = Endpoint.TestCase


# What the log tells


def test_percentiles_are_of_the_durations_that_were() -> None:
    record = TrackRecord([number * SECOND for number in range(100, 0, -1)])

    assert record.percentile(0.5) == 50 * SECOND
    assert record.percentile(0.95) == 95 * SECOND


@given(st.lists(st.timedeltas(timedelta(), timedelta(seconds=3)), min_size=1, max_size=100))
def test_half_of_the_lookups_were_no_slower_than_the_median(durations: list[timedelta]) -> None:
    median = TrackRecord(durations).percentile(0.5)

    assert median in durations
    assert sum(duration <= median for duration in durations) * 2 >= len(durations)


def test_without_lookups_there_are_no_percentiles() -> None:
    assert TrackRecord([]).percentile(0.5) is None
