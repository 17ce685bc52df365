"""Do the packages that we are made of have known vulnerabilities? ``make audit`` asks the registries and says who answered."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import typer

ROOT: Final = Path(__file__).parents[1]
PIP_AUDIT: Final = Path(sys.executable).with_name("pip-audit")


@dataclass(frozen=True, slots=True)
class Audit:
    """What a registry said of the packages of one lock."""

    lock: str
    asked: int
    answered: int = 0
    vulnerable: list[str] = field(default_factory=list)
    """A line for each finding: package, advisory, the version that mends it."""
    reason: str = ""
    """Why the registry did not answer for some."""

    def __str__(self) -> str:
        if self.vulnerable:
            return "\n".join([f"{self.lock}: {len(self.vulnerable)} known vulnerabilities", *self.vulnerable])
        if self.answered == self.asked:
            return f"{self.lock}: no known vulnerability in {self.asked} packages"
        silent = self.asked - self.answered
        return f"{self.lock}: NOT AUDITED: the registry did not answer for {silent} of {self.asked} packages ({self.reason})"


def audit_python(lock: Path) -> Audit:
    """Ask PyPI's advisories about a lock with hashes."""
    command = [str(PIP_AUDIT), "--disable-pip", "--require-hashes", "--progress-spinner=off", "--format=json", "-r", str(lock)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    asked = len(re.findall(r"^[a-z0-9][^\s;]*==", lock.read_text(), re.MULTILINE))
    try:
        return read_pip_audit(lock.name, json.loads(ended.stdout))
    except ValueError:  # it reports only when it could ask
        return Audit(lock.name, asked, reason=_last_line(ended.stderr))


def read_pip_audit(lock: str, report: dict[str, Any]) -> Audit:
    """What pip-audit's report says; it passes over a package that the registry does not know, we do not."""
    packages = report["dependencies"]
    skipped = [package["skip_reason"] for package in packages if "skip_reason" in package]
    vulnerable = [
        f"  {package['name']} {package['version']}: {found['id']}, mended in {', '.join(found['fix_versions']) or 'none yet'}"
        for package in packages
        for found in package.get("vulns", [])
    ]
    return Audit(lock, len(packages), len(packages) - len(skipped), vulnerable, next(iter(skipped), ""))


def audit_node(lock: Path) -> Audit:
    """Ask npm's advisories about a package-lock.json."""
    name = str(lock.relative_to(ROOT))
    asked = len([package for package in json.loads(lock.read_text())["packages"] if package])
    npm = shutil.which("npm")
    if npm is None:
        return Audit(name, asked, reason="npm is not installed")
    ended = subprocess.run(
        [npm, "audit", "--json", "--package-lock-only"], cwd=lock.parent, capture_output=True, text=True, check=False
    )
    try:
        return read_npm_audit(name, asked, json.loads(ended.stdout))
    except ValueError:
        return Audit(name, asked, reason=_last_line(ended.stderr))


def read_npm_audit(lock: str, asked: int, report: dict[str, Any]) -> Audit:
    """What npm's report says."""
    if "vulnerabilities" not in report:
        return Audit(lock, asked, reason=str(report.get("message") or report.get("error", "no answer")))
    found = [f"  {name}: {entry['severity']}" for name, entry in report["vulnerabilities"].items()]
    return Audit(lock, asked, asked, found)


def main() -> None:
    """Audit every lock; exit 1 only for what is known to be vulnerable."""
    node_locks = [path for path in ROOT.glob("[!.]*/**/package-lock.json") if "node_modules" not in path.parts]
    audits = [
        *map(audit_python, sorted(ROOT.glob("requirements*.lock"))),
        *map(audit_node, sorted(node_locks)),
    ]
    for audit in audits:
        typer.echo(audit)
    raise typer.Exit(code=int(any(audit.vulnerable for audit in audits)))


def _last_line(text: str) -> str:
    return next(iter(text.strip().splitlines()[-1:]), "no answer")


if __name__ == "__main__":
    typer.run(main)
