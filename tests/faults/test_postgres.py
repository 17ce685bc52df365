"""PostgreSQL restarted, killed or hanging under a running helpdesk: refused for now, and well again soon after its return."""

from __future__ import annotations

import asyncio
import smtplib
import time
from collections import Counter
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from lookups import updates
from persistence.database import DatabaseAway
from server.clock import utc_now
from tests.graph.desk import watches
from tests.stage.crm import FOUND
from tests.stage.front_end import NO_TLS
from tests.stage.helpdesk import SUPPORT, WATCH, Helpdesk, message, open_helpdesk
from tests.stage.waiting import eventually, in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.stage.crm import Crm, Request
    from tests.stage.postgres import PostgreSQL

pytestmark = pytest.mark.timed

WELL_AGAIN_SECONDS = 10.0
TICKETS = "{ tickets(first: 100) { nodes { subject crmPanels { status refreshing error { code } } } } }"
OPENED = "subscription { ticketOpened { subject } }"


@pytest.fixture
async def helpdesk(fragile_postgres: PostgreSQL, tmp_path: Path) -> AsyncIterator[Helpdesk]:
    """The whole product over a server that may be harmed."""
    with fragile_postgres.database() as name:
        async with open_helpdesk(tmp_path / "data", database_url=fragile_postgres.url(name)) as opened:
            yield opened


def deliver(port: int, number: int) -> int:
    """The code that a mail is answered with."""
    mail = message(From=f"sender{number}@firma.cz", Subject=f"Mail {number}", Message_ID=f"<{number}@firma.cz>")
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=30) as connection:
            connection.sendmail("sender@firma.cz", [SUPPORT], mail)
    except smtplib.SMTPRecipientsRefused as error:
        ((code, _),) = error.recipients.values()
        return int(code)
    except smtplib.SMTPResponseException as error:
        return error.smtp_code
    return 250


async def readiness(helpdesk: Helpdesk) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client:
        return await client.get(f"{helpdesk.base_url}/readyz", timeout=20)


async def is_well(helpdesk: Helpdesk, number: int) -> bool:
    """Whether it is ready, takes mail and answers the API."""
    ready = await readiness(helpdesk)
    answer = await helpdesk.agent.post(TICKETS)
    return (ready.status_code, answer.status_code) == (200, 200) and await in_thread(deliver, helpdesk.mail_port, number) == 250


async def is_away(helpdesk: Helpdesk) -> bool:
    return (await readiness(helpdesk)).status_code == 503


async def expect_refusals(helpdesk: Helpdesk, number: int) -> None:
    """What the outside sees while the database is away."""
    ready, answer, code = await asyncio.gather(
        readiness(helpdesk), helpdesk.agent.post(TICKETS), in_thread(deliver, helpdesk.mail_port, number)
    )
    assert (ready.status_code, ready.json()["database"]) == (503, "away")
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (503, "UNAVAILABLE")
    assert code == 451


@asynccontextmanager
async def mail_flowing(helpdesk: Helpdesk) -> AsyncIterator[dict[int, int]]:
    """Mails by four senders until the block ends: the last answer to each, by its number."""
    answers: dict[int, int] = {}
    over = asyncio.Event()

    async def send(first: int) -> None:
        number = first
        while not over.is_set():
            answers[number] = await in_thread(deliver, helpdesk.mail_port, number)
            number += 4
            await asyncio.sleep(0.02 if answers[number - 4] == 250 else 0.2)  # as mail comes, and comes again

    async with asyncio.TaskGroup() as group:
        for first in range(4):
            group.create_task(send(first))
        yield answers
        over.set()


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_a_restart_refuses_mail_for_now_loses_nothing_acknowledged_and_all_is_well_soon_after(
    helpdesk: Helpdesk, fragile_postgres: PostgreSQL, end: str
) -> None:
    async with mail_flowing(helpdesk) as answers:

        async def some_acknowledged() -> bool:
            return Counter(answers.values())[250] >= 20

        await eventually(some_acknowledged)
        await in_thread(getattr(fragile_postgres, end))
        await eventually(lambda: is_away(helpdesk))
        await expect_refusals(helpdesk, 9000)
        await in_thread(fragile_postgres.start)
        returned = time.monotonic()
        await eventually(lambda: is_well(helpdesk, 9001), within=WELL_AGAIN_SECONDS)
        assert time.monotonic() - returned < WELL_AGAIN_SECONDS

    assert set(answers.values()) == {250, 451}
    subjects = Counter(ticket["subject"] for ticket in await all_tickets(helpdesk))
    acknowledged = {f"Mail {number}" for number, code in answers.items() if code == 250}
    assert acknowledged <= subjects.keys()
    assert max(subjects.values()) == 1


