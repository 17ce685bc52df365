"""What a run measured, as a file: each side's figures of every round, beside the machine and the commit."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.workload import Goal, Sides

FOLDER = Path(__file__).with_name("results")


@dataclass(slots=True, kw_only=True)
class Results:
    """One run."""

    date: str
    commit: str
    machine: dict[str, str]
    size: dict[str, float]
    yardstick: list[float] = field(default_factory=list)
    """CPU seconds of the same work in every round: how quick the machine was."""
    rounds: dict[str, list[Sides]] = field(default_factory=dict)
    """By workload; a workload that could not be measured has none."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Why, by workload."""
    split: dict[str, float] = field(default_factory=dict)
    """Of W5: the part of each step in the CPU, in percent."""

    def value(self, workload: str, goal: Goal) -> float | None:
        """A goal's figure: the median of the rounds, or the ratio of two medians; None where it was not measured."""
        rounds = self.rounds.get(workload)
        if not rounds or goal.of not in rounds[0]:
            return None
        value = self.median(workload, goal.of, goal.figure)
        return value if goal.to is None else value / self.median(workload, goal.to, goal.figure)

    def spread(self, workload: str, goal: Goal) -> tuple[float, float]:
        """The least and the most of the rounds."""
        rounds = self.rounds[workload]
        values = [sides[goal.of][goal.figure] / (1 if goal.to is None else sides[goal.to][goal.figure]) for sides in rounds]
        return min(values), max(values)

    def median(self, workload: str, side: str, figure: str) -> float:
        """Of the rounds."""
        return statistics.median(sides[side][figure] for sides in self.rounds[workload])

    def write(self, folder: Path = FOLDER) -> Path:
        """Keep it under its date, with what the same commit had measured before on that day; another commit's makes room."""
        folder.mkdir(exist_ok=True)
        file = folder / f"{self.date}.json"
        if file.exists() and (earlier := self.read(file)).commit == self.commit:
            self.rounds = earlier.rounds | self.rounds
            self.split = self.split or earlier.split
            self.skipped = {name: why for name, why in (earlier.skipped | self.skipped).items() if name not in self.rounds}
        file.write_text(json.dumps(asdict(self), indent=1, sort_keys=True) + "\n")
        return file

    @classmethod
    def read(cls, file: Path) -> Self:
        """What ``write`` wrote."""
        told: dict[str, Any] = json.loads(file.read_text())
        return cls(**told)


def kept(folder: Path = FOLDER) -> Sequence[Path]:
    """Every run that was kept, oldest first."""
    return sorted(folder.glob("*.json"))
