"""What it costs one process that thousands watch: from the commit of a change to the frame that shows it.

``.venv/bin/python bench/five_thousand_sockets.py`` takes about four minutes; ``--sockets 50 --rate 20 --seconds 3`` some seconds.
One `disqua serve` over PostgreSQL and Redis; each socket watches the panel of a requester of its own, in ten workspaces. Another
process changes answers in the database as a worker does, commits, notes the moment, and announces over Redis. The
sockets are held by this process, without a task for each; it says how much CPU it took itself.

In the middle third some sockets more, which have been reading large frames all along, stop reading: what that does to the
others is the ratio of the thirds, and the server must let them go within 15 seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import statistics
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import httpx

from bench.figures import milliseconds, percentile, show
from bench.fleet import open_fleet
from bench.usage import cpu_seconds, own_cpu_seconds, resident_bytes
from bench.watchers import watch
from domain.answer import Customer, Field, Found
from domain.identity import email_address
from lookups.updates import Updates, requester_topic
from persistence.database import Database
from server.clock import utc_now
from server.serve import allow_many_sockets
from server.settings import load_settings
from tests.stage.front_end import NO_TLS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.fleet import Fleet
    from bench.watchers import Watcher
    from domain.identity import ConnectorId, EmailAddress, WorkspaceId

_WORKSPACES = 10
_CONNECTING_AT_ONCE = 50
_SLOW_ONES_PER_SECOND = 2
_THIRDS = ("all read", "some stop reading", "all read")
_LARGE = "subscription ($id: ID!) { crmPanels(ticketId: $id) { connectorId customer { name } MORE } }".replace(
    "MORE", " ".join(f"c{number}: customer {{ fields {{ key value }} }}" for number in range(8))
)
_FIELDS = tuple(Field(f"Field {number}", "value") for number in range(5))
_LARGE_FIELDS = tuple(Field(f"Field {number}", "x" * 10_000) for number in range(5))  # as long as 500 characters of Zalgo
_KIB = 1024


@dataclass(frozen=True)
class _Requester:
    """Whose panel can be changed."""

    workspace_id: WorkspaceId
    connector_id: ConnectorId
    email: EmailAddress


@dataclass(frozen=True)
class _Plan:
    """What the other process does."""

    settings: dict[str, Any]
    requesters: Sequence[_Requester]
    rate: float
    count: int
    fields: tuple[Field, ...] = _FIELDS


async def _change_all(plan: _Plan) -> list[float]:
    """Change one panel after the other at the rate; the moment of each commit. A customer's name is the number of the change."""
    settings = load_settings(_env_file=None, **plan.settings)
    database, updates = Database(settings.async_database_url, settings.key_ring()), Updates(settings.redis_url)
    committed = [0.0] * plan.count
    await updates.open()

    async def change(number: int) -> None:
        whom = plan.requesters[number % len(plan.requesters)]
        customer = Customer(customer_id="cus_42", name=str(number), fields=plan.fields)
        async with database.workspace(whom.workspace_id, power_safe=False) as store:
            await store.answers.record(whom.connector_id, whom.email, Found(customer), utc_now())
        committed[number] = time.monotonic()
        await updates.announce(whom.workspace_id, requester_topic(whom.email))

    started = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(plan.count):
            await asyncio.sleep(max(started + number / plan.rate - time.monotonic(), 0))
            group.create_task(change(number))
    await updates.close()
    await database.close()
    return committed


def _change_all_in_process(plan: _Plan) -> list[float]:
    return asyncio.run(_change_all(plan))


@dataclass
class _Frames:
    """What has come to all sockets, by the number of the change."""

    seen: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def take(self, panel: Any, at: float) -> None:  # noqa: ANN401 - a panel as JSON
        if panel["customer"]:
            self.seen[panel["customer"]["name"]].append(at)

    def latencies(self, committed: Sequence[float]) -> list[float]:
        return [at - moment for number, moment in enumerate(committed) for at in self.seen.get(str(number), ())]


