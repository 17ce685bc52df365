"""Growth: W1, W2, W5 and deep pages of the list with a hundred times the data, beside the same with little; minutes to fill."""

from __future__ import annotations

import base64
from statistics import median
from typing import TYPE_CHECKING

from bench import w1_one_ticket, w5_mail_to_panel
from bench.closed_loop import ask_again_and_again
from bench.documents import TICKETS, request
from bench.endpoint import endpoint
from bench.seed import Helpdesk
from bench.target import Seeded
from bench.workload import Goal, Kind, Workload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.workload import Sides, Stage

_TIMES = 100
_READ_TURNS = 3
_PAGE = 20
_LIMIT = 1.15
_MIB = 2**20
_DEPTHS = {"page 1,000": 0.02, "page 10,000": 0.2}
"""By their names among a million tickets: how deep a page lies."""


def _page(helpdesk: Helpdesk, depth: float) -> str:
    """The request of a page of the list, as if all before it had been turned."""
    pages_before = round(helpdesk.tickets / _PAGE * depth) - 1
    last_before = helpdesk.tickets - pages_before * _PAGE + 1
    return request(TICKETS, after=base64.urlsafe_b64encode(str(last_before).encode()).decode().rstrip("="))


async def _reads(stage: Stage, seeded: Seeded) -> dict[str, dict[str, float]]:
    asked = {"W1": w1_one_ticket.bodies(seeded.helpdesk), "page 1": [request(TICKETS)]}
    asked |= {name: [_page(seeded.helpdesk, depth)] for name, depth in _DEPTHS.items()}
    async with seeded.ours() as target:
        figures = {name: await ask_again_and_again(target, bodies, stage.size.seconds) for name, bodies in asked.items()}
        return figures | {"memory": {"resident_mib": target.resident_bytes() / _MIB}}


async def measure(stage: Stage) -> Sides:
    """Fill both first, then measure little and much one right after the other; reads three times, for they differ by little."""
    amounts = {"little": stage.size.grown_tickets // _TIMES, "much": stage.size.grown_tickets}
    filled = {
        amount: await Seeded.make(stage.folder / amount, Helpdesk(tickets=tickets), ours_alone=True)
        for amount, tickets in amounts.items()
    }
    read = [{amount: await _reads(stage, seeded) for amount, seeded in filled.items()} for _ in range(_READ_TURNS)]
    sides: dict[str, dict[str, float]] = {}
    async with endpoint(0) as (url, _):
        for amount, seeded in filled.items():
            figures = _medians([turn[amount] for turn in read])
            seeded.ask_at(url)
            figures["W5"] = await w5_mail_to_panel.through(seeded, stage.size.mails)
            sides |= {f"{name}, {amount}": measured for name, measured in figures.items()}
    return sides


def _medians(turns: Sequence[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    return {
        name: {figure: median(turn[name][figure] for turn in turns) for figure in figures} for name, figures in turns[0].items()
    }


def _to_little(name: str, figure: str, what: str, kind: Kind = Kind.TIME) -> Goal:
    return Goal(what=f"{what}, to little", figure=figure, of=f"{name}, much", to=f"{name}, little", limit=_LIMIT, kind=kind)


GROWTH = Workload(
    name="growth",
    title="1,000,000 tickets and 3,000,000 lookups, to 10,000 tickets",
    goals=[
        _to_little("W1", "cpu_us", "W1: CPU a request"),
        _to_little("page 1", "cpu_us", "W2: CPU a request"),
        _to_little("W5", "cpu_ms", "W5: CPU a lookup"),
        _to_little("memory", "resident_mib", "memory", Kind.AMOUNT),
        *(
            Goal(what=f"W2, {name}: CPU, to page 1", figure="cpu_us", of=f"{name}, much", to="page 1, much", limit=_LIMIT)
            for name in _DEPTHS
        ),
    ],
    measure=measure,
    seconds=600,
)
