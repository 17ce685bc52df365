"""What can be read, and what reading starts."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from domain.identity import Role, support_address
from tests.graph.desk import LOOKUP, PANEL, TICKET_MEMBERS, open_ticket, stock, tamper, tidy
from tests.stage.crm import FOUND, NOT_FOUND, response
from tests.stage.front_end import FrontEnd, receive, send
from tests.stage.helpdesk import SUPPORT, message
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stage.crm import Crm
    from tests.stage.helpdesk import Helpdesk

TICKET = f"query ($id: ID!) {{ ticket(id: $id) {{ crmPanels {{ {PANEL} }} }} }}"
CONNECTOR_MEMBERS = """
  id name lookupUrl secretHeaderName hasSecret linkTemplate cacheTtlHours logResults enabled position createdAt updatedAt
"""
LOG = f"query ($id: ID!) {{ connector(id: $id) {{ lookups {{ nodes {{ {LOOKUP} }} }} }} }}"


async def log_of(helpdesk: Helpdesk, connector_id: str) -> Any:  # noqa: ANN401 - lines
    return (await helpdesk.admin.ask(LOG, id=connector_id))["connector"]["lookups"]["nodes"]


async def ended(helpdesk: Helpdesk, connector_id: str, count: int) -> Any:  # noqa: ANN401 - lines
    """The log once this many lookups have ended."""

    async def look() -> Any:  # noqa: ANN401
        lines = await log_of(helpdesk, connector_id)
        return lines if len(lines) == count and all(line["completedAt"] for line in lines) else None

    return await eventually(look)


# The viewer.


async def test_the_viewer_is_whoever_holds_the_token(helpdesk: Helpdesk) -> None:
    query = "{ viewer { name role workspace { id name supportAddresses } } }"
    async with helpdesk.parts.database.operator() as store:
        await store.workspaces.add_address(helpdesk.workspace_id, support_address("help@disqua.example"), datetime.now(UTC))

    nameless = FrontEnd(
        helpdesk.base_url,
        helpdesk.parts.tokens.issue(helpdesk.workspace_id, Role.AGENT, name=None, ttl=timedelta(hours=1)),
    )

    workspace = {
        "id": str(helpdesk.workspace_id),
        "name": "Disqua",
        "supportAddresses": [SUPPORT, "help@disqua.example"],
    }
    assert await helpdesk.agent.ask(query) == {"viewer": {"name": "Test", "role": "AGENT", "workspace": workspace}}
    assert await helpdesk.admin.ask(query) == {"viewer": {"name": "Test", "role": "ADMIN", "workspace": workspace}}
    assert await nameless.ask(query) == {"viewer": {"name": None, "role": "AGENT", "workspace": workspace}}


async def test_the_viewer_is_led_to_the_guide_that_the_operator_names(helpdesk: Helpdesk) -> None:
    assert await helpdesk.agent.ask("{ viewer { guideUrl } }") == {"viewer": {"guideUrl": helpdesk.parts.settings.help_url}}


async def test_a_token_for_a_workspace_that_is_gone_is_not_valid(helpdesk: Helpdesk, tmp_path: Path) -> None:
    await helpdesk.agent.ask("{ viewer { name } }")
    tamper(tmp_path / "data", "DELETE FROM workspaces")

    assert tidy(await helpdesk.agent.post("{ viewer { name } }")) == (401, "UNAUTHENTICATED")


# A ticket.


async def test_a_ticket_shows_what_the_mail_said(helpdesk: Helpdesk, crm: Crm) -> None:
    await helpdesk.connect(crm.url())
    before = datetime.now(UTC)
    await helpdesk.mail(
        message("Hello there", From="=?utf-8?q?Jan_Nov=C3=A1k?= <Jan@Firma.CZ>", Subject="Invoice", Auto_Submitted="auto-replied")
    )
    (listed,) = await helpdesk.tickets()

    ticket = (await helpdesk.agent.ask(f"query ($id: ID!) {{ ticket(id: $id) {{ {TICKET_MEMBERS} }} }}", id=listed["id"]))[
        "ticket"
    ]

    assert UUID(ticket["id"]).version == 7
    assert (ticket["number"], ticket["subject"], ticket["automatic"]) == (1, "Invoice", True)
    assert ticket["requester"] == {"email": "jan@firma.cz", "name": "Jan Novák"}
    (said,) = ticket["messages"]["nodes"]
    assert UUID(said["id"]).version == 7
    assert said["sender"] == ticket["requester"]
    assert said["text"].strip() == "Hello there"
    for moment in (ticket["createdAt"], said["receivedAt"]):
        parsed = datetime.fromisoformat(moment)
        assert parsed.utcoffset() == timedelta()
        assert before <= parsed <= datetime.now(UTC)


async def test_an_id_that_nobody_has_is_null(helpdesk: Helpdesk) -> None:
    for unknown in ("", "x", "5", "0" * 32, "01a203f1-5208-74d0-a3bf-6093b8ecb3ee", "\x00", "ě" * 32, "{" * 40):
        assert await helpdesk.admin.ask("query ($id: ID!) { ticket(id: $id) { id } connector(id: $id) { id } }", id=unknown) == {
            "ticket": None,
            "connector": None,
        }


async def test_a_ticket_without_a_requester_and_a_bounce_have_no_panels(helpdesk: Helpdesk, crm: Crm) -> None:
    connector_id = await helpdesk.connect(crm.url())
    await helpdesk.mail(message("Nobody", Subject="Nobody"), sender="")
    await helpdesk.mail(message("Bounce", From="mailer-daemon@firma.cz", Subject="Bounce"), sender="")

    for ticket in await helpdesk.tickets():
        assert (await helpdesk.agent.ask(TICKET, id=ticket["id"]))["ticket"]["crmPanels"] == []
    assert await log_of(helpdesk, connector_id) == []


# What viewing a ticket starts.


async def test_viewing_a_ticket_asks_a_connector_that_was_made_after_it(helpdesk: Helpdesk, crm: Crm) -> None:
    ticket_id = await open_ticket(helpdesk.agent)
    connector_id = await helpdesk.connect(crm.url())
    assert (await helpdesk.panel())["refreshing"] is False
    release = crm.hang()

    (panel,) = (await helpdesk.agent.ask(TICKET, id=ticket_id))["ticket"]["crmPanels"]

    assert (panel["status"], panel["refreshing"]) == ("PENDING", True)
    release.set()
    (line,) = await ended(helpdesk, connector_id, 1)
    assert (line["trigger"], line["ticketId"], line["email"]) == ("VIEW", ticket_id, "jan@firma.cz")


@pytest.mark.parametrize("selection", ["id", "__typename", "messages { nodes { id } }", "crmPanels { id }"])
async def test_viewing_a_ticket_asks_whatever_is_selected(helpdesk: Helpdesk, crm: Crm, selection: str) -> None:
    ticket_id = await open_ticket(helpdesk.agent)
    connector_id = await helpdesk.connect(crm.url())

    await helpdesk.agent.ask(f"query ($id: ID!) {{ ticket(id: $id) {{ {selection} }} }}", id=ticket_id)

    (line,) = await ended(helpdesk, connector_id, 1)
    assert line["trigger"] == "VIEW"


async def test_viewing_a_ticket_over_a_socket_asks_too(helpdesk: Helpdesk, crm: Crm) -> None:
    ticket_id = await open_ticket(helpdesk.agent)
    connector_id = await helpdesk.connect(crm.url())

    async with helpdesk.admin.signed_in() as socket:
        await send(socket, id="1", type="subscribe", payload={"query": TICKET, "variables": {"id": ticket_id}})
        answer = await receive(socket)

    assert answer["payload"]["data"]["ticket"]["crmPanels"][0]["refreshing"] is True
    await ended(helpdesk, connector_id, 1)


async def test_a_fresh_answer_is_not_asked_for_again_and_an_expired_one_is(helpdesk: Helpdesk, crm: Crm) -> None:
    fresh = await helpdesk.connect(crm.url("/fresh"), "Fresh")
    expired = await helpdesk.connect(crm.url("/expired"), "Expired", cacheTtlHours=0)
    ticket_id = await open_ticket(helpdesk.agent)
    await ended(helpdesk, fresh, 1)
    await ended(helpdesk, expired, 1)

    panels = (await helpdesk.agent.ask(TICKET, id=ticket_id))["ticket"]["crmPanels"]

    assert [panel["refreshing"] for panel in panels] == [False, True]
    assert [line["trigger"] for line in await ended(helpdesk, expired, 2)] == ["VIEW", "TICKET"]
    assert len(crm.asked("/fresh")) == 1


async def test_a_failure_is_not_repeated_by_viewing(helpdesk: Helpdesk, crm: Crm) -> None:
    crm.answers["/lookup"] = response(500, b"")
    connector_id = await helpdesk.connect(crm.url())
    ticket_id = await open_ticket(helpdesk.agent)
    await ended(helpdesk, connector_id, 1)

    (panel,) = (await helpdesk.agent.ask(TICKET, id=ticket_id))["ticket"]["crmPanels"]

    assert (panel["status"], panel["refreshing"]) == ("ERROR", False)
    assert panel["error"] == {
        "code": "HTTP_STATUS",
        "message": "The endpoint answered with HTTP status 500.",
        "httpStatus": 500,
    }
    assert len(await log_of(helpdesk, connector_id)) == 1


async def test_lists_and_subscriptions_ask_nobody(helpdesk: Helpdesk, crm: Crm) -> None:
    ticket_id = await open_ticket(helpdesk.agent)
    connector_id = await helpdesk.connect(crm.url())

    await helpdesk.agent.ask(f"{{ tickets {{ nodes {{ {TICKET_MEMBERS} }} }} }}")
    async with helpdesk.agent.watching("subscription ($id: ID!) { crmPanels(ticketId: $id) { status } }", id=ticket_id) as panels:
        assert await panels.next() == {"status": "PENDING"}

    assert await log_of(helpdesk, connector_id) == []


async def test_many_who_view_at_once_share_one_lookup(helpdesk: Helpdesk, crm: Crm) -> None:
    (ticket_id,) = await stock(helpdesk, 1)
    connector_id = await helpdesk.connect(crm.url())
    release = crm.hang()
    aliases = " ".join(f't{n}: ticket(id: "{ticket_id}") {{ crmPanels {{ refreshing }} }}' for n in range(64))

    answer = await helpdesk.agent.ask(f"{{ {aliases} }}")

    assert {panel["refreshing"] for ticket in answer.values() for panel in ticket["crmPanels"]} == {True}
    release.set()
    assert len(await ended(helpdesk, connector_id, 1)) == 1


async def test_a_ticket_is_shown_even_when_nothing_can_be_written(helpdesk: Helpdesk, crm: Crm, tmp_path: Path) -> None:
    (ticket_id,) = await stock(helpdesk, 1)
    await helpdesk.connect(crm.url())
    with closing(sqlite3.connect(tmp_path / "data" / "disqua.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        (panel,) = (await helpdesk.agent.ask(TICKET, id=ticket_id))["ticket"]["crmPanels"]

        other.execute("ROLLBACK")
    assert (panel["status"], panel["refreshing"]) == ("PENDING", False)


# Panels.


async def test_a_panel_says_what_came_of_asking(helpdesk: Helpdesk, crm: Crm) -> None:
    crm.answers |= {"/found": FOUND, "/unknown": NOT_FOUND, "/error": response(302, b""), "/broken": {"found": "yes"}}
    link = "https://crm.example/{customer_id}"
    for path in crm.answers:
        await helpdesk.connect(crm.url(path), path, linkTemplate=link, cacheTtlHours=2)
    ticket_id = await open_ticket(helpdesk.agent)
    for place in range(4):
        await helpdesk.settled(panel=place)

    found, unknown, error, broken = (await helpdesk.agent.ask(TICKET, id=ticket_id))["ticket"]["crmPanels"]

    assert [panel["connectorName"] for panel in (found, unknown, error, broken)] == list(crm.answers)
    assert {panel["ticketId"] for panel in (found, unknown, error, broken)} == {ticket_id}
    assert found["badge"] == found["customer"]["badge"] == {"text": "VIP", "color": "GREEN"}
    assert found["customer"]["deepLink"] == "https://crm.example/cus%2F42%20%C3%A1"
    assert (found["error"], found["helpUrl"]) == (None, None)
    fetched, expires = (datetime.fromisoformat(found[moment]) for moment in ("fetchedAt", "expiresAt"))
    assert expires - fetched == timedelta(hours=2)
    assert (unknown["status"], unknown["customer"], unknown["error"]) == ("NOT_FOUND", None, None)
    assert unknown["helpUrl"].startswith("https://")
    assert (error["status"], error["error"]["code"], error["error"]["httpStatus"]) == ("ERROR", "REDIRECT", 302)
    assert (error["customer"], error["fetchedAt"], error["expiresAt"], error["helpUrl"]) == (None, None, None, None)
    assert (broken["status"], broken["error"]["code"], broken["error"]["httpStatus"]) == ("ERROR", "INVALID_RESPONSE", 200)


async def test_badges_that_we_word_ourselves_come_in_two_languages(helpdesk: Helpdesk, crm: Crm) -> None:
    crm.answers |= {"/unknown": NOT_FOUND, "/error": response(500, b"")}
    for path in crm.answers:
        await helpdesk.connect(crm.url(path), path)
    await open_ticket(helpdesk.agent)
    for place in range(2):
        await helpdesk.settled(panel=place)

    members = "badge { text color } cs: badge(locale: CS) { text } en: badge(locale: EN) { text }"
    answer = await helpdesk.agent.ask(f"{{ tickets {{ nodes {{ crmPanels {{ {members} }} }} }} }}")

    assert answer["tickets"]["nodes"][0]["crmPanels"] == [
        {"badge": {"text": "Neznámý", "color": "GRAY"}, "cs": {"text": "Neznámý"}, "en": {"text": "Unknown"}},
        {"badge": {"text": "Chyba", "color": "RED"}, "cs": {"text": "Chyba"}, "en": {"text": "Error"}},
    ]


async def test_a_disabled_connector_has_no_panel(helpdesk: Helpdesk, crm: Crm) -> None:
    connector_id = await helpdesk.connect(crm.url(), enabled=False)
    ticket_id = await open_ticket(helpdesk.agent)

    assert (await helpdesk.agent.ask(TICKET, id=ticket_id))["ticket"]["crmPanels"] == []
    assert await log_of(helpdesk, connector_id) == []


# Connectors and their log.


async def test_a_connector_shows_its_settings_and_never_its_secret(helpdesk: Helpdesk, crm: Crm) -> None:
    connector_id = await helpdesk.connect(crm.url(), secretHeaderName="X-Api-Key", secretHeaderValue="s3cret")

    answer = await helpdesk.admin.post(
        f"query ($id: ID!) {{ connector(id: $id) {{ {CONNECTOR_MEMBERS} }} connectors {{ {CONNECTOR_MEMBERS} }} }}",
        {"id": connector_id},
    )

    shown = answer.json()["data"]["connector"]
    assert UUID(shown["id"]).version == 7
    assert shown | {"createdAt": "", "updatedAt": ""} == {
        "id": connector_id,
        "name": "CRM",
        "lookupUrl": crm.url(),
        "secretHeaderName": "X-Api-Key",
        "hasSecret": True,
        "linkTemplate": None,
        "cacheTtlHours": 24,
        "logResults": True,
        "enabled": True,
        "position": 0,
        "createdAt": "",
        "updatedAt": "",
    }
    assert answer.json()["data"]["connectors"] == [shown]
    assert "s3cret" not in answer.text


async def test_the_log_tells_every_asking(helpdesk: Helpdesk, crm: Crm) -> None:
    crm.answers["/lookup"] = {"found": True, "badge": "x" * 40, "echo": "s3cret-of-mine"}
    connector_id = await helpdesk.connect(crm.url(), secretHeaderName="X-Api-Key", secretHeaderValue="s3cret-of-mine")
    ticket_id = await open_ticket(helpdesk.agent)

    (line,) = await ended(helpdesk, connector_id, 1)

    assert UUID(line["id"]).version == 7
    assert (line["ticketId"], line["email"], line["trigger"]) == (ticket_id, "jan@firma.cz", "TICKET")
    assert (line["status"], line["httpStatus"], line["error"]) == ("FOUND", 200, None)
    assert line["durationMs"] >= 0
    assert [warning["path"] for warning in line["warnings"]] == ["badge"]
    assert "s3cret" not in line["response"]
    assert '"echo": "•••"' in line["response"]
    requested, completed = (datetime.fromisoformat(line[moment]) for moment in ("requestedAt", "completedAt"))
    assert requested <= completed


async def test_a_connector_that_does_not_log_results_keeps_none(helpdesk: Helpdesk, crm: Crm) -> None:
    crm.answers["/lookup"] = {"found": True, "badge": 5, "name": ["nested"]}
    connector_id = await helpdesk.connect(crm.url(), logResults=False)
    await open_ticket(helpdesk.agent)

    (line,) = await ended(helpdesk, connector_id, 1)

    assert line["response"] is None
    assert line["status"] == "FOUND"
    assert {warning["received"] for warning in line["warnings"]} <= {"number", "array", "integer", "list"}


async def test_a_lookup_under_way_stands_in_the_log_as_pending(helpdesk: Helpdesk, crm: Crm) -> None:
    release = crm.hang()
    connector_id = await helpdesk.connect(crm.url())
    await open_ticket(helpdesk.agent)

    (line,) = await log_of(helpdesk, connector_id)

    assert (line["status"], line["completedAt"], line["durationMs"], line["httpStatus"]) == ("PENDING", None, None, None)
    assert (line["response"], line["warnings"], line["error"]) == (None, [], None)
    release.set()
    await ended(helpdesk, connector_id, 1)


async def test_an_agent_without_tickets_sees_an_empty_list(helpdesk: Helpdesk) -> None:
    newcomer = helpdesk.front_end(Role.AGENT, workspace=await helpdesk.add_workspace("New", "support@new.example"))

    assert await newcomer.ask("{ tickets { nodes { id } pageInfo { hasNextPage endCursor } } }") == {
        "tickets": {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}
    }


OF_REQUESTER = """
query ($email: String, $first: Int! = 20, $after: String) {
  tickets(first: $first, after: $after, requesterEmail: $email) { nodes { number } pageInfo { hasNextPage endCursor } }
}
"""


async def numbers(helpdesk: Helpdesk, **arguments: Any) -> list[int]:  # noqa: ANN401 - any argument
    return [ticket["number"] for ticket in (await helpdesk.agent.ask(OF_REQUESTER, **arguments))["tickets"]["nodes"]]


async def test_the_tickets_of_a_requester_are_listed_however_the_address_is_written(helpdesk: Helpdesk) -> None:
    for email in ("jan@bücher.example", "eva@firma.cz", "jan@bücher.example"):
        await open_ticket(helpdesk.agent, email=email)

    for written in ("jan@xn--bcher-kva.example", " Jan@BÜCHER.example. "):
        assert await numbers(helpdesk, email=written) == [3, 1]
    assert await numbers(helpdesk, email="nobody@firma.cz") == []
    assert await numbers(helpdesk, email=None) == [3, 2, 1]


async def test_the_tickets_of_a_requester_come_in_pages(helpdesk: Helpdesk) -> None:
    for email in ("jan@firma.cz", "eva@firma.cz", "jan@firma.cz"):
        await open_ticket(helpdesk.agent, email=email)

    first = (await helpdesk.agent.ask(OF_REQUESTER, email="jan@firma.cz", first=1))["tickets"]
    rest = await numbers(helpdesk, email="jan@firma.cz", after=first["pageInfo"]["endCursor"])

    assert ([ticket["number"] for ticket in first["nodes"]], first["pageInfo"]["hasNextPage"], rest) == ([3], True, [1])


async def test_what_is_no_address_has_no_tickets_and_no_page_is_too_long_for_it(helpdesk: Helpdesk) -> None:
    await open_ticket(helpdesk.agent)

    for email in ("", "jan", "@", "\x00@firma.cz", "x" * 2000):
        assert await numbers(helpdesk, email=email) == []
    assert await helpdesk.agent.refused(OF_REQUESTER, email="x", first=101) == "BAD_REQUEST"
    assert await helpdesk.agent.refused(OF_REQUESTER, email="x", after="?") == "BAD_REQUEST"
