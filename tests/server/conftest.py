"""What tests of the server share: a shell in a folder of its own, as the operator has one."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.stage.process import DISQUA

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PATIENCE = 90.0
_WITHOUT_PRIVILEGES = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
"""Root may open what its mode forbids, unless it lets go of these."""


@dataclass(frozen=True)
class Shell:
    """A working directory; settings are those given, and nothing else of the environment is ours."""

    folder: Path
    umask: int = -1
    privileged: bool = True

    @property
    def data_dir(self) -> Path:
        """Where the product keeps its state unless it is told otherwise."""
        return self.folder / "data"

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen[str]:
        prefix = [] if self.privileged or os.geteuid() else _WITHOUT_PRIVILEGES
        return subprocess.Popen(
            [*prefix, str(DISQUA), *arguments],
            cwd=self.folder,
            env=environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            umask=self.umask,
        )

    def run(self, *arguments: str, **settings: str) -> Ended:
        """Run a command to its end."""
        return _ended(self.start(*arguments, **settings))

    def side_by_side(self, commands: Sequence[Sequence[str]], **settings: str) -> list[Ended]:
        """Run commands at the same time."""
        return [_ended(process) for process in [self.start(*command, **settings) for command in commands]]

    def says(self, *arguments: str, **settings: str) -> str:
        """What a command that succeeds prints on standard output, without the last line's end."""
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

    @contextmanager
    def serving(self, *options: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
        """Serve on free ports; whoever asks ends it, else it is killed."""
        process = self.start("serve", "--port", "0", "--smtp-port", "0", *options, **settings)
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


@dataclass(frozen=True)
class Ended:
    """What came of a command."""

    code: int
    out: str
    err: str


def environment(settings: dict[str, str]) -> dict[str, str]:
    """The environment of a process with these settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DISQUA_")}
    return kept | {f"DISQUA_{name}": value for name, value in settings.items()}


def _ended(process: subprocess.Popen[str]) -> Ended:
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"The command does not end:\n{out}{err}")
    return Ended(process.returncode, out, err)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """An operator's shell in an empty folder."""
    return Shell(tmp_path)
