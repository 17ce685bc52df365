"""Whose turn it is: eight at once for a connector, agents before the backlog, nobody behind somebody else's connector."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.flows.desk import arrived
from tests.stage.crm import NOT_FOUND
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from tests.flows.desk import Desk
    from tests.stage.crm import Crm, Request

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timed]

KNOWN = "known@firma.cz"
STATUSES = "{ tickets(first: 100) { nodes { crmPanels { status refreshing } } } }"


def one_by_one(company: Crm) -> asyncio.Semaphore:
    """Let the endpoint answer one request for each release."""
    turns = asyncio.Semaphore(0)

    async def answer(_request: Request) -> Any:  # noqa: ANN401 - an answer
        await turns.acquire()
        return NOT_FOUND

    company.answers["/lookup"] = answer
    return turns


async def fill(desk: Desk, company: Crm, backlog: int) -> None:
    """Eight lookups that hang and so many behind them."""
    before = len(company.requests)
    await asyncio.gather(*(desk.open(f"running{number}@firma.cz") for number in range(8)))
    await arrived(company, before + 8)
    await asyncio.gather(*(desk.open(f"queued{number}@firma.cz") for number in range(backlog)))


async def test_a_slow_connector_is_asked_eight_at_once_and_waiting_costs_nobody_of_the_3_seconds(
    desk: Desk, company: Crm
) -> None:
    async def slow(_request: Request) -> Any:  # noqa: ANN401 - an answer
        await asyncio.sleep(1)
        return NOT_FOUND

    company.answers["/lookup"] = slow
    await desk.connect(company.url())
    await asyncio.gather(*(desk.open(f"{number}@firma.cz") for number in range(30)))

    async def none_refreshing() -> list[Any]:
        panels = [panel for ticket in (await desk.agent.ask(STATUSES))["tickets"]["nodes"] for panel in ticket["crmPanels"]]
        return [] if any(panel["refreshing"] for panel in panels) else panels

    panels = await eventually(none_refreshing, within=20)
    assert [panel["status"] for panel in panels] == ["NOT_FOUND"] * 30
    assert company.open_at_most["/lookup"] == 8
    assert len(company.requests) == 30


async def test_a_connector_that_hangs_delays_no_other_connector(desk: Desk, company: Crm) -> None:
    company.hang("/hanging")
    await desk.connect(company.url("/hanging"), position=1)
    await desk.connect(company.url("/quick"), position=2)

    await asyncio.gather(*(desk.open(f"{number}@firma.cz") for number in range(20)))

    for ticket in range(20):
        assert (await desk.settled(ticket, panel=1))["status"] == "NOT_FOUND"
    assert company.open_at_most["/hanging"] == 8


@pytest.mark.parametrize("wanted_by", ["VIEW", "REFRESH"])
async def test_a_lookup_in_the_backlog_that_an_agent_comes_to_want_is_next(desk: Desk, company: Crm, wanted_by: str) -> None:
    turns = one_by_one(company)
    connector_id = await desk.connect(company.url())
    await fill(desk, company, backlog=19)
    last = await desk.open("last@firma.cz")

    await (desk.view(last) if wanted_by == "VIEW" else desk.refresh(last))

    assert len(company.requests) == 8
    turns.release()
    ninth = (await arrived(company, 9))[8]
    assert ninth.json["email"] == "last@firma.cz"
    (line,) = [line for line in await desk.log(connector_id) if line["email"] == "last@firma.cz"]
    assert line["trigger"] == "TICKET", "it stays the starter's"


@pytest.mark.parametrize("wanted_by", ["VIEW", "REFRESH"])
async def test_a_lookup_that_an_agent_starts_goes_before_the_backlog(desk: Desk, company: Crm, wanted_by: str) -> None:
    connector_id = await desk.connect(company.url())
    known = await desk.open(KNOWN)
    await desk.settled()
    turns = one_by_one(company)
    await desk.let_pass(timedelta(days=1), connector_id)
    await fill(desk, company, backlog=4)

    await (desk.view(known) if wanted_by == "VIEW" else desk.refresh(known))

    turns.release()
    tenth = (await arrived(company, 10))[9]
    assert tenth.json["email"] == KNOWN


async def test_a_backlog_goes_in_the_order_in_which_it_came(desk: Desk, company: Crm) -> None:
    turns = one_by_one(company)
    await desk.connect(company.url())
    await fill(desk, company, backlog=0)
    for number in range(4):
        await desk.open(f"{number}@firma.cz")

    for count in range(9, 13):
        turns.release()
        await arrived(company, count)

    assert [request.json["email"] for request in company.requests[8:]] == [f"{number}@firma.cz" for number in range(4)]


async def test_of_two_that_agents_wait_for_the_older_one_goes_first(desk: Desk, company: Crm) -> None:
    turns = one_by_one(company)
    await desk.connect(company.url())
    await fill(desk, company, backlog=2)
    older, newer = await desk.open("older@firma.cz"), await desk.open("newer@firma.cz")

    await desk.refresh(newer)
    await desk.refresh(older)

    for count in (9, 10):
        turns.release()
        await arrived(company, count)
    assert [request.json["email"] for request in company.requests[8:]] == ["older@firma.cz", "newer@firma.cz"]
