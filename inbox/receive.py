"""Receiving a mail: known already, a reply, or a new ticket; committed before anybody is told that it arrived."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from opentelemetry.trace import SpanKind

from domain.errors import DomainError
from domain.lookup import Occasion
from domain.ticket import continues
from lookups.request import Requested, request_lookups
from lookups.trace import tracer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from domain.identity import EmailAddress, TicketId, WorkspaceId
    from domain.ticket import InboundEmail, Ticket
    from lookups.request import Dispatch
    from persistence.database import Database
    from persistence.store import WorkspaceStore

_AN_HOUR = timedelta(hours=1)
_LONG = 1 << 20
"""Bytes of a mail from which on to write it takes some milliseconds: nobody else shall wait for that."""
_SUSPENDED = "The recipient takes no mail at the moment."
_log = structlog.get_logger(__name__)


class TooManyMails(DomainError):
    """One sender has sent as many mails within the last hour as one sender may."""


class WorkspaceSuspended(DomainError):
    """The recipient's workspace takes no mail until it is resumed."""


@dataclass(frozen=True, slots=True)
class Received:
    """The ticket of a mail; ``known`` when the very same mail had been stored before."""

    ticket_id: TicketId
    known: bool


class Reception:
    """Where both doors bring their mail."""

    def __init__(self, database: Database, dispatch: Dispatch, *, per_sender_and_hour: int, now: Callable[[], datetime]) -> None:
        self._database = database
        self._dispatch = dispatch
        self._per_sender_and_hour = per_sender_and_hour
        self._now = now

    async def workspaces_of(self, recipients: Sequence[EmailAddress]) -> list[WorkspaceId]:
        """The workspaces that these recipients belong to, each once, in their order."""
        async with self._database.operator_glancing() as store:
            owners = [await store.workspaces.receiving(recipient) for recipient in recipients]
        return list(dict.fromkeys(owner for owner in owners if owner is not None))

    async def takes_mail_for(self, recipient: EmailAddress) -> bool:
        """Whether the recipient belongs to a workspace; raises WorkspaceSuspended."""
        async with self._database.operator_glancing() as store:
            owner = await store.workspaces.receiving(recipient)
            if owner is not None and await store.workspaces.is_suspended(owner):
                raise WorkspaceSuspended(_SUSPENDED)
        return owner is not None

    async def receive(self, email: InboundEmail, workspace_id: WorkspaceId) -> Received:
        """Store a mail in one transaction; raises TooManyMails or WorkspaceSuspended, and DatabaseAway: nothing was stored."""
        attributes = {"disqua.workspace_id": str(workspace_id)}
        with tracer.start_as_current_span("receive mail", kind=SpanKind.SERVER, attributes=attributes) as span:
            received = await self._receive(email, workspace_id)
            span.set_attribute("disqua.ticket_id", str(received.ticket_id))
        return received

    async def _receive(self, email: InboundEmail, workspace_id: WorkspaceId) -> Received:
        now = self._now()
        async with self._database.workspace(workspace_id, at_length=len(email.raw) > _LONG) as store:
            if await store.suspended():
                raise WorkspaceSuspended(_SUSPENDED)
            known = await store.messages.ticket_of(email.fingerprint)
            if known is not None:
                return Received(known, known=True)
            await self._check_rate(store, email, now)
            ticket = await _ticket_continued(store, email)
            opened = ticket is None
            if ticket is None:
                ticket = await store.tickets.open(
                    subject=email.subject,
                    requester=email.requester,
                    automatic=email.automatic,
                    bounce=email.bounce,
                    now=now,
                )
            await store.messages.add_email(ticket.id, email, now)
            occasion = Occasion.TICKET_OPENED if opened else Occasion.REPLY_ARRIVED
            requested = Requested(ticket) if email.bounce else await request_lookups(store, ticket, occasion, now=now)
        await self._dispatch.send(requested, opened=opened)
        _log.info("mail stored", workspace_id=str(workspace_id), ticket_id=str(ticket.id), opened=opened, bytes=len(email.raw))
        return Received(ticket.id, known=False)

    async def _check_rate(self, store: WorkspaceStore, email: InboundEmail, now: datetime) -> None:
        if email.header_from is None:
            return
        if await store.messages.received_since(email.header_from, now - _AN_HOUR) >= self._per_sender_and_hour:
            message = f"More than {self._per_sender_and_hour} mails an hour from one sender."
            raise TooManyMails(message)


async def _ticket_continued(store: WorkspaceStore, email: InboundEmail) -> Ticket | None:
    """The newest ticket that the mail refers to and may add to."""
    referred = await store.messages.tickets_referred_to(email.references)
    return next((ticket for ticket in referred if continues(ticket, email.requester)), None)
