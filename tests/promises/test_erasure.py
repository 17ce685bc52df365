"""Of whoever is forgotten no row but raw mail holds what a connector said or their name, and SQLite's files not a byte of it."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlmodel import SQLModel

from domain.answer import Badge, BadgeColor, Customer, Field, Found
from domain.identity import ConnectorId, EmailAddress, Role
from domain.lookup import LookupTrigger
from domain.ticket import Requester
from persistence.lookups import Ending
from server.clock import utc_now
from tests.stage.back_door import BackDoor
from tests.stage.helpdesk import REFRESH, WATCH
from tests.stage.waiting import eventually, in_thread

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.promises.conftest import Figure
    from tests.stage.crm import Crm
    from tests.stage.helpdesk import Helpdesk

JAN = "jan@firma.cz"
NAME, CUSTOMER, BADGE, FIELD, BODY = (f"zz{word}-8f3e1c" for word in ("requester", "customer", "badge", "field", "body"))
MARKERS = (NAME, CUSTOMER, BADGE, FIELD, BODY)
ANSWER = {"found": True, "customer_id": "42", "name": CUSTOMER, "badge": BADGE, "fields": {"Plan": FIELD}, "note": BODY}
COUNTS = "answers lookups underWay responses names"
FORGET = f"""
mutation ($email: String!) {{
  forgetRequester(email: $email) {{
    __typename
    ... on RequesterForgotten {{ email forgottenAt erased {{ {COUNTS} }} }}
    ... on InvalidInput {{ problems {{ field message }} }}
  }}
}}
"""


async def forget(product: Helpdesk, email: str = JAN) -> Any:  # noqa: ANN401 - what the mutation answers
    return (await product.admin.ask(FORGET, email=email))["forgetRequester"]


def rows_with(product: Helpdesk, words: tuple[str, ...]) -> set[str]:
    """The tables with one of the words in a row; raw mail, which is kept for as long as its own setting says, left out."""
    door = BackDoor(product.parts.settings.async_database_url)
    names = set(SQLModel.metadata.tables) - {"raw_messages"}
    return {
        name
        for name in names
        for row in door.rows(f"SELECT * FROM {name}")  # noqa: S608 - our own names
        if any(word in str(row) for word in words)
    }


def bytes_with(data_dir: Path, words: tuple[str, ...]) -> dict[str, list[str]]:
    """The words that stand in the database file, in its journal, or in whatever else lies beside it."""
    found = {file.name: [word for word in words if word.encode() in file.read_bytes()] for file in data_dir.iterdir()}
    return {name: words for name, words in found.items() if words}


async def test_nothing_is_left_of_what_connectors_said_and_watchers_see_it_at_once(
    product: Helpdesk, crm: Crm, tmp_path: Path
) -> None:
    crm.answers["/lookup"] = ANSWER
    connector_id = await product.connect(crm.url())
    ticket_id = await open_by_hand(product)
    await product.settled()
    before = await in_thread(rows_with, product, MARKERS)
    async with product.agent.watching(WATCH, id=ticket_id) as watching:
        assert (await watching.next())["customer"]["name"] == CUSTOMER

        receipt = await forget(product, "  JAN@Firma.CZ. ")

        panel = await watching.next()
        assert (panel["status"], panel["customer"], panel["refreshing"]) == ("PENDING", None, False)

    assert before == {"tickets", "messages", "answers", "lookups"}
    assert receipt["erased"] == {"answers": 1, "lookups": 1, "underWay": 0, "responses": 1, "names": 2}
    assert (receipt["__typename"], receipt["email"]) == ("RequesterForgotten", JAN)
    assert await in_thread(rows_with, product, MARKERS) == set()
    assert await in_thread(rows_with, product, (JAN,)) == {"tickets", "messages"}, "the helpdesk's own records"
    assert await in_thread(bytes_with, tmp_path / "data", MARKERS) == {}
    assert await log_of(product, connector_id) == []


async def open_by_hand(product: Helpdesk, email: str = JAN) -> str:
    query = """mutation ($email: String!, $name: String!) {
      createTicket(input: {requesterEmail: $email, requesterName: $name, subject: "Hello"}) { ... on Ticket { id } } }"""
    ticket_id: str = (await product.agent.ask(query, email=email, name=NAME))["createTicket"]["id"]
    return ticket_id


async def log_of(product: Helpdesk, connector_id: str) -> Any:  # noqa: ANN401 - what the query selects
    query = "query ($id: ID!) { connector(id: $id) { lookups { nodes { email } } } }"
    return (await product.admin.ask(query, id=connector_id))["connector"]["lookups"]["nodes"]


async def test_a_lookup_under_way_brings_nothing_back(product: Helpdesk, crm: Crm, tmp_path: Path) -> None:
    crm.answers["/lookup"] = ANSWER
    held = crm.hang()
    connector_id = await product.connect(crm.url())
    await open_by_hand(product)
    await eventually(lambda: so(len(crm.asked("/lookup")) == 1))

    receipt = await forget(product)
    assert receipt["erased"] == {"answers": 0, "lookups": 1, "underWay": 1, "responses": 0, "names": 2}
    held.set()
    await eventually(lambda: so(nothing_under_way(product)))

    assert await log_of(product, connector_id) == []
    assert (await product.panel())["status"] == "PENDING"
    assert await in_thread(rows_with, product, MARKERS) == set()
    assert await in_thread(bytes_with, tmp_path / "data", MARKERS) == {}


def nothing_under_way(product: Helpdesk) -> bool:
    return not product.parts.lanes._tasks  # noqa: SLF001 - nothing outside shows that an answer was thrown away


async def so(value: bool) -> bool:
    return value


async def test_saving_again_what_was_asked_before_brings_nothing_back(product: Helpdesk, crm: Crm) -> None:
    connector_id = ConnectorId(UUID(await product.connect(crm.url())))
    email = EmailAddress(JAN)
    async with product.parts.database.workspace(product.workspace_id) as store:
        ticket = await store.tickets.open(subject="Hello", requester=Requester(email), now=utc_now())
        await store.lookups.queue(connector_id, ticket.id, email, LookupTrigger.REFRESH, utc_now())
        claim = await store.lookups.claim_next(utc_now())
    assert claim is not None
    ending = Ending(outcome=Found(Customer(name=CUSTOMER)), response=BODY)

    await forget(product)

    for tried_before in (False, True):
        assert await product.parts.runner._save(claim, ending, tried_before=tried_before) is None  # noqa: SLF001 - the retry itself
    assert await in_thread(rows_with, product, MARKERS) == set()


async def test_others_and_other_workspaces_keep_what_they_have(product: Helpdesk, crm: Crm) -> None:
    crm.answers["/lookup"] = ANSWER
    await product.connect(crm.url())
    theirs = await product.add_workspace("Next door", "support@nextdoor.example")
    await product.front_end(Role.ADMIN, workspace=theirs).ask(
        'mutation ($url: String!) { createConnector(input: {name: "CRM", lookupUrl: $url}) { __typename } }', url=crm.url()
    )
    ticket = await open_by_hand(product, "eva@firma.cz")
    next_door = product.front_end(workspace=theirs)
    await next_door.ask(f'mutation {{ createTicket(input: {{requesterEmail: "{JAN}", subject: "Hello"}}) {{ __typename }} }}')
    await product.settled()
    panels = "{ tickets { nodes { requester { name } crmPanels { status refreshing customer { name } } } } }"

    async def found() -> Any:  # noqa: ANN401
        (seen,) = (await next_door.ask(panels))["tickets"]["nodes"]
        return seen if seen["crmPanels"][0]["status"] == "FOUND" else None

    before = await eventually(found)

    receipt = await forget(product)

    assert set(receipt["erased"].values()) == {0}
    assert await found() == before
    assert (await product.panel())["customer"]["name"] == CUSTOMER
    assert (await product.agent.ask(REFRESH, id=ticket))["refreshLookup"]["__typename"] == "LookupsRefreshed"


async def test_what_is_no_address_is_refused_and_asks_for_nothing(product: Helpdesk) -> None:
    refused = await forget(product, "nobody")

    assert refused["__typename"] == "InvalidInput"
    assert [problem["field"] for problem in refused["problems"]] == ["email"]


async def test_no_byte_is_left_in_a_file_that_has_seen_many_changes(
    helpdesk: Helpdesk, tmp_path: Path, size: Callable[[int], int], figure: Figure
) -> None:
    chance, changes = random.Random(4), size(10_000)
    connector_id = ConnectorId(UUID(await helpdesk.connect("https://crm.example/lookup")))
    addresses = [EmailAddress(f"{number}@firma.cz") for number in range(changes // 10)]
    async with helpdesk.parts.database.workspace(helpdesk.workspace_id) as store:
        for _ in range(changes):
            email = chance.choice(addresses)
            marker = CUSTOMER if email == addresses[7] else "somebody"
            fields = tuple(Field(f"{marker}{place}", marker * chance.randrange(1, 30)) for place in range(chance.randrange(5)))
            outcome = Found(Customer(name=marker, badge=Badge(marker, BadgeColor.RED), fields=fields))
            await store.answers.record(connector_id, email, outcome, utc_now())
            claim = await store.lookups.claim_test(connector_id, email, utc_now())
            response = marker * chance.randrange(1, 3000)
            await store.lookups.finish(claim, Ending(outcome=outcome, response=response), utc_now())
    assert await in_thread(bytes_with, tmp_path / "data", (CUSTOMER,)) != {}

    receipt = await forget(helpdesk, addresses[7])

    assert receipt["erased"]["answers"] == 1
    assert receipt["erased"]["responses"] == receipt["erased"]["lookups"] > 1
    assert await in_thread(bytes_with, tmp_path / "data", (CUSTOMER,)) == {}
    figure("changes before the erasure", changes)


async def test_a_reader_who_holds_the_journal_does_not_hold_up_the_erasure(helpdesk: Helpdesk, tmp_path: Path) -> None:
    await open_by_hand(helpdesk)

    async with helpdesk.parts.database.reading(helpdesk.workspace_id) as store:
        assert await store.tickets.newest_number() == 1
        async with asyncio.timeout(9):
            receipt = await forget(helpdesk)
    await helpdesk.parts.database.scrub()

    assert receipt["erased"]["names"] == 2
    assert await in_thread(bytes_with, tmp_path / "data", MARKERS) == {}
