"""The table of docs/security.md: promise, test, figure, all as one run has found them."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_BEGIN, _END = "<!-- made by `make promises` -->", "<!-- end -->"


@dataclass
class Proof:
    """What one file of tests has shown."""

    tests: int = 0
    figures: dict[str, str | int | float] = field(default_factory=dict)

    def add(self, label: str, value: str | float) -> None:
        """Take a figure: counts add up, of measures the highest stays, of words the last."""
        before = self.figures.get(label)
        if isinstance(before, int) and isinstance(value, int):
            self.figures[label] = before + value
        elif isinstance(before, float) and isinstance(value, float):
            self.figures[label] = max(before, value)
        else:
            self.figures[label] = value

    def __str__(self) -> str:
        told = [f"{label}: {_number(value)}" for label, value in sorted(self.figures.items())]
        return "; ".join([f"{self.tests} test{'s' * (self.tests > 1)}", *told])


def promise_of(source: str) -> str:
    """The sentence that a file of tests proves: the first line of its docstring."""
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def write_table(page: Path, proofs: Mapping[str, Proof], *, root: Path) -> str:
    """Put the table between its marks on the page, and return it."""
    rows = [
        f"| {promise_of((root / test).read_text())} | [{test.rpartition('/')[2]}](../{test}) | {proof} |"
        for test, proof in sorted(proofs.items())
    ]
    table = "\n".join(["| promise | test | figures |", "|---|---|---|", *rows])
    marked = re.compile(f"{re.escape(_BEGIN)}.*{re.escape(_END)}", re.DOTALL)
    text, found = marked.subn(lambda _: f"{_BEGIN}\n{table}\n{_END}", page.read_text())
    if not found:
        message = f"{page} has no place for the table: {_BEGIN} … {_END}"
        raise ValueError(message)
    page.write_text(text)
    return table


def _number(value: str | float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}" if isinstance(value, float) else value
