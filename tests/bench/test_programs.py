"""Each program of bench/ runs, at a tiny size: its figures mean nothing here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.stage.postgres import PostgreSQL

BENCH = Path(__file__).parents[2] / "bench"


@pytest.mark.timed
@pytest.mark.timeout(180)  # it starts more processes than any story does
@pytest.mark.parametrize(
    ("program", "options", "told"),
    [
        ("a_tarpit_beside_fifty", "--tickets 10 --healthy 2 --rounds 1 --parts embedded", "ratio"),
        ("compiled_execution", "--rounds 2", "times the stock executor"),
        ("five_thousand_sockets", "--sockets 10 --rate 20 --seconds 0.5 --slow 1", "all read"),
        ("the_console_opens", "--rounds 1", "another visit"),
        ("the_store", "--times 5", "64 writers of one workspace"),
        ("two_hundred_lookups", "--rate 4 --seconds 1 --probe 1 --backlog 20", "growth from 1 to 2 workers"),
    ],
)
def test_a_program_prints_its_figures(program: str, options: str, told: str, postgres: PostgreSQL) -> None:
    for needed in ("redis-server", "chromium"):
        if shutil.which(needed) is None:
            pytest.skip(f"{needed} is not installed")

    environment = {name: value for name, value in os.environ.items() if not name.startswith("DISQUA_")}
    command = [sys.executable, str(BENCH / f"{program}.py"), *options.split()]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=170)

    assert ended.returncode == 0, ended.stderr
    assert told in ended.stdout
