"""The demo tells every outcome and ends well."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.stage.process import DISQUA, environment

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.timeout(90)
async def test_the_demo_shows_every_outcome_and_ends_when_all_panels_have_settled(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        DISQUA,
        *("demo", "--once"),
        env=environment(tmp_path / "data") | {"TMPDIR": str(tmp_path)},
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, complaints = await process.communicate()

    told = printed.decode()
    assert (process.returncode, complaints.decode()) == (0, ""), told
    for outcome in ("FOUND", "NOT_FOUND", "ERROR", "TIMEOUT", "Timeout (3s)", "Ada Lovelace", "Jan Novák"):
        assert outcome in told
