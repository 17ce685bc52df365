"""Saying "look again": it arrives, it merges, it costs no memory, and it never breaks what was committed."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from typing import TYPE_CHECKING

import pytest

from domain.identity import WorkspaceId, email_address
from lookups.updates import CONNECTORS, TICKETS, Topic, Updates, requester_topic
from persistence.tables import new_id
from tests.lookups.room import told
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.stage.redis import RedisServer

HERE = WorkspaceId(new_id())
ELSEWHERE = WorkspaceId(new_id())


class _FromElsewhere(Updates):
    """What is announced here is announced by another process."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._elsewhere = Updates(url)

    async def open(self) -> None:
        await super().open()
        await self._elsewhere.open()

    async def close(self) -> None:
        await super().close()
        await self._elsewhere.close()

    async def announce(self, workspace_id: WorkspaceId, *topics: Topic) -> None:
        await self._elsewhere.announce(workspace_id, *topics)

    @property
    def connected(self) -> bool:
        return super().connected and self._elsewhere.connected


@pytest.fixture(params=["in memory", "over redis", "from elsewhere"])
async def updates(request: pytest.FixtureRequest) -> AsyncIterator[Updates]:
    async def connected() -> bool:
        return opened.connected

    opened = _updates(request)
    await opened.open()
    await eventually(connected)
    yield opened
    await opened.close()


def _updates(request: pytest.FixtureRequest) -> Updates:
    if request.param == "in memory":
        return Updates()
    server: RedisServer = request.getfixturevalue("redis_server")
    return Updates(server.url) if request.param == "over redis" else _FromElsewhere(server.url)


async def test_a_watch_is_told_of_its_topics(updates: Updates) -> None:
    async with updates.watch(HERE, TICKETS, CONNECTORS) as watch:
        await updates.announce(HERE, CONNECTORS)

        assert await told(updates, HERE, watch)


async def test_a_watch_is_not_told_of_other_topics(updates: Updates) -> None:
    async with updates.watch(HERE, TICKETS) as watch:
        await updates.announce(HERE, CONNECTORS)

        assert not await told(updates, HERE, watch)


async def test_a_watch_is_not_told_of_another_workspace(updates: Updates) -> None:
    async with updates.watch(HERE, TICKETS) as watch, updates.watch(ELSEWHERE, TICKETS) as there:
        await updates.announce(ELSEWHERE, TICKETS)

        assert await told(updates, ELSEWHERE, there)
        assert not await told(updates, HERE, watch)


async def test_one_announcement_can_be_of_several_topics(updates: Updates) -> None:
    async with updates.watch(HERE, TICKETS) as tickets, updates.watch(HERE, CONNECTORS) as connectors:
        await updates.announce(HERE, TICKETS, CONNECTORS)

        assert await told(updates, HERE, tickets)
        assert await told(updates, HERE, connectors)


async def test_all_who_watch_are_told(updates: Updates) -> None:
    async with updates.watch(HERE, TICKETS) as one, updates.watch(HERE, TICKETS) as other:
        await updates.announce(HERE, TICKETS)

        assert await told(updates, HERE, one)
        assert await told(updates, HERE, other)


async def test_two_who_begin_to_watch_at_once_are_both_told(updates: Updates) -> None:
    both_watch = asyncio.Barrier(3)

    async def is_told() -> bool:
        async with updates.watch(HERE, TICKETS) as watch:
            await both_watch.wait()
            await watch.wait(10)
            return True

    watchers = [asyncio.create_task(is_told()) for _ in range(2)]
    await both_watch.wait()
    await updates.announce(HERE, TICKETS)

    async with asyncio.timeout(5):
        assert await asyncio.gather(*watchers) == [True, True]


