"""What a change of a connector undoes: failures, answers, a secret that would go elsewhere, and lookups under way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.flows.desk import JAN, arrived
from tests.stage.crm import FOUND, NOT_FOUND, open_crm, response
from tests.stage.helpdesk import WATCH
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.flows.desk import Desk
    from tests.stage.crm import Crm

pytestmark = pytest.mark.asyncio(loop_scope="session")

FAILING = response(500, b"")
SECRET = {"secretHeaderName": "X-Api-Key", "secretHeaderValue": "s3cret"}
CHANGES: list[dict[str, Any]] = [
    {"lookupUrl": "{crm}/other"},
    {"secretHeaderName": "X-Other-Key"},
    {"secretHeaderValue": "another"},
    {"secretHeaderName": None, "secretHeaderValue": None},
]
HARMLESS: list[dict[str, Any]] = [
    {"lookupUrl": "{crm}/lookup"},
    {"secretHeaderName": "X-Api-Key"},
    {"secretHeaderValue": "s3cret"},
    {"lookupUrl": "{crm}/lookup", **SECRET},
    {"name": "Another name"},
    {"linkTemplate": "https://crm.example/{customer_id}"},
    {"cacheTtlHours": 48},
    {"logResults": False},
    {"position": 7},
    {},
]


def spelled(change: dict[str, Any], company: Crm) -> dict[str, Any]:
    """The change with the URL of the company's endpoints in it."""
    return {name: value.replace("{crm}", company.url("")) if isinstance(value, str) else value for name, value in change.items()}


def named(change: dict[str, Any]) -> str:
    return "+".join(change) or "nothing"


upheaval = pytest.mark.parametrize("change", CHANGES, ids=named)
harmless = pytest.mark.parametrize("change", HARMLESS, ids=named)


@pytest_asyncio.fixture(loop_scope="session")
async def elsewhere() -> AsyncIterator[Crm]:
    """Endpoints at another origin."""
    async with open_crm() as opened:
        yield opened


async def outcomes(desk: Desk, connector_id: str) -> list[tuple[str, str | None]]:
    return [(line["status"], line["error"] and line["error"]["code"]) for line in await desk.log(connector_id)]


async def no_line_is(desk: Desk, connector_id: str, status: str) -> bool:
    return all(line["status"] != status for line in await desk.log(connector_id))


async def panels_of(desk: Desk) -> list[Any]:
    return [panel for ticket in await desk.tickets() for panel in ticket["crmPanels"]]


async def all_answered(desk: Desk, company: Crm) -> None:
    """Return when the endpoints have said all they had to say, and the product has taken it in."""

    async def none_open() -> bool:
        return not any(company.open_now.values())

    await eventually(none_open)
    later = await desk.connect(company.url("/later"), enabled=False)
    assert (await desk.test(later))["status"] == "NOT_FOUND", "what came before it has been saved before it"


# Failures


@upheaval
async def test_a_change_of_url_header_or_secret_forgets_a_failure(desk: Desk, company: Crm, change: dict[str, Any]) -> None:
    company.answers["/lookup"] = FAILING
    connector_id = await desk.connect(company.url(), **SECRET)
    ticket_id = await desk.open()
    assert (await desk.settled())["status"] == "ERROR"

    await desk.change(connector_id, **spelled(change, company))

    panel = await desk.panel()
    assert (panel["status"], panel["refreshing"], panel["error"], panel["badge"]) == ("PENDING", False, None, None)
    assert (await desk.view(ticket_id))["refreshing"], "what was never asked is asked on viewing"
    await desk.settled()


