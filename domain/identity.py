"""Who is who: ids, email addresses, roles and their rights."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType
from uuid import UUID

import idna

from domain.errors import InvalidAddress
from domain.words import Words

WorkspaceId = NewType("WorkspaceId", UUID)
TicketId = NewType("TicketId", UUID)
MessageId = NewType("MessageId", UUID)
ConnectorId = NewType("ConnectorId", UUID)
LookupId = NewType("LookupId", UUID)

EmailAddress = NewType("EmailAddress", str)
"""An address in the one form that is stored, compared and sent: lower case, domain in IDNA form."""

_MAX_ADDRESS = 254  # RFC 5321, 4.5.3.1.3, less the angle brackets
_MAX_LOCAL_PART = 64  # RFC 5321, 4.5.3.1.1
_MAX_READ = 4 * _MAX_ADDRESS  # beyond it nothing is an address, and normalising takes quadratic time
_NEVER = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"  # nor does the eye see it
_ATOMS = re.compile(rf'[^\s()<>\[\]:;@\\,"{_NEVER}]+')
_QUOTED = re.compile(rf'"(?:[^"\\{_NEVER}]|\\[^{_NEVER}])+"')
_LITERAL = re.compile(r"\[[!-Z^-~]+\]")  # RFC 5321, 4.1.3
_LABELS = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")

_NO_FORM = Words(
    en="An email address has the form name@example.com.",
    cs="E-mailová adresa má podobu jmeno@example.com.",
)
_NO_LOCAL_PART = Words(
    en="The part before the @ contains a character that no address can have.",
    cs="Část před zavináčem obsahuje znak, který v adrese být nemůže.",
)
_TOO_LONG = Words(
    en="The address is longer than an email address can be.",
    cs="Adresa je delší, než e-mailová adresa smí být.",
)
_NO_DOMAIN = Words(
    en="The part after the @ is not a domain name.",
    cs="Část za zavináčem není název domény.",
)


def email_address(text: str) -> EmailAddress:
    """Read one address, without display name, into its one form.

    Accepts what real mail carries (RFC 5321 with RFC 6531), a domain of one label included.
    Raises InvalidAddress with a sentence for the person who typed it.
    """
    text = text.strip()
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain:
        raise InvalidAddress(_NO_FORM)
    if len(text) > _MAX_READ:
        raise InvalidAddress(_TOO_LONG)
    local = _lower_case(local)
    if not (_ATOMS.fullmatch(local) or _QUOTED.fullmatch(local)):
        raise InvalidAddress(_NO_LOCAL_PART)
    address = f"{local}@{_idna_form(domain)}"
    if len(local.encode()) > _MAX_LOCAL_PART or len(address.encode()) > _MAX_ADDRESS:
        raise InvalidAddress(_TOO_LONG)
    return EmailAddress(address)


def support_address(text: str) -> EmailAddress:
    """The support address that a recipient belongs to: ``support+anything@`` belongs to ``support@``."""
    local, _, domain = email_address(text).rpartition("@")
    mailbox = local if local.startswith('"') else local.partition("+")[0] or local
    return EmailAddress(f"{mailbox}@{domain}")


def _lower_case(local: str) -> str:
    """Composed on both sides of lowering: some letters compose only in lower case, others lower only composed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", local).lower())


def _idna_form(domain: str) -> str:
    domain = domain.removesuffix(".").lower()
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except UnicodeError as error:
            raise InvalidAddress(_NO_DOMAIN) from error
    if not (_LABELS.fullmatch(domain) or _LITERAL.fullmatch(domain)):
        raise InvalidAddress(_NO_DOMAIN)
    return domain


class Role(StrEnum):
    """What a token was issued for."""

    ADMIN = "admin"
    AGENT = "agent"
    MAIL = "mail"


class Right(StrEnum):
    """What a role may do."""

    ANSWER_TICKETS = "answer tickets"
    CONFIGURE = "configure connectors"
    DELIVER_MAIL = "deliver mail"


_RIGHTS = {
    Role.ADMIN: frozenset({Right.ANSWER_TICKETS, Right.CONFIGURE}),
    Role.AGENT: frozenset({Right.ANSWER_TICKETS}),
    Role.MAIL: frozenset({Right.DELIVER_MAIL}),
}


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever holds a valid token: one role in one workspace until it expires."""

    subject: str
    name: str | None
    workspace: WorkspaceId
    role: Role
    expires_at: datetime
    token_id: str | None = None
    """The token's ``jti`` (RFC 7519, 4.1.7), by which it can be revoked; None for one that has none."""

    def may(self, right: Right) -> bool:
        """Whether the role carries this right."""
        return right in _RIGHTS[self.role]
