"""A failing endpoint is spared: paused for tickets and views, probed every five minutes, open for a refresh, back by one answer.

The endpoint is a real server that counts what it is sent; the time is the test's own.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from domain.health import Failing, Paused, Working
from domain.lookup import Occasion
from tests.lookups.room import open_room
from tests.stage.crm import FOUND, NOT_FOUND, response
from tests.stage.helpdesk import CREATE_CONNECTOR, REFRESH
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from domain.connector import Connector
    from domain.health import Health
    from domain.ticket import Ticket
    from tests.lookups.room import Room
    from tests.promises.conftest import Figure
    from tests.stage.crm import Crm
    from tests.stage.helpdesk import Helpdesk

ERROR = response(500, b"")
GONE = response(410, b"")
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
WATCH = "subscription { connectorHealth { name health { state } } }"
OPEN = 'mutation ($email: String!) { createTicket(input: {requesterEmail: $email, subject: "x"}) { ... on Ticket { id } } }'
VIEW = "query ($id: ID!) { ticket(id: $id) { crmPanels { paused refreshing status error { code } customer { name } } } }"


@pytest.fixture
async def room(url: str) -> AsyncIterator[Room]:
    """One process over a database of its own, with a clock that the test sets."""
    async with open_room(url) as opened:
        yield opened


async def come(room: Room, occasion: Occasion, email: str = "jan@firma.cz") -> Ticket:
    """Let something happen about this requester, and run to its end whatever was queued for it."""
    ticket = await room.open_ticket(email)
    await room.request(ticket, occasion)
    await drain(room)
    return ticket


async def drain(room: Room) -> None:
    while (prepared := await room.runner.claim(room.workspace_id)) is not None:
        await room.runner.run(prepared)


async def fail_for_ten_minutes(room: Room) -> None:
    """Twenty failures in a row, the last ten minutes after the first."""
    for number in range(20):
        await come(room, Occasion.TICKET_OPENED, f"{number}@firma.cz")
        if number < 19:
            room.clock.let_pass(10 * MINUTE / 19 + timedelta(milliseconds=1))


async def health(room: Room, connector: Connector) -> Health:
    async with room.database.reading(room.workspace_id) as store:
        stored = await store.connectors.get(connector.id)
    assert stored is not None
    return stored.health


async def test_twenty_failures_over_ten_minutes_pause_it_for_tickets_and_views_and_not_for_a_refresh(
    room: Room, crm: Crm
) -> None:
    crm.answers["/lookup"] = FOUND
    connector = await room.connect(crm.url(), cache_ttl=timedelta(0))
    known = await come(room, Occasion.TICKET_OPENED, "known@firma.cz")
    crm.answers["/lookup"] = ERROR

    await fail_for_ten_minutes(room)
    assert isinstance(await health(room, connector), Paused)
    sent = len(crm.requests)
    assert sent == 21
    before = await room.standing(known, connector)
    for number in range(20):
        await come(room, Occasion.TICKET_OPENED, f"new-{number}@firma.cz")
        await come(room, Occasion.TICKET_VIEWED, "known@firma.cz")
        await come(room, Occasion.REPLY_ARRIVED, "known@firma.cz")
    assert len(crm.requests) == sent
    assert await room.standing(known, connector) == before

    await come(room, Occasion.REFRESH_ASKED)
    assert len(crm.requests) == sent + 1


async def test_nineteen_failures_or_nine_minutes_pause_nothing(room: Room, crm: Crm) -> None:
    crm.answers["/lookup"] = ERROR
    connector = await room.connect(crm.url())
    for number in range(25):
        await come(room, Occasion.TICKET_OPENED, f"{number}@firma.cz")
        room.clock.let_pass(9 * MINUTE / 24)

    assert isinstance(await health(room, connector), Failing)
    assert len(crm.requests) == 25


async def test_the_next_who_comes_after_five_minutes_is_the_probe_and_nothing_is_asked_of_our_own_accord(
    room: Room, crm: Crm, size: Callable[[int], int], figure: Figure
) -> None:
    crm.answers["/lookup"] = GONE
    connector = await room.connect(crm.url())
    await come(room, Occasion.TICKET_OPENED)
    crm.answers["/lookup"] = ERROR

    room.clock.let_pass(24 * HOUR)
    await room.sweeper.sweep()
    await drain(room)
    assert len(crm.requests) == 1

    minutes = size(12 * 60)
    for minute in range(minutes):
        await come(room, (Occasion.TICKET_OPENED, Occasion.TICKET_VIEWED)[minute % 2], f"{minute}@firma.cz")
        room.clock.let_pass(MINUTE)

    probes = len(crm.requests) - 1
    figure("tickets and views at a paused endpoint", minutes)
    figure("requests that it was sent for them", probes)
    assert probes == -(-minutes // 5)
    assert isinstance(await health(room, connector), Paused)


@pytest.mark.parametrize("answer", [FOUND, NOT_FOUND])
async def test_one_answer_opens_it_for_all(room: Room, crm: Crm, answer: dict[str, Any]) -> None:
    crm.answers["/lookup"] = GONE
    connector = await room.connect(crm.url())
    await come(room, Occasion.TICKET_OPENED)

    crm.answers["/lookup"] = answer
    room.clock.let_pass(5 * MINUTE)
    await come(room, Occasion.TICKET_VIEWED, "probe@firma.cz")

    assert await health(room, connector) == Working(room.clock.now())
    for number in range(10):
        await come(room, Occasion.TICKET_OPENED, f"{number}@firma.cz")
    assert len(crm.requests) == 12


async def test_it_is_spared_after_a_restart_too(room: Room, url: str, crm: Crm) -> None:
    crm.answers["/lookup"] = ERROR
    connector = await room.connect(crm.url())
    await fail_for_ten_minutes(room)
    sent = len(crm.requests)
    await room.database.close()

    async with open_room(url, workspace_id=room.workspace_id) as restarted:
        restarted.clock.time = room.clock.now()
        await come(restarted, Occasion.TICKET_OPENED, "after@firma.cz")
        assert isinstance(await health(restarted, connector), Paused)
        assert len(crm.requests) == sent

        restarted.clock.let_pass(5 * MINUTE)
        await come(restarted, Occasion.TICKET_OPENED, "probe@firma.cz")
        assert len(crm.requests) == sent + 1


async def test_two_processes_that_race_send_one_probe(
    room: Room, url: str, crm: Crm, size: Callable[[int], int], figure: Figure
) -> None:
    crm.answers["/lookup"] = GONE
    await room.connect(crm.url())
    await come(room, Occasion.TICKET_OPENED)
    crm.answers["/lookup"] = ERROR
    races = size(20)
    async with open_room(url, workspace_id=room.workspace_id) as other:
        for race in range(races):
            room.clock.let_pass(5 * MINUTE)
            other.clock.time = room.clock.now()
            tickets = [await room.open_ticket(f"{race}-{number}@firma.cz") for number in range(8)]
            await asyncio.gather(
                *((room, other)[turn % 2].request(ticket, Occasion.TICKET_VIEWED) for turn, ticket in enumerate(tickets))
            )
            await asyncio.gather(drain(room), drain(other))
            assert len(crm.requests) == 2 + race
    figure("races of two processes for a probe", races)


async def test_a_410_pauses_at_once_and_a_429_until_it_says(room: Room, crm: Crm) -> None:
    gone, seconds, date = [await room.connect(crm.url(path)) for path in ("/gone", "/seconds", "/date")]
    until = (room.clock.now() + 2 * HOUR).replace(microsecond=0)
    crm.answers |= {
        "/gone": GONE,
        "/seconds": response(429, b"", "Retry-After: 30"),
        "/date": response(429, b"", f"Retry-After: {format_datetime(until, usegmt=True)}"),
    }

    await come(room, Occasion.TICKET_OPENED)

    now = room.clock.now()
    for connector, wait in ((gone, 5 * MINUTE), (seconds, 30 * SECOND), (date, HOUR)):
        assert await health(room, connector) == Paused(now, 1, now + wait)
    asked = {path: [len(crm.asked(path))] for path in crm.answers}
    for passed in (29 * SECOND, SECOND, 270 * SECOND, HOUR - 5 * MINUTE):
        room.clock.let_pass(passed)
        await come(room, Occasion.TICKET_OPENED, f"{passed.seconds}@firma.cz")
        for path, counts in asked.items():
            counts.append(len(crm.asked(path)))
    assert asked == {"/gone": [1, 1, 1, 2, 3], "/seconds": [1, 1, 2, 3, 4], "/date": [1, 1, 1, 1, 2]}


async def test_the_other_connectors_are_asked_as_ever(room: Room, crm: Crm) -> None:
    crm.answers |= {"/lookup": GONE, "/works": FOUND}
    await room.connect(crm.url())
    works = await room.connect(crm.url("/works"))
    for number in range(10):
        await come(room, Occasion.TICKET_OPENED, f"{number}@firma.cz")

    assert (len(crm.asked()), len(crm.asked("/works"))) == (1, 10)
    assert await health(room, works) == Working()


async def test_admins_are_told_once_and_a_panel_keeps_its_last_outcome(product: Helpdesk, crm: Crm) -> None:
    async def ask_again(ticket_id: str) -> None:
        await product.agent.ask(REFRESH, id=ticket_id)
        await product.settled()

    crm.answers["/lookup"] = FOUND
    await product.connect(crm.url(), "CRM")
    ticket_id = (await product.agent.ask(OPEN, email="jan@firma.cz"))["createTicket"]["id"]
    await product.settled()
    with capture_logs() as lines:
        async with product.admin.watching(WATCH) as turns:
            assert (await turns.next())["health"]["state"] == "WORKING"
            crm.answers["/lookup"] = GONE
            for _ in range(5):
                await ask_again(ticket_id)
            assert (await turns.next())["health"]["state"] == "PAUSED"

            other = (await product.agent.ask(OPEN, email="eva@firma.cz"))["createTicket"]["id"]
            (spared,) = (await product.agent.ask(VIEW, id=other))["ticket"]["crmPanels"]
            (kept,) = (await product.agent.ask(VIEW, id=ticket_id))["ticket"]["crmPanels"]
            assert len(crm.requests) == 6

            crm.answers["/lookup"] = FOUND
            await ask_again(ticket_id)
            assert (await turns.next())["health"]["state"] == "WORKING"
            await product.admin.ask(CREATE_CONNECTOR, input={"name": "The next event", "lookupUrl": crm.url("/next")})
            assert (await turns.next())["name"] == "The next event"

    assert [line["event"] for line in lines if line["log_level"] == "warning"] == ["connector paused"]
    assert (spared["paused"], spared["refreshing"], spared["status"]) == (True, False, "PENDING")
    assert (kept["paused"], kept["status"], kept["error"]["code"]) == (True, "ERROR", "HTTP_STATUS")
    assert kept["customer"]["name"] == "Jan Novák"

    async def open_again() -> bool:
        (panel,) = (await product.agent.ask(VIEW, id=other))["ticket"]["crmPanels"][:1]
        return bool(panel["status"] == "FOUND" and not panel["paused"])

    await eventually(open_again)
