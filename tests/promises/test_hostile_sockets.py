"""No socket holds more than its share: nonsense closes it, a flood waits at its sender, and no neighbour feels it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
import time
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from graph.limits import Limits
from tests.graph.desk import open_sockets
from tests.stage.front_end import PATIENCE, FrontEnd, receive, send
from tests.stage.helpdesk import open_helpdesk
from tests.stage.waiting import eventually
from tests.stage.watch import watched

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from websockets.asyncio.client import ClientConnection

    from tests.promises.conftest import Figure
    from tests.stage.helpdesk import Helpdesk

pytestmark = pytest.mark.timed

LIMITS = Limits()
OPENED = "subscription { ticketOpened { subject } }"
VIEWER = {"query": "{ viewer { name } }"}
TEXT, BINARY, CLOSE, PING, PONG, CONTINUED = 0x1, 0x2, 0x8, 0x9, 0xA, 0x0

NO_MESSAGE: dict[str, str | bytes] = {
    "nothing": "",
    "no JSON": "hello",
    "null": "null",
    "a number": "5",
    "a list": "[1, 2]",
    "a text": '"connection_init"',
    "a truth": "true",
    "no type": "{}",
    "a type that is no text": '{"type": ["ping"]}',
    "an unknown type": '{"type": "start", "id": "1", "payload": {}}',
    "brackets without end": "[" * 200_000,
    "a binary frame": b'{"type": "ping"}',
    "bytes that are no text": b"\xff\xfe\x00",
    "a subscription without an id": json.dumps({"type": "subscribe", "payload": VIEWER}),
    "an id that is a number": json.dumps({"type": "subscribe", "id": 5, "payload": VIEWER}),
    "a payload that is a list": json.dumps({"type": "subscribe", "id": "1", "payload": [VIEWER]}),
    "a query that is a number": json.dumps({"type": "subscribe", "id": "1", "payload": {"query": 5}}),
    "variables that are a list": json.dumps({"type": "subscribe", "id": "1", "payload": VIEWER | {"variables": [1]}}),
}


async def closed(socket: ClientConnection) -> int | None:
    """The code with which the other side closes, whatever it says before."""
    async with asyncio.timeout(PATIENCE):
        await socket.wait_closed()
    return socket.close_code


@asynccontextmanager
async def raw_socket(helpdesk: Helpdesk) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A signed-in socket whose every byte is ours."""
    reader, writer = await asyncio.open_connection("127.0.0.1", helpdesk.port)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET /graphql HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode()
    )
    async with asyncio.timeout(PATIENCE):
        assert b" 101 " in (await reader.readuntil(b"\r\n\r\n")).splitlines()[0]
    init = {"type": "connection_init", "payload": {"Authorization": f"Bearer {helpdesk.token()}"}}
    writer.write(frame(TEXT, json.dumps(init).encode()))
    async with asyncio.timeout(PATIENCE):
        assert (await reader.readuntil(b"}")).endswith(b'{"type":"connection_ack"}')
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def frame(opcode: int, payload: bytes = b"", *, final: bool = True) -> bytes:
    """One frame as a client sends it (RFC 6455, 5.2), masked with nothing."""
    length = len(payload)
    if length < 126:
        size = bytes([0x80 | length])
    elif length < 65_536:
        size = bytes([0x80 | 126]) + struct.pack("!H", length)
    else:
        size = bytes([0x80 | 127]) + struct.pack("!Q", length)
    return bytes([(0x80 if final else 0) | opcode]) + size + bytes(4) + payload


async def close_code(reader: asyncio.StreamReader) -> int | None:
    """The code of the close frame with which the stream of frames ends; None for a connection that just breaks."""
    said = b""
    try:
        async with asyncio.timeout(PATIENCE):
            while chunk := await reader.read(65_536):
                said = (said + chunk)[-200:]
    except ConnectionError:
        pass
    at = said.rfind(bytes([0x80 | CLOSE]))
    return int.from_bytes(said[at + 2 : at + 4]) if at >= 0 else None


# What makes no sense


@pytest.mark.parametrize("message", NO_MESSAGE.values(), ids=NO_MESSAGE)
async def test_what_is_no_message_closes_its_socket_and_no_other(
    helpdesk: Helpdesk, message: str | bytes, figure: Figure
) -> None:
    async with helpdesk.agent.signed_in() as neighbour:
        async with helpdesk.agent.signed_in() as socket:
            await socket.send(message)
            assert await closed(socket) == 4400
        await send(neighbour, type="ping")
        assert await receive(neighbour) == {"type": "pong"}
    figure("frames that are no message", 1)


