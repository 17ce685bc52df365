from __future__ import annotations

import asyncio
from datetime import timedelta, timezone
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from domain.identity import TicketId
from domain.ticket import Requester
from tests.persistence.samples import EVA, JAN, NOW, SECOND, open_ticket

if TYPE_CHECKING:
    from domain.identity import WorkspaceId
    from domain.ticket import Ticket
    from persistence.database import Database
    from tests.stage.back_door import BackDoor


async def opened(database: Database, workspace_id: WorkspaceId) -> Ticket:
    async with database.workspace(workspace_id) as store:
        return await open_ticket(store)


@pytest.mark.parametrize(
    "requester", [Requester(JAN, "Jan Novák 👩‍🔧"), Requester(EVA), None], ids=["with name", "without name", "nobody"]
)
@pytest.mark.parametrize(("automatic", "bounce"), [(False, False), (True, False), (True, True)])
async def test_a_ticket_comes_back_as_it_was_opened(
    database: Database, workspace_id: WorkspaceId, requester: Requester | None, automatic: bool, bounce: bool
) -> None:
    async with database.workspace(workspace_id) as store:
        ticket = await store.tickets.open(
            subject="Dobrý den, ''; DROP TABLE tickets", requester=requester, now=NOW, automatic=automatic, bounce=bounce
        )

    async with database.reading(workspace_id) as store:
        assert await store.tickets.get(ticket.id) == ticket
    assert (ticket.workspace_id, ticket.requester, ticket.created_at) == (workspace_id, requester, NOW)
    assert (ticket.automatic, ticket.bounce) == (automatic, bounce)


async def test_a_time_of_any_zone_comes_back_in_utc(database: Database, workspace_id: WorkspaceId) -> None:
    prague = timezone(timedelta(hours=1))

    async with database.workspace(workspace_id) as store:
        ticket = await store.tickets.open(subject="", requester=None, now=NOW.astimezone(prague))
        stored = await store.tickets.get(ticket.id)

    assert stored is not None
    assert stored.created_at == NOW
    assert stored.created_at.utcoffset() == timedelta()


async def test_an_unknown_ticket_is_none(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.reading(workspace_id) as store:
        assert await store.tickets.get(TicketId(UUID(int=1))) is None


async def test_each_workspace_counts_its_tickets_from_one(
    database: Database, workspace_id: WorkspaceId, other_workspace_id: WorkspaceId
) -> None:
    mine = [(await opened(database, workspace_id)).number for _ in range(3)]
    theirs = [(await opened(database, other_workspace_id)).number for _ in range(2)]

    assert (mine, theirs) == ([1, 2, 3], [1, 2])


async def test_tickets_opened_at_once_get_numbers_without_a_gap_and_none_twice(
    database: Database, neighbour: Database, workspace_id: WorkspaceId
) -> None:
    tickets = await asyncio.gather(*(opened((database, neighbour)[turn % 2], workspace_id) for turn in range(40)))

    assert sorted(ticket.number for ticket in tickets) == [*range(1, 41)]


async def test_a_ticket_that_was_taken_back_gives_its_number_back(database: Database, workspace_id: WorkspaceId) -> None:
    async def open_and_fail() -> None:
        async with database.workspace(workspace_id) as store:
            assert (await open_ticket(store)).number == 1
            raise LookupError

    with pytest.raises(LookupError):
        await open_and_fail()

    assert (await opened(database, workspace_id)).number == 1


async def test_the_number_of_a_deleted_ticket_is_not_given_again(
    database: Database, back_door: BackDoor, workspace_id: WorkspaceId
) -> None:
    await opened(database, workspace_id)
    back_door.alter("DELETE FROM tickets")

    assert (await opened(database, workspace_id)).number == 2


async def test_the_newest_come_first_page_by_page(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        for _ in range(5):
            await open_ticket(store)

        pages = [await store.tickets.newest(2, before=before) for before in (None, 4, 2, 1)]
        nothing = await store.tickets.newest(0)

    assert [[ticket.number for ticket in page] for page in pages] == [[5, 4], [3, 2], [1], []]
    assert nothing == []


async def test_the_tickets_of_a_requester_come_page_by_page_and_nobody_elses(
    database: Database, workspace_id: WorkspaceId, other_workspace_id: WorkspaceId
) -> None:
    await opened(database, other_workspace_id)
    async with database.workspace(workspace_id) as store:
        for email in (JAN, EVA, JAN, None, JAN):
            await open_ticket(store, email)

        pages = [await store.tickets.newest(2, before=before, requester=JAN) for before in (None, 3, 1)]

    assert [[ticket.number for ticket in page] for page in pages] == [[5, 3], [1], []]


async def test_what_opened_since_comes_oldest_first(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        for _ in range(5):
            await open_ticket(store)

        since = [await store.tickets.opened_after(number, limit=2) for number in (0, 2, 4, 5)]

    assert [[ticket.number for ticket in page] for page in since] == [[1, 2], [3, 4], [5], []]


async def test_the_newest_number_is_zero_before_the_first_ticket(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        before = await store.tickets.newest_number()
        for _ in range(3):
            await open_ticket(store)

        assert (before, await store.tickets.newest_number()) == (0, 3)


async def test_numbers_follow_the_order_of_opening_whatever_the_clock_says(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        first = await store.tickets.open(subject="first", requester=None, now=NOW)
        second = await store.tickets.open(subject="second", requester=None, now=NOW - SECOND)

        assert await store.tickets.newest(2) == [second, first]
