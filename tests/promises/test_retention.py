"""Log entries and raw mail are gone when their time is over, nobody waits meanwhile, and no mail becomes two tickets."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from server.app import utc_now
from server.retention import Ages, Retention
from tests.stage.back_door import BackDoor
from tests.stage.helpdesk import message, open_helpdesk
from tests.stage.waiting import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.promises.conftest import Figure
    from tests.stage.crm import Crm
    from tests.stage.helpdesk import Helpdesk
    from tests.stage.postgres import PostgreSQL

DAY = timedelta(days=1)
MARKER = "zzbody-8f3e1c"
MANY = """
INSERT INTO lookups
(id, workspace_id, connector_id, ticket_id, email, trigger, urgent, warnings, requested_at, completed_at, status)
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})
SELECT {id}, workspace_id, connector_id, ticket_id, email, trigger, urgent, warnings, requested_at, completed_at, status
FROM lookups CROSS JOIN numbers
"""
OLD_ID = {False: "printf('0190a0000000700080%014d', n)", True: "('0190a000-0000-7000-80' || lpad(n::text, 14, '0'))::uuid"}


@pytest.fixture
async def desk(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Helpdesk]:
    """The whole product, on each kind of database in turn; it keeps everything."""
    async with AsyncExitStack() as stack:
        settings: dict[str, Any] = {}
        if database_kind == "postgresql":
            postgres: PostgreSQL = request.getfixturevalue("postgres")
            settings["database_url"] = postgres.url(stack.enter_context(postgres.database()))
        yield await stack.enter_async_context(open_helpdesk(tmp_path / "data", **settings))


def retention(desk: Helpdesk, *, later: timedelta, **ages: timedelta) -> Retention:
    return Retention(desk.parts.database, Ages(**ages), now=lambda: utc_now() + later)


async def counts(desk: Helpdesk) -> tuple[int, int, int]:
    """How many log entries, raw mails and answers there are."""
    door = BackDoor(desk.parts.settings.async_database_url)
    tables = ("lookups", "raw_messages", "answers")
    log, mails, answers = [(await in_thread(door.rows, f"SELECT count(*) FROM {name}"))[0][0] for name in tables]  # noqa: S608
    return log, mails, answers


async def test_each_goes_when_its_own_time_is_over_and_what_is_shown_stays(desk: Helpdesk, crm: Crm, tmp_path: Path) -> None:
    crm.answers["/lookup"] = {"found": True, "name": "Jan", "note": MARKER}
    await desk.connect(crm.url())
    raw = message("Hello", From="Jan <jan@firma.cz>", Message_ID="<1@firma.cz>", X_Odd=MARKER)
    await desk.mail(raw)
    shown = await desk.settled()
    seen = []
    for later, ages in (
        (400 * DAY, {}),
        (29 * DAY, {"log": 30 * DAY, "raw_mail": 30 * DAY}),
        (31 * DAY, {"log": 30 * DAY, "raw_mail": 90 * DAY}),
        (91 * DAY, {"log": 30 * DAY, "raw_mail": 90 * DAY}),
    ):
        await retention(desk, later=later, **ages).sweep()
        seen.append(await counts(desk))

    assert seen == [(1, 1, 1), (1, 1, 1), (0, 1, 1), (0, 0, 1)]
    assert await desk.panel() == shown
    assert [file.name for file in (tmp_path / "data").iterdir() if MARKER.encode() in file.read_bytes()] == []
    await desk.mail(raw)
    assert len(await desk.tickets()) == 1, "a second delivery is known without the bytes of the first"
    assert await counts(desk) == (0, 0, 1)


async def test_a_lookup_that_has_not_ended_stays_however_old(desk: Helpdesk, crm: Crm) -> None:
    await desk.connect(crm.url())
    await desk.mail(sender="eva@firma.cz")
    await desk.settled()
    held = crm.hang()
    await desk.mail()

    await retention(desk, later=400 * DAY, log=DAY).sweep()

    assert (await desk.panel())["refreshing"]
    assert (await counts(desk))[0] == 1
    held.set()
    assert (await desk.settled())["status"] == "NOT_FOUND"


async def test_several_processes_may_sweep_at_once(desk: Helpdesk, crm: Crm) -> None:
    await desk.connect(crm.url())
    for number in range(3):
        await desk.mail(sender=f"{number}@firma.cz")
        await desk.settled()

    await asyncio.gather(*(retention(desk, later=400 * DAY, log=DAY, raw_mail=DAY).sweep() for _ in range(4)))

    assert await counts(desk) == (0, 0, 3)


async def test_who_writes_meanwhile_hardly_waits(desk: Helpdesk, crm: Crm, size: Callable[[int], int], figure: Figure) -> None:
    await desk.connect(crm.url())
    await desk.mail()
    await desk.settled()
    door = BackDoor(desk.parts.settings.async_database_url)
    await in_thread(door.alter, MANY.format(count=size(50_000), id=OLD_ID[door.postgresql]))
    sweeping = asyncio.create_task(retention(desk, later=timedelta(0), log=30 * DAY).sweep())
    waits = []
    while not sweeping.done():
        began = time.monotonic()
        async with desk.parts.database.workspace(desk.workspace_id, power_safe=False) as store:
            assert await store.connectors.count() == 1
        waits.append(time.monotonic() - began)
        await asyncio.sleep(0)
    await sweeping

    assert (await counts(desk))[0] == 1
    assert max(waits) < 1.0
    figure("seconds that a writer waited at most", round(max(waits), 2))
