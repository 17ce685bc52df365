"""The SMTP and LMTP door, as a sending server meets it."""

from __future__ import annotations

import asyncio
import re
import smtplib
import socket
import sqlite3
import time
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from inbox.limits import MAX_BYTES
from inbox.smtp import listen
from tests.stage.dialogue import Dialogue, start
from tests.stage.helpdesk import SUPPORT, Helpdesk, message, open_helpdesk
from tests.stage.waiting import eventually, in_thread

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MESSAGES = "{ tickets { nodes { subject messages { nodes { text sender { email } } } } } }"


def send(port: int, raw: bytes, **options: str) -> str:
    with start(port, **options) as dialogue:
        return dialogue.data(raw)


async def sent(helpdesk: Helpdesk, raw: bytes, **options: str) -> str:
    return await in_thread(send, helpdesk.mail_port, raw, **options)


@pytest.fixture
def raw_messages(tmp_path: Path) -> Callable[[], list[bytes]]:
    """The stored bytes, read past the product."""

    def read() -> list[bytes]:
        with closing(sqlite3.connect(tmp_path / "data" / "disqua.sqlite3")) as database:
            return [row[0] for row in database.execute("SELECT content FROM raw_messages ORDER BY message_id")]

    return read


@pytest.mark.parametrize("recipient", ["Support@DISQUA.example", "support+vip@disqua.example", "SUPPORT+a+b@disqua.example"])
async def test_the_recipient_decides_the_workspace_whatever_its_case_and_tag(helpdesk: Helpdesk, recipient: str) -> None:
    assert (await sent(helpdesk, message(From="jan@firma.cz"), recipient=recipient)).startswith("250")
    assert len(await helpdesk.tickets()) == 1


@pytest.mark.parametrize("recipient", ["nobody@disqua.example", "support@elsewhere.example", "supportx@disqua.example"])
async def test_an_unknown_recipient_gets_550(helpdesk: Helpdesk, recipient: str) -> None:
    def ask() -> str:
        with Dialogue(helpdesk.mail_port) as dialogue:
            dialogue.reply()
            dialogue.say(b"EHLO sender.example")
            dialogue.say(b"MAIL FROM:<jan@firma.cz>")
            return dialogue.say(f"RCPT TO:<{recipient}>".encode())

    assert (await in_thread(ask)).startswith("550")


async def test_the_raw_message_is_kept_byte_for_byte(helpdesk: Helpdesk, raw_messages: Callable[[], list[bytes]]) -> None:
    raw = b"From: jan@firma.cz\r\nSubject: \xff\xfe\x00 odd\r\n\r\n..dots\r\n\x00\x01\x80 bare \n and \r here\r\n"

    await sent(helpdesk, raw.replace(b"\r\n..", b"\r\n...").removesuffix(b"\r\n"))

    assert raw_messages() == [raw]


async def test_a_message_delivered_twice_makes_one_ticket_whatever_its_trace_headers(helpdesk: Helpdesk) -> None:
    raw = message(From="jan@firma.cz", Message_ID="<1@firma.cz>", Subject="Once")

    first = await sent(helpdesk, raw)
    again = await sent(helpdesk, b"Received: from elsewhere; Mon, 1 Jan 2026 00:00:00 +0000\r\n" + raw)

    assert (first, first[:3]) == (again, "250")
    assert len(await helpdesk.tickets()) == 1


async def test_eight_copies_at_once_make_one_ticket(helpdesk: Helpdesk) -> None:
    raw = message(From="jan@firma.cz", Subject="Once")

    replies = await asyncio.gather(*(sent(helpdesk, raw) for _ in range(8)))

    assert {reply[:3] for reply in replies} == {"250"}
    assert len(await helpdesk.tickets()) == 1


async def test_the_same_message_id_with_another_body_is_another_mail(helpdesk: Helpdesk) -> None:
    await sent(helpdesk, message("One", From="jan@firma.cz", Message_ID="<1@firma.cz>"))
    await sent(helpdesk, message("Two", From="jan@firma.cz", Message_ID="<1@firma.cz>"))
    assert len(await helpdesk.tickets()) == 2


