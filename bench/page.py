"""Write a run's figures and plots into ``docs/performance.md``; ``.venv/bin/python bench/page.py`` takes the newest run's."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.results import Results, kept
from bench.table import HEAD, number, rows
from bench.workloads import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.table import Row

DOCS = Path(__file__).parents[1] / "docs"
_BEGIN, _END = "<!-- written by bench/page.py: begin -->", "<!-- written by bench/page.py: end -->"
_GREEN, _RED, _GRAY, _BLUE = "#1f7a4d", "#b3261e", "#8a8f98", "#2457a6"
_PEERS_MEASURED = (
    "measured 23 November 2026 on this machine with Mercurius 16.10, GraphQL Yoga 5.24 and Apollo Server 5.5 on Node 24.19, "
    "beside a floor of their own, to which ours had 0.88 (W1), 0.76 (W2) and 0.87 (W3) in the same run; "
    "W4's the day before, with aiohttp 3.14"
)
PEERS: Mapping[str, Mapping[str, float]] = {
    "W1": {"Mercurius": 0.67, "Apollo": 2.29, "Yoga": 3.01, "Strawberry by its docs": 40.8},
    "W2": {"Mercurius": 1.30, "Yoga": 2.99, "Apollo": 4.69, "Strawberry by its docs": 50.2},
    "W3": {"Mercurius": 2.18, "Yoga": 2.79, "Strawberry by its docs": 14.6},
    "W4": {"httpx over aiohttp": 2.35, "undici": 2.42, "httpx": 38.2},
}
"""CPU ratios to the floor of a comparison of its own (W4: to aiohttp); Strawberry's on another day and machine."""


def write(results: Results, docs: Path = DOCS) -> Path:
    """Put the figures between the marks of the page, beside its words; return the page."""
    plots = docs / "performance"
    plots.mkdir(exist_ok=True)
    measured = [*rows(results, EVERYTHING)]
    drawn = _draw(results, measured, plots)
    file = docs / "performance.md"
    before, begin, rest = file.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    assert begin, f"{file} has no place for the figures"
    assert end, f"{file} has no place for the figures"
    file.write_text("\n".join([before + begin, "", *_lines(results, measured, drawn), "", end + after]))
    return file


def _lines(results: Results, measured: Sequence[Row], drawn: Sequence[tuple[str, str]]) -> list[str]:
    machine = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    turns = max(map(len, results.rounds.values()), default=0)
    return [
        f"{results.date}, commit `{results.commit}`, medians of {turns} interleaved rounds. {machine}.",
        f"Peers' ratios: {_PEERS_MEASURED}.",
        "",
        *_markdown(HEAD, [row.cells() for row in measured]),
        "",
        *(f"Not measured: {name}, for {reason}.\n" for name, reason in results.skipped.items()),
        *(f"![{words}](performance/{name}.svg)\n" for name, words in drawn),
        "### All figures",
        "",
        *_markdown(("workload", "side", "figure", "median", "rounds"), [*_all(results)]),
    ]


def _all(results: Results) -> Sequence[Sequence[str]]:
    return [
        (name, side, figure, number(results.median(name, side, figure)), " ".join(number(one[side][figure]) for one in rounds))
        for name, rounds in results.rounds.items()
        for side, figures in rounds[0].items()
        for figure in figures
    ]


def _markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    return [_line(head), _line(["---"] * len(head)), *map(_line, lines)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _draw(results: Results, measured: Sequence[Row], folder: Path) -> list[tuple[str, str]]:
    """A plot of each kind that there are figures for; its file's name and what it shows."""
    mpl.rcParams["svg.hashsalt"] = "disqua"  # equal figures are equal files
    drawn = []
    ratios = [row for row in measured if row.goal.figure == "cpu_us" and row.workload.name in PEERS]
    if ratios:
        _draw_ratios(ratios, folder / "ratios.svg")
        drawn.append(("ratios", "CPU for a request, an event's frame or a lookup, as a ratio to the floor, beside peers"))
    promised = [row for row in measured if row.goal.limit]
    if promised:
        _draw_goals(promised, folder / "goals.svg")
        drawn.append(("goals", "Every figure as a share of its goal"))
    if results.split:
        _draw_split(results.split, folder / "split.svg")
        drawn.append(("split", "Where the CPU of a mail with its three lookups goes"))
    return drawn


def _draw_ratios(ratios: Sequence[Row], file: Path) -> None:
    figure = Figure(figsize=(3.2 * len(ratios), 2.6), layout="constrained")
    for row, ax in zip(ratios, figure.subplots(1, len(ratios), squeeze=False)[0], strict=True):
        bars = {"ours": row.value, **PEERS[row.workload.name]}
        ax.barh([*bars], [*bars.values()], color=[_GREEN if row.met else _RED, *[_GRAY] * (len(bars) - 1)])
        ax.axvline(1, color="black", linewidth=0.8)
        ax.set(title=row.workload.name, xscale="log")
        ax.xaxis.set_major_formatter("{x:g}")
        ax.invert_yaxis()
        for place, value in enumerate(bars.values()):
            ax.text(value, place, f" {number(value)}", va="center", fontsize=8)
        ax.margins(x=0.3)
    _save(figure, file)


def _draw_goals(promised: Sequence[Row], file: Path) -> None:
    figure = Figure(figsize=(8, 0.32 * len(promised) + 0.8), layout="constrained")
    ax = figure.subplots()
    shares = [_share(row) for row in promised]
    names = [f"{row.workload.name}: {row.goal.what}" for row in promised]
    ax.barh(names, shares, color=[_GREEN if row.met else _RED for row in promised])
    ax.axvline(1, color="black", linewidth=0.8)
    ax.set(xscale="log", xlabel="share of the goal; left of the line it is met")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.invert_yaxis()
    _save(figure, file)


def _share(row: Row) -> float:
    assert row.goal.limit is not None
    return row.value / row.goal.limit if row.goal.met_by(0) else row.goal.limit / row.value


def _draw_split(split: Mapping[str, float], file: Path) -> None:
    figure = Figure(figsize=(8, 0.32 * len(split) + 0.8), layout="constrained")
    ax = figure.subplots()
    ax.barh([*split], [*split.values()], color=_BLUE)
    ax.set(xlabel="% of the CPU")
    ax.invert_yaxis()
    _save(figure, file)


def _save(figure: Figure, file: Path) -> None:
    figure.savefig(file, metadata={"Date": None})


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, nargs="?", help="a file of bench/results")
    given = parser.parse_args()
    print(write(Results.read(given.results or kept()[-1])))


if __name__ == "__main__":
    main()
