"""What a workload is: a name, its goals, and a way to measure it once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence
    from pathlib import Path

    from bench.target import Seeded

    Sides = Mapping[str, Mapping[str, float]]
    """What one round measured: of each side ("ours", "floor") figures by name."""


class Kind(Enum):
    """What a figure is, and so how it moves with the machine and which way is better."""

    TIME = auto()
    """Slower on a slower machine; less is better."""
    RATE = auto()
    """Less on a slower machine; more is better."""
    AMOUNT = auto()
    """The same on every machine; less is better."""


class CannotMeasure(Exception):
    """Something is missing here, or nothing came of it, as the text says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One promise: a figure of one side, as it is or as a ratio to the same figure of another side."""

    what: str
    figure: str
    limit: float | None = None
    """None where a figure is reported and nothing promised."""
    of: str = "ours"
    to: str | None = None
    kind: Kind = Kind.TIME
    peers: str = ""
    """What the best peers take, and when that was measured."""

    def met_by(self, value: float) -> bool:
        """Whether the value keeps the promise."""
        return self.limit is None or (value >= self.limit if self.kind is Kind.RATE else value <= self.limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured: as the goals mean it, or smaller for a quick look."""

    seconds: float = 4
    """Of each closed loop."""
    subscribers: int = 1000
    events: int = 100
    lookups: int = 5000
    mails: int = 400
    offered_seconds: float = 20
    grown_tickets: int = 1_000_000

    def lasting(self, seconds: float) -> Self:
        """With closed loops of so many seconds, and as much less of all that takes long."""
        share = seconds / self.seconds
        return replace(
            self, seconds=seconds, events=round(self.events * share), lookups=round(self.lookups * share),
            mails=round(self.mails * share), offered_seconds=self.offered_seconds * share,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What a workload finds ready."""

    folder: Path
    """For what it makes itself; emptied afterwards."""
    seeded: Seeded
    size: Size = field(default_factory=Size)
    turn: int = 0
    """The number of the round: sides that are measured one after the other change places."""

    def in_turn(self, *sides: str) -> Sequence[str]:
        """The sides, whoever was last now first."""
        return sides if self.turn % 2 == 0 else sides[::-1]


class _Measure(Protocol):
    def __call__(self, stage: Stage) -> Awaitable[Sides]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One line of the table."""

    name: str
    title: str
    goals: Sequence[Goal]
    measure: _Measure
    seconds: float
    """About how long one round takes at full size, to say how long it will be."""
