"""What processes have used, as /proc tells it."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PARENT, _FIRST_TIME = 1, 11  # in /proc/PID/stat, behind the name; the four times: own user and system, those of the dead


def cpu_seconds(parts: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """How much CPU each part has used: its processes with all that descend from them, dead ones included."""
    children, ticks = defaultdict(list), {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(") ")[2].split()
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            continue
        pid = int(stat.parent.name)
        children[int(fields[_PARENT])].append(pid)
        ticks[pid] = sum(map(int, fields[_FIRST_TIME : _FIRST_TIME + 4]))

    def of_family(pid: int) -> int:
        return ticks.get(pid, 0) + sum(map(of_family, children[pid]))

    return {name: sum(map(of_family, pids)) / _TICKS_PER_SECOND for name, pids in parts.items()}


def own_cpu_seconds() -> float:
    """How much CPU this process has used, without any child of it."""
    return time.process_time()


def resident_bytes(pid: int) -> int:
    """How much memory a process and all that descend from it occupy."""
    return _of_family(pid, "VmRSS")


def peak_bytes(pid: int) -> int:
    """How much memory a process and all that descend from it occupied at most, each at its own moment."""
    return _of_family(pid, "VmHWM")


def own_peak_bytes(pid: int) -> int:
    """How much memory a process without its children occupied at most."""
    return _of_one(pid, "VmHWM")


def _of_family(pid: int, line: str) -> int:
    children = (int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split())
    return _of_one(pid, line) + sum(_of_family(child, line) for child in children)


def _of_one(pid: int, line: str) -> int:
    told = next(text for text in Path(f"/proc/{pid}/status").read_text().splitlines() if text.startswith(line))
    return int(told.split()[1]) * 1024
