from __future__ import annotations

import base64
import json
import unicodedata
from time import process_time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from domain.answer import AnswerWarning, Badge, BadgeColor, Customer, Field, Found, NotFound, Reading, read_answer
from domain.failure import Failure, FailureKind
from domain.secret import DOTS, Secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FAMILY = "👨‍👩‍👧‍👦"
BIDI_CONTROLS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"

INVALID_JSON = Failure(FailureKind.INVALID_JSON)
INVALID_RESPONSE = Failure(FailureKind.INVALID_RESPONSE)
EMPTY_BODY = Failure(FailureKind.EMPTY_BODY)


def found(members: str = "") -> bytes:
    """A found answer with further members, written as JSON."""
    return f'{{"found": true{members and ", "}{members}}}'.encode()


def read(members: str = "") -> Reading:
    reading = read_answer(found(members))
    assert isinstance(reading, Reading)
    return reading


def customer(members: str = "") -> Customer:
    answer = read(members).answer
    assert isinstance(answer, Found)
    return answer.customer


def warned(members: str) -> list[tuple[str, str]]:
    return [(warning.path, warning.received) for warning in read(members).warnings]


def texts_of(reading: Reading) -> list[str]:
    """Every text of a reading that is stored or shown."""
    texts = [text for warning in reading.warnings for text in (warning.path, warning.expected, warning.received)]
    match reading.answer:
        case Found(customer=known):
            texts += [text for text in (known.customer_id, known.name) if text is not None]
            texts += [known.badge.text] if known.badge else []
            texts += [text for line in known.fields for text in (line.key, line.value)]
        case NotFound():
            pass
    return texts


def characters(text: str) -> int:
    """As a person counts them: grapheme clusters."""
    return len(regex.findall(r"\X", text))


# What is an answer and what is none.


def test_a_whole_answer_is_read_as_it_is() -> None:
    body = json.dumps(
        {
            "found": True,
            "customer_id": "C-123",
            "name": "Jan Novák",
            "badge": "VIP",
            "badge_color": "green",
            "fields": {"Tarif": "Zlatý", "Od": "2019", "": "x"},
        }
    ).encode()

    assert read_answer(body) == Reading(
        Found(
            Customer(
                "C-123",
                "Jan Novák",
                Badge("VIP", BadgeColor.GREEN),
                (Field("Tarif", "Zlatý"), Field("Od", "2019"), Field("", "x")),
            )
        )
    )


def test_found_alone_is_an_answer() -> None:
    assert read_answer(b'{"found": true}') == Reading(Found(Customer()))


@pytest.mark.parametrize(
    "body",
    [
        b'{"found": false}',
        b'{"found":false,"name":"Jan","customer_id":{},"badge_color":"purple","fields":[1,2],"x":null}',
        b'\xef\xbb\xbf {"found": false}\r\n\t',
    ],
)
def test_not_found_ignores_every_other_member(body: bytes) -> None:
    assert read_answer(body) == Reading(NotFound())


def test_unknown_members_are_ignored() -> None:
    assert read('"Name": "Jan", "x": {"y": [null, {}]}, "__proto__": {"name": "Eva"}') == Reading(Found(Customer()))


def test_a_leading_byte_order_mark_is_tolerated() -> None:
    assert read_answer(b'\xef\xbb\xbf{"found": true, "name": "Jan"}') == read('"name": "Jan"')


