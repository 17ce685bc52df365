"""The goals as a table: what was promised, what was measured, and whether that keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.workload import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.results import Results
    from bench.workload import Goal, Workload

HEAD = ("workload", "measured", "goal", "ours", "spread", "verdict", "peers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One goal of one workload."""

    workload: Workload
    goal: Goal
    value: float
    spread: tuple[float, float]

    @property
    def met(self) -> bool:
        """Whether the promise is kept."""
        return self.goal.met_by(self.value)

    def cells(self) -> tuple[str, ...]:
        """As text, under HEAD."""
        least, most = self.spread
        verdict = "reported" if self.goal.limit is None else "met" if self.met else "missed"
        spread = f"{number(least)} to {number(most)}"
        return self.workload.name, self.goal.what, _limit(self.goal), number(self.value), spread, verdict, self.goal.peers


def rows(results: Results, workloads: Sequence[Workload]) -> Iterator[Row]:
    """Every goal that was measured."""
    for workload in workloads:
        for goal in workload.goals:
            value = results.value(workload.name, goal)
            if value is not None:
                yield Row(workload=workload, goal=goal, value=value, spread=results.spread(workload.name, goal))


def number(value: float) -> str:
    """Three digits."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 - more digits say nothing


def _limit(goal: Goal) -> str:
    if goal.limit is None:
        return "-"
    return f"{'at least' if goal.kind is Kind.RATE else 'at most'} {number(goal.limit)}"
