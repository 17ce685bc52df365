"""A connector's log: every lookup from its request to its end, and not a byte of a response where none may be kept."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from sqlmodel import SQLModel

from tests.flows.desk import JAN, LOG, arrived
from tests.stage.crm import FOUND, response
from tests.stage.waiting import in_thread

if TYPE_CHECKING:
    from tests.flows.desk import Desk
    from tests.stage.crm import Crm

pytestmark = pytest.mark.asyncio(loop_scope="session")

REPAIRS = [("customer_id", "string"), ("badge_color", "string"), ("fields[1]", "object"), ("fields[2]", "array")]
"""The warnings of a telltale answer where results are not logged."""


def telltale(canary: str) -> dict[str, Any]:
    """An answer full of what a panel does not show."""
    return {
        "found": True,
        "name": "Jan Novák",
        "customer_id": canary * 10,
        "badge_color": canary,
        "odd member": {canary: canary},
        "fields": {"Plan": "Pro", canary: {canary: canary}, f"{canary}2": [canary]},
    }


async def test_the_log_is_newest_first_and_tells_each_lookup(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND | {"name": 42}
    connector_id = await desk.connect(company.url())
    before = datetime.now().astimezone()
    ticket_id = await desk.open()
    await desk.settled()
    company.answers["/lookup"] = response(503, b"Down")
    await desk.refresh(ticket_id)
    await desk.settled()

    failed, found = await desk.log(connector_id)

    for line in (failed, found):
        assert (line["ticketId"], line["email"]) == (ticket_id, JAN)
        requested, completed = datetime.fromisoformat(line["requestedAt"]), datetime.fromisoformat(line["completedAt"])
        assert before <= requested <= completed
        assert 0 <= line["durationMs"] <= (completed - requested).total_seconds() * 1000 + 1
    assert (found["trigger"], found["status"], found["httpStatus"], found["error"]) == ("TICKET", "FOUND", 200, None)
    assert found["warnings"] == [{"path": "name", "expected": "a text", "received": "number 42"}]
    assert found["response"].startswith('{"found": true')
    assert (failed["trigger"], failed["status"], failed["httpStatus"]) == ("REFRESH", "ERROR", 503)
    assert failed["error"] == {"code": "HTTP_STATUS", "httpStatus": 503}
    assert (failed["warnings"], failed["response"]) == ([], "Down")


async def test_a_lookup_under_way_is_in_the_log_already(desk: Desk, company: Crm) -> None:
    release = company.hang()
    connector_id = await desk.connect(company.url())
    await asyncio.gather(*(desk.open(f"{number}@firma.cz") for number in range(9)))
    await arrived(company, 8)

    lines = await desk.log(connector_id)

    assert len(lines) == 9
    assert {(line["status"], line["completedAt"], line["durationMs"], line["httpStatus"]) for line in lines} == {
        ("PENDING", None, None, None)
    }
    release.set()


async def test_the_log_pages_from_the_newest_to_the_oldest(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url())
    for number in range(5):
        await desk.test(connector_id, f"{number}@firma.cz")
    seen, after = [], None

    while True:
        page = (await desk.admin.ask(LOG, id=connector_id, first=2, after=after))["connector"]["lookups"]
        seen += [line["email"] for line in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break

    assert seen == [f"{number}@firma.cz" for number in (4, 3, 2, 1, 0)]


async def test_the_log_of_a_connector_holds_no_lookup_of_another(desk: Desk, company: Crm) -> None:
    crm, shop = await desk.connect(company.url()), await desk.connect(company.url())

    await desk.test(crm, "crm@firma.cz")
    await desk.test(shop, "shop@firma.cz")

    assert [line["email"] for line in await desk.log(crm)] == ["crm@firma.cz"]
    assert [line["email"] for line in await desk.log(shop)] == ["shop@firma.cz"]


async def test_the_log_is_for_admins(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url())

    assert await desk.agent.refused(LOG, id=connector_id, first=10, after=None) == "FORBIDDEN"


async def test_without_logged_results_not_a_byte_of_a_response_is_kept(desk: Desk, company: Crm) -> None:
    canary = uuid4().hex
    company.answers["/lookup"] = telltale(canary)
    connector_id = await desk.connect(company.url(), logResults=False)
    await desk.open()
    panel = await desk.settled()
    await desk.test(connector_id)

    trial, line = await desk.log(connector_id)

    assert (line["status"], line["httpStatus"], line["response"]) == ("FOUND", 200, None)
    assert [(warning["path"], warning["received"]) for warning in line["warnings"]] == REPAIRS
    assert trial["warnings"] == line["warnings"]
    assert panel["customer"]["fields"] == [{"key": "Plan", "value": "Pro"}], "what the panel shows is kept, as the answer"
    assert canary.encode() not in await _bytes_at_rest(desk)


async def test_with_logged_results_the_response_is_kept_as_it_came(desk: Desk, company: Crm) -> None:
    canary = uuid4().hex
    company.answers["/lookup"] = telltale(canary)
    connector_id = await desk.connect(company.url())
    await desk.open()
    await desk.settled()

    (line,) = await desk.log(connector_id)
    assert json.loads(line["response"]) == telltale(canary)
    assert canary in str(line["warnings"])
    assert canary.encode() in await _bytes_at_rest(desk)


async def test_to_stop_logging_results_erases_what_was_kept(desk: Desk, company: Crm) -> None:
    canary = uuid4().hex
    company.answers["/lookup"] = telltale(canary)
    connector_id = await desk.connect(company.url())
    await desk.open()
    panel = await desk.settled()
    assert await _kept_in_the_log(desk, canary)

    await desk.change(connector_id, logResults=False)

    (line,) = await desk.log(connector_id)
    assert (line["status"], line["httpStatus"], line["response"]) == ("FOUND", 200, None)
    assert [(warning["path"], warning["received"]) for warning in line["warnings"]] == REPAIRS
    assert await desk.panel() == panel
    assert not await _kept_in_the_log(desk, canary)
    await desk.change(connector_id, logResults=True)
    (line,) = await desk.log(connector_id)
    assert line["response"] is None, "what was erased stays erased"


async def test_a_lookup_under_way_when_logging_stops_keeps_nothing(desk: Desk, company: Crm) -> None:
    canary = uuid4().hex
    company.answers["/lookup"] = telltale(canary)
    release = company.hang()
    connector_id = await desk.connect(company.url())
    await desk.open()
    await arrived(company, 1)

    await desk.change(connector_id, logResults=False)

    release.set()
    assert (await desk.settled())["status"] == "FOUND"
    (line,) = await desk.log(connector_id)
    assert line["response"] is None
    assert [(warning["path"], warning["received"]) for warning in line["warnings"]] == REPAIRS
    assert canary.encode() not in await _bytes_at_rest(desk)


async def test_the_secret_is_hidden_in_the_log_the_panel_and_the_test(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = {
        "found": True,
        "name": "echo s3cret-of-the-firm",
        "fields": {"s3cret-of-the-firm": "s3cret-of-the-firm"},
    }
    connector_id = await desk.connect(company.url(), secretHeaderName="X-Api-Key", secretHeaderValue="s3cret-of-the-firm")
    await desk.open()
    panel = await desk.settled()
    trial = await desk.test(connector_id)

    assert panel["customer"]["name"] == trial["customer"]["name"] == "echo •••"
    assert "s3cret-of-the-firm" not in str((panel, trial, await desk.log(connector_id)))
    assert b"s3cret-of-the-firm" not in await _bytes_at_rest(desk)


async def _kept_in_the_log(desk: Desk, canary: str) -> bool:
    return any(canary in str(row) for row in await in_thread(desk.back_door.rows, "SELECT * FROM lookups"))


async def _bytes_at_rest(desk: Desk) -> bytes:
    """Everything that the database holds: SQLite's files, PostgreSQL's rows."""
    if desk.back_door.postgresql:
        tables = [await in_thread(desk.back_door.rows, f"SELECT * FROM {table}") for table in SQLModel.metadata.tables]  # noqa: S608
        return str(tables).encode()
    files = desk.parts.settings.data_dir.glob("disqua.sqlite3*")
    return b"".join([await in_thread(file.read_bytes) for file in files])
