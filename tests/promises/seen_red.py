"""Takes one guard after the other out of a copy of the code and demands that the test of its promise fails.

``make seen-red`` runs it; ``seen_red.toml`` names the guards.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory

import typer

ROOT = Path(__file__).parents[2]
BREAKS = Path(__file__).with_suffix(".toml")

_PASSED = 0
_TESTS_FAILED = 1  # pytest's exit codes; a copy that cannot even be imported ends with another
_SECONDS = 600
_NOTHING_SKIPPED = {"DISQUA_REQUIRE_ALL": "1", "DISQUA_REQUIRE_CORPORA": "1"}


@dataclass(frozen=True, slots=True)
class Break:
    """How to take one guard out, and the test that has to notice."""

    test: str
    file: str
    old: str
    new: str
    why: str

    def apply(self, root: Path) -> None:
        """Take the guard out of the tree at ``root``; raises ValueError where it does not stand exactly once."""
        path = root / self.file
        source = path.read_text()
        if source.count(self.old) != 1:
            message = f"{self.why}: the text to break stands {source.count(self.old)} times in {self.file}"
            raise ValueError(message)
        path.write_text(source.replace(self.old, self.new))


def known_breaks() -> list[Break]:
    """Every guard that can be taken out."""
    return [Break(**entry) for entry in tomllib.loads(BREAKS.read_text()).get("break", [])]


def copy_tree(to: Path) -> Path:
    """The files of this checkout as they stand, beside the test data that belongs to it."""
    copy = to / "main"
    for name in _git("ls-files", "--cached", "--others", "--exclude-standard"):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            copyfile(ROOT / name, copy / name)
    if (ROOT.parent / "shared").is_dir():
        (to / "shared").symlink_to(ROOT.parent / "shared")
    return copy


def is_sound(test: str) -> bool:
    """Whether the test passes as long as nothing is broken; a skip does not count."""
    with TemporaryDirectory() as folder:
        return _run(copy_tree(Path(folder)), test) == _PASSED


def is_red(broken: Break) -> bool:
    """Whether the test fails without the guard."""
    with TemporaryDirectory() as folder:
        copy = copy_tree(Path(folder))
        broken.apply(copy)
        return _run(copy, broken.test) == _TESTS_FAILED


def _run(copy: Path, test: str) -> int:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    environment = os.environ | {"PYTHONPATH": str(copy)} | _NOTHING_SKIPPED  # the copy goes before the checkout that is installed
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, timeout=_SECONDS, check=False).returncode


def main(only: str = typer.Argument("", help="part of the name of a test or a file")) -> None:
    """Break each guard in turn, once its test is seen to pass without that; exit 1 if a test did not notice."""
    breaks = [broken for broken in known_breaks() if only in f"{broken.test} {broken.file}"]
    unsound = {test for test in sorted({broken.test for broken in breaks}) if not is_sound(test)}
    unnoticed = 0
    for broken in breaks:
        word = "UNSOUND" if broken.test in unsound else "red" if is_red(broken) else "GREEN"
        unnoticed += word != "red"
        typer.echo(f"{word:8}{broken.test}: {broken.why}")
    raise typer.Exit(code=min(unnoticed, 1))


def _git(*arguments: str) -> list[str]:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


if __name__ == "__main__":
    typer.run(main)
