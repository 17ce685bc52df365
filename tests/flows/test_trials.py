"""A test of a connector stands apart: it asks now, joins nothing, stores no answer, changes no panel."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from domain.identity import Role
from tests.flows.desk import JAN, TEST, arrived
from tests.stage.crm import FIELDS, FOUND, NOT_FOUND, response
from tests.stage.helpdesk import WATCH

if TYPE_CHECKING:
    from tests.flows.desk import Desk
    from tests.stage.crm import Crm

pytestmark = pytest.mark.asyncio(loop_scope="session")

NIL = "00000000-0000-0000-0000-000000000000"


async def test_a_test_asks_now_and_tells_what_came(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    connector_id = await desk.connect(company.url(), linkTemplate="https://crm.example/{customer_id}")

    trial = await desk.test(connector_id)

    assert trial["durationMs"] >= 0
    assert trial == {
        "__typename": "LookupTrial",
        "status": "FOUND",
        "httpStatus": 200,
        "error": None,
        "durationMs": trial["durationMs"],
        "warnings": [],
        "response": trial["response"],
        "request": trial["request"],
        "customer": {
            "customerId": "cus/42 á",
            "name": "Jan Novák",
            "badge": {"text": "VIP", "color": "GREEN"},
            "fields": [{"key": key, "value": value} for key, value in FIELDS.items()],
            "deepLink": "https://crm.example/cus%2F42%20%C3%A1",
        },
    }
    assert trial["response"].startswith('{"found": true')


async def test_a_test_that_finds_nobody_has_no_customer(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url())

    trial = await desk.test(connector_id)

    assert (trial["status"], trial["customer"], trial["error"], trial["response"]) == (
        "NOT_FOUND",
        None,
        None,
        '{"found": false}',
    )


async def test_a_test_that_fails_tells_why(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = response(503, b"Down for maintenance")
    connector_id = await desk.connect(company.url())

    trial = await desk.test(connector_id)

    assert (trial["status"], trial["httpStatus"], trial["customer"]) == ("ERROR", 503, None)
    assert (trial["error"]["code"], trial["error"]["httpStatus"]) == ("HTTP_STATUS", 503)
    assert trial["response"] == "Down for maintenance"


async def test_a_test_of_a_hanging_endpoint_ends_after_3_seconds(desk: Desk, company: Crm) -> None:
    company.hang()
    connector_id = await desk.connect(company.url())

    trial = await desk.test(connector_id)

    assert (trial["status"], trial["httpStatus"], trial["error"]["code"]) == ("TIMEOUT", None, "TIMEOUT")
    assert 2900 <= trial["durationMs"] < 6000


async def test_a_test_tells_every_repair(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = {"found": True, "name": 42, "badge_color": "pink", "fields": {"Plan": ["Pro"]}}
    connector_id = await desk.connect(company.url())

    trial = await desk.test(connector_id)

    assert [(warning["path"], warning["received"]) for warning in trial["warnings"]] == [
        ("name", "number 42"),
        ("badge_color", "string pink"),
        ("fields.Plan", "array"),
    ]
    assert trial["customer"]["name"] == "42"


async def test_a_test_is_sent_with_the_nil_ticket(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url(), secretHeaderName="X-Api-Key", secretHeaderValue="s3cret")

    await desk.test(connector_id, "  Jan@FIRMA.cz ")

    (request,) = company.requests
    assert request.json == {
        "email": JAN,
        "ticket_id": NIL,
        "workspace_id": str(desk.workspace_id),
        "source": "disqua-helpdesk",
    }
    assert request.headers["x-api-key"] == "s3cret"


async def test_a_test_is_logged_as_such_without_a_ticket(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND | {"name": 42}
    connector_id = await desk.connect(company.url())

    trial = await desk.test(connector_id)

    (line,) = await desk.log(connector_id)
    assert (line["trigger"], line["ticketId"], line["email"]) == ("TEST", None, JAN)
    told = ("status", "httpStatus", "durationMs", "warnings", "response")
    assert {name: line[name] for name in told} == {name: trial[name] for name in told}
    assert line["completedAt"] >= line["requestedAt"]


@pytest.mark.parametrize("answer", [FOUND, NOT_FOUND, response(500, b"")], ids=["FOUND", "NOT_FOUND", "ERROR"])
async def test_a_test_changes_no_panel_and_no_answer(desk: Desk, company: Crm, answer: object) -> None:
    company.answers["/lookup"] = FOUND | {"name": "As it was"}
    connector_id = await desk.connect(company.url())
    ticket_id = await desk.open()
    before = await desk.settled()
    company.answers["/lookup"] = answer

    await desk.test(connector_id)

    assert await desk.panel() == before
    assert await desk.view(ticket_id) == before


async def test_a_test_of_an_address_that_nobody_asked_about_stores_no_answer(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    connector_id = await desk.connect(company.url())
    await desk.test(connector_id)
    release = company.hang()

    await desk.open()

    panel = await desk.panel()
    assert (panel["status"], panel["refreshing"], panel["customer"]) == ("PENDING", True, None)
    release.set()
    await desk.settled()
    assert len(company.requests) == 2


async def test_a_test_does_not_show_as_a_lookup_under_way(desk: Desk, company: Crm) -> None:
    ticket_id = await desk.open()
    connector_id = await desk.connect(company.url())
    release = company.hang()
    trial = asyncio.create_task(desk.test(connector_id))
    await arrived(company, 1)

    async with desk.agent.watching(WATCH, id=ticket_id) as panels:
        seen = await panels.next()
    (line,) = await desk.log(connector_id)

    assert (seen["status"], seen["refreshing"]) == ("PENDING", False)
    assert (line["trigger"], line["status"], line["completedAt"]) == ("TEST", "PENDING", None)
    release.set()
    await trial


async def test_a_test_joins_nothing_and_nothing_joins_a_test(desk: Desk, company: Crm) -> None:
    release = company.hang()
    connector_id = await desk.connect(company.url())
    await desk.open()
    await arrived(company, 1)

    trials = [asyncio.create_task(desk.test(connector_id)) for _ in range(2)]
    await arrived(company, 3)
    await desk.open("eva@firma.cz")
    trials.append(asyncio.create_task(desk.test(connector_id, "eva@firma.cz")))
    await arrived(company, 5)

    release.set()
    assert [trial["status"] for trial in await asyncio.gather(*trials)] == ["NOT_FOUND"] * 3
    await desk.settled()
    assert sorted(line["trigger"] for line in await desk.log(connector_id)) == ["TEST", "TEST", "TEST", "TICKET", "TICKET"]


async def test_a_lookup_does_not_join_a_test_that_is_under_way(desk: Desk, company: Crm) -> None:
    release = company.hang()
    connector_id = await desk.connect(company.url())
    trial = asyncio.create_task(desk.test(connector_id))
    await arrived(company, 1)

    ticket_id = await desk.open()

    assert [request.json["ticket_id"] for request in await arrived(company, 2)] == [NIL, ticket_id]
    release.set()
    await trial
    await desk.settled()


async def test_a_test_waits_for_no_backlog(desk: Desk, company: Crm) -> None:
    release = company.hang()
    connector_id = await desk.connect(company.url())
    await asyncio.gather(*(desk.open(f"{number}@firma.cz") for number in range(12)))
    await arrived(company, 8)

    trial = asyncio.create_task(desk.test(connector_id))

    assert (await arrived(company, 9))[8].json["ticket_id"] == NIL
    release.set()
    await trial


async def test_without_logged_results_a_test_tells_no_response_and_warnings_by_type_only(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = {"found": True, "name": 4711, "fields": {"Canary": ["x"], "Plan": 4712}}
    connector_id = await desk.connect(company.url(), logResults=False)

    trial = await desk.test(connector_id)

    assert trial["response"] is None
    assert [(warning["path"], warning["received"]) for warning in trial["warnings"]] == [
        ("name", "number"),
        ("fields[0]", "array"),
        ("fields[1]", "number"),
    ]
    assert trial["customer"]["name"] == "4711", "the customer is what a panel would show"
    (line,) = await desk.log(connector_id)
    assert (line["response"], line["warnings"]) == (None, trial["warnings"])


@pytest.mark.parametrize("unknown", ["3973eb1d-18e6-4ea9-af59-f584f1d9cc26", "no id at all", ""])
async def test_a_test_of_an_unknown_connector_is_not_found(desk: Desk, company: Crm, unknown: str) -> None:
    assert await desk.test(unknown) == {"__typename": "NotFound"}


async def test_a_test_of_another_workspaces_connector_is_not_found(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url())
    stranger = desk.front_end(Role.ADMIN, workspace=await desk.add_workspace("Other", f"support@{uuid4().hex}.example"))

    tested: Any = await stranger.ask(TEST, id=connector_id, email=JAN)

    assert tested == {"testConnector": {"__typename": "NotFound"}}
    assert (company.requests, await desk.log(connector_id)) == ([], [])


@pytest.mark.parametrize("email", ["", "jan", "jan@", "@firma.cz", "jan@firma.cz, eva@firma.cz", "jan@firma.cz\r\nX: y"])
async def test_a_test_of_what_is_no_address_is_invalid_input(desk: Desk, company: Crm, email: str) -> None:
    connector_id = await desk.connect(company.url())

    assert await desk.test(connector_id, email) == {"__typename": "InvalidInput", "problems": [{"field": "email"}]}

    assert (company.requests, await desk.log(connector_id)) == ([], [])


async def test_a_test_is_for_admins(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url())

    assert await desk.agent.refused(TEST, id=connector_id, email=JAN) == "FORBIDDEN"

    assert company.requests == []
