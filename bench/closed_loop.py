"""Asking as fast as answers come: a few connections, each with one request under way, by wrk where it is installed."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.workload import CannotMeasure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.target import Seeded, Target
    from bench.workload import Sides, Stage

CONNECTIONS = 16
_SCRIPT = Path(__file__).with_name("wrk.lua")
_OWN_CLIENT = Path(__file__).with_name("loop_client.py")
_WARM_SHARE = 0.5
"""Of the measured time, for which the server is asked first without measuring."""


async def ask_both(seeded: Seeded, stage: Stage, bodies: Sequence[str]) -> Sides:
    """The same questions to ours and to the floor, one after the other; their answers must be equal."""
    figures, answers = {}, {}
    for side in stage.in_turn("ours", "floor"):
        async with seeded.running(side) as target:
            answers[side] = await target.ask(bodies[-1])
            figures[side] = await ask_again_and_again(target, bodies, stage.size.seconds)
    assert answers["ours"] == answers["floor"], answers
    return figures


async def ask_again_and_again(target: Target, bodies: Sequence[str], seconds: float) -> dict[str, float]:
    """Requests a second, their percentiles, and the server's CPU for each, with none that failed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bodies"
        file.write_text("".join(f"{body}\n" for body in bodies))
        if warm := round(seconds * _WARM_SHARE):
            await _ask_for(warm, target, file)
        before = target.cpu_seconds()
        told = await _ask_for(max(round(seconds), 1), target, file)
        used = target.cpu_seconds() - before
    assert not told["failed"], told
    if not told["requests"]:
        raise CannotMeasure(f"not one answer came within {seconds:g} s")
    return {
        "requests_s": told["requests"] / told["seconds"],
        "p50_ms": told["p50_ms"],
        "p99_ms": told["p99_ms"],
        "cpu_us": used / told["requests"] * 1e6,
    }


async def _ask_for(seconds: int, target: Target, file: Path) -> dict[str, Any]:
    wrk = shutil.which("wrk")
    if wrk is None:
        command = [sys.executable, str(_OWN_CLIENT), str(target.port), str(CONNECTIONS), str(seconds), str(file), target.token]
    else:
        options = f"-t 1 -c {CONNECTIONS} -d {seconds}s --timeout 20s -s".split()
        command = [wrk, *options, str(_SCRIPT), f"{target.base_url}/graphql", "--", str(file), target.token]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    told: dict[str, Any] = json.loads(printed.partition(b"RESULT ")[2])
    return told