async def test_a_first_watcher_who_gives_up_at_once_leaves_the_others_their_ears(updates: Updates) -> None:
    async def watch_for_ever() -> None:
        async with updates.watch(HERE, TICKETS):
            await asyncio.Event().wait()

    hasty = asyncio.create_task(watch_for_ever())
    await asyncio.sleep(0)
    hasty.cancel()

    async with updates.watch(HERE, TICKETS) as watch:
        await updates.announce(HERE, TICKETS)
        assert await told(updates, HERE, watch)


async def test_what_is_announced_once_the_watch_has_begun_is_never_missed(updates: Updates) -> None:
    for _ in range(100):
        async with updates.watch(HERE, TICKETS) as watch:
            await updates.announce(HERE, TICKETS)
            assert await told(updates, HERE, watch)


async def test_what_was_announced_before_the_watch_is_not_told(updates: Updates) -> None:
    async with updates.watch(HERE, CONNECTORS):
        await updates.announce(HERE, TICKETS)
        async with updates.watch(HERE, CONNECTORS) as fence:
            await updates.announce(HERE, CONNECTORS)
            await fence.wait(10)
        async with updates.watch(HERE, TICKETS) as watch:
            assert not await told(updates, HERE, watch)


async def test_many_announcements_are_one_wake_up(updates: Updates) -> None:
    async with updates.watch(HERE, TICKETS) as watch:
        for _ in range(100):
            await updates.announce(HERE, TICKETS)

        assert await told(updates, HERE, watch)
        assert not await told(updates, HERE, watch)


async def test_what_is_announced_between_two_waits_wakes_the_second_one(updates: Updates) -> None:
    async with updates.watch(HERE, TICKETS) as watch:
        await updates.announce(HERE, TICKETS)
        await watch.wait(10)
        await updates.announce(HERE, TICKETS)

        assert await told(updates, HERE, watch)


async def test_a_wait_ends_by_itself_when_nothing_is_announced(updates: Updates) -> None:
    async with updates.watch(HERE, TICKETS) as watch, asyncio.timeout(5):
        await watch.wait(0.001)


async def test_an_announcement_that_cannot_be_made_raises_nothing() -> None:
    never_opened = Updates()

    await never_opened.announce(HERE, TICKETS)


async def test_an_announcement_after_the_end_raises_nothing() -> None:
    updates = Updates()
    await updates.open()
    async with updates.watch(HERE, TICKETS):
        pass
    await updates.close()

    await updates.announce(HERE, TICKETS)


async def test_the_end_comes_although_somebody_watches() -> None:
    updates = Updates()
    await updates.open()

    async with asyncio.timeout(5), updates.watch(HERE, TICKETS) as watch:
        await updates.close()
        await watch.wait(0.001)


async def test_ten_thousand_announcements_that_nobody_waits_for_leave_nothing_in_memory(updates: Updates) -> None:
    async def announce(times: int) -> None:
        for _ in range(times):
            await updates.announce(HERE, TICKETS, requester_topic(email_address("jan@firma.cz")))
            await updates.announce(ELSEWHERE, TICKETS)  # where nobody watches
        assert await told(updates, HERE, idle)
        gc.collect()

    async with updates.watch(HERE, TICKETS, CONNECTORS) as idle:
        await announce(100)
        before = sys.getallocatedblocks()
        await announce(5_000)

        assert sys.getallocatedblocks() - before < 2_000


async def test_a_watch_that_has_ended_is_forgotten(updates: Updates) -> None:
    async with updates.watch(HERE, TICKETS) as watch:
        forgotten = weakref.ref(watch)

    del watch
    gc.collect()
    assert forgotten() is None


def test_the_topic_of_a_requester_is_theirs_alone_and_does_not_show_the_address() -> None:
    topic = requester_topic(email_address("jan@firma.cz"))

    assert topic == requester_topic(email_address(" Jan@FIRMA.cz"))
    assert topic != requester_topic(email_address("eva@firma.cz"))
    assert "jan" not in topic
    assert "firma" not in topic
    assert topic not in {TICKETS, CONNECTORS, Topic("")}
