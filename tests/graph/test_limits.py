"""What one request may cost: an honest client never notices, a hostile one is refused before it costs anything."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest
from graphql import build_client_schema, get_introspection_query

from graph.limits import Limits
from tests.graph.desk import LOOKUP, REQUESTER, TICKET_MEMBERS, open_ticket, statements, stock, tidy
from tests.stage.crm import FOUND
from tests.stage.front_end import receive, send
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from tests.stage.crm import Crm
    from tests.stage.helpdesk import Helpdesk

LIMITS = Limits()
EVERYTHING = f"{{ tickets(first: 100) {{ nodes {{ {TICKET_MEMBERS} }} pageInfo {{ hasNextPage endCursor }} }} }}"
EVERYTHING_TWICE = f"""
query ($first: Int!) {{
  tickets(first: $first) {{
    nodes {{ ...members }}
    edges {{ cursor node {{ ...members }} }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}
fragment members on Ticket {{ {TICKET_MEMBERS} }}
"""


# Honest clients.


async def test_a_hundred_tickets_with_every_member_are_served(helpdesk: Helpdesk, crm: Crm) -> None:
    crm.answers = dict.fromkeys(("/one", "/two", "/three"), FOUND)
    for path in crm.answers:
        await helpdesk.connect(crm.url(path), path)
    await open_ticket(helpdesk.agent, email=REQUESTER)
    await eventually(lambda: idle(helpdesk))
    await stock(helpdesk, 99)

    tickets = (await helpdesk.agent.ask(EVERYTHING))["tickets"]
    twice = (await helpdesk.agent.ask(EVERYTHING_TWICE, first=100))["tickets"]

    assert [ticket["number"] for ticket in tickets["nodes"]] == list(range(100, 0, -1))
    assert {panel["status"] for ticket in tickets["nodes"] for panel in ticket["crmPanels"]} == {"FOUND"}
    assert {len(ticket["crmPanels"]) for ticket in tickets["nodes"]} == {3}
    assert {len(ticket["messages"]["nodes"]) for ticket in tickets["nodes"]} == {1}
    assert [edge["node"] for edge in twice["edges"]] == twice["nodes"] == tickets["nodes"]


async def test_sixty_four_aliases_are_served(helpdesk: Helpdesk, crm: Crm) -> None:
    await helpdesk.connect(crm.url())
    ids = await stock(helpdesk, 64)
    aliases = " ".join(f't{n}: ticket(id: "{ticket_id}") {{ {TICKET_MEMBERS} }}' for n, ticket_id in enumerate(ids))

    answer = await helpdesk.agent.ask(f"{{ {aliases} }}")

    assert [answer[f"t{n}"]["id"] for n in range(64)] == ids


async def test_sixty_four_aliases_of_a_hundred_tickets_are_served(helpdesk: Helpdesk) -> None:
    await open_ticket(helpdesk.agent)
    members = "nodes { id number subject requester { email name } crmPanels { id status badge { text color } } }"
    aliases = " ".join(f"t{n}: tickets(first: 100) {{ {members} }}" for n in range(64))

    answer = await helpdesk.agent.ask(f"{{ {aliases} }}")

    assert {len(page["nodes"]) for page in answer.values()} == {1}


async def test_the_log_of_every_connector_is_served(helpdesk: Helpdesk, crm: Crm) -> None:
    await helpdesk.connect(crm.url())
    await open_ticket(helpdesk.agent)
    await helpdesk.settled()

    log = f"connectors {{ lookups(first: 100) {{ nodes {{ {LOOKUP} }} edges {{ cursor node {{ {LOOKUP} }} }} }} }}"
    answer = await helpdesk.admin.ask(f"{{ {log} }}")

    assert len(answer["connectors"][0]["lookups"]["nodes"]) == 1


async def test_the_introspection_of_graphiql_is_served(helpdesk: Helpdesk) -> None:
    query = get_introspection_query(
        descriptions=True,
        specified_by_url=True,
        directive_is_repeatable=True,
        schema_description=True,
        input_value_deprecation=True,
        experimental_directive_deprecation=True,
        one_of=True,
    )

    answer = await helpdesk.agent.ask(query)

    assert build_client_schema(answer).query_type is not None


# Hostile ones.


def chain(length: int, times: int) -> str:
    """Fragments each of which spreads the next one more than once."""
    spreads = [f"fragment F{n} on Query {{ {f'...F{n + 1} ' * times}}}" for n in range(length)]
    return " ".join(["{ ...F0 }", *spreads, f"fragment F{length} on Query {{ viewer {{ name }} }}"])


HOSTILE = {
    "one alias too many": "{ " + " ".join(f"a{n}: viewer {{ name }}" for n in range(LIMITS.aliases + 1)) + " }",
    "aliases in fragments": "{ ...A ...A } fragment A on Query { "
    + " ".join(f"a{n}: viewer {{ name }}" for n in range(LIMITS.aliases // 2 + 1))
    + " }",
    "a level too deep": '{ __type(name: "Ticket") { ' + "ofType { " * LIMITS.depth + "name" + " }" * LIMITS.depth + " } }",
    "nested without end": "{ a " * 2_000,
    "lists nested without end": "{ ticket(id: " + "[" * 4_000,
    "objects nested without end": "{ ticket(id: " + "{a: " * 2_000,
    "a token too many": "{ " + "viewer " * LIMITS.tokens + " }",
    "a hundred times every member": "{ "
    + " ".join(f"a{n}: tickets(first: 100) {{ nodes {{ {TICKET_MEMBERS} }} }}" for n in range(30))
    + " }",
    "as much by a variable": "query ($n: Int!) { "
    + " ".join(f"a{n}: tickets(first: $n) {{ nodes {{ ...m }} }}" for n in range(30))
    + f" }} fragment m on Ticket {{ {TICKET_MEMBERS} }}",
}


async def test_what_costs_too_much_is_refused_and_told_so(helpdesk: Helpdesk) -> None:
    answers = {name: tidy(await helpdesk.agent.post(query, {"n": 100})) for name, query in HOSTILE.items()}

    assert answers == dict.fromkeys(HOSTILE, (200, "LIMIT_EXCEEDED"))


@pytest.mark.parametrize("times", [2, 8])
async def test_fragments_that_spread_each_other_cost_no_more_than_their_length(helpdesk: Helpdesk, times: int) -> None:
    async with asyncio.timeout(20):
        answers = [await helpdesk.agent.post(chain(length, times)) for length in (20, 40, 80, 160)]

    for answer in answers:
        assert answer.status_code == 200
        assert {error["extensions"]["code"] for error in answer.json().get("errors", ())} <= {"BAD_REQUEST", "LIMIT_EXCEEDED"}


async def test_the_limits_hold_over_a_socket_and_in_a_stream(helpdesk: Helpdesk) -> None:
    query = HOSTILE["one alias too many"]
    async with helpdesk.agent.signed_in() as socket:
        await send(socket, id="1", type="subscribe", payload={"query": query})
        (error,) = (await receive(socket))["payload"]
    streamed = await helpdesk.agent.post(query, Accept="text/event-stream")

    assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
    assert tidy(streamed) == (200, "LIMIT_EXCEEDED")


async def test_a_subscription_is_looked_for_no_further_than_a_document_may_reach(helpdesk: Helpdesk) -> None:
    endless = "subscription { ticketOpened { " + "id " * LIMITS.tokens + "} }"

    for accept in ("application/json", "text/event-stream"):
        assert tidy(await helpdesk.agent.post(endless, Accept=accept)) == (200, "LIMIT_EXCEEDED")


async def test_each_operation_of_a_document_is_weighed(helpdesk: Helpdesk) -> None:
    document = f"query A {{ viewer {{ name }} }} query B {HOSTILE['one alias too many']}"

    assert await helpdesk.agent.refused(document) == "LIMIT_EXCEEDED"


# The database is asked in a constant number of statements.


async def test_a_hundred_tickets_cost_as_many_statements_as_one(helpdesk: Helpdesk, crm: Crm) -> None:
    for path in ("/one", "/two"):
        await helpdesk.connect(crm.url(path), path)

    costs = []
    for more in (1, 99):
        await stock(helpdesk, more)
        with statements(helpdesk) as executed:
            await helpdesk.agent.ask(EVERYTHING)
        costs.append(sorted(re.findall(r"FROM (\w+)", statement)[-1] for statement in executed if "SELECT" in statement))

    of_the_sweeper = {"lookups"}
    assert [[table for table in cost if table not in of_the_sweeper] for cost in costs] == [
        ["connectors", "messages", "tickets", "tickets"]
    ] * 2


async def idle(helpdesk: Helpdesk) -> bool:
    return not any(panel["refreshing"] for ticket in await helpdesk.tickets() for panel in ticket["crmPanels"])
