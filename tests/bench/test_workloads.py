"""Every workload runs from end to end at a tiny size, where its figures mean nothing; a run is kept, shown and compared."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench import check, page
from bench.results import Results
from bench.split import shares
from bench.workloads import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.workload import Sides

_ROOT = Path(__file__).parents[2]
_BENCH = _ROOT / "bench"


def _program(name: str, *arguments: str, **surroundings: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DISQUA_")} | surroundings
    command = [sys.executable, str(_BENCH / f"{name}.py"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=110)


@pytest.mark.timed
@pytest.mark.parametrize("names", ["W2 W4 W6", "W3 size", "W5", "PostgreSQL", "growth"])  # W1 is below
def test_workloads_run_from_end_to_end(names: str, tmp_path: Path) -> None:
    ended = _program("run", *names.split(), "--tiny", "--rounds", "1", "--keep", "--results", str(tmp_path))

    assert ended.returncode == 0, ended.stderr
    results = Results.read(next(tmp_path.glob("*.json")))
    if results.skipped:
        pytest.skip(results.skipped[names])
    run = [workload for workload in EVERYTHING if workload.name in names.split()]
    assert all(results.value(workload.name, goal) is not None for workload in run for goal in workload.goals)


@pytest.mark.timed
def test_without_wrk_a_client_of_ours_asks(tmp_path: Path) -> None:
    (tmp_path / "taskset").symlink_to(shutil.which("taskset") or "taskset")

    ended = _program("run", "W1", "--tiny", "--rounds", "1", "--keep", "--results", str(tmp_path), PATH=str(tmp_path))

    assert ended.returncode == 0, ended.stderr
    results = Results.read(next(tmp_path.glob("*.json")))
    assert results.machine["load client"] == "bench/loop_client.py"
    assert results.median("W1", "ours", "requests_s") > 0


@pytest.fixture
def kept(tmp_path: Path) -> Callable[..., Path]:
    """Keep a made-up run."""

    def keep(date: str, **rounds: list[Sides]) -> Path:
        told: Any = rounds
        run = Results(date=date, commit="abc", machine={"cores": "2"}, size={}, yardstick=[0.1], rounds=told)
        return run.write(tmp_path)

    return keep


def _w1(ours: float, floor: float) -> list[Sides]:
    return [{"ours": {"cpu_us": ours}, "floor": {"cpu_us": floor}}]


def test_a_run_is_added_to_what_the_same_commit_measured_that_day(kept: Callable[..., Path]) -> None:
    kept("2026-11-01", W1=_w1(100, 100), W2=_w1(100, 100))

    file = kept("2026-11-01", W1=_w1(50, 100))

    assert Results.read(file).rounds == {"W1": _w1(50, 100), "W2": _w1(100, 100)}


def test_the_check_names_what_got_slower(kept: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    before = kept("2026-11-01", W1=_w1(100, 100), W2=_w1(100, 100))
    now = kept("2026-11-02", W1=_w1(120, 100), W2=_w1(110, 100))

    with pytest.raises(SystemExit, match="1"):
        check.main([str(before), str(now)])

    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("SLOWER")] == [
        "SLOWER  W1, CPU a request, to the floor: 1 -> 1.2, 1.20 times as bad"
    ]


def test_the_check_takes_a_slower_machine_for_no_slower_code(
    kept: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    before = kept("2026-11-01", W1=_w1(100, 100), W5=[{"ours": {"cpu_ms": 2.0, "lookups_s": 400}}])
    now = kept("2026-11-02", W1=_w1(200, 200), W5=[{"ours": {"cpu_ms": 4.0, "lookups_s": 200}}])
    document = json.loads(now.read_text())
    now.write_text(json.dumps(document | {"yardstick": [0.2]}))

    with pytest.raises(SystemExit, match="0"):
        check.main([str(before), str(now)])

    assert "SLOWER" not in capsys.readouterr().out


def test_the_check_names_a_rate_that_fell(kept: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    before = kept("2026-11-01", W5=[{"ours": {"cpu_ms": 2.0, "lookups_s": 400}}])
    now = kept("2026-11-02", W5=[{"ours": {"cpu_ms": 2.0, "lookups_s": 300}}])

    with pytest.raises(SystemExit, match="1"):
        check.main([str(before), str(now)])

    assert "SLOWER  W5, lookups a second on one core: 400 -> 300" in capsys.readouterr().out


def test_a_run_is_written_into_the_page_beside_its_words(kept: Callable[..., Path], tmp_path: Path) -> None:
    shutil.copy(_ROOT / "docs" / "performance.md", tmp_path / "performance.md")
    words = (tmp_path / "performance.md").read_text().partition("<!--")[0]
    run = Results.read(kept("2026-11-01", W1=_w1(50, 100)))
    run.split = {"HTTP": 60.0, "SMTP": 40.0}

    page.write(run, tmp_path)
    file = page.write(run, tmp_path)

    assert file.read_text().startswith(words)
    assert "| W1 | CPU a request, to the floor | at most 1 | 0.5 | 0.5 to 0.5 | met |" in file.read_text()
    assert file.read_text().count("| W1 | CPU") == 1
    assert {plot.name for plot in (tmp_path / "performance").iterdir()} == {"ratios.svg", "goals.svg", "split.svg"}


def test_a_sample_counts_for_the_innermost_function_of_ours() -> None:
    asyncio_file, smtp = "/usr/lib/asyncio/runners.py", f"{_ROOT}/inbox/smtp.py"
    store, runner, domain = f"{_ROOT}/persistence/answers.py", f"{_ROOT}/lookups/runner.py", f"{_ROOT}/domain/answer.py"

    told = shares(
        [
            f"run ({asyncio_file}:1);data ({smtp}:2);write ({asyncio_file}:3) 5",
            f"run ({asyncio_file}:1);save ({runner}:2);record ({store}:3);execute (/x/sqlalchemy/engine.py:4) 2",
            f"run ({asyncio_file}:1);save ({runner}:2);hide ({domain}:3) 2",
            "run (/x/aiosqlite/core.py:63) 1",
        ]
    )

    assert told == {"SMTP": 50, "database, for queue": 20, "queue": 20, "database, for nobody who is on the stack": 10}
