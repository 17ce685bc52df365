from __future__ import annotations

import time

import pytest

from domain.verification import Check
from inbox.authentication_results import checks_of

OURS = "mx.disqua.example"
PASSED = Check("dmarc", "pass", {"header.from": "firma.cz"})
MAILFROM = Check("spf", "pass", {"smtp.mailfrom": "jan@firma.cz"})
SIGNED = Check("dkim", "pass", {"header.d": "firma.cz", "header.b": "Ab/3+="})


@pytest.mark.parametrize(
    ("field", "checks"),
    [
        (f"{OURS}; dmarc=pass header.from=firma.cz", [PASSED]),
        (f"{OURS}; DMARC=Pass Header.From=firma.cz", [PASSED]),
        ("MX.Disqua.Example 1; dmarc=pass header.from=firma.cz", [PASSED]),
        (f'"{OURS}"; dmarc=pass header.from="firma.cz"', [PASSED]),
        (f"{OURS}; dmarc/1 = pass (p=none; dis=none) header.from = firma.cz;", [PASSED]),
        (f"{OURS};dkim=pass header.d=firma.cz header.b=Ab/3+=;spf=pass smtp.mailfrom=jan@firma.cz", [SIGNED, MAILFROM]),
        (f"{OURS}; dkim=pass (2048-bit key (x) unprotected) header.d=firma.cz header.b=Ab/3+=", [SIGNED]),
        (f'{OURS}; spf=pass (he said: ") smtp.mailfrom=jan@firma.cz; dmarc=pass (") header.from=firma.cz', [MAILFROM, PASSED]),
        (f"{OURS}; spf=pass (not \\) dmarc=fail) smtp.mailfrom=jan@firma.cz", [MAILFROM]),
        (
            f'{OURS}; spf=none smtp.mailfrom="; dmarc=pass"@evil.cz',
            [Check("spf", "none", {"smtp.mailfrom": '"; dmarc=pass"@evil.cz'})],
        ),
        (f'{OURS}; spf=fail reason="not \\"his\\""', [Check("spf", "fail", {"reason": 'not "his"'})]),
        (f"{OURS}; none", []),
        (OURS, []),
        (f"{OURS}.evil.cz; dmarc=pass header.from=firma.cz", []),
        (f"evil.cz {OURS}; dmarc=pass header.from=firma.cz", []),
        (f"{OURS} evil.cz; dmarc=pass header.from=firma.cz", []),
        (f"{OURS} 2; dmarc=pass header.from=firma.cz", []),
        (f"({OURS}); dmarc=pass header.from=firma.cz", []),
        ("; dmarc=pass header.from=firma.cz", []),
        (f"{OURS}; dmarc=pass header.from=firma.cz; (open", []),
        (f"{OURS}; dmarc=pass header.from=firma.cz )", []),
        (f'{OURS}; dmarc=pass header.from="firma.cz', []),
        (f"{OURS}; dmarc=pass header.from=firma.cz nonsense", []),
        (f"{OURS}; dmarc=pass header.from=firma.cz header.from=evil.cz", []),
        (f"{OURS}; nonsense; dmarc=pass header.from=firma.cz", []),
        (f"{OURS}; dmarc=pass header.from=firma.cz" + " " * 20_000, []),
    ],
)
def test_a_field_is_read_to_the_letter_or_not_at_all(field: str, checks: list[Check]) -> None:
    assert checks_of([field], OURS) == checks


def test_without_a_server_of_ones_own_nothing_is_believed() -> None:
    assert checks_of([f"{OURS}; dmarc=pass header.from=firma.cz"], None) == []


def test_the_topmost_field_of_the_own_server_counts_alone() -> None:
    others, own, forged = "mx.evil.cz; dmarc=fail", f"{OURS}; dmarc=fail", f"{OURS}; dmarc=pass header.from=firma.cz"

    assert checks_of([others, own, forged], OURS) == [Check("dmarc", "fail", {})]
    assert checks_of([others, f"{OURS}; broken (", forged], OURS) == []


@pytest.mark.parametrize("piece", ["(", '"', "\\", ";", "a=b ", " a.b=c", "((a)", "; a=b c=d", "=", ' a="b', "a" * 50 + " "])
def test_no_field_takes_long(piece: str) -> None:
    started = time.monotonic()
    checks_of([f"{OURS}; {piece * (16_000 // len(piece))}"] * 10, OURS)
    assert time.monotonic() - started < 0.5
