"""How many lookups a second two `disqua serve` and two `disqua worker` hold, and what one of them costs in each part.

``.venv/bin/python bench/two_hundred_lookups.py`` takes about ten minutes; ``--seconds 30`` about three, and
``--rate 10 --seconds 3 --probe 2 --backlog 50`` some seconds. Mails come by SMTP from a sender each, to twenty
workspaces with one connector each, whose endpoint is a process of its own and takes 20 ms. The rate is tried in short
probes and lowered until it holds, which means that mails go out as planned and what is queued at the end would
take less than a second; then it runs at that rate for the whole time. CPU is split by part, as /proc tells it.

Then a backlog is prepared in the database and run by one worker, and another one by two: growth as a ratio.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from bench.endpoint import endpoint
from bench.figures import milliseconds, show
from bench.fleet import open_fleet, support_of
from bench.postmen import postmen
from bench.usage import cpu_seconds, own_cpu_seconds
from bench.watchers import Panels, watch
from domain.identity import email_address
from domain.lookup import LookupTrigger
from server.clock import utc_now
from tests.stage.back_door import BackDoor
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bench.fleet import Fleet
    from bench.postmen import Postmen
    from domain.identity import ConnectorId, WorkspaceId

_WORKSPACES = 20
_POSTMEN = 12
_ENDPOINT_MS = 20
_WATCHED_SHARE = 0.05
"""Of the mails, those whose panels are watched."""
_AS_PLANNED = 0.97
_LOWER = 0.9
_DRAINING_SECONDS = 300.0
_LATER = "UPDATE lookups SET claim = :token, claimed_until = requested_at + interval '1 hour' WHERE completed_at IS NULL"
_NOW = "UPDATE lookups SET claim = NULL, claimed_until = NULL WHERE claim = :token"
_SPEED = "SELECT count(*), extract(epoch FROM max(completed_at) - min(completed_at)) FROM lookups WHERE requested_at > :began"


@dataclass
class _Company:
    """A workspace with one connector and one requester whose panel is watched."""

    name: str
    id: WorkspaceId
    connector: ConnectorId
    known: str
    panels: Panels
    waiting: bool = False
    """Whether a mail has been sent whose answer the panel does not show yet."""


@dataclass(frozen=True)
class _Town:
    """Everything that a run needs."""

    fleet: Fleet
    back_door: BackDoor
    mail: Postmen
    companies: Sequence[_Company]


@dataclass(frozen=True)
class _Run:
    """What came of some seconds at a rate."""

    rate: float
    seconds: float
    sent: int
    """Mails that had their 250 in time."""
    ended: int
    backlog: int
    stored: Sequence[float]
    """Seconds from each mail's arrival to the stored outcome."""
    shown: Sequence[float]
    """Seconds from the 250 of a mail to the frame, of those that are watched."""
    used: dict[str, float]

    @property
    def held(self) -> bool:
        return self.sent >= self.rate * self.seconds * _AS_PLANNED - 1 and self.backlog < max(self.rate, 20)

    def row(self) -> list[object]:
        return [
            f"{self.rate:.0f}/s for {self.seconds:.0f} s", "held" if self.held else "too much", f"{self.sent / self.seconds:.0f}",
            f"{self.ended / self.seconds:.0f}", self.backlog, milliseconds(self.stored, 50, 99), milliseconds(self.shown, 50, 99),
        ]  # fmt: skip


_HEAD = [" " * 20, "        ", "mails/s", "lookups/s", "left", "arrived to stored p50 / p99 ms", "250 to frame p50 / p99 ms"]


async def _companies(fleet: Fleet, url: str, stack: AsyncExitStack) -> list[_Company]:
    companies = []
    for number in range(_WORKSPACES):
        name, known, panels = f"company{number}", email_address(f"known@firma{number}.cz"), Panels()
        workspace_id = await fleet.workspace(name)
        connector_id = await fleet.connector(workspace_id, url)
        (ticket_id,) = await fleet.tickets(workspace_id, [known])
        served = fleet.served[number % len(fleet.served)]
        watcher = await watch(served.base_url, fleet.token(workspace_id), ticket_id, panels.take)
        stack.callback(watcher.close)
        companies.append(_Company(name, workspace_id, connector_id, known, panels))
    return companies


async def _run(town: _Town, rate: float, seconds: float) -> _Run:
    """Send at the rate, each mail at its moment whatever became of the others."""
    fleet, companies = town.fleet, town.companies
    began, began_at = time.monotonic(), utc_now()
    before, own = cpu_seconds(fleet.processes), own_cpu_seconds()
    sent: list[float] = []
    shown: list[float] = []

    async def send(number: int) -> None:
        company = companies[number % len(companies)]
        watched = not company.waiting and random.random() < _WATCHED_SHARE  # noqa: S311 - a sample
        if not watched:
            sent.append(await town.mail.deliver(f"sender{number}.{began:.0f}@firma.cz", support_of(company.name)))
            return
        company.waiting = True  # a second mail would join the lookup of the first
        asked_at = time.monotonic()
        sent.append(sent_at := await town.mail.deliver(company.known, support_of(company.name)))
        shown.append(min(await company.panels.renewed_since(asked_at, 1)) - sent_at)
        company.waiting = False

    async with asyncio.TaskGroup() as group:
        for number in range(round(rate * seconds)):
            await asyncio.sleep(max(began + number / rate - time.monotonic(), 0))
            group.create_task(send(number))
        await asyncio.sleep(max(began + seconds - time.monotonic(), 0))
        in_time, left = len(sent), sum((await fleet.depth()).values())
        used = {part: spent - before[part] for part, spent in cpu_seconds(fleet.processes).items()}
        used["load generator"] = own_cpu_seconds() - own
        ended = _ended(town.back_door, began_at)
    await _drained(fleet)
    return _Run(rate, seconds, in_time, len(ended), left, [*_stored(town.back_door, began_at)], shown, used)


