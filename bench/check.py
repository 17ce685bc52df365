"""Compare a run with the one kept before it: ``make bench-check``; ends with 1 where something got slower by more than 15 %.

Ratios to the floor are compared as they are. Times and rates that have no floor are first set against the yardstick of
their own run, so that a slower machine is not taken for slower code; memory is compared as it is.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from bench.results import Results, kept
from bench.table import number
from bench.workload import Kind
from bench.workloads import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.workload import Goal

TOLERANCE = 1.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How a figure moved."""

    name: str
    before: float
    now: float
    growth: float
    """How many times worse it is, whichever way worse is."""

    def __str__(self) -> str:
        return f"{self.name}: {number(self.before)} -> {number(self.now)}, {self.growth:.2f} times as bad"


def changes(before: Results, now: Results) -> Iterator[Change]:
    """Every figure that both have."""
    for workload in EVERYTHING:
        for goal in workload.goals:
            old, new = before.value(workload.name, goal), now.value(workload.name, goal)
            if old and new:
                growth = _growth(goal, old, new, _slower(before, now))
                yield Change(name=f"{workload.name}, {goal.what}", before=old, now=new, growth=growth)


def _growth(goal: Goal, old: float, new: float, slower: float) -> float:
    if goal.to is not None:
        return new / old
    match goal.kind:
        case Kind.TIME:
            return new / old / slower
        case Kind.RATE:
            return old / new / slower
        case Kind.AMOUNT:
            return new / old
        case _:
            assert_never(goal.kind)


def _slower(before: Results, now: Results) -> float:
    """How many times as long the machine takes now for the same work."""
    if not (before.yardstick and now.yardstick):
        return 1.0
    return statistics.median(now.yardstick) / statistics.median(before.yardstick)


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare the two newest runs, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="*", help="before and now; left out, the two newest of bench/results")
    files = parser.parse_args(arguments).files or kept()[-2:]
    if len(files) != 2:  # noqa: PLR2004 - before and now
        sys.exit("There is nothing to compare with yet: `make bench` keeps a run for each day.")
    before, now = map(Results.read, files)
    found = sorted(changes(before, now), key=lambda change: -change.growth)
    print(f"{before.date} ({before.commit}) -> {now.date} ({now.commit}), {_slower(before, now):.2f} times as slow a machine")
    for change in found:
        print(f"{'SLOWER' if change.growth > TOLERANCE else 'ok    '}  {change}")
    sys.exit(1 if any(change.growth > TOLERANCE for change in found) else 0)


if __name__ == "__main__":
    main()
