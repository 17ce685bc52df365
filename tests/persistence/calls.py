"""Every method of a workspace's stores, called with the rows of some workspace: its own, or another's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from domain.audit import AuditAction, Deed
from domain.credentials import KEPT
from domain.health import Failing
from domain.identity import EmailAddress, Principal, Role, WorkspaceId
from domain.lookup import LookupTrigger
from domain.secret import Secret
from domain.ticket import Requester
from persistence.lookups import Ending
from tests.persistence.samples import (
    EVA,
    FAILURE,
    FOUND,
    JAN,
    NOT_FOUND,
    NOW,
    SECOND,
    SECRET,
    connect,
    mail,
    open_ticket,
    running,
    settings,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from domain.audit import AuditEntryId
    from domain.connector import Connector
    from domain.identity import MessageId
    from domain.ticket import InboundEmail, Ticket
    from persistence.lookups import Claim
    from persistence.standings import KnownTicket
    from persistence.store import WorkspaceStore

STRANGER = EmailAddress("nobody.asked@firma.cz")
PAGE = 20
TOMORROW = datetime.now(UTC) + timedelta(days=1)
"""By the ids, which the real clock makes."""
ADMIN = Principal("eva", "Eva", WorkspaceId(UUID(int=1)), Role.ADMIN, NOW, "some-token")
DEED = Deed(action=AuditAction.REQUESTER_FORGOTTEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Some of everything that a workspace can have."""

    ticket: Ticket
    email: InboundEmail
    message_id: MessageId
    connector: Connector
    ended: Claim
    claim: Claim
    audited: AuditEntryId


async def some_of_everything(store: WorkspaceStore) -> Rows:
    """A connector with secrets and signing keys, a line in its log, lookups running and queued, an answer and a failure since."""
    connector = await connect(store, Secret("the one before"))
    await store.credentials.rotate_secret(connector.id, SECRET, NOW)
    for key in ("whsec_b2xk", "whsec_bmV3"):
        await store.credentials.sign_with(connector.id, Secret(key), NOW)
    ended = await running(store, connector.id, EmailAddress("ended@firma.cz"))
    await store.lookups.finish(ended, Ending(outcome=FOUND, response="{}", duration=SECOND), NOW)
    claim = await running(store, connector.id, JAN)
    await store.answers.record(connector.id, JAN, FOUND, NOW)
    await store.answers.record(connector.id, JAN, FAILURE, NOW)
    ticket = await open_ticket(store, EVA)
    await store.lookups.queue(connector.id, ticket.id, EVA, LookupTrigger.TICKET, NOW)
    email = mail(message_id="<a@x>")
    await store.messages.add_email(ticket.id, email, NOW)
    await store.messages.add_text(ticket.id, Requester(EVA), "One more thing", NOW)
    await store.audit.add(ADMIN, DEED, NOW)
    await store.audit.add(ADMIN, DEED, NOW)
    entry, _ = await store.audit.newest(PAGE)
    message, _ = (await store.messages.of_tickets([ticket.id], PAGE))[ticket.id]
    return Rows(
        ticket=ticket,
        email=email,
        message_id=message.id,
        connector=connector,
        ended=ended,
        claim=claim,
        audited=entry.id,
    )


async def page_of(newest: Awaitable[tuple[Sequence[KnownTicket], bool]]) -> Sequence[KnownTicket]:
    """The page without whether another follows."""
    page, _ = await newest
    return page


