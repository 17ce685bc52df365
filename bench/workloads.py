"""Every workload, in the order of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.growth import GROWTH
from bench.on_postgresql import ON_POSTGRESQL
from bench.size import SIZE
from bench.w1_one_ticket import W1
from bench.w2_twenty_tickets import W2
from bench.w3_one_event import W3
from bench.w4_asking_endpoints import W4
from bench.w5_mail_to_panel import W5
from bench.w6_answer_to_frame import W6

if TYPE_CHECKING:
    from bench.workload import Workload

EVERYTHING: Final[tuple[Workload, ...]] = (W1, W2, W3, W4, W5, W6, SIZE, ON_POSTGRESQL, GROWTH)
USUAL: Final[tuple[Workload, ...]] = tuple(workload for workload in EVERYTHING if workload is not GROWTH)
"""Without what takes long to fill."""
