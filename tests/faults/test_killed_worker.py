"""A worker dies in the middle of lookups: they end, nobody is asked twice, and another worker goes on."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from domain.lookup import PER_CONNECTOR
from tests.stage.crm import FOUND
from tests.stage.farm import Farm, open_farm
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.stage.crm import Crm
    from tests.stage.postgres import PostgreSQL
    from tests.stage.redis import RedisServer

pytestmark = pytest.mark.timed

QUEUED = 3
PROMISED_SECONDS = 30.0


@pytest.fixture
def farm(postgres: PostgreSQL, redis_server: RedisServer, tmp_path: Path) -> Iterator[Farm]:
    with (
        postgres.empty_database() as database,
        open_farm(tmp_path, servers=1, workers=2, DATABASE_URL=postgres.url(database), REDIS_URL=redis_server.url) as opened,
    ):
        yield opened


async def test_what_it_asked_is_interrupted_and_what_was_queued_is_asked_by_another(farm: Farm, crm: Crm) -> None:
    crm.answers["/lookup"] = FOUND
    (server,), (killed, other) = farm.servers, farm.workers
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
