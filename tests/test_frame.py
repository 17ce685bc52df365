"""The promises of the frame: locks, make, lint exceptions, hooks, and no skip passes unseen in CI."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.promises.seen_red import Break, known_breaks
from tests.promises.table import promise_of

ROOT = Path(__file__).parents[1]
LOCKS = ["requirements.lock", "requirements-dev.lock"]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_one_version_and_its_hashes(lock: str) -> None:
    for entry in _entries(lock):
        assert re.match(r"[a-z0-9-]+==[^ ]+", entry), entry
        assert "--hash=sha256:" in entry, entry


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_place_to_download_from(lock: str) -> None:
    text = (ROOT / lock).read_text()

    assert "://" not in text
    assert "index-url" not in text


def test_a_lock_of_the_node_packages_names_no_place_to_download_from() -> None:
    locks = [path for path in ROOT.glob("[!.]*/**/package-lock.json") if "node_modules" not in path.parts]

    assert [path.parent.name for path in locks if '"resolved"' in path.read_text()] == []


def test_both_locks_agree_on_every_version() -> None:
    runtime, development = _pins("requirements.lock"), _pins("requirements-dev.lock")

    assert runtime.items() <= development.items()


def test_the_locks_hold_what_pyproject_asks_for() -> None:
    project = _pyproject()["project"]
    runtime = project["dependencies"]
    development = [*runtime, *project["optional-dependencies"]["dev"], *_pyproject()["build-system"]["requires"]]

    assert [asked for asked in runtime if not _satisfied(asked, _pins("requirements.lock"))] == []
    assert [asked for asked in development if not _satisfied(asked, _pins("requirements-dev.lock"))] == []


def test_every_make_target_says_what_it_does() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = {name for line in re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE) for name in line.split()}

    shown = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert targets - {"help"} == set(re.findall(r"^  ([a-z-]+) +\S", shown, re.MULTILINE))


def test_every_exception_from_a_lint_rule_says_why() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    lint = text[text.index("[tool.ruff.lint]") : text.index("[tool.mypy]")]
    exceptions = re.findall(r'^ +"[A-Z]+[0-9]*",.*$', lint, re.MULTILINE)

    assert exceptions
    assert [line for line in exceptions if not re.search(r"# \w", line)] == []


def test_every_exception_from_warnings_says_why() -> None:
    filters = re.search(r"^filterwarnings = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL)

    assert filters
    first, *exceptions = filters[1].splitlines()
    assert first.strip() == '"error",'
    assert [line for line in exceptions if "# " not in line] == []


def test_hooks_fetch_nothing() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()

    assert set(re.findall(r"repo: (\S+)", hooks)) == {"local"}
    assert set(re.findall(r"language: (\S+)", hooks)) == {"system"}


def test_no_test_replaces_a_part_of_the_product() -> None:
    patching = re.compile(r"unittest\.mock|monkeypatch\.(setattr|setitem)|\bMagicMock\b")
    others = (path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__))

    assert [path.name for path in others if patching.search(path.read_text())] == []


SKIPS = {
    "in_the_test": "import pytest\ndef test_a(): pytest.skip('no server')",
    "by_a_mark": "import pytest\n@pytest.mark.skipif(True, reason='no server')\ndef test_a(): pass",
    "the_whole_file": "import pytest\npytest.skip('no server', allow_module_level=True)",
}


def test_a_skip_fails_where_everything_must_be_there(tmp_path: Path) -> None:
    for way, skipping in SKIPS.items():
        (tmp_path / f"test_{way}.py").write_text(skipping)
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)

    def run(**required: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DISQUA_")} | required
        command = [sys.executable, "-m", "pytest", "-rfE", "--continue-on-collection-errors", "-p", "no:schemathesis"]
        command += ["-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    lenient, strict = run(), run(DISQUA_REQUIRE_ALL="1")

    assert "3 skipped" in lenient.stdout
    assert not re.search(r"\d skipped", strict.stdout)
    assert {way for way in SKIPS if re.search(f"^(FAILED|ERROR) test_{way}", strict.stdout, re.MULTILINE)} == set(SKIPS)
    assert "no server" in strict.stdout


def test_every_promise_says_itself_in_its_first_line() -> None:
    files = (ROOT / "tests" / "promises").glob("test_*.py")

    assert [path.name for path in files if not promise_of(path.read_text()).endswith(".")] == []


def test_the_table_of_promises_has_a_row_for_each() -> None:
    promised = {promise_of(path.read_text()) for path in (ROOT / "tests" / "promises").glob("test_*.py")}
    shown = re.findall(r"^\| (.*?) \| \[test_", (ROOT / "docs" / "security.md").read_text(), re.MULTILINE)

    assert set(shown) == promised


def test_of_every_promise_a_guard_can_be_taken_out() -> None:
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "promises").glob("test_*.py")}

    assert files - {broken.test.partition("::")[0] for broken in known_breaks()} == set()


@pytest.mark.parametrize("broken", known_breaks(), ids=lambda broken: broken.why)
def test_a_guard_that_can_be_taken_out_still_stands_where_it_stood(broken: Break, tmp_path: Path) -> None:
    (tmp_path / broken.file).parent.mkdir(parents=True)
    shutil.copy(ROOT / broken.file, tmp_path / broken.file)

    broken.apply(tmp_path)

    assert (ROOT / broken.test.partition("::")[0]).is_file()


def _pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def _entries(lock: str) -> list[str]:
    """Each package of a lock with its hashes on one line."""
    lines = (ROOT / lock).read_text().replace("\\\n", " ").splitlines()
    return [line for line in lines if not line.lstrip().startswith("#")]


def _pins(lock: str) -> dict[str, str]:
    return {entry.partition("==")[0]: entry.partition("==")[2].split()[0] for entry in _entries(lock)}


def _satisfied(asked: str, pins: dict[str, str]) -> bool:
    requirement = Requirement(asked)
    version = pins.get(canonicalize_name(requirement.name))
    return version is not None and requirement.specifier.contains(version)
