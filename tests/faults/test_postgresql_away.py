"""PostgreSQL is restarted, killed or cut off under several processes: all are told to try again, nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.stage.crm import FOUND, Crm, open_crm
from tests.stage.farm import FULL_SIZE, Farm, open_farm
from tests.stage.helpdesk import LIST
from tests.stage.mailers import mailing
from tests.stage.postgres import PostgreSQL, open_postgresql
from tests.stage.proxy import Proxy, open_proxy
from tests.stage.waiting import eventually, in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from tests.stage.farm import Company, Member
    from tests.stage.redis import RedisServer

pytestmark = [pytest.mark.timed, pytest.mark.asyncio(loop_scope="module")]

AT_ONCE = 30 if FULL_SIZE else 3
PROMISED_SECONDS = 10.0


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgreSQL]:
    """A server that the tests may break, as careful as in production."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(open_postgresql(careful=True))
        except FileNotFoundError as error:
            pytest.skip(str(error))
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(postgres: PostgreSQL) -> AsyncIterator[Proxy]:
    """The way to it, which the tests may break as well."""
    async with open_proxy(postgres.port) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crm() -> AsyncIterator[Crm]:
    async with open_crm() as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def farm(
    postgres: PostgreSQL, proxy: Proxy, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Farm]:
    """Two servers and a worker, which all come to PostgreSQL through the proxy."""
    url = postgres.url(await in_thread(_database, postgres)).replace(str(postgres.port), str(proxy.port))
    folder: Path = tmp_path_factory.mktemp("farm")
    with ExitStack() as stack:
        opening = open_farm(folder, servers=2, workers=1, DATABASE_URL=url, REDIS_URL=redis_server.url)
        yield await in_thread(stack.enter_context, opening)
        await in_thread(stack.close)


def _database(postgres: PostgreSQL) -> str:
    return ExitStack().enter_context(postgres.empty_database())


async def restart(postgres: PostgreSQL, _proxy: Proxy) -> Callable[[], Awaitable[None]]:
    await in_thread(postgres.stop)
    return lambda: in_thread(postgres.start)


async def kill(postgres: PostgreSQL, _proxy: Proxy) -> Callable[[], Awaitable[None]]:
    await in_thread(postgres.kill)
    return lambda: in_thread(postgres.start)


async def cut_off(_postgres: PostgreSQL, proxy: Proxy) -> Callable[[], Awaitable[None]]:
    await proxy.shut()
    return proxy.open


async def fall_silent(_postgres: PostgreSQL, proxy: Proxy) -> Callable[[], Awaitable[None]]:
    proxy.half_open()

    async def mend() -> None:
        proxy.mend()

    return mend


@pytest.mark.timeout(180)
@pytest.mark.parametrize("fault", [restart, kill, cut_off, fall_silent])
async def test_everybody_is_told_to_try_again_and_soon_all_is_well(
    farm: Farm,
    postgres: PostgreSQL,
    proxy: Proxy,
    crm: Crm,
    fault: Callable[[PostgreSQL, Proxy], Awaitable[Callable[[], Awaitable[None]]]],
) -> None:
    crm.answers["/lookup"] = FOUND
    company = await farm.company()
    await company.connect(farm.servers[0], crm.url())

    async with mailing([company], farm.servers, random.Random()) as mailers:
        await mailers.more()
        mend = await fault(postgres, proxy)
        await eventually(lambda: all_are(503, farm), within=30)
        await asyncio.gather(*(says_try_again(company, server) for server in farm.servers for _ in range(AT_ONCE)))
        await mend()
        async with asyncio.timeout(PROMISED_SECONDS):
            await eventually(lambda: all_are(200, farm))
            await eventually(lambda: all_take_mail(company, farm.servers))
        await mailers.more()
    panels = await company.settled(farm.servers[0], within=30)

    assert set(mailers.codes) <= {250, 451}
    assert {(panel["status"], panel["error"] and panel["error"]["code"]) for panel in panels} <= {
        ("FOUND", None),
        ("ERROR", "INTERRUPTED"),
    }
    assert set(Counter(request.json["ticket_id"] for request in crm.requests).values()) == {1}
    assert Counter(filter(None, await mailers.present(farm.servers[1]))) == Counter(mailers.taken)
    assert all(member.alive for member in farm.members)


async def all_are(code: int, farm: Farm) -> bool:
    answers = await asyncio.gather(*(member.ready() for member in farm.members))
    return {answer for answer, _ in answers} == {code}


async def says_try_again(company: Company, server: Member) -> None:
    """451 to mail, 503 UNAVAILABLE to the API."""
    code, answer = await asyncio.gather(company.mail(server), company.front_end(server).post(LIST))
    assert code == 451
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (503, "UNAVAILABLE")


async def all_take_mail(company: Company, servers: list[Member]) -> bool:
    return set(await asyncio.gather(*(company.mail(server) for server in servers))) == {250}
