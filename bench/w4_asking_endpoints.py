"""W4: the HTTP part of a lookup, beside bare aiohttp that does the same.

So many questions, 200 at a time, to an endpoint on another core that answers after 50 ms; no queue and no database. Each
client is a process of its own on the core that serves, and tells its own CPU: ``w4_asking_endpoints.py CLIENT URL COUNT``.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import asynccontextmanager
from http import HTTPStatus
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any
from uuid import UUID

import aiohttp
import uvloop

from bench.cores import pinned
from bench.endpoint import endpoint
from bench.figures import percentile
from bench.usage import own_cpu_seconds
from bench.workload import Goal, Workload
from domain.identity import TicketId, WorkspaceId, email_address
from lookups.client import LookupClient
from lookups.guard import Guard
from lookups.question import Question

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from bench.workload import Sides, Stage

_AT_ONCE = 200
_ENDPOINT_MS = 50
_PATIENCE_SECONDS = 10
_ID = UUID(int=7)


@asynccontextmanager
async def _ours(url: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """What the product does, guard, budget and reading of the answer included."""
    question = Question(
        url=url, header_name=None, secret=None, email=email_address("user7@example.com"),
        ticket_id=TicketId(_ID), workspace_id=WorkspaceId(_ID),
    )  # fmt: skip
    async with LookupClient(Guard(allowed_networks=[ip_network("127.0.0.0/8")])) as client:

        async def ask() -> None:
            reply = await client.ask(question)
            assert reply.http_status == HTTPStatus.OK, reply

        yield ask


@asynccontextmanager
async def _bare(url: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """The least that asks and reads the JSON."""
    question = {"email": "user7@example.com", "ticket_id": str(_ID), "workspace_id": str(_ID), "source": "disqua-helpdesk"}
    connector, patience = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(_PATIENCE_SECONDS)
    async with aiohttp.ClientSession(connector=connector, timeout=patience) as session:

        async def ask() -> None:
            async with session.post(url, json=question) as response:
                assert response.status == HTTPStatus.OK
                json.loads(await response.read())

        yield ask


_CLIENTS = {"ours": _ours, "aiohttp": _bare}


async def _ask_all(client: str, url: str, count: int) -> dict[str, float]:
    async with _CLIENTS[client](url) as ask:
        await ask()
        left, took = iter(range(count)), list[float]()

        async def one_after_the_other() -> None:
            for _ in left:
                started = time.perf_counter()
                await ask()
                took.append(time.perf_counter() - started)

        began, used = time.perf_counter(), own_cpu_seconds()
        async with asyncio.TaskGroup() as group:
            for _ in range(min(_AT_ONCE, count)):
                group.create_task(one_after_the_other())
        return {
            "lookups_s": count / (time.perf_counter() - began),
            "cpu_us": (own_cpu_seconds() - used) / count * 1e6,
            "p50_ms": percentile(took, 50) * 1000,
            "p99_ms": percentile(took, 99) * 1000,
        }


async def measure(stage: Stage) -> Sides:
    """Ours beside aiohttp."""
    figures: dict[str, dict[str, float]] = {}
    async with endpoint(_ENDPOINT_MS) as (url, _):
        for client in stage.in_turn(*_CLIENTS):
            process = await asyncio.create_subprocess_exec(
                *pinned(sys.executable, __file__, client, url, str(stage.size.lookups)), stdout=asyncio.subprocess.PIPE
            )
            printed, _ = await process.communicate()
            figures[client] = json.loads(printed)
    return figures


W4 = Workload(
    name="W4",
    title="the HTTP part of a lookup, 200 at a time, answers after 50 ms",
    goals=[
        Goal(
            what="CPU a lookup, to bare aiohttp", figure="cpu_us", to="aiohttp", limit=2.5,
            peers="httpx over aiohttp 2.35, undici 2.42, httpx 38.2",
        )
    ],
    measure=measure,
    seconds=16,
)  # fmt: skip


def main(client: str, url: str, count: str) -> None:
    """Ask as one of the clients, and print what it took."""
    told: Any = uvloop.run(_ask_all(client, url, int(count)))
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