@pytest.mark.parametrize(
    "body",
    [
        b"Not Found",
        b"<html></html>",
        b"{",
        b"{'found': true}",
        b'{"found": True}',
        b'{"found": true,}',
        b'{"found": true}}',
        b'{"found": true}{"found": true}',
        b'{"found": true} // yes',
        b'{"found": true, "name": "a\nb"}',
        b'{"found": true, "name": "\\x41"}',
        b'{"found": true, "customer_id": 01}',
        b'{"found": true, "customer_id": .5}',
        b'{"found": true, "customer_id": +1}',
        b'{"found": true, "customer_id": 0x10}',
        b'{"found": true, "name": NaN}',
        b'{"found": true, "x": [NaN]}',
        b'{"found": true, "name": Infinity}',
        b'{"found": false, "name": -Infinity}',
        b"NaN",
        b'{"found": true, "name": "Nov\xe1k"}',
        b'{"found": true, "name": "\xed\xa0\x80"}',
        b'{"found": true, "name": "\xc0\x80"}',
        b'\xef\xbb\xbf\xef\xbb\xbf{"found": true}',
        '{"found": true}'.encode("utf-16"),
        '{"found": true}'.encode("utf-16-be"),
        '{"found": true}'.encode("utf-32"),
        b'\x00{"found": true}',
        b'{"found": true}\x00',
    ],
)
def test_what_is_not_strict_json_in_utf_8_is_invalid_json(body: bytes) -> None:
    assert read_answer(body) == INVALID_JSON


@pytest.mark.parametrize(
    "body",
    [
        b'{"found": true, "found": true}',
        b'{"found": true, "found": false}',
        b'{"found": true, "name": "a", "n\\u0061me": "b"}',
        b'{"found": true, "fields": {"a": 1, "a": 2}}',
        b'{"found": true, "x": [{"y": {"a": 1, "a": 1}}]}',
        b'{"found": false, "x": 1, "x": 2}',
        b'[{"a": 1, "a": 1}]',
    ],
)
def test_duplicate_keys_at_any_depth_are_invalid_json(body: bytes) -> None:
    assert read_answer(body) == INVALID_JSON


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_nesting_may_be_32_deep_and_no_deeper(opening: str, closing: str) -> None:
    brackets = opening.count("[") + opening.count("{")
    nested = {depth: opening * (depth // brackets) + "1" + closing * (depth // brackets) for depth in (30, 32)}

    assert read_answer(f'{{"found": true, "x": {nested[30]}}}'.encode()) == Reading(Found(Customer()))
    assert read_answer(f'{{"found": true, "x": [{nested[30]}]}}'.encode()) == Reading(Found(Customer()))
    assert read_answer(f'{{"found": true, "x": [[{nested[30]}]]}}'.encode()) == INVALID_JSON
    assert read_answer(f'{{"found": false, "x": [{nested[32]}]}}'.encode()) == INVALID_JSON
    assert read_answer(nested[32].encode()) == INVALID_RESPONSE
    assert read_answer(f"[{nested[32]}]".encode()) == INVALID_JSON


@pytest.mark.parametrize("name", ["[" * 100, "{" * 100, '\\"' + "[" * 100, "\\\\", "]" * 100, '[\\\\\\"[' * 40])
def test_brackets_in_a_text_are_no_nesting(name: str) -> None:
    assert customer(f'"name": "{name}", "x": [[1], {{"y": "{name}"}}]').name == json.loads(f'"{name}"')[:200]


def test_many_brackets_side_by_side_are_no_nesting() -> None:
    assert read(f'"x": [{"[], {}, " * 100}1]') == Reading(Found(Customer()))


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"true",
        b"1",
        b'"found"',
        b"[]",
        b'[{"found": true}]',
        b"{}",
        b'{"Found": true}',
        b'{"name": "Jan"}',
        b'{"found": null}',
        b'{"found": "true"}',
        b'{"found": "false"}',
        b'{"found": 1}',
        b'{"found": 0}',
        b'{"found": [true]}',
        b'{"found": {"found": true}}',
        b'{"found": ""}',
        b'{"result": {"found": true}}',
    ],
)
def test_json_without_a_boolean_found_is_an_invalid_response(body: bytes) -> None:
    assert read_answer(body) == INVALID_RESPONSE


@pytest.mark.parametrize("body", [b"", b" ", b"\r\n\t ", b"\xef\xbb\xbf"])
def test_a_body_of_nothing_is_empty(body: bytes) -> None:
    assert read_answer(body) == EMPTY_BODY


