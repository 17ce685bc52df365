"""Health in the API: what panels and connectors say of it, who may read it, and that admins are told once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from server.clock import utc_now
from tests.graph.desk import open_neighbour, open_ticket, statements, tamper, watches
from tests.stage.crm import FOUND, response
from tests.stage.front_end import receive, send
from tests.stage.helpdesk import REFRESH
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stage.crm import Crm
    from tests.stage.helpdesk import Helpdesk

HEALTH = "state since lastSuccessAt failuresInARow nextProbeAt p50Ms p95Ms"
CONNECTORS = f"{{ connectors {{ id createdAt health {{ {HEALTH} }} }} }}"
WATCH_HEALTH = f"subscription {{ connectorHealth {{ id name health {{ {HEALTH} }} }} }}"
WATCH_PANELS = "subscription ($id: ID!) { crmPanels(ticketId: $id) { paused refreshing status customer { name } } }"
PANELS = "query ($id: ID!) { ticket(id: $id) { crmPanels { paused refreshing status } } }"
ERROR = response(500, b"")
GONE = response(410, b"")


async def ask_again(helpdesk: Helpdesk, ticket_id: str) -> None:
    await helpdesk.agent.ask(REFRESH, id=ticket_id)
    await helpdesk.settled()


async def health(helpdesk: Helpdesk) -> Any:  # noqa: ANN401 - what the query selects
    (connector,) = (await helpdesk.admin.ask(CONNECTORS))["connectors"]
    return connector["health"]


async def watching(helpdesk: Helpdesk, count: int) -> None:
    async def look() -> bool:
        return watches(helpdesk) == count

    await eventually(look)


async def test_a_connector_that_was_never_asked_works_since_it_was_made(helpdesk: Helpdesk, crm: Crm) -> None:
    await helpdesk.connect(crm.url())

    (connector,) = (await helpdesk.admin.ask(CONNECTORS))["connectors"]

    assert connector["health"] == {
        "state": "WORKING",
        "since": connector["createdAt"],
        "lastSuccessAt": None,
        "failuresInARow": 0,
        "nextProbeAt": None,
        "p50Ms": None,
        "p95Ms": None,
    }


async def test_the_health_follows_the_endpoint_and_remembers_its_last_answer(helpdesk: Helpdesk, crm: Crm) -> None:
    crm.answers["/lookup"] = FOUND
    await helpdesk.connect(crm.url())
    ticket_id = await open_ticket(helpdesk.agent)
    good = await helpdesk.settled()

    crm.answers["/lookup"] = ERROR
    await ask_again(helpdesk, ticket_id)
    failing = await health(helpdesk)
    crm.answers["/lookup"] = GONE
    await ask_again(helpdesk, ticket_id)
    paused = await health(helpdesk)

    assert (failing["state"], failing["failuresInARow"], failing["nextProbeAt"]) == ("FAILING", 1, None)
    assert (paused["state"], paused["failuresInARow"]) == ("PAUSED", 2)
    assert failing["lastSuccessAt"] == paused["lastSuccessAt"] == good["fetchedAt"]
    assert moment(paused["nextProbeAt"]) - moment(paused["since"]) == timedelta(minutes=5)
    assert 0 <= paused["p50Ms"] <= paused["p95Ms"] < 3000


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_figures_are_read_only_where_they_are_selected(helpdesk: Helpdesk, crm: Crm) -> None:
    await helpdesk.connect(crm.url())
    await helpdesk.connect(crm.url())

    with statements(helpdesk) as bare:
        await helpdesk.admin.ask("{ connectors { id health { state since failuresInARow nextProbeAt } } }")
    with statements(helpdesk) as full:
        await helpdesk.admin.ask(CONNECTORS)

    assert not [text for text in bare if "FROM lookups" in text]
    assert len([text for text in full if "FROM lookups" in text]) == 2


async def test_a_watched_panel_says_that_it_is_paused_and_keeps_what_it_shows(helpdesk: Helpdesk, crm: Crm) -> None:
    crm.answers |= {"/lookup": FOUND}
    await helpdesk.connect(crm.url())
    watched = await open_ticket(helpdesk.agent, email="eva@firma.cz")
    other = await open_ticket(helpdesk.agent)
    for place in range(2):
        await helpdesk.settled(ticket=place)

    async with helpdesk.agent.watching(WATCH_PANELS, id=watched) as panels:
        before = await panels.next()
        await watching(helpdesk, 1)
        crm.answers["/lookup"] = GONE
        await ask_again(helpdesk, other)
        paused = await panels.next()
        crm.answers["/lookup"] = FOUND
        await ask_again(helpdesk, other)
        after = await panels.next()

    assert (before["paused"], before["status"]) == (False, "FOUND")
    assert paused == before | {"paused": True}
    assert after == before


async def test_viewing_a_ticket_while_it_is_paused_writes_nothing(helpdesk: Helpdesk, crm: Crm) -> None:
    crm.answers["/lookup"] = GONE
    await helpdesk.connect(crm.url())
    ticket_id = await open_ticket(helpdesk.agent)
    await helpdesk.settled()
    other = await open_ticket(helpdesk.agent, email="eva@firma.cz")

    with statements(helpdesk) as executed:
        panels = (await helpdesk.agent.ask(PANELS, id=other))["ticket"]["crmPanels"]

    assert panels == [{"paused": True, "refreshing": False, "status": "PENDING"}]
    assert not [text for text in executed if text.startswith(("INSERT", "UPDATE"))]
    assert len(crm.requests) == 1
    assert (await helpdesk.agent.ask(PANELS, id=ticket_id))["ticket"]["crmPanels"][0]["status"] == "ERROR"


# The subscription


async def test_an_admin_sees_every_connector_and_then_each_turn_once(helpdesk: Helpdesk, crm: Crm) -> None:
    await helpdesk.connect(crm.url(), "Failing")
    await helpdesk.connect(crm.url("/works"), "Working")
    ticket_id = await open_ticket(helpdesk.agent)
    for place in range(2):
        await helpdesk.settled(panel=place)

    async with helpdesk.admin.watching(WATCH_HEALTH) as turns:
        first = [await turns.next() for _ in range(2)]
        for answer in (ERROR, GONE, GONE, ERROR, FOUND, FOUND):
            crm.answers["/lookup"] = answer
            await ask_again(helpdesk, ticket_id)
        await helpdesk.connect(crm.url(), "New")
        told: list[Any] = []
        while not told or told[-1]["name"] != "New":
            told.append(await turns.next())

    assert [(seen["name"], seen["health"]["state"]) for seen in first] == [("Failing", "WORKING"), ("Working", "WORKING")]
    states = [(seen["name"], seen["health"]["state"]) for seen in told]
    assert states == [("Failing", "PAUSED"), ("Failing", "WORKING"), ("New", "WORKING")]
    assert told[0]["health"]["failuresInARow"] == 2
    assert told[0]["health"]["p50Ms"] is not None


async def test_a_pause_that_began_before_is_part_of_the_first_picture(helpdesk: Helpdesk, crm: Crm, tmp_path: Path) -> None:
    await helpdesk.connect(crm.url())
    tamper(
        tmp_path / "data",
        "UPDATE connectors SET failures_in_a_row = 20, health_since = ?, next_probe_at = ?",
        *[str(utc_now().replace(tzinfo=None))] * 2,
    )

    async with helpdesk.admin.watching(WATCH_HEALTH) as turns:
        seen = await turns.next()

    assert (seen["health"]["state"], seen["health"]["failuresInARow"]) == ("PAUSED", 20)


async def test_an_agent_may_not_watch_it(helpdesk: Helpdesk, crm: Crm) -> None:
    await helpdesk.connect(crm.url())

    async with helpdesk.agent.signed_in() as socket:
        await send(socket, id="1", type="subscribe", payload={"query": WATCH_HEALTH})
        refused = await receive(socket)

    assert refused["type"] == "error"
    assert [error["extensions"]["code"] for error in refused["payload"]] == ["FORBIDDEN"]
    assert await helpdesk.agent.refused("{ connectors { health { state } } }") == "FORBIDDEN"


async def test_another_workspaces_turns_are_not_told(helpdesk: Helpdesk, crm: Crm) -> None:
    await helpdesk.connect(crm.url(), "Ours")
    crm.answers["/theirs"] = GONE

    async with helpdesk.admin.watching(WATCH_HEALTH) as turns:
        first = await turns.next()
        await watching(helpdesk, 1)
        neighbour = await open_neighbour(helpdesk, crm.url("/theirs"))

        async def paused() -> bool:
            (theirs,) = (await neighbour.admin.ask(CONNECTORS))["connectors"]
            return bool(theirs["health"]["state"] == "PAUSED")

        await eventually(paused)
        await helpdesk.connect(crm.url(), "New")
        second = await turns.next()

    assert [first["name"], second["name"]] == ["Ours", "New"]
