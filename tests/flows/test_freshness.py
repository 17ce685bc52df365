"""Everything a panel shows belongs to (connector, address); which events ask again, and which never do."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from domain.identity import Role
from tests.flows.desk import JAN, arrived
from tests.stage.crm import FOUND, NOT_FOUND, response
from tests.stage.helpdesk import WATCH

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.flows.desk import Desk
    from tests.stage.crm import Crm

    Opening = Callable[[Desk], Awaitable[None]]

pytestmark = pytest.mark.asyncio(loop_scope="session")

A_DAY = timedelta(days=1)
"""The TTL of a new connector."""
FAILING = response(500, b"")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def by_mail(desk: Desk) -> None:
    await desk.mail(From=JAN, Subject="Hello", Message_ID=f"<{len(await desk.tickets())}@firma.cz>")


async def by_hand(desk: Desk) -> None:
    await desk.open(JAN)


async def reply(desk: Desk) -> None:
    """A reply to a mail whose Message-ID is <0@firma.cz>, of which there can be several."""
    number = len(await desk.tickets())
    await desk.mail(From=JAN, In_Reply_To="<0@firma.cz>", Message_ID=f"<{uuid4()}@firma.cz>")
    assert len(await desk.tickets()) == number


opening = pytest.mark.parametrize("open_ticket", [by_mail, by_hand])


# What belongs to (connector, address)


async def test_every_ticket_of_a_sender_shows_the_same(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    await desk.connect(company.url())
    await desk.mail(From=JAN, Message_ID="<1@firma.cz>")
    await desk.settled()

    await desk.mail(From="Jan <Jan@FIRMA.cz>", Message_ID="<2@firma.cz>")
    await desk.open("JAN@firma.cz")

    third, second, first = [ticket["crmPanels"][0] for ticket in await desk.tickets()]
    assert first["status"] == "FOUND"
    assert len({panel.pop("id") for panel in (first, second, third)}) == 3
    assert first == second == third
    assert len(company.requests) == 1


async def test_a_sender_is_the_same_however_the_domain_is_spelled(desk: Desk, company: Crm) -> None:
    await desk.connect(company.url())
    await desk.open("jan@háčky.cz")
    await desk.settled()

    await desk.open("Jan@XN--HKY-ELA4T.cz")

    first, second = await desk.tickets()
    assert first["requester"] == second["requester"]
    assert [request.json["email"] for request in company.requests] == ["jan@xn--hky-ela4t.cz"]
    assert not first["crmPanels"][0]["refreshing"]


async def test_the_lookup_under_way_shows_on_every_ticket_of_the_sender(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    await desk.connect(company.url())
    first = await desk.open()
    await desk.settled()
    await desk.open()
    release = company.hang()

    await desk.refresh(first)

    assert [ticket["crmPanels"][0]["refreshing"] for ticket in await desk.tickets()] == [True, True]
    release.set()
    await desk.settled()
    assert [ticket["crmPanels"][0]["refreshing"] for ticket in await desk.tickets()] == [False, False]


async def test_the_newest_outcome_shows_on_every_ticket_of_the_sender(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    await desk.connect(company.url())
    first = await desk.open()
    await desk.settled()
    await desk.open()
    company.answers["/lookup"] = FAILING

    await desk.refresh(first)
    await desk.settled()

    second_panel, first_panel = [ticket["crmPanels"][0] for ticket in await desk.tickets()]
    assert first_panel.pop("id") != second_panel.pop("id")
    assert first_panel == second_panel
    assert (second_panel["status"], second_panel["stale"], second_panel["customer"]["name"]) == ("ERROR", True, "Jan Novák")


async def test_another_address_knows_nothing_of_it(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    await desk.connect(company.url())
    await desk.open(JAN)
    await desk.settled()
    release = company.hang()

    await desk.open("eva@firma.cz")

    eva, jan = [ticket["crmPanels"][0] for ticket in await desk.tickets()]
    assert (eva["status"], eva["refreshing"], eva["customer"], eva["fetchedAt"]) == ("PENDING", True, None, None)
    assert (jan["status"], jan["refreshing"]) == ("FOUND", False)
    release.set()
    await desk.settled()


async def test_another_connector_knows_nothing_of_it(desk: Desk, company: Crm) -> None:
    company.answers |= {"/crm": FOUND, "/shop": FAILING}
    await desk.connect(company.url("/crm"), position=1)
    await desk.connect(company.url("/shop"), position=2)

    await desk.open()

    await desk.settled(panel=0)
    await desk.settled(panel=1)
    (ticket,) = await desk.tickets()
    crm, shop = ticket["crmPanels"]
    assert (crm["status"], crm["customer"]["name"]) == ("FOUND", "Jan Novák")
    assert (shop["status"], shop["stale"], shop["customer"]) == ("ERROR", False, None)


async def test_the_same_sender_in_another_workspace_is_somebody_else(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    await desk.connect(company.url())
    ticket_id = await desk.open()
    await desk.settled()
    stranger = desk.front_end(Role.AGENT, workspace=await desk.add_workspace("Other", f"support@{uuid4().hex}.example"))

    assert await stranger.ask("query ($id: ID!) { ticket(id: $id) { id } }", id=ticket_id) == {"ticket": None}

    assert len(company.requests) == 1


# How long an answer lives


@pytest.mark.parametrize("answer", [FOUND, NOT_FOUND], ids=["FOUND", "NOT_FOUND"])
async def test_an_answer_expires_the_ttl_after_it_was_fetched(desk: Desk, company: Crm, answer: object) -> None:
    company.answers["/lookup"] = answer
    connector_id = await desk.connect(company.url(), cacheTtlHours=36)
    await desk.open()

    panel = await desk.settled()

    (line,) = await desk.log(connector_id)
    assert panel["fetchedAt"] == line["completedAt"]
    assert moment(panel["expiresAt"]) - moment(panel["fetchedAt"]) == timedelta(hours=36)


async def test_a_new_ttl_moves_the_end_of_the_answers_that_are_there_at_once(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url(), cacheTtlHours=1)
    await desk.open()
    before = await desk.settled()

    await desk.change(connector_id, cacheTtlHours=8760)

    after = await desk.panel()
    assert after["fetchedAt"] == before["fetchedAt"]
    assert moment(after["expiresAt"]) - moment(after["fetchedAt"]) == timedelta(hours=8760)
    assert len(company.requests) == 1


async def test_a_shorter_ttl_makes_an_answer_expired_and_a_longer_one_fresh_again(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url())
    ticket_id = await desk.open()
    await desk.settled()
    await desk.let_pass(timedelta(hours=2), connector_id)
    assert not (await desk.view(ticket_id))["refreshing"]

    await desk.change(connector_id, cacheTtlHours=1)
    await desk.change(connector_id, cacheTtlHours=3)
    assert not (await desk.view(ticket_id))["refreshing"]
    await desk.change(connector_id, cacheTtlHours=1)
    assert (await desk.view(ticket_id))["refreshing"]

    await desk.settled()
    assert len(company.requests) == 2


async def test_with_a_ttl_of_zero_an_answer_is_shown_and_never_fresh(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    connector_id = await desk.connect(company.url(), cacheTtlHours=0)
    ticket_id = await desk.open()

    panel = await desk.settled()
    assert panel["expiresAt"] == panel["fetchedAt"]
    assert (panel["status"], panel["stale"]) == ("FOUND", False)

    for _ in range(2):
        assert (await desk.view(ticket_id))["refreshing"]
        await desk.settled()
    await desk.open()
    await desk.settled()
    assert [line["trigger"] for line in await desk.log(connector_id)] == ["TICKET", "VIEW", "VIEW", "TICKET"]


async def test_an_expired_answer_alone_is_not_stale(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    connector_id = await desk.connect(company.url())
    await desk.open()
    fresh = await desk.settled()
    await desk.let_pass(2 * A_DAY, connector_id)

    expired = await desk.panel()

    assert moment(expired["expiresAt"]) < moment(fresh["fetchedAt"])
    assert (expired["status"], expired["stale"], expired["error"]) == ("FOUND", False, None)
    assert expired["customer"] == fresh["customer"]


async def test_fetched_at_and_expires_at_stay_those_of_the_last_good_answer(desk: Desk, company: Crm) -> None:
    await desk.connect(company.url())
    ticket_id = await desk.open()
    good = await desk.settled()
    company.answers["/lookup"] = FAILING

    await desk.refresh(ticket_id)

    failed = await desk.settled()
    assert failed["status"] == "ERROR"
    assert (failed["fetchedAt"], failed["expiresAt"]) == (good["fetchedAt"], good["expiresAt"])


# TICKET


@opening
async def test_opening_a_ticket_asks_about_a_new_sender(desk: Desk, company: Crm, open_ticket: Opening) -> None:
    connector_id = await desk.connect(company.url())

    await open_ticket(desk)

    await desk.settled()
    (ticket,) = await desk.tickets()
    (line,) = await desk.log(connector_id)
    assert (line["trigger"], line["ticketId"], line["email"]) == ("TICKET", ticket["id"], JAN)
    assert [request.json["ticket_id"] for request in company.requests] == [ticket["id"]]


@opening
async def test_opening_a_ticket_does_not_ask_while_the_answer_is_fresh(desk: Desk, company: Crm, open_ticket: Opening) -> None:
    connector_id = await desk.connect(company.url())
    await open_ticket(desk)
    await desk.settled()
    await desk.let_pass(A_DAY - timedelta(minutes=1), connector_id)

    await open_ticket(desk)

    assert not (await desk.panel())["refreshing"]
    assert len(await desk.log(connector_id)) == 1


@opening
async def test_opening_a_ticket_asks_when_the_answer_has_expired(desk: Desk, company: Crm, open_ticket: Opening) -> None:
    connector_id = await desk.connect(company.url())
    await open_ticket(desk)
    await desk.settled()
    await desk.let_pass(A_DAY, connector_id)

    await open_ticket(desk)

    await desk.settled()
    newest, _ = await desk.tickets()
    assert [line["trigger"] for line in await desk.log(connector_id)] == ["TICKET", "TICKET"]
    assert company.requests[-1].json["ticket_id"] == newest["id"]


@opening
async def test_opening_a_ticket_asks_when_the_newest_outcome_is_a_failure(desk: Desk, company: Crm, open_ticket: Opening) -> None:
    connector_id = await desk.connect(company.url())
    company.answers["/lookup"] = FAILING
    await open_ticket(desk)
    await desk.settled()

    await open_ticket(desk)

    await desk.settled()
    assert len(await desk.log(connector_id)) == 2


@opening
async def test_opening_a_ticket_asks_after_a_failure_although_the_answer_before_it_is_fresh(
    desk: Desk, company: Crm, open_ticket: Opening
) -> None:
    connector_id = await desk.connect(company.url())
    ticket_id = await desk.open()
    await desk.settled()
    company.answers["/lookup"] = FAILING
    await desk.refresh(ticket_id)
    await desk.settled()
    company.answers["/lookup"] = FOUND

    await open_ticket(desk)

    assert (await desk.settled())["status"] == "FOUND"
    assert [line["trigger"] for line in await desk.log(connector_id)] == ["TICKET", "REFRESH", "TICKET"]


@opening
async def test_creating_a_ticket_waits_for_no_endpoint(desk: Desk, company: Crm, open_ticket: Opening) -> None:
    await desk.connect(company.url())
    company.hang()

    await open_ticket(desk)

    panel = await desk.panel()
    assert (panel["status"], panel["refreshing"]) == ("PENDING", True)


# A reply


async def test_a_reply_does_not_ask_while_the_answer_is_fresh(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url())
    await by_mail(desk)
    await desk.settled()

    await reply(desk)

    assert not (await desk.panel())["refreshing"]
    assert len(await desk.log(connector_id)) == 1


async def test_a_reply_asks_only_the_connectors_whose_stored_answer_has_expired(desk: Desk, company: Crm) -> None:
    short = await desk.connect(company.url("/short"), cacheTtlHours=1)
    long = await desk.connect(company.url("/long"), cacheTtlHours=3)
    await by_mail(desk)
    await desk.settled(panel=0)
    await desk.settled(panel=1)
    for connector_id in (short, long):
        await desk.let_pass(timedelta(hours=2), connector_id)

    await reply(desk)

    await desk.settled(panel=0)
    (ticket,) = await desk.tickets()
    assert [(line["trigger"], line["ticketId"]) for line in await desk.log(short)] == [("TICKET", ticket["id"])] * 2
    assert len(await desk.log(long)) == 1


async def test_a_reply_after_a_failure_asks_nothing_while_the_answer_before_it_is_fresh(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url())
    await by_mail(desk)
    await desk.settled()
    company.answers["/lookup"] = FAILING
    (ticket,) = await desk.tickets()
    await desk.refresh(ticket["id"])
    await desk.settled()

    await reply(desk)

    assert not (await desk.panel())["refreshing"]
    assert len(await desk.log(connector_id)) == 2


async def test_a_reply_after_a_failure_asks_when_the_answer_before_it_has_expired(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url())
    await by_mail(desk)
    await desk.settled()
    company.answers["/lookup"] = FAILING
    (ticket,) = await desk.tickets()
    await desk.refresh(ticket["id"])
    await desk.settled()
    await desk.let_pass(A_DAY, connector_id)

    await reply(desk)

    await desk.settled()
    assert [line["trigger"] for line in await desk.log(connector_id)] == ["TICKET", "REFRESH", "TICKET"]


async def test_a_reply_after_a_failure_without_an_answer_asks_nothing(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url())
    company.answers["/lookup"] = FAILING
    await by_mail(desk)
    await desk.settled()

    await reply(desk)

    assert not (await desk.panel())["refreshing"]
    assert len(await desk.log(connector_id)) == 1


async def test_a_reply_asks_nothing_of_a_connector_that_was_never_asked(desk: Desk, company: Crm) -> None:
    await by_mail(desk)
    connector_id = await desk.connect(company.url())

    await reply(desk)

    panel = await desk.panel()
    assert (panel["status"], panel["refreshing"]) == ("PENDING", False)
    assert await desk.log(connector_id) == []


# VIEW


@pytest.mark.parametrize("role", [Role.AGENT, Role.ADMIN])
@pytest.mark.parametrize(
    "query",
    [
        "query ($id: ID!) { ticket(id: $id) { id } }",
        "query ($id: ID!) { ticket(id: $id) { __typename } }",
        "query ($id: ID!) { mine: ticket(id: $id) { messages { nodes { text } } } }",
        "query ($id: ID!) { ...it } fragment it on Query { ticket(id: $id) { subject } }",
    ],
)
async def test_viewing_asks_whatever_the_query_selects(desk: Desk, company: Crm, query: str, role: Role) -> None:
    connector_id = await desk.connect(company.url())
    ticket_id = await desk.open()
    await desk.settled()
    await desk.let_pass(A_DAY, connector_id)

    await desk.front_end(role, workspace=desk.workspace_id).ask(query, id=ticket_id)

    assert [line["trigger"] for line in await desk.log(connector_id)] == ["VIEW", "TICKET"]
    assert [line["ticketId"] for line in await desk.log(connector_id)] == [ticket_id, ticket_id]
    await desk.settled()


async def test_viewing_over_a_socket_asks_as_well(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url())
    ticket_id = await desk.open()
    await desk.settled()
    await desk.let_pass(A_DAY, connector_id)

    async with desk.agent.watching("query ($id: ID!) { ticket(id: $id) { crmPanels { refreshing } } }", id=ticket_id) as answer:
        ticket = await answer.next()

    assert ticket == {"crmPanels": [{"refreshing": True}]}
    await desk.settled()


async def test_the_very_answer_to_the_view_says_refreshing(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    connector_id = await desk.connect(company.url())
    ticket_id = await desk.open()
    await desk.settled()
    await desk.let_pass(A_DAY, connector_id)

    seen = await desk.view(ticket_id)

    assert (seen["status"], seen["refreshing"], seen["stale"]) == ("FOUND", True, False)
    assert seen["customer"]["name"] == "Jan Novák"
    renewed = await desk.settled()
    assert moment(renewed["fetchedAt"]) > moment(seen["fetchedAt"])


async def test_the_answer_to_the_view_says_refreshing_beside_a_list_in_the_same_query(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url())
    ticket_id = await desk.open()
    await desk.settled()
    await desk.let_pass(A_DAY, connector_id)
    release = company.hang()  # or it may have answered the first view when the second one looks
    query = """query ($id: ID!) {
      tickets { nodes { crmPanels { id } } }
      ticket(id: $id) { crmPanels { refreshing } }
      again: ticket(id: $id) { crmPanels { refreshing } }
    }"""

    seen = await desk.agent.ask(query, id=ticket_id)

    assert seen["ticket"] == seen["again"] == {"crmPanels": [{"refreshing": True}]}
    release.set()
    await desk.settled()


async def test_viewing_asks_only_the_connectors_without_a_fresh_answer(desk: Desk, company: Crm) -> None:
    expired = await desk.connect(company.url("/expired"))
    fresh = await desk.connect(company.url("/fresh"))
    failed = await desk.connect(company.url("/failed"))
    company.answers["/failed"] = FAILING
    ticket_id = await desk.open()
    for panel in range(3):
        await desk.settled(panel=panel)
    never = await desk.connect(company.url("/never"))
    await desk.let_pass(A_DAY, expired)

    await desk.view(ticket_id)

    for panel in range(4):
        await desk.settled(panel=panel)
    triggers = [[line["trigger"] for line in await desk.log(id)] for id in (expired, fresh, failed, never)]
    assert triggers == [["VIEW", "TICKET"], ["TICKET"], ["TICKET"], ["VIEW"]]


async def test_viewing_does_not_repeat_a_failure_however_old_the_answer_before_it_is(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url())
    ticket_id = await desk.open()
    await desk.settled()
    company.answers["/lookup"] = FAILING
    await desk.refresh(ticket_id)
    await desk.settled()
    await desk.let_pass(A_DAY, connector_id)

    seen = await desk.view(ticket_id)

    assert (seen["status"], seen["refreshing"]) == ("ERROR", False)
    assert len(await desk.log(connector_id)) == 2


# What never asks


async def test_a_list_never_asks(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url(), cacheTtlHours=0)
    await desk.open()
    await desk.settled()

    (ticket,) = await desk.tickets()

    assert not ticket["crmPanels"][0]["refreshing"]
    assert len(await desk.log(connector_id)) == 1


async def test_a_subscription_never_asks(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url(), cacheTtlHours=0)
    ticket_id = await desk.open()
    await desk.settled()

    async with desk.agent.watching(WATCH, id=ticket_id) as panels:
        assert not (await panels.next())["refreshing"]
        async with desk.agent.watching("subscription { ticketOpened { crmPanels { refreshing } } }") as opened:
            await desk.change(connector_id, name="Renamed")
            assert not (await panels.next())["refreshing"]
            await desk.change(connector_id, enabled=False)
            await desk.open()
            assert await opened.next() == {"crmPanels": []}

    assert len(await desk.log(connector_id)) == 1


async def test_the_result_of_a_mutation_never_asks(desk: Desk, company: Crm) -> None:
    shown = await desk.connect(company.url("/shown"), position=1)
    asked = await desk.connect(company.url("/asked"), position=2)
    ticket_id = await desk.open()
    await desk.settled(panel=0)
    await desk.settled(panel=1)
    await desk.let_pass(A_DAY, shown)

    await desk.refresh(ticket_id, asked)

    assert not (await desk.panel(panel=0))["refreshing"]
    assert len(await desk.log(shown)) == 1
    assert len(await desk.log(asked)) == 2
    await desk.settled(panel=1)


async def test_reading_the_connectors_never_asks(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url(), cacheTtlHours=0)
    await desk.open()
    await desk.settled()

    await desk.admin.ask("{ connectors { lookups { nodes { status } } } viewer { name } }")

    assert len(await desk.log(connector_id)) == 1


async def test_a_lookup_is_sent_with_the_ticket_whose_event_started_it(desk: Desk, company: Crm) -> None:
    await desk.connect(company.url(), cacheTtlHours=0)
    first = await desk.open()
    await desk.settled()
    second = await desk.open()
    await desk.settled()
    await desk.view(first)
    await desk.settled()
    await desk.refresh(second)
    await desk.settled()

    assert [request.json["ticket_id"] for request in await arrived(company, 4)] == [first, second, first, second]


async def test_who_waits_for_nobody_sees_the_answer_come(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    release = company.hang()
    await desk.connect(company.url())
    ticket_id = await desk.open()

    async with desk.agent.watching(WATCH, id=ticket_id) as panels:
        assert (await panels.next())["refreshing"]
        release.set()
        assert (await panels.next())["status"] == "FOUND"