async def test_one_message_to_two_workspaces_opens_a_ticket_in_each(helpdesk: Helpdesk) -> None:
    other = await helpdesk.add_workspace("Other", "help@other.example")

    def deliver() -> None:
        with smtplib.SMTP("127.0.0.1", helpdesk.mail_port, timeout=10) as connection:
            connection.sendmail("jan@firma.cz", [SUPPORT, "help@other.example"], message(From="jan@firma.cz"))

    await in_thread(deliver)

    assert len(await helpdesk.tickets()) == 1
    theirs = await helpdesk.front_end(workspace=other).ask(MESSAGES)
    assert len(theirs["tickets"]["nodes"]) == 1


@pytest.mark.parametrize("header", ["In_Reply_To", "References"])
async def test_a_reply_of_the_same_sender_joins_its_ticket(helpdesk: Helpdesk, header: str) -> None:
    await helpdesk.mail(message("First", From="jan@firma.cz", Message_ID="<1@firma.cz>"))
    await helpdesk.mail(message("Second", **{"From": "Jan <JAN@firma.cz>", header: "<0@x> <1@firma.cz>"}))

    (ticket,) = (await helpdesk.agent.ask(MESSAGES))["tickets"]["nodes"]
    assert [sent["text"].strip() for sent in ticket["messages"]["nodes"]] == ["First", "Second"]


async def test_nobody_else_can_add_to_a_ticket_by_naming_its_message(helpdesk: Helpdesk) -> None:
    await helpdesk.mail(message(From="jan@firma.cz", Message_ID="<1@firma.cz>"))
    await helpdesk.mail(message(From="eve@evil.example", In_Reply_To="<1@firma.cz>"), sender="jan@firma.cz")
    assert len(await helpdesk.tickets()) == 2


async def test_a_reply_does_not_reach_into_another_workspace(helpdesk: Helpdesk) -> None:
    await helpdesk.add_workspace("Other", "help@other.example")
    await helpdesk.mail(message(From="jan@firma.cz", Message_ID="<1@firma.cz>"), to="help@other.example")
    await helpdesk.mail(message(From="jan@firma.cz", In_Reply_To="<1@firma.cz>"))
    (ticket,) = await helpdesk.tickets()
    assert ticket["number"] == 1


@pytest.mark.parametrize(
    ("headers", "sender", "requester"),
    [
        ({"From": "=?iso-8859-2?q?Ji=F8=ED?= <Jiri@Firma.CZ>"}, "x@y.cz", {"email": "jiri@firma.cz", "name": "Jiří"}),
        ({"From": "Jan <jan@háčky.cz>"}, "x@y.cz", {"email": "jan@xn--hky-ela4t.cz", "name": "Jan"}),
        ({"Sender": "office@firma.cz"}, "x@y.cz", {"email": "office@firma.cz", "name": None}),
        ({"From": "undisclosed", "Sender": "office@firma.cz"}, "x@y.cz", {"email": "office@firma.cz", "name": None}),
        ({}, "X@y.cz", {"email": "x@y.cz", "name": None}),
        ({"From": "nobody"}, "", None),
    ],
)
async def test_the_requester_is_from_else_sender_else_the_envelope(
    helpdesk: Helpdesk, headers: dict[str, str], sender: str, requester: dict[str, str] | None
) -> None:
    await sent(helpdesk, message(**headers), sender=sender)
    (ticket,) = await helpdesk.tickets()
    assert ticket["requester"] == requester


@pytest.mark.parametrize(
    ("headers", "sender", "automatic"),
    [
        ({"From": "jan@firma.cz"}, "jan@firma.cz", False),
        ({"From": "jan@firma.cz", "Auto_Submitted": "no"}, "jan@firma.cz", False),
        ({"From": "jan@firma.cz", "Auto_Submitted": "Auto-Replied"}, "jan@firma.cz", True),
        ({"From": "jan@firma.cz"}, "", True),
        ({"From": "MAILER-DAEMON@firma.cz"}, "jan@firma.cz", True),
        ({"From": "Postmaster@firma.cz"}, "jan@firma.cz", True),
    ],
)
async def test_automatic_mail_is_marked(helpdesk: Helpdesk, headers: dict[str, str], sender: str, automatic: bool) -> None:
    await sent(helpdesk, message(**headers), sender=sender)
    (ticket,) = await helpdesk.tickets()
    assert ticket["automatic"] is automatic


