"""The order of connectors is changed in one step, or not at all."""

from __future__ import annotations

import asyncio
from itertools import permutations
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from lookups.updates import CONNECTORS as CONNECTORS_CHANGED
from tests.graph.desk import open_neighbour, open_ticket
from tests.lookups.room import told
from tests.stage.crm import response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.stage.crm import Crm
    from tests.stage.helpdesk import Helpdesk

CONNECTOR = "id name position updatedAt health { state since failuresInARow }"
ARRANGE = f"""
mutation ($ids: [ID!]!) {{
  arrangeConnectors(ids: $ids) {{
    __typename
    ... on ConnectorsArranged {{ connectors {{ {CONNECTOR} }} }}
    ... on InvalidInput {{ problems {{ field message }} }}
    ... on NotFound {{ message }}
  }}
}}
"""
CONNECTORS = f"{{ connectors {{ {CONNECTOR} }} }}"
AUDIT = "{ auditLog { nodes { action members connectors { name } } } }"
PANELS = "query ($id: ID!) { ticket(id: $id) { crmPanels { connectorName status fetchedAt } } }"


async def connect(helpdesk: Helpdesk, crm: Crm, names: str = "abc") -> dict[str, str]:
    return {name: await helpdesk.connect(crm.url(f"/{name}"), name) for name in names}


async def arrange(helpdesk: Helpdesk, ids: Sequence[str]) -> Any:  # noqa: ANN401 - what the mutation answers
    return (await helpdesk.admin.ask(ARRANGE, ids=list(ids)))["arrangeConnectors"]


async def stands(helpdesk: Helpdesk) -> list[Any]:
    connectors: list[Any] = (await helpdesk.admin.ask(CONNECTORS))["connectors"]
    return connectors


async def names(helpdesk: Helpdesk) -> str:
    return "".join(connector["name"] for connector in await stands(helpdesk))


async def test_connectors_stand_in_the_order_that_was_asked_for(helpdesk: Helpdesk, crm: Crm) -> None:
    ids = await connect(helpdesk, crm)
    for order in permutations("abc"):
        arranged = await arrange(helpdesk, [ids[name] for name in order])

        assert arranged["connectors"] == await stands(helpdesk)
        assert [(one["name"], one["position"]) for one in arranged["connectors"]] == list(zip(order, range(3), strict=True))


@pytest.mark.parametrize(("named", "order"), [("", "abcd"), ("c", "cabd"), ("db", "dbac")])
async def test_those_that_are_not_named_keep_their_order_behind(helpdesk: Helpdesk, crm: Crm, named: str, order: str) -> None:
    ids = await connect(helpdesk, crm, "abcd")

    await arrange(helpdesk, [ids[name] for name in named])

    assert await names(helpdesk) == order


async def test_only_what_moves_is_changed_and_told_in_one_entry_of_the_audit_log(helpdesk: Helpdesk, crm: Crm) -> None:
    ids = await connect(helpdesk, crm)
    await arrange(helpdesk, list(ids.values()))
    before = {connector["name"]: connector["updatedAt"] for connector in await stands(helpdesk)}
    entries = len((await helpdesk.admin.ask(AUDIT))["auditLog"]["nodes"])

    for _ in range(2):  # the second time nothing moves
        await arrange(helpdesk, [ids["a"], ids["c"], ids["b"]])

    after = {connector["name"]: connector["updatedAt"] for connector in await stands(helpdesk)}
    assert [name for name in after if after[name] != before[name]] == ["c", "b"]
    entry, *others = (await helpdesk.admin.ask(AUDIT))["auditLog"]["nodes"]
    moved = [{"name": "c"}, {"name": "b"}]
    assert entry == {"action": "CONNECTOR_UPDATED", "members": ["position"], "connectors": moved}
    assert len(others) == entries


async def test_what_is_unknown_or_named_twice_moves_nothing(helpdesk: Helpdesk, crm: Crm) -> None:
    ids = await connect(helpdesk, crm)
    neighbour = await open_neighbour(helpdesk, crm.url("/theirs"))
    before = await stands(helpdesk)

    for unknown in ("", "x", str(uuid4()), neighbour.connector_id):
        assert (await arrange(helpdesk, [ids["c"], unknown]))["__typename"] == "NotFound"
    for twice in (ids["c"], ids["c"].upper()):
        refusal = await arrange(helpdesk, [ids["c"], ids["a"], twice])
        assert [problem["field"] for problem in refusal["problems"]] == ["ids"]

    assert await stands(helpdesk) == before


async def test_neither_health_nor_answers_change(helpdesk: Helpdesk, crm: Crm) -> None:
    crm.answers["/b"] = response(500, b"")
    ids = await connect(helpdesk, crm)
    ticket_id = await open_ticket(helpdesk.agent)
    for place in range(3):
        await helpdesk.settled(panel=place)
    before = (await helpdesk.agent.ask(PANELS, id=ticket_id))["ticket"]["crmPanels"]
    health = {connector["name"]: connector["health"] for connector in await stands(helpdesk)}

    await arrange(helpdesk, [ids["c"], ids["b"], ids["a"]])

    assert (await helpdesk.agent.ask(PANELS, id=ticket_id))["ticket"]["crmPanels"] == before[::-1]
    assert {connector["name"]: connector["health"] for connector in await stands(helpdesk)} == health
    assert health["b"]["failuresInARow"] == 1


async def test_whoever_watches_connectors_is_told_where_something_moved(helpdesk: Helpdesk, crm: Crm) -> None:
    ids = await connect(helpdesk, crm)
    updates, workspace_id = helpdesk.parts.updates, helpdesk.workspace_id
    async with updates.watch(workspace_id, CONNECTORS_CHANGED) as watch:
        for told_of in (True, False):
            await arrange(helpdesk, [ids["c"], ids["b"], ids["a"]])
            assert await told(updates, workspace_id, watch) is told_of


async def test_of_many_arrangements_at_once_one_stands(helpdesk: Helpdesk, crm: Crm) -> None:
    ids = await connect(helpdesk, crm, "abcd")
    orders = list(permutations("abcd"))

    came = await asyncio.gather(*(arrange(helpdesk, [ids[name] for name in order]) for order in orders))

    assert {one["__typename"] for one in came} == {"ConnectorsArranged"}
    assert ["".join(connector["name"] for connector in one["connectors"]) for one in came] == ["".join(order) for order in orders]
    assert [connector["position"] for connector in await stands(helpdesk)] == [0, 1, 2, 3]
