"""Whatever a mail contains, it is stored as it came within 5 seconds, its text is text, and the next mail is served."""

from __future__ import annotations

import base64
import re
import sqlite3
import time
from contextlib import closing
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.stage.dialogue import Dialogue, whole, wire
from tests.stage.helpdesk import SUPPORT, Helpdesk, open_helpdesk
from tests.stage.waiting import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.promises.conftest import Figure

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timed]

_numbers = count(1)

FROM = "From: Jan <jan@firma.cz>"
LATEST = "{ tickets(first: 1) { nodes { subject requester { email name } automatic messages { nodes { text } } } } }"


def mail(*fields: str | bytes, body: str | bytes | None = "Hello", sender: bool = True) -> bytes:
    """A mail of its own, whatever stands in it: each has another Date, unless it brings one."""
    encoded = [field.encode() if isinstance(field, str) else field for field in fields]
    if not any(field.lower().startswith((b"date:", b"message-id:")) for field in encoded):
        encoded.append(b"Date: Sun, 22 Nov 2026 10:00:00 +0000 (%d)" % next(_numbers))
    head = b"\r\n".join([*([FROM.encode()] if sender else []), *encoded])
    return head if body is None else head + b"\r\n\r\n" + (body.encode() if isinstance(body, str) else body)


def parts(subtype: str, *inner: bytes, boundary: str = "b", end: bool = True) -> bytes:
    body = b"".join(b"--%b\r\n%b\r\n" % (boundary.encode(), part) for part in inner)
    head = f'MIME-Version: 1.0\r\nContent-Type: multipart/{subtype}; boundary="{boundary}"\r\n\r\n'.encode()
    return head + body + (b"--%b--\r\n" % boundary.encode() if end else b"")


def part(kind: str, content: str | bytes, *fields: str) -> bytes:
    head = "".join(f"{field}\r\n" for field in (f"Content-Type: {kind}", *fields))
    return f"{head}\r\n".encode() + (content.encode() if isinstance(content, str) else content)


def entity(body: bytes, *fields: str) -> bytes:
    """A mail whose body brings its own MIME fields."""
    return mail(*fields, "X-Mailer: none", body=None) + b"\r\n" + body


def nested(depth: int, kind: str = "multipart/mixed") -> bytes:
    found = part("text/plain", "Hello")
    for level in range(depth):
        found = parts("mixed", found, boundary=f"level{level}") if kind.startswith("multipart") else part(kind, found)
    return found


def html(body: str) -> bytes:
    return entity(part("text/html; charset=utf-8", body))


def address(text: str) -> bytes:
    return mail(f"From: {text}", sender=False)