async def all_tickets(helpdesk: Helpdesk) -> list[Any]:
    tickets: list[Any] = (await helpdesk.agent.ask(TICKETS))["tickets"]["nodes"]
    assert len(tickets) < 100
    return tickets


async def test_an_answer_that_comes_while_the_database_is_away_is_kept_or_its_lookup_ends_all_the_same(
    helpdesk: Helpdesk, fragile_postgres: PostgreSQL, crm: Crm
) -> None:
    answer = asyncio.Event()

    async def answer_late(_request: Request) -> dict[str, Any]:
        await answer.wait()
        return FOUND

    crm.answers["/lookup"] = answer_late
    await helpdesk.connect(crm.url())
    await helpdesk.mail()
    await eventually(lambda: was_asked(crm))
    await in_thread(fragile_postgres.kill)
    answer.set()
    await eventually(lambda: is_away(helpdesk))
    await in_thread(fragile_postgres.start)
    await eventually(lambda: is_well(helpdesk, 1), within=WELL_AGAIN_SECONDS)

    async def its_end() -> Any:  # noqa: ANN401
        panel = (await all_tickets(helpdesk))[-1]["crmPanels"][0]
        return None if panel["refreshing"] else panel

    panel = await eventually(its_end, within=30)
    assert (panel["status"], panel["error"]) in [("FOUND", None), ("ERROR", {"code": "INTERRUPTED"})], "by how long it took"
    assert Counter(request.json["email"] for request in crm.requests)["jan@firma.cz"] == 1


async def test_who_watches_goes_on_watching_through_an_outage_and_sees_the_truth_without_being_told(
    helpdesk: Helpdesk, fragile_postgres: PostgreSQL, crm: Crm
) -> None:
    await helpdesk.connect(crm.url(), "Old")
    await helpdesk.mail()
    await helpdesk.settled()
    (ticket,) = await helpdesk.tickets()
    async with helpdesk.agent.watching(WATCH, id=ticket["id"]) as panels, helpdesk.agent.watching(OPENED) as opened:
        assert (await panels.next())["connectorName"] == "Old"
        await eventually(lambda: both_watch(helpdesk))

        await in_thread(fragile_postgres.stop)
        await helpdesk.parts.updates.announce(helpdesk.workspace_id, updates.CONNECTORS, updates.TICKETS)
        await eventually(lambda: is_away(helpdesk))
        await in_thread(fragile_postgres.start)
        async with asyncio.timeout(WELL_AGAIN_SECONDS):
            await eventually(partial(change_in_silence, helpdesk))
            assert (await panels.next())["connectorName"] == "New"
            assert (await opened.next())["subject"] == "Meanwhile"


async def both_watch(helpdesk: Helpdesk) -> bool:
    return watches(helpdesk) == 2


async def change_in_silence(helpdesk: Helpdesk) -> bool:
    """What another process does whose announcement is lost; False while the database is away."""
    with suppress(DatabaseAway):
        async with helpdesk.parts.database.workspace(helpdesk.workspace_id) as store:
            (connector,) = await store.connectors.all()
            await store.connectors.save(connector.id, replace(connector, name="New"), utc_now())
            await store.tickets.open(subject="Meanwhile", requester=None, now=utc_now())
        return True
    return False


async def was_asked(crm: Crm) -> bool:
    return len(crm.requests) > 0


async def test_a_server_that_hangs_is_refused_within_ten_seconds_and_all_is_well_soon_after_it_goes_on(
    helpdesk: Helpdesk, fragile_postgres: PostgreSQL
) -> None:
    await eventually(lambda: is_well(helpdesk, 1))

    fragile_postgres.suspend()
    try:
        async with asyncio.timeout(10):
            await expect_refusals(helpdesk, 2)
    finally:
        fragile_postgres.resume()

    await eventually(lambda: is_well(helpdesk, 3), within=WELL_AGAIN_SECONDS)
    assert {ticket["subject"] for ticket in await all_tickets(helpdesk)} >= {"Mail 1", "Mail 3"}
