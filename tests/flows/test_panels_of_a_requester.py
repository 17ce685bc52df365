"""What the agent sees beside a ticket, whatever the endpoints do."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from persistence.encryption import KeyRing, Place, new_key_entry
from tests.flows.desk import JAN, arrived
from tests.stage.crm import FOUND, NOT_FOUND, response
from tests.stage.helpdesk import REFRESH, TICKET, WATCH, open_helpdesk
from tests.stage.process import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.flows.desk import Desk
    from tests.stage.crm import Crm

pytestmark = pytest.mark.asyncio(loop_scope="session")

LARGE = json.dumps({"found": True, "name": "x" * 70_000}).encode()
FAILURES: dict[str, tuple[bytes, str, int | None]] = {
    "500": (response(500, b"{}"), "HTTP_STATUS", 500),
    "404": (response(404, json.dumps(NOT_FOUND).encode()), "HTTP_STATUS", 404),
    "302": (response(302, b"", "Location: http://127.0.0.1/elsewhere"), "REDIRECT", 302),
    "garbage": (response(200, b"<html>"), "INVALID_JSON", 200),
    "NaN": (response(200, b'{"found": true, "name": NaN}'), "INVALID_JSON", 200),
    "no object": (response(200, b"[]"), "INVALID_RESPONSE", 200),
    "found missing": (response(200, b'{"name": "Jan"}'), "INVALID_RESPONSE", 200),
    "found as text": (response(200, b'{"found": "true"}'), "INVALID_RESPONSE", 200),
    "empty": (response(200, b""), "EMPTY_BODY", 200),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", "EMPTY_BODY", 204),
    "too large": (response(200, LARGE), "TOO_LARGE", 200),
    "gzip": (response(200, gzip.compress(b'{"found": true}'), "Content-Encoding: gzip"), "ENCODING", 200),
    "closed at once": (b"", "RESET", None),
    "closed within the body": (b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"found": t', "RESET", 200),
    "not HTTP": (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "PROTOCOL", None),
}


async def panel_of(desk: Desk, url: str) -> Any:  # noqa: ANN401 - a panel
    await desk.connect(url)
    await desk.open()
    return await desk.settled()


# Whatever the endpoint does


@pytest.mark.parametrize(("answer", "code", "http_status"), FAILURES.values(), ids=FAILURES)
async def test_whatever_the_endpoint_answers_the_ticket_has_a_panel_that_says_so(
    desk: Desk, company: Crm, answer: bytes, code: str, http_status: int | None
) -> None:
    company.answers["/lookup"] = answer

    panel = await panel_of(desk, company.url())

    assert panel["error"] == {"code": code, "httpStatus": http_status, "message": panel["error"]["message"]}
    assert (panel["status"], panel["badge"]) == ("ERROR", {"text": "Chyba", "color": "RED"})
    assert (panel["customer"], panel["stale"], panel["refreshing"]) == (None, False, False)
    (ticket,) = await desk.tickets()
    assert await desk.view(ticket["id"]) == panel


async def test_a_port_that_refuses_is_told(desk: Desk, company: Crm) -> None:
    panel = await panel_of(desk, f"http://127.0.0.1:{free_port()}/lookup")

    assert (panel["status"], panel["error"]["code"], panel["error"]["httpStatus"]) == ("ERROR", "CONNECT", None)


async def test_a_name_that_does_not_resolve_is_told(desk: Desk, company: Crm) -> None:
    panel = await panel_of(desk, "http://nowhere.invalid/lookup")  # RFC 6761, 6.4

    assert (panel["status"], panel["error"]["code"], panel["error"]["httpStatus"]) == ("ERROR", "DNS", None)


async def test_an_endpoint_that_speaks_no_tls_is_told(desk: Desk, company: Crm) -> None:
    panel = await panel_of(desk, f"https://127.0.0.1:{desk.mail_port}/lookup")

    assert (panel["status"], panel["error"]["code"], panel["error"]["httpStatus"]) == ("ERROR", "TLS", None)


async def test_nothing_complete_within_3_seconds_is_told(desk: Desk, company: Crm) -> None:
    company.hang()

    panel = await panel_of(desk, company.url())

    assert (panel["status"], panel["badge"]) == ("TIMEOUT", {"text": "Timeout (3s)", "color": "YELLOW"})
    assert panel["error"] == {"code": "TIMEOUT", "httpStatus": None, "message": panel["error"]["message"]}


async def test_a_secret_of_which_the_key_is_lost_is_told_and_nobody_is_asked(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url(), secretHeaderName="X-Api-Key", secretHeaderValue="s3cret")
    place = Place(desk.workspace_id, "connectors", UUID(connector_id), "secret")
    lost = KeyRing.parse(new_key_entry()).encrypt("s3cret", place)
    await desk.alter("UPDATE connectors SET secret = :lost WHERE id = :id", lost=lost, id=UUID(connector_id))

    await desk.open()

    panel = await desk.settled()
    assert (panel["status"], panel["error"]["code"]) == ("ERROR", "SECRET_UNREADABLE")
    assert (await desk.test(connector_id))["error"]["code"] == "SECRET_UNREADABLE"
    assert company.requests == []

    await desk.change(connector_id, secretHeaderValue="anew")
    assert (await desk.panel())["status"] == "PENDING", "a secret that is set again forgets the failure"


async def test_a_lookup_whose_process_died_is_told_to_whoever_watches(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    connector_id = await desk.connect(company.url())
    ticket_id = await desk.open()
    await desk.settled()
    release = company.hang()
    async with desk.agent.watching(WATCH, id=ticket_id) as panels:
        await desk.refresh(ticket_id)
        await arrived(company, 2)
        await desk.alter(
            "UPDATE lookups SET claimed_until = :past WHERE connector_id = :id AND completed_at IS NULL",
            past=datetime(2020, 1, 1, tzinfo=UTC),
            id=UUID(connector_id),
        )

        interrupted = await panels.until(lambda panel: panel["status"] == "ERROR")

    assert (interrupted["error"]["code"], interrupted["stale"], interrupted["refreshing"]) == ("INTERRUPTED", True, False)
    assert interrupted["customer"]["name"] == "Jan Novák"
    release.set()


async def test_an_address_that_is_not_allowed_is_told_and_nobody_is_asked(tmp_path: Path, company: Crm) -> None:
    async with open_helpdesk(tmp_path / "data", lookup_allowed_networks=[]) as helpdesk:
        await helpdesk.connect(f"http://localhost:{company.port}/lookup")
        await helpdesk.mail()

        panel = await helpdesk.settled()

    assert (panel["status"], panel["error"]["code"], panel["error"]["httpStatus"]) == ("ERROR", "BLOCKED_ADDRESS", None)
    assert company.requests == []


async def test_one_connector_that_fails_leaves_the_panels_of_the_others(desk: Desk, company: Crm) -> None:
    company.answers |= {"/crm": FOUND, "/shop": response(200, b"<html>"), "/erp": NOT_FOUND}
    for path in ("/crm", "/shop", "/erp"):
        await desk.connect(company.url(path), name=path)

    await desk.open()

    panels = [await desk.settled(panel=panel) for panel in range(3)]
    assert [(panel["connectorName"], panel["status"]) for panel in panels] == [
        ("/crm", "FOUND"),
        ("/shop", "ERROR"),
        ("/erp", "NOT_FOUND"),
    ]


# PENDING


async def test_pending_and_refreshing_is_being_asked_for_the_first_time(desk: Desk, company: Crm) -> None:
    release = company.hang()
    await desk.connect(company.url())

    await desk.open()

    panel = await desk.panel()
    assert (panel["status"], panel["refreshing"], panel["badge"], panel["error"]) == ("PENDING", True, None, None)
    assert (panel["customer"], panel["stale"], panel["fetchedAt"], panel["expiresAt"]) == (None, False, None, None)
    release.set()
    await desk.settled()


async def test_pending_without_refreshing_is_not_asked_yet(desk: Desk, company: Crm) -> None:
    ticket_id = await desk.open()
    connector_id = await desk.connect(company.url())

    panel = await desk.panel()
    assert (panel["status"], panel["refreshing"], panel["badge"], panel["error"]) == ("PENDING", False, None, None)
    assert await desk.log(connector_id) == []

    seen = await desk.view(ticket_id)
    assert (seen["status"], seen["refreshing"]) == ("PENDING", True)
    assert (await desk.settled())["status"] == "NOT_FOUND"
    assert [line["trigger"] for line in await desk.log(connector_id)] == ["VIEW"]


async def test_a_connector_made_after_the_ticket_is_asked_by_a_refresh_as_well(desk: Desk, company: Crm) -> None:
    ticket_id = await desk.open()
    connector_id = await desk.connect(company.url())

    (panel,) = (await desk.refresh(ticket_id))["panels"]

    assert (panel["status"], panel["refreshing"]) == ("PENDING", True)
    await desk.settled()
    assert [line["trigger"] for line in await desk.log(connector_id)] == ["REFRESH"]


async def test_whoever_watches_sees_the_panel_of_a_connector_made_later(desk: Desk, company: Crm) -> None:
    ticket_id = await desk.open()

    async with desk.agent.watching(WATCH, id=ticket_id) as panels:
        connector_id = await desk.connect(company.url())
        new = await panels.next()

    assert (new["connectorId"], new["status"], new["refreshing"]) == (connector_id, "PENDING", False)


# Who has panels


async def test_a_panel_has_the_same_id_for_ever_and_another_beside_every_ticket(desk: Desk, company: Crm) -> None:
    first_connector = await desk.connect(company.url())
    await desk.connect(company.url())
    first = await desk.open()
    await desk.settled(panel=0)
    before = [panel["id"] for panel in (await desk.tickets())[0]["crmPanels"]]
    await desk.change(first_connector, lookupUrl=company.url("/other"), name="Another")
    await desk.refresh(first)
    await desk.settled(panel=0)
    second = await desk.open()

    assert [panel["id"] for panel in (await desk.agent.ask(TICKET, id=first))["ticket"]["crmPanels"]] == before
    assert not {panel["id"] for panel in (await desk.agent.ask(TICKET, id=second))["ticket"]["crmPanels"]} & set(before)
    await desk.settled(panel=0)
    await desk.settled(panel=1)


BOUNCES = {
    "an empty return path": ("", JAN),
    "from mailer-daemon": (JAN, "Mailer-Daemon@firma.cz"),
    "from postmaster": (JAN, "postmaster@firma.cz"),
}


@pytest.mark.parametrize(("sender", "author"), BOUNCES.values(), ids=BOUNCES)
async def test_a_bounce_has_no_panels_and_asks_nobody(desk: Desk, company: Crm, sender: str, author: str) -> None:
    connector_id = await desk.connect(company.url())

    await desk.mail(sender=sender, From=author)

    await _has_no_panels_and_asks_nobody(desk, connector_id)


async def test_a_ticket_without_requester_has_no_panels_and_asks_nobody(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url())

    await desk.mail(b"Subject: Hello\r\n\r\nNobody\r\n", sender="nobody")

    (ticket,) = await desk.tickets()
    assert ticket["requester"] is None
    await _has_no_panels_and_asks_nobody(desk, connector_id)


async def test_an_automatic_reply_that_is_no_bounce_has_panels(desk: Desk, company: Crm) -> None:
    await desk.connect(company.url())

    await desk.mail(From=JAN, Auto_Submitted="auto-replied")

    assert (await desk.settled())["status"] == "NOT_FOUND"
    (ticket,) = await desk.tickets()
    assert ticket["automatic"]


async def _has_no_panels_and_asks_nobody(desk: Desk, connector_id: str) -> None:
    (ticket,) = await desk.tickets()
    assert ticket["crmPanels"] == []
    assert (await desk.agent.ask(TICKET, id=ticket["id"]))["ticket"]["crmPanels"] == []
    for only in (None, connector_id):
        refreshed = (await desk.agent.ask(REFRESH, id=ticket["id"], connector=only))["refreshLookup"]
        assert refreshed == {"__typename": "LookupsRefreshed", "panels": []}
    assert await desk.log(connector_id) == []
