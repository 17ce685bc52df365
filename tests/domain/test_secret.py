from __future__ import annotations

import base64
import copy
import json
import pickle
import string
from dataclasses import dataclass
from time import process_time
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from domain.secret import DOTS, Secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VALUE = 'k3y "of" C:\\crm/+?=% 100%41'


def base64_of(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def base64_for_urls_of(value: str) -> str:
    return base64.urlsafe_b64encode(value.encode()).decode()


def in_json(value: str) -> str:
    return json.dumps(value)[1:-1]


def in_php_json(value: str) -> str:
    return in_json(value).replace("/", "\\/")


PLAIN: dict[str, Callable[[str], str]] = {
    "plain": str,
    "base64": base64_of,
    "base64 unpadded": lambda value: base64_of(value).rstrip("="),
    "base64 for URLs": base64_for_urls_of,
    "base64 for URLs unpadded": lambda value: base64_for_urls_of(value).rstrip("="),
}
ESCAPED: dict[str, Callable[[str], str]] = {
    "percent": lambda value: quote(value, safe=""),
    "percent but for slashes": quote,
    "percent in lower case": lambda value: "".join(f"%{ord(character):02x}" for character in value),
    "form": quote_plus,
    "JSON": in_json,
    "JSON by PHP": in_php_json,
    "JSON by code points": lambda value: "".join(f"\\u{ord(character):04X}" for character in value),
    "JSON in JSON": lambda value: in_json(in_json(value)),
    "JSON in JSON by PHP": lambda value: in_php_json(in_php_json(value)),
    "percent in percent": lambda value: quote(quote(value, safe=""), safe=""),
    "percent in JSON": lambda value: in_php_json(quote(value)),
    "JSON in a form": lambda value: quote_plus(in_json(value)),
    "base64 in percent": lambda value: quote(base64_of(value), safe=""),
    "base64 in JSON by PHP": lambda value: in_php_json(base64_of(value)),
}
ECHOES = PLAIN | ESCAPED

header_values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=80).filter(
    lambda value: value == value.strip()
)
awkward_values = st.text(st.sampled_from('aA41%\\"/u+ =0b'), min_size=1, max_size=12).filter(lambda value: value == value.strip())
surroundings = st.text(st.characters(exclude_characters="%\\", codec="utf-8"), max_size=30)
letters_of_no_secret = st.text(st.sampled_from("ěščřžýáíé \n☃🐎•"), max_size=30)


@pytest.mark.parametrize("spell", ECHOES.values(), ids=ECHOES)
@pytest.mark.parametrize("value", [VALUE, "s3cret-key", "a", "ab", "abc", "~" * 4096, "two words", "Bearer eyJhbGciOi.J9/+"])
@pytest.mark.parametrize("frame", ["{}", "ř {}", "{} ě", "({})", "<{}><{}>", '{"•": "{}", "☃": "{}"}'])
def test_an_echo_of_the_secret_becomes_dots(frame: str, value: str, spell: Callable[[str], str]) -> None:
    assert Secret(value).hide_in(frame.replace("{}", spell(value))) == frame.replace("{}", DOTS)


@given(header_values | awkward_values, st.sampled_from([*ECHOES.values()]), letters_of_no_secret, letters_of_no_secret)
@example('p"%41', in_json, "", "")
@example("a\\\\b c", quote, "", "")
def test_an_echo_disappears_and_its_surroundings_stay(value: str, spell: Callable[[str], str], before: str, after: str) -> None:
    assert Secret(value).hide_in(before + spell(value) + after) == before + DOTS + after


@given(header_values | awkward_values, st.sampled_from([*PLAIN.values()]), st.text(), st.text())
@example("%41", str, "%", "")
@example("u0041", str, "\\", "")
def test_a_plain_echo_is_gone_wherever_it_stands(value: str, spell: Callable[[str], str], before: str, after: str) -> None:
    hidden = Secret(value).hide_in(before + spell(value) + after)

    assert all(echo(value) not in hidden for echo in PLAIN.values())
    assert DOTS in hidden


@given(header_values | awkward_values, st.sampled_from([*ESCAPED.values()]), surroundings, surroundings)
def test_an_escaped_echo_is_gone_wherever_it_stands(value: str, spell: Callable[[str], str], before: str, after: str) -> None:
    assume(len(spell(value)) > 1)

    hidden = Secret(value).hide_in(before + spell(value) + after)

    assert all(echo(value) not in hidden for echo in PLAIN.values())
    assert all(value not in reading for reading in (unquote(hidden), unquote(hidden.replace("+", " "))))


@given(header_values.filter(lambda value: len(value) > 3), st.sampled_from([*ECHOES.values()]))
def test_whoever_reads_the_hidden_body_as_json_finds_no_secret(value: str, spell: Callable[[str], str]) -> None:
    body = json.dumps({"found": True, "fields": {"ž": spell(value)}})

    hidden = Secret(value).hide_in(body)

    assert hidden.count(DOTS) >= 1
    assert value not in hidden


