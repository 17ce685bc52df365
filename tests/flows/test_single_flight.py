"""At most one lookup for (connector, address) is under way; whoever wants it meanwhile joins."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.flows.desk import JAN, arrived
from tests.stage.crm import FOUND

if TYPE_CHECKING:
    from tests.flows.desk import Desk
    from tests.stage.crm import Crm

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_fifty_refreshes_at_once_are_one_request(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url())
    ticket_id = await desk.open()
    await desk.settled()
    release = company.hang()

    results = await asyncio.gather(*(desk.refresh(ticket_id) for _ in range(50)))

    assert all(result["panels"][0]["refreshing"] for result in results)
    release.set()
    await desk.settled()
    assert len(company.requests) == 2
    assert [line["trigger"] for line in await desk.log(connector_id)] == ["REFRESH", "TICKET"]


async def test_fifty_mails_of_one_sender_at_once_are_one_request_for_each_connector(desk: Desk, company: Crm) -> None:
    company.answers |= {"/crm": FOUND, "/shop": FOUND}
    releases = [company.hang("/crm"), company.hang("/shop")]
    await desk.connect(company.url("/crm"))
    await desk.connect(company.url("/shop"))

    await asyncio.gather(*(desk.mail(From=JAN, Message_ID=f"<{number}@firma.cz>") for number in range(50)))

    tickets = (await desk.agent.ask("{ tickets(first: 100) { nodes { crmPanels { refreshing } } } }"))["tickets"]["nodes"]
    assert tickets == [{"crmPanels": [{"refreshing": True}, {"refreshing": True}]}] * 50
    for release in releases:
        release.set()
    await desk.settled(panel=0)
    await desk.settled(panel=1)
    assert (len(company.asked("/crm")), len(company.asked("/shop"))) == (1, 1)


async def test_trigger_ticket_and_log_entry_are_those_of_whoever_started_it(desk: Desk, company: Crm) -> None:
    release = company.hang()
    connector_id = await desk.connect(company.url())
    starter = await desk.open()
    await arrived(company, 1)

    joiner = await desk.open()
    assert (await desk.view(joiner))["refreshing"]
    assert (await desk.refresh(joiner))["panels"][0]["refreshing"]
    await desk.mail(From=JAN)

    release.set()
    await desk.settled()
    (line,) = await desk.log(connector_id)
    assert (line["trigger"], line["ticketId"]) == ("TICKET", starter)
    assert [request.json["ticket_id"] for request in company.requests] == [starter]


async def test_what_one_agent_refreshes_another_one_joins(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url())
    first = await desk.open()
    await desk.settled()
    second = await desk.open()
    release = company.hang()

    await desk.refresh(first)
    await desk.refresh(second)

    release.set()
    await desk.settled()
    assert [(line["trigger"], line["ticketId"]) for line in await desk.log(connector_id)] == [
        ("REFRESH", first),
        ("TICKET", first),
    ]


async def test_a_queued_lookup_is_joined_as_well_as_a_running_one(desk: Desk, company: Crm) -> None:
    release = company.hang()
    connector_id = await desk.connect(company.url())
    for number in range(8):
        await desk.open(f"{number}@firma.cz")
    await arrived(company, 8)

    queued = await desk.open(JAN)
    await desk.open(JAN)
    await desk.refresh(queued)

    release.set()
    await desk.settled()
    assert [line["trigger"] for line in await desk.log(connector_id) if line["email"] == JAN] == ["TICKET"]
    assert len([request for request in company.requests if request.json["email"] == JAN]) == 1


async def test_other_addresses_and_other_connectors_do_not_join(desk: Desk, company: Crm) -> None:
    releases = [company.hang("/crm"), company.hang("/shop")]
    await desk.connect(company.url("/crm"))
    await desk.connect(company.url("/shop"))

    await desk.open("jan@firma.cz")
    await desk.open("eva@firma.cz")

    for path in ("/crm", "/shop"):
        assert {request.json["email"] for request in await arrived(company, 2, path)} == {"jan@firma.cz", "eva@firma.cz"}
    for release in releases:
        release.set()


async def test_once_it_has_ended_the_next_one_asks_anew(desk: Desk, company: Crm) -> None:
    await desk.connect(company.url())
    ticket_id = await desk.open()
    await desk.settled()

    for _ in range(3):
        await desk.refresh(ticket_id)
        await desk.settled()

    assert len(company.requests) == 4


async def test_many_views_at_once_of_an_expired_answer_are_one_request(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url())
    ticket_id = await desk.open()
    await desk.settled()
    await desk.let_pass(timedelta(days=1), connector_id)
    release = company.hang()

    seen = await asyncio.gather(*(desk.view(ticket_id) for _ in range(20)))

    assert all(panel["refreshing"] for panel in seen)
    release.set()
    await desk.settled()
    assert [line["trigger"] for line in await desk.log(connector_id)] == ["VIEW", "TICKET"]
