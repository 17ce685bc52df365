"""Samples of a running server's stacks, taken by py-spy from outside."""

from __future__ import annotations

import asyncio
import linecache
import re
import signal
import sys
from asyncio.subprocess import PIPE
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PY_SPY: Final = Path(sys.executable).with_name("py-spy")
FRAME: Final = re.compile(r"\(([^;()]+):(\d+)\)")
"""File and line of one function on a stack."""

_WAITS: Final = re.compile(r"\.(get|read|readline|wait|acquire|select|poll)\(")


@asynccontextmanager
async def sampling(pid: int, file: Path, *, rate: int = 200) -> AsyncIterator[None]:
    """Sample a process and its children ``rate`` times a second, a line for each stack, until the block ends."""
    command = f"record --pid {pid} --subprocesses --full-filenames --format raw --rate {rate} --output".split()
    sampler = await asyncio.create_subprocess_exec(PY_SPY, *command, file, stdout=PIPE, stderr=PIPE)
    try:
        yield
    finally:
        if sampler.returncode is None:
            sampler.send_signal(signal.SIGINT)
        await sampler.communicate()


def waits(stack: str) -> bool:
    """Whether the thread is where threads wait: a container's kernel does not always tell a sampler so."""
    frames = FRAME.findall(stack)
    return not frames or bool(_WAITS.search(linecache.getline(frames[-1][0], int(frames[-1][1]))))