def test_the_json_test_suite_is_read_as_it_says(corpora: Path) -> None:
    wrong = []
    for file in sorted((corpora / "json" / "test_parsing").glob("*.json")):
        outcome = read_answer(file.read_bytes())
        match file.name[:2]:
            case "y_":
                expected = INVALID_JSON if "duplicated_key" in file.name else INVALID_RESPONSE
                as_it_says = outcome == expected
            case "n_":
                as_it_says = outcome in {INVALID_JSON, EMPTY_BODY}
            case _:
                as_it_says = outcome in {INVALID_JSON, INVALID_RESPONSE}
        if not as_it_says:
            wrong.append((file.name, outcome))

    assert wrong == []


def test_the_json_test_suite_inside_an_answer_is_read_as_it_says(corpora: Path) -> None:
    wrong = []
    for file in sorted((corpora / "json" / "test_parsing").glob("[yn]_*.json")):
        if len(content := file.read_bytes()) > 64 * 1024 or content[:3] == b"\xef\xbb\xbf":
            continue
        outcome = read_answer(b'{"found": true, "x":\n' + content + b"\n}")
        valid = file.name.startswith("y_") and "duplicated_key" not in file.name
        injected = outcome != INVALID_JSON and b"}" in content  # what closes our object early may well be valid
        if outcome != (Reading(Found(Customer())) if valid else INVALID_JSON) and not injected:
            wrong.append((file.name, outcome))

    assert wrong == []


# Repairs, and which of them warn.


@pytest.mark.parametrize(
    "number",
    [
        "12345",
        "0",
        "-0",
        "1.0",
        "0.10",
        "1e5",
        "1E+2",
        "-1.5e-10",
        "1e400",
        "-1E999",
        "123456789012345678901234567890",
        "9" * 255,
    ],
)
@pytest.mark.parametrize("member", ["customer_id", "name"])
def test_a_number_becomes_its_text_as_written(member: str, number: str) -> None:
    assert getattr(customer(f'"{member}": {number}'), member) == number[: 255 if member == "customer_id" else 200]


@pytest.mark.parametrize("literal", ["true", "false", "7", "7.50"])
def test_numbers_and_booleans_become_texts_everywhere(literal: str) -> None:
    members = f'"customer_id": {literal}, "name": {literal}, "badge": {literal}, "fields": {{"a": {literal}}}'

    assert customer(members) == Customer(literal, literal, Badge(literal, BadgeColor.GRAY), (Field("a", literal),))
    type_name = "boolean" if literal.isalpha() else "number"
    assert warned(members) == [(path, f"{type_name} {literal}") for path in ("customer_id", "name", "badge", "fields.a")]


@pytest.mark.parametrize(("nested", "type_name"), [("{}", "object"), ('{"a": "b"}', "object"), ("[]", "array"), ("[1]", "array")])
def test_nested_values_are_dropped_with_a_warning(nested: str, type_name: str) -> None:
    members = f'"customer_id": {nested}, "name": {nested}, "badge": {nested}, "fields": {{"a": {nested}, "b": "x"}}'

    assert customer(members) == Customer(fields=(Field("b", "x"),))
    assert warned(members) == [(path, type_name) for path in ("customer_id", "name", "badge", "fields.a")]


@pytest.mark.parametrize("nothing", ["null", '""'])
def test_null_and_the_empty_text_count_as_absent_without_a_warning(nothing: str) -> None:
    members = f'"customer_id": {nothing}, "name": {nothing}, "badge": {nothing}, "badge_color": {nothing}, "fields": {nothing}'

    assert read(members) == Reading(Found(Customer()))


def test_a_null_field_value_is_dropped_with_a_warning_and_an_empty_one_without() -> None:
    members = '"fields": {"a": null, "b": "", "c": "x"}'

    assert customer(members).fields == (Field("c", "x"),)
    assert warned(members) == [("fields.a", "null")]


@pytest.mark.parametrize("color", BadgeColor)
@pytest.mark.parametrize("spell", [str.upper, str.lower, str.title, str.swapcase])
def test_a_colour_may_be_written_in_any_letter_case(color: BadgeColor, spell: Callable[[str], str]) -> None:
    members = f'"badge": "VIP", "badge_color": "{spell(color.value.title())}"'

    assert customer(members).badge == Badge("VIP", color)
    assert warned(members) == []


def test_a_missing_colour_is_gray_without_a_warning() -> None:
    assert read('"badge": "VIP"') == Reading(Found(Customer(badge=Badge("VIP", BadgeColor.GRAY))))


