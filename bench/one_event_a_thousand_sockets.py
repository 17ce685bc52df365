"""What one panel event costs that a thousand sockets watch, beside a hand-written server that does nothing else.

``.venv/bin/python bench/one_event_a_thousand_sockets.py`` takes about a minute. Both servers run on one core and the sockets
on another, one after the other in rounds. Ours is a `disqua serve` over its own file, and an event is a connector that gets a
new name: a mutation over HTTP, its commit, its announcement, one reading, one rendering and a frame for every socket.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import re
import statistics
import struct
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

import httpx
import jwt
import uvloop

from bench.endpoint import endpoint
from bench.figures import percentile, show
from bench.fleet import open_fleet
from bench.socket_floor import KEY, socket_floor
from bench.usage import cpu_seconds, resident_bytes
from bench.watchers import WATCH
from domain.answer import Badge, BadgeColor, Customer, Field, Found
from domain.identity import Role, email_address
from server.app import utc_now
from server.serve import allow_many_sockets
from tests.stage.front_end import NO_TLS
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

_KIB: Final = 1024
_CONNECTING_AT_ONCE: Final = 20
_CALM_EVENTS: Final = 6
_SERVER_CORE, _CLIENT_CORE = 0, 1
_MARK: Final = re.compile(rb'"mark-(\d+)"')
_RENAME: Final = "mutation ($id: ID!, $input: UpdateConnectorInput!) { updateConnector(id: $id, input: $input) { __typename } }"
_FIELDS: Final = (("Plan", "Pro"), ("Value", "12 000 Kč"), ("Seats", "12"), ("Since", "2021"), ("Owner", "Eva"))
_CUSTOMER: Final = Customer(
    customer_id="cus_42", name="Jan Novák", badge=Badge("VIP", BadgeColor.GREEN), fields=tuple(Field(*one) for one in _FIELDS)
)


@dataclass(frozen=True, kw_only=True)
class Target:
    """A server, how to subscribe to it, and how to cause an event."""

    name: str
    base_url: str
    pid: int
    token: str
    subscription: dict[str, object]
    publisher: dict[str, object]
    """The body of the POST that causes an event; ``MARK`` in it stands for what the event shows."""

    def body(self, number: int) -> bytes:
        """The POST that causes the event of this number."""
        return json.dumps(self.publisher).replace("MARK", f"mark-{number}").encode()

    def processor_seconds(self) -> float:
        """What it has used."""
        return cpu_seconds({"server": [self.pid]})["server"]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one round of one server brought; times in seconds."""

    cpu: float
    """For each frame that was delivered."""
    calm: Sequence[Sequence[float]]
    """For each event while no other was under way: from the POST until a subscriber had it."""
    memory: float
    """Bytes for each subscriber."""
    connecting: float
    """CPU for each subscriber, from its handshake until it is served."""


@dataclass
class _Crowd:
    """What all subscribers of one server have seen."""

    sent: dict[int, float] = field(default_factory=dict)
    latencies: dict[int, list[float]] = field(default_factory=dict)
    acknowledged: int = 0
    faults: list[bytes] = field(default_factory=list)

    def take(self, number: int) -> None:
        self.latencies.setdefault(number, []).append(time.perf_counter() - self.sent[number])

    @property
    def frames(self) -> int:
        return sum(map(len, self.latencies.values()))


