from __future__ import annotations

import base64

import pytest

from inbox.mime import body_text


def entity(content_type: str, body: str | bytes, *fields: str) -> bytes:
    header = "".join(f"{field}\n" for field in (f"Content-Type: {content_type}", *fields))
    return f"{header}\n".encode() + (body.encode() if isinstance(body, str) else body)


def multipart(subtype: str, *parts: bytes) -> bytes:
    boundary = f"of-{subtype}"
    inner = b"".join(b"--" + boundary.encode() + b"\n" + part + b"\n" for part in parts)
    return entity(f'multipart/{subtype}; boundary="{boundary}"', inner + b"--" + boundary.encode() + b"--\n")


PLAIN = entity("text/plain", "Hello")
HTML = entity("text/html", "<p>Hello from <b>HTML</b></p>")
SCRIPT = entity("text/html", "<p>Hello<script>evil()</script><img src=http://evil.cz>")
NAMELESS = entity("text/plain", "the log", "Content-Disposition: attachment")
SHOWN_FILE = entity("text/plain", "x", "Content-Disposition: inline; filename=a.txt")
REPORT = [entity("message/delivery-status", "Action: failed"), entity("message/rfc822", "Subject: x\n\nold")]
ATTACHED = entity("text/plain", "the log", "Content-Disposition: attachment; filename=log.txt")
IMAGE = entity("image/png", "iVBORw0KGgo=", "Content-Transfer-Encoding: base64")


@pytest.mark.parametrize(
    ("mail", "text"),
    [
        pytest.param(PLAIN, "Hello", id="plain"),
        pytest.param(b"\nHello", "Hello", id="without a type"),
        pytest.param(entity("nonsense", "Hello"), "Hello", id="of a type that is none"),
        pytest.param(HTML, "Hello from HTML", id="HTML"),
        pytest.param(SCRIPT, "Hello", id="HTML with a script"),
        pytest.param(entity("text/html", ""), "", id="empty HTML"),
        pytest.param(entity("text/html", '<?xml version="1.0" encoding="utf-8"?><p>Hello'), "Hello", id="XHTML"),
        pytest.param(entity("image/png", "x"), "", id="an image"),
        pytest.param(multipart("alternative", PLAIN, HTML), "Hello", id="plain or HTML"),
        pytest.param(multipart("alternative", HTML, PLAIN), "Hello", id="HTML or plain"),
        pytest.param(multipart("alternative", entity("text/plain", " \n"), HTML), "Hello from HTML", id="nothing or HTML"),
        pytest.param(multipart("alternative", PLAIN, multipart("related", HTML, IMAGE)), "Hello", id="plain or illustrated"),
        pytest.param(multipart("alternative", IMAGE), "", id="an alternative of nothing"),
        pytest.param(multipart("related", HTML, IMAGE), "Hello from HTML", id="HTML with an image"),
        pytest.param(multipart("mixed", PLAIN, IMAGE, entity("text/plain", "Bye")), "Hello\nBye", id="an image in between"),
        pytest.param(multipart("mixed", HTML, entity("text/plain", "Footer")), "Hello from HTML\nFooter", id="a footer"),
        pytest.param(multipart("mixed", ATTACHED, PLAIN), "Hello", id="an attachment before"),
        pytest.param(multipart("mixed", multipart("alternative", PLAIN, HTML), ATTACHED), "Hello", id="an attachment behind"),
        pytest.param(multipart("mixed", PLAIN, NAMELESS), "Hello", id="an attachment without a name"),
        pytest.param(multipart("mixed", SHOWN_FILE), "", id="a file that is shown"),
        pytest.param(multipart("signed", PLAIN, entity("application/pgp-signature", "x")), "Hello", id="signed"),
        pytest.param(multipart("report", PLAIN, *REPORT), "Hello", id="a bounce"),
        pytest.param(entity("multipart/mixed", "Hello"), "Hello", id="several parts without a boundary"),
        pytest.param(entity("multipart/mixed; boundary=b", "--b\n\nHello"), "Hello", id="a boundary that is never closed"),
    ],
)
def test_the_text_is_what_a_person_is_meant_to_read(mail: bytes, text: str) -> None:
    assert "\n".join(line for line in body_text(mail).splitlines() if line) == text