@pytest.mark.parametrize("change", CHANGES[1:], ids=named)
async def test_a_change_of_header_or_secret_returns_to_the_last_good_answer(
    desk: Desk, company: Crm, change: dict[str, Any]
) -> None:
    company.answers["/lookup"] = FOUND
    connector_id = await desk.connect(company.url(), **SECRET)
    ticket_id = await desk.open()
    good = await desk.settled()
    company.answers["/lookup"] = FAILING
    await desk.refresh(ticket_id)
    assert (await desk.settled())["stale"]

    await desk.change(connector_id, **change)

    assert await desk.panel() == good
    assert not (await desk.view(ticket_id))["refreshing"]


@harmless
async def test_any_other_change_and_the_same_value_again_forget_nothing(desk: Desk, company: Crm, change: dict[str, Any]) -> None:
    company.answers["/lookup"] = FOUND
    connector_id = await desk.connect(company.url(), **SECRET)
    ticket_id = await desk.open()
    await desk.settled()
    company.answers["/lookup"] = FAILING
    await desk.refresh(ticket_id)
    failed = await desk.settled()

    changed = await desk.change(connector_id, **spelled(change, company))

    assert (changed["secretHeaderName"], changed["hasSecret"]) == ("X-Api-Key", True)
    panel = await desk.panel()
    kept = ("status", "refreshing", "stale", "error", "badge", "fetchedAt")
    assert {name: panel[name] for name in kept} == {name: failed[name] for name in kept}
    assert panel["customer"]["name"] == "Jan Novák"


@harmless
async def test_any_other_change_and_the_same_value_again_leave_a_lookup_under_way_alone(
    desk: Desk, company: Crm, change: dict[str, Any]
) -> None:
    company.answers["/lookup"] = FOUND
    release = company.hang()
    connector_id = await desk.connect(company.url(), **SECRET)
    await desk.open()
    await arrived(company, 1)

    await desk.change(connector_id, **spelled(change, company))

    assert (await desk.panel())["refreshing"]
    release.set()
    assert (await desk.settled())["status"] == "FOUND"


