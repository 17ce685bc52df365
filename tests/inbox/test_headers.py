from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbox.headers import decode_words, split_message


@pytest.mark.parametrize("newline", [b"\r\n", b"\n", b"\r"], ids=["CRLF", "LF", "CR"])
def test_header_and_body_part_at_the_first_empty_line(newline: bytes) -> None:
    raw = newline.join([b"Subject: Offer", b"From: jan@firma.cz", b"", b"Hello,", b"", b"Jan"])

    headers, body = split_message(raw)

    assert headers.text("subject") == "Offer"
    assert body == b"Hello,\n\nJan"


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([b"Subject: A long", b"\tsubject"], id="folded with a tab"),
        pytest.param([b"Subject: A long ", b"   subject"], id="folded with spaces"),
        pytest.param([b"Subject:", b" A long", b" ", b" subject"], id="with a line of blanks"),
        pytest.param([b"SUBJECT : A long subject"], id="in capitals, with a blank before the colon"),
        pytest.param([b"Subject:", b"Subject: A long subject", b"Subject: Another"], id="twice, after an empty one"),
    ],
)
def test_a_field_is_read_as_it_is_meant(lines: list[bytes]) -> None:
    headers, _ = split_message(b"\r\n".join([*lines, b"", b""]))

    assert headers.text("subject") == "A long subject"


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(b"From jan@firma.cz Tue May 10 11:28:07 2005\r\n", id="the separator of an mbox"),
        pytest.param(b"no field at all\r\n", id="a line that is no field"),
        pytest.param(b"\r\n", id="an empty line"),
        pytest.param(b" ", id="a blank"),
        pytest.param(b"\xef\xbb\xbf", id="a byte order mark"),
    ],
)
def test_what_does_not_belong_in_a_header_hides_no_field(before: bytes) -> None:
    headers, body = split_message(before + b"Subject: Offer\r\n\r\nHello")

    assert headers.text("subject") == "Offer"
    assert body == b"Hello"


@pytest.mark.parametrize("raw", [b"Hello, world\n\nJan", b"Hello", b"", b"\0\xff\xfe"])
def test_a_message_without_fields_is_all_body(raw: bytes) -> None:
    headers, body = split_message(raw)

    assert headers.fields == {}
    assert body == raw


def test_a_field_in_8_bit_is_read_as_utf_8_or_windows_1252() -> None:
    headers, _ = split_message("Subject: Žluťoučký\n".encode() + "Comments: Grüße\n\n".encode("cp1252"))

    assert headers.text("subject") == "Žluťoučký"
    assert headers.text("comments") == "Grüße"


def test_nothing_is_read_beyond_the_first_mebibyte_of_a_header() -> None:
    headers, body = split_message(b"Subject: Offer\nX: " + b"x" * (1 << 20) + b"\nFrom: jan@firma.cz\n\nHello")

    assert (headers.text("subject"), headers.text("from")) == ("Offer", "")
    assert body == b"Hello"


def test_a_field_counts_at_its_first_65536_characters() -> None:
    headers, _ = split_message("Subject: {0}\nTo: {0}\nTo: {0}\n\n".format("ž" * 100_000).encode())

    assert headers.text("subject") == headers.listed("to") == "ž" * 65_536


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("=?utf-8?Q?P=C5=99=C3=ADklad?=", "Příklad"),
        ("=?UTF-8?b?UMWZw61rbGFk?=", "Příklad"),
        ("=?iso-8859-2?q?P=F8=EDklad?=", "Příklad"),
        ("=?utf-8*cs?q?Den?=", "Den"),
        ("=?utf-8?q?two_words?=", "two words"),
        ("=?utf-8?q?two words?=", "two words"),
        ("Re: =?utf-8?q?Den?= (2)", "Re: Den (2)"),
        ("=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        ("=?utf-8?q?a?= \t =?iso-8859-1?q?=E9?=", "aé"),
        ("=?utf-8?q?a?= b", "a b"),
        ("=?utf-8?b?xZ0=?==?utf-8?b?xZ0=?=", "ŝŝ"),
        ("=?utf-8?q?=F0=9F?= =?utf-8?q?=8E=89?=", "🎉"),
        ("=?utf-8?b?8J8=?= =?utf-8?b?jok=?=", "🎉"),
        ("=?x-unknown?q?Den?=", "Den"),
        ("=?utf-8?b?VEVTVA?=", "TEST"),
        ("=?utf-8?b?A?=", "=?utf-8?b?A?="),
        ("=?utf-8?b?A?= =?utf-8?b?A?=", "=?utf-8?b?A?= =?utf-8?b?A?="),
        ("=?utf-8?x?Den?=", "=?utf-8?x?Den?="),
        ("=?utf-8?q?Den", "=?utf-8?q?Den"),
        ("=?utf-8?q?a=0D=0Ab?=", "a\r\nb"),
        ("1 =? 2 ?= 3", "1 =? 2 ?= 3"),
    ],
)
def test_encoded_words_are_decoded_and_what_is_none_stays(written: str, meant: str) -> None:
    assert decode_words(written) == meant


@given(st.text(alphabet="=?*_ ubqBQ8tf-\r\né0A"))
def test_decoding_words_never_fails(text: str) -> None:
    assert isinstance(decode_words(text), str)


@given(st.lists(st.sampled_from([b"a", b":", b" ", b"\n", b"\r", b"From", b"\t", b"\0", b"\xff"])).map(b"".join))
def test_nothing_of_a_message_without_fields_is_lost(raw: bytes) -> None:
    headers, body = split_message(raw)

    if not headers.fields:
        assert body == raw.lstrip().replace(b"\r\n", b"\n").replace(b"\r", b"\n")
