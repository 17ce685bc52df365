"""Rows to begin with: a test names only what it is about."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from domain.answer import Badge, BadgeColor, Customer, Field, Found, NotFound
from domain.connector import ConnectorSettings
from domain.failure import Failure, FailureKind
from domain.identity import EmailAddress
from domain.lookup import LookupTrigger
from domain.secret import Secret
from domain.ticket import InboundEmail, Requester

if TYPE_CHECKING:
    from domain.connector import Connector
    from domain.identity import ConnectorId
    from domain.ticket import Ticket
    from persistence.lookups import Claim
    from persistence.store import WorkspaceStore

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
INSTANT = timedelta(microseconds=1)

JAN = EmailAddress("jan@firma.cz")
EVA = EmailAddress("eva@firma.cz")
SECRET = Secret("Bearer tajne-heslo-7f3a9c")

FOUND = Found(
    Customer(
        customer_id="cus/42 á",
        name="Jan Novák 👩‍🔧",
        badge=Badge("VIP", BadgeColor.GREEN),
        fields=(Field("Plan", "Pro"), Field("Hodnota", "12 000 Kč"), Field("Plan", "podruhé")),
    )
)
NOT_FOUND = NotFound()
FAILURE = Failure(FailureKind.HTTP_STATUS, 503)
INTERRUPTED = Failure(FailureKind.INTERRUPTED)

_mails = count()


def settings(**changes: Any) -> ConnectorSettings:  # noqa: ANN401 - any setting
    """Valid settings of a connector without secret."""
    given: dict[str, Any] = {
        "name": "CRM",
        "lookup_url": "https://crm.example/lookup",
        "secret_header_name": None,
        "has_secret": False,
        "link_template": None,
        "cache_ttl": 24 * HOUR,
        "log_results": True,
        "enabled": True,
        "position": 0,
    }
    return ConnectorSettings(**(given | changes))


def mail(text: str = "Hello", **changes: Any) -> InboundEmail:  # noqa: ANN401 - any part of a mail
    """A mail of its own: no two that are made here have one fingerprint."""
    raw = f"From: {JAN}\r\n\r\n{text} {next(_mails)}\r\n".encode()
    given: dict[str, Any] = {
        "raw": raw,
        "fingerprint": hashlib.sha256(raw).digest(),
        "message_id": None,
        "references": (),
        "header_from": JAN,
        "requester": Requester(JAN, "Jan"),
        "recipients": (),
        "subject": "Hello",
        "text": text,
        "automatic": False,
        "bounce": False,
    }
    return InboundEmail(**(given | changes))


async def open_ticket(store: WorkspaceStore, email: EmailAddress | None = JAN, *, bounce: bool = False) -> Ticket:
    """A ticket from this requester."""
    requester = None if email is None else Requester(email)
    return await store.tickets.open(subject="Hello", requester=requester, now=NOW, bounce=bounce)


async def connect(store: WorkspaceStore, secret: Secret | None = None, **changes: Any) -> Connector:  # noqa: ANN401
    """A connector with these settings."""
    if secret is not None:
        changes = {"secret_header_name": "Authorization", "has_secret": True} | changes
    return await store.connectors.add(settings(**changes), secret, NOW)


async def running(store: WorkspaceStore, connector_id: ConnectorId, email: EmailAddress = JAN) -> Claim:
    """A lookup that has just been claimed, with a ticket of its own."""
    ticket = await open_ticket(store, email)
    assert await store.lookups.queue(connector_id, ticket.id, email, LookupTrigger.TICKET, NOW)
    claim = await store.lookups.claim_next(NOW)
    assert claim is not None
    assert (claim.connector_id, claim.email) == (connector_id, email), "another one was queued before"
    return claim
