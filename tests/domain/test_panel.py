from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.answer import Badge, BadgeColor, Customer, Field, Found, NotFound
from domain.connector import Connector
from domain.failure import Failure, FailureKind
from domain.identity import ConnectorId, TicketId
from domain.lookup import LookupStatus, Outcome, Standing, StoredAnswer
from domain.panel import Panel, compose_panel
from domain.words import Locale

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TICKET = TicketId(UUID("01890a5d-ac96-774b-bcce-b302099a8057"))
OTHER_TICKET = TicketId(UUID("01890a5d-ac96-774b-bcce-b302099a8058"))
CONNECTOR = Connector(
    id=ConnectorId(UUID("01890a5d-ac96-774b-bcce-b302099a8059")),
    name="CRM",
    lookup_url="https://crm.example/lookup",
    secret_header_name=None,
    has_secret=False,
    link_template="https://crm.example/customers/{customer_id}",
    cache_ttl=timedelta(hours=24),
    log_results=True,
    enabled=True,
    position=1,
    created_at=NOW,
    updated_at=NOW,
)
OTHER_CONNECTOR = replace(CONNECTOR, id=ConnectorId(UUID("01890a5d-ac96-774b-bcce-b302099a8060")))

VIP = Badge("VIP", BadgeColor.GREEN)
CUSTOMER = Customer("C-1", "Jan Novák", VIP, (Field("Plan", "Gold"),))
FOUND = StoredAnswer(Found(CUSTOMER), NOW)
UNKNOWN = StoredAnswer(NotFound(), NOW)
ERROR = Failure(FailureKind.HTTP_STATUS, 500)
TIMEOUT = Failure(FailureKind.TIMEOUT)


def panel(standing: Standing, connector: Connector = CONNECTOR) -> Panel:
    return compose_panel(TICKET, connector, standing)


@pytest.mark.parametrize("under_way", [False, True], ids=["idle", "under way"])
@pytest.mark.parametrize(
    ("stored", "failure", "status", "customer", "stale"),
    [
        (None, None, LookupStatus.PENDING, None, False),
        (FOUND, None, LookupStatus.FOUND, CUSTOMER, False),
        (UNKNOWN, None, LookupStatus.NOT_FOUND, None, False),
        (None, ERROR, LookupStatus.ERROR, None, False),
        (None, TIMEOUT, LookupStatus.TIMEOUT, None, False),
        (FOUND, ERROR, LookupStatus.ERROR, CUSTOMER, True),
        (FOUND, TIMEOUT, LookupStatus.TIMEOUT, CUSTOMER, True),
        (UNKNOWN, ERROR, LookupStatus.ERROR, None, True),
        (UNKNOWN, TIMEOUT, LookupStatus.TIMEOUT, None, True),
    ],
)
def test_a_panel_shows_the_newest_outcome_and_the_last_good_answer(
    stored: StoredAnswer | None,
    failure: Failure | None,
    status: LookupStatus,
    customer: Customer | None,
    stale: bool,
    under_way: bool,
) -> None:
    shown = panel(Standing(stored, failure, under_way))

    assert shown.status is status
    assert shown.customer == customer
    assert shown.stale is stale
    assert shown.failure == failure
    assert shown.refreshing is under_way
    assert shown.fetched_at == (stored and NOW)
    assert shown.expires_at == (stored and NOW + timedelta(hours=24))


def test_a_failed_lookup_keeps_the_last_good_answer() -> None:
    good, failed = panel(Standing(FOUND)), panel(Standing(FOUND, TIMEOUT))

    assert (failed.customer, failed.deep_link) == (good.customer, good.deep_link)
    assert (failed.fetched_at, failed.expires_at) == (good.fetched_at, good.expires_at)
    assert failed.stale


def test_an_expired_answer_alone_is_not_stale() -> None:
    long_ago = StoredAnswer(Found(CUSTOMER), NOW - timedelta(days=400))

    assert not panel(Standing(long_ago)).stale


def test_an_answer_expires_by_the_ttl_that_the_connector_has_now() -> None:
    never_fresh = replace(CONNECTOR, cache_ttl=timedelta())

    assert panel(Standing(FOUND), never_fresh).expires_at == NOW


@pytest.mark.parametrize(
    ("newest", "czech", "english"),
    [
        (None, None, None),
        (Found(CUSTOMER), VIP, VIP),
        (Found(Customer(name="Jan")), None, None),
        (NotFound(), Badge("Neznámý", BadgeColor.GRAY), Badge("Unknown", BadgeColor.GRAY)),
        (TIMEOUT, Badge("Timeout (3s)", BadgeColor.YELLOW), Badge("Timeout (3s)", BadgeColor.YELLOW)),
        *(
            (Failure(kind), Badge("Chyba", BadgeColor.RED), Badge("Error", BadgeColor.RED))
            for kind in FailureKind
            if kind is not FailureKind.TIMEOUT
        ),
    ],
)
def test_the_badge_is_the_customers_own_or_our_word_for_what_happened(
    newest: Outcome | None, czech: Badge | None, english: Badge | None
) -> None:
    match newest:
        case Failure():
            shown = panel(Standing(FOUND, newest))
        case None:
            shown = panel(Standing(under_way=True))
        case _:
            shown = panel(Standing(StoredAnswer(newest, NOW)))

    assert shown.badge(Locale.CS) == czech
    assert shown.badge(Locale.EN) == english


def test_the_link_is_made_from_the_template_that_the_connector_has_now() -> None:
    moved = replace(CONNECTOR, link_template="https://new.example/?c={customer_id}")

    assert panel(Standing(FOUND)).deep_link == "https://crm.example/customers/C-1"
    assert panel(Standing(FOUND), moved).deep_link == "https://new.example/?c=C-1"
    assert panel(Standing(FOUND), replace(CONNECTOR, link_template=None)).deep_link is None


@pytest.mark.parametrize("standing", [Standing(), Standing(UNKNOWN), Standing(StoredAnswer(Found(Customer()), NOW))])
def test_without_a_customer_id_there_is_no_link(standing: Standing) -> None:
    assert panel(standing).deep_link is None


def test_a_panel_is_the_same_for_ever_for_its_ticket_and_connector() -> None:
    first = panel(Standing())
    renamed = replace(CONNECTOR, name="New CRM", lookup_url="https://new.example/")

    assert panel(Standing(FOUND, ERROR, under_way=True), renamed).id == first.id
    assert len({first.id, panel(Standing(), OTHER_CONNECTOR).id, compose_panel(OTHER_TICKET, CONNECTOR, Standing()).id}) == 3


def test_a_connector_made_after_the_ticket_is_pending_and_not_being_asked() -> None:
    shown = panel(Standing())

    assert (shown.status, shown.refreshing) == (LookupStatus.PENDING, False)


def test_the_locales_are_the_documented_ones() -> None:
    assert " ".join(Locale) == "CS EN"


def test_a_panel_names_its_ticket_and_connector() -> None:
    shown = panel(Standing())

    assert (shown.ticket_id, shown.connector_id, shown.connector_name) == (TICKET, CONNECTOR.id, "CRM")
