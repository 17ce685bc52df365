"""Growth: W1, W2, W5 and deep pages of the list with a hundred times the data, beside the same with little; minutes to fill."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from bench import w1_one_ticket, w5_mail_to_panel
from bench.closed_loop import ask_again_and_again
from bench.documents import TICKETS, request
from bench.endpoint import endpoint
from bench.seed import Helpdesk
from bench.target import Seeded
from bench.workload import Goal, Kind, Workload

if TYPE_CHECKING:
    from bench.workload import Sides, Stage

_TIMES = 100
_PAGE = 20
_LIMIT = 1.15
_MIB = 2**20


def _page(helpdesk: Helpdesk, number: int) -> str:
    """The request of a page of the list, as if all before it had been turned."""
    last_before = helpdesk.tickets - (number - 1) * _PAGE + 1
    return request(TICKETS, after=base64.urlsafe_b64encode(str(last_before).encode()).decode().rstrip("="))


async def _reads(stage: Stage, seeded: Seeded) -> dict[str, float]:
    async with seeded.ours() as target:
        asked = {"W1": w1_one_ticket.bodies(target.helpdesk), "page 1": [request(TICKETS)]}
        pages = target.helpdesk.tickets // _PAGE
        for name, number in (("page in the middle", pages // 5), ("page at the end", pages)):
            asked[name] = [_page(target.helpdesk, max(number, 1))]
        figures = {}
        for name, bodies in asked.items():
            figures[name] = (await ask_again_and_again(target, bodies, stage.size.seconds))["cpu_us"]
        return figures | {"resident_mib": target.resident_bytes() / _MIB}


async def measure(stage: Stage) -> Sides:
    """Much beside little."""
    sides: dict[str, dict[str, float]] = {}
    async with endpoint(0) as (url, _):
        for side, tickets in (("little", stage.size.grown_tickets // _TIMES), ("much", stage.size.grown_tickets)):
            seeded = await Seeded.make(stage.folder / side, Helpdesk(tickets=tickets), ours_alone=True)
            sides[side] = await _reads(stage, seeded)
            seeded.ask_at(url)
            sides[side] |= await w5_mail_to_panel.through(seeded, stage.size.mails)
            seeded.remove()
    return sides


GROWTH = Workload(
    name="growth",
    title="1,000,000 tickets and 3,000,000 lookups, to 10,000 tickets",
    goals=[
        Goal(what="W1: CPU, to little", figure="W1", of="much", to="little", limit=_LIMIT),
        Goal(what="W2, first page: CPU, to little", figure="page 1", of="much", to="little", limit=_LIMIT),
        Goal(what="W2, page 10,000: CPU, to little", figure="page in the middle", of="much", to="little", limit=_LIMIT),
        Goal(what="W2, last page: CPU, to little", figure="page at the end", of="much", to="little", limit=_LIMIT),
        Goal(what="W5: CPU a lookup, to little", figure="cpu_ms", of="much", to="little", limit=_LIMIT),
        Goal(what="memory, to little", figure="resident_mib", of="much", to="little", limit=_LIMIT, kind=Kind.AMOUNT),
    ],
    measure=measure,
    seconds=600,
)
