"""A stream of taskiq that outlives Redis and the workers that read it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import RedisError
from taskiq import BrokerMessage

from lookups.streams import Stream
from tests.stage.redis import redis_on_stage
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from taskiq import AckableMessage

    from tests.stage.redis import RedisServer

SOON = timedelta(milliseconds=1)
NAME = "disqua:test"


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A server that the test may break."""
    with redis_on_stage() as server:
        yield server


@asynccontextmanager
async def stream(redis: RedisServer, *, reclaim: timedelta = timedelta(minutes=1)) -> AsyncIterator[Stream]:
    opened = Stream(redis.url, NAME, reclaim=reclaim)
    await opened.startup()
    try:
        yield opened
    finally:
        await opened.shutdown()


async def send(stream: Stream, text: str) -> None:
    await stream.kick(BrokerMessage(task_id=text, task_name=text, message=text.encode(), labels={}))


async def heard(stream: Stream) -> str:
    """The next message, which stays unacknowledged."""
    async with asyncio.timeout(10):
        message: AckableMessage = await anext(stream.listen())
    return message.data.decode()


@asynccontextmanager
async def listening(stream: Stream) -> AsyncIterator[list[str]]:
    """Everything that is heard and acknowledged while the block runs."""
    texts: list[str] = []

    async def listen() -> None:
        async for message in stream.listen():
            texts.append(message.data.decode())
            ack = message.ack()
            assert ack is not None
            await ack

    task = asyncio.create_task(listen())
    try:
        yield texts
    finally:
        stream.finish()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_message_goes_to_one_worker(redis: RedisServer) -> None:
    async with stream(redis) as one, stream(redis) as other, listening(one) as first, listening(other) as second:
        for number in range(20):
            await send(one, str(number))

        async def all_heard() -> bool:
            return len(first) + len(second) >= 20

        await eventually(all_heard)

    assert sorted(first + second, key=int) == [str(number) for number in range(20)]


async def test_what_a_dead_worker_had_read_is_passed_on_without_any_traffic(redis: RedisServer) -> None:
    async with stream(redis) as dead, stream(redis, reclaim=SOON) as alive:
        await send(dead, "read and lost")
        assert await heard(dead) == "read and lost"

        assert await heard(alive) == "read and lost"


async def test_what_is_still_being_worked_on_is_left_alone(redis: RedisServer) -> None:
    async with stream(redis) as busy, stream(redis) as idle:
        await send(busy, "first")
        assert await heard(busy) == "first"
        await send(busy, "second")

        assert await heard(idle) == "second"


@pytest.mark.parametrize("harm", ["kill", "flush", "restart", "clients killed"])
async def test_it_listens_on_whatever_happens_to_redis(redis: RedisServer, harm: str) -> None:
    async with stream(redis) as sender, stream(redis) as listener, listening(listener) as texts:
        await send(sender, "before")
        match harm:
            case "flush":
                redis.flush()
            case "clients killed":
                redis.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            case "restart":
                redis.stop()
                redis.start()
            case _:
                redis.kill()
                redis.start()

        async def hears_again() -> bool:
            with suppress(RedisError):  # the sender's connection has gone, too
                await send(sender, "after")
            return "after" in texts

        await eventually(hears_again)


async def test_it_starts_without_redis_and_listens_when_it_comes() -> None:
    with redis_on_stage(running=False) as redis:
        async with stream(redis) as listener, listening(listener) as texts:
            assert not await listener.reachable()
            redis.start()

            async def heard_from_another() -> bool:
                async with stream(redis) as sender:
                    await send(sender, "hello")
                return "hello" in texts

            await eventually(heard_from_another)


async def test_what_was_read_does_not_pile_up_for_ever(redis: RedisServer) -> None:
    async with stream(redis) as sender:
        redis.run("CONFIG", "SET", "stream-node-max-entries", "100")
        assert sender.maxlen == 100_000
        sender.maxlen = 1000
        for number in range(3000):
            await send(sender, str(number))

    length = redis.run("XLEN", NAME)
    assert isinstance(length, int)
    assert length < 1500
