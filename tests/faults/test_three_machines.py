"""Mail comes in at one process, another asks, and whoever watches at a third sees the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.stage.crm import FOUND
from tests.stage.farm import Farm, open_farm
from tests.stage.helpdesk import WATCH
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.stage.crm import Crm
    from tests.stage.postgres import PostgreSQL
    from tests.stage.redis import RedisServer


@pytest.fixture
def farm(postgres: PostgreSQL, redis_server: RedisServer, tmp_path: Path) -> Iterator[Farm]:
    with (
        postgres.empty_database() as database,
        open_farm(tmp_path, servers=2, workers=1, DATABASE_URL=postgres.url(database), REDIS_URL=redis_server.url) as opened,
    ):
        yield opened


async def test_a_mail_at_one_process_is_asked_by_another_and_seen_at_a_third(farm: Farm, crm: Crm) -> None:
    crm.answers["/lookup"] = FOUND
    release = crm.hang()
    (a, c), (b,) = farm.servers, farm.workers
    company = await farm.company()
    await company.connect(a, crm.url())

    assert await company.mail(a) == 250
    (ticket,) = await company.tickets(c)
    async with company.front_end(c).watching(WATCH, id=ticket["id"]) as watching:
        assert (await watching.next())["refreshing"]
        release.set()
        panel = await watching.until(lambda panel: not panel["refreshing"])

    assert panel["status"] == "FOUND"
    assert len(crm.requests) == 1

    async def counted() -> bool:
        return await b.lookups_ended() == 1

    await eventually(counted)
    assert [await server.lookups_ended() for server in (a, c)] == [0, 0]