@pytest.mark.parametrize(
    ("color", "received"),
    [
        ('"purple"', "string purple"),
        ('"grey"', "string grey"),
        ('" green "', "string  green "),
        ('"red;background:url()"', "string red;background:url()"),
        ("5", "number 5"),
        ("true", "boolean true"),
        ('["red"]', "array"),
        ('{"red": 1}', "object"),
    ],
)
def test_an_unknown_colour_is_gray_with_a_warning(color: str, received: str) -> None:
    members = f'"badge": "VIP", "badge_color": {color}'

    assert customer(members).badge == Badge("VIP", BadgeColor.GRAY)
    assert warned(members) == [("badge_color", received)]


def test_a_colour_without_a_badge_is_no_badge() -> None:
    assert read('"badge_color": "red"') == Reading(Found(Customer()))


@pytest.mark.parametrize("character", ["a", "ž", "🐎", FAMILY, "e\u0301", "🇨🇿"])
@pytest.mark.parametrize(
    ("member", "path", "limit"),
    [
        ('"name": "{}"', "name", 200),
        ('"badge": "{}"', "badge", 30),
        ('"fields": {"{}": "x"}', "fields.", 60),
        ('"fields": {"a": "{}"}', "fields.a", 500),
    ],
)
def test_a_text_is_cut_at_its_limit_of_characters_with_a_warning(member: str, path: str, limit: int, character: str) -> None:
    whole, longer = (read(member.replace("{}", character * count)) for count in (limit, limit + 1))

    assert longer.answer == whole.answer
    assert character * limit in texts_of(whole)
    assert whole.warnings == ()
    assert len(longer.warnings) == 1
    assert longer.warnings[0].path.startswith(path)
    assert str(limit) in longer.warnings[0].expected


def test_a_customer_id_over_255_characters_is_dropped_with_a_warning() -> None:
    assert customer(f'"customer_id": "{"a" * 255}"').customer_id == "a" * 255
    assert warned(f'"customer_id": "{"a" * 255}"') == []
    assert customer(f'"customer_id": "{"a" * 256}"').customer_id is None
    assert warned(f'"customer_id": "{"a" * 256}"') == [("customer_id", f"string {'a' * 100}…")]
    assert customer(f'"customer_id": {"9" * 256}').customer_id is None


def test_of_what_is_left_the_first_five_fields_stay_in_their_order() -> None:
    good = '"z": "1", "dropped": null, "y": "2", "empty": "", "x": "3", "nested": [], "w": "4", "v": "5"'
    members = f'"fields": {{{good}, "u": "6", "t": 7}}'

    assert customer(members).fields == tuple(Field(key, value) for key, value in zip("zyxwv", "12345", strict=True))
    assert warned(members) == [
        ("fields.dropped", "null"),
        ("fields.nested", "array"),
        ("fields.t", "number 7"),
        ("fields", "object of 7"),
    ]


def test_five_fields_are_not_too_many() -> None:
    members = '"fields": {"a": "1", "b": "2", "c": "3", "d": "4", "e": "5", "f": ""}'

    assert len(customer(members).fields) == 5
    assert warned(members) == []


@pytest.mark.parametrize("fields", ["[]", "{}", "null"])
def test_no_fields_may_be_written_in_many_ways(fields: str) -> None:
    assert read(f'"fields": {fields}') == Reading(Found(Customer()))


