"""The messages of tickets, and the raw mail behind them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, insert, select

from domain.identity import EmailAddress, MessageId, TicketId
from domain.ticket import Message, Requester
from domain.verification import SenderVerification
from persistence.tables import messages, new_id, raw_messages, tickets
from persistence.tickets import ticket_from

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from domain.identity import WorkspaceId
    from domain.ticket import InboundEmail, Ticket
    from persistence.connection import Connection


_ADD, _ADD_RAW = insert(messages), insert(raw_messages)
_OURS = messages.c.workspace_id == bindparam("workspace", type_=messages.c.workspace_id.type)
_TICKET_OF = select(messages.c.ticket_id).where(
    _OURS, messages.c.fingerprint == bindparam("fingerprint", type_=messages.c.fingerprint.type)
)
_RECEIVED_SINCE = select(func.count()).where(
    _OURS,
    messages.c.header_from == bindparam("header_from", type_=messages.c.header_from.type),
    messages.c.received_at > bindparam("since", type_=messages.c.received_at.type),
)
"""Made once, as what each mail asks for."""


class MessageStore:
    """Messages by ticket, by what makes two deliveries the same, and by what a reply refers to."""

    def __init__(self, connection: Connection, workspace_id: WorkspaceId) -> None:
        self._connection = connection
        self._workspace_id = workspace_id

    async def add_email(self, ticket_id: TicketId, email: InboundEmail, now: datetime) -> None:
        """Add a received mail with its raw bytes."""
        message_id = await self._add(
            ticket_id,
            sender=email.requester,
            text=email.text,
            now=now,
            header_from=email.header_from,
            fingerprint=email.fingerprint,
            reference_key=_reference_key(email.message_id) if email.message_id else None,
            sender_verification=email.sender_verification,
        )
        await self._connection.execute(_ADD_RAW, {"message_id": message_id, "content": email.raw})

    async def add_text(self, ticket_id: TicketId, sender: Requester, text: str, now: datetime) -> None:
        """Add what an agent wrote down when opening a ticket by hand."""
        await self._add(ticket_id, sender=sender, text=text, now=now)

    async def ticket_of(self, fingerprint: bytes) -> TicketId | None:
        """The ticket of a mail that is stored already."""
        asked = {"workspace": self._workspace_id, "fingerprint": fingerprint}
        found: TicketId | None = (await self._connection.execute(_TICKET_OF, asked)).scalar()
        return found

    async def tickets_referred_to(self, message_ids: Sequence[str]) -> list[Ticket]:
        """The tickets that hold a message with one of these Message-IDs, newest first."""
        if not message_ids:
            return []
        statement = (
            select(tickets)
            .join(messages, messages.c.ticket_id == tickets.c.id)
            .where(
                messages.c.workspace_id == self._workspace_id,
                messages.c.reference_key.in_([_reference_key(message_id) for message_id in message_ids]),
            )
            .order_by(tickets.c.number.desc())
            .distinct()
        )
        return [ticket_from(row) for row in await self._connection.execute(statement)]

    async def received_since(self, header_from: EmailAddress, since: datetime) -> int:
        """How many mails with this header From arrived after ``since``."""
        asked = {"workspace": self._workspace_id, "header_from": header_from, "since": since}
        count: int = (await self._connection.execute(_RECEIVED_SINCE, asked)).scalar_one()
        return count

    async def of_tickets(
        self, ticket_ids: Sequence[TicketId], count: int, *, after: MessageId | None = None
    ) -> dict[TicketId, list[Message]]:
        """Up to ``count`` messages of each ticket, oldest first, in one statement."""
        place = func.row_number().over(partition_by=messages.c.ticket_id, order_by=messages.c.id)
        ranked = select(messages, place.label("place")).where(messages.c.ticket_id.in_(ticket_ids))
        if after is not None:
            ranked = ranked.where(messages.c.id > after)
        rows = ranked.subquery()
        ours = rows.c.workspace_id == self._workspace_id  # said within, it let SQLite go through all of the workspace's
        statement = select(rows).where(ours, rows.c.place <= count).order_by(rows.c.ticket_id, rows.c.id)
        found: dict[TicketId, list[Message]] = {ticket_id: [] for ticket_id in ticket_ids}
        for row in await self._connection.execute(statement):
            sender = Requester(EmailAddress(row.sender_email), row.sender_name) if row.sender_email else None
            found[row.ticket_id].append(
                Message(
                    id=MessageId(row.id),
                    sender=sender,
                    text=row.text,
                    received_at=row.received_at,
                    sender_verification=SenderVerification(row.sender_verification),
                )
            )
        return found

    async def raw(self, message_id: MessageId) -> bytes | None:
        """The mail as it arrived; None for a text without mail or another workspace's message."""
        statement = (
            select(raw_messages.c.content)
            .join(messages, messages.c.id == raw_messages.c.message_id)
            .where(messages.c.workspace_id == self._workspace_id, messages.c.id == message_id)
        )
        content: bytes | None = (await self._connection.execute(statement)).scalar()
        return content

    async def _add(
        self,
        ticket_id: TicketId,
        *,
        sender: Requester | None,
        text: str,
        now: datetime,
        header_from: EmailAddress | None = None,
        fingerprint: bytes | None = None,
        reference_key: bytes | None = None,
        sender_verification: SenderVerification = SenderVerification.UNKNOWN,
    ) -> MessageId:
        message_id = MessageId(new_id())
        values = {
            "id": message_id,
            "workspace_id": self._workspace_id,
            "ticket_id": ticket_id,
            "sender_email": sender.email if sender else None,
            "sender_name": sender.name if sender else None,
            "header_from": header_from,
            "text": text,
            "fingerprint": fingerprint,
            "reference_key": reference_key,
            "received_at": now,
            "sender_verification": sender_verification,
        }
        await self._connection.execute(_ADD, values)
        return message_id


def _reference_key(message_id: str) -> bytes:
    return hashlib.sha256(message_id.encode(errors="surrogatepass")).digest()
