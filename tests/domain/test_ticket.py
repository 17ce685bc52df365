from __future__ import annotations

import json
from datetime import UTC, datetime
from time import process_time
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.identity import EmailAddress, TicketId, WorkspaceId
from domain.ticket import Requester, Ticket, continues, is_automatic, is_bounce, one_line, storable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

JAN = Requester(EmailAddress("jan@example.com"), "Jan")
EVA = Requester(EmailAddress("eva@example.com"), "Eva")

any_text = st.text(st.characters())  # lone surrogates included


def ticket(requester: Requester | None = JAN, *, automatic: bool = False, bounce: bool = False) -> Ticket:
    return Ticket(
        id=TicketId(UUID(int=1)),
        workspace_id=WorkspaceId(UUID(int=2)),
        number=1,
        subject="Hello",
        requester=requester,
        automatic=automatic,
        bounce=bounce,
        created_at=datetime(2026, 3, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("requester", "automatic", "bounce", "panels"),
    [
        (JAN, False, False, True),
        (JAN, True, False, True),
        (JAN, True, True, False),
        (None, False, False, False),
        (None, True, True, False),
    ],
)
def test_a_ticket_without_requester_and_a_bounce_have_no_panels(
    requester: Requester | None, automatic: bool, bounce: bool, panels: bool
) -> None:
    assert ticket(requester, automatic=automatic, bounce=bounce).has_panels is panels


@pytest.mark.parametrize(
    ("requester", "sender", "joins"),
    [
        (JAN, JAN, True),
        (JAN, Requester(JAN.email, "Jan from his phone"), True),
        (JAN, EVA, False),
        (JAN, None, False),
        (None, JAN, False),
        (None, None, False),
    ],
)
def test_only_its_own_requester_adds_to_a_ticket(requester: Requester | None, sender: Requester | None, joins: bool) -> None:
    assert continues(ticket(requester), sender) is joins


@pytest.mark.parametrize(
    ("return_path_empty", "senders", "bounce"),
    [
        (False, (), False),
        (False, ("jan@example.com",), False),
        (True, (), True),
        (True, ("jan@example.com",), True),
        (False, ("mailer-daemon@example.com",), True),
        (False, ("MAILER-DAEMON@example.com",), True),
        (False, ("Mailer-Daemon",), True),
        (False, ("postmaster@example.com",), True),
        (False, ("PostMaster@EXAMPLE.com",), True),
        (False, ("jan@example.com", "postmaster@example.com"), True),
        (False, ("postmaster-general@example.com",), False),
        (False, ("jan@mailer-daemon.example",), False),
    ],
)
def test_mail_from_a_mail_system_is_a_bounce(return_path_empty: bool, senders: tuple[str, ...], bounce: bool) -> None:
    assert is_bounce(return_path_empty=return_path_empty, senders=senders) is bounce


@pytest.mark.parametrize(
    ("auto_submitted", "automatic"),
    [
        (None, False),
        ("", False),
        ("no", False),
        ("No", False),
        (" no ", False),
        ("no; x=y", False),
        ("no (a person wrote this)", False),
        ("(a person wrote this) no", False),
        ("auto-generated", True),
        ("auto-replied", True),
        ("AUTO-REPLIED", True),
        ('auto-replied; owner-email="jan@example.com"', True),
        ("(on leave) auto-replied", True),
        ("auto-notified(x)", True),
        ("none", True),
        ("nope", True),
        ("yes", True),
    ],
)
def test_auto_submitted_other_than_no_marks_automatic_mail(auto_submitted: str | None, automatic: bool) -> None:
    assert is_automatic(bounce=False, auto_submitted=auto_submitted) is automatic


def test_a_bounce_is_automatic_whatever_it_says() -> None:
    assert is_automatic(bounce=True, auto_submitted="no")
    assert is_automatic(bounce=True, auto_submitted=None)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("Hello", "Hello"),
        ("  Hello   world  ", "Hello   world"),
        ("Hello\r\n world", "Hello world"),
        ("Hello \n\n\t world\r", "Hello world"),
        ("Hello\rworld", "Hello world"),
        ("Hello\x00world", "Hello world"),
        ("\r\n\x00", ""),
        ("Příliš žluťoučký kůň 🐎", "Příliš žluťoučký kůň 🐎"),
        ("half \ud83d of a horse", "half \ufffd of a horse"),
        ("\ud83d\ude00", "\ufffd\ufffd"),
    ],
)
def test_a_subject_is_one_line(text: str, line: str) -> None:
    assert one_line(text) == line


@given(any_text)
@example("\r\n")
def test_a_subject_never_holds_a_line_break_nul_or_surrogate(text: str) -> None:
    line = one_line(text)

    assert not set(line) & set("\r\n\x00")
    assert line.encode().decode() == line
    assert one_line(line) == line


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("", ""),
        ("two\r\nlines", "two\r\nlines"),
        ("a\x00b", "a\ufffdb"),
        ("a\ud800b\udfffc", "a\ufffdb\ufffdc"),
        ("\x01\x7f\u202e", "\x01\x7f\u202e"),
    ],
)
def test_nul_and_lone_surrogates_become_the_replacement_character(text: str, stored: str) -> None:
    assert storable(text) == stored


@given(any_text)
def test_what_is_stored_keeps_its_length_and_can_be_encoded(text: str) -> None:
    stored = storable(text)

    assert len(stored) == len(text)
    assert "\x00" not in stored
    assert stored.encode().decode() == stored


def test_naughty_strings_are_kept_as_they_are(corpora: Path) -> None:
    naughty = json.loads((corpora / "strings" / "blns.json").read_text(encoding="utf-8"))

    changed = [text for text in naughty if "\x00" not in text and storable(text) != text]

    assert changed == []


@pytest.mark.parametrize(
    "read",
    [one_line, lambda text: is_automatic(bounce=False, auto_submitted=text)],
    ids=["subject", "Auto-Submitted"],
)
@pytest.mark.parametrize("piece", [" ", "\t", "\n", " \n", "\r\n\t", "\x00", "(", "(a", "()", ";("])
def test_a_header_of_a_megabyte_takes_no_time(read: Callable[[str], object], piece: str) -> None:
    hostile = "a" + piece * (1_000_000 // len(piece)) + "b"

    began = process_time()
    read(hostile)

    assert process_time() - began < 1