@pytest.mark.parametrize(
    ("fields", "received"),
    [('["a"]', "array"), ("[[]]", "array"), ('"a"', "string a"), ("5", "number 5"), ("false", "boolean false")],
)
def test_fields_that_are_no_object_are_dropped_with_a_warning(fields: str, received: str) -> None:
    assert customer(f'"fields": {fields}') == Customer()
    assert warned(f'"fields": {fields}') == [("fields", received)]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("a\\u0000b", "a\ufffdb"),
        ("a\\ud83db", "a\ufffdb"),
        ("\\ude00\\ud83d", "\ufffd\ufffd"),
        ("\\ud83d\\u200e\\ude00", "\ufffd\ufffd"),
        ("a\\u202eb", "ab"),
        *((f"a{control}b", "ab") for control in BIDI_CONTROLS),
    ],
)
def test_nul_surrogates_and_bidirectional_controls_never_come_through(written: str, shown: str) -> None:
    members = f'"customer_id": "{written}", "name": "{written}", "badge": "{written}", "fields": {{"{written}": "{written}"}}'

    assert customer(members) == Customer(shown, shown, Badge(shown, BadgeColor.GRAY), (Field(shown, shown),))
    assert [path for path, _ in warned(members)] == ["customer_id", "name", "badge", f"fields.{shown}", f"fields.{shown}"]
    assert {received for _, received in warned(members)} == {f"string {shown}"}


@pytest.mark.parametrize("text", ["\\ud83d\\ude00", "😀", "a\\nb", "\u200b", "\ufeff", "\u00ad", "\\u0001", "<script>", FAMILY])
def test_any_other_character_is_kept_without_a_warning(text: str) -> None:
    assert customer(f'"name": "{text}"').name == json.loads(f'"{text}"')
    assert warned(f'"name": "{text}"') == []


def test_a_text_of_controls_alone_is_absent() -> None:
    members = '"customer_id": "\\u202e", "name": "\\u200f", "badge": "\\u2066", "fields": {"a": "\\u2069"}'

    assert customer(members) == Customer()
    assert [path for path, _ in warned(members)] == ["customer_id", "name", "badge", "fields.a"]


def test_a_warning_says_what_was_expected() -> None:
    assert read('"name": 5').warnings == (AnswerWarning("name", "a text", "number", "5"),)


def test_a_warning_shows_a_short_piece_of_what_came() -> None:
    assert warned(f'"badge_color": "{"a" * 100}"') == [("badge_color", f"string {'a' * 100}")]
    assert warned(f'"badge_color": "{"a" * 101}"') == [("badge_color", f"string {'a' * 100}…")]


def test_an_answer_of_nothing_but_repairs_lists_a_hundred_and_counts_the_rest() -> None:
    broken = json.dumps({"found": True, "badge_color": 1, "fields": {f"f{number}": number for number in range(5_000)}}).encode()

    reading = read_answer(broken)

    assert isinstance(reading, Reading)
    assert len(reading.warnings) == 102
    assert reading.warnings[99].path == "fields.f98"
    assert [warning.received for warning in reading.warnings[100:]] == ["object of 5000", "object with 4901 more"]


# Where results are not logged.


@pytest.mark.parametrize(
    ("members", "path", "received"),
    [
        ('"customer_id": 5', "customer_id", "number"),
        ('"name": true', "name", "boolean"),
        ('"badge": ["☃"]', "badge", "array"),
        ('"badge_color": "☃"', "badge_color", "string"),
        ('"fields": {"a": "b", "☃": null}', "fields[1]", "null"),
        ('"fields": {"☃": {"☃": "☃"}}', "fields[0]", "object"),
        ('"fields": {"a": "☃\\u202e"}', "fields[0]", "string"),
        (f'"fields": {{"{"☃" * 61}": "x"}}', "fields[0]", "string"),
        ('"fields": "☃"', "fields", "string"),
        ('"fields": {"a": "1", "b": "1", "c": "1", "d": "1", "e": "1", "f": "1"}', "fields", "object"),
    ],
)
def test_unlogged_a_warning_names_the_type_alone(members: str, path: str, received: str) -> None:
    (warning,) = read(members).warnings

    assert (warning.unlogged().path, warning.unlogged().received) == (path, received)
    assert warning.unlogged().expected == warning.expected
    assert warning.unlogged().unlogged() == warning.unlogged()


