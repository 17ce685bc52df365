"""What carries announcements over Redis: it reaches every kind of address, forgets nothing unsaid and says nothing twice."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import trustme
import uvloop
from broadcaster import Event
from structlog.testing import capture_logs

from lookups.carrier import RESYNC, RedisCarrier
from tests.stage.process import free_port
from tests.stage.proxy import open_proxy
from tests.stage.redis import redis_on_stage
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.stage.redis import RedisServer


@asynccontextmanager
async def carrier(url: str, *, inbox: int = 10_000, outbox: int = 1_000) -> AsyncIterator[RedisCarrier]:
    """One that is connected."""
    opened = RedisCarrier(url, beat=timedelta(seconds=1), inbox=inbox, outbox=outbox)
    await opened.connect()

    async def is_connected() -> bool:
        return opened.connected

    try:
        await eventually(is_connected)
        yield opened
    finally:
        await opened.disconnect()


async def heard(listening: RedisCarrier, last: Event) -> list[Event]:
    """All events up to the last."""
    events: list[Event] = []
    async with asyncio.timeout(5):
        while not events or events[-1] != last:
            events.append(await listening.next_published())
    return events


async def carries(url: str) -> None:
    async with carrier(url) as one, carrier(url) as other:
        await one.subscribe("here")
        await other.publish("here", "look")
        assert await heard(one, Event("here", "look")) == [Event("here", RESYNC), Event("here", "look")]


async def test_it_connects_by_tcp(redis_server: RedisServer) -> None:
    await carries(redis_server.url)


async def test_it_connects_by_a_unix_socket(redis_server: RedisServer) -> None:
    await carries(redis_server.unix_url)


async def test_it_connects_by_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "redis.pem")
    port = free_port()
    own = ["--tls-cert-file", f"{tmp_path}/redis.pem", "--tls-key-file", f"{tmp_path}/redis.pem", "--tls-auth-clients", "no"]

    with redis_on_stage("--tls-port", str(port), "--tls-ca-cert-file", f"{tmp_path}/ca.pem", *own):
        await carries(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={tmp_path}/ca.pem")


def test_it_runs_on_uvloop_as_well(redis_server: RedisServer) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(carries(redis_server.url))


@pytest.mark.parametrize("option", ["protocol=2", "decode_responses=yes", "socket_timeout=0.00001", "retry_on_timeout=yes"])
async def test_an_option_of_the_address_does_not_break_it(redis_server: RedisServer, option: str) -> None:
    await carries(f"{redis_server.url}?{option}")


async def test_what_it_publishes_it_hears_at_once_and_not_again_from_redis(redis_server: RedisServer) -> None:
    async with carrier(redis_server.url) as one, carrier(redis_server.url) as other:
        await one.subscribe("here")
        await other.subscribe("here")
        await heard(one, Event("here", RESYNC))
        await one.publish("here", "look")
        assert await heard(one, Event("here", "look")) == [Event("here", "look")]

        await heard(other, Event("here", "look"))
        await other.publish("here", "the end")
        assert await heard(one, Event("here", "the end")) == [Event("here", "the end")]


async def test_a_channel_that_is_wanted_no_more_is_not_heard(redis_server: RedisServer) -> None:
    async with carrier(redis_server.url) as one, carrier(redis_server.url) as other:
        for channel in ("here", "there"):
            await one.subscribe(channel)
        await one.unsubscribe("here")
        await one.publish("here", "look")
        await other.publish("here", "look")
        await other.publish("there", "look")

        assert Event("here", "look") not in await heard(one, Event("there", "look"))


async def test_more_than_it_can_hold_becomes_one_resync_a_channel(redis_server: RedisServer) -> None:
    async with carrier(redis_server.url, inbox=10) as one:
        for channel in ("here", "there"):
            await one.subscribe(channel)
            await heard(one, Event(channel, RESYNC))
        for number in range(11):
            await one.publish("here", str(number))
        await one.publish("there", "the end")

        events = await heard(one, Event("there", "the end"))
        assert sorted(map(repr, events)) == sorted(
            map(repr, [Event("here", RESYNC), Event("there", RESYNC), Event("there", "the end")])
        )
        assert (one.counts.dropped, one.counts.resyncs) == (11, 1)


async def test_more_than_it_can_say_is_one_resync_for_everybody(redis_server: RedisServer) -> None:
    async with carrier(redis_server.url, outbox=10) as one, carrier(redis_server.url) as other:
        await other.subscribe("there")
        await heard(other, Event("there", RESYNC))
        for number in range(20):
            await one.publish("here", str(number))

        assert await heard(other, Event("there", RESYNC)) == [Event("there", RESYNC)]
        assert one.counts.dropped == 11


@pytest.fixture
def guarded_redis() -> Iterator[RedisServer]:
    """One that wants a password."""
    with redis_on_stage("--requirepass", "right") as server:
        yield server


async def test_it_signs_in_with_the_password_of_the_address(guarded_redis: RedisServer) -> None:
    await carries(f"redis://:right@127.0.0.1:{guarded_redis.port}")


async def test_an_outage_is_told_once_and_without_the_password(guarded_redis: RedisServer) -> None:
    async def refused_thrice() -> bool:
        return proxy.taken >= 3

    async with open_proxy(guarded_redis.port) as proxy:
        refused = RedisCarrier(f"redis://:wr0ng-passw0rd@127.0.0.1:{proxy.port}", beat=timedelta(seconds=0.1))
        with capture_logs() as lines:
            await refused.connect()
            await eventually(refused_thrice)
            await refused.disconnect()

    assert [line["log_level"] for line in lines] == ["warning"]
    assert "wr0ng-passw0rd" not in str(lines)


@pytest.mark.parametrize("url", ["http://127.0.0.1", "redis://127.0.0.1:99999", "nonsense"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        RedisCarrier(url, beat=timedelta(seconds=1))
