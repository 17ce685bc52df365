"""What tests of the server share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.stage.shell import Shell, Terminal

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """An operator's shell in an empty folder."""
    return Shell(tmp_path)


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """The same folder, and every command a process of its own."""
    return Terminal(tmp_path)
