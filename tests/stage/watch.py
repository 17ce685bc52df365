"""What this process takes while something goes on: its memory, and the lag of its event loop."""

from __future__ import annotations

import asyncio
import resource
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_PAGE = resource.getpagesize()


@dataclass
class Watch:
    """How much the process grew by, in MB, and how late its event loop was, in ms, each at its worst."""

    growth: float = 0.0
    lag: float = 0.0


@asynccontextmanager
async def watched() -> AsyncIterator[Watch]:
    """Look every two milliseconds until the block ends."""
    watch, before = Watch(), resident()

    async def look() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.002)
            watch.lag = max(watch.lag, (time.perf_counter() - began - 0.002) * 1000)
            watch.growth = max(watch.growth, resident() - before)

    looking = asyncio.create_task(look())
    try:
        yield watch
        await asyncio.sleep(0.01)
    finally:
        looking.cancel()
    watch.growth = max(watch.growth, resident() - before)


def resident() -> float:
    """Megabytes of this process in memory now; getrusage tells the most that there ever were."""
    with Path("/proc/self/statm").open(encoding="ascii") as told:
        return int(told.read().split()[1]) * _PAGE / 2**20
