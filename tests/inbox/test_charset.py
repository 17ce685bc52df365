from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbox.charset import decode


@pytest.mark.parametrize(
    ("data", "label", "text"),
    [
        pytest.param("Žluťoučký".encode("cp1250"), "windows-1250", "Žluťoučký", id="as labelled"),
        pytest.param("Žluťoučký".encode("iso8859_2"), "ISO-8859-2", "Žluťoučký", id="in any case"),
        pytest.param("Žluťoučký".encode(), None, "Žluťoučký", id="UTF-8 without a label"),
        pytest.param("Žluťoučký".encode(), "us-ascii", "Žluťoučký", id="UTF-8 that calls itself ASCII"),
        pytest.param("“Grüße”".encode("cp1252"), None, "“Grüße”", id="neither label nor UTF-8"),
        pytest.param("“Grüße”".encode("cp1252"), "iso-8859-1", "“Grüße”", id="Windows-1252 that calls itself Latin-1"),
        pytest.param("𠀀".encode("gb18030"), "gb2312", "𠀀", id="GB 18030 that calls itself GB 2312"),
        pytest.param("𠀀".encode("gb18030"), "gbk", "𠀀", id="GB 18030 that calls itself GBK"),
        pytest.param("똠".encode("cp949"), "ks_c_5601-1987", "똠", id="code page 949 that calls itself KS C 5601"),
        pytest.param("①".encode("cp932"), "Shift_JIS", "①", id="code page 932 that calls itself Shift JIS"),
        pytest.param("“ş”".encode("cp1254"), "iso-8859-9", "“ş”", id="Windows-1254 that calls itself Latin-5"),
        pytest.param("“ก”".encode("cp874"), "tis-620", "“ก”", id="code page 874 that calls itself TIS 620"),
        pytest.param("Žluťoučký".encode(), "x-unknown", "Žluťoučký", id="an unknown label"),
        pytest.param("Žluťoučký".encode(), "čeština", "Žluťoučký", id="a label that is not ASCII"),
        pytest.param(b"Jan", "a\0b", "Jan", id="a label with NUL"),
        pytest.param(b"caf\xc3", "utf-8", "caf\ufffd", id="a character cut in two"),
    ],
)
def test_bytes_become_readable_text_whatever_their_label(data: bytes, label: str | None, text: str) -> None:
    assert decode(data, label) == text


@pytest.mark.parametrize("label", ["punycode", "idna", "unicode_escape", "raw_unicode_escape", "undefined", "zlib", "hex"])
def test_a_codec_that_is_no_charset_is_an_unknown_label(label: str) -> None:
    assert decode(rb"\u0041", label) == r"\u0041"


def test_labels_of_strangers_leave_nothing_behind() -> None:
    before = set(sys.modules)

    for number in range(50):
        decode(b"Jan", f"x-stranger-{number}")

    remembered = sys.modules["encodings"]._cache  # noqa: SLF001 - Python's own memory of names
    assert not [name for name in remembered if "stranger" in name]
    assert set(sys.modules) == before


@given(st.binary(), st.one_of(st.none(), st.text(), st.sampled_from(["utf-7", "utf-16", "iso-2022-jp", "hz", "cp037", "johab"])))
def test_any_bytes_under_any_label_are_text(data: bytes, label: str | None) -> None:
    assert isinstance(decode(data, label), str)