async def test_a_message_that_is_too_large_is_not_read_to_its_end(helpdesk: Helpdesk) -> None:
    async with helpdesk.agent.signed_in() as socket:
        await socket.send(json.dumps({"type": "ping", "payload": {"x": "x" * (LIMITS.frame_bytes - 100)}}))
        assert await receive(socket) == {"type": "pong"}
        await socket.send("x" * (LIMITS.frame_bytes + 1))
        assert await closed(socket) == 1009


async def test_a_message_in_pieces_is_too_large_all_the_same(helpdesk: Helpdesk) -> None:
    async with raw_socket(helpdesk) as (reader, writer):
        writer.write(frame(TEXT, b"x" * 60_000, final=False))
        for _ in range(10):
            writer.write(frame(CONTINUED, b"x" * 60_000, final=False))
        assert await close_code(reader) == 1009


NO_FRAME = {
    "a reserved opcode": (bytes([0x80 | 0x3, 0x80]) + bytes(4), 1002),
    "reserved bits": (bytes([0xF0 | TEXT, 0x80]) + bytes(4), 1002),
    "without a mask": (bytes([0x80 | TEXT, 2]) + b"{}", 1002),
    "a long ping": (frame(PING, b"x" * 200), 1002),
    "a ping in pieces": (frame(PING, b"x", final=False), 1002),
    "a piece of nothing": (frame(CONTINUED, b"x"), 1002),
    "no UTF-8": (frame(TEXT, b"\xff\xff"), 1007),
    "an endless length": (bytes([0x80 | TEXT, 0xFF]) + b"\xff" * 8 + bytes(4), 1009),
    "a huge length": (bytes([0x80 | TEXT, 0xFF]) + struct.pack("!Q", 2**40) + bytes(4), 1009),
}


@pytest.mark.parametrize(("sent", "code"), NO_FRAME.values(), ids=NO_FRAME)
async def test_what_is_no_frame_closes_the_socket(helpdesk: Helpdesk, sent: bytes, code: int) -> None:
    async with raw_socket(helpdesk) as (reader, writer):
        writer.write(sent)
        assert await close_code(reader) == code


# Who may come in, and for how long


