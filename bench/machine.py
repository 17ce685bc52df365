"""On what was measured: enough to read the figures by, and nothing by which to find the machine."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import subprocess
from importlib.metadata import version
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_WRITTEN_BY_A_RUN = (":!docs/performance.md", ":!docs/performance", ":!bench/results")


def machine() -> dict[str, str]:
    """What stands under the table."""
    return {
        "CPU": _cpu(),
        "cores": str(len(os.sched_getaffinity(os.getppid()))),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release().partition('-')[0]}",
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "uvicorn": version("uvicorn"),
        "strawberry": version("strawberry-graphql"),
        "load client": "wrk" if shutil.which("wrk") else "bench/loop_client.py",
    }


def commit() -> str:
    """What was measured; a plus behind it says that there were changes, other than to what a run itself writes."""
    head = _git("rev-parse", "--short=10", "HEAD") or "unknown"
    return f"{head}+" if _git("status", "--porcelain", "--untracked-files=no", "--", ".", *_WRITTEN_BY_A_RUN) else head


def _git(*arguments: str) -> str:
    git = shutil.which("git")
    if git is None:
        return ""
    return subprocess.run([git, *arguments], cwd=_ROOT, capture_output=True, text=True, check=False).stdout.strip()


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
