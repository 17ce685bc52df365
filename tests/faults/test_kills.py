"""Kill -9 of any process at any moment: nothing is lost, doubled or left open, and the others go on."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from domain.lookup import PER_CONNECTOR
from tests.stage.crm import FOUND
from tests.stage.farm import FULL_SIZE, Farm, open_farm
from tests.stage.mailers import mailing
from tests.stage.waiting import eventually, in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stage.crm import Crm, Request
    from tests.stage.farm import Member
    from tests.stage.postgres import PostgreSQL
    from tests.stage.redis import RedisServer

pytestmark = pytest.mark.timed

PROMISED_SECONDS = 30.0
QUEUED = 3
KILLS = 50 if FULL_SIZE else 5
BURST = 10
COMPANIES = 3


@pytest.fixture(scope="module")
def _started(postgres: PostgreSQL, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    folder = tmp_path_factory.mktemp("farm")
    with (
        postgres.empty_database() as database,
        open_farm(folder, servers=2, workers=2, DATABASE_URL=postgres.url(database), REDIS_URL=redis_server.url) as opened,
    ):
        yield opened


@pytest.fixture
def farm(_started: Farm) -> Iterator[Farm]:
    """Two servers and two workers, alive again after each test."""
    yield _started
    for member in _started.members:
        if not member.alive:
            member.launch()
            member.wait_until_alive()


@pytest.fixture
def chance() -> random.Random:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - a red run can be repeated
    return random.Random(seed)


async def test_what_a_killed_worker_asked_is_interrupted_and_what_was_queued_is_asked_by_another(farm: Farm, crm: Crm) -> None:
    crm.answers["/lookup"] = FOUND
    server, (killed, other) = farm.servers[0], farm.workers
    company, neighbour = await farm.company(), await farm.company()
    await company.connect(server, crm.url("/slow"))
    await neighbour.connect(server, crm.url())
    crm.answers["/slow"] = FOUND
    release = crm.hang("/slow")

    async def all_asked() -> bool:
        return len(crm.asked("/slow")) == PER_CONNECTOR

    with other.paused():  # so that it is the one to be killed who asks
        mails = (company.mail(server, f"sender{number}@firma.cz") for number in range(PER_CONNECTOR + QUEUED))
        assert set(await asyncio.gather(*mails)) == {250}
        await eventually(all_asked)
        killed.kill()
    release.set()
    assert await neighbour.mail(server) == 250

    (panel,) = await neighbour.settled(server, within=PROMISED_SECONDS)
    assert panel["status"] == "FOUND"
    assert sum(panel["refreshing"] for panel in await company.panels(server)) == PER_CONNECTOR + QUEUED
    panels = await company.settled(server, within=PROMISED_SECONDS)
    assert Counter((panel["status"], panel["error"] and panel["error"]["code"]) for panel in panels) == {
        ("ERROR", "INTERRUPTED"): PER_CONNECTOR,
        ("FOUND", None): QUEUED,
    }
    assert set(Counter(request.json["ticket_id"] for request in crm.requests).values()) == {1}


@pytest.mark.timeout(120 + 10 * KILLS)
async def test_under_load_what_was_acknowledged_is_kept_and_every_lookup_ends(
    farm: Farm, crm: Crm, chance: random.Random
) -> None:
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
