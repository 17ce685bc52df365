"""Size: from the start of the process to ready, and how much memory it once had under W1, W2 and W3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import w1_one_ticket
from bench.closed_loop import ask_again_and_again
from bench.documents import TICKETS, request
from bench.w3_one_event import fan_out
from bench.workload import Goal, Kind, Workload

if TYPE_CHECKING:
    from bench.workload import Sides, Stage

_MIB = 2**20


async def measure(stage: Stage) -> Sides:
    """Ours beside the floor."""
    figures: dict[str, dict[str, float]] = {}
    for side in stage.in_turn("ours", "floor"):
        async with stage.seeded.running(side) as target:
            at_start = target.resident_bytes()
            for bodies in (w1_one_ticket.bodies(target.helpdesk), [request(TICKETS)]):
                await ask_again_and_again(target, bodies, stage.size.seconds / 2)
            await fan_out(side, target, stage.size.subscribers, stage.size.events // 4)
            figures[side] = {
                "ready_s": target.ready_after,
                "start_mib": at_start / _MIB,
                "peak_mib": target.peak_bytes() / _MIB,
                "own_peak_mib": target.own_peak_bytes() / _MIB,
            }
    return figures


SIZE = Workload(
    name="size",
    title="start and memory, with all processes",
    goals=[
        Goal(what="s from start to ready", figure="ready_s", limit=1.5),
        Goal(
            what="MiB at the peak, all processes",
            figure="peak_mib",
            limit=120,
            kind=Kind.AMOUNT,
            peers="Mercurius 182, Apollo 256, Yoga 339",
        ),
    ],
    measure=measure,
    seconds=16,
)
