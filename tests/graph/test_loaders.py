"""Loaders: one statement for many, and nothing that has grown old."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, cast

from domain.identity import Principal, Role
from graph.context import Context
from graph.schema import build_schema
from server.clock import utc_now
from tests.graph.desk import open_ticket, statements, stock, watches
from tests.stage.front_end import receive, send
from tests.stage.helpdesk import REFRESH
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tests.stage.crm import Crm
    from tests.stage.helpdesk import Helpdesk

PANELS = "{ tickets { nodes { crmPanels { connectorName status } } } }"


async def test_each_operation_on_a_socket_sees_what_has_changed_since_the_one_before(helpdesk: Helpdesk, crm: Crm) -> None:
    await open_ticket(helpdesk.agent)
    async with helpdesk.agent.signed_in() as socket:

        async def seen() -> Any:  # noqa: ANN401 - panels
            await send(socket, id="1", type="subscribe", payload={"query": PANELS})
            answer = await receive(socket)
            assert (await receive(socket))["type"] == "complete"
            return answer["payload"]["data"]["tickets"]["nodes"][0]["crmPanels"]

        assert await seen() == []
        connector_id = await helpdesk.connect(crm.url(), "First name")
        assert [panel["connectorName"] for panel in await seen()] == ["First name"]
        rename = 'mutation ($id: ID!) { updateConnector(id: $id, input: {name: "Second name"}) { __typename } }'
        await helpdesk.admin.ask(rename, id=connector_id)
        assert [panel["connectorName"] for panel in await seen()] == ["Second name"]


async def test_operations_that_run_at_once_on_a_socket_share_nothing(helpdesk: Helpdesk, crm: Crm) -> None:
    await helpdesk.connect(crm.url())
    await open_ticket(helpdesk.agent)
    await helpdesk.settled()
    async with helpdesk.agent.signed_in() as socket:
        for number in range(20):
            await send(socket, id=str(number), type="subscribe", payload={"query": PANELS})
        messages = [await receive(socket) for _ in range(40)]

    answers = [message["payload"] for message in messages if message["type"] == "next"]
    panel = {"connectorName": "CRM", "status": "NOT_FOUND"}
    assert answers == [{"data": {"tickets": {"nodes": [{"crmPanels": [panel]}]}}}] * 20


class RememberedContext(Context):
    """A context that keeps every one made from it."""

    made: ClassVar[list[Context]] = []

    def afresh(self, *, request_id: str | None = None) -> Context:
        made = super().afresh(request_id=request_id)
        self.made.append(made)
        return made


async def test_each_event_of_a_subscription_has_loaders_of_its_own(helpdesk: Helpdesk) -> None:
    principal = Principal("someone", None, helpdesk.workspace_id, Role.AGENT, utc_now() + timedelta(hours=1))
    context = RememberedContext(services=helpdesk.parts.endpoint().services, request_id="x", principal=principal)
    subscription = "subscription { ticketOpened { number crmPanels { id } messages { nodes { text } } } }"
    events = cast("AsyncGenerator[Any, None]", await build_schema().subscribe(subscription, context_value=context))

    loaders = set()
    async with aclosing(events):
        for number in (1, 2, 3):
            event = asyncio.create_task(_next(events))
            await eventually(lambda: answered(watches(helpdesk) == 1))
            await open_ticket(helpdesk.agent)
            assert (await event).data["ticketOpened"]["number"] == number
            loaders.add(context.made[-1].loaders)

    assert len(loaders) == 3


async def _next(events: AsyncGenerator[Any, None]) -> Any:  # noqa: ANN401 - strawberry's result
    return await anext(events)


async def answered(value: bool) -> bool:
    return value


def shows(status: str) -> Callable[[Any], bool]:
    return lambda panel: panel == {"status": status, "refreshing": False}


async def test_a_subscription_shows_each_state_however_often_it_has_shown_the_ticket(helpdesk: Helpdesk, crm: Crm) -> None:
    await helpdesk.connect(crm.url())
    ticket_id = await open_ticket(helpdesk.agent)
    await helpdesk.settled()
    watch = "subscription ($id: ID!) { crmPanels(ticketId: $id) { status refreshing } }"

    async with helpdesk.agent.watching(watch, id=ticket_id) as panels:
        assert await panels.next() == {"status": "NOT_FOUND", "refreshing": False}
        for found, status in ((True, "FOUND"), (False, "NOT_FOUND"), (True, "FOUND")):
            crm.answers["/lookup"] = {"found": found}
            await helpdesk.agent.ask(REFRESH, id=ticket_id)
            await panels.until(shows(status))


async def test_aliases_of_one_list_are_loaded_together(helpdesk: Helpdesk, crm: Crm) -> None:
    await helpdesk.connect(crm.url())
    await stock(helpdesk, 10)
    query = """{
      a: tickets { nodes { crmPanels { id } messages { nodes { id } } } }
      b: tickets { nodes { crmPanels { id } other: messages { nodes { id } } } }
    }"""

    with statements(helpdesk) as executed:
        answer = await helpdesk.agent.ask(query)

    assert [ticket["crmPanels"] for ticket in answer["a"]["nodes"]] == [ticket["crmPanels"] for ticket in answer["b"]["nodes"]]
    assert len([statement for statement in executed if "FROM messages" in statement]) <= 2


async def test_pages_of_messages_of_different_sizes_are_told_apart(helpdesk: Helpdesk) -> None:
    (ticket_id, other_id) = await stock(helpdesk, 2)
    query = """query ($a: ID!, $b: ID!) {
      a: ticket(id: $a) { none: messages(first: 0) { nodes { id } } one: messages(first: 1) { nodes { id } } }
      b: ticket(id: $b) { one: messages(first: 1) { nodes { id } } all: messages(first: 100) { nodes { id } } }
    }"""

    answer = await helpdesk.agent.ask(query, a=ticket_id, b=other_id)

    assert answer["a"]["none"]["nodes"] == []
    assert len(answer["a"]["one"]["nodes"]) == 1
    assert answer["b"]["one"]["nodes"] == answer["b"]["all"]["nodes"] != answer["a"]["one"]["nodes"]
