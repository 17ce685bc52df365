from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from sqlalchemy.exc import IntegrityError

from domain.identity import MessageId, TicketId
from domain.ticket import Requester
from domain.verification import SenderVerification
from tests.persistence.samples import EVA, HOUR, INSTANT, JAN, NOW, SECOND, mail, open_ticket

if TYPE_CHECKING:
    from domain.identity import WorkspaceId
    from domain.ticket import InboundEmail, Message
    from persistence.database import Database
    from persistence.store import WorkspaceStore
    from tests.persistence.conftest import Statements
    from tests.stage.back_door import BackDoor

EVERY_BYTE = bytes(range(256)) * 3


async def texts(store: WorkspaceStore, ticket_id: TicketId, count: int = 100, after: MessageId | None = None) -> list[str]:
    found = await store.messages.of_tickets([ticket_id], count, after=after)
    return [message.text for message in found[ticket_id]]


async def only_message(store: WorkspaceStore, ticket_id: TicketId) -> Message:
    (message,) = (await store.messages.of_tickets([ticket_id], 2))[ticket_id]
    return message


async def deliver(database: Database, workspace_id: WorkspaceId, email: InboundEmail) -> TicketId:
    """What receiving does: a known mail belongs to its ticket, a new one opens one."""
    async with database.workspace(workspace_id) as store:
        known = await store.messages.ticket_of(email.fingerprint)
        if known is not None:
            return known
        ticket = await open_ticket(store)
        await store.messages.add_email(ticket.id, email, NOW)
        return ticket.id


async def test_a_mail_comes_back_as_it_arrived(database: Database, workspace_id: WorkspaceId) -> None:
    email = mail("Dobrý den 👩‍🔧\n'; DROP TABLE messages", raw=EVERY_BYTE, requester=Requester(JAN, "Jan Novák"))

    async with database.workspace(workspace_id) as store:
        ticket = await open_ticket(store)
        await store.messages.add_email(ticket.id, email, NOW)
        message = await only_message(store, ticket.id)

        assert (message.sender, message.text, message.received_at) == (Requester(JAN, "Jan Novák"), email.text, NOW)
        assert await store.messages.raw(message.id) == EVERY_BYTE


@pytest.mark.parametrize("verification", SenderVerification)
async def test_a_mail_says_whether_its_sender_is_verified(
    database: Database, workspace_id: WorkspaceId, verification: SenderVerification
) -> None:
    async with database.workspace(workspace_id) as store:
        ticket = await open_ticket(store)
        await store.messages.add_email(ticket.id, mail(sender_verification=verification), NOW)

        assert (await only_message(store, ticket.id)).sender_verification is verification


