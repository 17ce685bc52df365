"""What two processes do at the same moment over one database, each with connections and locks of its own."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from domain.connector import MAX_CONNECTORS
from domain.errors import InvalidConnector
from domain.lookup import Occasion
from inbox.receive import Received, Reception, TooManyMails
from lookups.connectors import change_connector
from tests.lookups.room import POLICY, open_room
from tests.persistence.samples import mail

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from domain.connector import Connector
    from domain.ticket import InboundEmail, Ticket
    from tests.lookups.room import Room
    from tests.stage.crm import Crm

TWENTY = range(20)


@pytest.fixture
async def rooms(url: str) -> AsyncIterator[list[Room]]:
    """Two processes' rooms over one workspace."""
    async with open_room(url) as one, open_room(url, workspace_id=one.workspace_id) as other:
        yield [one, other]


async def receive(rooms: list[Room], emails: list[InboundEmail], *, per_hour: int = 500) -> list[Received | BaseException]:
    """Deliver all at once, each to the next process."""
    doors = [Reception(room.database, room.dispatch, per_sender_and_hour=per_hour, now=room.clock.now) for room in rooms]
    deliveries = (doors[turn % 2].receive(email, rooms[0].workspace_id) for turn, email in enumerate(emails))
    return await asyncio.gather(*deliveries, return_exceptions=True)


async def tickets(room: Room) -> list[Ticket]:
    """All tickets, newest first."""
    async with room.database.reading(room.workspace_id) as store:
        return await store.tickets.newest(1000)


async def test_one_mail_at_two_doors_at_once_is_one_ticket_and_both_are_told_of_it(rooms: list[Room]) -> None:
    received = await receive(rooms, [mail()] * 20)

    (ticket,) = await tickets(rooms[0])
    assert Counter(received) == {Received(ticket.id, known=False): 1, Received(ticket.id, known=True): 19}


async def test_numbers_count_without_a_gap_and_without_a_double(rooms: list[Room]) -> None:
    await receive(rooms, [mail() for _ in TWENTY])

    assert [ticket.number for ticket in await tickets(rooms[0])] == [*range(20, 0, -1)]


async def test_the_rate_of_a_sender_is_counted_over_all_doors(rooms: list[Room]) -> None:
    received = await receive(rooms, [mail() for _ in TWENTY], per_hour=7)

    assert sum(isinstance(one, TooManyMails) for one in received) == 13
    assert len(await tickets(rooms[0])) == 7


async def test_two_replies_at_once_join_the_one_ticket(rooms: list[Room]) -> None:
    await receive(rooms, [mail(message_id="<first@firma.cz>")])

    await receive(rooms, [mail(references=("<first@firma.cz>",)) for _ in TWENTY])

    (ticket,) = await tickets(rooms[0])
    async with rooms[0].database.reading(rooms[0].workspace_id) as store:
        assert len((await store.messages.of_tickets([ticket.id], 100))[ticket.id]) == 21


async def test_there_are_never_more_connectors_than_a_workspace_may_have(rooms: list[Room]) -> None:
    made = await asyncio.gather(
        *(rooms[turn % 2].connect("https://crm.example") for turn in range(MAX_CONNECTORS + 5)), return_exceptions=True
    )

    assert sum(isinstance(one, InvalidConnector) for one in made) == 5
    async with rooms[0].database.reading(rooms[0].workspace_id) as store:
        assert await store.connectors.count() == MAX_CONNECTORS


async def test_refreshes_at_once_join_one_lookup(rooms: list[Room]) -> None:
    connector = await rooms[0].connect("https://crm.example")
    ticket = await rooms[0].open_ticket()

    await asyncio.gather(*(rooms[turn % 2].request(ticket, Occasion.REFRESH_ASKED) for turn in TWENTY))

    assert len(await rooms[0].log(connector)) == 1


@pytest.mark.parametrize("turn", range(5))
async def test_an_answer_that_arrives_while_its_connector_is_deleted_is_kept_nowhere(
    rooms: list[Room], crm: Crm, turn: int
) -> None:
    one, other = rooms
    connector = await one.connect(crm.url())
    await one.request(await one.open_ticket())
    prepared = await one.runner.claim(one.workspace_id)
    assert prepared is not None

    async def delete() -> None:
        await asyncio.sleep(turn / 500)  # somewhere between before and after the answer
        async with other.database.workspace(other.workspace_id) as store:
            assert await store.connectors.delete(connector.id)

    await asyncio.gather(one.runner.run(prepared), delete())

    assert [one.back_door.rows(f"SELECT * FROM {table}") for table in ("answers", "lookups", "connectors")] == [[], [], []]  # noqa: S608


@pytest.mark.parametrize("turn", range(5))
async def test_an_answer_that_arrives_while_its_address_changes_is_not_shown_as_the_new_ones(
    rooms: list[Room], crm: Crm, turn: int
) -> None:
    one, other = rooms
    connector = await one.connect(crm.url())
    ticket = await one.open_ticket()
    await one.request(ticket)
    prepared = await one.runner.claim(one.workspace_id)
    assert prepared is not None

    async def change() -> None:
        await asyncio.sleep(turn / 500)  # somewhere between before and after the answer
        await _change(other, connector, lookup_url="https://other.example")

    await asyncio.gather(one.runner.run(prepared), change())

    standing = await one.standing(ticket, connector)
    assert (standing.answer, standing.failure, standing.under_way) == (None, None, False)


async def _change(room: Room, connector: Connector, **changes: Any) -> None:  # noqa: ANN401 - any setting
    async with room.database.workspace(room.workspace_id) as store:
        await change_connector(store, connector.id, changes, None, policy=POLICY, now=room.clock.now())
