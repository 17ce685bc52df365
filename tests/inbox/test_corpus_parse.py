"""Mail that nobody here wrote: the messages of two test suites, many of them broken."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from domain.ticket import InboundEmail, one_line, storable
from inbox.parse import Parser

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.asyncio(loop_scope="module")

WITHOUT_SENDER = {"erroneous.raw", "bad_encoded_subject.eml", "sample_output_multipart"}
BOUNCES = {
    "multi_address_bounce1.eml",
    "multi_address_bounce2.eml",
    "multipart-wo-boundary.raw",
    "multipart_report_multiple_status.eml",
    "raw_email_with_mimepart_without_content_type.eml",
    "report_422.eml",
    "report_530.eml",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parser() -> AsyncIterator[Parser]:
    async with Parser() as parser:
        yield parser


@pytest.fixture(scope="module")
def messages(corpora: Path) -> dict[str, bytes]:
    files = [path for path in sorted((corpora / "mail").rglob("*")) if path.is_file() and not path.name.endswith("LICENSE")]
    return {path.relative_to(corpora / "mail").as_posix(): path.read_bytes() for path in files}


async def test_every_message_is_read_within_five_seconds_and_kept(parser: Parser, messages: dict[str, bytes]) -> None:
    assert len(messages) >= 150
    for name, raw in messages.items():
        start = time.monotonic()
        email = await parser.read(raw, envelope_sender=None)

        assert time.monotonic() - start < 5, name
        assert email.raw == raw, name
        assert _can_be_stored(email), name


async def test_every_body_can_be_read(parser: Parser, messages: dict[str, bytes], caplog: pytest.LogCaptureFixture) -> None:
    await asyncio.gather(*(parser.read(raw, envelope_sender=None) for raw in messages.values()))

    assert caplog.messages == []


async def test_every_sender_is_found(parser: Parser, messages: dict[str, bytes]) -> None:
    emails = {name: await parser.read(raw, envelope_sender=None) for name, raw in messages.items()}

    assert {name.rpartition("/")[2] for name, email in emails.items() if email.requester is None} == WITHOUT_SENDER
    assert {name.rpartition("/")[2] for name, email in emails.items() if email.bounce} == BOUNCES


@pytest.mark.parametrize(
    ("file", "email_address", "name", "subject", "text"),
    [
        ("mikel-mail/plain_emails/basic_email.eml", "test@lindsaar.net", "Mikel Lindsaar", "Testing 123", "Plain email."),
        ("mikel-mail/plain_emails/raw_email_incorrect_header.eml", "xxx@xxx.xxx", "xxx xxx", "Stop adware/spy", "You are infec"),
        ("mikel-mail/plain_emails/mix_caps_content_type.eml", "bb@bug.com", "Big Bug", "undef method parameter bug", "foo bar"),
        ("mikel-mail/rfc2822/example10.eml", "pete@silly.test", "Pete", "", "Testing."),
        ("mikel-mail/rfc2822/example13.eml", "jdoe@machine.example", "John Doe", "Saying Hello", "This is a message"),
        ("mikel-mail/rfc2822/example14.eml", "atsushi@example.com", "Atsushi Yoshida", "Re: TEST テストテスト", "Hello"),
        ("mikel-mail/rfc6532/utf8_headers.eml", "jdöe@xn--mchine-bua.example", "Jöhn Doe", "Säying Hello", "body"),
        ("mikel-mail/multi_charset/japanese_shift_jis.eml", "xxxxxxx@docomo.ne.jp", None, "test", "あいうえお"),
        ("mikel-mail/multi_charset/ks_c_5601-1987.eml", "from@example.com", None, "test", "스티해"),
        ("mikel-mail/error_emails/content_transfer_encoding_with_semi_colon.eml", None, "Shelby", "Attention", "Dear Homeowner"),
        ("mikel-mail/error_emails/invalid_subject_characters.eml", None, "Formação Frenetikpolis", "Formação", "TEST"),
        (
            "mikel-mail/multipart_report_emails/multi_address_bounce1.eml",
            None,
            "Mail Delivery System",
            "Undeliv",
            "This is the m",
        ),
        (
            "enmime/testdata/low-quality/bad-header-start.raw",
            "james@makita.skynet",
            "James Hillyerd",
            "plain text",
            "A text section",
        ),
        ("enmime/testdata/mail/malformed-multiple-address-header-values.raw", "bob@extern", "Bob Dunite", "Test", "Simple text."),
        ("enmime/testdata/mail/multipart-wo-boundary.raw", "mailer-daemon@example.com", None, "Delivery", "I'm  multipart"),
        ("enmime/testdata/mail/html-only-inline.raw", "james@makita.skynet", "James Hillyerd", "MIME test 1", "Test of HTML"),
    ],
)
async def test_a_message_says_what_its_writer_meant(
    parser: Parser, messages: dict[str, bytes], file: str, email_address: str | None, name: str | None, subject: str, text: str
) -> None:
    email = await parser.read(messages[file], envelope_sender=None)

    assert email.requester
    assert email_address in {None, email.requester.email}
    assert email.requester.name == name
    assert email.subject.startswith(subject)
    assert email.text.startswith(text)


async def test_a_message_stays_the_same_one_on_every_way(parser: Parser, messages: dict[str, bytes]) -> None:
    for name, raw in messages.items():
        lines = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        by_http = await parser.read(lines, envelope_sender=None)
        by_smtp = await parser.read(b"Received: from a by b\r\n" + lines.replace(b"\n", b"\r\n") + b"\r\n", envelope_sender="")

        if by_http.header_from:
            assert by_smtp.fingerprint == by_http.fingerprint, name


async def test_messages_of_one_fingerprint_share_their_message_id(parser: Parser, messages: dict[str, bytes]) -> None:
    ids: dict[bytes, set[str | None]] = {}
    for raw in messages.values():
        email = await parser.read(raw, envelope_sender=None)
        ids.setdefault(email.fingerprint, set()).add(email.message_id)

    assert len(ids) > 100
    assert [shared for shared in ids.values() if len(shared) > 1] == []


async def test_no_damage_to_a_message_stops_the_reading(parser: Parser, messages: dict[str, bytes]) -> None:
    chance = random.Random(1)
    originals = [raw for raw in messages.values() if raw]
    for _ in range(1000):
        email = await parser.read(_damaged(chance.choice(originals), chance), envelope_sender=None)

        assert _can_be_stored(email)


def _damaged(raw: bytes, chance: random.Random) -> bytes:
    """The message with some bytes changed, a piece cut out, or a piece repeated."""
    start, end = sorted(chance.randrange(len(raw) + 1) for _ in range(2))
    match chance.randrange(3):
        case 0:
            return bytes(chance.randrange(256) if chance.random() < 0.02 else byte for byte in raw)
        case 1:
            return raw[:start] + raw[end:]
        case _:
            return raw[:end] + raw[start:]


def _can_be_stored(email: InboundEmail) -> bool:
    name = email.requester.name or "" if email.requester else ""
    return (email.subject, name, email.text) == (one_line(email.subject), one_line(name), storable(email.text))