async def test_nobody_vouches_for_a_text_that_an_agent_wrote(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        ticket = await open_ticket(store)
        await store.messages.add_text(ticket.id, Requester(EVA), "He called.", NOW)

        assert (await only_message(store, ticket.id)).sender_verification is SenderVerification.UNKNOWN


async def test_a_mail_from_nobody_is_kept(database: Database, workspace_id: WorkspaceId) -> None:
    email = mail("", raw=b"", header_from=None, requester=None)

    async with database.workspace(workspace_id) as store:
        ticket = await open_ticket(store, None)
        await store.messages.add_email(ticket.id, email, NOW)
        message = await only_message(store, ticket.id)

        assert (message.sender, message.text) == (None, "")
        assert await store.messages.raw(message.id) == b""


async def test_a_text_that_an_agent_wrote_has_no_mail_behind_it(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        ticket = await open_ticket(store)
        await store.messages.add_text(ticket.id, Requester(EVA, "Eva"), "He called.", NOW)
        message = await only_message(store, ticket.id)

        assert (message.sender, message.text) == (Requester(EVA, "Eva"), "He called.")
        assert await store.messages.raw(message.id) is None
        assert await store.messages.raw(MessageId(UUID(int=1))) is None


async def test_a_mail_that_is_stored_is_known_by_its_fingerprint(database: Database, workspace_id: WorkspaceId) -> None:
    email = mail()

    async with database.workspace(workspace_id) as store:
        ticket = await open_ticket(store)
        await store.messages.add_email(ticket.id, email, NOW)
        await store.messages.add_email(ticket.id, mail(), NOW)

        assert await store.messages.ticket_of(email.fingerprint) == ticket.id
        assert await store.messages.ticket_of(email.fingerprint[:-1]) is None


async def test_the_same_fingerprint_is_never_stored_twice_in_one_workspace(
    database: Database, workspace_id: WorkspaceId, other_workspace_id: WorkspaceId
) -> None:
    email = mail()
    await deliver(database, workspace_id, email)
    await deliver(database, other_workspace_id, email)

    with pytest.raises(IntegrityError):
        async with database.workspace(workspace_id) as store:
            await store.messages.add_email((await open_ticket(store)).id, email, NOW)

    async with database.reading(workspace_id) as store:
        assert await store.tickets.newest_number() == 1


async def test_one_mail_delivered_many_times_at_once_makes_one_ticket(
    database: Database, neighbour: Database, workspace_id: WorkspaceId
) -> None:
    email = mail()

    tickets = await asyncio.gather(*(deliver((database, neighbour)[turn % 2], workspace_id, email) for turn in range(20)))

    assert len(set(tickets)) == 1
    async with database.reading(workspace_id) as store:
        assert await store.tickets.newest_number() == 1
        assert await texts(store, tickets[0]) == ["Hello"]


async def test_any_number_of_texts_without_fingerprint_is_stored(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        ticket = await open_ticket(store)
        for _ in range(3):
            await store.messages.add_text(ticket.id, Requester(JAN), "again", NOW)

        assert await texts(store, ticket.id) == ["again"] * 3


async def test_a_reply_finds_the_tickets_it_refers_to_newest_first_and_each_once(
    database: Database, workspace_id: WorkspaceId
) -> None:
    async with database.workspace(workspace_id) as store:
        older, newer, unrelated = [await open_ticket(store) for _ in range(3)]
        await store.messages.add_email(older.id, mail(message_id="<a@x>"), NOW)
        await store.messages.add_email(older.id, mail(message_id="<b@x>"), NOW)
        await store.messages.add_email(newer.id, mail(message_id="<c@x>"), NOW)
        await store.messages.add_email(unrelated.id, mail(message_id="<d@x>"), NOW)
        await store.messages.add_email(unrelated.id, mail(message_id=None), NOW)

        assert await store.messages.tickets_referred_to(["<a@x>", "<b@x>", "<c@x>", "<z@x>"]) == [newer, older]
        assert await store.messages.tickets_referred_to(["<A@x>"]) == []
        assert await store.messages.tickets_referred_to([]) == []


@pytest.mark.parametrize("message_id", ["<č@x>", "<" + "a" * 100_000 + "@x>", "<\udce9@x>", "'\"\x00"])
async def test_whatever_a_sender_calls_a_message_it_is_found_by_that(
    database: Database, workspace_id: WorkspaceId, message_id: str
) -> None:
    async with database.workspace(workspace_id) as store:
        ticket = await open_ticket(store)
        await store.messages.add_email(ticket.id, mail(message_id=message_id), NOW)

        assert await store.messages.tickets_referred_to(["<z@x>", message_id]) == [ticket]


async def test_two_mails_may_bear_one_message_id(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        first, second = [await open_ticket(store) for _ in range(2)]
        for ticket in (first, second):
            await store.messages.add_email(ticket.id, mail(message_id="<a@x>"), NOW)

        assert await store.messages.tickets_referred_to(["<a@x>"]) == [second, first]


async def test_mails_of_one_sender_are_counted_from_just_after_a_moment(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        ticket = await open_ticket(store)
        for received_at in (NOW - HOUR, NOW - HOUR + INSTANT, NOW):
            await store.messages.add_email(ticket.id, mail(header_from=JAN), received_at)
        await store.messages.add_email(ticket.id, mail(header_from=EVA, requester=Requester(JAN)), NOW)
        await store.messages.add_email(ticket.id, mail(header_from=None, requester=Requester(JAN)), NOW)
        await store.messages.add_text(ticket.id, Requester(JAN), "no mail", NOW)

        assert await store.messages.received_since(JAN, NOW - HOUR) == 2
        assert await store.messages.received_since(JAN, NOW) == 0
        assert await store.messages.received_since(EVA, NOW - HOUR) == 1


async def test_the_messages_of_many_tickets_come_oldest_first_in_one_statement(
    database: Database, workspace_id: WorkspaceId, statements: Statements
) -> None:
    async with database.workspace(workspace_id) as store:
        tickets = [await open_ticket(store) for _ in range(20)]
        for text in ("1", "2", "3"):
            for ticket in tickets[1:]:
                await store.messages.add_text(ticket.id, Requester(JAN), text, NOW - int(text) * SECOND)
        statements.seen.clear()

        found = await store.messages.of_tickets([ticket.id for ticket in tickets], 2)

    assert len(statements.seen) == 1
    assert [*found] == [ticket.id for ticket in tickets]
    assert [[message.text for message in messages] for messages in found.values()] == [[], *([["1", "2"]] * 19)]


async def test_messages_are_paged_without_a_gap(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        ticket, other = [await open_ticket(store) for _ in range(2)]
        for text in "abcde":
            await store.messages.add_text(ticket.id, Requester(JAN), text, NOW)
            await store.messages.add_text(other.id, Requester(JAN), "other", NOW)

        pages, after = [], None
        while page := (await store.messages.of_tickets([ticket.id], 2, after=after))[ticket.id]:
            pages.append([message.text for message in page])
            after = page[-1].id

    assert pages == [["a", "b"], ["c", "d"], ["e"]]


async def test_no_messages_of_no_tickets(database: Database, workspace_id: WorkspaceId) -> None:
    unknown = TicketId(UUID(int=1))

    async with database.workspace(workspace_id) as store:
        ticket = await open_ticket(store)
        await store.messages.add_text(ticket.id, Requester(JAN), "Hello", NOW)

        assert await store.messages.of_tickets([], 2) == {}
        assert await store.messages.of_tickets([unknown], 2) == {unknown: []}
        assert await texts(store, ticket.id, 0) == []


async def test_raw_mail_goes_with_its_message(database: Database, back_door: BackDoor, workspace_id: WorkspaceId) -> None:
    await deliver(database, workspace_id, mail())

    back_door.alter("DELETE FROM tickets")

    assert [back_door.rows(f"SELECT * FROM {table}") for table in ("messages", "raw_messages")] == [[], []]  # noqa: S608
