"""Reading mails: who wrote, what it says, which one it is; and nothing that a stranger sends stops it."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.ticket import InboundEmail, Requester, one_line, storable
from inbox.parse import Parser

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timed]

AUTHOR = "From: Jan Novák <jan@firma.cz>"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parser() -> AsyncIterator[Parser]:
    async with Parser() as parser:
        yield parser


def mail(*fields: str, body: str = "Hello") -> bytes:
    return "".join(f"{field}\r\n" for field in (*fields, "")).encode() + body.encode()


async def read(
    parser: Parser, *fields: str, envelope_sender: str | None = "envelope@relay.cz", body: str = "Hello"
) -> InboundEmail:
    return await parser.read(mail(*fields, body=body), envelope_sender=envelope_sender)


# Who wrote


@pytest.mark.parametrize(
    ("fields", "envelope_sender", "requester", "header_from"),
    [
        (["From: a@x.cz", "Sender: b@x.cz"], "c@x.cz", "a@x.cz", "a@x.cz"),
        (["Sender: b@x.cz"], "c@x.cz", "b@x.cz", None),
        (["From: nobody", "Sender: b@x.cz"], "c@x.cz", "b@x.cz", None),
        (["From: nobody", "Sender: no@"], "c@x.cz", "c@x.cz", None),
        ([], "c@x.cz", "c@x.cz", None),
        ([], "<c@x.cz>", "c@x.cz", None),
        ([], "", None, None),
        ([], "<>", None, None),
        ([], None, None, None),
        (["Return-Path: <r@x.cz>"], None, "r@x.cz", None),
        (["Return-Path: <r@x.cz>"], "c@x.cz", "c@x.cz", None),
        (["From: nobody, a@x.cz, b@x.cz"], "c@x.cz", "a@x.cz", "a@x.cz"),
        (["From: Team: a@x.cz, b@x.cz;"], "c@x.cz", "a@x.cz", "a@x.cz"),
        (["From:", "From: a@x.cz"], "c@x.cz", "a@x.cz", "a@x.cz"),
        (["From: undisclosed-recipients:;"], "", None, None),
        (['From: "ceo@bank.com" <a@x.cz>'], "c@x.cz", "a@x.cz", "a@x.cz"),
        (["From: A@X.CZ", "Reply-To: other@x.cz"], "c@x.cz", "a@x.cz", "a@x.cz"),
        (["From: jan@žluťoučký.cz"], "", "jan@xn--luouk-uva4it5a4g.cz", "jan@xn--luouk-uva4it5a4g.cz"),
        (["From: Žluť@kůň.cz"], "", "žluť@xn--k-qla0j.cz", "žluť@xn--k-qla0j.cz"),
    ],
)
async def test_the_requester_is_the_header_from_else_the_sender_else_the_envelope_sender(
    parser: Parser, fields: list[str], envelope_sender: str | None, requester: str | None, header_from: str | None
) -> None:
    email = await read(parser, *fields, envelope_sender=envelope_sender)

    assert (email.requester.email if email.requester else None) == requester
    assert email.header_from == header_from


@pytest.mark.parametrize(
    ("author", "name"),
    [
        ("Jan Novák <a@x.cz>", "Jan Novák"),
        ('"Novák, Jan" <a@x.cz>', "Novák, Jan"),
        ("=?utf-8?q?Jan_Nov=C3=A1k?= <a@x.cz>", "Jan Novák"),
        ("=?windows-1250?q?Jan?= =?windows-1250?q?_Nov=E1k?= <a@x.cz>", "Jan Novák"),
        ("=?x-unknown?q?Jan?= <a@x.cz>", "Jan"),
        ('"=?utf-8?q?Jan?=" <a@x.cz>', "Jan"),
        ("=?utf-8?q?Jan=0D=0ABcc=3A_x=00?= <a@x.cz>", "Jan Bcc: x"),
        ("a@x.cz (Jan Novák)", "Jan Novák"),
        ("a@x.cz", None),
        ('"" <a@x.cz>', None),
        ("=?utf-8?q?_?= <a@x.cz>", None),
    ],
)
async def test_the_display_name_is_decoded_into_one_line(parser: Parser, author: str, name: str | None) -> None:
    email = await read(parser, f"From: {author}")

    assert email.requester
    assert email.requester.name == name


async def test_recipients_are_each_usable_address_once_the_delivered_ones_first(parser: Parser) -> None:
    email = await read(
        parser,
        "To: Support <Support@Firma.cz>, nobody, c@x.cz",
        "Cc: team: d@kůň.cz;",
        "Bcc: secret@x.cz",
        "X-Original-To: b@x.cz",
        "Delivered-To: a@x.cz",
        "Delivered-To: c@x.cz",
    )

    assert email.recipients == ("a@x.cz", "c@x.cz", "b@x.cz", "support@firma.cz", "d@xn--k-qla0j.cz")


async def test_of_a_crowd_of_recipients_the_first_thousand_count(parser: Parser) -> None:
    email = await read(parser, "To: " + ",".join(f"{number}@x.cz" for number in range(3000)))

    assert email.recipients == tuple(f"{number}@x.cz" for number in range(1000))


@pytest.mark.parametrize(
    ("fields", "envelope_sender", "automatic", "bounce"),
    [
        ([], "a@x.cz", False, False),
        ([], "", True, True),
        ([], "<>", True, True),
        ([], None, False, False),
        (["Return-Path: <>"], None, True, True),
        (["Return-Path: < >"], "a@x.cz", True, True),
        (["Return-Path: <a@x.cz>"], None, False, False),
        (["Return-Path:"], None, False, False),
        (["From: Mail <MAILER-DAEMON@x.cz>"], "a@x.cz", True, True),
        (["From: MAILER-DAEMON (Mail Delivery System)"], "a@x.cz", True, True),
        (["From: postmaster@x.cz"], "a@x.cz", True, True),
        (["From: a@x.cz", "Sender: Postmaster@x.cz"], "a@x.cz", True, True),
        ([], "mailer-daemon@x.cz", True, True),
        (["From: postmasters@x.cz"], "a@x.cz", False, False),
        (["Auto-Submitted: auto-replied"], "a@x.cz", True, False),
        (["Auto-Submitted: Auto-Generated; x=y"], "a@x.cz", True, False),
        (["Auto-Submitted: NO (a person)"], "a@x.cz", False, False),
        (["Precedence: bulk"], "a@x.cz", False, False),
    ],
)
async def test_bounces_and_automatic_mail_are_told_by_path_mailbox_and_keyword(
    parser: Parser, fields: list[str], envelope_sender: str | None, automatic: bool, bounce: bool
) -> None:
    email = await read(parser, *fields, envelope_sender=envelope_sender)

    assert (email.automatic, email.bounce) == (automatic, bounce)


# What it says


@pytest.mark.parametrize(
    ("fields", "subject"),
    [
        ([], ""),
        (["Subject:"], ""),
        (["Subject: Nabídka"], "Nabídka"),
        (["Subject: =?utf-8?q?Nab=C3=ADdka?= =?utf-8?q?_2?="], "Nabídka 2"),
        (["Subject: a long", "\tsubject"], "a long subject"),
        (["Subject: =?utf-8?q?a=0D=0ABcc=3A_b?="], "a Bcc: b"),
        (["Subject: a\0b"], "a b"),
        (["Subject: =?utf-7?q?+2D0-?="], "\ufffd"),
    ],
)
async def test_the_subject_is_one_line_that_a_database_stores(parser: Parser, fields: list[str], subject: str) -> None:
    assert (await read(parser, *fields)).subject == subject


@pytest.mark.parametrize(
    ("written", "message_id"),
    [
        ("<1@x.cz>", "<1@x.cz>"),
        (" <1@x.cz> (added by the relay)", "<1@x.cz>"),
        ("1@x.cz", "1@x.cz"),
        ("", None),
        ("<>", None),
        ("<" + "1" * 10_000 + "@x.cz>", "<" + "1" * 997),
        ("<a\0b@x.cz>", "<a\ufffdb@x.cz>"),
    ],
)
async def test_the_message_id_is_what_stands_in_angle_brackets_or_all_there_is(
    parser: Parser, written: str, message_id: str | None
) -> None:
    assert (await read(parser, f"Message-ID: {written}")).message_id == message_id


async def test_a_mail_refers_to_the_one_it_answers_then_to_those_before(parser: Parser) -> None:
    email = await read(parser, "References: <1@x.cz> <2@x.cz>", " <3@x.cz>", "In-Reply-To: Yours of Monday <3@x.cz>")

    assert email.references == ("<3@x.cz>", "<1@x.cz>", "<2@x.cz>")


async def test_of_a_very_long_thread_the_first_and_the_last_are_kept(parser: Parser) -> None:
    email = await read(parser, "References: " + " ".join(f"<{number}@x.cz>" for number in range(5000)))

    assert len(email.references) == 100
    assert (email.references[0], email.references[-1]) == ("<0@x.cz>", "<4999@x.cz>")


async def test_the_text_is_the_plain_body_or_else_the_html(parser: Parser) -> None:
    plain = await read(parser, "Content-Type: text/plain; charset=utf-8", body="Dobrý den,\r\n\r\nJan\r\n")
    html = await read(parser, "Content-Type: text/html; charset=utf-8", body="<p>Dobrý <b>den</b></p>")

    assert plain.text == "Dobrý den,\n\nJan"
    assert html.text == "Dobrý den"


async def test_html_may_be_as_long_as_a_mail_can_be(parser: Parser) -> None:
    email = await read(parser, "Content-Type: text/html", body="<p>Hello</p>" * 2_000_000)

    assert email.text.startswith("Hello\n\nHello")


async def test_the_type_of_a_body_may_be_a_megabyte_long(parser: Parser) -> None:
    email = await read(parser, "Content-Type: text/html" + ";" * 1_000_000, body="<p>Hello</p>")

    assert email.text == "Hello"


async def test_a_text_holds_nothing_that_a_database_refuses(parser: Parser) -> None:
    email = await read(parser, "Content-Type: text/plain; charset=utf-7", body="a\0b +2D0-")

    assert email.text == storable(email.text)


@pytest.mark.parametrize("raw", [b"", b"\0", b"\xff\xfe\0", b"\r\n\r\n", b"a" * 100_000, mail(AUTHOR, body="a\0\r\n.\r\n")])
async def test_the_raw_message_is_kept_byte_for_byte(parser: Parser, raw: bytes) -> None:
    assert (await parser.read(raw, envelope_sender=None)).raw == raw


# Which one it is

MESSAGE = [AUTHOR, "Date: Mon, 3 Mar 2025 10:00:00 +0100", "Subject: Offer", "Message-ID: <1@x.cz>"]
TRACE = ["Return-Path: <jan@firma.cz>", "Received: from a by b", "Delivered-To: x@y.cz", "ARC-Seal: i=1", "X-Spam: no"]
UNNAMED = MESSAGE[:3]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(mail(*MESSAGE), mail(*TRACE, *MESSAGE), id="trace headers before"),
        pytest.param(mail(*MESSAGE), mail(*MESSAGE, *TRACE), id="trace headers behind"),
        pytest.param(mail(*UNNAMED), mail(*TRACE, *UNNAMED), id="trace headers without a Message-ID"),
        pytest.param(mail(*MESSAGE), mail(*reversed(MESSAGE)), id="another order"),
        pytest.param(mail(*MESSAGE, body="a\r\n\r\nb"), mail(*MESSAGE, body="a\n\nb"), id="another line ending in the body"),
        pytest.param(mail(*MESSAGE), mail(*MESSAGE).replace(b"\r\n", b"\n"), id="another line ending everywhere"),
        pytest.param(mail(*MESSAGE), mail(*MESSAGE).replace(b"\r\n", b"\r"), id="bare CR"),
        pytest.param(mail(*MESSAGE), mail(*MESSAGE, body="Hello\r\n\r\n"), id="empty lines at the end"),
        pytest.param(mail(*MESSAGE), mail(*MESSAGE[:3], "Message-Id:", " <1@x.cz>"), id="a folded Message-ID"),
        pytest.param(mail(*UNNAMED), mail(*UNNAMED[:2], "Subject:", "\tOffer "), id="a folded subject"),
        pytest.param(mail(*MESSAGE), mail("Message-ID: <1@x.cz>", "Subject: [list] Offer"), id="another subject, one Message-ID"),
    ],
)
async def test_one_message_delivered_twice_has_one_fingerprint(parser: Parser, one: bytes, other: bytes) -> None:
    by_smtp = await parser.read(one, envelope_sender="jan@firma.cz")
    by_http = await parser.read(other, envelope_sender=None)

    assert by_smtp.fingerprint == by_http.fingerprint
    assert len(by_smtp.fingerprint) == 32


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(mail(*MESSAGE), mail(*MESSAGE, body="Hello!"), id="another body"),
        pytest.param(mail(*MESSAGE), mail(*MESSAGE, body="Hel\r\nlo"), id="another line"),
        pytest.param(mail(*MESSAGE), mail(*UNNAMED, "Message-ID: <2@x.cz>"), id="another Message-ID"),
        pytest.param(mail(*MESSAGE), mail(*UNNAMED), id="no Message-ID"),
        pytest.param(mail(*UNNAMED), mail(*UNNAMED[1:], "From: eva@firma.cz"), id="another author"),
        pytest.param(mail(*UNNAMED), mail(UNNAMED[0], "Date: today", UNNAMED[2]), id="another date"),
        pytest.param(mail(*UNNAMED), mail(*UNNAMED[:2], "Subject: Demand"), id="another subject"),
        pytest.param(mail("Message-ID: <>", "From: a@x.cz"), mail("Message-ID: <>", "From: b@x.cz"), id="empty Message-IDs"),
        pytest.param(mail("From: ab", "Date: c"), mail("From: a", "Date: bc"), id="another border between fields"),
    ],
)
async def test_another_message_has_another_fingerprint(parser: Parser, one: bytes, other: bytes) -> None:
    first, second = await asyncio.gather(*(parser.read(raw, envelope_sender=None) for raw in (one, other)))

    assert first.fingerprint != second.fingerprint


# What stops others

AUTHORED = mail(AUTHOR, "Subject: =?utf-8?q?Nab=C3=ADdka?=")[: -len("\r\nHello")]
IN_PARTS = AUTHORED + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
NEVER_READ = IN_PARTS + b"--b\r\n\r\n" * 1_000_000
NESTED = "".join(f'Content-Type: multipart/mixed; boundary="b{level}"\r\n\r\n--b{level}\r\n' for level in range(2000)).encode()
BOMBS = {
    "comments in To": b"To: " + b"(" * 2048 + b"\r\n" + AUTHORED + b"\r\nHello",
    "comments in From": b"From: " + b"(" * 60_000 + b"\r\n\r\nHello",
    "quotes in From": b"From: " + b'"\\' * 30_000 + b"\r\n\r\nHello",
    "foreign domains in From": b"From: " + ("a@" + "ü" * 250 + ",").encode() * 120 + b"\r\n\r\nHello",
    "recipients": b"To: " + ", ".join(f"a{number}@kůň.cz" for number in range(10_000)).encode() + b"\r\n\r\nHello",
    "fields": b"a:\r\n" * 1_000_000 + b"\r\nHello",
    "one field": b"a: " + b"a" * 25_000_000,
    "encoded words": b"Subject: " + b"\r\n ".join([b"=?utf-8?q?=C3=A9=C3=A9=C3=A9=C3=A9=C3=A9?="] * 8000) + b"\r\n\r\nHello",
    "unfinished encoded words": b"Subject: " + b"=?a?q?" * 50_000 + b"\r\n\r\nHello",
    "blanks in the subject": b"Subject: a" + b" " * 60_000 + b"b\r\n\r\nHello",
    "parameters": AUTHORED + b"Content-Type: text/plain" + b'; a="b;c"' * 4000 + b"\r\n\r\nHello",
    "parameters of a part": IN_PARTS + b"--b\r\nContent-Type: text/plain" + b'; a="\\"' * 60_000 + b"\r\n\r\nHello",
    "parts in parts": AUTHORED + NESTED + b"Hello",
    "messages in messages": AUTHORED + b"Content-Type: message/rfc822\r\n\r\n" * 3000 + b"Hello",
    "empty parts": IN_PARTS + b"--b\r\n\r\n" * 50_000,
    "a million empty parts": NEVER_READ,
    "elements in elements": AUTHORED + b"Content-Type: text/html\r\n\r\n" + b"<div>" * 100_000,
    "tables in tables": AUTHORED + b"Content-Type: text/html\r\n\r\n" + b"<table><tr><td>" * 20_000,
    "a wide table": AUTHORED + b"Content-Type: text/html\r\n\r\n<table><tr>" + b"<td>x" * 150_000,
    "empty lines": AUTHORED + b"\r\n" * 12_000_000,
    "nothing but NUL": b"\0" * 1_000_000,
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
async def test_no_message_takes_five_seconds(parser: Parser, bomb: bytes) -> None:
    start = time.monotonic()

    email = await parser.read(bomb, envelope_sender="jan@firma.cz")

    assert time.monotonic() - start < 5
    assert email.requester
    assert email.requester.email == "jan@firma.cz"


async def test_where_the_body_cannot_be_read_its_raw_text_stands_in_and_all_else_is_as_ever() -> None:
    readable = IN_PARTS + b"--b\r\n\r\nHello"
    async with Parser(children=1, limit=timedelta(seconds=0.5)) as parser:
        unread = await parser.read(NEVER_READ, envelope_sender="")
        read = await parser.read(readable, envelope_sender="")

    assert unread.text == ("--b\n\n" * 100_000)[:65_536]
    assert unread.requester == read.requester == Requester(unread.header_from, "Jan Novák")  # type: ignore[arg-type]
    assert unread.subject == read.subject == "Nabídka"
    assert unread.raw == NEVER_READ
    assert read.text == "Hello"


async def test_a_flood_of_such_messages_keeps_no_other_waiting_for_five_seconds(parser: Parser) -> None:
    async def seconds(raw: bytes) -> float:
        start = time.monotonic()
        await parser.read(raw, envelope_sender="")
        return time.monotonic() - start

    waits = await asyncio.gather(*(seconds(NEVER_READ) for _ in range(10)), *(seconds(mail(AUTHOR)) for _ in range(10)))

    assert max(waits) < 5


FRAGMENTS = st.sampled_from(
    """From: Sender: Subject: To: Message-ID: References: Content-Type: Content-Transfer-Encoding: Return-Path: a@x.cz < > ( ) "
    \\ , ; : =?utf-8?q? =?x?b? ?= = -- --b boundary=b multipart/mixed multipart/alternative text/html text/plain; charset=utf-7
    message/rfc822 charset=\x00 base64 quoted-printable <p> <table> &amp; =0D=0A \ud800 é \x00""".split()
)
NEWLINES = st.sampled_from(["\r\n", "\n", "\r", "\r\n\r\n", " ", "\r\n ", ""])
MAILS = st.one_of(
    st.binary(),
    st.lists(st.tuples(FRAGMENTS, NEWLINES)).map(
        lambda pieces: "".join(word + newline for word, newline in pieces).encode("utf-8", "surrogatepass")
    ),
)


@settings(deadline=None, max_examples=300)
@given(raw=MAILS, envelope_sender=st.one_of(st.none(), st.text(), st.just("a@x.cz")))
async def test_any_bytes_are_a_mail(parser: Parser, raw: bytes, envelope_sender: str | None) -> None:
    email = await parser.read(raw, envelope_sender=envelope_sender)

    assert email.raw == raw
    assert email.subject == one_line(email.subject)
    assert email.text == storable(email.text)
    assert email.requester is None or email.requester.name != ""
    assert all(text == storable(text) for text in (email.message_id or "", *email.references, *email.recipients))
