"""A conversation with a requester: how it opens, which mail continues it, which mail is automatic."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from domain.verification import SenderVerification

if TYPE_CHECKING:
    from domain.identity import EmailAddress, MessageId, TicketId, WorkspaceId

_LINE_BREAKS = re.compile(r"[\r\n\x00]+")
_COMMENT = re.compile(r"\([^()]*\)")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_BOUNCE_MAILBOXES = frozenset({"mailer-daemon", "postmaster"})


@dataclass(frozen=True, slots=True)
class Requester:
    """The person who wrote; the address decides who it is, the name is what they call themselves."""

    email: EmailAddress
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A stored conversation; ``number`` counts from 1 in its workspace."""

    id: TicketId
    workspace_id: WorkspaceId
    number: int
    subject: str
    requester: Requester | None
    automatic: bool
    bounce: bool
    created_at: datetime

    @property
    def has_panels(self) -> bool:
        """A bounce and a ticket without requester ask nobody and show nothing."""
        return self.requester is not None and not self.bounce


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One mail of a ticket, or the text with which an agent opened it."""

    id: MessageId
    sender: Requester | None
    text: str
    received_at: datetime
    sender_verification: SenderVerification


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundEmail:
    """A received mail as far as it could be read, with the raw bytes beside it."""

    raw: bytes
    fingerprint: bytes
    """Equal for two deliveries of one message, whatever trace headers they collected on the way."""
    message_id: str | None
    references: tuple[str, ...]
    """Message-IDs this one answers, from In-Reply-To and References."""
    header_from: EmailAddress | None
    requester: Requester | None
    recipients: tuple[EmailAddress, ...]
    """The addresses in the message's own recipient headers."""
    subject: str
    text: str
    automatic: bool
    bounce: bool
    sender_verification: SenderVerification = SenderVerification.UNKNOWN


def is_bounce(*, return_path_empty: bool, senders: tuple[str, ...]) -> bool:
    """Mail that a mail system wrote about other mail (RFC 5321, 4.5.5; RFC 2142 for the mailboxes)."""
    mailboxes = {sender.partition("@")[0].lower() for sender in senders}
    return return_path_empty or bool(mailboxes & _BOUNCE_MAILBOXES)


def is_automatic(*, bounce: bool, auto_submitted: str | None) -> bool:
    """Mail that no person wrote; Auto-Submitted is a keyword, then parameters, comments anywhere (RFC 3834, 5)."""
    keyword = _COMMENT.sub("", auto_submitted or "").partition(";")[0].strip().lower()
    return bounce or keyword not in {"", "no"}


def continues(ticket: Ticket, sender: Requester | None) -> bool:
    """Whether a mail that refers to this ticket belongs to it: only its own requester can add to it."""
    return sender is not None and ticket.requester is not None and ticket.requester.email == sender.email


def one_line(text: str) -> str:
    """A subject or display name as one line that any database stores: no CR, LF, NUL or lone surrogate."""
    lines = (line.strip() for line in _LINE_BREAKS.split(text))
    return storable(" ".join(line for line in lines if line))


def storable(text: str) -> str:
    """The text with NUL and lone surrogates, which databases refuse, replaced by U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)
