"""A failing endpoint from the outside: by mail, by the agent's screen and by what an admin does about it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from tests.flows.desk import arrived
from tests.stage.crm import FOUND, response
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from tests.flows.desk import Desk
    from tests.stage.crm import Crm

pytestmark = pytest.mark.asyncio(loop_scope="session")

GONE = response(410, b"")
HEALTH = "query ($id: ID!) { connector(id: $id) { health { state failuresInARow nextProbeAt } } }"
LIST = "{ tickets { nodes { crmPanels { paused refreshing status } } } }"
KEPT = "UPDATE connectors SET next_probe_at = :now WHERE id = :id AND next_probe_at IS NOT NULL"


async def health(desk: Desk, connector_id: str) -> Any:  # noqa: ANN401 - what the query selects
    return (await desk.admin.ask(HEALTH, id=connector_id))["connector"]["health"]


async def pause(desk: Desk, company: Crm) -> str:
    """A connector whose endpoint has just said that it is gone."""
    company.answers["/lookup"] = GONE
    connector_id = await desk.connect(company.url())
    await desk.mail(sender="first@firma.cz")
    await desk.settled()
    assert (await health(desk, connector_id))["state"] == "PAUSED"
    return connector_id


async def newest_panel(desk: Desk) -> Any:  # noqa: ANN401 - what the query selects
    return (await desk.agent.ask(LIST))["tickets"]["nodes"][0]["crmPanels"][0]


async def test_mail_opens_tickets_and_asks_nobody_until_a_probe_is_due(desk: Desk, company: Crm) -> None:
    connector_id = await pause(desk, company)
    for number in range(3):
        await desk.mail(sender=f"{number}@firma.cz")
    assert await newest_panel(desk) == {"paused": True, "refreshing": False, "status": "PENDING"}
    assert len(company.requests) == 1

    company.answers["/lookup"] = FOUND
    await desk.alter(KEPT, now=datetime.now(UTC), id=UUID(connector_id))
    await desk.mail(sender="probe@firma.cz")

    assert (await arrived(company, 2))[-1].json["email"] == "probe@firma.cz"

    async def back() -> bool:
        return bool(await newest_panel(desk) == {"paused": False, "refreshing": False, "status": "FOUND"})

    await eventually(back)
    assert await health(desk, connector_id) == {"state": "WORKING", "failuresInARow": 0, "nextProbeAt": None}


async def test_a_test_of_a_paused_connector_asks_and_opens_nothing(desk: Desk, company: Crm) -> None:
    connector_id = await pause(desk, company)
    company.answers["/lookup"] = FOUND
    before = await health(desk, connector_id)

    assert (await desk.test(connector_id))["status"] == "FOUND"

    assert await health(desk, connector_id) == before


async def test_disabling_and_enabling_opens_nothing_and_another_address_does(desk: Desk, company: Crm) -> None:
    connector_id = await pause(desk, company)
    before = await health(desk, connector_id)
    await desk.change(connector_id, enabled=False)
    await desk.change(connector_id, enabled=True, name="Renamed")
    assert await health(desk, connector_id) == before

    company.answers["/other"] = FOUND
    await desk.change(connector_id, lookupUrl=company.url("/other"))
    assert (await health(desk, connector_id))["state"] == "WORKING"
    await desk.mail(sender="second@firma.cz")
    assert len(await arrived(company, 1, "/other")) == 1