def _ended(back_door: BackDoor, since: datetime) -> list[tuple[object, ...]]:
    return back_door.rows("SELECT 1 FROM lookups WHERE requested_at >= :since AND completed_at IS NOT NULL", since=since)


def _stored(back_door: BackDoor, since: datetime) -> list[float]:
    statement = "SELECT extract(epoch FROM completed_at - requested_at) FROM lookups WHERE requested_at >= :since"
    return [float(seconds) for (seconds,) in back_door.rows(statement, since=since)]


async def _drained(fleet: Fleet) -> None:
    async def nothing_left() -> bool:
        return not any((await fleet.depth()).values())

    await eventually(nothing_left, within=_DRAINING_SECONDS)


async def _highest(fleet: Fleet, url: str, rate: float, seconds: float, probe: float) -> None:
    """Lower the rate until it holds in a probe and then for the whole time."""
    async with AsyncExitStack() as stack:
        companies = await _companies(fleet, url, stack)
        mail = await stack.enter_async_context(postmen(fleet.mail_ports, each=_POSTMEN))
        town = _Town(fleet, BackDoor(fleet.settings["DATABASE_URL"]), mail, companies)
        print("  ".join(_HEAD))
        await _run(town, min(rate, 20), probe)  # connections, plans and caches
        run = await _held(town, rate, probe)
        run = await _held(town, run.rate, seconds)
    lookups = max(run.ended, 1)
    total = sum(run.used.values())
    rows = [[part, f"{spent / lookups * 1000:.2f}", f"{spent / run.seconds * 100:.0f}"] for part, spent in run.used.items()]
    print()
    show(["CPU", "ms/lookup", "% of a core"], *rows, ["all", f"{total / lookups * 1000:.2f}", f"{total / run.seconds * 100:.0f}"])


async def _held(town: _Town, rate: float, seconds: float) -> _Run:
    """Lower the rate until it holds."""
    while True:
        run = await _run(town, rate, seconds)
        print("  ".join(str(cell).rjust(len(name)) for cell, name in zip(run.row(), _HEAD, strict=True)), flush=True)
        if run.held:
            return run
        rate = min(rate, max(run.ended / run.seconds, 1)) * _LOWER


async def _growth(fleet: Fleet, url: str, backlog: int) -> None:
    """Run a backlog by one worker, then one by two: it appears at once, when all of them are there."""
    back_door = BackDoor(fleet.settings["DATABASE_URL"])
    rows: list[list[object]] = [["workers", "lookups/s", "worker ms/lookup", "PostgreSQL ms/lookup"]]
    speeds = []
    for workers in (1, 2):
        token, began = uuid4(), utc_now()
        for number in range(_WORKSPACES):
            await _queue(fleet, f"backlog{workers}-{number}", url, backlog // _WORKSPACES)
        back_door.alter(_LATER, token=token)
        async with fleet.working(workers):
            before = cpu_seconds(fleet.processes)
            back_door.alter(_NOW, token=token)
            await _drained(fleet)
            used = {part: spent - before[part] for part, spent in cpu_seconds(fleet.processes).items()}
        ((ran, took),) = back_door.rows(_SPEED, began=began)
        speeds.append(ran / float(took))
        rows.append([workers, f"{speeds[-1]:.0f}", *(f"{used[part] / ran * 1000:.2f}" for part in ("worker", "PostgreSQL"))])
    print()
    show(*rows)
    print(f"growth from 1 to 2 workers {speeds[1] / speeds[0]:.2f}")


async def _queue(fleet: Fleet, name: str, url: str, count: int) -> None:
    workspace_id = await fleet.workspace(name)
    connector_id = await fleet.connector(workspace_id, url)
    requesters = [email_address(f"{number}@firma.cz") for number in range(count)]
    tickets = await fleet.tickets(workspace_id, requesters)
    async with fleet.parts.database.workspace(workspace_id) as store:
        for requester, ticket_id in zip(requesters, tickets, strict=True):
            await store.lookups.queue(connector_id, ticket_id, requester, LookupTrigger.TICKET, utc_now())


async def main(*, rate: float, seconds: float, probe: float, backlog: int) -> None:
    """Measure and print."""
    async with endpoint(_ENDPOINT_MS) as (url, endpoint_process), open_fleet(serves=2) as fleet:
        fleet.processes["endpoint"] = [endpoint_process]
        async with fleet.working(2):
            await _highest(fleet, url, rate, seconds, probe)
        for served in fleet.served:
            await served.kill()  # left without a worker they would run the backlog themselves
        await _growth(fleet, url, backlog)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=200, help="mails a second, with one lookup each")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--probe", type=float, default=10, help="seconds of a first try")
    parser.add_argument("--backlog", type=int, default=4000, help="lookups that one worker runs, then two")
    asyncio.run(main(**vars(parser.parse_args())))
