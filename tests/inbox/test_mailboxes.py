from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbox.mailboxes import Mailbox, read_mailboxes


@pytest.mark.parametrize(
    ("text", "address", "name"),
    [
        ("jan@firma.cz", "jan@firma.cz", ""),
        ("<jan@firma.cz>", "jan@firma.cz", ""),
        ("Jan Novák <jan@firma.cz>", "jan@firma.cz", "Jan Novák"),
        ('"Novák, Jan" <jan@firma.cz>', "jan@firma.cz", "Novák, Jan"),
        (r'"Jan \"Honza\" Novák" <jan@firma.cz>', "jan@firma.cz", 'Jan "Honza" Novák'),
        ("jan@firma.cz (Jan Novák)", "jan@firma.cz", "Jan Novák"),
        ("jan@firma.cz (Jan (Honza) Novák)", "jan@firma.cz", "Jan (Honza) Novák"),
        ("Jan (home) <jan@firma.cz>", "jan@firma.cz", "Jan"),
        ("Jan <jan(at work)@firma.cz>", "jan@firma.cz", "Jan"),
        ("Jan <jan@firma.cz", "jan@firma.cz", "Jan"),
        ("Jan < jan @ firma.cz >", "jan@firma.cz", "Jan"),
        ("jan @ firma.cz", "jan@firma.cz", ""),
        ("Jan Novák jan@firma.cz", "jan@firma.cz", "Jan Novák"),
        ("<<jan@firma.cz>>", "jan@firma.cz", ""),
        ("Jan <@relay.cz,@mx.cz:jan@firma.cz>", "jan@firma.cz", "Jan"),
        ('"jan novák"@firma.cz', '"jan novák"@firma.cz', ""),
        ('Jan <"a>b"@firma.cz>', '"a>b"@firma.cz', "Jan"),
        ("=?utf-8?q?Nov=C3=A1k,_Jan?= <jan@firma.cz>", "jan@firma.cz", "=?utf-8?q?Nov=C3=A1k,_Jan?="),
        ("Jan (home <jan@firma.cz>", "jan@firma.cz", "Jan (home"),
        ('"Jan <jan@firma.cz>', "jan@firma.cz", "Jan"),
        ("ceo@bank.com <jan@firma.cz>", "jan@firma.cz", "ceo@bank.com"),
        ('"ceo@bank.com <ceo@bank.com>" <jan@firma.cz>', "jan@firma.cz", "ceo@bank.com <ceo@bank.com>"),
        ("(ceo@bank.com) jan@firma.cz", "jan@firma.cz", "ceo@bank.com"),
        ("Jan <>", "", "Jan"),
        ("MAILER-DAEMON (Mail Delivery System)", "MAILER-DAEMON", "Mail Delivery System"),
        ("MAILER-DAEMON", "MAILER-DAEMON", ""),
    ],
)
def test_an_entry_is_an_address_and_the_name_beside_it(text: str, address: str, name: str) -> None:
    assert read_mailboxes(text) == [Mailbox(address, name)]


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("a@x.cz, B <b@x.cz>,c@x.cz", ["a@x.cz", "b@x.cz", "c@x.cz"]),
        ("Team: a@x.cz, B <b@x.cz>;, c@x.cz", ["a@x.cz", "b@x.cz", "c@x.cz"]),
        ("a@x.cz; b@x.cz", ["a@x.cz", "b@x.cz"]),
        ("A <a@x.cz> B <b@x.cz>", ["a@x.cz", "b@x.cz"]),
        ("undisclosed-recipients:;", []),
        (" , ,;", []),
        ("", []),
    ],
)
def test_a_list_and_a_group_give_each_of_their_members(text: str, addresses: list[str]) -> None:
    assert [mailbox.address for mailbox in read_mailboxes(text)] == addresses


@pytest.mark.parametrize(
    ("address", "usable"),
    [
        ("Jan@FIRMA.cz", "jan@firma.cz"),
        ("jan@žluťoučký.cz", "jan@xn--luouk-uva4it5a4g.cz"),
        ("žluťoučký@firma.cz", "žluťoučký@firma.cz"),
        ("jan", None),
        ("", None),
        ("a" * 100_000 + "@firma.cz", None),
        ("a@" + "ü" * 100_000, None),
    ],
)
def test_an_address_is_usable_when_it_has_one_form(address: str, usable: str | None) -> None:
    assert Mailbox(address, "").usable_address() == usable


@given(st.text(alphabet='a@.<>()",;:\\ =?q\t\0é'))
def test_no_address_list_can_break_the_reader(text: str) -> None:
    assert all(isinstance(mailbox, Mailbox) for mailbox in read_mailboxes(text))


@pytest.mark.timeout(5)
@pytest.mark.parametrize("unit", ["(", "()", '"', '"\\', '<\\"', "<", ",", "a@é,", '"a" ', "=?a?q?", "\\", ":", " "])
def test_reading_takes_linear_time(unit: str) -> None:
    assert len(read_mailboxes(unit * (65_536 // len(unit)))) <= 65_536
