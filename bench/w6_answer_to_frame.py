"""W6: from the moment at which a CRM's answer has left to the frame at the agent, while 200 lookups a second are offered.

Mails come at their moments, whatever became of those before, from requesters who are known and each of whom an agent watches;
every mail asks three connectors. The endpoint writes into each answer when it was written, so that the frame says how old it is.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from bench.endpoint import endpoint
from bench.figures import percentile
from bench.postmen import postmen
from bench.seed import SUPPORT, Helpdesk, requester
from bench.target import Seeded
from bench.watchers import watch
from bench.workload import Goal, Workload

if TYPE_CHECKING:
    from bench.workload import Sides, Stage

_LOOKUPS_A_SECOND = 200
_CONNECTORS = 3
_WATCHED = 300
_ENDPOINT_MS = 20
_SENDERS = 16
_QUIET = 2.0
"""Seconds without anything new, after which nothing more is expected."""
_LOOK_AGAIN_SECONDS = 0.01
_NANOSECONDS = 1e9


class _Ages:
    """How old each answer was when its frame came, in seconds."""

    def __init__(self) -> None:
        self.seen: dict[str, float] = {}
        self.last = time.monotonic()

    async def all_seen(self, count: int) -> None:
        """Wait until so many have been, or no new one has come for a while."""
        while len(self.seen) < count and time.monotonic() < self.last + _QUIET:  # noqa: ASYNC110 - cheaper than an event a frame
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    def take(self, panel: Any, at: float) -> None:  # noqa: ANN401 - a panel as JSON
        """Note a panel that shows an answer for the first time."""
        name = panel["customer"]["name"] if panel["customer"] else ""
        if name.isdecimal() and name not in self.seen:
            self.seen[name] = at - int(name) / _NANOSECONDS
            self.last = at


async def measure(stage: Stage) -> Sides:
    """Ours alone; without what came in the first tenth of the time."""
    ages, seconds = _Ages(), stage.size.offered_seconds
    async with AsyncExitStack() as stack:
        url, _ = await stack.enter_async_context(endpoint(_ENDPOINT_MS, stamped=True))
        seeded = await Seeded.make(stage.folder / "data", Helpdesk(lookup_url=url, always_ask=True))
        target = await stack.enter_async_context(seeded.ours())
        mail = await stack.enter_async_context(postmen([target.mail_port], each=_SENDERS))
        for number in range(_WATCHED):
            watcher = await watch(target.base_url, target.token, seeded.helpdesk.ticket(number), ages.take)
            stack.callback(watcher.close)
        used, began = target.cpu_seconds(), time.monotonic()
        mails = round(seconds * _LOOKUPS_A_SECOND / _CONNECTORS)
        async with asyncio.TaskGroup() as group:
            for number in range(mails):
                await asyncio.sleep(max(began + number * _CONNECTORS / _LOOKUPS_A_SECOND - time.monotonic(), 0))
                group.create_task(mail.deliver(requester(number % _WATCHED), SUPPORT))
        await ages.all_seen(mails * _CONNECTORS)
        used = target.cpu_seconds() - used
    settled = [*ages.seen.values()][len(ages.seen) // 10 :]
    return {
        "ours": {
            "p50_ms": percentile(settled, 50) * 1000,
            "p99_ms": percentile(settled, 99) * 1000,
            "shown": len(ages.seen) / (mails * _CONNECTORS),
            "shown_s": len(ages.seen) / (ages.last - began),
            "busy": used / (ages.last - began),
        }
    }


W6 = Workload(
    name="W6",
    title="a CRM's answer to the frame at the agent, 200 lookups a second",
    goals=[
        Goal(what="ms, median", figure="p50_ms", limit=5),
        Goal(what="ms, 99 of 100", figure="p99_ms", limit=25),
    ],
    measure=measure,
    seconds=30,
)
