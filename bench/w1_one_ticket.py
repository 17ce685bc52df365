"""W1: one ticket with its three panels, as it is opened; ids of all tickets in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.closed_loop import ask_both
from bench.documents import TICKET, request
from bench.workload import Goal, Workload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.seed import Helpdesk
    from bench.workload import Sides, Stage


def bodies(helpdesk: Helpdesk) -> Sequence[str]:
    """The requests."""
    return [request(TICKET, id=str(ticket_id)) for ticket_id in helpdesk.sample()]


async def measure(stage: Stage) -> Sides:
    """Ours beside the floor."""
    return await ask_both(stage.seeded, stage, bodies(stage.seeded.helpdesk))


W1 = Workload(
    name="W1",
    title="one ticket with its 3 panels",
    goals=[
        Goal(
            what="CPU a request, to the floor",
            figure="cpu_us",
            to="floor",
            limit=1.0,
            peers="Mercurius 0.67, Apollo 2.29, Yoga 3.01",
        )
    ],
    measure=measure,
    seconds=18,
)
