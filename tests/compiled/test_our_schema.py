"""Our own schema over a real database: what front ends ask, and whatever else they might."""

from __future__ import annotations

from collections import Counter
from contextlib import aclosing
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest
from graphql import parse

from compiled.plan import EventPlan, QueryPlan, plan_of
from domain.identity import Principal, Role
from graph.context import Context
from graph.schema import build_schema
from server.clock import utc_now
from tests.compiled.both import Way, compare, core
from tests.compiled.documents import Author
from tests.graph.desk import open_ticket
from tests.stage.crm import FOUND, NOT_FOUND
from tests.stage.farm import FULL_SIZE
from tests.stage.helpdesk import LIST, REFRESH, TICKET, WATCH

if TYPE_CHECKING:
    from tests.stage.crm import Crm
    from tests.stage.helpdesk import Helpdesk

SCHEMA = build_schema()
_FOR_ADMINS = {"connector", "connectors", "auditLog"}


@pytest.mark.timeout(300)
async def test_whatever_is_asked_of_our_schema_both_ways_answer_the_same(helpdesk: Helpdesk, crm: Crm) -> None:
    crm.answers |= {"/found": FOUND, "/unknown": NOT_FOUND}
    await helpdesk.connect(crm.url("/found"), "Found", linkTemplate="https://crm.example/{customer_id}")
    await helpdesk.connect(crm.url("/unknown"), "Unknown")
    tickets = [await open_ticket(helpdesk.agent, f"Invoice {n}", f"{n % 2}@firma.cz") for n in range(3)]
    for ticket in range(3):
        await helpdesk.settled(ticket)
        await helpdesk.settled(ticket, 1)
    services = helpdesk.parts.endpoint().services
    admin = Principal(subject="admin", name="Eva", workspace=helpdesk.workspace_id, role=Role.ADMIN, expires_at=utc_now())
    texts = {
        "id": [*tickets, "no-id", "6f9619ff-8b86-d011-b42d-00c04fc964ff"],
        "requesterEmail": ["0@firma.cz", "1@FIRMA.cz", "nobody"],
        "after": ["Mg", "no cursor!"],
        "locale": ["EN"],
    }
    ways: Counter[Way] = Counter()
    for number in range(2_000 if FULL_SIZE else 100):
        chance = Random(number)
        left_out = set() if chance.random() < 0.1 else _FOR_ADMINS

        written = Author(core(SCHEMA), chance, texts=texts, left_out=left_out, calm=chance.random() < 0.9).write()
        way = await compare(
            SCHEMA, parse(written.text), written, lambda: Context(services=services, request_id="r", principal=admin)
        )
        ways[way] += 1
    assert ways["compiled"] > ways.total() / 2, ways


@pytest.mark.parametrize(
    ("text", "plan"),
    [(TICKET, QueryPlan), (LIST, QueryPlan), (WATCH, EventPlan), (REFRESH, type(None))],
    ids=["one", "list", "watch", "refresh"],
)
def test_what_front_ends_ask_all_day_is_compiled(text: str, plan: type) -> None:
    assert isinstance(plan_of(SCHEMA, parse(text), None), plan)


async def test_an_event_that_the_stock_executor_had_before_any_plan_was_made_changes_nothing(helpdesk: Helpdesk) -> None:
    schema, services = build_schema(), helpdesk.parts.endpoint().services
    agent = Principal("agent", None, helpdesk.workspace_id, Role.AGENT, utc_now() + timedelta(hours=1))
    context = Context(services=services, request_id="r", principal=agent)
    watched = await schema.subscribe("subscription { ticketOpened(after: 0) { number } }", context_value=context)
    await open_ticket(helpdesk.agent)
    async with aclosing(watched) as events:
        event = await anext(events)

    assert event.data == {"ticketOpened": {"number": 1}}
    assert plan_of(schema, parse(LIST), None) is not None