class _Subscriber(asyncio.Protocol):
    """One socket; its frames are parsed by hand, for the client must be cheaper than what it measures."""

    def __init__(self, target: Target, crowd: _Crowd) -> None:
        self._target = target
        self._crowd = crowd
        self._received = b""
        self._open = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake (RFC 6455, 4.1)."""
        self._transport = cast("asyncio.Transport", transport)
        key = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            f"GET /graphql HTTP/1.1\r\nHost: {urlsplit(self._target.base_url).netloc}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Take what is whole."""
        self._received += data
        if not self._open:
            head, separator, self._received = self._received.partition(b"\r\n\r\n")
            if not separator:
                self._received = head
                return
            assert b" 101 " in head.splitlines()[0], head
            self._open = True
            self._send({"type": "connection_init", "payload": {"Authorization": f"Bearer {self._target.token}"}})
        while (frame := _frame(self._received)) is not None:
            opcode, payload, self._received = frame
            self._take(opcode, payload)

    def leave(self) -> None:
        """Go without a farewell."""
        assert self._transport is not None
        self._transport.abort()

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == 0x1 and (mark := _MARK.search(payload)):
            self._crowd.take(int(mark[1]))
        elif opcode == 0x9:  # noqa: PLR2004 - a ping
            self._write(0xA, payload)
        elif b'"connection_ack"' in payload:
            self._crowd.acknowledged += 1
            self._send({"id": "1", "type": "subscribe", "payload": self._target.subscription})
        else:
            self._crowd.faults.append(payload)

    def _send(self, message: dict[str, object]) -> None:
        self._write(0x1, json.dumps(message).encode())

    def _write(self, opcode: int, payload: bytes) -> None:
        assert self._transport is not None
        length = len(payload)
        size = bytes([0x80 | length]) if length < 126 else struct.pack("!BH", 0x80 | 126, length)  # noqa: PLR2004 - RFC 6455, 5.2
        self._transport.write(bytes([0x80 | opcode]) + size + bytes(4) + payload)  # masked with nothing


def _frame(received: bytes) -> tuple[int, bytes, bytes] | None:
    """The first frame (RFC 6455, 5.2) and what follows it; None while it is not whole."""
    if len(received) < 4:  # noqa: PLR2004 - the longest head that frames of some kilobytes have
        return None if len(received) < 2 or received[1] else (received[0] & 15, b"", received[2:])  # noqa: PLR2004
    length, start = received[1] & 127, 2
    if length == 126:  # noqa: PLR2004
        length, start = int.from_bytes(received[2:4], "big"), 4
    end = start + length
    return (received[0] & 15, received[start:end], received[end:]) if len(received) >= end else None


async def measure(target: Target, *, sockets: int, events: int, every: float) -> Figures:
    """One round: let them come, cause some events one by one, then one in each ``every`` seconds."""
    crowd = _Crowd()
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS, headers={"Authorization": f"Bearer {target.token}"}) as client:

        async def publish(number: int) -> None:
            crowd.sent[number] = time.perf_counter()
            answer = await client.post(
                f"{target.base_url}/graphql", content=target.body(number), headers={"Content-Type": "application/json"}
            )
            assert answer.status_code == 200, answer.text  # noqa: PLR2004
            assert "errors" not in answer.json(), answer.text

        async def everybody_has(number: int) -> bool:
            assert not crowd.faults, crowd.faults[:3]
            return len(crowd.latencies.get(number, ())) >= sockets

        await publish(0)
        async with _watching(target, crowd, sockets) as came:
            memory, connecting = came
            for number in range(1, _CALM_EVENTS + 2):  # the first one warms up
                await publish(number)
                await eventually(lambda number=number: everybody_has(number), within=30)  # type: ignore[misc]
                await asyncio.sleep(0.1)
            calm = [crowd.latencies[number] for number in range(2, _CALM_EVENTS + 2)]

            before, used = crowd.frames, target.processor_seconds()
            first = _CALM_EVENTS + 2
            for number in range(first, first + events):
                await asyncio.gather(publish(number), asyncio.sleep(every))
            await eventually(lambda: everybody_has(first + events - 1), within=60)
            cpu = (target.processor_seconds() - used) / (crowd.frames - before)
    return Figures(cpu=cpu, calm=calm, memory=memory, connecting=connecting)


@asynccontextmanager
async def _watching(target: Target, crowd: _Crowd, sockets: int) -> AsyncIterator[tuple[float, float]]:
    """So many subscribers; what each takes: bytes, and seconds of CPU until it is served."""
    loop, address = asyncio.get_running_loop(), ("127.0.0.1", urlsplit(target.base_url).port or 80)
    resident, used = resident_bytes(target.pid), target.processor_seconds()
    subscribers: list[_Subscriber] = []

    async def all_acknowledged() -> bool:
        return crowd.acknowledged >= len(subscribers)

    for _ in range(sockets):
        _, subscriber = await loop.create_connection(lambda: _Subscriber(target, crowd), *address)
        subscribers.append(subscriber)
        if len(subscribers) % _CONNECTING_AT_ONCE == 0:
            await eventually(all_acknowledged, within=30)
    await asyncio.sleep(1)  # what they were sent first is theirs, too
    yield (resident_bytes(target.pid) - resident) / sockets, (target.processor_seconds() - used) / sockets
    for subscriber in subscribers:
        subscriber.leave()


