"""Where the CPU of a workload goes: our server under it, sampled by py-spy, as a tree from callers to callees.

``make bench-profile``, or ``make bench-profile ARGS="W1 --least 2"``. What
docs/performance.md says of what is left was read here.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.closed_loop import ask_again_and_again
from bench.cores import ask_from_the_others
from bench.documents import TICKETS, request
from bench.endpoint import endpoint
from bench.sampler import PY_SPY, sampling, waits
from bench.seed import Helpdesk
from bench.target import Seeded
from bench.w1_one_ticket import bodies
from bench.w3_one_event import fan_out
from bench.w5_mail_to_panel import flow
from server.serve import allow_many_sockets

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

_RATE: Final = 400
_SECONDS: Final = 6.0
_SUBSCRIBERS: Final = 1000
_EVENTS: Final = 60
_WARM: Final = 30
_MAILS: Final = 200
_PLACE: Final = re.compile(r" \((?:.*/(?:site-packages|lib/python3\.\d+)/|.*?)([^/()]+(?:/[^/()]+)?):\d+\)$")


@dataclass(slots=True)
class _Node:
    """A function where it was called from, and how often it was seen there with all that it called."""

    seen: int = 0
    below: dict[str, _Node] = field(default_factory=dict)

    def add(self, stack: Iterable[str], times: int) -> None:
        """Count one stack, outermost first."""
        node = self
        node.seen += times
        for function in stack:
            node = node.below.setdefault(function, _Node())
            node.seen += times

    def show(self, whole: int, least: float, depth: int = 0) -> None:
        """Print what takes at least so many percent of the whole, the largest first."""
        for function, node in sorted(self.below.items(), key=lambda one: -one[1].seen):
            percent = node.seen / whole * 100
            if percent >= least:
                print(f"{percent:5.1f} {'  ' * depth}{function}")
                node.show(whole, least, depth + 1)


async def _closed_loop(seeded: Seeded, questions: list[str], file: Path) -> None:
    async with seeded.ours() as target:
        await ask_again_and_again(target, questions, _SECONDS / 2)
        async with sampling(target.pid, file, rate=_RATE):
            await ask_again_and_again(target, questions, _SECONDS)


async def _w1(folder: Path, file: Path) -> None:
    seeded = await Seeded.make(folder, Helpdesk())
    await _closed_loop(seeded, [*bodies(seeded.helpdesk)], file)


async def _w2(folder: Path, file: Path) -> None:
    await _closed_loop(await Seeded.make(folder, Helpdesk()), [request(TICKETS)], file)


async def _w3(folder: Path, file: Path) -> None:
    seeded = await Seeded.make(folder, Helpdesk())
    async with seeded.ours() as target, sampling(target.pid, file, rate=_RATE):
        await fan_out("ours", target, _SUBSCRIBERS, _EVENTS)


async def _w5(folder: Path, file: Path) -> None:
    async with endpoint(0) as (url, _):
        seeded = await Seeded.make(folder, Helpdesk(lookup_url=url, always_ask=True))
        async with flow(seeded) as mail:
            await mail.send(range(_WARM))
            async with sampling(mail.target.pid, file, rate=_RATE):
                await mail.send(range(_WARM, _WARM + _MAILS))


_PROFILES: Final[dict[str, Callable[[Path, Path], Awaitable[None]]]] = {"W1": _w1, "W2": _w2, "W3": _w3, "W5": _w5}


def tree(samples: Iterable[str]) -> _Node:
    """What was sampled of threads that did not wait, without the way into the event loop."""
    counted = Counter[tuple[str, ...]]()
    for sample in samples:
        stack, _, times = sample.rpartition(" ")
        if not waits(stack):
            functions = [_PLACE.sub(r" (\1)", function) for function in stack.split(";")]
            loop = next((place + 1 for place, function in enumerate(functions) if function.startswith("Runner.run")), 0)
            counted[tuple(functions[loop:])] += int(times)
    root = _Node()
    for stacked, seen in counted.items():
        root.add(stacked, seen)
    return root


async def _profile(names: Iterable[str], least: float) -> None:
    for name in names:
        with tempfile.TemporaryDirectory(prefix="disqua-bench-") as folder:
            file = Path(folder) / "samples"
            await _PROFILES[name](Path(folder) / "seeded", file)
            root = tree(file.read_text().splitlines())
        print(f"\n{name}: {root.seen} samples, in percent with all that was called")
        root.show(root.seen, least)


def main() -> None:
    """Profile as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", choices=[[], *_PROFILES], help="left out, all of them")
    parser.add_argument("--least", type=float, default=1.0, help="percent, below which nothing is shown")
    given = parser.parse_args()
    if not PY_SPY.exists():
        parser.error("py-spy is not installed")
    ask_from_the_others()
    allow_many_sockets()
    asyncio.run(_profile(given.workloads or _PROFILES, given.least))


if __name__ == "__main__":
    main()