CALLS: dict[str, Callable[[WorkspaceStore, Rows], Awaitable[object]]] = {
    "tickets.open": lambda store, _: open_ticket(store),
    "tickets.get": lambda store, rows: store.tickets.get(rows.ticket.id),
    "tickets.newest": lambda store, _: store.tickets.newest(PAGE),
    "tickets.newest (next page)": lambda store, _: store.tickets.newest(PAGE, before=PAGE),
    "tickets.newest (of a requester)": lambda store, _: store.tickets.newest(PAGE, requester=JAN),
    "tickets.newest (of a requester, next page)": lambda store, _: store.tickets.newest(PAGE, before=PAGE, requester=JAN),
    "tickets.opened_after": lambda store, _: store.tickets.opened_after(0, limit=PAGE),
    "tickets.newest_number": lambda store, _: store.tickets.newest_number(),
    "messages.add_email": lambda store, rows: store.messages.add_email(rows.ticket.id, mail(), NOW),
    "messages.add_text": lambda store, rows: store.messages.add_text(rows.ticket.id, Requester(JAN), "Hello", NOW),
    "messages.ticket_of": lambda store, rows: store.messages.ticket_of(rows.email.fingerprint),
    "messages.tickets_referred_to": lambda store, _: store.messages.tickets_referred_to(["<a@x>", "<b@x>"]),
    "messages.received_since": lambda store, _: store.messages.received_since(JAN, NOW - NOW.resolution),
    "messages.of_tickets": lambda store, rows: store.messages.of_tickets([rows.ticket.id], PAGE),
    "messages.of_tickets (next page)": lambda store, rows: store.messages.of_tickets(
        [rows.ticket.id], PAGE, after=rows.message_id
    ),
    "messages.raw": lambda store, rows: store.messages.raw(rows.message_id),
    "connectors.all": lambda store, _: store.connectors.all(),
    "connectors.get": lambda store, rows: store.connectors.get(rows.connector.id),
    "connectors.count": lambda store, _: store.connectors.count(),
    "connectors.last_position": lambda store, _: store.connectors.last_position(),
    "connectors.add": lambda store, _: connect(store, SECRET),
    "connectors.save": lambda store, rows: store.connectors.save(rows.connector.id, settings(name="Mine now"), NOW),
    "connectors.save_positions": lambda store, rows: store.connectors.save_positions([replace(rows.connector, position=7)], NOW),
    "connectors.save_health": lambda store, rows: store.connectors.save_health(rows.connector.id, Failing(NOW, 1)),
    "credentials.save_secret": lambda store, rows: store.credentials.save_secret(rows.connector.id, Secret("mine now"), NOW),
    "credentials.secret": lambda store, rows: store.credentials.secret(rows.connector.id),
    "credentials.carried": lambda store, rows: store.credentials.carried(rows.connector.id, NOW, note_use=True),
    "credentials.standings": lambda store, rows: store.credentials.standings([rows.connector.id], NOW),
    "credentials.rotate_secret": lambda store, rows: store.credentials.rotate_secret(rows.connector.id, Secret("mine now"), NOW),
    "credentials.restore_secret": lambda store, rows: store.credentials.restore_secret(rows.connector.id, NOW),
    "credentials.forget_previous_secret": lambda store, rows: store.credentials.forget_previous_secret(rows.connector.id),
    "credentials.sign_with": lambda store, rows: store.credentials.sign_with(rows.connector.id, Secret("whsec_bWluZQ=="), NOW),
    "credentials.signs": lambda store, rows: store.credentials.signs(rows.connector.id),
    "credentials.stop_signing": lambda store, rows: store.credentials.stop_signing(rows.connector.id),
    "credentials.erase_lapsed": lambda store, _: store.credentials.erase_lapsed(NOW + KEPT),
    "connectors.delete": lambda store, rows: store.connectors.delete(rows.connector.id),
    "lookups.queue": lambda store, rows: store.lookups.queue(
        rows.connector.id, rows.ticket.id, STRANGER, LookupTrigger.VIEW, NOW
    ),
    "lookups.queue (joining)": lambda store, rows: store.lookups.queue(
        rows.connector.id, rows.ticket.id, EVA, LookupTrigger.VIEW, NOW
    ),
    "lookups.claim_next": lambda store, _: store.lookups.claim_next(NOW),
    "lookups.any_queued": lambda store, _: store.lookups.any_queued(NOW),
    "lookups.ended_so": lambda store, rows: store.lookups.ended_so(rows.ended, FOUND),
    "lookups.claim_test": lambda store, rows: store.lookups.claim_test(rows.connector.id, JAN, NOW),
    "lookups.finish": lambda store, rows: store.lookups.finish(rows.claim, Ending(outcome=FOUND), NOW),
    "lookups.interrupt": lambda store, rows: store.lookups.interrupt(rows.connector.id, NOW),
    "lookups.interrupt_backlog": lambda store, rows: store.lookups.interrupt_backlog(rows.connector.id, NOW),
    "lookups.track_record": lambda store, rows: store.lookups.track_record(rows.connector.id, PAGE),
    "lookups.forget_responses": lambda store, rows: store.lookups.forget_responses(rows.connector.id),
    "lookups.newest": lambda store, rows: store.lookups.newest(rows.connector.id, PAGE),
    "lookups.newest (next page)": lambda store, rows: store.lookups.newest(rows.connector.id, PAGE, before=rows.claim.lookup_id),
    "lookups.newest_but": lambda store, rows: store.lookups.newest_but(rows.connector.id, 1),
    "lookups.standing": lambda store, rows: store.lookups.standing(rows.connector.id, since=rows.claim.lookup_id),
    "lookups.some": lambda store, rows: store.lookups.some(rows.connector.id, [rows.claim.lookup_id, rows.ended.lookup_id]),
    "aging.erase_log": lambda store, _: store.aging.erase_log(TOMORROW, at_most=PAGE),
    "aging.erase_raw_mail": lambda store, _: store.aging.erase_raw_mail(TOMORROW, at_most=PAGE),
    "requesters.forget": lambda store, _: store.requesters.forget(JAN),
    "audit.add": lambda store, _: store.audit.add(ADMIN, DEED, NOW),
    "audit.newest": lambda store, _: store.audit.newest(PAGE),
    "audit.newest (next page)": lambda store, rows: store.audit.newest(PAGE, before=rows.audited),
    "standings.ticket": lambda store, rows: store.standings.ticket(rows.ticket.id),
    "standings.newest": lambda store, _: page_of(store.standings.newest(PAGE)),
    "standings.newest (next page)": lambda store, _: page_of(store.standings.newest(PAGE, before=PAGE)),
    "standings.newest (of a requester)": lambda store, _: page_of(store.standings.newest(PAGE, requester=JAN)),
    "standings.newest (of a requester, next page)": lambda store, _: page_of(
        store.standings.newest(PAGE, before=PAGE, requester=JAN)
    ),
    "standings.of": lambda store, rows: store.standings.of([rows.ticket.id]),
    "standings.of (of many)": lambda store, rows: store.standings.of([rows.ticket.id] * 100),
    "answers.record": lambda store, rows: store.answers.record(rows.connector.id, STRANGER, NOT_FOUND, NOW),
    "answers.record (again)": lambda store, rows: store.answers.record(rows.connector.id, JAN, NOT_FOUND, NOW),
    "answers.forget_failures": lambda store, rows: store.answers.forget_failures(rows.connector.id),
    "answers.drop": lambda store, rows: store.answers.drop(rows.connector.id),
}
