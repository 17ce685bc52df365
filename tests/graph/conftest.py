"""What the tests of the API ask for beyond the rest."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from tests.stage.helpdesk import Helpdesk, open_helpdesk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path


@pytest.fixture
async def impatient(tmp_path: Path) -> AsyncIterator[Helpdesk]:
    """The whole product with hardly any patience for readers that stop."""
    async with open_helpdesk(tmp_path / "impatient", patience=timedelta(seconds=0.5)) as opened:
        yield opened


@pytest.fixture
def trouble(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    """Every warning and worse so far, ours and the libraries'."""
    with capture_logs() as lines:

        def seen() -> list[str]:
            ours = [line["event"] for line in lines if line["log_level"] not in {"debug", "info"}]
            theirs = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
            return ours + theirs

        yield seen
