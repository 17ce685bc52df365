"""How quickly one side may go on: a burst at once, then so much in each second."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True, kw_only=True)
class Pace:
    """A token bucket, which may be overdrawn by those who wait then."""

    burst: int
    per_second: float
    clock: Callable[[], float]
    """Seconds that never go back."""
    _left: float = field(init=False)
    _seen: float = field(init=False)

    def __post_init__(self) -> None:
        self._left = self.burst
        self._seen = self.clock()

    def step(self) -> float:
        """Take one step; how many seconds too early it came, 0 for one in time."""
        now = self.clock()
        self._left = min(self._left + (now - self._seen) * self.per_second, self.burst) - 1
        self._seen = now
        return max(-self._left / self.per_second, 0)
