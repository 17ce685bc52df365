"""The operator's shell, in a folder of its own."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import structlog

from server.cli import main
from tests.stage.process import DISQUA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

PATIENCE = 50.0  # less than a test may take, so that no process outlives its test
_WITHOUT_PRIVILEGES = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
"""Root may open what its mode forbids, unless it lets go of these."""


@dataclass(frozen=True)
class Ended:
    """What came of a command."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Shell:
    """A working directory; the settings are those given, and nothing else of the environment is ours."""

    folder: Path

    @property
    def data_dir(self) -> Path:
        """Where the product keeps its state unless it is told otherwise."""
        return self.folder / "data"

    def run(self, *arguments: str, **settings: str) -> Ended:
        """Run a command to its end, inside this process."""
        out, err = io.StringIO(), io.StringIO()
        with _typed(self.folder, arguments, settings), redirect_stdout(out), redirect_stderr(err):
            code = _code_of(main)
        return Ended(code, out.getvalue(), err.getvalue())

    def says(self, *arguments: str, **settings: str) -> str:
        """What a command that succeeds prints on standard output, without the end of the last line."""
        ended = self.run(*arguments, **settings)
        assert ended.code == 0, ended
        return ended.out.removesuffix("\n")

    def refuses(self, *arguments: str, **settings: str) -> str:
        """The one line of a command that ends with exit code 1 and prints nothing else."""
        ended = self.run(*arguments, **settings)
        assert (ended.code, ended.out) == (1, ""), ended
        line, end, rest = ended.err.partition("\n")
        assert (end, rest) == ("\n", ""), ended
        return line


@dataclass(frozen=True)
class Terminal(Shell):
    """A shell whose commands are processes of their own: slower, and nothing of a process is left out."""

    umask: int = -1
    privileged: bool = True

    def run(self, *arguments: str, **settings: str) -> Ended:
        """Run a command to its end."""
        return ended(self.start(*arguments, **settings))

    def side_by_side(self, commands: Sequence[Sequence[str]], **settings: str) -> list[Ended]:
        """Run commands at the same time."""
        return [ended(process) for process in [self.start(*command, **settings) for command in commands]]

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen[str]:
        """Start a command; see to it that it ends."""
        prefix = [] if self.privileged or os.geteuid() else _WITHOUT_PRIVILEGES
        return subprocess.Popen(
            [*prefix, str(DISQUA), *arguments],
            cwd=self.folder,
            env=_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            umask=self.umask,
        )


def ended(process: subprocess.Popen[str]) -> Ended:
    """What came of a process that ends by itself."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        pytest.fail(f"The command does not end: {process.communicate()}")
    return Ended(process.returncode, out, err)


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DISQUA_")}
    return kept | {f"DISQUA_{name}": value for name, value in settings.items()}


@contextmanager
def _typed(folder: Path, arguments: Sequence[str], settings: Mapping[str, str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, _logs_as_before(patch):
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["disqua", *arguments])
        patch.setattr(os, "environ", _environment(settings))
        yield


@contextmanager
def _logs_as_before(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """A logger that kept a command's settings would write where the next test does not look."""
    root = logging.getLogger()
    handlers, level, settings, configure = root.handlers, root.level, structlog.get_config(), structlog.configure
    patch.setattr(structlog, "configure", lambda **given: configure(**given | {"cache_logger_on_first_use": False}))
    try:
        yield
    finally:
        configure(**settings)
        root.handlers = handlers
        root.setLevel(level)


def _code_of(program: Callable[[], None]) -> int:
    try:
        program()
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else 0
    return 0
