"""A connector's log can be watched: the newest lines first, then each lookup as it begins and ends, and none is lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from domain.identity import ConnectorId, EmailAddress, TicketId
from domain.lookup import LookupTrigger
from graph.pages import MAX_PAGE
from graph.types import uuid_of
from lookups.updates import log_topic
from server.clock import utc_now
from tests.graph.desk import LOOKUP, open_neighbour, open_ticket, statements, watches
from tests.stage.crm import NOT_FOUND, response
from tests.stage.front_end import receive
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from tests.stage.crm import Crm
    from tests.stage.front_end import Watching
    from tests.stage.helpdesk import Helpdesk

WATCH = f"subscription ($id: ID!, $newest: Int! = 10) {{ connectorLookups(id: $id, newest: $newest) {{ {LOOKUP} }} }}"
LOG = f"query ($id: ID!) {{ connector(id: $id) {{ lookups(first: 100) {{ nodes {{ {LOOKUP} }} }} }} }}"
TEST = 'mutation ($id: ID!, $email: String! = "eva@firma.cz") { testConnector(id: $id, email: $email) { __typename } }'
UPDATE = "mutation ($id: ID!, $input: UpdateConnectorInput!) { updateConnector(id: $id, input: $input) { __typename } }"
DELETE = "mutation ($id: ID!) { deleteConnector(id: $id) { __typename } }"
ROTATE = """
mutation ($id: ID!) { rotateSecret(id: $id, value: "another", email: "eva@firma.cz") { __typename } }
"""
FORGET = 'mutation { forgetRequester(email: "jan@firma.cz") { __typename } }'


async def watching(helpdesk: Helpdesk, count: int) -> None:
    """Until this many watches are registered."""

    async def look() -> bool:
        return watches(helpdesk) == count

    await eventually(look)


async def log_of(helpdesk: Helpdesk, connector_id: str) -> list[Any]:
    """The log, oldest first."""
    return list(reversed((await helpdesk.admin.ask(LOG, id=connector_id))["connector"]["lookups"]["nodes"]))


async def after_tests(helpdesk: Helpdesk, connector_id: str, count: int) -> list[Any]:
    """The log after this many tests."""
    for number in range(count):
        await helpdesk.admin.ask(TEST, id=connector_id, email=f"{number}@firma.cz")
    return await log_of(helpdesk, connector_id)


async def queued(helpdesk: Helpdesk, connector_id: str, count: int) -> None:
    """Put lookups into the database that nobody announces and nobody is woken for."""
    found = uuid_of(connector_id)  # type: ignore[arg-type]  # an id is a text to a front end
    assert found
    async with helpdesk.parts.database.workspace(helpdesk.workspace_id) as store:
        (ticket,) = await store.tickets.newest(1)
        for number in range(count):
            email = EmailAddress(f"{number}@firma.cz")
            assert await store.lookups.queue(ConnectorId(found), TicketId(ticket.id), email, LookupTrigger.TICKET, utc_now())


async def test_the_newest_lines_come_first_and_then_each_lookup_as_it_begins_and_ends(helpdesk: Helpdesk, crm: Crm) -> None:
    connector_id = await helpdesk.connect(crm.url())
    lines = await after_tests(helpdesk, connector_id, 3)
    release = crm.hang()

    async with helpdesk.admin.watching(WATCH, id=connector_id, newest=2) as log:
        assert [await log.next() for _ in range(2)] == lines[1:]

        ticket_id = await open_ticket(helpdesk.agent)
        begun = await log.next()
        release.set()
        ended = await log.next()

    assert (begun["status"], begun["ticketId"], begun["trigger"], begun["completedAt"]) == ("PENDING", ticket_id, "TICKET", None)
    assert (ended["id"], ended["status"]) == (begun["id"], "NOT_FOUND")
    assert ended == (await log_of(helpdesk, connector_id))[-1]


async def test_a_test_is_seen_while_it_waits_and_when_it_ends(helpdesk: Helpdesk, crm: Crm) -> None:
    connector_id = await helpdesk.connect(crm.url(), secretHeaderName="X-Key", secretHeaderValue="one")
    for mutation in (TEST, ROTATE):
        crm.answers["/lookup"] = NOT_FOUND
        release = crm.hang()
        async with helpdesk.admin.watching(WATCH, id=connector_id, newest=0) as log:
            await watching(helpdesk, 1)
            asking = asyncio.create_task(helpdesk.admin.ask(mutation, id=connector_id))

            begun = await log.next()
            release.set()
            ended = await log.next()

        assert (begun["status"], begun["trigger"], begun["email"]) == ("PENDING", "TEST", "eva@firma.cz")
        assert (ended["id"], ended["status"]) == (begun["id"], "NOT_FOUND")
        await asking
        await watching(helpdesk, 0)


async def test_a_lookup_that_a_change_interrupts_is_seen_to_end(helpdesk: Helpdesk, crm: Crm) -> None:
    connector_id = await helpdesk.connect(crm.url())
    release = crm.hang()
    async with helpdesk.admin.watching(WATCH, id=connector_id) as log:
        await watching(helpdesk, 1)
        await open_ticket(helpdesk.agent)
        begun = await log.next()
        assert begun["status"] == "PENDING"

        await helpdesk.admin.ask(UPDATE, id=connector_id, input={"lookupUrl": crm.url("/other")})

        ended = await log.next()
        assert (ended["id"], ended["error"]["code"]) == (begun["id"], "INTERRUPTED")
    release.set()


async def test_another_connectors_lookups_are_not_seen(helpdesk: Helpdesk, crm: Crm) -> None:
    one, other = [await helpdesk.connect(crm.url(path), path) for path in ("/one", "/other")]
    neighbour = await open_neighbour(helpdesk, crm.url("/theirs"))
    async with helpdesk.admin.watching(WATCH, id=one) as log:
        await watching(helpdesk, 1)
        await helpdesk.admin.ask(TEST, id=other, email="other@firma.cz")
        await neighbour.admin.ask(TEST, id=neighbour.connector_id, email="theirs@firma.cz")
        await helpdesk.admin.ask(TEST, id=one, email="one@firma.cz")

        assert (await log.next())["email"] == "one@firma.cz"


async def test_what_nobody_announced_comes_with_the_next_however_much_it_is(helpdesk: Helpdesk, crm: Crm) -> None:
    connector_id = await helpdesk.connect(crm.url())
    await open_ticket(helpdesk.agent)
    await helpdesk.settled()
    count = MAX_PAGE + 20
    release = crm.hang()
    async with helpdesk.admin.watching(WATCH, id=connector_id, newest=0) as log:
        await watching(helpdesk, 1)

        await queued(helpdesk, connector_id, count)
        await helpdesk.admin.ask(UPDATE, id=connector_id, input={"name": "New"})

        begun = [await log.next() for _ in range(count)]
        assert [line["email"] for line in begun] == [f"{number}@firma.cz" for number in range(count)]
        release.set()
        await everything_ended(log, {line["id"] for line in begun})


async def everything_ended(log: Watching, lookup_ids: set[str]) -> None:
    while lookup_ids:
        line = await log.next()
        if line["status"] != "PENDING":
            lookup_ids.remove(line["id"])


async def test_while_thousands_are_queued_who_watches_leaves_the_others_their_time(helpdesk: Helpdesk, crm: Crm) -> None:
    connector_id = await helpdesk.connect(crm.url())
    await open_ticket(helpdesk.agent)
    await helpdesk.settled()
    release = crm.hang()
    await queued(helpdesk, connector_id, 500)
    found = uuid_of(connector_id)  # type: ignore[arg-type]  # an id is a text to a front end
    assert found
    topic, asked = log_topic(ConnectorId(found)), 0
    async with helpdesk.admin.watching(WATCH, id=connector_id, newest=0):
        await watching(helpdesk, 1)
        with statements(helpdesk) as executed:
            while sum("UNION" in statement for statement in executed) < 5:
                await helpdesk.parts.updates.announce(helpdesk.workspace_id, topic)
                await helpdesk.agent.ask("{ viewer { role } }")
                asked += 1
    await helpdesk.admin.ask(DELETE, id=connector_id)
    release.set()

    assert asked > 5 * 5


async def test_the_end_of_a_lookup_that_is_older_than_all_that_was_shown_is_seen(helpdesk: Helpdesk, crm: Crm) -> None:
    connector_id = await helpdesk.connect(crm.url())
    release = crm.hang()
    await open_ticket(helpdesk.agent)
    await eventually(lambda: _asked(crm))
    crm.answers["/lookup"] = NOT_FOUND
    await queued(helpdesk, connector_id, MAX_PAGE + 5)

    async with helpdesk.admin.watching(WATCH, id=connector_id, newest=1) as log:
        assert (await log.next())["email"] == f"{MAX_PAGE + 4}@firma.cz"
        release.set()

        while (line := await log.next())["email"] != "jan@firma.cz":
            pass  # one of the others, which the sweeper has found

    assert line["status"] == "NOT_FOUND"


async def _asked(crm: Crm) -> bool:
    return bool(crm.requests)


async def test_no_end_is_lost_however_quickly_lookups_follow(helpdesk: Helpdesk, crm: Crm) -> None:
    crm.answers["/lookup"] = response(500, b"")
    connector_id = await helpdesk.connect(crm.url())
    async with helpdesk.admin.watching(WATCH, id=connector_id) as log:
        await watching(helpdesk, 1)

        await asyncio.gather(*(open_ticket(helpdesk.agent, email=f"{number}@firma.cz") for number in range(50)))

        ended: list[Any] = []
        while len(ended) < 50:
            line = await log.next()
            ended += [line] if line["status"] == "ERROR" else []
    assert sorted(ended, key=lambda line: str(line["id"])) == await log_of(helpdesk, connector_id)


async def test_history_stays_untold_when_newer_lines_are_erased(helpdesk: Helpdesk, crm: Crm) -> None:
    connector_id = await helpdesk.connect(crm.url())
    await after_tests(helpdesk, connector_id, MAX_PAGE + 5)
    await open_ticket(helpdesk.agent)
    await helpdesk.settled()
    async with helpdesk.admin.watching(WATCH, id=connector_id, newest=1) as log:
        assert (await log.next())["email"] == "jan@firma.cz"

        await helpdesk.admin.ask(FORGET)
        await helpdesk.admin.ask(TEST, id=connector_id)

        assert (await log.next())["email"] == "eva@firma.cz"


async def test_deleting_the_connector_completes_the_subscription(helpdesk: Helpdesk, crm: Crm) -> None:
    connector_id = await helpdesk.connect(crm.url())
    async with helpdesk.admin.watching(WATCH, id=connector_id) as log:
        await watching(helpdesk, 1)

        await helpdesk.admin.ask(DELETE, id=connector_id)

        assert await receive(log.socket) == {"id": "1", "type": "complete"}
        await watching(helpdesk, 0)


async def test_an_unknown_connector_cannot_be_watched(helpdesk: Helpdesk) -> None:
    for unknown in ("", "x", "01a203f1-5208-74d0-a3bf-6093b8ecb3ee"):
        assert await refused(helpdesk, unknown) == "There is no such connector."


@pytest.mark.parametrize("newest", [-1, MAX_PAGE + 1])
async def test_more_lines_than_a_page_has_are_refused(helpdesk: Helpdesk, crm: Crm, newest: int) -> None:
    connector_id = await helpdesk.connect(crm.url())

    assert await refused(helpdesk, connector_id, newest=newest) == "`newest` must be between 0 and 100."


async def refused(helpdesk: Helpdesk, connector_id: str, **arguments: int) -> str:
    """The sentence of the refusal, after which nothing more comes and nothing is left behind."""
    async with helpdesk.admin.watching(WATCH, id=connector_id, **arguments) as log:
        (error,) = (await receive(log.socket))["payload"]["errors"]
        assert error["extensions"]["code"] == "BAD_REQUEST"
        assert await receive(log.socket) == {"id": "1", "type": "complete"}
        assert watches(helpdesk) == 0
    message: str = error["message"]
    return message


async def test_an_agent_cannot_watch_a_log(helpdesk: Helpdesk, crm: Crm) -> None:
    connector_id = await helpdesk.connect(crm.url())

    async with helpdesk.agent.watching(WATCH, id=connector_id) as log:
        refusal = await receive(log.socket)

    assert [error["extensions"]["code"] for error in refusal["payload"]] == ["FORBIDDEN"]
