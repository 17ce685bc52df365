"""What can be watched: the whole picture first, then every change, and nothing left behind afterwards."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from tests.graph.desk import PANEL, open_neighbour, open_ticket, stock, watches
from tests.stage.crm import FOUND, NOT_FOUND, response
from tests.stage.front_end import receive, send
from tests.stage.helpdesk import REFRESH, message
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

    from tests.stage.crm import Crm
    from tests.stage.helpdesk import Helpdesk

WATCH = f"subscription ($id: ID!) {{ crmPanels(ticketId: $id) {{ {PANEL} }} }}"
OPENED = "subscription { ticketOpened { id number subject } }"
UPDATE = "mutation ($id: ID!, $input: UpdateConnectorInput!) { updateConnector(id: $id, input: $input) { __typename } }"
DELETE = "mutation ($id: ID!) { deleteConnector(id: $id) { __typename } }"
TICKET = f"query ($id: ID!) {{ ticket(id: $id) {{ crmPanels {{ {PANEL} }} }} }}"


async def rename(helpdesk: Helpdesk, connector_id: str, name: str) -> None:
    await helpdesk.admin.ask(UPDATE, id=connector_id, input={"name": name})


async def watching(helpdesk: Helpdesk, count: int) -> None:
    """Until this many watches are registered."""

    async def look() -> bool:
        return watches(helpdesk) == count

    await eventually(look)


# crmPanels


async def test_a_watcher_sees_every_panel_as_it_stands_and_then_each_again_when_it_changes(helpdesk: Helpdesk, crm: Crm) -> None:
    crm.answers |= {"/one": NOT_FOUND, "/two": FOUND}
    for path in ("/one", "/two"):
        await helpdesk.connect(crm.url(path), path)
    ticket_id = await open_ticket(helpdesk.agent)
    for place in range(2):
        await helpdesk.settled(panel=place)

    async with helpdesk.agent.watching(WATCH, id=ticket_id) as panels:
        first, second = await panels.next(), await panels.next()
        assert [first["connectorName"], second["connectorName"]] == ["/one", "/two"]
        assert [first["status"], second["status"]] == ["NOT_FOUND", "FOUND"]

        crm.answers["/two"] = response(500, b"")
        await helpdesk.agent.ask(REFRESH, id=ticket_id, connector=second["connectorId"])
        changed = await panels.until(lambda panel: not panel["refreshing"])

    assert changed["id"] == second["id"]
    assert (changed["status"], changed["stale"], changed["customer"]) == ("ERROR", True, second["customer"])


async def test_a_watcher_sees_what_a_query_shows(helpdesk: Helpdesk, crm: Crm) -> None:
    crm.answers |= {"/found": FOUND, "/unknown": NOT_FOUND, "/error": response(500, b"")}
    for path in crm.answers:
        await helpdesk.connect(crm.url(path), path, linkTemplate="https://crm.example/{customer_id}")
    ticket_id = await open_ticket(helpdesk.agent)
    for place in range(3):
        await helpdesk.settled(panel=place)

    async with helpdesk.agent.watching(WATCH, id=ticket_id) as panels:
        watched = [await panels.next() for _ in range(3)]

    queried = (await helpdesk.agent.ask(TICKET, id=ticket_id))["ticket"]
    assert watched == queried["crmPanels"]


async def test_the_panel_of_a_new_connector_appears(helpdesk: Helpdesk, crm: Crm) -> None:
    ticket_id = await open_ticket(helpdesk.agent)
    async with helpdesk.agent.watching(WATCH, id=ticket_id) as panels:
        await watching(helpdesk, 1)

        connector_id = await helpdesk.connect(crm.url(), "New")

        panel = await panels.next()
    assert (panel["connectorId"], panel["connectorName"]) == (connector_id, "New")
    assert (panel["status"], panel["refreshing"]) == ("PENDING", False)
    assert crm.requests == []


async def test_a_new_name_is_seen(helpdesk: Helpdesk, crm: Crm) -> None:
    connector_id = await helpdesk.connect(crm.url(), "Old")
    ticket_id = await open_ticket(helpdesk.agent)
    await helpdesk.settled()

    async with helpdesk.agent.watching(WATCH, id=ticket_id) as panels:
        before = await panels.next()
        await rename(helpdesk, connector_id, "New")
        after = await panels.next()

    assert before["connectorName"] == "Old"
    assert after == before | {"connectorName": "New"}


async def test_a_connector_that_is_enabled_again_appears(helpdesk: Helpdesk, crm: Crm) -> None:
    connector_id = await helpdesk.connect(crm.url())
    ticket_id = await open_ticket(helpdesk.agent)
    await helpdesk.settled()

    async with helpdesk.agent.watching(WATCH, id=ticket_id) as panels:
        before = await panels.next()
        await helpdesk.admin.ask(UPDATE, id=connector_id, input={"enabled": False})
        await helpdesk.admin.ask(UPDATE, id=connector_id, input={"enabled": True, "name": "Back"})
        assert await panels.next() == before | {"connectorName": "Back"}


async def test_what_concerns_another_requester_is_not_sent(helpdesk: Helpdesk, crm: Crm) -> None:
    connector_id = await helpdesk.connect(crm.url(), "CRM")
    ticket_id = await open_ticket(helpdesk.agent)
    await helpdesk.settled()

    async with helpdesk.agent.watching(WATCH, id=ticket_id) as panels:
        await panels.next()
        await open_ticket(helpdesk.agent, email="eva@firma.cz")
        await helpdesk.settled()
        neighbour = await open_neighbour(helpdesk, crm.url("/theirs"))
        await rename(helpdesk, neighbour.connector_id, "Theirs")
        await rename(helpdesk, connector_id, "Mine")

        assert (await panels.next())["connectorName"] == "Mine"


async def test_every_ticket_of_a_requester_is_told(helpdesk: Helpdesk, crm: Crm) -> None:
    await helpdesk.connect(crm.url())
    one, other = await open_ticket(helpdesk.agent), await open_ticket(helpdesk.agent)
    await helpdesk.settled()
    crm.answers["/lookup"] = FOUND

    async with helpdesk.agent.watching(WATCH, id=one) as panels, helpdesk.admin.watching(WATCH, id=other) as others:
        await panels.next()
        await others.next()
        await helpdesk.agent.ask(REFRESH, id=one)

        assert (await panels.until(lambda panel: panel["status"] == "FOUND"))["ticketId"] == one
        assert (await others.until(lambda panel: panel["status"] == "FOUND"))["ticketId"] == other


async def test_the_final_state_is_never_lost_however_quickly_states_change(helpdesk: Helpdesk, crm: Crm) -> None:
    connector_id = await helpdesk.connect(crm.url(), "0")
    ticket_id = await open_ticket(helpdesk.agent)
    await helpdesk.settled()

    async with helpdesk.agent.watching(WATCH, id=ticket_id) as panels:
        await panels.next()
        await asyncio.gather(*(rename(helpdesk, connector_id, f"{number}") for number in range(1, 20)))
        await rename(helpdesk, connector_id, "last")

        await panels.until(lambda panel: panel["connectorName"] == "last")


async def test_a_change_between_the_first_picture_and_the_watch_is_not_lost(helpdesk: Helpdesk, crm: Crm) -> None:
    connector_id = await helpdesk.connect(crm.url(), "0")
    ticket_id = await open_ticket(helpdesk.agent)
    await helpdesk.settled()
    chance = random.Random(1)
    payload = {"query": WATCH, "variables": {"id": ticket_id}}

    async with helpdesk.agent.signed_in() as socket:
        for number in range(1, 61):
            watchers = [f"{number}-{watcher}" for watcher in range(8)]
            change = asyncio.create_task(rename(helpdesk, connector_id, str(number)))
            for watcher in watchers:
                await asyncio.sleep(chance.uniform(0, 0.005))  # anywhere before, during and after the change
                await send(socket, id=watcher, type="subscribe", payload=payload)
            await everyone_sees(socket, set(watchers), str(number))
            for watcher in watchers:
                await send(socket, id=watcher, type="complete")
            await change


async def everyone_sees(socket: ClientConnection, watchers: set[str], name: str) -> None:
    while watchers:
        event = await receive(socket)
        assert event["type"] == "next", event
        if event["payload"]["data"]["crmPanels"]["connectorName"] == name:
            watchers.discard(event["id"])


async def test_a_panel_that_did_not_change_is_not_sent_again(helpdesk: Helpdesk, crm: Crm) -> None:
    one, other = [await helpdesk.connect(crm.url(path), path) for path in ("/one", "/other")]
    ticket_id = await open_ticket(helpdesk.agent)
    for place in range(2):
        await helpdesk.settled(panel=place)

    async with helpdesk.agent.watching(WATCH, id=ticket_id) as panels:
        await panels.next()
        await panels.next()
        for connector_id, name in ((other, "a"), (other, "b"), (one, "c"), (other, "d")):
            await rename(helpdesk, connector_id, name)
            panel = await panels.next()
            assert (panel["connectorId"], panel["connectorName"]) == (connector_id, name)


async def test_watching_what_is_not_there_is_an_error(helpdesk: Helpdesk) -> None:
    for unknown in ("", "x", "01a203f1-5208-74d0-a3bf-6093b8ecb3ee"):
        async with helpdesk.agent.watching(WATCH, id=unknown) as panels:
            (error,) = (await receive(panels.socket))["payload"]["errors"]
            assert error["extensions"]["code"] == "BAD_REQUEST"
            assert error["extensions"]["requestId"]
            assert await receive(panels.socket) == {"id": "1", "type": "complete"}


async def test_a_ticket_that_has_no_panels_can_be_watched(helpdesk: Helpdesk, crm: Crm) -> None:
    connector_id = await helpdesk.connect(crm.url(), "CRM")
    await helpdesk.mail(message("Nobody", Subject="Nobody"), sender="")
    (ticket,) = await helpdesk.tickets()

    async with helpdesk.agent.signed_in() as socket:
        await send(socket, id="1", type="subscribe", payload={"query": WATCH, "variables": {"id": ticket["id"]}})
        await watching(helpdesk, 1)
        await rename(helpdesk, connector_id, "New")
        await send(socket, id="2", type="subscribe", payload={"query": "{ viewer { name } }"})
        assert (await receive(socket))["id"] == "2"


# ticketOpened


async def test_tickets_are_told_in_order_and_none_is_lost(helpdesk: Helpdesk) -> None:
    async with helpdesk.agent.watching(OPENED) as opened:
        await watching(helpdesk, 1)

        ids = await asyncio.gather(*(open_ticket(helpdesk.agent, f"Ticket {number}") for number in range(50)))

        told = [await opened.next() for _ in range(50)]
    assert [ticket["number"] for ticket in told] == list(range(1, 51))
    assert {ticket["id"] for ticket in told} == set(ids)


async def test_tickets_that_nobody_announced_are_told_with_the_next(helpdesk: Helpdesk) -> None:
    async with helpdesk.agent.watching(OPENED) as opened:
        await watching(helpdesk, 1)
        await stock(helpdesk, 220)
        await open_ticket(helpdesk.agent)

        told = [(await opened.next())["number"] for _ in range(221)]

    assert told == list(range(1, 222))


@pytest.mark.parametrize(("after", "first"), [(0, 121), (219, 220), (220, 221), (-1, 121), (2**31 - 1, 221)])
async def test_what_opened_after_the_newest_ticket_that_is_known_comes_first(helpdesk: Helpdesk, after: int, first: int) -> None:
    await stock(helpdesk, 220)

    async with helpdesk.agent.watching(f"subscription {{ ticketOpened(after: {after}) {{ number }} }}") as opened:
        await watching(helpdesk, 1)
        await open_ticket(helpdesk.agent)

        assert [(await opened.next())["number"] for _ in range(first, 222)] == list(range(first, 222))


async def test_a_ticket_by_mail_is_told_and_a_reply_is_not(helpdesk: Helpdesk) -> None:
    await open_ticket(helpdesk.agent, "Before")
    async with helpdesk.agent.watching(OPENED) as opened:
        await watching(helpdesk, 1)
        await helpdesk.mail(From="jan@firma.cz", Subject="By mail", Message_ID="<1@firma.cz>")
        await helpdesk.mail(From="jan@firma.cz", Subject="A reply", In_Reply_To="<1@firma.cz>")
        await open_ticket(helpdesk.agent, "By hand")

        assert [(await opened.next())["subject"] for _ in range(2)] == ["By mail", "By hand"]


async def test_a_ticket_next_door_is_not_told(helpdesk: Helpdesk, crm: Crm) -> None:
    neighbour = await open_neighbour(helpdesk, crm.url())
    async with helpdesk.agent.watching(OPENED) as opened, neighbour.admin.watching(OPENED) as theirs:
        await watching(helpdesk, 2)
        await open_ticket(neighbour.admin, "Theirs, too")
        await open_ticket(helpdesk.agent, "Mine")

        assert (await opened.next())["subject"] == "Mine"
        assert (await theirs.next())["subject"] == "Theirs, too"


async def test_a_ticket_is_told_with_everything_it_has(helpdesk: Helpdesk, crm: Crm) -> None:
    release = crm.hang()
    await helpdesk.connect(crm.url(), "CRM")
    query = "subscription { ticketOpened { messages { nodes { text } } crmPanels { connectorName refreshing } } }"
    async with helpdesk.agent.watching(query) as opened:
        await watching(helpdesk, 1)
        for number in range(3):
            await open_ticket(helpdesk.agent, email=f"{number}@firma.cz", text=f"Text {number}")
            assert await opened.next() == {
                "messages": {"nodes": [{"text": f"Text {number}"}]},
                "crmPanels": [{"connectorName": "CRM", "refreshing": True}],
            }
    release.set()


# Nothing is left behind.


async def test_unsubscribing_leaves_nothing_behind(helpdesk: Helpdesk, crm: Crm) -> None:
    await helpdesk.connect(crm.url())
    ticket_id = await open_ticket(helpdesk.agent)
    async with helpdesk.agent.signed_in() as socket:
        for number in range(10):
            query, variables = (OPENED, {}) if number % 2 else (WATCH, {"id": ticket_id})
            await send(socket, id=str(number), type="subscribe", payload={"query": query, "variables": variables})
        await watching(helpdesk, 5 + 1)  # those who follow one ticket share a watch

        for number in range(10):
            await send(socket, id=str(number), type="complete")

        await watching(helpdesk, 0)


async def test_leaving_leaves_nothing_behind(helpdesk: Helpdesk, crm: Crm) -> None:
    await helpdesk.connect(crm.url())
    ticket_id = await open_ticket(helpdesk.agent)
    for leave_politely in (True, False):
        async with helpdesk.agent.watching(WATCH, id=ticket_id) as panels, helpdesk.agent.watching(OPENED):
            await watching(helpdesk, 2)
            if not leave_politely:
                panels.socket.transport.abort()
        await watching(helpdesk, 0)


async def test_an_operation_that_fails_leaves_nothing_behind(helpdesk: Helpdesk) -> None:
    async with helpdesk.agent.watching(WATCH, id="x") as panels:
        await receive(panels.socket)
        await receive(panels.socket)

        assert watches(helpdesk) == 0
