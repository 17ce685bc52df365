from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from domain.answer import Badge, BadgeColor, Customer, Field, Found
from domain.failure import Failure, FailureKind
from domain.lookup import LookupTrigger, Outcome, Standing, StoredAnswer
from persistence.lookups import Ending
from tests.persistence.samples import (
    EVA,
    FAILURE,
    FOUND,
    JAN,
    NOT_FOUND,
    NOW,
    SECOND,
    connect,
    open_ticket,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from domain.identity import ConnectorId, EmailAddress, WorkspaceId
    from persistence.database import Database
    from persistence.store import WorkspaceStore
    from tests.stage.back_door import BackDoor

LATER = NOW + SECOND


async def standing(store: WorkspaceStore, connector_id: ConnectorId, email: EmailAddress = JAN) -> Standing:
    """What a ticket from this address would show of the connector."""
    ticket = await open_ticket(store, email)
    (found,) = (
        known.standing for known in (await store.standings.of([ticket.id]))[ticket.id] if known.connector.id == connector_id
    )
    return found


@pytest.mark.parametrize(
    "answer",
    [
        FOUND,
        NOT_FOUND,
        Found(Customer()),
        Found(Customer(customer_id="", name="", fields=(Field("", ""),))),
        *(Found(Customer(badge=Badge("x", color))) for color in BadgeColor),
    ],
)
async def test_an_answer_comes_back_as_it_was_given(database: Database, workspace_id: WorkspaceId, answer: Outcome) -> None:
    async with database.workspace(workspace_id) as store:
        connector = await connect(store)
        await store.answers.record(connector.id, JAN, answer, NOW)

        known = await standing(store, connector.id)

    assert known.answer is not None
    assert (known.answer.answer, known.answer.fetched_at) == (answer, NOW)
    assert (known.failure, known.under_way) == (None, False)


@pytest.mark.parametrize("kind", FailureKind)
@pytest.mark.parametrize("http_status", [None, 503])
async def test_a_failure_comes_back_as_it_was(
    database: Database, workspace_id: WorkspaceId, kind: FailureKind, http_status: int | None
) -> None:
    async with database.workspace(workspace_id) as store:
        connector = await connect(store)
        await store.answers.record(connector.id, JAN, Failure(kind, http_status), NOW)

        assert await standing(store, connector.id) == Standing(failure=Failure(kind, http_status))


@pytest.mark.parametrize(
    ("outcomes", "known"),
    [
        ([], Standing()),
        ([FOUND, FAILURE], Standing(StoredAnswer(FOUND, NOW), FAILURE)),
        ([NOT_FOUND, FAILURE], Standing(StoredAnswer(NOT_FOUND, NOW), FAILURE)),
        ([FAILURE, FOUND], Standing(StoredAnswer(FOUND, LATER))),
        ([FOUND, NOT_FOUND], Standing(StoredAnswer(NOT_FOUND, LATER))),
        ([NOT_FOUND, FOUND], Standing(StoredAnswer(FOUND, LATER))),
        ([FAILURE, Failure(FailureKind.TIMEOUT)], Standing(failure=Failure(FailureKind.TIMEOUT))),
        ([FOUND, FAILURE, Failure(FailureKind.DNS)], Standing(StoredAnswer(FOUND, NOW), Failure(FailureKind.DNS))),
    ],
)
async def test_an_answer_replaces_all_that_was_known_and_a_failure_keeps_the_last_good_answer(
    database: Database, workspace_id: WorkspaceId, outcomes: Sequence[Outcome], known: Standing
) -> None:
    async with database.workspace(workspace_id) as store:
        connector = await connect(store)
        for turn, outcome in enumerate(outcomes):
            await store.answers.record(connector.id, JAN, outcome, NOW + turn * SECOND)

        assert await standing(store, connector.id) == known


async def test_an_answer_belongs_to_its_connector_and_address_alone(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        asked, other = [await connect(store) for _ in range(2)]
        await store.answers.record(asked.id, JAN, FOUND, NOW)

        assert await standing(store, other.id) == Standing()
        assert await standing(store, asked.id, EVA) == Standing()
        assert await standing(store, asked.id, JAN) == Standing(StoredAnswer(FOUND, NOW))


async def test_a_lookup_is_under_way_from_queueing_to_its_end(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        connector = await connect(store)
        ticket = await open_ticket(store)
        seen = [(await standing(store, connector.id)).under_way]
        await store.lookups.queue(connector.id, ticket.id, JAN, LookupTrigger.TICKET, NOW)
        seen.append((await standing(store, connector.id)).under_way)
        claim = await store.lookups.claim_next(NOW)
        assert claim is not None
        seen.append((await standing(store, connector.id)).under_way)
        await store.lookups.finish(claim, Ending(outcome=FOUND), NOW)
        seen.append((await standing(store, connector.id)).under_way)

    assert seen == [False, True, True, False]


async def test_a_test_changes_no_standing(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        connector = await connect(store)
        await store.answers.record(connector.id, JAN, FOUND, NOW)
        await store.lookups.claim_test(connector.id, JAN, NOW)
        await store.lookups.claim_test(connector.id, JAN, NOW)

        assert await standing(store, connector.id) == Standing(StoredAnswer(FOUND, NOW))


async def test_forgetting_failures_leaves_the_last_good_answers_as_the_newest_outcomes(
    database: Database, back_door: BackDoor, workspace_id: WorkspaceId
) -> None:
    async with database.workspace(workspace_id) as store:
        changed, other = [await connect(store) for _ in range(2)]
        for connector in (changed, other):
            await store.answers.record(connector.id, JAN, FOUND, NOW)
            await store.answers.record(connector.id, JAN, FAILURE, LATER)
            await store.answers.record(connector.id, EVA, FAILURE, LATER)

        await store.answers.forget_failures(changed.id)

        assert await standing(store, changed.id, JAN) == Standing(StoredAnswer(FOUND, NOW))
        assert await standing(store, changed.id, EVA) == Standing()
        assert await standing(store, other.id, JAN) == Standing(StoredAnswer(FOUND, NOW), FAILURE)
        assert await standing(store, other.id, EVA) == Standing(failure=FAILURE)

    rows = back_door.rows("SELECT connector_id, email FROM answers")
    assert sorted(rows) == sorted([(changed.id.hex, JAN), (other.id.hex, JAN), (other.id.hex, EVA)])


async def test_a_forgotten_failure_can_come_again(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        connector = await connect(store)
        await store.answers.record(connector.id, JAN, FAILURE, NOW)
        await store.answers.forget_failures(connector.id)

        await store.answers.record(connector.id, JAN, FAILURE, LATER)

        assert await standing(store, connector.id) == Standing(failure=FAILURE)


async def test_dropping_forgets_everything_of_one_connector(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        changed, other = [await connect(store) for _ in range(2)]
        for connector in (changed, other):
            await store.answers.record(connector.id, JAN, FOUND, NOW)
            await store.answers.record(connector.id, EVA, FAILURE, NOW)

        await store.answers.drop(changed.id)

        assert [await standing(store, changed.id, email) for email in (JAN, EVA)] == [Standing(), Standing()]
        assert await standing(store, other.id, JAN) == Standing(StoredAnswer(FOUND, NOW))
        assert await standing(store, other.id, EVA) == Standing(failure=FAILURE)