WHO = [
    mail(sender=False),
    *(
        address(text)
        for text in (
            "",
            "a@firma.cz\r\nFrom: b@evil.cz",
            "a@firma.cz, b@firma.cz",
            "Team: a@firma.cz, b@firma.cz;",
            "undisclosed-recipients:;",
            SUPPORT,
            '"ceo@bank.com" <x@evil.cz>',
            "=?utf-8?q?ceo=40bank.com?= <x@evil.cz>",
            "(" * 5000 + "a@firma.cz",
            "<" * 5000 + "a@firma.cz" + ">" * 5000,
            ", ".join(f"a{number}@firma.cz" for number in range(3000)),
        )
    ),
]
ADDRESSES = [
    address(text)
    for text in (
        '"a@b"@firma.cz',
        "a" * 64 + "@firma.cz",
        "a" * 65 + "@firma.cz",
        "a@" + "b" * 60 + ".firma" * 31 + ".cz",
        "a@" + "b" * 63 + "." + "c" * 200 + ".cz",
        "jan@háčky.cz",
        "jan@xn--hky-ela4t.cz",
        "jiří@firma.cz",
        "jan+tag+other@firma.cz",
        "jan@firma.cz.",
        "JAN@FIRMA.CZ",
        "jan(comment (in) it)@firma.cz",
        "<>",
        "<@>",
        "jan@[IPv6:2001:db8::1]",
        "jan@[192.0.2.1]",
        "jan@" + "a." * 200 + "cz",
        "jan@xn--" + "a" * 70,
        "\\" * 3000,
        '"' * 3001,
    )
]
OTHERS = [
    mail("Reply-To: eve@evil.cz"),
    mail("Sender: eve@evil.cz", sender=False),
    mail("Resent-From: eve@evil.cz", "Resent-To: jan@firma.cz"),
    mail("List-Post: <mailto:list@lists.example>", "List-Id: <list.lists.example>"),
    mail('From: "Jan via List" <list@lists.example>', "Reply-To: jan@firma.cz", sender=False),
    mail("Subject: Fwd: help", body="---- Forwarded ----\r\nFrom: Eva <eva@evil.cz>\r\nTo: x@y.cz\r\n\r\nHello"),
    mail("From : spaced@firma.cz", sender=False),
    mail("\tFrom: continued@firma.cz", sender=False),
    mail("X-Odd\xff: 1", "no field at all", ": nameless"),
]
REFERENCES = [
    *(
        mail(f"Message-ID: {identity}", body=f"Hello {number}")
        for number, identity in enumerate(
            (
                "",
                "<>",
                "<[a@b]>",
                "<" + "a" * 10_000 + "@b>",
                "no brackets",
                "<a@b> <c@d>",
                "<a@b",
                "<\x00@b>",
                "=?utf-8?q?<a@b>?=",
            )
        )
    ),
    mail("Message-ID: <1@firma.cz>\r\nMessage-ID: <2@firma.cz>"),
    mail("Message-ID: <same@firma.cz>", body="One"),
    mail("Message-ID: <same@firma.cz>", body="Two"),
    mail("References: " + "\r\n ".join(f"<{number}@firma.cz>" for number in range(5000))),
    mail("In-Reply-To: <another@workspace.example>", "References: <another@workspace.example>"),
    mail("In-Reply-To: " + "<" * 20_000),
]
SUBJECTS = [
    *(
        mail(f"Date: {date}", body=f"On {date}")
        for date in ("", "Thu, 1 Jan 1970 00:00:00 +0000", "Fri, 1 Jan 2099 00:00:00 +9999", "soon", "9" * 5000)
    ),
    *(
        mail(b"Subject: " + subject)
        for subject in (
            b"",
            b"x" * 100_000,
            b"=?utf-8?q?=C5?= =?utf-8?q?=99?=",
            b"=?utf-8?b?xZ?= =?utf-8?q?=99",
            b"=?utf-16?q?P=C5=99=C3=ADklad?=",
            b"=?x-unknown?q?=FF?=",
            b"=?utf-8?q?a=0D=0ABcc:_victim@firma.cz?=",
            b"=?utf-8?b?AAAA?=",
            b"=?utf-8?q?x?= " * 5000,
            b"=?" * 20_000,
            b"a\rb\nc\x00d",
            "\u202egpj.exe".encode(),
            b"\xff\xfe\x80",
            b"folded\r\n " * 5000,
        )
    ),
]
BODIES = [
    mail(body=None),
    mail(body=""),
    mail(body=b"x" * 20_000_000),
    mail(body=b"bare\rcr and bare\nlf and \x00 nul"),
    mail("Content-Transfer-Encoding: 7bit", body=bytes(range(256))),
    *(
        entity(body)
        for body in (
            part("text/html", "<p>Hello"),
            part(
                "application/pdf",
                "JVBERi0=",
                "Content-Transfer-Encoding: base64",
                "Content-Disposition: attachment; filename=a.pdf",
            ),
            part("text/plain", "SGVsbG8", "Content-Transfer-Encoding: base64"),
            part("text/plain", "S\xff" * 999, "Content-Transfer-Encoding: base64"),
            part("text/plain", "=" * 100_000, "Content-Transfer-Encoding: quoted-printable"),
            part("text/plain", "begin 644 a.txt\r\n#86)C\r\n`\r\nend", "Content-Transfer-Encoding: x-uuencode"),
            part("text/plain", "begin 644 a.txt\r\n" + "M" * 70, "Content-Transfer-Encoding: x-uuencode"),
            part(
                "application/ms-tnef", b"\x78\x9f\x3e\x22" + bytes(100), "Content-Disposition: attachment; filename=winmail.dat"
            ),
            parts("signed; protocol=x", part("text/plain", "Hello"), part("application/pkcs7-signature", "x")),
            part("application/pkcs7-mime; smime-type=enveloped-data", "MIAG", "Content-Transfer-Encoding: base64"),
            parts(
                "encrypted", part("application/pgp-encrypted", "Version: 1"), part("application/octet-stream", "-----BEGIN PGP")
            ),
            part("text/calendar; method=REQUEST", "BEGIN:VCALENDAR\r\nEND:VCALENDAR"),
            part("text/plain; format=flowed; delsp=yes", "Hello \r\nworld"),
            part("text/plain", "<html><body onload=evil()>Hello"),
            *(
                part(f"text/plain; charset={charset}", content)
                for charset, content in (
                    ("unknown-8bit", b"\xff\xfe"),
                    ("utf-7", b"+ADw-script+AD4-"),
                    ("x-user-defined", b"\x80"),
                    ("utf-16", "Hello".encode("utf-16-le")),
                    ("idna", b"xn--"),
                    ("punycode", b"-" * 5000),
                    ("unicode_escape", b"\\N{"),
                    ("zlib", b"x"),
                    ("undefined", b"x"),
                    ("../../etc/passwd", b"x"),
                    ("a" * 5000, b"x"),
                )
            ),
        )
    ),
]
MIME = [
    entity(body)
    for body in (
        b"Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\nHello",
        parts("mixed", part("text/plain", "Hello"), end=False),
        parts("mixed", parts("mixed", part("text/plain", "Hello"), boundary="bb"), boundary="b"),
        parts("mixed", part("text/plain", "Hello"), boundary="b" * 100),
        parts("mixed", part("text/plain", "Hello"), boundary=" "),
        b'Content-Type: multipart/mixed; boundary=""\r\n\r\n--\r\n\r\nHello',
        nested(21),
        nested(150),
        nested(400),
        nested(30, "message/rfc822"),
        nested(1000, "message/rfc822"),
        parts("mixed", *[part("text/plain", "x")] * 1001),
        parts("mixed", *[b""] * 50_000),
        parts("mixed"),
        *(
            parts("mixed", part("application/octet-stream", "x", f'Content-Disposition: attachment; filename="{name}"'))
            for name in ("../../etc/passwd", "con.txt", "a" * 5000, "\u202egpj.exe", "a\x00.txt", "=?utf-8?q?a/b?=")
        ),
        parts(
            "mixed", part("application/zip", base64.b64encode(b"PK\x03\x04" + bytes(5000)), "Content-Transfer-Encoding: base64")
        ),
        parts(
            "mixed",
            part("image/svg+xml", "<svg onload=evil()/>"),
            part("text/html", "<script>evil()</script>", "Content-Disposition: attachment"),
        ),
        b"Content-Type: text/plain" + b"; a=b" * 10_000 + b"\r\n\r\nHello",
        b"Content-Type: text/plain; charset*0*=utf-8''%FF; charset*1*=%00; charset*99999999=x\r\n\r\nHello",
        b"Content-Type: " + b"(" * 10_000 + b"\r\n\r\nHello",
        b"Content-Type: /\r\n\r\nHello",
        b"Content-Type: message/partial; id=x; number=1; total=99\r\n\r\nHello",
        b"Content-Type: message/external-body; access-type=local-file; name=/etc/passwd\r\n\r\n",
        b"X: y\r\n" * 100_000 + b"\r\nHello",
        b"X-Long: " + b"y" * 2_000_000 + b"\r\n\r\nHello",
    )
]
PAGES = {
    "Hello<script>evil()</script>": "Hello",
    "<p onclick=evil() onmouseover='evil()'>Hello": "Hello",
    "<p style='width: expression(evil()); background: url(http://127.0.0.1:9/evil)'>Hello": "Hello",
    "Hello<img src=http://127.0.0.1:9/evil.png alt=evil>": "Hello",
    "Hello<img src='cid:evil@other.mail'>": "Hello",
    "<meta http-equiv=refresh content='0; url=//evil'>Hello": "Hello",
    "<form action=//evil><input value=evil>Hello</form>": "Hello",
    "<base href=//evil>Hello": "Hello",
    "<a href='javascript:evil()'>Hello</a>": "Hello",
    "<a href='data:text/html,evil'>Hello</a>": "Hello",
    "<a href='https://xn--pple-43d.com/evil'>Hello</a>": "Hello",
    "<svg/onload=evil()><style><img src=x onerror=evil()></style></svg>Hello": "Hello",
    "<iframe srcdoc='<script>evil()</script>'></iframe>Hello": "Hello",
    "<object data=//evil></object><embed src=//evil><link rel=stylesheet href=//evil>Hello": "Hello",
    "<math><mtext><table><mglyph><style><!--</style><img src onerror=evil()>-->": "",
    "<!--[if mso]>evil<![endif]-->Hello": "Hello",
    "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>Hello&e;": None,
    "<div>" * 20_000 + "Hello": None,
    "<table><tr><td>" * 70_000: None,
    "<b><i>" * 40_000: None,
    "<p " + "a=b " * 60_000 + ">Hello": "Hello",
    "&" * 200_000: None,
}
AUTOMATIC = [
    *(
        mail(f"Auto-Submitted: {value}")
        for value in ("auto-replied", "AUTO-GENERATED; owner-email=x", "no", "(no) auto-notified", "", "x" * 10_000, "(" * 10_000)
    ),
    *(mail(f"Precedence: {value}") for value in ("bulk", "junk", "list", "auto_reply")),
    mail("X-Auto-Response-Suppress: All", "X-Loop: support@disqua.example", "List-Id: <x>"),
    mail("Return-Path: <>"),
    address("MAILER-DAEMON@firma.cz"),
    entity(
        parts(
            "report; report-type=delivery-status",
            part("text/plain", "x"),
            part("message/delivery-status", "Status: 5.0.0"),
            part("message/rfc822", "Subject: x\r\n\r\nold"),
        )
    ),
    entity(
        parts("report; report-type=delivery-status", part("text/plain", "x"), part("message/delivery-status", "Status: 5.0.0"))
    ),
    entity(
        parts(
            "report; report-type=disposition-notification",
            part("text/plain", "read"),
            part("message/disposition-notification", "x"),
        )
    ),
    *(
        mail(f"Subject: {words}", body=words)
        for words in ("Out of office", "Nejsem v kanceláři", "Abwesend", "不在通知", "خارج المكتب", "Вне офиса")
    ),
    mail("Subject: Please confirm your mail", body="Challenge: https://evil.cz/confirm"),
    mail(f"From: {SUPPORT}", "X-Mailer: Disqua CRM Connector", sender=False),
]
TRANSPORT = [
    mail("Received: " + "from a by b; x\r\n " * 3000),
    mail(*["Received: from a by b"] * 5000),
    mail(f"X-Envelope-To: {SUPPORT}", "Delivered-To: other@evil.cz", "To: " + "a@b.cz, " * 5000),
    mail(body=b".\r\n..\r\n...\r\n. \r\n"),
    mail(body="QUIT\r\nMAIL FROM:<eve@evil.cz>\r\nRSET\r\n"),
    mail("DKIM-Signature: " + "v=1; " * 5000, "ARC-Seal: i=99999999999999"),
    mail("Authentication-Results: " + "(" * 60_000),
    b"",
    b"\xef\xbb\xbf" + mail(),
    b"From jan@firma.cz Sun Nov 22 10:00:00 2026\r\n" + mail(),
    bytes(range(256)) * 100,
]
GROUPS = {
    "who wrote": WHO,
    "addresses": ADDRESSES,
    "other senders": OTHERS,
    "references": REFERENCES,
    "dates and subjects": SUBJECTS,
    "bodies": BODIES,
    "MIME": MIME,
    "HTML": [html(page) for page in PAGES],
    "automatic": AUTOMATIC,
    "transport": TRANSPORT,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(data_dir: Path) -> AsyncIterator[Helpdesk]:
    async with open_helpdesk(data_dir, mails_per_sender_and_hour=100_000) as opened:
        yield opened


@pytest.mark.timeout(240)
@pytest.mark.parametrize("group", GROUPS)
async def test_it_is_stored_with_a_ticket(desk: Helpdesk, data_dir: Path, figure: Figure, group: str) -> None:
    timed = [await in_thread(deliver, desk.mail_port, raw) for raw in GROUPS[group]]

    assert {reply[:4] for reply, _ in timed} == {"250 "}
    assert max(seconds for _, seconds in timed) < 5
    for (reply, _), raw in zip(timed, GROUPS[group], strict=True):
        assert whole(raw) in raws_of(data_dir, ticket := reply.rpartition(" ")[2]), (ticket, raw[:100])
    await the_next_is_served(desk)
    figure("messages", len(timed))
    figure("slowest, s", max(seconds for _, seconds in timed))


@pytest.mark.timeout(120)
async def test_of_html_nothing_is_left_that_runs_or_is_fetched(desk: Helpdesk) -> None:
    for page, text in PAGES.items():
        await in_thread(deliver, desk.mail_port, html(page))
        shown = (await latest(desk))["messages"]["nodes"][0]["text"].strip()

        assert text in {None, shown}, page[:100]
        assert not re.search(r"root:|evil|<\w", shown), page[:100]
    await the_next_is_served(desk)


async def test_no_subject_carries_a_line_into_a_header(desk: Helpdesk) -> None:
    for raw in SUBJECTS:
        await in_thread(deliver, desk.mail_port, raw + b"again")
        assert not set((await latest(desk))["subject"]) & set("\r\n\x00")


async def the_next_is_served(desk: Helpdesk) -> None:
    """A mail like any other is stored at once, and its body can be read."""
    reply, seconds = await in_thread(deliver, desk.mail_port, entity(part("text/html", "<p>P&rcaron;&iacute;klad")))
    assert reply.startswith("250")
    assert seconds < 5
    assert (await latest(desk))["messages"]["nodes"][0]["text"].strip() == "Příklad"


async def latest(desk: Helpdesk) -> Any:  # noqa: ANN401 - a ticket as the query selects it
    (ticket,) = (await desk.agent.ask(LATEST))["tickets"]["nodes"]
    return ticket


def deliver(port: int, raw: bytes) -> tuple[str, float]:
    """What is answered to the message, and after how many seconds."""
    with Dialogue(port) as dialogue:
        dialogue.reply()
        dialogue.say(b"EHLO sender.example")
        dialogue.say(b"MAIL FROM:<corpus@mail.example>")
        assert dialogue.say(f"RCPT TO:<{SUPPORT}>".encode()).startswith("250")
        dotted = wire(raw)
        started = time.monotonic()
        return dialogue.data(dotted), time.monotonic() - started


def raws_of(data_dir: Path, ticket: str) -> list[bytes]:
    statement = "SELECT content FROM raw_messages JOIN messages ON id = message_id WHERE ticket_id = ?"
    with closing(sqlite3.connect(data_dir / "disqua.sqlite3")) as database:
        return [row[0] for row in database.execute(statement, [ticket.replace("-", "")])]
