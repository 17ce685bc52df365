"""Redis goes away in every way it can: nobody waits for it, nobody stays deaf, and whoever missed something looks again."""

from __future__ import annotations

import asyncio
import gc
import sys
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING

import pytest

from domain.identity import WorkspaceId
from lookups.updates import CONNECTORS, TICKETS, Topic, Updates
from persistence.tables import new_id
from tests.stage.proxy import Proxy, open_proxy
from tests.stage.redis import redis_on_stage
from tests.stage.waiting import eventually, in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from lookups.updates import Watch
    from tests.stage.redis import RedisServer

HERE = WorkspaceId(new_id())
BEAT = timedelta(seconds=0.2)


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A server that the test may break."""
    with redis_on_stage() as server:
        yield server


@pytest.fixture
async def proxy(redis: RedisServer) -> AsyncIterator[Proxy]:
    """The way to it, which the test may break as well."""
    async with open_proxy(redis.port) as opened:
        yield opened


@asynccontextmanager
async def process(url: str) -> AsyncIterator[Updates]:
    """The announcements of one process."""
    updates = Updates(url, beat=BEAT)
    await updates.open()
    try:
        yield updates
    finally:
        await updates.close()


@asynccontextmanager
async def two_processes(near: str, far: str) -> AsyncIterator[tuple[Updates, Updates]]:
    async with process(near) as one, process(far) as other:
        await connected(one)
        await connected(other)
        yield one, other


def url_of(proxy: Proxy) -> str:
    return f"redis://127.0.0.1:{proxy.port}"


async def connected(updates: Updates) -> None:
    async def is_connected() -> bool:
        return updates.connected

    await eventually(is_connected)


async def away(updates: Updates) -> None:
    async def is_away() -> bool:
        return not updates.connected

    await eventually(is_away, within=5)


async def looks_again(watch: Watch) -> None:
    """The promise to every socket: within five seconds."""
    async with asyncio.timeout(5):
        await watch.wait(60)


async def hears(watch: Watch, announce: Callable[[], Awaitable[None]]) -> None:
    """Whatever it has been told before, it is told again."""
    async with asyncio.timeout(0.1):
        await watch.wait(0.05)
    await announce()
    await looks_again(watch)


async def kill_and_restart(redis: RedisServer) -> None:
    await in_thread(redis.kill)
    await in_thread(redis.start)


async def stop_and_restart(redis: RedisServer) -> None:
    await in_thread(redis.stop)
    await in_thread(redis.start)


async def kill_clients(redis: RedisServer) -> None:
    await in_thread(redis.run, "CLIENT", "KILL", "TYPE", "pubsub")


@pytest.mark.parametrize("fault", [kill_and_restart, stop_and_restart, kill_clients])
async def test_a_lost_connection_wakes_every_watch_and_deafens_none(
    redis: RedisServer, fault: Callable[[RedisServer], Awaitable[None]]
) -> None:
    async with two_processes(redis.url, redis.url) as (near, far):
        async with near.watch(HERE, TICKETS) as one, far.watch(HERE, CONNECTORS) as other:
            await fault(redis)

            await looks_again(one)
            await looks_again(other)
            await hears(one, lambda: far.announce(HERE, TICKETS))
            await hears(other, lambda: near.announce(HERE, CONNECTORS))
        async with near.watch(WorkspaceId(new_id()), TICKETS):
            assert (near.counts.reconnects, near.counts.resyncs) == (1, 1)


async def test_a_flush_is_not_even_noticed(redis: RedisServer) -> None:
    async with two_processes(redis.url, redis.url) as (near, far), near.watch(HERE, TICKETS) as watch:
        await in_thread(redis.flush)
        await far.announce(HERE, TICKETS)

        await looks_again(watch)
        assert near.counts.reconnects == 0


async def test_a_redis_that_answers_nothing_is_given_up_and_found_again(redis: RedisServer) -> None:
    async with (
        two_processes(redis.url, redis.url) as (near, far),
        near.watch(HERE, TICKETS) as one,
        far.watch(HERE, TICKETS) as other,
    ):
        redis.pause()
        await away(near)
        await near.announce(HERE, TICKETS)
        await looks_again(one)  # at once, in the process that announced it

        redis.resume()
        await looks_again(other)
        await hears(one, lambda: far.announce(HERE, TICKETS))


async def test_a_half_open_connection_is_given_up_and_made_anew(redis: RedisServer, proxy: Proxy) -> None:
    async with two_processes(url_of(proxy), redis.url) as (near, far), near.watch(HERE, TICKETS) as watch:
        proxy.half_open()
        await far.announce(HERE, TICKETS)  # lost on the way
        await away(near)

        proxy.mend()
        await looks_again(watch)
        await hears(watch, lambda: far.announce(HERE, TICKETS))


async def test_a_redis_that_is_away_at_the_start_keeps_nobody_waiting(redis: RedisServer) -> None:
    redis.kill()
    async with asyncio.timeout(5), process(redis.url) as near, near.watch(HERE, TICKETS) as watch:
        await near.announce(HERE, TICKETS)
        await looks_again(watch)
        assert not near.connected

        await in_thread(redis.start)
        await looks_again(watch)
        assert near.connected


async def test_what_was_announced_while_away_reaches_a_process_that_never_was(redis: RedisServer, proxy: Proxy) -> None:
    async with two_processes(url_of(proxy), redis.url) as (near, far), far.watch(HERE, TICKETS) as watch:
        await proxy.shut()
        await away(near)
        await near.announce(HERE, TICKETS)

        await proxy.open()
        await looks_again(watch)
        assert far.counts.resyncs == 0


async def test_what_was_on_its_way_when_the_connection_fell_silent_is_sent_again(redis: RedisServer, proxy: Proxy) -> None:
    async with two_processes(url_of(proxy), redis.url) as (near, far), far.watch(HERE, TICKETS) as watch:
        proxy.half_open()
        await near.announce(HERE, TICKETS)
        await away(near)

        proxy.mend()
        await looks_again(watch)


async def test_too_much_to_remember_is_one_resync_for_everybody(redis: RedisServer, proxy: Proxy) -> None:
    numbers = count()

    async def announce(times: int) -> None:
        for _ in range(times):
            await near.announce(HERE, Topic(f"requester:{next(numbers)}"))
        gc.collect()

    async with two_processes(url_of(proxy), redis.url) as (near, far), far.watch(HERE, TICKETS) as watch:
        await proxy.shut()
        await away(near)
        await announce(2_000)
        before = sys.getallocatedblocks()
        await announce(5_000)
        assert sys.getallocatedblocks() - before < 2_000

        await proxy.open()
        await looks_again(watch)
        assert near.counts.dropped > 0
        assert far.counts.resyncs == 1


@pytest.mark.timed
async def test_no_announcement_waits_for_a_redis_that_hangs(redis: RedisServer) -> None:
    async with process(redis.url) as near:
        await connected(near)
        redis.pause()
        try:
            async with asyncio.timeout(0.5):
                for _ in range(100):
                    await near.announce(HERE, TICKETS)
        finally:
            redis.resume()


async def test_a_watch_of_a_new_workspace_does_not_wait_for_a_redis_that_hangs(redis: RedisServer) -> None:
    async with process(redis.url) as near:
        await connected(near)
        redis.pause()
        try:
            async with asyncio.timeout(2), near.watch(HERE, TICKETS):
                pass
        finally:
            redis.resume()


async def test_the_first_to_watch_after_the_start_hears(redis: RedisServer) -> None:
    async with process(redis.url) as far:
        await connected(far)
        for _ in range(8):
            async with process(redis.url) as near, near.watch(HERE, TICKETS) as watch:
                await looks_again(watch)  # it was not connected yet, so it is told to look when it is
                await hears(watch, lambda: far.announce(HERE, TICKETS))


async def test_all_who_begin_to_watch_a_new_workspace_at_once_hear(redis: RedisServer) -> None:
    async with two_processes(redis.url, redis.url) as (near, far):
        for _ in range(10):
            workspace = WorkspaceId(new_id())
            everybody = asyncio.Barrier(31)

            async def is_told(workspace: WorkspaceId, everybody: asyncio.Barrier) -> None:
                async with near.watch(workspace, TICKETS) as watch:
                    await everybody.wait()
                    await looks_again(watch)

            watchers = [asyncio.create_task(is_told(workspace, everybody)) for _ in range(30)]
            await everybody.wait()
            await far.announce(workspace, TICKETS)
            await asyncio.gather(*watchers)


@pytest.mark.parametrize("payload", [b"\xff\xfe", b"x:\xff", b"x:{}", b"x:" + b"[" * 100_000, b"", b'x:[{"topic": 1}]'])
async def test_what_cannot_be_read_may_mean_anything_and_breaks_nothing(redis: RedisServer, payload: bytes) -> None:
    async with two_processes(redis.url, redis.url) as (near, far), near.watch(HERE, TICKETS) as watch:
        await in_thread(redis.run, "PUBLISH", f"disqua:workspace:{HERE}", payload)
        await looks_again(watch)

        await hears(watch, lambda: far.announce(HERE, TICKETS))
        assert near.counts.reconnects == 0


@pytest.mark.timed
async def test_thousands_who_look_again_do_so_one_after_the_other(redis: RedisServer) -> None:
    async def woken_at() -> float:
        async with near.watch(HERE, TICKETS) as watch:
            await everybody.wait()
            await looks_again(watch)
            return asyncio.get_running_loop().time()

    async with process(redis.url) as near:
        await connected(near)
        everybody = asyncio.Barrier(2_001)
        sockets = [asyncio.create_task(woken_at()) for _ in range(2_000)]
        await everybody.wait()
        await kill_clients(redis)
        times = await asyncio.gather(*sockets)

    assert 0.2 < max(times) - min(times) < 2


@pytest.mark.parametrize("fault", [lambda _: None, Proxy.half_open, Proxy.cut], ids=["none", "half-open", "cut"])
async def test_the_end_comes_whatever_redis_does_and_leaves_nothing_behind(
    redis: RedisServer, proxy: Proxy, fault: Callable[[Proxy], None]
) -> None:
    updates = Updates(url_of(proxy), beat=BEAT)
    await updates.open()
    await connected(updates)

    async with updates.watch(HERE, TICKETS):
        fault(proxy)
        await updates.announce(HERE, TICKETS)
        async with asyncio.timeout(1):
            await updates.close()

    await proxy.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.timed
async def test_who_begins_to_watch_while_the_end_comes_is_not_kept(redis: RedisServer) -> None:
    async def watch() -> None:
        async with updates.watch(HERE, TICKETS):
            pass

    updates = Updates(redis.url)
    await updates.open()
    await connected(updates)
    redis.pause()
    watcher = asyncio.create_task(watch())
    await asyncio.sleep(0)

    async with asyncio.timeout(0.8):
        await updates.close()
        await watcher


async def test_what_is_announced_just_before_the_end_is_heard(redis: RedisServer) -> None:
    async with process(redis.url) as far, far.watch(HERE, TICKETS) as watch:
        await connected(far)
        await looks_again(watch)
        async with process(redis.url) as near:
            await connected(near)
            await near.announce(HERE, CONNECTORS)
            await asyncio.sleep(0)  # this one leaves, and the next has to wait for it
            await near.announce(HERE, TICKETS)

        await looks_again(watch)
