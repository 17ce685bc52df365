"""Measure everything: ``make bench``, or ``make bench ARGS="W1 W2"``; ``--rounds 1 --seconds 2`` for a quick look.

Rounds are interleaved: each workload once, then each again, so that the machine's drift falls on all; within a round ours and
the floor follow each other at once. A run of everything is kept in ``bench/results/<date>.json`` and shown in
``docs/performance.md``; one of some workloads only prints its table, unless it is told ``--keep``: then it is added to what
was measured of the same commit on the same day.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench import page
from bench.cores import ask_from_the_others
from bench.figures import show
from bench.machine import commit, machine
from bench.results import FOLDER, Results
from bench.seed import Helpdesk
from bench.split import split
from bench.table import HEAD, rows
from bench.target import Seeded
from bench.w5_mail_to_panel import W5
from bench.workload import CannotMeasure, Size, Stage
from bench.workloads import EVERYTHING, USUAL
from bench.yardstick import yardstick
from server.serve import allow_many_sockets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.workload import Workload

_SPLITTING_SECONDS = 20
_TINY = Size(seconds=1, subscribers=100, events=20, lookups=200, mails=10, offered_seconds=1, grown_tickets=2000)


@dataclass(slots=True)
class _Run:
    """What is measured, and what has come of it so far."""

    chosen: Sequence[Workload]
    rounds: int
    size: Size
    results: Results = field(init=False)

    def __post_init__(self) -> None:
        date = f"{datetime.now(UTC):%Y-%m-%d}"
        self.results = Results(date=date, commit=commit(), machine=machine(), size=asdict(self.size))

    async def measure(self) -> None:
        """Each workload once, then each again."""
        with tempfile.TemporaryDirectory(prefix="disqua-bench-") as folder:
            seeded = await Seeded.make(Path(folder) / "seeded", Helpdesk())
            for turn in range(self.rounds):
                for workload in self.chosen:
                    self._tell(f"{workload.name}, round {turn + 1} of {self.rounds}", self._seconds_left(turn, workload))
                    with tempfile.TemporaryDirectory(dir=folder) as own:
                        await self._once(workload, Stage(folder=Path(own), seeded=seeded, size=self.size, turn=turn))
                self.results.yardstick.append(yardstick())
            if W5 in self.chosen:
                self._tell("where W5 spends its time", _SPLITTING_SECONDS)
                self.results.split = await split(Path(folder), self.size.mails)

    async def _once(self, workload: Workload, stage: Stage) -> None:
        if workload.name in self.results.skipped:
            return
        try:
            sides = await workload.measure(stage)
        except CannotMeasure as reason:
            self.results.skipped[workload.name] = str(reason)
        else:
            self.results.rounds.setdefault(workload.name, []).append(sides)

    def _seconds_left(self, turn: int, workload: Workload) -> float:
        rest = self.chosen[self.chosen.index(workload) :]
        whole = sum(one.seconds for one in self.chosen)
        return sum(one.seconds for one in rest) + (self.rounds - turn - 1) * whole

    @staticmethod
    def _tell(what: str, seconds_left: float) -> None:
        print(f"{datetime.now(UTC):%H:%M:%S}  {what}; at full size about {seconds_left / 60:.1f} min left", flush=True)

    def tell_the_end(self) -> None:
        """The table."""
        show(HEAD, *(row.cells() for row in rows(self.results, EVERYTHING)))
        for name, reason in self.results.skipped.items():
            print(f"{name} was not measured: {reason}")
        for part, percent in self.results.split.items():
            print(f"W5, {part}: {percent:.0f} %")


def _arguments() -> argparse.Namespace:
    names = [workload.name for workload in EVERYTHING]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=f"some of {', '.join(names)}; left out, all but growth")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=Size().seconds, help="of each closed loop; all else in proportion")
    parser.add_argument("--tiny", action="store_true", help="so little of everything that the figures mean nothing")
    parser.add_argument("--keep", action="store_true", help="keep the results of some workloads, too")
    parser.add_argument("--results", type=Path, default=FOLDER, help="where results are kept")
    given = parser.parse_args()
    unknown = set(given.workloads) - set(names)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    return given


def main() -> None:
    """Measure as the command line says."""
    given = _arguments()
    ask_from_the_others()
    allow_many_sockets()
    chosen = [one for one in EVERYTHING if one.name in given.workloads] or USUAL
    run = _Run(chosen, given.rounds, _TINY if given.tiny else Size().lasting(given.seconds))
    asyncio.run(run.measure())
    run.tell_the_end()
    if given.keep or not (given.workloads or given.tiny):
        print(run.results.write(given.results))
        if given.results == FOLDER:
            print(page.write(run.results))


if __name__ == "__main__":
    main()
