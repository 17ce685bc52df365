from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet, ref

from domain.identity import TicketId
from domain.lookup import LookupTrigger, Standing, StoredAnswer
from domain.ticket import Ticket
from persistence.standings import ConnectorStanding, KnownTicket
from tests.persistence.samples import (
    EVA,
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
    from collections.abc import Iterable

    from domain.connector import Connector
    from domain.identity import WorkspaceId
    from persistence.database import Database
    from persistence.store import WorkspaceStore
    from tests.persistence.conftest import Statements

LATER = NOW + SECOND


def by_value(found: dict[TicketId, list[ConnectorStanding]]) -> dict[TicketId, list[tuple[Connector, Standing]]]:
    """The same as plain pairs, for a standing is equal to itself alone."""
    return {ticket_id: pairs(standings) for ticket_id, standings in found.items()}


def pairs(standings: Iterable[ConnectorStanding]) -> list[tuple[Connector, Standing]]:
    return [(known.connector, known.standing) for known in standings]


def known_as(known: KnownTicket | None) -> tuple[Ticket, list[tuple[Connector, Standing]]] | None:
    return None if known is None else (known.ticket, pairs(known.standings))


async def test_standings_come_in_panel_order_without_the_disabled(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        for name, position in [("c", 5), ("b", -1), ("d", 5), ("a", -2)]:
            await connect(store, name=name, position=position)
        await connect(store, name="disabled", enabled=False)
        ticket = await open_ticket(store)

        found = await store.standings.of([ticket.id])

    assert [known.connector.name for known in found[ticket.id]] == ["a", "b", "c", "d"]


async def test_the_connector_of_a_standing_is_the_whole_connector(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        connector = await connect(store, SECRET, name="CRM č", link_template="https://crm.example/{customer_id}", position=7)
        ticket = await open_ticket(store)

        assert by_value(await store.standings.of([ticket.id])) == {ticket.id: [(connector, Standing())]}


async def test_a_bounce_and_a_ticket_of_nobody_have_no_standings(database: Database, workspace_id: WorkspaceId) -> None:
    unknown = TicketId(workspace_id)

    async with database.workspace(workspace_id) as store:
        await connect(store)
        bounce, nobody = await open_ticket(store, bounce=True), await open_ticket(store, None)

        found = await store.standings.of([bounce.id, nobody.id, unknown])

    assert found == {bounce.id: [], nobody.id: [], unknown: []}


async def test_a_ticket_with_its_standings_is_what_its_parts_are_read_one_by_one(
    database: Database, workspace_id: WorkspaceId, statements: Statements
) -> None:
    async with database.workspace(workspace_id) as store:
        alone = await open_ticket(store)
        bare = await store.standings.ticket(alone.id)
        last, first = await connect(store, name="last", position=5), await connect(store, name="first", position=-1)
        await connect(store, name="disabled", enabled=False)
        tickets = [await open_ticket(store), await open_ticket(store, bounce=True), await open_ticket(store, None)]
        await store.answers.record(last.id, JAN, FOUND, NOW)
        await running(store, first.id, JAN)
        standings = by_value(await store.standings.of([ticket.id for ticket in tickets]))
        read = [(ticket, standings[ticket.id]) for ticket in tickets]
        statements.seen.clear()
        together = [known_as(await store.standings.ticket(ticket.id)) for ticket in tickets]
        unknown = await store.standings.ticket(TicketId(workspace_id))

    assert together == read
    assert [[connector.name for connector, _ in known] for _, known in read] == [["first", "last"], [], []]
    assert known_as(bare) == (alone, [])
    assert unknown is None
    assert len(statements.seen) == len(tickets) + 1


async def test_a_page_of_tickets_is_what_its_parts_are_read_one_by_one(
    database: Database, workspace_id: WorkspaceId, statements: Statements
) -> None:
    async with database.workspace(workspace_id) as store:
        last, first = await connect(store, name="last", position=5), await connect(store, name="first", position=-1)
        await connect(store, name="disabled", enabled=False)
        await open_ticket(store), await open_ticket(store, EVA)
        await open_ticket(store, bounce=True), await open_ticket(store, None)
        await store.answers.record(last.id, JAN, FOUND, NOW)
        await store.answers.record(last.id, EVA, NOT_FOUND, NOW)
        await running(store, first.id, JAN)
        read = [known_as(await store.standings.ticket(ticket.id)) for ticket in await store.tickets.newest(9)]
        statements.seen.clear()

        page, more = await store.standings.newest(3)
        assert len(statements.seen) == 3
        assert ([known_as(known) for known in page], more) == (read[:3], True)
        page, more = await store.standings.newest(3, before=page[-1].ticket.number)
        assert ([known_as(known) for known in page], more) == (read[3:], False)
        page, more = await store.standings.newest(len(read))
        assert ([known_as(known) for known in page], more) == (read, False)
        page, more = await store.standings.newest(1, requester=EVA)
        assert ([known_as(known) for known in page], more) == ([read[-2]], False)
        assert await store.standings.newest(9, before=1) == ([], False)
        assert await store.standings.newest(0) == ([], True)


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

        found = await store.standings.of([ticket.id for ticket in tickets])
        nothing = await store.standings.of([])

    assert len(statements.seen) == 2
    assert nothing == {}
    assert [*found] == [ticket.id for ticket in tickets]
    jan, eva = Standing(StoredAnswer(FOUND, NOW)), Standing(under_way=True)
    for turn, ticket in enumerate(tickets):
        assert by_value(found)[ticket.id] == [(connector, (jan, eva)[turn % 2]) for connector in connectors]


async def test_a_ticket_is_the_same_object_until_something_changes_and_however_it_is_read(
    database: Database, workspace_id: WorkspaceId
) -> None:
    async with database.workspace(workspace_id) as store:
        connectors = [await connect(store, name=name, position=position) for name, position in (("b", 2), ("a", 1))]
        ticket = await open_ticket(store)
        await store.answers.record(connectors[0].id, JAN, FOUND, NOW)

    async def look() -> KnownTicket:
        async with database.glancing(workspace_id) as store:
            opened = await store.standings.ticket(ticket.id)
            (listed,), _ = await store.standings.newest(1)
            assert opened is listed
        async with database.reading(workspace_id) as store:
            assert await store.standings.ticket(ticket.id) is opened
        return listed

    seen = [await look()]
    assert await look() is seen[0]
    async with database.workspace(workspace_id) as store:
        await store.answers.record(connectors[1].id, JAN, NOT_FOUND, NOW)
    seen.append(await look())
    async with database.workspace(workspace_id) as store:
        await store.connectors.save(connectors[1].id, settings(name="z", position=3), LATER)
    seen.append(await look())
    async with database.workspace(workspace_id) as store:
        await store.connectors.save(connectors[0].id, settings(name="b", position=2, enabled=False), LATER)
    seen.append(await look())

    assert len(set(seen)) == 4
    assert [[known.connector.name for known in one.standings] for one in seen] == [["a", "b"], ["a", "b"], ["b", "z"], ["z"]]
    assert seen[1].standings[1] is seen[0].standings[1]


async def test_a_standing_is_the_same_object_until_something_changes(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        connector = await connect(store)
        ticket, other = [await open_ticket(store) for _ in range(2)]
        await store.answers.record(connector.id, JAN, FOUND, NOW)

    async def look(ticket_id: TicketId = ticket.id) -> ConnectorStanding:
        async with database.glancing(workspace_id) as store:
            ((standing,),) = (await store.standings.of([ticket_id])).values()
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
            found += (await store.standings.of([ticket.id]))[ticket.id]

    assert [known is found[0] for known in found] == [True] * 3


async def test_every_ticket_of_a_requester_shows_the_same(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        connector = await connect(store)
        first, second = [await open_ticket(store) for _ in range(2)]
        await store.lookups.queue(connector.id, first.id, JAN, LookupTrigger.TICKET, NOW)
        await store.answers.record(connector.id, JAN, FOUND, NOW)

        found = await store.standings.of([first.id, second.id])

    known = [(connector, Standing(StoredAnswer(FOUND, NOW), under_way=True))]
    assert by_value(found) == {first.id: known, second.id: known}


async def test_what_was_erased_is_let_go_of_at_once(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        connector = await connect(store)
        ticket_id = (await open_ticket(store)).id
        await store.answers.record(connector.id, JAN, FOUND, NOW)

    async def read() -> list[ref[Any]]:
        async with database.glancing(workspace_id) as store:
            known = await store.standings.ticket(ticket_id)
        assert known is not None
        return [ref(known), *map(ref, known.standings)]

    def tickets() -> int:
        return sum(isinstance(one, Ticket) and one.id == ticket_id for one in gc.get_objects())

    kept = await read()
    gc.disable()  # which might otherwise come in time
    try:
        assert (tickets(), [one() is None for one in kept]) == (1, [False, False])
        await database.scrub()
        assert (tickets(), [one() is None for one in kept]) == (0, [True, True])
    finally:
        gc.enable()


async def test_tickets_are_kept_by_what_they_hold(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        for position in range(25):
            await connect(store, position=position)
        tickets = [await open_ticket(store) for _ in range(200)]

    kept = WeakSet[KnownTicket]()
    async with database.glancing(workspace_id) as store:
        for ticket in tickets:
            kept.add(await seen(store, ticket.id))
        newest = {known.ticket.id for known in kept}

    assert newest == {ticket.id for ticket in tickets[-4_000 // 25 :]}


async def seen(store: WorkspaceStore, ticket_id: TicketId) -> KnownTicket:
    known = await store.standings.ticket(ticket_id)
    assert known is not None
    return known
