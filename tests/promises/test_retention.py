"""Log entries and raw mail are gone when their time is over, nobody waits meanwhile, and no mail becomes two tickets."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from server.clock import utc_now
from server.retention import Ages, Retention
from tests.stage.back_door import BackDoor
from tests.stage.helpdesk import message
from tests.stage.waiting import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.promises.conftest import Figure
    from tests.stage.crm import Crm
    from tests.stage.helpdesk import Helpdesk

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


def retention(product: Helpdesk, *, later: timedelta, **ages: timedelta) -> Retention:
    return Retention(product.parts.database, Ages(**ages), now=lambda: utc_now() + later)


async def counts(product: Helpdesk) -> tuple[int, int, int]:
    """How many log entries, raw mails and answers there are."""
    door = BackDoor(product.parts.settings.async_database_url)
    tables = ("lookups", "raw_messages", "answers")
    log, mails, answers = [(await in_thread(door.rows, f"SELECT count(*) FROM {name}"))[0][0] for name in tables]  # noqa: S608
    return log, mails, answers


async def grow_log(product: Helpdesk, count: int) -> None:
    """Let the only entry of the log have been there as often some years ago."""
    door = BackDoor(product.parts.settings.async_database_url)
    await in_thread(door.alter, MANY.format(count=count, id=OLD_ID[door.postgresql]))


async def test_each_goes_when_its_own_time_is_over_and_what_is_shown_stays(product: Helpdesk, crm: Crm, tmp_path: Path) -> None:
    crm.answers["/lookup"] = {"found": True, "name": "Jan", "note": MARKER}
    await product.connect(crm.url())
    raw = message("Hello", From="Jan <jan@firma.cz>", Message_ID="<1@firma.cz>", X_Odd=MARKER)
    await product.mail(raw)
    shown = await product.settled()
    seen = []
    for later, ages in (
        (400 * DAY, {}),
        (29 * DAY, {"log": 30 * DAY, "raw_mail": 30 * DAY}),
        (31 * DAY, {"log": 30 * DAY, "raw_mail": 90 * DAY}),
        (91 * DAY, {"log": 30 * DAY, "raw_mail": 90 * DAY}),
    ):
        await retention(product, later=later, **ages).sweep()
        seen.append(await counts(product))

    assert seen == [(1, 1, 1), (1, 1, 1), (0, 1, 1), (0, 0, 1)]
    assert await product.panel() == shown
    assert [file.name for file in (tmp_path / "data").iterdir() if MARKER.encode() in file.read_bytes()] == []
    await product.mail(raw)
    assert len(await product.tickets()) == 1, "a second delivery is known without the bytes of the first"
    assert await counts(product) == (0, 0, 1)


async def test_a_lookup_that_has_not_ended_stays_however_old(product: Helpdesk, crm: Crm) -> None:
    await product.connect(crm.url())
    await product.mail(sender="eva@firma.cz")
    await product.settled()
    held = crm.hang()
    await product.mail()

    await retention(product, later=400 * DAY, log=DAY).sweep()

    assert (await product.panel())["refreshing"]
    assert (await counts(product))[0] == 1
    held.set()
    assert (await product.settled())["status"] == "NOT_FOUND"


async def test_several_processes_may_sweep_at_once(product: Helpdesk, crm: Crm) -> None:
    await product.connect(crm.url())
    for number in range(3):
        await product.mail(sender=f"{number}@firma.cz")
        await product.settled()

    await asyncio.gather(*(retention(product, later=400 * DAY, log=DAY, raw_mail=DAY).sweep() for _ in range(4)))

    assert await counts(product) == (0, 0, 3)


async def test_it_goes_a_little_at_a_time_and_breathes_in_between(product: Helpdesk, crm: Crm) -> None:
    await product.connect(crm.url())
    for number in range(21):
        await product.mail(Message_ID=f"<{number}@firma.cz>", From="Jan <jan@firma.cz>")
    await product.settled()
    await grow_log(product, 1_000)
    left = [await counts(product)]

    async def breathe(_: float) -> None:
        left.append(await counts(product))

    await retention(product, later=400 * DAY, log=DAY, raw_mail=DAY).sweep(breathe)

    steps = [(before[0] - after[0], before[1] - after[1]) for before, after in pairwise([*left, await counts(product)])]
    assert await counts(product) == (0, 0, 1)
    assert max(entries for entries, _ in steps) <= 200
    assert max(mails for _, mails in steps) <= 10, "each may have 25 MB"


@pytest.mark.timed
async def test_who_writes_meanwhile_hardly_waits(product: Helpdesk, crm: Crm, size: Callable[[int], int], figure: Figure) -> None:
    await product.connect(crm.url())
    await product.mail()
    await product.settled()
    await grow_log(product, size(50_000))
    sweeping = asyncio.create_task(retention(product, later=timedelta(0), log=30 * DAY).sweep())
    waits = []
    while not sweeping.done():
        began = time.monotonic()
        async with product.parts.database.workspace(product.workspace_id, power_safe=False) as store:
            assert await store.connectors.count() == 1
        waits.append(time.monotonic() - began)
        await asyncio.sleep(0)
    await sweeping

    assert (await counts(product))[0] == 1
    assert max(waits) < 1.0
    figure("a writer waited at most, s", max(waits))