marked_texts = st.text(st.sampled_from("☃ž\x00\u202e\ud800"), min_size=1) | st.text(st.just("☃"), min_size=61, max_size=502)
marked_values = st.recursive(
    marked_texts | st.sampled_from([987_654_321, 9.875, None, True]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(marked_texts, inner, max_size=8),
)
members_of_an_answer = st.sampled_from(["customer_id", "name", "badge", "badge_color", "fields"])


@given(st.dictionaries(members_of_an_answer, marked_values))
def test_unlogged_a_warning_holds_no_byte_of_the_response(members: dict[str, Any]) -> None:
    reading = read_answer(json.dumps({**members, "found": True}).encode())

    assert isinstance(reading, Reading)
    for warning in reading.warnings:
        unlogged = warning.unlogged()
        assert f"{unlogged.path}{unlogged.expected}{unlogged.received}".isascii()
        assert unlogged.received in {"null", "boolean", "number", "string", "array", "object"}
        assert not {"987", "9.8", "true"} & {unlogged.path, unlogged.expected}
        assert (unlogged.received_value, unlogged.anonymous_path) == (None, None)


# The secret.

SECRET = Secret("s3cr3t/k3y+%22")


@pytest.mark.parametrize("prefix", ["", "x" * 25, "x" * 95, "x" * 195, "x" * 250, "x" * 495])
@pytest.mark.parametrize(
    "echo",
    [
        SECRET.reveal(),
        quote(SECRET.reveal(), safe=""),
        base64.b64encode(SECRET.reveal().encode()).decode(),
        json.dumps(SECRET.reveal())[1:-1].replace("/", "\\/"),
        SECRET.reveal().replace("3", "3\u202e"),
    ],
)
@pytest.mark.parametrize(
    "member", ["customer_id", "name", "badge", "badge_color", "fields", "fields.a", "fields.null", "fields.nested"]
)
def test_no_piece_of_an_echoed_secret_is_in_what_was_read(member: str, echo: str, prefix: str) -> None:
    text = f"{prefix}{echo}"
    fields: dict[str, dict[str, Any]] = {
        "fields": {text: 1},
        "fields.a": {"a": text},
        "fields.null": {text: None},
        "fields.nested": {text: [text], "b": {text: text}},
    }
    members = {"fields": fields[member]} if member in fields else {member: text}

    reading = read_answer(json.dumps({"found": True, **members}).encode(), hide=SECRET.hide_in)

    assert isinstance(reading, Reading)
    assert not any(piece in shown for shown in texts_of(reading) for piece in (echo[:6], SECRET.reveal()[:6], "k3y"))


def test_an_echoed_secret_is_shown_as_dots() -> None:
    body = found(f'"customer_id": "{SECRET.reveal()}", "name": "Jan {SECRET.reveal()}", "badge_color": "{SECRET.reveal()}"')

    reading = read_answer(body, hide=SECRET.hide_in)

    assert isinstance(reading, Reading)
    assert reading.answer == Found(Customer(customer_id=DOTS, name=f"Jan {DOTS}"))
    assert reading.warnings[0].received == f"string {DOTS}"


def test_a_secret_of_digits_is_hidden_in_a_number_too() -> None:
    reading = read_answer(found('"customer_id": 1234567890'), hide=Secret("1234567890").hide_in)

    assert isinstance(reading, Reading)
    assert reading.answer == Found(Customer(customer_id=DOTS))
    assert reading.warnings[0].received == f"number {DOTS}"


# Whatever an endpoint sends.

any_text = st.text(st.characters())  # lone surrogates included
awkward_texts = st.sampled_from(["", "\x00", "\ud800", "\u202e", "é" * 300, FAMILY * 31, "a" * 600, "e\u0301" * 501, "[" * 40])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | any_text | awkward_texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text | awkward_texts, inner, max_size=8),
    max_leaves=12,
)
answers = st.fixed_dictionaries(
    {"found": st.sampled_from([True, True, True, False, 1, "true", None])},
    optional={
        "customer_id": json_values,
        "name": json_values,
        "badge": json_values,
        "badge_color": json_values | st.sampled_from(["red", "Green", "purple"]),
        "fields": json_values | st.dictionaries(any_text | awkward_texts, json_values, max_size=12),
        "more": json_values,
    },
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    body = bytearray(json.dumps(draw(answers), ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass"))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(body)))
        body[start : start + draw(st.integers(0, 8))] = draw(
            st.binary(max_size=4) | st.sampled_from([b'"', b"\\", b"{", b"NaN", b"\xff"])
        )
    return bytes(body)


def assert_sound(outcome: Reading | Failure) -> None:
    if isinstance(outcome, Failure):
        assert outcome in {INVALID_JSON, INVALID_RESPONSE, EMPTY_BODY}
        return
    texts = texts_of(outcome)
    assert all(type(text) is str for text in texts)
    for text in texts:
        assert text.encode().decode() == text
        assert "\x00" not in text
        assert not any(
            unicodedata.bidirectional(character) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
            for character in text
        )
        assert not set(text) & set(BIDI_CONTROLS)
    assert len(outcome.warnings) <= 102
    assert all(len(warning.path) <= 200 and len(warning.received) <= 200 for warning in outcome.warnings)
    match outcome.answer:
        case NotFound():
            assert outcome.warnings == ()
        case Found(customer=known):
            assert known.customer_id is None or 1 <= len(known.customer_id) <= 255
            assert known.name is None or 1 <= characters(known.name) <= 200
            assert known.badge is None or 1 <= characters(known.badge.text) <= 30
            assert len(known.fields) <= 5
            assert all(characters(line.key) <= 60 and 1 <= characters(line.value) <= 500 for line in known.fields)


@given(st.binary(max_size=200))
@example(b"}" * 50 + b"[" * 50)
@example(b'"\\')
def test_any_bytes_are_an_answer_or_a_documented_failure(body: bytes) -> None:
    assert_sound(read_answer(body))


@given(json_values | answers, st.booleans())
def test_any_json_is_an_answer_or_a_documented_failure(document: Any, ascii_only: bool) -> None:  # noqa: ANN401 - any JSON value
    body = json.dumps(document, ensure_ascii=ascii_only).encode(errors="surrogatepass")

    outcome = read_answer(body)

    assert_sound(outcome)
    is_answer = isinstance(document, dict) and isinstance(document.get("found"), bool)
    if ascii_only:
        assert isinstance(outcome, Reading) is is_answer


@given(mutated())
def test_any_broken_answer_is_an_answer_or_a_documented_failure(body: bytes) -> None:
    assert_sound(read_answer(body))
    assert_sound(read_answer(body, hide=SECRET.hide_in))


def test_naughty_strings_come_through_every_member(corpora: Path) -> None:
    naughty = [text for text in json.loads((corpora / "strings" / "blns.json").read_text(encoding="utf-8")) if text]

    for text in naughty:
        body = json.dumps(
            {"found": True, "customer_id": text, "name": text, "badge": text, "badge_color": text, "fields": {text: text}}
        )

        outcome = read_answer(body.encode())

        assert_sound(outcome)
        assert isinstance(outcome, Reading)
        assert isinstance(outcome.answer, Found)
        clean = "".join(character for character in text if character not in BIDI_CONTROLS)
        if characters(clean) <= 200:
            assert outcome.answer.customer.name == (clean or None)


@pytest.mark.parametrize(
    "members",
    [
        '"name": "' + "\\u0301" * 10_000 + '"',
        '"name": "' + "🇨" * 16_000 + '"',
        '"name": "' + "👩\u200d" * 9_000 + '"',
        '"name": "' + "क\u094d" * 10_000 + '"',
        '"name": "' + '\\"' * 30_000 + '"',
        '"name": "' + "\\\\" * 30_000,
        '"x": ' + "[" * 60_000,
        '"x": [' + "[]," * 20_000 + "1]",
        '"x": ' + "9" * 60_000,
        '"x": ' + "9" * 60_000 + "e" + "9" * 4_000,
        '"fields": {' + ", ".join(f'"{number:x}":{number}' for number in range(4_500)) + "}",
        '"fields": {' + ", ".join(f'"%{number:x}":"\\\\"' for number in range(4_500)) + "}",
    ],
    ids=lambda members: members[:24],
)
def test_64_kib_chosen_by_a_stranger_take_no_time(members: str) -> None:
    body = found(members)[: 64 * 1024]
    hide = Secret("x y" * 1365).hide_in

    began = process_time()
    assert_sound(read_answer(body, hide=hide))

    assert process_time() - began < 1