async def test_a_subject_is_one_line_and_empty_when_missing(helpdesk: Helpdesk) -> None:
    await sent(helpdesk, message(From="jan@firma.cz"))
    await sent(helpdesk, message(From="jan@firma.cz", Subject="=?utf-8?q?one=0D=0ABcc:_x=00y?="))
    with_subject, without = await helpdesk.tickets()
    assert without["subject"] == ""
    assert not set("\r\n\0") & set(with_subject["subject"])


async def test_a_line_of_any_length_is_taken(helpdesk: Helpdesk) -> None:
    raw = b"From: jan@firma.cz\r\nSubject: Long\r\n\r\n" + b"x" * 3_000_000
    assert (await sent(helpdesk, raw)).startswith("250")
    assert (await helpdesk.tickets())[0]["subject"] == "Long"


@pytest.mark.parametrize(
    "line", [b"x" * (MAX_BYTES + 100), b"\r\n".join([b"x" * 70] * (MAX_BYTES // 72 + 1))], ids=["one line", "lines"]
)
async def test_a_message_over_25_mb_gets_552_and_the_server_goes_on(helpdesk: Helpdesk, line: bytes) -> None:
    assert (await sent(helpdesk, b"From: jan@firma.cz\r\n\r\n" + line)).startswith("552")
    assert (await sent(helpdesk, message(From="jan@firma.cz"))).startswith("250")


async def test_a_declared_size_over_25_mb_gets_552_at_once(helpdesk: Helpdesk) -> None:
    def ask() -> str:
        with Dialogue(helpdesk.mail_port) as dialogue:
            dialogue.reply()
            dialogue.say(b"EHLO sender.example")
            return dialogue.say(f"MAIL FROM:<jan@firma.cz> SIZE={MAX_BYTES + 1}".encode())

    assert (await in_thread(ask)).startswith("552")


async def test_more_mails_an_hour_than_one_sender_may_send_get_451_and_others_do_not(tmp_path: Path) -> None:
    async with open_helpdesk(tmp_path / "data", mails_per_sender_and_hour=3) as helpdesk:
        replies = [await sent(helpdesk, message(str(number), From="Jan <jan@firma.cz>")) for number in range(4)]
        known = await sent(helpdesk, message("0", From="Jan <jan@firma.cz>"))
        other = await sent(helpdesk, message(From="eva@firma.cz"))

    assert [reply[:3] for reply in replies] == ["250", "250", "250", "451"]
    assert (known[:3], other[:3]) == ("250", "250")


async def test_a_database_that_is_away_is_our_fault_and_gets_451(helpdesk: Helpdesk, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "data" / "disqua.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert (await sent(helpdesk, message(From="jan@firma.cz"))).startswith("451")
        other.execute("ROLLBACK")
    assert (await sent(helpdesk, message(From="jan@firma.cz"))).startswith("250")


async def test_lmtp_answers_for_each_recipient(tmp_path: Path) -> None:
    async with open_helpdesk(tmp_path / "data", lmtp=True) as helpdesk:
        await helpdesk.add_workspace("Other", "help@other.example")

        def deliver() -> list[str]:
            with start(helpdesk.mail_port, hello="LHLO") as dialogue:
                dialogue.say(b"RCPT TO:<help@other.example>")
                assert dialogue.say(b"DATA").startswith("354")
                return [dialogue.say(message(From="jan@firma.cz") + b"."), dialogue.reply()]

        replies = await in_thread(deliver)

        assert [reply[:3] for reply in replies] == ["250", "250"]
        assert len(await helpdesk.tickets()) == 1


async def test_mail_of_every_shape_is_stored_with_a_ticket_each(
    helpdesk: Helpdesk,
    corpora: Path,
    raw_messages: Callable[[], list[bytes]],
) -> None:
    files = [path for path in sorted((corpora / "mail").rglob("*")) if path.is_file() and not path.name.endswith("LICENSE")]
    wires = {b"\r\n".join(path.read_bytes().splitlines()) + b"\r\n" for path in files}
    distinct = {_identity(wire) for wire in wires}

    durations = [await in_thread(_deliver, helpdesk.mail_port, wire) for wire in wires]

    assert len(files) >= 150
    assert max(durations) < 5
    assert set(raw_messages()) <= wires
    assert len(raw_messages()) == len(distinct)
    (newest,) = (await helpdesk.agent.ask("{ tickets(first: 1) { nodes { number } } }"))["tickets"]["nodes"]
    assert newest["number"] in {len(distinct), len(distinct) - 1}  # one of them answers another


def _identity(raw: bytes) -> object:
    """What makes two deliveries the same: some messages of the corpora are copies of others."""
    head, _, body = raw.partition(b"\r\n\r\n")
    found = {
        name: re.search(rb"^%s:(.*(?:\r\n[ \t].*)*)" % name, head, re.IGNORECASE | re.MULTILINE)
        for name in (b"message-id", b"from", b"date", b"subject")
    }
    values = {name: match and match[1].strip() for name, match in found.items()}
    return (values[b"message-id"] or tuple(values.values()), body.rstrip()) if any(values.values()) else raw


def _deliver(port: int, raw: bytes) -> float:
    started = time.monotonic()
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as connection:
        connection.sendmail("corpus@mail.example", [SUPPORT], raw)
    return time.monotonic() - started


async def test_lmtp_refuses_once_for_each_recipient(tmp_path: Path) -> None:
    async with open_helpdesk(tmp_path / "data", lmtp=True) as helpdesk:
        await helpdesk.add_workspace("Other", "help@other.example")

        def deliver(body: bytes) -> list[str]:
            with start(helpdesk.mail_port, hello="LHLO") as dialogue:
                dialogue.say(b"RCPT TO:<help@other.example>")
                assert dialogue.say(b"DATA").startswith("354")
                return [dialogue.say(body + b"\r\n.")[:3], dialogue.reply()[:3], dialogue.say(b"NOOP")[:3]]

        assert await in_thread(deliver, b"x" * (MAX_BYTES + 100)) == ["552", "552", "250"]
        with closing(sqlite3.connect(tmp_path / "data" / "disqua.sqlite3", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            assert await in_thread(deliver, message(From="jan@firma.cz")) == ["451", "451", "250"]
            other.execute("ROLLBACK")


# The end


async def test_a_door_that_closes_ends_idle_dialogues_with_421_and_takes_no_more(helpdesk: Helpdesk) -> None:
    with await in_thread(start, helpdesk.mail_port) as between_commands:
        async with asyncio.timeout(1):
            await helpdesk.parts.take_no_more_mail()

        assert between_commands.reply().startswith("421 4.3.2")
        assert between_commands.reply() == ""
    with pytest.raises(ConnectionRefusedError):
        Dialogue(helpdesk.mail_port)


async def test_a_message_under_way_is_stored_and_answered_while_the_door_closes(
    helpdesk: Helpdesk, raw_messages: Callable[[], list[bytes]]
) -> None:
    with await in_thread(start, helpdesk.mail_port) as dialogue:
        assert (await in_thread(dialogue.say, b"DATA")).startswith("354")
        closing = asyncio.create_task(helpdesk.parts.take_no_more_mail())
        await eventually(lambda: _refuses(helpdesk.mail_port))

        answer = await in_thread(dialogue.say, b"From: jan@firma.cz\r\n\r\nHello\r\n.")
        farewell = await in_thread(dialogue.say, b"QUIT")
        await closing

    assert answer.startswith("250")
    assert farewell.startswith("221")
    assert len(raw_messages()) == 1


async def test_no_second_message_begins_while_the_door_closes(helpdesk: Helpdesk) -> None:
    with await in_thread(start, helpdesk.mail_port) as dialogue:
        assert (await in_thread(dialogue.say, b"DATA")).startswith("354")
        closing = asyncio.create_task(helpdesk.parts.take_no_more_mail())
        await eventually(lambda: _refuses(helpdesk.mail_port))
        await in_thread(dialogue.say, b"From: jan@firma.cz\r\n\r\nHello\r\n.")

        assert (await in_thread(dialogue.say, b"MAIL FROM:<jan@firma.cz>")).startswith("421")
        await closing


async def test_a_message_that_does_not_come_to_its_end_is_told_to_come_again(
    helpdesk: Helpdesk, raw_messages: Callable[[], list[bytes]]
) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    door = await listen(helpdesk.parts.parser, helpdesk.parts.reception, listener=listener)
    with await in_thread(start, listener.getsockname()[1]) as dialogue:
        assert (await in_thread(dialogue.say, b"DATA")).startswith("354")

        await door.close(patience=timedelta(seconds=0.1))

        assert dialogue.reply().startswith("421 4.3.2")
    assert raw_messages() == []


async def _refuses(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return False
    except ConnectionError:  # refused, or reset in the moment when it closes
        return True
