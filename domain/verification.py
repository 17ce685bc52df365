"""Whether the mail server in front vouches for who wrote: the rule over the checks that it wrote down (RFC 8601)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from domain.errors import InvalidAddress
from domain.identity import email_address

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from domain.identity import EmailAddress


class SenderVerification(StrEnum):
    """What is known of whether a mail comes from where its From says."""

    VERIFIED = "VERIFIED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Check:
    """One check by the mail server: ``spf``, ``pass``, and what it looked at, such as ``smtp.mailfrom``."""

    method: str
    result: str
    properties: Mapping[str, str] = field(default_factory=dict)

    def vouches_for(self, domain: str) -> bool:
        """Whether it proves that the owner of the domain sent the mail; a domain answers for those below it, never above."""
        if self.result != "pass":
            return False
        match self.method:
            case "dmarc":
                return self._domain("header.from") == domain
            case "dkim":
                return _answers_for(self._domain("header.d") or self._domain("header.i"), domain)
            case "spf":
                return _answers_for(self._domain("smtp.mailfrom"), domain)
            case _:
                return False

    def disowns(self, domain: str) -> bool:
        """Whether the owner of the domain says that it sent no such mail."""
        return (self.method, self.result) == ("spf", "fail") and self._domain("smtp.mailfrom") == domain

    def _domain(self, name: str) -> str:
        """The domain that a property names, alone or behind an @; "" where it names none."""
        try:
            return email_address(f"x@{self.properties.get(name, '').rpartition('@')[2]}").removeprefix("x@")
        except InvalidAddress:
            return ""


def verify_sender(authors: Sequence[EmailAddress], checks: Sequence[Check]) -> SenderVerification:
    """Judge the From of a mail by DMARC, or without its verdict by an SPF or DKIM that is aligned (RFC 7489, 3.1).

    Nobody vouches for a mail with several authors (RFC 7489, 6.6.1) or none. A signature that does not hold counts as none
    (RFC 6376, 6.1), an SPF that fails does not.
    """
    if any((check.method, check.result) == ("dmarc", "fail") for check in checks):
        return SenderVerification.FAILED
    if len(authors) != 1:
        return SenderVerification.UNKNOWN
    domain = authors[0].rpartition("@")[2]
    if any(check.vouches_for(domain) for check in checks):
        return SenderVerification.VERIFIED
    if any(check.disowns(domain) for check in checks):
        return SenderVerification.FAILED
    return SenderVerification.UNKNOWN


def _answers_for(owner: str, domain: str) -> bool:
    return owner == domain or ("." in owner and domain.endswith(f".{owner}"))
