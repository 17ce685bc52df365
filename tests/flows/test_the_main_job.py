"""The seed of it all: an email becomes a live CRM panel."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from tests.stage.crm import FIELDS, FOUND
from tests.stage.helpdesk import REFRESH, WATCH
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from tests.stage.crm import Crm
    from tests.stage.helpdesk import Helpdesk


async def test_an_email_becomes_a_live_panel(helpdesk: Helpdesk, crm: Crm) -> None:
    crm.answers["/lookup"] = FOUND
    release = crm.hang()
    await helpdesk.connect(
        crm.url(),
        secretHeaderName="X-Api-Key",
        secretHeaderValue="s3cret",
        linkTemplate="https://crm.example/c/{customer_id}?from=helpdesk",
    )

    await helpdesk.mail(From="=?utf-8?q?Jan_Nov=C3=A1k?= <Jan.Novak@Company.CZ>", Subject="Invoice", Message_ID="<1@company.cz>")

    (ticket,) = await helpdesk.tickets()
    assert ticket["subject"] == "Invoice"
    assert ticket["requester"] == {"email": "jan.novak@company.cz", "name": "Jan Novák"}
    async with helpdesk.agent.watching(WATCH, id=ticket["id"]) as panels:
        pending = await panels.next()
        assert (pending["status"], pending["refreshing"], pending["badge"]) == ("PENDING", True, None)

        await eventually(lambda: _truth(crm.requests))
        release.set()
        found = await panels.next()

    assert found["id"] == pending["id"]
    assert (found["status"], found["refreshing"], found["stale"]) == ("FOUND", False, False)
    assert found["badge"] == {"text": "VIP", "color": "GREEN"}
    assert found["customer"]["name"] == "Jan Novák"
    assert found["customer"]["fields"] == [{"key": key, "value": value} for key, value in FIELDS.items()]
    assert found["customer"]["deepLink"] == "https://crm.example/c/cus%2F42%20%C3%A1?from=helpdesk"

    (request,) = crm.requests
    assert request.headers == {
        "host": f"127.0.0.1:{crm.port}",
        "content-type": "application/json",
        "user-agent": "Disqua-CRM-Connector/1.0",
        "accept": "application/json",
        "accept-encoding": "identity",
        "connection": request.headers["connection"],
        "content-length": str(len(request.body)),
        "x-api-key": "s3cret",
    }
    assert request.json == {
        "email": "jan.novak@company.cz",
        "ticket_id": ticket["id"],
        "workspace_id": str(helpdesk.workspace_id),
        "source": "disqua-helpdesk",
    }
    assert UUID(ticket["id"]).version == 7

    await helpdesk.mail(From="jan.novak@company.cz", Subject="Another", Message_ID="<2@company.cz>")
    second, _ = await helpdesk.tickets()
    assert second["crmPanels"][0]["status"] == "FOUND"
    assert second["crmPanels"][0]["refreshing"] is False
    assert len(crm.requests) == 1

    refreshed = (await helpdesk.agent.ask(REFRESH, id=second["id"]))["refreshLookup"]
    assert refreshed["panels"][0]["refreshing"] is True
    await helpdesk.settled()
    assert len(crm.requests) == 2


async def _truth(value: object) -> bool:
    return bool(value)
