from __future__ import annotations

from deploy.audit import read_npm_audit, read_pip_audit

SOUND = {"name": "httpx", "version": "0.28.1", "vulns": []}
UNKNOWN = {"name": "starlette", "skip_reason": "Dependency not found on PyPI"}
HOLED = {"name": "jinja2", "version": "3.1.0", "vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["3.1.6"], "description": ""}]}


def test_a_lock_that_the_registry_knows_in_full_and_finds_sound_says_so() -> None:
    audit = read_pip_audit("requirements.lock", {"dependencies": [SOUND]})

    assert str(audit) == "requirements.lock: no known vulnerability in 1 packages"


def test_silence_of_the_registry_is_never_told_as_soundness() -> None:
    audit = read_pip_audit("requirements.lock", {"dependencies": [SOUND, UNKNOWN]})

    assert "NOT AUDITED" in str(audit)
    assert "1 of 2 packages" in str(audit)


def test_a_finding_names_package_advisory_and_cure() -> None:
    audit = read_pip_audit("requirements.lock", {"dependencies": [SOUND, HOLED, UNKNOWN]})

    assert audit.vulnerable == ["  jinja2 3.1.0: PYSEC-2026-1, mended in 3.1.6"]
    assert "1 known vulnerabilities" in str(audit)


def test_npm_that_cannot_ask_has_audited_nothing() -> None:
    audit = read_npm_audit("console/package-lock.json", 12, {"message": "request to the registry failed", "error": {}})

    assert "NOT AUDITED" in str(audit)
    assert "request to the registry failed" in str(audit)


def test_what_npm_finds_is_named_with_its_severity() -> None:
    audit = read_npm_audit("console/package-lock.json", 12, {"vulnerabilities": {"left-pad": {"severity": "high"}}})

    assert audit.vulnerable == ["  left-pad: high"]