@pytest.mark.parametrize("encoding", ["quoted-printable", "Quoted-Printable; x=y", " quoted-printable (of course)"])
def test_the_encoding_is_known_by_its_first_word(encoding: str) -> None:
    mail = entity("text/plain; charset=utf-8", "P=C5=99=C3=ADklad", f"Content-Transfer-Encoding: {encoding}")

    assert body_text(mail) == "Příklad"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain; charset=windows-1250", "Příklad".encode("cp1250")),
        ("text/plain; charset=x-unknown", "Příklad".encode()),
        ("text/plain; charset=", "Příklad".encode()),
        ("text/plain; charset*=utf-8''utf-8", "Příklad".encode()),
        ("text/html; charset=iso-8859-2", "<p>Příklad</p>".encode("iso8859_2")),
    ],
)
def test_the_charset_is_read_as_far_as_it_is_known(content_type: str, body: bytes) -> None:
    assert body_text(entity(content_type, body)) == "Příklad"


@pytest.mark.parametrize("content", ["Hello\r\nJan\r\n", "Hello\rJan", "\n\nHello\nJan\n\n\n"])
def test_lines_end_in_lf_and_no_empty_ones_stand_around_the_text(content: str) -> None:
    mail = entity("text/plain", base64.b64encode(content.encode()), "Content-Transfer-Encoding: base64")

    assert body_text(mail) == "Hello\nJan"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<div style='display: none'>seen by nobody</div>Hello", "Hello"),
        ("<html><head><title>Mail</title><style>p {}</style></head><body onload='evil()'>Hello", "Hello"),
        ("<a href='javascript:evil()' onclick='evil()'>Hello</a>", "Hello"),
        ("<img src='http://evil.cz/x' alt='Hello'>Hello", "Hello"),
        ("Hello<script>evil()", "Hello"),
        ("Hello<svg><script>evil()</script></svg><iframe srcdoc='evil'>evil</iframe>", "Hello"),
        ("<form action='//evil.cz'>Hello<input value='evil'></form>", "Hello"),
        ("<textarea>Hello", "Hello"),
        ("&lt;b&gt;Hello", "<b>Hello"),
    ],
)
def test_of_html_the_text_stays_that_a_reader_would_see(html: str, text: str) -> None:
    assert body_text(entity("text/html", html)) == text


def test_a_table_and_a_list_keep_their_shape() -> None:
    html = "<table><tr><td>1</td><td>2</td></tr></table><ul><li>one<li>two</ul>"

    text = body_text(entity("text/html", html))

    assert [line.split() for line in text.splitlines() if line] == [["1", "2"], ["*", "one"], ["*", "two"]]


def test_parts_are_read_to_the_twentieth_level() -> None:
    assert body_text(nested(PLAIN, 20)) == "Hello"
    assert body_text(nested(PLAIN, 21)) == ""


def nested(part: bytes, depth: int) -> bytes:
    for level in range(depth):
        part = entity(f"multipart/mixed; boundary=level-{level}", b"--level-%d\n%b\n--level-%d--\n" % (level, part, level))
    return part


def test_a_thousand_parts_are_read() -> None:
    assert body_text(multipart("mixed", *[entity("text/plain", "x")] * 1001)).count("x") == 1000


def test_a_text_has_at_most_a_million_characters() -> None:
    assert body_text(entity("text/plain", "ž" * 1_000_001)) == "ž" * 1_000_000
    assert len(body_text(entity("text/html", "<p>" + "ž" * 3_000_000))) <= 1_000_000
