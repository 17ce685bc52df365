"""W1, W2 and W5 over PostgreSQL, with the floor on asyncpg: reported beside SQLite, promised nothing.

The database shares the cores of the clients; CPU is that of the server alone.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench import w1_one_ticket, w5_mail_to_panel
from bench.closed_loop import ask_both
from bench.documents import TICKETS, request
from bench.endpoint import endpoint
from bench.fleet import AS_IN_PRODUCTION
from bench.seed import Helpdesk
from bench.target import Databases, Seeded
from bench.workload import CannotMeasure, Goal, Kind, Workload
from tests.stage.postgres import open_postgresql

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.workload import Sides, Stage
    from tests.stage.postgres import PostgreSQL


@contextmanager
def _postgresql() -> Iterator[PostgreSQL]:
    try:
        server = open_postgresql(careful=True, **AS_IN_PRODUCTION)
        with server as postgres:
            yield postgres
    except FileNotFoundError as error:
        raise CannotMeasure(str(error)) from None


@contextmanager
def _databases(postgres: PostgreSQL) -> Iterator[Databases]:
    with postgres.database() as ours, postgres.empty_database() as floor:
        yield Databases(ours=postgres.url(ours), floor=postgres.url(floor))


async def measure(stage: Stage) -> Sides:
    """Each workload's sides, named by it."""
    with _postgresql() as postgres:
        with _databases(postgres) as databases:
            seeded = await Seeded.make(stage.folder / "reads", Helpdesk(), databases)
            w1 = await ask_both(seeded, stage, w1_one_ticket.bodies(seeded.helpdesk))
            w2 = await ask_both(seeded, stage, [request(TICKETS)])
        with _databases(postgres) as databases:
            async with endpoint(0) as (url, _):
                seeded = await Seeded.make(stage.folder / "mails", Helpdesk(lookup_url=url, always_ask=True), databases)
                w5 = await w5_mail_to_panel.through(seeded, stage.size.mails)
    reads = {f"{side} {name}": figures for name, sides in (("W1", w1), ("W2", w2)) for side, figures in sides.items()}
    return reads | {"ours W5": w5}


ON_POSTGRESQL = Workload(
    name="PostgreSQL",
    title="W1, W2 and W5 over PostgreSQL",
    goals=[
        Goal(what="W1: CPU a request, to the floor", figure="cpu_us", of="ours W1", to="floor W1"),
        Goal(what="W2: CPU a request, to the floor", figure="cpu_us", of="ours W2", to="floor W2"),
        Goal(what="W5: CPU ms a lookup", figure="cpu_ms", of="ours W5"),
        Goal(what="W5: lookups a second on one core", figure="lookups_s", of="ours W5", kind=Kind.RATE),
    ],
    measure=measure,
    seconds=65,
)
