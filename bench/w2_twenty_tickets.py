"""W2: the first page of the list, twenty tickets with sixty panels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.closed_loop import ask_both
from bench.documents import TICKETS, request
from bench.workload import Goal, Workload

if TYPE_CHECKING:
    from bench.workload import Sides, Stage


async def measure(stage: Stage) -> Sides:
    """Ours beside the floor."""
    return await ask_both(stage.seeded, stage, [request(TICKETS)])


W2 = Workload(
    name="W2",
    title="20 tickets with their 60 panels",
    goals=[
        Goal(
            what="CPU a request, to the floor",
            figure="cpu_us",
            to="floor",
            limit=1.2,
            peers="Mercurius 1.30, Yoga 2.99, Apollo 4.69",
        )
    ],
    measure=measure,
    seconds=18,
)
