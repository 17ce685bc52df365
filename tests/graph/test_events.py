"""Events that many are shown: rendered once, shared by those who are to see the same, and by nobody else."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from domain.identity import Principal, Role
from graph.context import Context
from graph.endpoint import Endpoint
from graph.execution import Execution
from graph.schema import Schema, build_schema
from server.clock import utc_now
from tests.graph.desk import PANEL, open_ticket

if TYPE_CHECKING:
    from graph.types import CrmPanel
    from tests.stage.helpdesk import Helpdesk

WATCH = f"subscription ($id: ID!) {{ crmPanels(ticketId: $id) {{ {PANEL} }} }}"


@pytest.fixture(params=[True, False], ids=["compiled", "stock"])
def endpoint(request: pytest.FixtureRequest, helpdesk: Helpdesk) -> Endpoint:
    """One that compiles events, and one that does not."""
    one = helpdesk.parts.endpoint()
    return Endpoint(build_schema(compiled=request.param), one.services, one.door)


def context(endpoint: Endpoint, helpdesk: Helpdesk, role: Role = Role.AGENT, name: str = "someone") -> Context:
    principal = Principal(name, name, helpdesk.workspace_id, role, utc_now() + timedelta(hours=1))
    return Context(services=endpoint.services, request_id=name, principal=principal)


async def panel_of(endpoint: Endpoint, helpdesk: Helpdesk) -> CrmPanel:
    """The only panel of a new ticket."""
    await helpdesk.connect("http://127.0.0.1:9/", 'CRM "ěš"')
    await open_ticket(helpdesk.agent)
    async with endpoint.services.database.glancing(helpdesk.workspace_id) as store:
        (ticket,) = await store.tickets.opened_after(0, limit=1)
        standings = await store.standings.of([ticket.id])
    (panel,) = endpoint.services.panels.of(ticket.id, standings[ticket.id])
    return panel


async def test_an_event_is_the_same_bytes_for_all_with_the_same_question_and_rights(
    endpoint: Endpoint, helpdesk: Helpdesk
) -> None:
    panel = await panel_of(endpoint, helpdesk)
    variables = {"id": panel.ticket_id}

    one, other = [
        endpoint.events.audience(WATCH, dict(variables), None, context(endpoint, helpdesk, name=name)) for name in ("Jan", "Eva")
    ]

    assert one is not None
    assert one is other
    assert one.ticket_id == panel.ticket_id
    assert one.data(panel) is one.data(panel)
    assert json.loads(one.data(panel))["crmPanels"]["connectorName"] == 'CRM "ěš"'


async def test_whoever_has_another_right_shares_no_byte(endpoint: Endpoint, helpdesk: Helpdesk) -> None:
    panel = await panel_of(endpoint, helpdesk)
    variables = {"id": panel.ticket_id}

    agents, admins = [
        endpoint.events.audience(WATCH, variables, None, context(endpoint, helpdesk, role)) for role in (Role.AGENT, Role.ADMIN)
    ]

    assert agents is not None
    assert admins is not None
    assert agents is not admins
    assert agents.data(panel) is not admins.data(panel)


OTHERS: dict[str, dict[str, Any]] = {
    "another document": {"query": WATCH + " "},
    "other variables": {"variables": {"id": "x"}},
    "a variable more": {"variables": {"more": 1}},
    "a name": {"operation_name": "Panels"},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
async def test_whoever_asks_otherwise_is_of_another_audience(
    endpoint: Endpoint, helpdesk: Helpdesk, other: dict[str, Any]
) -> None:
    asked: dict[str, Any] = {"query": WATCH.replace("subscription", "subscription Panels"), "variables": {"id": "1"}}
    asked |= {"operation_name": None, "context": context(endpoint, helpdesk)}

    mine = endpoint.events.audience(**asked)
    theirs = endpoint.events.audience(**asked | other | {"variables": {"id": "1"} | other.get("variables", {})})

    assert mine is not None
    assert theirs is not None
    assert mine is not theirs


NOT_PUSHED: dict[str, dict[str, Any]] = {
    "no syntax": {"query": "{"},
    "a query": {"query": "{ viewer { name } }"},
    "another subscription": {"query": "subscription { ticketOpened { id } }"},
    "an unknown field": {"query": 'subscription { crmPanels(ticketId: "1") { nope } }'},
    "no ticket": {"query": "subscription { crmPanels { id } }"},
    "a variable that is missing": {"query": WATCH, "variables": None},
    "a variable of another type": {"query": WATCH, "variables": {"id": ["1"]}},
    "a variable that no text can hold": {"query": WATCH, "variables": {"id": "\ud800"}},
    "a variable that JSON cannot spell": {"query": WATCH, "variables": {"id": "1", "more": float("nan")}},
    "a fraction": {"query": WATCH, "variables": {"id": "1", "more": [{"half": 0.5}]}},
    "a document that nobody keeps": {"query": WATCH + " " * 50_000},
    "too many variables": {"query": WATCH, "variables": {"id": "1", "more": list(range(3_000))}},
    "several operations without a name": {"query": f"{WATCH.replace('(', 'A(', 1)} {WATCH.replace('(', 'B(', 1)}"},
    "an operation that is not there": {"query": WATCH, "operation_name": "Other"},
    "a fragment at its root": {"query": "subscription { ...P } fragment P on Subscription { crmPanels(ticketId: 1) { id } }"},
}


@pytest.mark.parametrize("asked", NOT_PUSHED.values(), ids=NOT_PUSHED)
async def test_what_is_no_plain_subscription_to_panels_has_no_audience(
    endpoint: Endpoint, helpdesk: Helpdesk, asked: dict[str, Any]
) -> None:
    given = {"variables": {"id": "1"}, "operation_name": None} | asked

    assert endpoint.events.audience(**given, context=context(endpoint, helpdesk)) is None


async def test_what_is_no_subscription_is_not_read_for_nothing(endpoint: Endpoint, helpdesk: Helpdesk) -> None:
    query = "{ viewer { name } }"

    assert endpoint.events.audience(query, None, None, context(endpoint, helpdesk)) is None

    assert isinstance(endpoint.schema, Schema)
    assert not endpoint.schema.knows(query)


async def test_a_document_is_compiled_when_it_comes_for_the_second_time(helpdesk: Helpdesk) -> None:
    one = helpdesk.parts.endpoint()
    events = Endpoint(build_schema(), one.services, one.door).events
    mine, later = context(one, helpdesk), context(one, helpdesk, Role.ADMIN)

    alone = events.audience(WATCH, {"id": "1"}, None, mine)
    assert alone is not None
    ways = [alone.execution]
    assert events.audience(WATCH, {"id": "1"}, None, mine) is alone
    known = events.audience(WATCH, {"id": "2"}, None, later)
    assert known is not None

    assert [*ways, alone.execution, known.execution] == [Execution.STOCK, Execution.COMPILED, Execution.COMPILED]


async def test_what_was_rendered_is_kept_while_it_is_small(endpoint: Endpoint, helpdesk: Helpdesk) -> None:
    panel = await panel_of(endpoint, helpdesk)
    many = " ".join(f"a{number}: connectorName" for number in range(199))
    audience = endpoint.events.audience(
        f'subscription {{ crmPanels(ticketId: "{panel.ticket_id}") {{ {many} }} }}', None, None, context(endpoint, helpdesk)
    )
    assert audience is not None
    assert audience.data(panel) is audience.data(panel)
    assert len(audience.data(panel)) < 64 * 1024


async def test_an_audience_lasts_as_long_as_anybody_is_in_it(endpoint: Endpoint, helpdesk: Helpdesk) -> None:
    audience = endpoint.events.audience(WATCH, {"id": "1"}, None, context(endpoint, helpdesk))
    assert len(endpoint.events) == 1

    del audience

    assert len(endpoint.events) == 0
