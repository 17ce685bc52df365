"""The agent asks again: always, at once, and a failure never takes away what was known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from domain.identity import Role
from tests.flows.desk import JAN, arrived
from tests.stage.crm import FOUND, NOT_FOUND, response
from tests.stage.helpdesk import REFRESH, WATCH

if TYPE_CHECKING:
    from tests.flows.desk import Desk
    from tests.stage.crm import Crm

pytestmark = pytest.mark.asyncio(loop_scope="session")

FAILING = response(503, b"")


async def _refreshed(desk: Desk, ticket_id: str) -> Any:  # noqa: ANN401 - a panel
    await desk.refresh(ticket_id)
    return await desk.settled()


@pytest.mark.parametrize("known", [FOUND, NOT_FOUND, FAILING], ids=["a fresh customer", "a fresh no", "a failure"])
async def test_a_refresh_asks_whatever_is_known(desk: Desk, company: Crm, known: object) -> None:
    company.answers["/lookup"] = known
    connector_id = await desk.connect(company.url())
    ticket_id = await desk.open()
    before = await desk.settled()

    refreshed = await desk.refresh(ticket_id)

    (panel,) = refreshed["panels"]
    assert panel == before | {"refreshing": True}
    await desk.settled()
    assert [line["trigger"] for line in await desk.log(connector_id)] == ["REFRESH", "TICKET"]
    assert company.requests[-1].json["ticket_id"] == ticket_id


async def test_a_refresh_waits_for_no_endpoint(desk: Desk, company: Crm) -> None:
    await desk.connect(company.url())
    ticket_id = await desk.open()
    await desk.settled()
    company.hang()

    await desk.refresh(ticket_id)

    assert (await desk.panel())["refreshing"]


async def test_a_refresh_asks_every_connector(desk: Desk, company: Crm) -> None:
    paths = ["/crm", "/shop", "/erp"]
    connectors = [await desk.connect(company.url(path)) for path in paths]
    ticket_id = await desk.open()
    for panel in range(3):
        await desk.settled(panel=panel)

    refreshed = await desk.refresh(ticket_id)

    assert [panel["connectorId"] for panel in refreshed["panels"]] == connectors
    assert all(panel["refreshing"] for panel in refreshed["panels"])
    for path in paths:
        await arrived(company, 2, path)


async def test_a_refresh_of_one_connector_asks_and_returns_that_one(desk: Desk, company: Crm) -> None:
    await desk.connect(company.url("/crm"))
    shop = await desk.connect(company.url("/shop"))
    ticket_id = await desk.open()
    await desk.settled(panel=0)
    await desk.settled(panel=1)

    refreshed = await desk.refresh(ticket_id, shop)

    assert [(panel["connectorId"], panel["refreshing"]) for panel in refreshed["panels"]] == [(shop, True)]
    assert not (await desk.panel(panel=0))["refreshing"]
    await desk.settled(panel=1)
    assert (len(company.asked("/crm")), len(company.asked("/shop"))) == (1, 2)


async def test_a_refresh_is_for_admins_too(desk: Desk, company: Crm) -> None:
    await desk.connect(company.url())
    ticket_id = await desk.open()
    await desk.settled()

    refreshed = (await desk.admin.ask(REFRESH, id=ticket_id))["refreshLookup"]

    assert refreshed["panels"][0]["refreshing"]
    await desk.settled()


@pytest.mark.parametrize("unknown", ["3973eb1d-18e6-4ea9-af59-f584f1d9cc26", "no id at all", ""])
async def test_a_refresh_of_what_is_unknown_is_not_found_and_asks_nobody(desk: Desk, company: Crm, unknown: str) -> None:
    connector_id = await desk.connect(company.url())
    ticket_id = await desk.open()
    await desk.settled()

    assert await desk.refresh(unknown) == {"__typename": "NotFound"}
    assert await desk.refresh(ticket_id, unknown) == {"__typename": "NotFound"}

    assert len(await desk.log(connector_id)) == 1


async def test_a_refresh_of_what_belongs_to_another_workspace_is_not_found_and_asks_nobody(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url())
    ticket_id = await desk.open()
    await desk.settled()
    workspace = await desk.add_workspace("Other", f"support@{uuid4().hex}.example")
    stranger = desk.front_end(Role.AGENT, workspace=workspace)
    opened = await stranger.ask(
        'mutation { createTicket(input: {requesterEmail: "a@b.cz", subject: ""}) { ... on Ticket { id } } }'
    )

    foreign_ticket = await stranger.ask(REFRESH, id=ticket_id)
    foreign_connector = await stranger.ask(REFRESH, id=opened["createTicket"]["id"], connector=connector_id)

    assert foreign_ticket == foreign_connector == {"refreshLookup": {"__typename": "NotFound"}}
    assert len(await desk.log(connector_id)) == 1


# What a failure leaves


@pytest.mark.parametrize(
    ("outcome", "status", "code", "badge"),
    [
        (FAILING, "ERROR", "HTTP_STATUS", {"text": "Chyba", "color": "RED"}),
        (None, "TIMEOUT", "TIMEOUT", {"text": "Timeout (3s)", "color": "YELLOW"}),
    ],
    ids=["ERROR", "TIMEOUT"],
)
async def test_a_failed_lookup_keeps_the_last_good_answer(
    desk: Desk, company: Crm, outcome: bytes | None, status: str, code: str, badge: object
) -> None:
    company.answers["/lookup"] = FOUND
    connector_id = await desk.connect(company.url(), linkTemplate="https://crm.example/{customer_id}")
    ticket_id = await desk.open()
    good = await desk.settled()
    if outcome is None:
        company.hang()
    else:
        company.answers["/lookup"] = outcome

    failed = await _refreshed(desk, ticket_id)

    assert (failed["status"], failed["error"]["code"], failed["badge"], failed["stale"]) == (status, code, badge, True)
    kept = ("customer", "fetchedAt", "expiresAt", "id", "connectorName")
    assert {name: failed[name] for name in kept} == {name: good[name] for name in kept}
    assert failed["customer"]["deepLink"] is not None

    again = await desk.view(ticket_id)
    assert (again["refreshing"], again["status"]) == (False, status), "never repeated by opening the ticket"
    assert len(await desk.log(connector_id)) == 2


async def test_the_badge_of_a_failure_is_in_the_language_asked_for(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FAILING
    await desk.connect(company.url())
    await desk.open()
    await desk.settled()

    seen = await desk.agent.ask("{ tickets { nodes { crmPanels { badge(locale: EN) { text color } } } } }")

    assert seen["tickets"]["nodes"] == [{"crmPanels": [{"badge": {"text": "Error", "color": "RED"}}]}]


async def test_a_failure_is_never_cached(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FAILING
    await desk.connect(company.url())
    await desk.open()

    failed = await desk.settled()

    assert (failed["status"], failed["fetchedAt"], failed["expiresAt"]) == ("ERROR", None, None)
    await desk.open()
    await desk.settled()
    assert len(company.requests) == 2, "the next ticket asks again"


async def test_after_a_failure_without_an_answer_there_is_no_customer_and_nothing_stale(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FAILING
    await desk.connect(company.url())
    await desk.open()

    failed = await desk.settled()

    assert (failed["status"], failed["customer"], failed["stale"], failed["helpUrl"]) == ("ERROR", None, False, None)
    assert failed["error"] == {"code": "HTTP_STATUS", "httpStatus": 503, "message": failed["error"]["message"]}
    assert "503" in failed["error"]["message"]


async def test_the_next_found_clears_what_was_stale(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    await desk.connect(company.url())
    ticket_id = await desk.open()
    await desk.settled()
    company.answers["/lookup"] = FAILING
    await _refreshed(desk, ticket_id)
    company.answers["/lookup"] = FOUND | {"name": "Jana Nováková"}

    found = await _refreshed(desk, ticket_id)

    assert (found["status"], found["stale"], found["error"]) == ("FOUND", False, None)
    assert found["customer"]["name"] == "Jana Nováková"
    assert found["badge"] == {"text": "VIP", "color": "GREEN"}


async def test_a_no_after_a_customer_drops_the_customer(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    await desk.connect(company.url())
    ticket_id = await desk.open()
    await desk.settled()
    company.answers["/lookup"] = NOT_FOUND

    unknown = await _refreshed(desk, ticket_id)

    assert (unknown["status"], unknown["customer"], unknown["stale"]) == ("NOT_FOUND", None, False)
    assert unknown["badge"] == {"text": "Neznámý", "color": "GRAY"}
    assert unknown["helpUrl"].startswith("https://")


async def test_a_failure_after_a_no_is_stale_without_a_customer(desk: Desk, company: Crm) -> None:
    await desk.connect(company.url())
    ticket_id = await desk.open()
    good = await desk.settled()
    company.answers["/lookup"] = FAILING

    failed = await _refreshed(desk, ticket_id)

    assert (failed["status"], failed["customer"], failed["stale"]) == ("ERROR", None, True)
    assert failed["fetchedAt"] == good["fetchedAt"]


async def test_the_newest_of_several_failures_is_the_one_that_shows(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FAILING
    await desk.connect(company.url())
    ticket_id = await desk.open()
    await desk.settled()
    company.answers["/lookup"] = response(200, b"<html>")

    failed = await _refreshed(desk, ticket_id)

    assert (failed["error"]["code"], failed["error"]["httpStatus"]) == ("INVALID_JSON", 200)


async def test_while_it_is_asked_again_the_panel_shows_the_outcome_it_had(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FAILING
    await desk.connect(company.url())
    ticket_id = await desk.open()
    await desk.settled()
    release = company.hang()

    (panel,) = (await desk.refresh(ticket_id))["panels"]

    assert (panel["status"], panel["refreshing"], panel["error"]["code"]) == ("ERROR", True, "HTTP_STATUS")
    assert panel["badge"] == {"text": "Chyba", "color": "RED"}
    release.set()
    await desk.settled()


async def test_whoever_watches_sees_the_refresh_of_somebody_else(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    await desk.connect(company.url())
    watched = await desk.open(JAN)
    await desk.settled()
    other = await desk.open(JAN)
    release = company.hang()

    async with desk.agent.watching(WATCH, id=watched) as panels:
        assert not (await panels.next())["refreshing"]
        await desk.refresh(other)
        assert (await panels.next())["refreshing"]
        release.set()
        ended = await panels.next()

    assert (ended["status"], ended["refreshing"]) == ("FOUND", False)
