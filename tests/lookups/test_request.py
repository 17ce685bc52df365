"""How a lookup begins: a row in the caller's transaction, and a word to those concerned after its commit."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from domain.identity import ConnectorId, email_address
from domain.lookup import LookupTrigger, Occasion
from lookups.request import Requested, request_lookups
from lookups.updates import CONNECTORS, TICKETS, requester_topic
from persistence.tables import new_id
from tests.lookups.room import at_work, told
from tests.stage.crm import FOUND
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from tests.lookups.room import Room
    from tests.stage.crm import Crm


async def test_a_lookup_is_queued_for_each_enabled_connector_in_panel_order(room: Room, crm: Crm) -> None:
    last = await room.connect(crm.url(), position=2)
    first = await room.connect(crm.url(), position=1)
    disabled = await room.connect(crm.url(), enabled=False)
    ticket = await room.open_ticket()

    requested = await room.request(ticket)

    assert requested == Requested(ticket, [first.id, last.id])
    assert [len(await room.log(connector)) for connector in (first, last, disabled)] == [1, 1, 0]


async def test_a_lookup_is_queued_as_the_occasion_names_it(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    ticket = await room.open_ticket()

    await room.request(ticket, Occasion.TICKET_VIEWED)

    (line,) = await room.log(connector)
    assert (line.trigger, line.ticket_id, line.email) == (LookupTrigger.VIEW, ticket.id, "jan@firma.cz")
    assert (line.requested_at, line.completed_at) == (room.clock.now(), None)
    assert (await room.standing(ticket, connector)).under_way


async def test_a_transaction_that_fails_queues_nothing(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    ticket = await room.open_ticket()

    async def request_and_fail() -> None:
        async with room.database.workspace(room.workspace_id) as store:
            await request_lookups(store, ticket, Occasion.TICKET_OPENED, now=room.clock.now())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await request_and_fail()

    assert await room.log(connector) == []


async def test_one_that_is_under_way_is_joined_and_counts_as_requested(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    first, second = await room.open_ticket(), await room.open_ticket()
    await room.request(first)

    joined = await room.request(second, Occasion.REFRESH_ASKED)

    assert joined == Requested(second, [connector.id], urgent=True)
    (line,) = await room.log(connector)
    assert (line.trigger, line.ticket_id) == (LookupTrigger.TICKET, first.id)


async def test_only_one_connector_can_be_asked(room: Room, crm: Crm) -> None:
    one, other = await room.connect(crm.url()), await room.connect(crm.url())
    ticket = await room.open_ticket()

    requested = await room.request(ticket, Occasion.REFRESH_ASKED, only=other.id)

    assert requested.connectors == [other.id]
    assert [len(await room.log(connector)) for connector in (one, other)] == [0, 1]


async def test_a_connector_that_is_unknown_or_disabled_is_not_asked(room: Room, crm: Crm) -> None:
    disabled = await room.connect(crm.url(), enabled=False)
    ticket = await room.open_ticket()

    for only in (disabled.id, ConnectorId(new_id())):
        assert (await room.request(ticket, Occasion.REFRESH_ASKED, only=only)).connectors == []

    assert await room.log(disabled) == []


@pytest.mark.parametrize("occasion", Occasion)
async def test_a_bounce_and_a_ticket_without_requester_ask_nobody(room: Room, crm: Crm, occasion: Occasion) -> None:
    connector = await room.connect(crm.url())

    for ticket in (await room.open_ticket(bounce=True), await room.open_ticket(None)):
        assert (await room.request(ticket, occasion)).connectors == []

    assert await room.log(connector) == []


async def test_the_connectors_of_another_workspace_are_not_asked(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    ticket = await room.open_ticket()
    elsewhere = await room.add_workspace("support@other.example")

    async with room.database.workspace(elsewhere) as store:
        requested = await request_lookups(store, ticket, Occasion.REFRESH_ASKED, now=room.clock.now())

    assert requested.connectors == []
    assert await room.log(connector) == []


async def test_freshness_is_judged_by_the_time_that_is_passed_in(room: Room, crm: Crm) -> None:
    crm.answers["/lookup"] = FOUND
    connector = await room.connect(crm.url(), cache_ttl=timedelta(hours=1))
    ticket = await room.open_ticket()
    await room.request(ticket)
    async with at_work(room):
        await room.queue.ring(room.workspace_id, urgent=False)
        await eventually(lambda: room.ended(connector))
    room.clock.let_pass(timedelta(hours=1) - timedelta(microseconds=1))
    assert (await room.request(ticket)).connectors == []

    room.clock.let_pass(timedelta(microseconds=1))

    assert (await room.request(ticket)).connectors == [connector.id]


async def test_after_the_commit_the_runners_of_each_connector_are_woken(room: Room, crm: Crm) -> None:
    one, other = await room.connect(crm.url()), await room.connect(crm.url())
    ticket = await room.open_ticket()
    requested = await room.request(ticket)

    async with at_work(room):
        await room.dispatch.send(requested)
        await eventually(lambda: room.ended(one))
        await eventually(lambda: room.ended(other))

    assert len(crm.requests) == 2


async def test_whoever_watches_the_requester_is_told(room: Room, crm: Crm) -> None:
    await room.connect(crm.url())
    ticket = await room.open_ticket()
    requested = await room.request(ticket)

    async with room.updates.watch(room.workspace_id, requester_topic(email_address("jan@firma.cz"))) as watch:
        await room.dispatch.send(requested)

        assert await told(room.updates, room.workspace_id, watch)


async def test_who_watches_other_things_is_not_told(room: Room, crm: Crm) -> None:
    await room.connect(crm.url())
    requested = await room.request(await room.open_ticket())
    others = [TICKETS, CONNECTORS, requester_topic(email_address("eva@firma.cz"))]

    async with room.updates.watch(room.workspace_id, *others) as watch:
        await room.dispatch.send(requested)

        assert not await told(room.updates, room.workspace_id, watch)


async def test_a_ticket_that_opened_is_told_even_if_it_asks_nobody(room: Room) -> None:
    ticket = await room.open_ticket(None)

    async with room.updates.watch(room.workspace_id, TICKETS) as watch:
        await room.dispatch.send(Requested(ticket), opened=True)

        assert await told(room.updates, room.workspace_id, watch)


async def test_where_nothing_was_requested_nobody_is_told(room: Room) -> None:
    ticket = await room.open_ticket()

    async with room.updates.watch(room.workspace_id, TICKETS, requester_topic(email_address("jan@firma.cz"))) as watch:
        await room.dispatch.send(Requested(ticket))

        assert not await told(room.updates, room.workspace_id, watch)
