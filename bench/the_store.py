"""What a transaction on SQLite costs: the quick ways beside those through SQLAlchemy's engine and aiosqlite, in one run.

Then what it brings on PostgreSQL that writers of one workspace share a commit, beside one commit for each of them.

``.venv/bin/python bench/the_store.py`` takes a minute; ``--times 5`` some seconds. CPU is this process's with all its
threads, the least of three rounds; commits wait for the disk that holds the temporary folder.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import create_engine

from bench.figures import show
from bench.fleet import AS_IN_PRODUCTION
from domain.answer import Badge, BadgeColor, Customer, Field, Found
from domain.connector import ConnectorSettings
from domain.identity import EmailAddress, support_address
from domain.lookup import LookupTrigger
from domain.ticket import Requester
from persistence import migrations
from persistence.database import Database
from persistence.encryption import KeyRing
from persistence.lookups import Ending
from server.clock import utc_now
from tests.stage.postgres import open_postgresql

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from domain.connector import Connector
    from domain.identity import WorkspaceId
    from domain.ticket import Ticket
    from persistence.store import WorkspaceStore

    Open = Callable[[WorkspaceId], AbstractAsyncContextManager[WorkspaceStore]]

_TICKETS, _CONNECTORS = 1_000, 3
_ROUNDS = 3
_WRITERS = 50
_KEYS = KeyRing({"k1": bytes(32)})
_ANSWER = Found(
    Customer("cus_42", "Jan Novák", Badge("VIP", BadgeColor.GREEN), tuple(Field(f"Field {n}", "12 000 Kč") for n in range(4)))
)


@dataclass(frozen=True)
class Shelf:
    """A workspace with tickets, and what each connector knows of each requester."""

    database: Database
    workspace_id: WorkspaceId
    tickets: list[Ticket]
    connectors: list[Connector]


async def stock(database: Database) -> Shelf:
    """Fill an empty database."""
    async with database.operator() as operator:
        workspace_id = await operator.workspaces.create("Bench", [support_address("support@bench.example")], utc_now())
    async with database.workspace(workspace_id) as store:
        connectors = [await store.connectors.add(_settings(place), None, utc_now()) for place in range(_CONNECTORS)]
        tickets = []
        for number in range(_TICKETS):
            requester = Requester(EmailAddress(f"{number}@firma.example"))
            tickets.append(await store.tickets.open(subject="Hello", requester=requester, now=utc_now()))
            for connector in connectors:
                await store.answers.record(connector.id, requester.email, _ANSWER, utc_now())
    return Shelf(database, workspace_id, tickets, connectors)


def _settings(place: int) -> ConnectorSettings:

    return ConnectorSettings(
        name=f"CRM {place}",
        lookup_url="https://crm.example/lookup",
        secret_header_name=None,
        has_secret=False,
        link_template=None,
        cache_ttl=timedelta(hours=24),
        log_results=True,
        enabled=True,
        position=place,
    )


async def standings(shelf: Shelf, way: Open, count: int, turn: int) -> None:
    """The panels' rows of so many tickets."""
    first = turn * count % (_TICKETS - count)
    async with way(shelf.workspace_id) as store:
        await store.standings.of([ticket.id for ticket in shelf.tickets[first : first + count]])


async def lookup(shelf: Shelf, way: Open, turn: int) -> None:
    """Queue, claim and finish one, as a mail and its runner do."""
    ticket = shelf.tickets[turn % _TICKETS]
    assert ticket.requester is not None
    async with way(shelf.workspace_id) as store:
        await store.lookups.queue(shelf.connectors[0].id, ticket.id, ticket.requester.email, LookupTrigger.TICKET, utc_now())
    async with way(shelf.workspace_id) as store:
        claim = await store.lookups.claim_next(utc_now())
    assert claim is not None
    async with way(shelf.workspace_id) as store:
        await store.lookups.finish(claim, Ending(outcome=_ANSWER), utc_now())
        await store.answers.record(claim.connector_id, claim.email, _ANSWER, utc_now())


