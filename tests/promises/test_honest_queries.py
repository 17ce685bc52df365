"""No limit stands in the way of an honest client: all that the contract names is served, and at no cost worth naming."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from graphql import build_client_schema, get_introspection_query, parse

from graph.documents import Documents
from graph.limits import Limits
from graph.scales import weigh
from graph.schema import build_schema
from tests.graph.desk import LOOKUP, REQUESTER, TICKET_MEMBERS, open_ticket, stock
from tests.stage.crm import FOUND
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from tests.promises.conftest import Figure
    from tests.stage.crm import Crm
    from tests.stage.helpdesk import Helpdesk

pytestmark = pytest.mark.timed

EVERYTHING = f"{{ tickets(first: 100) {{ nodes {{ {TICKET_MEMBERS} }} pageInfo {{ hasNextPage endCursor }} }} }}"
EVERYTHING_TWICE = f"""
query Page($first: Int!) {{
  tickets(first: $first) {{
    nodes {{ ...members }} edges {{ cursor node {{ ...members }} }} pageInfo {{ hasNextPage endCursor }}
  }}
}}
fragment members on Ticket {{ __typename {TICKET_MEMBERS} }}
"""
INTROSPECTION = get_introspection_query(
    descriptions=True,
    specified_by_url=True,
    directive_is_repeatable=True,
    schema_description=True,
    input_value_deprecation=True,
    experimental_directive_deprecation=True,
    one_of=True,
)
COMPONENTS = (
    "{ tickets { nodes { "
    + " ".join(f"...C{n}" for n in range(60))
    + " } } } "
    + " ".join(f"fragment C{n} on Ticket {{ __typename id subject requester {{ __typename email }} }}" for n in range(60))
)
"""What a front end of sixty components sends, each of which asks for what it shows."""


async def test_a_hundred_tickets_with_every_member_of_panels_and_messages(helpdesk: Helpdesk, crm: Crm, figure: Figure) -> None:
    crm.answers = dict.fromkeys(("/one", "/two", "/three"), FOUND)
    for path in crm.answers:
        await helpdesk.connect(crm.url(path), path)
    await open_ticket(helpdesk.agent, email=REQUESTER)
    await stock(helpdesk, 99)

    async def settled() -> bool:
        return not any(panel["refreshing"] for ticket in await helpdesk.tickets() for panel in ticket["crmPanels"])

    await eventually(settled)
    started = time.monotonic()
    tickets = (await helpdesk.agent.ask(EVERYTHING))["tickets"]
    figure("a hundred tickets with every member, s", time.monotonic() - started)
    twice = (await helpdesk.agent.ask(EVERYTHING_TWICE, first=100))["tickets"]

    assert [ticket["number"] for ticket in tickets["nodes"]] == list(range(100, 0, -1))
    assert {panel["status"] for ticket in tickets["nodes"] for panel in ticket["crmPanels"]} == {"FOUND"}
    assert len(twice["nodes"]) == len(twice["edges"]) == 100


async def test_sixty_four_aliases(helpdesk: Helpdesk) -> None:
    ids = await stock(helpdesk, 64)
    tickets = " ".join(f't{n}: ticket(id: "{ticket_id}") {{ {TICKET_MEMBERS} }}' for n, ticket_id in enumerate(ids))
    pages = " ".join(
        f"t{n}: tickets(first: 100) {{ nodes {{ id number subject crmPanels {{ id status }} }} }}" for n in range(64)
    )
    created = " ".join(
        f't{n}: createTicket(input: {{requesterEmail: "a@b.cz", requesterName: "A", subject: "{n}", text: ""}}) {{ __typename }}'
        for n in range(64)
    )

    for document in (f"{{ {tickets} }}", f"{{ {pages} }}", f"mutation {{ {created} }}"):
        assert len(await helpdesk.agent.ask(document)) == 64


async def test_the_introspection_of_graphiql(helpdesk: Helpdesk) -> None:
    assert build_client_schema(await helpdesk.agent.ask(INTROSPECTION)).query_type is not None


async def test_a_front_end_of_many_components_that_share_fields(helpdesk: Helpdesk) -> None:
    await open_ticket(helpdesk.agent)

    (ticket,) = (await helpdesk.agent.ask(COMPONENTS))["tickets"]["nodes"]

    assert ticket["requester"]["email"] == REQUESTER


async def test_the_log_of_every_connector_with_every_member(helpdesk: Helpdesk, crm: Crm) -> None:
    await helpdesk.connect(crm.url())
    log = f"connectors {{ lookups(first: 100) {{ nodes {{ {LOOKUP} }} edges {{ cursor node {{ {LOOKUP} }} }} }} }}"

    assert len((await helpdesk.admin.ask(f"{{ {log} }}"))["connectors"]) == 1


def test_the_limits_cost_an_honest_document_next_to_nothing(figure: Figure) -> None:
    schema, limits = build_schema()._schema, Limits()  # noqa: SLF001 - the schema as graphql-core sees it
    document = parse(EVERYTHING)
    documents = Documents(limits, suggestions=True)
    first = documents.read(EVERYTHING, schema)

    weighing = min(_cpu(lambda: weigh(document, schema, limits)) for _ in range(20))
    again = min(_cpu(lambda: documents.read(EVERYTHING, schema)) for _ in range(20))

    assert not first.errors
    assert weighing < 0.02
    assert again < 0.001
    figure("an honest document weighed, ms of CPU, once", weighing * 1000)
    figure("the same document the next time, µs of CPU", again * 1_000_000)


def _cpu(work: object) -> float:
    started = time.process_time()
    assert callable(work)
    work()
    return time.process_time() - started
