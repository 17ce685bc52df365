"""What a person reads stands in both languages, each written as its own."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from domain.credentials import why_not_rotated
from domain.failure import Failure, FailureKind
from domain.words import Locale, Words, czech_number

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
FAILURES = [Failure(kind, status) for kind in FailureKind for status in (401, 503)]


def sentences() -> Iterator[Words]:
    """Every sentence that a module of the domain or of the API holds, and those that are made for a failure."""
    for file in sorted([*ROOT.glob("domain/*.py"), *ROOT.glob("graph/*.py")]):
        held = vars(importlib.import_module(f"{file.parent.name}.{file.stem}")).values()
        for value in held:
            words = getattr(value, "words", value)
            if isinstance(words, Words) and words.en.endswith("."):
                yield words
    for failure in FAILURES:
        yield from (failure.words, why_not_rotated(failure))


SENTENCES = {words.en: words for words in sentences()}


def test_there_are_sentences() -> None:
    assert len(SENTENCES) > 60
    assert all(str(words) == words.en for words in SENTENCES.values())


@pytest.mark.parametrize("words", SENTENCES.values(), ids=SENTENCES)
def test_a_sentence_is_one_in_either_language(words: Words) -> None:
    english, czech = (words.said_in(locale) for locale in (Locale.EN, Locale.CS))

    assert czech != english
    for text in (english, czech):
        assert not text[0].islower()
        assert text.endswith(".")
        assert "  " not in text
        assert "None" not in text
    assert not re.search(r"\d,\d", czech)


@pytest.mark.parametrize("words", SENTENCES.values(), ids=SENTENCES)
def test_a_sentence_names_the_same_numbers_and_names_in_either_language(words: Words) -> None:
    numbers = [sorted(re.findall(r"\d+", re.sub(r"(?<=\d)[,\u00a0](?=\d)", "", text))) for text in (words.en, words.cs)]
    names = [
        set(re.findall(r"https?://|\{customer_id\}|X-Api-Key|HTTP|JSON|KiB|ASCII|IPv6", text)) for text in (words.en, words.cs)
    ]

    assert numbers[0] == numbers[1]
    assert names[0] - {"HTTP"} <= names[1]


def test_words_cannot_lack_a_language() -> None:
    with pytest.raises(TypeError):
        Words(en="Only English.")  # type: ignore[call-arg]


@pytest.mark.parametrize(("number", "text"), [(0, "0"), (999, "999"), (2048, "2\u00a0048"), (1_000_000, "1\u00a0000\u00a0000")])
def test_czech_numbers_are_grouped_by_a_space_that_does_not_break(number: int, text: str) -> None:
    assert czech_number(number) == text