async def write(shelf: Shelf, way: Open) -> None:
    """One small block."""
    async with way(shelf.workspace_id) as store:
        await store.tickets.open(subject="Hello", requester=None, now=utc_now())


async def cpu_us(times: int, one: Callable[[int], Awaitable[None]]) -> float:
    """Of one, the least of some rounds."""
    rounds = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        for turn in range(times):
            await one(turn)
        rounds.append((time.process_time() - began) / times * 1e6)
    return min(rounds)


async def commits_a_second(times: int, writers: int, one: Callable[[], Awaitable[None]]) -> float:
    """By so many at once."""

    async def in_a_row() -> None:
        for _ in range(times):
            await one()

    began = time.perf_counter()
    await asyncio.gather(*(in_a_row() for _ in range(writers)))
    return times * writers / (time.perf_counter() - began)


async def compare(shelf: Shelf, times: int) -> None:
    """Print what each way costs, and the ratio."""
    database = shelf.database
    rows: list[tuple[object, ...]] = [("CPU us", "engine", "quick", "ratio")]
    for count in (1, 20):
        costs = [await cpu_us(times, partial(standings, shelf, way, count)) for way in (database.reading, database.glancing)]
        rows.append((f"standings of {count}", *map(round, costs), f"{costs[0] / costs[1]:.1f}"))
    costs = [await cpu_us(times, partial(lookup, shelf, way)) for way in _both_ways(database, power_safe=False)]
    rows.append(("queue, claim, finish", *map(round, costs), f"{costs[0] / costs[1]:.1f}"))
    rows.append(("commits a second", "engine", "quick", "ratio"))
    for power_safe in (True, False):
        for writers in (1, _WRITERS):
            kind = "power-safe" if power_safe else "hasty"
            rows.append((f"{writers} writers, {kind}", *await speeds(shelf, times, writers, power_safe=power_safe)))
    show(*rows)


def _both_ways(database: Database, *, power_safe: bool) -> list[Open]:
    """Whoever writes at length goes through the engine on SQLite, and shares no commit on either."""
    return [partial(database.workspace, power_safe=power_safe, at_length=at_length) for at_length in (True, False)]


async def speeds(shelf: Shelf, times: int, writers: int, *, power_safe: bool) -> tuple[object, ...]:
    """Commits a second, each way, and the ratio."""
    share = max(times * 2 // writers, 1)
    ways = _both_ways(shelf.database, power_safe=power_safe)
    one_by_one, quick = [await commits_a_second(share, writers, partial(write, shelf, way)) for way in ways]
    return round(one_by_one), round(quick), f"{quick / one_by_one:.1f}"


async def on_postgresql(times: int) -> None:
    """Print how many writers are served each way."""
    with open_postgresql(careful=True, **AS_IN_PRODUCTION) as postgres, postgres.database() as name:
        database = Database(postgres.url(name, scheme="postgresql+asyncpg"), _KEYS)
        shelf = await stock(database)
        rows = [
            (f"{writers} writers of one workspace", *await speeds(shelf, times, writers, power_safe=True))
            for writers in (1, 8, 64)
        ]
        await database.close()
    show(("commits a second on PostgreSQL", "one by one", "shared", "ratio"), *rows)


async def main(times: int) -> None:
    """Measure on a file of its own, and on a server where one is installed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "disqua.sqlite3"
        engine = create_engine(f"sqlite:///{file}")
        with engine.begin() as connection:
            migrations.upgrade(connection)
        engine.dispose()
        database = Database(f"sqlite+aiosqlite:///{file}", _KEYS)
        await compare(await stock(database), times)
        await database.close()
    try:
        await on_postgresql(times)
    except FileNotFoundError as error:
        print(error)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=500)
    asyncio.run(main(parser.parse_args().times))
