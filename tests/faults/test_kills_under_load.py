"""Kill -9 of any process at any moment, again and again, while mail comes in."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.stage.farm import FULL_SIZE, Farm, open_farm
from tests.stage.mailers import mailing
from tests.stage.waiting import in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.stage.crm import Crm, Request
    from tests.stage.farm import Member
    from tests.stage.postgres import PostgreSQL
    from tests.stage.redis import RedisServer

pytestmark = pytest.mark.timed

KILLS = 50 if FULL_SIZE else 5
BURST = 10
COMPANIES = 3
PROMISED_SECONDS = 30.0


@pytest.fixture
def farm(postgres: PostgreSQL, redis_server: RedisServer, tmp_path: Path) -> Iterator[Farm]:
    with (
        postgres.empty_database() as database,
        open_farm(tmp_path, servers=2, workers=2, DATABASE_URL=postgres.url(database), REDIS_URL=redis_server.url) as opened,
    ):
        yield opened


@pytest.fixture
def chance() -> random.Random:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - a red run can be repeated
    return random.Random(seed)


@pytest.mark.timeout(120 + 10 * KILLS)
async def test_what_was_acknowledged_is_kept_once_and_every_lookup_ends(farm: Farm, crm: Crm, chance: random.Random) -> None:
    async def slow_answer(_request: Request) -> dict[str, Any]:
        await asyncio.sleep(chance.uniform(0.01, 0.4))
        return {"found": True, "name": "Somebody"}

    crm.answers["/lookup"] = slow_answer
    companies = [await farm.company() for _ in range(COMPANIES)]
    for company in companies:
        await company.connect(farm.servers[0], crm.url())

    async with mailing(companies, farm.servers, chance) as mailers, asyncio.TaskGroup() as bursts:
        await mailers.more()
        for _ in range(KILLS):
            for _ in range(BURST):
                bursts.create_task(mailers.mail_once())
            await asyncio.sleep(chance.uniform(0, 0.2))
            await kill_and_start(chance.choice(farm.members))

    panels: list[Any] = []
    async with asyncio.timeout(PROMISED_SECONDS):
        for company in companies:
            panels += await company.settled(farm.servers[0], within=PROMISED_SECONDS)
    assert Counter(await mailers.present(farm.servers[1])) == Counter(mailers.taken)
    assert len(panels) == len(mailers.taken)
    assert {(panel["status"], panel["error"] and panel["error"]["code"]) for panel in panels} <= {
        ("FOUND", None),
        ("ERROR", "INTERRUPTED"),
    }
    assert set(Counter(request.json["ticket_id"] for request in crm.requests).values()) == {1}
    assert all(member.alive for member in farm.members)


async def kill_and_start(member: Member) -> None:
    member.kill()
    member.launch()
    await in_thread(member.wait_until_alive)
