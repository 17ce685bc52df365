"""How much longer healthy connectors take, from mail to panel, while a thousand tickets wait for one that never answers.

``.venv/bin/python bench/a_tarpit_beside_fifty.py`` takes some minutes; ``--tickets 50 --healthy 5 --rounds 1``
less than one. Fifty requesters write, each after the last one's panels have come; measured is the time from the 250 of a
mail to the frame that shows the new answer of an endpoint that takes 20 ms. Rounds with and without the tarpit alternate,
so that the machine's drift falls on both. With it, so many tickets have been opened for it beforehand that its backlog
stands all along (the last column says what was left of it). The ratio of the medians must stay below 2.

The tarpit stands in a workspace of its own beside fifty others, or in one workspace with five healthy connectors;
both over PostgreSQL and Redis with two workers, and in one embedded process.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from bench.endpoint import endpoint
from bench.figures import milliseconds, show
from bench.fleet import open_fleet, support_of
from bench.postmen import postmen
from bench.watchers import Panels, watch
from domain.identity import email_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.fleet import Fleet
    from bench.postmen import Postmen
    from domain.identity import ConnectorId, WorkspaceId

_ENDPOINT_MS = 20
_PATIENCE_SECONDS = 60
_POSTMEN = 8
_BESIDE = 5
"""Healthy connectors in the tarpit's own workspace."""


@dataclass(frozen=True)
class _Company:
    """A workspace with its healthy connectors."""

    name: str
    id: WorkspaceId
    connectors: Sequence[ConnectorId]


@dataclass(frozen=True)
class _Writer:
    """Someone whose panels are watched."""

    address: str
    support: str
    panels: Panels
    connectors: int

    async def mail(self, postmen: Postmen) -> list[float]:
        """Write one mail; the seconds from its 250 to each panel."""
        began = time.monotonic()
        sent_at = await postmen.deliver(self.address, self.support)
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return [at - sent_at for at in await self.panels.renewed_since(began, self.connectors)]


async def _company(fleet: Fleet, name: str, url: str, connectors: int) -> _Company:
    workspace_id = await fleet.workspace(name)
    return _Company(name, workspace_id, [await fleet.connector(workspace_id, url) for _ in range(connectors)])


async def _writer(fleet: Fleet, company: _Company, number: int, stack: AsyncExitStack) -> _Writer:
    address = email_address(f"writer{number}@firma.cz")
    panels = Panels()
    (ticket_id,) = await fleet.tickets(company.id, [address])
    watcher = await watch(fleet.base_url, fleet.token(company.id), ticket_id, panels.take)
    stack.callback(watcher.close)
    return _Writer(address, support_of(company.name), panels, len(company.connectors))


async def _flood(fleet: Fleet, postmen: Postmen, company: _Company, url: str, tickets: int) -> ConnectorId:
    """Open tickets that only the tarpit is asked about."""
    await fleet.enable(company.id, company.connectors, enabled=False)
    tarpit = await fleet.connector(company.id, f"{url}/tarpit", "Tarpit")
    await asyncio.gather(*(postmen.deliver(f"{uuid4()}@firma.cz", support_of(company.name)) for _ in range(tickets)))
    await fleet.enable(company.id, company.connectors, enabled=True)
    return tarpit


async def _compare(fleet: Fleet, url: str, *, apart: bool, tickets: int, healthy: int, rounds: int) -> None:
    async with AsyncExitStack() as stack:
        mail = await stack.enter_async_context(postmen(fleet.mail_ports, each=_POSTMEN))
        kind = uuid4().hex[:8]
        swamp = await _company(fleet, f"swamp-{kind}", url, 0 if apart else _BESIDE)
        companies = (
            [await _company(fleet, f"{kind}-{number}", url, 1) for number in range(healthy)] if apart else [swamp] * healthy
        )
        writers = [await _writer(fleet, company, number, stack) for number, company in enumerate(companies)]
        times: dict[bool, list[float]] = {False: [], True: []}
        left = 0
        for _ in range(rounds):
            for with_tarpit in (False, True):
                tarpit = await _flood(fleet, mail, swamp, url, tickets) if with_tarpit else None
                for writer in writers:
                    times[with_tarpit].extend(await writer.mail(mail))
                if tarpit is not None:
                    left = (await fleet.depth())["queued"]
                    await fleet.forget(swamp.id, tarpit)
    head = [
        f"tarpit {'in a workspace of its own' if apart else 'among healthy ones'}",
        "panels",
        "p50 ms",
        "p95 ms",
        "still queued",
    ]
    rows = [
        [name, len(seconds), milliseconds(seconds, 50), milliseconds(seconds, 95), queued]
        for name, seconds, queued in (("  without", times[False], 0), ("  with", times[True], left))
    ]
    ratio = statistics.median(times[True]) / statistics.median(times[False])
    show(head, *rows, ["  ratio", "", f"{ratio:.2f}", "", ""])


async def main(*, tickets: int, healthy: int, rounds: int, parts: Sequence[str]) -> None:
    """Measure and print."""
    async with endpoint(_ENDPOINT_MS) as (url, _):
        for name in parts:
            print(f"\n{name}, {tickets} tickets to the tarpit, {rounds} rounds in turn")
            embedded = name == "embedded"
            async with open_fleet(workers=0 if embedded else 2, embedded=embedded) as fleet:
                for apart in (True, False):
                    await _compare(fleet, url, apart=apart, tickets=tickets, healthy=healthy, rounds=rounds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tickets", type=int, default=1000)
    parser.add_argument("--healthy", type=int, default=50, help="who write, each in a company of their own or all in one")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", nargs="+", default=["servers", "embedded"], choices=["servers", "embedded"])
    asyncio.run(main(**vars(parser.parse_args())))
