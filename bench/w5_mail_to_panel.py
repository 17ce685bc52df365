"""W5: from a mail to the last of its lookups stored and announced, embedded: as many as one core holds.

Mails come over SMTP from several senders at once, each about a requester of its own, to a workspace with three connectors whose
endpoint answers at once from another core. One requester in some mails is watched, so that frames are part of it.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.endpoint import endpoint
from bench.postmen import postmen
from bench.seed import SUPPORT, Helpdesk, requester
from bench.target import Seeded
from bench.watchers import Panels, watch
from bench.workload import Goal, Kind, Workload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bench.postmen import Postmen
    from bench.target import Target
    from bench.workload import Sides, Stage

_SENDERS = 8
_WATCHED_ONE_IN = 20
_WARM_SHARE = 0.1
_LOOK_AGAIN_SECONDS = 0.02
_LEFT = "SELECT count(*) FROM lookups WHERE completed_at IS NULL"
_DONE = "SELECT count(*) FROM lookups WHERE trigger = 'TICKET' AND status = 'FOUND'"
_PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Flow:
    """A server that is sent mail."""

    target: Target
    mail: Postmen

    async def send(self, numbers: range) -> None:
        """Send one mail for each number, and wait until all its lookups are final."""
        left = iter(numbers)

        async def one_after_the_other() -> None:
            for number in left:
                watched = number % _WATCHED_ONE_IN == 0
                await self.mail.deliver(requester(0) if watched else f"sender{number}@example.net", SUPPORT)

        async with asyncio.TaskGroup() as group:
            for _ in range(_SENDERS):
                group.create_task(one_after_the_other())
        given_up_at = time.monotonic() + _PATIENCE_SECONDS
        while self._count(_LEFT):
            assert time.monotonic() < given_up_at, "lookups do not end"
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    def lookups(self) -> int:
        """How many have brought an answer."""
        return self._count(_DONE)

    def _count(self, statement: str) -> int:
        ((count,),) = self.target.back_door.rows(statement)
        return int(count)


@asynccontextmanager
async def flow(seeded: Seeded) -> AsyncIterator[Flow]:
    """A server over such data, senders that are connected, and one agent who watches."""
    panels = Panels()
    async with seeded.ours() as target, postmen([target.mail_port], each=_SENDERS) as mail:
        watcher = await watch(target.base_url, target.token, seeded.helpdesk.ticket(0), panels.take)
        try:
            yield Flow(target, mail)
        finally:
            watcher.close()
        assert panels.shown_at, "not one frame came"


async def through(seeded: Seeded, mails: int) -> dict[str, float]:
    """Send so many mails through a server over such data, whose connectors ask an endpoint that is there."""
    async with flow(seeded) as sent:
        warm = max(round(mails * _WARM_SHARE), 1)
        await sent.send(range(warm))
        before, used, began = sent.lookups(), sent.target.cpu_seconds(), time.monotonic()
        await sent.send(range(warm, warm + mails))
        took = time.monotonic() - began
        used, lookups = sent.target.cpu_seconds() - used, sent.lookups() - before
        return {
            "cpu_ms": used / lookups * 1000,
            "lookups_s": lookups / took,
            "resident_mib": sent.target.resident_bytes() / 2**20,
        }


async def measure(stage: Stage) -> Sides:
    """Ours alone: there is no floor for a pipeline."""
    async with endpoint(0) as (url, _):
        seeded = await Seeded.make(stage.folder / "data", Helpdesk(lookup_url=url, always_ask=True))
        return {"ours": await through(seeded, stage.size.mails)}


W5 = Workload(
    name="W5",
    title="mail accepted to final status stored and announced, a lookup",
    goals=[
        Goal(what="CPU ms a lookup", figure="cpu_ms", limit=2.5, peers="nobody publishes one"),
        Goal(what="lookups a second on one core", figure="lookups_s", limit=400, kind=Kind.RATE, peers="nobody publishes one"),
    ],
    measure=measure,
    seconds=20,
)