@asynccontextmanager
async def ours() -> AsyncIterator[Target]:
    """`disqua serve` with one ticket, whose panel shows a customer."""
    async with open_fleet(embedded=True) as fleet, endpoint(0) as (url, _):
        workspace_id, email = await fleet.workspace("bench"), email_address("jan@firma.example")
        connector_id = await fleet.connector(workspace_id, f"{url}/lookup")
        (ticket_id,) = await fleet.tickets(workspace_id, [email])
        async with fleet.parts.database.workspace(workspace_id) as store:
            await store.answers.record(connector_id, email, Found(_CUSTOMER), utc_now())
        yield Target(
            name="ours",
            base_url=fleet.base_url,
            pid=fleet.served[0].process.pid,
            token=fleet.token(workspace_id, Role.ADMIN),
            subscription={"query": WATCH, "variables": {"id": str(ticket_id)}},
            publisher={"query": _RENAME, "variables": {"id": str(connector_id), "input": {"name": "MARK"}}},
        )


@asynccontextmanager
async def floor() -> AsyncIterator[Target]:
    """The hand-written server."""
    async with socket_floor() as (base_url, pid):
        token = jwt.encode({"exp": utc_now() + timedelta(hours=1)}, KEY, algorithm="HS256")
        yield Target(
            name="floor", base_url=base_url, pid=pid, token=token, subscription={"query": WATCH}, publisher={"mark": "MARK"}
        )


async def _round(kind: str, *, sockets: int, events: int, every: float) -> Figures:
    async with ours() if kind == "ours" else floor() as target:
        _pin(target.pid, _SERVER_CORE)
        return await measure(target, sockets=sockets, events=events, every=every)


def _pin(pid: int, core: int) -> None:
    """Keep a process with all its threads on one core, where there are several."""
    if (os.cpu_count() or 1) > 1:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})


async def _run(arguments: argparse.Namespace) -> None:
    allow_many_sockets()
    _pin(os.getpid(), _CLIENT_CORE)
    rounds: dict[str, list[Figures]] = {"ours": [], "floor": []}
    for _ in range(arguments.rounds):
        for kind, found in rounds.items():
            found.append(await _round(kind, sockets=arguments.sockets, events=arguments.events, every=arguments.every))
    _tell(rounds)


def _tell(rounds: dict[str, list[Figures]]) -> None:
    measures: dict[str, Callable[[Figures], float]] = {
        "CPU of a frame (us)": lambda one: one.cpu * 1e6,
        "p50 of an event (ms)": partial(_calm, percent=50),
        "p99 of an event (ms)": partial(_calm, percent=99),
        "memory of a subscriber (KiB)": lambda one: one.memory / _KIB,
        "CPU of coming (us)": lambda one: one.connecting * 1e6,
    }
    rows = {name: [statistics.median(map(figure, found)) for found in rounds.values()] for name, figure in measures.items()}
    table = [(name, *(f"{value:.1f}" for value in values), _ratio(*values)) for name, values in rows.items()]
    show(("", *rounds, "ratio"), *table)


def _ratio(ours: float, floors: float) -> str:
    """A tiny run takes less than a tick of the clock that counts CPU."""
    return f"{ours / floors:.2f}" if floors else "-"


def _calm(figures: Figures, percent: float) -> float:
    """The percentile of an event, in milliseconds: the median of all of them, for a disk may be slow once."""
    return statistics.median(percentile(event, percent) for event in figures.calm) * 1e3


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog=Path(__file__).name)
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--events", type=int, default=40)
    parser.add_argument("--every", type=float, default=0.1, help="seconds between events")
    parser.add_argument("--rounds", type=int, default=3)
    uvloop.run(_run(parser.parse_args()))
