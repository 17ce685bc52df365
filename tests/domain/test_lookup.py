from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from domain.answer import Customer, Found, NotFound
from domain.failure import Failure, FailureKind
from domain.lookup import (
    BUDGET,
    PER_CONNECTOR,
    LookupStatus,
    LookupTrigger,
    Occasion,
    Outcome,
    Standing,
    StoredAnswer,
    calls_for_lookup,
    status_of,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(hours=24)
NEVER_FRESH = timedelta()
INSTANT = timedelta(microseconds=1)

FOUND = Found(Customer(name="Jan Novák"))
FAILURE = Failure(FailureKind.HTTP_STATUS, 500)

FRESH = StoredAnswer(FOUND, NOW - timedelta(hours=1))
EXPIRED = StoredAnswer(FOUND, NOW - timedelta(hours=25))


def test_a_lookup_has_three_seconds_and_eight_companions() -> None:
    assert timedelta(seconds=3) == BUDGET
    assert PER_CONNECTOR == 8


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (None, LookupStatus.PENDING),
        (FOUND, LookupStatus.FOUND),
        (NotFound(), LookupStatus.NOT_FOUND),
        (Failure(FailureKind.TIMEOUT), LookupStatus.TIMEOUT),
        *((Failure(kind), LookupStatus.ERROR) for kind in FailureKind if kind is not FailureKind.TIMEOUT),
    ],
)
def test_the_status_is_the_outcome_in_one_word(outcome: Outcome | None, status: LookupStatus) -> None:
    assert status_of(outcome) is status


def test_statuses_and_triggers_are_the_documented_ones() -> None:
    assert " ".join(LookupStatus) == "PENDING FOUND NOT_FOUND ERROR TIMEOUT"
    assert " ".join(LookupTrigger) == "TICKET VIEW REFRESH TEST"


@pytest.mark.parametrize(
    ("trigger", "urgent"),
    [(LookupTrigger.TICKET, False), (LookupTrigger.VIEW, True), (LookupTrigger.REFRESH, True), (LookupTrigger.TEST, True)],
)
def test_an_agent_who_waits_goes_before_a_backlog_of_tickets(trigger: LookupTrigger, urgent: bool) -> None:
    assert trigger.urgent is urgent


@pytest.mark.parametrize("answer", [FOUND, NotFound()])
@pytest.mark.parametrize(
    ("ttl", "age", "fresh"),
    [
        (DAY, timedelta(), True),
        (DAY, DAY - INSTANT, True),
        (DAY, DAY, False),
        (DAY, DAY + INSTANT, False),
        (timedelta(hours=8760), timedelta(hours=8760) - INSTANT, True),
        (timedelta(hours=8760), timedelta(hours=8760), False),
        (NEVER_FRESH, timedelta(), False),
        (NEVER_FRESH, INSTANT, False),
        (NEVER_FRESH, -INSTANT, False),
        (DAY, -INSTANT, True),
    ],
)
def test_an_answer_is_fresh_until_its_ttl_has_passed(
    answer: Found | NotFound, ttl: timedelta, age: timedelta, fresh: bool
) -> None:
    assert StoredAnswer(answer, NOW - age).fresh(ttl, NOW) is fresh


def test_an_answer_expires_by_the_ttl_of_now() -> None:
    stored = StoredAnswer(FOUND, NOW)

    assert stored.expires_at(DAY) == NOW + DAY
    assert stored.expires_at(2 * DAY) == NOW + 2 * DAY


def test_with_a_ttl_of_zero_an_answer_expires_as_it_is_fetched() -> None:
    assert StoredAnswer(FOUND, NOW).expires_at(NEVER_FRESH) == NOW


@pytest.mark.parametrize(
    ("standing", "newest"),
    [
        (Standing(), None),
        (Standing(under_way=True), None),
        (Standing(answer=FRESH), FOUND),
        (Standing(answer=EXPIRED), FOUND),
        (Standing(answer=StoredAnswer(NotFound(), NOW)), NotFound()),
        (Standing(failure=FAILURE), FAILURE),
        (Standing(answer=FRESH, failure=FAILURE), FAILURE),
    ],
)
def test_a_failure_is_newer_than_the_answer_that_it_did_not_erase(standing: Standing, newest: Outcome | None) -> None:
    assert standing.newest == newest


@pytest.mark.parametrize(
    ("occasion", "trigger"),
    [
        (Occasion.TICKET_OPENED, LookupTrigger.TICKET),
        (Occasion.REPLY_ARRIVED, LookupTrigger.TICKET),
        (Occasion.TICKET_VIEWED, LookupTrigger.VIEW),
        (Occasion.REFRESH_ASKED, LookupTrigger.REFRESH),
    ],
)
def test_the_log_names_the_occasion(occasion: Occasion, trigger: LookupTrigger) -> None:
    assert occasion.trigger is trigger


@pytest.mark.parametrize("under_way", [False, True], ids=["idle", "under way"])
@pytest.mark.parametrize(
    ("stored", "failure", "opened", "reply", "viewed"),
    [
        (None, None, True, False, True),
        (None, FAILURE, True, False, False),
        (FRESH, None, False, False, False),
        (FRESH, FAILURE, True, False, False),
        (EXPIRED, None, True, True, True),
        (EXPIRED, FAILURE, True, True, False),
    ],
    ids=["nothing", "failed", "fresh", "fresh, failed since", "expired", "expired, failed since"],
)
def test_who_asks_again_and_when(
    stored: StoredAnswer | None, failure: Failure | None, opened: bool, reply: bool, viewed: bool, under_way: bool
) -> None:
    standing = Standing(stored, failure, under_way)

    called_for = {occasion: calls_for_lookup(occasion, standing, DAY, NOW) for occasion in Occasion}

    assert called_for == {
        Occasion.TICKET_OPENED: opened,
        Occasion.REPLY_ARRIVED: reply,
        Occasion.TICKET_VIEWED: viewed,
        Occasion.REFRESH_ASKED: True,
    }


@pytest.mark.parametrize("occasion", Occasion)
def test_with_a_ttl_of_zero_every_occasion_asks(occasion: Occasion) -> None:
    just_now = Standing(StoredAnswer(NotFound(), NOW))

    assert calls_for_lookup(occasion, just_now, NEVER_FRESH, NOW)


@pytest.mark.parametrize("kind", FailureKind)
def test_no_failure_is_repeated_by_opening_the_ticket_again(kind: FailureKind) -> None:
    standing = Standing(failure=Failure(kind))

    assert not calls_for_lookup(Occasion.TICKET_VIEWED, standing, DAY, NOW)


@pytest.mark.parametrize("answer", [FOUND, NotFound()])
def test_found_and_not_found_are_answers_alike(answer: Found | NotFound) -> None:
    standing = Standing(StoredAnswer(answer, NOW - DAY + INSTANT))

    assert not calls_for_lookup(Occasion.TICKET_OPENED, standing, DAY, NOW)
    assert calls_for_lookup(Occasion.TICKET_OPENED, standing, DAY, NOW + INSTANT)
