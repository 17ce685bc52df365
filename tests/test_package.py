"""What is shipped: a package with the console inside, and without it where it cannot be built."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hatch_build import Console
from server.console import is_built

ROOT = Path(__file__).parents[1]
ROOMS = ("console", "domain", "graph", "inbox", "lookups", "persistence", "server")
UNREACHABLE = "http://127.0.0.1:9/"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the package is made of, without what was built or fetched."""
    copy = tmp_path / "checkout"
    for room in ROOMS:
        shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("node_modules", "web", "__pycache__"))
    for name in ("hatch_build.py", "pyproject.toml", "README.md", ".gitignore"):
        shutil.copy(ROOT / name, copy)
    return copy


def pip(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run pip, which may neither fetch packages nor use any but those that are here."""
    command = [sys.executable, "-m", "pip", *arguments, "--no-index", "--no-deps", "--no-build-isolation", "--verbose"]
    environment = {"npm_config_registry": UNREACHABLE, "npm_config_cache": str(cwd / "npm"), **environment}
    return subprocess.run(
        command, cwd=cwd, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )


def test_a_wheel_of_a_built_checkout_has_the_console_and_its_licences_inside(checkout: Path, tmp_path: Path) -> None:
    if not Console(ROOT).fresh():
        pytest.skip("the console is not built here, or of other sources; `make console` builds it")
    shutil.copytree(ROOT / "server" / "web", checkout / "server" / "web")

    installed = pip("install", str(checkout), "--target", "installed", cwd=tmp_path, DISQUA_CONSOLE="require")

    assert installed.returncode == 0, installed.stdout
    web = tmp_path / "installed" / "server" / "web"
    assert is_built(web)
    assert _files(web) == _files(ROOT / "server" / "web")
    assert {"graphiql.html", "embed/crm-panel.js", "embed/crm-panel.js.br", "THIRD_PARTY_LICENSES.md"} <= _files(web)


@pytest.mark.parametrize(("mode", "installs"), [("auto", True), ("skip", True), ("require", False)])
def test_where_the_console_cannot_be_built_the_rest_is_installed_unless_it_is_required(
    checkout: Path, tmp_path: Path, mode: str, installs: bool
) -> None:
    ended = pip("install", str(checkout), "--target", "installed", cwd=tmp_path, DISQUA_CONSOLE=mode)

    assert (ended.returncode == 0) == installs, ended.stdout
    assert (tmp_path / "installed" / "server" / "console.py").exists() == installs
    assert not is_built(tmp_path / "installed" / "server" / "web")
    assert ("The web console was not built" in ended.stdout) == (mode == "auto")


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        ("src/new.tsx", True),
        ("public/favicon.svg", True),
        ("package-lock.json", True),
        ("node_modules/react/index.js", False),
        ("src/graphql-env.d.ts", False),
    ],
)
def test_the_console_is_built_again_when_its_sources_change_and_only_then(checkout: Path, change: str, stale: bool) -> None:
    console = Console(checkout)
    console.web.mkdir()
    (console.web / ".digest").write_text(console.digest())

    (console.sources / change).parent.mkdir(parents=True, exist_ok=True)
    (console.sources / change).write_text("changed")

    assert console.fresh() is not stale


def _files(web: Path) -> set[str]:
    return {path.relative_to(web).as_posix() for path in web.rglob("*") if path.is_file()}