async def _requesters(fleet: Fleet, count: int) -> list[tuple[_Requester, Any]]:
    """Requesters with a ticket each, spread over the workspaces in turn."""
    companies = []
    for number in range(_WORKSPACES):
        workspace_id = await fleet.workspace(f"company{number}")
        connector_id = await fleet.connector(workspace_id, "http://127.0.0.1:9/never-asked")
        emails = [email_address(f"requester{which}@firma{number}.cz") for which in range(number, count, _WORKSPACES)]
        tickets = await fleet.tickets(workspace_id, emails)
        companies.append(
            [(_Requester(workspace_id, connector_id, email), ticket) for email, ticket in zip(emails, tickets, strict=True)]
        )
    return [companies[which % _WORKSPACES][which // _WORKSPACES] for which in range(count)]


async def _open(
    fleet: Fleet,
    whom: Sequence[tuple[_Requester, Any]],
    frames: _Frames,
    stack: AsyncExitStack,
    **options: Any,  # noqa: ANN401
) -> list[Watcher]:
    tokens = {one.workspace_id: fleet.token(one.workspace_id) for one, _ in whom}
    places = asyncio.Semaphore(_CONNECTING_AT_ONCE)

    async def one(requester: _Requester, ticket_id: Any) -> Watcher:  # noqa: ANN401
        async with places:
            return await watch(fleet.base_url, tokens[requester.workspace_id], ticket_id, frames.take, **options)

    watchers = await asyncio.gather(*(one(requester, ticket_id) for requester, ticket_id in whom))
    for watcher in watchers:
        stack.callback(watcher.close)
    return watchers


async def _sockets(fleet: Fleet) -> int:
    """How many sockets the server holds."""
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client:
        told = (await client.get(f"{fleet.base_url}/metrics")).text
    return next(int(float(line.split()[1])) for line in told.splitlines() if line.startswith("disqua_sockets "))


async def _partings(fleet: Fleet, watchers: Sequence[Watcher], left: int, seconds: float) -> str:
    """Stop to read; how long the server bears it."""
    for watcher in watchers:
        watcher.stop_reading()
    started = time.monotonic()
    while (held := await _sockets(fleet)) > left and time.monotonic() < started + seconds:  # noqa: ASYNC110 - a server has no event to wait for
        await asyncio.sleep(0.5)
    if held > left:
        return f"{held - left} of {len(watchers)} sockets that stopped reading were still there after {seconds:.0f} s"
    return f"{len(watchers)} sockets that stopped reading were let go within {time.monotonic() - started:.1f} s"


async def main(*, sockets: int, rate: float, seconds: float, slow: int) -> None:
    """Measure and print."""
    allow_many_sockets()
    async with open_fleet() as fleet, AsyncExitStack() as stack:
        (serve,) = fleet.processes["serve"]
        requesters = await _requesters(fleet, sockets + slow)
        frames, large_frames = _Frames(), _Frames()
        before, began = resident_bytes(serve), time.monotonic()
        await _open(fleet, requesters[:sockets], frames, stack)
        took = time.monotonic() - began
        memory = (resident_bytes(serve) - before) / sockets
        print(f"{sockets} sockets opened in {took:.0f} s, {memory / _KIB:.1f} KiB of the server's memory each")
        slow_ones = await _open(fleet, requesters[sockets:], large_frames, stack, small=True, document=_LARGE)
        plan = _Plan(
            fleet.given,
            [requester for requester, _ in requesters[:sockets]], rate, round(rate * seconds),
        )  # fmt: skip
        loud = replace(
            plan, requesters=[requester for requester, _ in requesters[sockets:]], rate=_SLOW_ONES_PER_SECOND * slow,
            count=round(_SLOW_ONES_PER_SECOND * slow * seconds), fields=_LARGE_FIELDS,
        )  # fmt: skip
        print(
            f"nothing changes: {await _idle(fleet, min(seconds, 30)) * 100:.0f} % of a core, for reading again every 15 to 30 s"
        )
        await _thirds(fleet, plan, loud, frames, slow_ones)


async def _idle(fleet: Fleet, seconds: float) -> float:
    before = cpu_seconds(fleet.processes)["serve"]
    await asyncio.sleep(seconds)
    return (cpu_seconds(fleet.processes)["serve"] - before) / seconds


async def _thirds(fleet: Fleet, plan: _Plan, loud: _Plan, frames: _Frames, slow_ones: Sequence[Watcher]) -> None:
    loop, pool = asyncio.get_running_loop(), ProcessPoolExecutor(2, multiprocessing.get_context("spawn"))
    rows: list[list[object]] = [
        ["", "changes", "frames", "p50 ms", "p99 ms", "serve ms/frame", "serve %", "PostgreSQL %", "Redis %", "these clients %"]
    ]
    medians: list[float] = []
    for name in _THIRDS:
        frames.seen.clear()
        parting = None
        if name == "some stop reading":
            parting = asyncio.create_task(_partings(fleet, slow_ones, len(plan.requesters), plan.count / plan.rate))
        before, own, began = cpu_seconds(fleet.processes), own_cpu_seconds(), time.monotonic()
        committed, _ = await asyncio.gather(
            loop.run_in_executor(pool, _change_all_in_process, plan),
            loop.run_in_executor(pool, _change_all_in_process, loud),
        )
        took = time.monotonic() - began
        used = {part: spent - before[part] for part, spent in cpu_seconds(fleet.processes).items()}
        latencies = frames.latencies(committed)
        medians.append(percentile(latencies, 50))
        rows.append([
            name, len(committed), len(latencies), milliseconds(latencies, 50), milliseconds(latencies, 99),
            f"{used['serve'] / max(len(latencies), 1) * 1000:.2f}",
            *(f"{used[part] / took * 100:.0f}" for part in ("serve", "PostgreSQL", "Redis")),
            f"{(own_cpu_seconds() - own) / took * 100:.0f}",
        ])  # fmt: skip
        if parting is not None:
            print(await parting)
    pool.shutdown()
    show(*rows)
    print(
        f"ratio of the medians, beside sockets that stop to without {medians[1] / statistics.mean([medians[0], medians[2]]):.2f}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, default=5000)
    parser.add_argument("--rate", type=float, default=200, help="changes a second")
    parser.add_argument("--seconds", type=float, default=60, help="of each third")
    parser.add_argument("--slow", type=int, default=10, help="sockets that read large frames and stop")
    asyncio.run(main(**vars(parser.parse_args())))