@given(
    st.sampled_from(["a1", "Zz9%", '0"\\']),
    st.text(st.characters(exclude_characters=string.ascii_letters + string.digits + "+/-_=")),
)
def test_a_text_without_an_echo_is_untouched(value: str, text: str) -> None:
    assert Secret(value).hide_in(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Jan Novák",
        "100 % of 5%",
        "%",
        "%4",
        "%zz",
        "\\",
        "\\u00",
        "\\uzzzz",
        '{"found": true, "name": "Jan \\"Honza\\" Nov\\u00e1k \\ud83d\\udc0e"}',
        "a%20b+c%2Fd",
        "\ud800",
        DOTS,
    ],
)
def test_an_ordinary_text_is_untouched(text: str) -> None:
    assert Secret("s3cret key").hide_in(text) == text


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "Basic", "Token", "ApiKey"])
def test_credentials_are_hidden_without_their_scheme_too(scheme: str) -> None:
    secret = Secret(f"{scheme} eyJhbGciOi.J9/+=")

    assert secret.hide_in("invalid token eyJhbGciOi.J9/+= (eyJhbGciOi.J9%2F%2B%3D)") == f"invalid token {DOTS} ({DOTS})"
    assert secret.hide_in(f"{scheme} is a scheme") == f"{scheme} is a scheme"


def test_a_short_word_after_a_scheme_is_no_secret_of_its_own() -> None:
    assert Secret("Token test").hide_in("a test of Token test") == f"a test of {DOTS}"


def test_a_secret_that_no_header_can_carry_hides_what_it_can() -> None:
    assert Secret("").hide_in("text") == "text"
    assert Secret("\ud800").hide_in("a\ud800b") == f"a{DOTS}b"
    assert Secret("č" * 3).hide_in("x ččč y") == f"x {DOTS} y"


def test_naughty_strings_hide_as_secrets_and_stay_as_texts(corpora: Path) -> None:
    naughty = [text for text in json.loads((corpora / "strings" / "blns.json").read_text(encoding="utf-8")) if text]

    shown = [text for text in naughty if text in Secret(text).hide_in(f"<{text}>")]
    changed = [text for text in naughty if Secret("s3cret-k3y").hide_in(text) != text]

    assert shown == []
    assert changed == []


@pytest.mark.parametrize(
    "value", ["a", "ab" * 20, "a" * 2047 + "b" + "a" * 2048, " ".join("a" * 2000), "%41" * 1000, '\\"' * 2000]
)
@pytest.mark.parametrize("piece", ["a", "b", "ab", "a ", "%41", "%2541", "\\u0061", "\\\\", '\\"', "%", "%4", "+", "\\", "YWFh"])
def test_a_text_chosen_by_a_stranger_takes_linear_time(value: str, piece: str) -> None:
    secret = Secret(value)
    hostile = piece * (256 * 1024 // len(piece))

    began = process_time()
    secret.hide_in(hostile)

    assert process_time() - began < 3


def test_many_short_texts_cost_little_with_the_longest_secret() -> None:
    secret = Secret("x" * 4096)

    began = process_time()
    for number in range(20_000):
        secret.hide_in(f"field {number}")

    assert process_time() - began < 2


@dataclass(frozen=True)
class Holder:
    secret: Secret


def test_a_secret_shows_as_dots() -> None:
    secret = Secret(VALUE)
    texts = [str(secret), repr(secret), f"{secret}", f"{secret!r}", repr(Holder(secret)), repr([secret]), str({secret: secret})]

    assert all(DOTS in text for text in texts)
    assert not any(VALUE in text or "k3y" in text for text in texts)


def test_the_dots_are_the_documented_ones() -> None:
    assert Secret("k3y").hide_in("k3y") == "•••"


def test_a_secret_reveals_itself_only_when_asked() -> None:
    assert Secret(VALUE).reveal() == VALUE


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_is_never_pickled(protocol: int) -> None:
    with pytest.raises(TypeError, match=r"^A secret is never pickled\.$"):
        pickle.dumps(Holder(Secret(VALUE)), protocol)


@pytest.mark.parametrize("slip", [copy.copy, copy.deepcopy, json.dumps, vars, "{:>10}".format])
def test_a_secret_slips_through_nothing(slip: Callable[[Secret], object]) -> None:
    with pytest.raises(TypeError) as refusal:
        slip(Secret(VALUE))

    assert "k3y" not in str(refusal.value)


def test_secrets_compare_by_value_and_with_nothing_else() -> None:
    assert Secret(VALUE) == Secret(VALUE)
    assert Secret(VALUE) != Secret("other")
    assert Secret(VALUE) != VALUE
    assert len({Secret(VALUE), Secret(VALUE), Secret("other")}) == 2
    assert hash(Secret(VALUE)) != hash(VALUE)


@pytest.mark.parametrize(
    "torn",
    [
        "tajne-heslo-12",
        base64.b64encode(b"tajne-heslo-123").decode()[:-2],
        "tajn%65-heslo-12",
        "".join(f"%{ord(character):02x}" for character in "tajne-heslo-12"),
        "tajn%65-heslo-1%3",
        r"tajn\u0065-heslo-12\u00",
    ],
)
def test_what_is_left_of_an_echo_at_a_torn_end_is_hidden(torn: str) -> None:
    assert Secret("tajne-heslo-123").hide_torn_end(f'{{"echo": "{torn}') == f'{{"echo": "{DOTS}'


@pytest.mark.parametrize("text", ["", "nothing of it", "100%", "tajne-h", "tajne-heslo-12 and more", "%6e%6f"])
def test_an_end_that_is_no_beginning_of_an_echo_stays(text: str) -> None:
    assert Secret("tajne-heslo-123").hide_torn_end(text) == text
