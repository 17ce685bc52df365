"""W3: one panel event to a thousand sockets.

An event of ours is a connector that gets a new name: a mutation over HTTP, its commit, its announcement, one reading, and a
frame for every socket. First one at a time, until everybody has it; then one every 50 ms. A fresh process, so that the
memory of a socket is not hidden in what was used before.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from bench.documents import PUBLISH, RENAME, request
from bench.figures import percentile
from bench.subscribers import subscribers
from bench.workload import Goal, Kind, Workload

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bench.subscribers import Crowd
    from bench.target import Target
    from bench.workload import Sides, Stage

_CALM_EVENTS = 6
_CALM_SECONDS = 0.1
_EVERY_SECONDS = 0.05
_KIB = 1024


def _event(side: str, target: Target, number: int) -> str:
    helpdesk, name = target.helpdesk, f"mark-{number}"
    if side == "ours":
        return request(RENAME, id=str(helpdesk.connectors[0]), input={"name": name})
    return request(PUBLISH, id=str(helpdesk.ticket(0)), name=name)


async def fan_out(side: str, target: Target, count: int, events: int) -> dict[str, float]:
    """Let so many come, cause events, and see what each frame costs."""
    await target.ask(_event(side, target, -1))
    resident, used = target.resident_bytes(), target.cpu_seconds()
    async with subscribers(target, count) as crowd:
        resident, used = target.resident_bytes() - resident, target.cpu_seconds() - used

        async def cause(number: int) -> None:
            crowd.sent[number] = time.perf_counter()
            await target.ask(_event(side, target, number))

        calm = await _one_by_one(crowd, cause)
        cpu_us, delivered = await _one_after_the_other(target, crowd, cause, events)
    return {
        "cpu_us": cpu_us,
        "delivered": delivered,
        "p50_ms": percentile(calm, 50) * 1000,
        "p99_ms": percentile(calm, 99) * 1000,
        "kib_each": resident / count / _KIB,
        "connect_us": used / count * 1e6,
    }


async def _one_by_one(crowd: Crowd, cause: Callable[[int], Awaitable[None]]) -> list[float]:
    """Seconds from each event to each subscriber, nothing else being under way."""
    for number in range(_CALM_EVENTS + 1):
        await cause(number)
        await crowd.all_have(number)
        await asyncio.sleep(_CALM_SECONDS)
    return [took for number in range(1, _CALM_EVENTS + 1) for took in crowd.latencies[number]]  # the first one warmed up


async def _one_after_the_other(
    target: Target, crowd: Crowd, cause: Callable[[int], Awaitable[None]], events: int
) -> tuple[float, float]:
    """CPU us of each frame that was delivered, and their share: states in between may be merged."""
    frames, used, first = crowd.frames, target.cpu_seconds(), _CALM_EVENTS + 1
    for number in range(first, first + events):
        await asyncio.gather(cause(number), asyncio.sleep(_EVERY_SECONDS))
    await crowd.all_have(first + events - 1)
    frames = crowd.frames - frames
    return (target.cpu_seconds() - used) / frames * 1e6, frames / (events * crowd.size)


async def measure(stage: Stage) -> Sides:
    """Ours beside the floor."""
    figures: dict[str, dict[str, float]] = {}
    for side in stage.in_turn("ours", "floor"):
        async with stage.seeded.running(side) as target:
            figures[side] = await fan_out(side, target, stage.size.subscribers, stage.size.events)
    return figures


W3 = Workload(
    name="W3",
    title="one panel event to 1,000 sockets",
    goals=[
        Goal(what="CPU a frame, to the floor", figure="cpu_us", to="floor", limit=1.2, peers="Mercurius 2.18, Yoga 2.79"),
        Goal(what="p99 of one event, to the floor", figure="p99_ms", to="floor", limit=1.5, peers="Mercurius 3.01, Yoga 4.37"),
        Goal(what="KiB a subscriber", figure="kib_each", limit=40, kind=Kind.AMOUNT, peers="Yoga 45, Mercurius 99"),
    ],
    measure=measure,
    seconds=40,
)