async def test_a_change_of_one_connector_forgets_nothing_of_another(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FAILING
    changed = await desk.connect(company.url(), position=1)
    await desk.connect(company.url(), position=2)
    await desk.open()
    await desk.settled(panel=0)
    other = await desk.settled(panel=1)

    await desk.change(changed, lookupUrl=company.url("/other"))

    assert await desk.panel(panel=1) == other


# Answers


@pytest.mark.parametrize("answer", [FOUND, NOT_FOUND], ids=["FOUND", "NOT_FOUND"])
async def test_a_change_of_url_drops_the_answers(desk: Desk, company: Crm, answer: object) -> None:
    company.answers["/lookup"] = answer
    connector_id = await desk.connect(company.url())
    ticket_id = await desk.open()
    await desk.settled()

    await desk.change(connector_id, lookupUrl=company.url("/lookup?v=2"))

    panel = await desk.panel()
    assert (panel["status"], panel["refreshing"], panel["stale"]) == ("PENDING", False, False)
    assert (panel["customer"], panel["fetchedAt"], panel["expiresAt"], panel["helpUrl"]) == (None, None, None, None)
    assert (await desk.view(ticket_id))["refreshing"]
    await desk.settled()
    assert len(company.asked("/lookup?v=2")) == 1


@pytest.mark.parametrize("change", CHANGES[1:], ids=named)
async def test_a_change_of_header_or_secret_keeps_the_answers(desk: Desk, company: Crm, change: dict[str, Any]) -> None:
    company.answers["/lookup"] = FOUND
    connector_id = await desk.connect(company.url(), **SECRET)
    await desk.open()
    good = await desk.settled()

    await desk.change(connector_id, **change)

    assert await desk.panel() == good


async def test_the_log_outlives_a_change_of_url(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url())
    await desk.open()
    await desk.settled()
    before = await desk.log(connector_id)

    await desk.change(connector_id, lookupUrl=company.url("/other"))

    assert await desk.log(connector_id) == before


# The secret and the origin


@pytest.mark.parametrize(
    "moved",
    ["http://localhost:{port}/lookup", "https://127.0.0.1:{port}/lookup", "http://127.0.0.1:{other}/lookup", "http://127.1.1.1/"],
    ids=["another host", "another scheme", "another port", "another address"],
)
async def test_a_new_origin_drops_header_and_secret(desk: Desk, company: Crm, elsewhere: Crm, moved: str) -> None:
    connector_id = await desk.connect(company.url(), **SECRET)

    changed = await desk.change(connector_id, lookupUrl=moved.format(port=company.port, other=elsewhere.port))

    assert (changed["secretHeaderName"], changed["hasSecret"]) == (None, False)


async def test_a_secret_is_never_sent_to_another_origin(desk: Desk, company: Crm, elsewhere: Crm) -> None:
    connector_id = await desk.connect(company.url(), **SECRET)

    await desk.change(connector_id, lookupUrl=elsewhere.url())

    assert (await desk.test(connector_id))["status"] == "NOT_FOUND"
    (request,) = elsewhere.requests
    assert "x-api-key" not in request.headers
    assert b"s3cret" not in request.head


async def test_a_new_origin_with_header_and_secret_has_these(desk: Desk, company: Crm, elsewhere: Crm) -> None:
    connector_id = await desk.connect(company.url(), **SECRET)

    changed = await desk.change(connector_id, lookupUrl=elsewhere.url(), secretHeaderName="X-New-Key", secretHeaderValue="anew")

    assert (changed["secretHeaderName"], changed["hasSecret"]) == ("X-New-Key", True)
    await desk.test(connector_id)
    (request,) = elsewhere.requests
    assert request.headers["x-new-key"] == "anew"
    assert "x-api-key" not in request.headers


@pytest.mark.parametrize(
    ("half", "missing"),
    [({"secretHeaderName": "X-Api-Key"}, "secretHeaderValue"), ({"secretHeaderValue": "s3cret"}, "secretHeaderName")],
    ids=["the name alone", "the value alone"],
)
async def test_a_new_origin_with_half_of_header_and_secret_is_refused_and_changes_nothing(
    desk: Desk, company: Crm, elsewhere: Crm, half: dict[str, str], missing: str
) -> None:
    connector_id = await desk.connect(company.url(), **SECRET)

    refused = await desk.change(connector_id, lookupUrl=elsewhere.url(), **half)

    assert refused == {"__typename": "InvalidInput", "problems": [{"field": missing}]}
    await desk.test(connector_id)
    (request,) = company.requests
    assert request.headers["x-api-key"] == "s3cret"


@pytest.mark.parametrize("path", ["/other", "/lookup?v=2", "/"])
async def test_another_path_of_the_same_origin_keeps_header_and_secret(desk: Desk, company: Crm, path: str) -> None:
    connector_id = await desk.connect(company.url(), **SECRET)

    changed = await desk.change(connector_id, lookupUrl=company.url(path))

    assert (changed["secretHeaderName"], changed["hasSecret"]) == ("X-Api-Key", True)
    await desk.test(connector_id)
    (request,) = company.asked(path)
    assert request.headers["x-api-key"] == "s3cret"


async def test_a_lookup_after_the_change_is_sent_as_the_connector_is_now(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url(), **SECRET)
    ticket_id = await desk.open()
    await desk.settled()

    await desk.change(connector_id, lookupUrl=company.url("/new"), secretHeaderName="X-New", secretHeaderValue="anew")

    await desk.refresh(ticket_id)
    (request,) = await arrived(company, 1, "/new")
    assert request.headers["x-new"] == "anew"
    await desk.settled()


# A lookup under way


@upheaval
async def test_a_lookup_under_way_stores_nothing_after_the_change(desk: Desk, company: Crm, change: dict[str, Any]) -> None:
    company.answers |= {"/lookup": FOUND, "/other": NOT_FOUND}
    release = company.hang()
    connector_id = await desk.connect(company.url(), **SECRET)
    ticket_id = await desk.open()
    await arrived(company, 1)

    async with desk.agent.watching(WATCH, id=ticket_id) as panels:
        assert (await panels.next())["refreshing"]
        await desk.change(connector_id, **spelled(change, company))
        seen = await panels.next()
    assert (seen["status"], seen["refreshing"], seen["error"]) == ("PENDING", False, None)
    assert await outcomes(desk, connector_id) == [("ERROR", "INTERRUPTED")]

    release.set()
    await all_answered(desk, company)
    (line,) = await desk.log(connector_id)
    assert (line["error"]["code"], line["response"], line["httpStatus"]) == ("INTERRUPTED", None, None)
    assert (await desk.panel())["status"] == "PENDING", "the late answer changed nothing"


async def test_a_queued_lookup_stores_nothing_and_sends_nothing_after_the_change(desk: Desk, company: Crm) -> None:
    release = company.hang()
    connector_id = await desk.connect(company.url())
    await asyncio.gather(*(desk.open(f"{number}@firma.cz") for number in range(12)))
    await arrived(company, 8)

    await desk.change(connector_id, lookupUrl=company.url("/other"))

    assert await outcomes(desk, connector_id) == [("ERROR", "INTERRUPTED")] * 12
    assert {(panel["status"], panel["refreshing"]) for panel in await panels_of(desk)} == {("PENDING", False)}
    release.set()
    await all_answered(desk, company)
    assert (len(company.asked()), {panel["status"] for panel in await panels_of(desk)}) == (8, {"PENDING"})


async def test_after_the_change_the_same_address_is_asked_anew_beside_the_late_answer(desk: Desk, company: Crm) -> None:
    company.answers |= {"/lookup": FOUND, "/new": NOT_FOUND}
    release = company.hang()
    connector_id = await desk.connect(company.url())
    ticket_id = await desk.open()
    await arrived(company, 1)

    await desk.change(connector_id, lookupUrl=company.url("/new"))
    await desk.refresh(ticket_id)

    assert (await desk.settled())["status"] == "NOT_FOUND"
    release.set()
    await all_answered(desk, company)
    assert (await desk.panel())["status"] == "NOT_FOUND"
    assert await outcomes(desk, connector_id) == [("NOT_FOUND", None), ("ERROR", "INTERRUPTED")]


async def test_a_lookup_under_way_when_header_or_secret_change_leaves_the_last_good_answer(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    connector_id = await desk.connect(company.url(), **SECRET)
    ticket_id = await desk.open()
    good = await desk.settled()
    company.answers["/lookup"] = NOT_FOUND
    release = company.hang()
    await desk.refresh(ticket_id)
    await arrived(company, 2)

    await desk.change(connector_id, secretHeaderValue="another")

    release.set()
    await all_answered(desk, company)
    assert await desk.panel() == good


async def test_a_test_under_way_when_the_connector_changes_ends_interrupted(desk: Desk, company: Crm) -> None:
    release = company.hang()
    connector_id = await desk.connect(company.url())
    trial = asyncio.create_task(desk.test(connector_id))
    await arrived(company, 1)

    await desk.change(connector_id, lookupUrl=company.url("/other"))

    assert await outcomes(desk, connector_id) == [("ERROR", "INTERRUPTED")]
    release.set()
    assert (await trial)["error"]["code"] == "INTERRUPTED"


# Deleting


async def test_deleting_takes_the_panel_the_answers_and_the_log(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND | {"name": "Canary"}
    connector_id = await desk.connect(company.url())
    ticket_id = await desk.open()
    await desk.settled()

    assert await desk.stored(connector_id) == 2

    await desk.delete(connector_id)

    assert await desk.stored(connector_id) == 0
    (ticket,) = await desk.tickets()
    assert ticket["crmPanels"] == []
    assert (await desk.admin.ask("query ($id: ID!) { connector(id: $id) { id } connectors { id } }", id=connector_id)) == {
        "connector": None,
        "connectors": [],
    }
    assert await desk.refresh(ticket_id, connector_id) == {"__typename": "NotFound"}
    assert await desk.test(connector_id) == {"__typename": "NotFound"}
    assert await desk.change(connector_id, name="Again") == {"__typename": "NotFound"}


@pytest.mark.parametrize("waiting", [1, 12], ids=["running", "running and queued"])
async def test_a_lookup_under_way_when_its_connector_is_deleted_leaves_nothing(desk: Desk, company: Crm, waiting: int) -> None:
    company.answers["/lookup"] = FOUND
    release = company.hang()
    connector_id = await desk.connect(company.url())
    await asyncio.gather(*(desk.open(f"{number}@firma.cz") for number in range(waiting)))
    await arrived(company, min(waiting, 8))

    await desk.delete(connector_id)

    assert await panels_of(desk) == []
    release.set()
    await all_answered(desk, company)
    assert await panels_of(desk) == []
    assert await desk.stored(connector_id) == 0
    assert len(company.asked()) == min(waiting, 8)


async def test_a_test_under_way_when_its_connector_is_deleted_ends_interrupted(desk: Desk, company: Crm) -> None:
    release = company.hang()
    connector_id = await desk.connect(company.url())
    trial = asyncio.create_task(desk.test(connector_id))
    await arrived(company, 1)

    await desk.delete(connector_id)
    release.set()

    assert ((await trial)["status"], (await trial)["error"]["code"]) == ("ERROR", "INTERRUPTED")


# Disabling


async def test_a_disabled_connector_has_no_panel(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url())
    await desk.open()
    await desk.settled()

    await desk.change(connector_id, enabled=False)

    assert await panels_of(desk) == []


async def test_a_disabled_connector_starts_nothing(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url(), enabled=False)

    await desk.mail(From=JAN, Message_ID="<1@firma.cz>")
    ticket_id = await desk.open()
    await desk.mail(From=JAN, In_Reply_To="<1@firma.cz>")
    assert (await desk.agent.ask("query ($id: ID!) { ticket(id: $id) { crmPanels { id } } }", id=ticket_id)) == {
        "ticket": {"crmPanels": []}
    }
    assert await desk.refresh(ticket_id) == {"__typename": "LookupsRefreshed", "panels": []}

    assert await desk.log(connector_id) == []


async def test_a_refresh_with_the_id_of_a_disabled_connector_is_not_found(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url(), enabled=False)
    ticket_id = await desk.open()

    assert await desk.refresh(ticket_id, connector_id) == {"__typename": "NotFound"}

    assert await desk.log(connector_id) == []


async def test_a_test_of_a_disabled_connector_works(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    connector_id = await desk.connect(company.url(), enabled=False)

    trial = await desk.test(connector_id)

    assert (trial["status"], trial["customer"]["name"]) == ("FOUND", "Jan Novák")
    await desk.open()
    assert await panels_of(desk) == []


async def test_enabling_brings_the_old_answer_back(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    connector_id = await desk.connect(company.url())
    ticket_id = await desk.open()
    good = await desk.settled()
    await desk.change(connector_id, enabled=False)

    async with desk.agent.watching(WATCH, id=ticket_id) as panels:
        await desk.change(connector_id, enabled=True)
        assert await panels.next() == good

    assert await desk.panel() == good
    assert len(company.requests) == 1


async def test_a_lookup_under_way_when_its_connector_is_disabled_ends_as_any_other(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    release = company.hang()
    connector_id = await desk.connect(company.url())
    await desk.open()
    await arrived(company, 1)

    await desk.change(connector_id, enabled=False)

    release.set()
    await eventually(lambda: no_line_is(desk, connector_id, "PENDING"))
    assert await outcomes(desk, connector_id) == [("FOUND", None)]
    await desk.change(connector_id, enabled=True)
    assert (await desk.panel())["status"] == "FOUND"
