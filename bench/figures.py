"""Figures in a small table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least so many percent do not exceed; nan where there is none."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)] if ordered else math.nan


def milliseconds(values: Sequence[float], *percents: float) -> str:
    """Percentiles of seconds, as a cell shows them."""
    return " / ".join(f"{percentile(values, percent) * 1000:.1f}" for percent in percents)


def show(*rows: Sequence[object]) -> None:
    """Print rows in columns; the first one is the head."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for first, *others in texts:
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        print("  ".join([first.ljust(widths[0]), *cells]), flush=True)