async def test_the_legacy_protocol_and_none_at_all_are_refused(helpdesk: Helpdesk) -> None:
    for offered in ([Subprotocol("graphql-ws")], None):
        async with connect(f"ws://127.0.0.1:{helpdesk.port}/graphql", subprotocols=offered, proxy=None) as socket:
            assert await closed(socket) == 4406


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1", "https://127.0.0.1:1", "file://"])
async def test_a_page_of_another_origin_gets_403(helpdesk: Helpdesk, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        async with helpdesk.agent.socket(origin=origin):
            pass

    assert refusal.value.response.status_code == 403


async def test_nothing_runs_before_signing_in_and_nobody_signs_in_twice(helpdesk: Helpdesk) -> None:
    async with helpdesk.agent.socket() as socket:
        await send(socket, id="1", type="subscribe", payload=VIEWER)
        assert await closed(socket) == 4401
    async with helpdesk.agent.signed_in() as socket:
        await send(socket, type="connection_init", payload={"Authorization": f"Bearer {helpdesk.token()}"})
        assert await closed(socket) == 4429
    async with helpdesk.agent.socket() as socket:
        await send(socket, type="connection_init", payload={"Authorization": "Bearer nonsense"})
        assert await closed(socket) == 4403


async def test_a_socket_that_says_nothing_is_closed(tmp_path: Path, figure: Figure) -> None:
    async with open_helpdesk(tmp_path / "data", socket_init_seconds=1) as helpdesk:
        started = time.monotonic()
        async with helpdesk.agent.socket() as silent, helpdesk.agent.socket() as pinging:
            await send(pinging, type="ping")
            assert await closed(silent) == 4408
            assert await closed(pinging) == 4408
        figure("a silent socket closed, s after its second was up", time.monotonic() - started - 1)


async def test_a_socket_ends_with_its_token(helpdesk: Helpdesk, figure: Figure) -> None:
    started = time.monotonic()
    agent = FrontEnd(helpdesk.base_url, helpdesk.token(ttl=timedelta(seconds=2)))

    async with agent.watching(OPENED) as busy, agent.signed_in() as idle:
        assert await closed(busy.socket) == 4403
        assert await closed(idle) == 4403

    late = time.monotonic() - started - 2
    assert late < 5
    figure("a socket closed after its token expired, s", late)


async def test_an_id_is_taken_once_and_a_socket_has_room_for_so_many(helpdesk: Helpdesk) -> None:
    async with helpdesk.agent.signed_in() as socket:
        for _ in range(2):
            await send(socket, id="1", type="subscribe", payload={"query": OPENED})
        assert await closed(socket) == 4409
    async with helpdesk.agent.signed_in() as socket:
        for number in range(LIMITS.socket_operations + 1):
            await send(socket, id=str(number), type="subscribe", payload={"query": OPENED})
        refused = await receive(socket)
        assert refused["id"] == str(LIMITS.socket_operations)
        assert refused["payload"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
        assert f"{LIMITS.socket_operations} operations" in refused["payload"][0]["message"]


# Floods


FLOODS: dict[str, bytes] = {
    "pings": frame(TEXT, b'{"type":"ping"}'),
    "pongs": frame(TEXT, b'{"type":"pong"}'),
    "ends of nothing": frame(TEXT, b'{"type":"complete","id":"x"}'),
    "operations": frame(TEXT, json.dumps({"type": "subscribe", "id": "1", "payload": VIEWER}).encode())
    + frame(TEXT, b'{"type":"complete","id":"1"}'),
}


@pytest.mark.parametrize("one", FLOODS.values(), ids=FLOODS)
async def test_a_flood_of_messages_waits_at_its_sender(helpdesk: Helpdesk, one: bytes, figure: Figure) -> None:
    async with helpdesk.agent.signed_in() as neighbour, raw_socket(helpdesk) as (reader, writer):
        await answered_in(neighbour)
        spent = time.process_time()
        flood = asyncio.create_task(pour(writer, one, 20_000_000 // len(one)))
        reading = asyncio.create_task(drain(reader))
        slowest = max([await answered_in(neighbour) for _ in range(40)])
        figure("slowest ping of a neighbour beside a flood of messages, ms", slowest * 1000)
        figure("CPU for 40 pings beside a flood of messages, ms", (time.process_time() - spent) * 1000)
        assert slowest < 1
        assert not flood.done(), "20 MB of messages were taken"
        for task in (flood, reading):
            task.cancel()
        await asyncio.wait([flood, reading])


IDLE_FLOODS: dict[str, Callable[[], bytes]] = {
    "pings": lambda: frame(PING, b"x" * 100),
    "pongs": lambda: frame(PONG, b""),
    "pieces of nothing": lambda: frame(CONTINUED, b"", final=False),
}


@pytest.mark.parametrize("one", IDLE_FLOODS.values(), ids=IDLE_FLOODS)
async def test_a_flood_of_what_is_no_message_ends_the_socket(
    helpdesk: Helpdesk, one: Callable[[], bytes], figure: Figure
) -> None:
    async with helpdesk.agent.signed_in() as neighbour, raw_socket(helpdesk) as (reader, writer):
        if one()[0] & 0x0F == CONTINUED:
            writer.write(frame(TEXT, b"", final=False))
        async with watched() as watch:
            flood = asyncio.create_task(pour(writer, one(), 5_000_000 // len(one())))
            slowest = max([await answered_in(neighbour) for _ in range(20)])
            assert await close_code(reader) in {1008, None}  # what still comes may reset the connection
            await asyncio.wait([flood])
        figure("slowest ping of a neighbour beside a flood of frames, ms", slowest * 1000)
        assert slowest < 1
        assert watch.growth < 32  # the bytes of the flood itself are ours, too
        figure("most that a flood of frames took, MB", watch.growth)
    await eventually(lambda: no_sockets(helpdesk))


async def test_few_pings_are_answered_for_ever(helpdesk: Helpdesk) -> None:
    async with raw_socket(helpdesk) as (reader, writer):
        for number in range(150):
            writer.write(frame(PING, str(number).encode()))
        async with asyncio.timeout(PATIENCE):
            assert (await reader.readuntil(b"149")).count(bytes([0x80 | PONG])) == 150


async def answered_in(socket: ClientConnection) -> float:
    """How many seconds a ping takes."""
    started = time.monotonic()
    await send(socket, type="ping")
    assert await receive(socket) == {"type": "pong"}
    await asyncio.sleep(0.02)  # within the pace of an honest client
    return time.monotonic() - started - 0.02


async def pour(writer: asyncio.StreamWriter, one: bytes, times: int) -> None:
    """Send it as often as it is taken."""
    many = one * 500
    try:
        for _ in range(times // 500):
            writer.write(many)
            await writer.drain()
    except ConnectionError:
        pass  # it was let go


async def drain(reader: asyncio.StreamReader) -> None:
    while await reader.read(65_536):
        pass


async def no_sockets(helpdesk: Helpdesk) -> Any:  # noqa: ANN401 - true or false
    return await open_sockets(helpdesk) == 0
