"""Lists in pages: every entry once while others are added, and nothing that is no page."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from tests.graph.desk import open_ticket, stock
from tests.stage.helpdesk import message

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.stage.crm import Crm
    from tests.stage.front_end import FrontEnd
    from tests.stage.helpdesk import Helpdesk

PAGE = "nodes { id } edges { cursor node { id } } pageInfo { hasNextPage endCursor }"
TEST = 'mutation ($id: ID!) { testConnector(id: $id, email: "jan@firma.cz") { __typename } }'


class List:
    """One list of the API: how a page of it is asked for, and how an entry is added."""

    def __init__(self, query: str, front_end: FrontEnd, variables: dict[str, Any], add: Callable[[], Awaitable[object]]) -> None:
        self.front_end = front_end
        self.add = add
        self._query = query
        self._variables = variables

    async def page(self, first: int | None = None, after: str | None = None) -> Any:  # noqa: ANN401 - a connection
        found = await self.front_end.ask(self._query, **self._arguments(first=first, after=after))
        while "nodes" not in found:
            (found,) = found.values()
        return found

    async def refused(self, **arguments: Any) -> str:  # noqa: ANN401 - any argument
        return await self.front_end.refused(self._query, **self._arguments(**arguments))

    def _arguments(self, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401
        return self._variables | {name: value for name, value in arguments.items() if value is not None}


@pytest.fixture(params=["tickets", "tickets with panels", "messages", "lookups"])
async def pages(request: pytest.FixtureRequest, helpdesk: Helpdesk, crm: Crm) -> List:
    """Each list with five entries."""
    match request.param:
        case "tickets" | "tickets with panels":
            page = PAGE if request.param == "tickets" else PAGE.replace("{ id }", "{ id crmPanels { connectorName } }")
            query = f"query ($first: Int! = 20, $after: String) {{ tickets(first: $first, after: $after) {{ {page} }} }}"
            some = List(query, helpdesk.agent, {}, lambda: open_ticket(helpdesk.agent))
        case "messages":
            query = f"""query ($id: ID!, $first: Int! = 20, $after: String) {{
              ticket(id: $id) {{ messages(first: $first, after: $after) {{ {PAGE} }} }} }}"""
            some = await _messages(helpdesk, query)
        case _:
            query = f"""query ($id: ID!, $first: Int! = 10, $after: String) {{
              connector(id: $id) {{ lookups(first: $first, after: $after) {{ {PAGE} }} }} }}"""
            connector_id = await helpdesk.connect(crm.url())
            variables = {"id": connector_id}
            some = List(query, helpdesk.admin, variables, lambda: helpdesk.admin.ask(TEST, id=connector_id))
    while len((await some.page())["nodes"]) < 5:
        await some.add()
    return some


async def _messages(helpdesk: Helpdesk, query: str) -> List:
    await helpdesk.mail(From="jan@firma.cz", Message_ID="<0@firma.cz>")
    (ticket,) = await helpdesk.tickets()
    replies = iter(range(1, 1000))

    async def reply() -> None:
        await helpdesk.mail(message(f"Reply {next(replies)}", From="jan@firma.cz", In_Reply_To="<0@firma.cz>"))

    return List(query, helpdesk.agent, {"id": ticket["id"]}, reply)


async def test_pages_visit_every_entry_once_while_others_are_added(pages: List) -> None:
    there_before = [node["id"] for node in (await pages.page())["nodes"]]

    visited: list[str] = []
    page = await pages.page(first=2)
    while True:
        visited += [node["id"] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        if len(visited) <= 4:
            await pages.add()
        page = await pages.page(first=2, after=page["pageInfo"]["endCursor"])

    assert len(visited) == len(set(visited))
    assert [node_id for node_id in visited if node_id in there_before] == there_before


async def test_a_page_has_nodes_edges_and_where_it_ends(pages: List) -> None:
    page = await pages.page(first=3)

    assert len(page["nodes"]) == 3
    assert [edge["node"] for edge in page["edges"]] == page["nodes"]
    assert page["pageInfo"] == {"hasNextPage": True, "endCursor": page["edges"][-1]["cursor"]}


async def test_every_cursor_continues_behind_its_entry(pages: List) -> None:
    whole = await pages.page(first=100)

    for place, edge in enumerate(whole["edges"]):
        behind = await pages.page(first=100, after=edge["cursor"])
        assert behind["nodes"] == whole["nodes"][place + 1 :]


async def test_the_last_page_says_that_nothing_follows(pages: List) -> None:
    for first in (5, 6, 100):
        page = await pages.page(first=first)
        assert (len(page["nodes"]), page["pageInfo"]["hasNextPage"]) == (5, False)
    assert (await pages.page(first=4))["pageInfo"]["hasNextPage"] is True


async def test_behind_the_last_entry_is_an_empty_page(pages: List) -> None:
    last = (await pages.page())["pageInfo"]["endCursor"]

    assert await pages.page(after=last) == {"nodes": [], "edges": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}


async def test_a_page_of_nothing_tells_whether_there_is_anything(pages: List) -> None:
    empty = await pages.page(first=0)

    assert empty == {"nodes": [], "edges": [], "pageInfo": {"hasNextPage": True, "endCursor": None}}


def cursor(key: str | bytes) -> str:
    return base64.urlsafe_b64encode(key.encode() if isinstance(key, str) else key).decode().rstrip("=")


NOT_A_CURSOR = [
    "",
    " ",
    "=",
    "====",
    "a",
    "nonsense",
    "ěšč",
    "\x00",
    cursor(""),
    cursor("nonsense"),
    cursor("-1"),
    cursor("+1"),
    cursor(" 1"),
    cursor("1_0"),
    cursor("1e3"),
    cursor("1.0"),
    cursor("٣".encode()),
    cursor(str(2**31)),
    cursor("9" * 30),
    cursor("9" * 5_000),
    cursor(b"\xff\xfe"),
    cursor("0" * 31),
    cursor("' OR 1=1 --"),
]


async def test_what_is_no_cursor_of_the_list_is_refused(pages: List) -> None:
    codes = {wrong: await pages.refused(after=wrong) for wrong in NOT_A_CURSOR}

    assert codes == dict.fromkeys(NOT_A_CURSOR, "BAD_REQUEST")


async def test_a_page_has_between_0_and_100_entries(pages: List) -> None:
    sizes = [-1, -(2**31), 101, 2**31 - 1, 2**31, 10**20, 1.5, "2", True]

    codes = {size: await pages.refused(first=size) for size in sizes}

    assert codes == dict.fromkeys(sizes, "BAD_REQUEST")
    await pages.page(first=100)


async def test_a_cursor_of_another_list_is_refused(helpdesk: Helpdesk) -> None:
    ticket_id = await open_ticket(helpdesk.agent)
    found = await helpdesk.agent.ask(
        "query ($id: ID!) { tickets { edges { cursor } } ticket(id: $id) { messages { edges { cursor } } } }", id=ticket_id
    )
    of_tickets = found["tickets"]["edges"][0]["cursor"]
    of_messages = found["ticket"]["messages"]["edges"][0]["cursor"]

    tickets = "query ($after: String) { tickets(after: $after) { nodes { id } } }"
    messages = "query ($id: ID!, $after: String) { ticket(id: $id) { messages(after: $after) { nodes { id } } } }"
    assert await helpdesk.agent.refused(tickets, after=of_messages) == "BAD_REQUEST"
    assert await helpdesk.agent.refused(messages, id=ticket_id, after=of_tickets) == "BAD_REQUEST"


async def test_a_page_has_20_entries_where_nothing_else_is_said_and_10_of_the_log(helpdesk: Helpdesk, crm: Crm) -> None:
    await stock(helpdesk, 21)
    connector_id = await helpdesk.connect(crm.url())
    for _ in range(11):
        await helpdesk.admin.ask(TEST, id=connector_id)

    found = await helpdesk.admin.ask(
        "query ($id: ID!) { tickets { nodes { id } } connector(id: $id) { lookups { nodes { id } } } }", id=connector_id
    )

    assert len(found["tickets"]["nodes"]) == 20
    assert len(found["connector"]["lookups"]["nodes"]) == 10


async def test_a_null_page_size_is_refused_where_the_variable_lets_it_through(helpdesk: Helpdesk) -> None:
    query = "query ($first: Int) { tickets(first: $first) { nodes { id } } }"

    assert await helpdesk.agent.ask(query) == {"tickets": {"nodes": []}}
    assert await helpdesk.agent.refused(query, first=None) == "BAD_REQUEST"


async def test_tickets_and_the_log_come_newest_first_and_messages_oldest_first(helpdesk: Helpdesk, crm: Crm) -> None:
    connector_id = await helpdesk.connect(crm.url())
    await helpdesk.mail(message("One", From="jan@firma.cz", Message_ID="<1@firma.cz>"))
    await helpdesk.mail(message("Two", From="jan@firma.cz", In_Reply_To="<1@firma.cz>"))
    await helpdesk.mail(message("Three", From="jan@firma.cz", In_Reply_To="<1@firma.cz>"))
    await open_ticket(helpdesk.agent, "Second")
    await helpdesk.settled()
    await helpdesk.admin.ask(TEST, id=connector_id)

    found = await helpdesk.admin.ask(
        """query ($id: ID!) {
          tickets { nodes { number messages { nodes { text } } } }
          connector(id: $id) { lookups { nodes { trigger requestedAt } } } }""",
        id=connector_id,
    )

    assert [ticket["number"] for ticket in found["tickets"]["nodes"]] == [2, 1]
    texts = [text["text"].strip() for text in found["tickets"]["nodes"][1]["messages"]["nodes"]]
    assert texts == ["One", "Two", "Three"]
    log = found["connector"]["lookups"]["nodes"]
    assert [line["trigger"] for line in log] == ["TEST", "TICKET"]
    assert [line["requestedAt"] for line in log] == sorted((line["requestedAt"] for line in log), reverse=True)
