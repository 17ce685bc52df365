from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import pytest

from domain.answer import Badge, BadgeColor, Customer, Field, Found
from domain.failure import Failure, FailureKind
from domain.identity import TicketId
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
    SECRET,
    connect,
    open_ticket,
    running,
    settings,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from domain.connector import Connector
    from domain.identity import ConnectorId, EmailAddress, WorkspaceId
    from persistence.answers import ConnectorStanding
    from persistence.database import Database
    from persistence.store import WorkspaceStore
    from tests.persistence.conftest import Statements
    from tests.stage.back_door import BackDoor

LATER = NOW + SECOND


async def standing(store: WorkspaceStore, connector_id: ConnectorId, email: EmailAddress = JAN) -> Standing:
    """What a ticket from this address would show of the connector."""
    ticket = await open_ticket(store, email)
    (found,) = (
        known.standing for known in (await store.answers.standings([ticket.id]))[ticket.id] if known.connector.id == connector_id
    )
    return found


def by_value(found: dict[TicketId, list[ConnectorStanding]]) -> dict[TicketId, list[tuple[Connector, Standing]]]:
    """The same as plain pairs, for a standing is equal to itself alone."""
    return {ticket_id: [(known.connector, known.standing) for known in standings] for ticket_id, standings in found.items()}


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


async def test_every_ticket_of_a_requester_shows_the_same(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        connector = await connect(store)
        first, second = [await open_ticket(store) for _ in range(2)]
        await store.lookups.queue(connector.id, first.id, JAN, LookupTrigger.TICKET, NOW)
        await store.answers.record(connector.id, JAN, FOUND, NOW)

        found = await store.answers.standings([first.id, second.id])

    known = [(connector, Standing(StoredAnswer(FOUND, NOW), under_way=True))]
    assert by_value(found) == {first.id: known, second.id: known}


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


async def test_standings_come_in_panel_order_without_the_disabled(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        for name, position in [("c", 5), ("b", -1), ("d", 5), ("a", -2)]:
            await connect(store, name=name, position=position)
        await connect(store, name="disabled", enabled=False)
        ticket = await open_ticket(store)

        found = await store.answers.standings([ticket.id])

    assert [known.connector.name for known in found[ticket.id]] == ["a", "b", "c", "d"]


async def test_the_connector_of_a_standing_is_the_whole_connector(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        connector = await connect(store, SECRET, name="CRM č", link_template="https://crm.example/{customer_id}", position=7)
        ticket = await open_ticket(store)

        assert by_value(await store.answers.standings([ticket.id])) == {ticket.id: [(connector, Standing())]}


async def test_a_bounce_and_a_ticket_of_nobody_have_no_standings(database: Database, workspace_id: WorkspaceId) -> None:
    unknown = TicketId(workspace_id)

    async with database.workspace(workspace_id) as store:
        await connect(store)
        bounce, nobody = await open_ticket(store, bounce=True), await open_ticket(store, None)

        found = await store.answers.standings([bounce.id, nobody.id, unknown])

    assert found == {bounce.id: [], nobody.id: [], unknown: []}


async def test_a_ticket_with_its_standings_is_what_its_parts_are_read_one_by_one(
    database: Database, workspace_id: WorkspaceId, statements: Statements
) -> None:
    async with database.workspace(workspace_id) as store:
        alone = await open_ticket(store)
        bare = await store.answers.of(alone.id)
        last, first = await connect(store, name="last", position=5), await connect(store, name="first", position=-1)
        await connect(store, name="disabled", enabled=False)
        tickets = [await open_ticket(store), await open_ticket(store, bounce=True), await open_ticket(store, None)]
        await store.answers.record(last.id, JAN, FOUND, NOW)
        await running(store, first.id, JAN)
        read = {ticket.id: (await store.tickets.get(ticket.id), known) for ticket in tickets
                for known in [(await store.answers.standings([ticket.id]))[ticket.id]]}  # fmt: skip
        statements.seen.clear()
        together = {ticket.id: await store.answers.of(ticket.id) for ticket in tickets}
        unknown = await store.answers.of(TicketId(workspace_id))

    assert together == read
    assert [len(known) for _, known in read.values()] == [2, 0, 0]
    assert bare == (alone, [])
    assert unknown is None
    assert len(statements.seen) == len(tickets) + 1


async def test_the_standings_of_many_tickets_take_two_statements(
    database: Database, workspace_id: WorkspaceId, statements: Statements
) -> None:
    async with database.workspace(workspace_id) as store:
        connectors = [await connect(store) for _ in range(3)]
        tickets = [await open_ticket(store, (JAN, EVA)[turn % 2]) for turn in range(100)]
        for connector in connectors:
            await store.answers.record(connector.id, JAN, FOUND, NOW)
            await running(store, connector.id, EVA)
        statements.seen.clear()

        found = await store.answers.standings([ticket.id for ticket in tickets])
        nothing = await store.answers.standings([])

    assert len(statements.seen) == 2
    assert nothing == {}
    assert [*found] == [ticket.id for ticket in tickets]
    jan, eva = Standing(StoredAnswer(FOUND, NOW)), Standing(under_way=True)
    for turn, ticket in enumerate(tickets):
        assert by_value(found)[ticket.id] == [(connector, (jan, eva)[turn % 2]) for connector in connectors]


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


async def test_a_standing_is_the_same_object_until_something_changes(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        connector = await connect(store)
        ticket, other = [await open_ticket(store) for _ in range(2)]
        await store.answers.record(connector.id, JAN, FOUND, NOW)

    async def look(ticket_id: TicketId = ticket.id) -> ConnectorStanding:
        async with database.glancing(workspace_id) as store:
            ((standing,),) = (await store.answers.standings([ticket_id])).values()
            return standing

    first = await look()
    seen = [first]
    made_of_it = WeakKeyDictionary({first: "a panel"})
    assert await look() is first
    assert made_of_it[await look()] == "a panel"
    assert await look(other.id) is not first

    async with database.workspace(workspace_id) as store:
        await store.answers.record(connector.id, JAN, FOUND, LATER)
    seen.append(await look())
    async with database.workspace(workspace_id) as store:
        await store.lookups.queue(connector.id, ticket.id, JAN, LookupTrigger.TICKET, NOW)
    seen.append(await look())
    async with database.workspace(workspace_id) as store:
        await store.connectors.save(connector.id, settings(name="Another"), LATER)
    seen.append(await look())

    assert len(set(seen)) == 4
    assert [known.standing.answer and known.standing.answer.fetched_at for known in seen] == [NOW, LATER, LATER, LATER]
    assert [known.standing.under_way for known in seen] == [False, False, True, True]
    assert [known.connector.name for known in seen] == ["CRM", "CRM", "CRM", "Another"]


async def test_a_standing_is_the_same_object_on_every_way_to_read_it(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        connector = await connect(store)
        ticket = await open_ticket(store)
        await store.answers.record(connector.id, JAN, FOUND, NOW)
    found = []

    for way in (database.workspace, database.reading, database.glancing):
        async with way(workspace_id) as store:
            found += (await store.answers.standings([ticket.id]))[ticket.id]

    assert [known is found[0] for known in found] == [True] * 3
