"""HTTP below the API: gathering what an answer consists of changes nothing of what arrives, nor of its order."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from graphql import get_introspection_query

from tests.graph.desk import watches
from tests.stage.front_end import PATIENCE
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.stage.helpdesk import Helpdesk

VIEWER = "{ viewer { name } }"
UPGRADE = (
    b"GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
LARGE = f"{{ {' '.join(f'a{n}: __typename b{n}: viewer {{ name }}' for n in range(40))} }}"


def request(helpdesk: Helpdesk, query: str, *headers: str) -> tuple[bytes, bytes]:
    """Head and body."""
    body = json.dumps({"query": query}).encode()
    lines = ["POST /graphql HTTP/1.1", "Host: x", f"Authorization: Bearer {helpdesk.token()}", "Content-Type: application/json"]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", *headers, "", ""]).encode(), body


@asynccontextmanager
async def connection(helpdesk: Helpdesk) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", helpdesk.port)
    try:
        async with asyncio.timeout(PATIENCE):
            yield reader, writer
    finally:
        writer.transport.abort()


async def answer(reader: asyncio.StreamReader) -> bytes:
    """The body of the next answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    (length,) = [line.partition(b":")[2] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
    return await reader.readexactly(int(length))


async def test_requests_sent_at_once_are_answered_one_after_the_other(helpdesk: Helpdesk) -> None:
    queries = [f"{{ a{n}: __typename }}" for n in range(20)] * 3
    async with connection(helpdesk) as (reader, writer):
        writer.write(b"".join(b"".join(request(helpdesk, query)) for query in queries))
        answers = [json.loads(await answer(reader)) for _ in queries]

    assert [[*one["data"]] for one in answers] == [[query.strip("{ ").partition(":")[0]] for query in queries]


async def test_a_connection_that_is_to_be_closed_is_closed_behind_the_whole_answer(helpdesk: Helpdesk) -> None:
    for query in (VIEWER, VIEWER, VIEWER, LARGE, LARGE, LARGE, get_introspection_query()):
        async with connection(helpdesk) as (reader, writer):
            writer.writelines(request(helpdesk, query, "Connection: close"))
            assert "errors" not in json.loads(await answer(reader))
            assert await reader.read() == b""


async def test_whoever_waits_for_the_word_to_continue_gets_it_before_the_answer(helpdesk: Helpdesk) -> None:
    async with connection(helpdesk) as (reader, writer):
        for _ in range(3):
            head, body = request(helpdesk, VIEWER, "Expect: 100-continue")
            writer.write(head)
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(body)
            assert json.loads(await answer(reader)) == {"data": {"viewer": {"name": "Test"}}}


async def test_a_slow_reader_gets_everything_and_holds_nobody_up(helpdesk: Helpdesk) -> None:
    whole = await helpdesk.agent.ask(get_introspection_query())
    async with connection(helpdesk) as (reader, writer):
        writer.writelines(request(helpdesk, get_introspection_query()) * 10)
        for _ in range(3):
            assert await helpdesk.agent.ask(VIEWER)
        for _ in range(10):
            assert json.loads(await answer(reader))["data"] == whole


async def test_a_stream_does_not_outlive_a_socket_that_is_opened_behind_it(helpdesk: Helpdesk) -> None:
    async def followed(times: int) -> bool:
        return watches(helpdesk) == times

    async with connection(helpdesk) as (reader, writer):
        writer.writelines(request(helpdesk, "subscription { ticketOpened { id } }", "Accept: text/event-stream"))
        await eventually(lambda: followed(1))

        writer.write(UPGRADE)

        await reader.read()
    await eventually(lambda: followed(0))


async def test_a_head_has_no_body_and_leaves_the_connection_in_order(helpdesk: Helpdesk) -> None:
    async with connection(helpdesk) as (reader, writer):
        writer.write(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        writer.writelines(request(helpdesk, VIEWER))
        assert json.loads(await answer(reader))["data"]


async def test_what_is_no_http_is_refused_and_the_connection_closed(helpdesk: Helpdesk) -> None:
    async with connection(helpdesk) as (reader, writer):
        writer.write(b"nonsense\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    ("beginning", "more"),
    [
        (b"POST /", b"x" * 65536),
        (b"POST /graphql HTTP/1.1\r\nHost: x\r\nX: ", b"x" * 65536),
        (b"POST /graphql HTTP/1.1\r\nHost: x\r\n", b"X: x\r\n" * 10_000),
        (b"POST /graphql HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n", b"X: x\r\n" * 10_000),
    ],
    ids=["target", "header", "headers", "trailers"],
)
async def test_what_precedes_and_follows_a_body_has_an_end(helpdesk: Helpdesk, beginning: bytes, more: bytes) -> None:
    async with connection(helpdesk) as (_, writer):
        writer.write(beginning)

        with pytest.raises(ConnectionError):
            await repeat(writer, more)


async def repeat(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Far more often than anybody may."""
    for _ in range(400):
        writer.write(data)
        await writer.drain()
