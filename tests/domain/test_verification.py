from __future__ import annotations

import pytest

from domain.identity import EmailAddress
from domain.verification import Check, SenderVerification, verify_sender

JAN = EmailAddress("jan@firma.cz")


def check(method: str, result: str, **properties: str) -> Check:
    return Check(method, result, {name.replace("_", "."): value for name, value in properties.items()})


@pytest.mark.parametrize(
    ("checks", "verdict"),
    [
        ([], "UNKNOWN"),
        ([check("dmarc", "pass", header_from="firma.cz")], "VERIFIED"),
        ([check("dmarc", "pass", header_from="Firma.CZ")], "VERIFIED"),
        ([check("dmarc", "pass", header_from="evil.cz")], "UNKNOWN"),
        ([check("dmarc", "pass")], "UNKNOWN"),
        ([check("dmarc", "pass", header_from="cz")], "UNKNOWN"),
        ([check("dmarc", "bestguesspass", header_from="firma.cz")], "UNKNOWN"),
        ([check("dmarc", "fail", header_from="firma.cz")], "FAILED"),
        ([check("dmarc", "fail"), check("dkim", "pass", header_d="firma.cz")], "FAILED"),
        ([check("dmarc", "pass", header_from="firma.cz"), check("dmarc", "fail")], "FAILED"),
        ([check("dmarc", "none", header_from="firma.cz")], "UNKNOWN"),
        ([check("dmarc", "none"), check("dkim", "pass", header_d="firma.cz")], "VERIFIED"),
        ([check("dkim", "pass", header_d="firma.cz")], "VERIFIED"),
        ([check("dkim", "pass", header_i="@firma.cz")], "VERIFIED"),
        ([check("dkim", "pass", header_d="mail.firma.cz")], "UNKNOWN"),
        ([check("dkim", "pass", header_d="irma.cz")], "UNKNOWN"),
        ([check("dkim", "pass", header_d="cz")], "UNKNOWN"),
        ([check("dkim", "pass")], "UNKNOWN"),
        ([check("dkim", "fail", header_d="firma.cz")], "UNKNOWN"),
        ([check("dkim", "fail", header_d="firma.cz"), check("dkim", "pass", header_d="firma.cz")], "VERIFIED"),
        ([check("spf", "pass", smtp_mailfrom="firma.cz")], "VERIFIED"),
        ([check("spf", "pass", smtp_mailfrom="bounces@firma.cz")], "VERIFIED"),
        ([check("spf", "pass", smtp_mailfrom='"jan@firma.cz"@evil.cz')], "UNKNOWN"),
        ([check("spf", "pass", smtp_mailfrom="firma.cz@")], "UNKNOWN"),
        ([check("spf", "pass", smtp_helo="firma.cz")], "UNKNOWN"),
        ([check("spf", "fail", smtp_mailfrom="firma.cz")], "FAILED"),
        ([check("spf", "softfail", smtp_mailfrom="firma.cz")], "UNKNOWN"),
        ([check("spf", "fail", smtp_mailfrom="list.example")], "UNKNOWN"),
        ([check("spf", "fail", smtp_mailfrom="firma.cz"), check("dkim", "pass", header_d="firma.cz")], "VERIFIED"),
        ([check("arc", "pass", header_d="firma.cz")], "UNKNOWN"),
    ],
)
def test_the_domain_of_the_from_vouches_for_it_disowns_it_or_says_nothing(checks: list[Check], verdict: str) -> None:
    assert verify_sender([JAN], checks) == SenderVerification(verdict)


def test_a_domain_answers_for_those_below_it() -> None:
    assert verify_sender([EmailAddress("jan@brno.firma.cz")], [check("dkim", "pass", header_d="firma.cz")]) == "VERIFIED"


def test_a_domain_is_the_same_in_every_spelling() -> None:
    author = EmailAddress("jan@xn--hky-ela4t.cz")
    assert verify_sender([author], [check("dmarc", "pass", header_from="háčky.cz")]) == SenderVerification.VERIFIED


@pytest.mark.parametrize("authors", [[], [JAN, EmailAddress("eva@firma.cz")]])
def test_nobody_vouches_for_a_mail_without_one_author(authors: list[EmailAddress]) -> None:
    passed = check("dmarc", "pass", header_from="firma.cz")

    assert verify_sender(authors, [passed]) == SenderVerification.UNKNOWN
    assert verify_sender(authors, [check("dmarc", "fail")]) == SenderVerification.FAILED
