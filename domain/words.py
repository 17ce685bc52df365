"""What a person reads, in every language of ours: a sentence cannot be made in one alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never


class Locale(StrEnum):
    """The languages of our own words."""

    CS = "CS"
    EN = "EN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The same in each language; English goes into logs and exceptions."""

    en: str
    cs: str

    def said_in(self, locale: Locale) -> str:
        """The text in this language."""
        match locale:
            case Locale.EN:
                return self.en
            case Locale.CS:
                return self.cs
            case _:
                assert_never(locale)

    def __str__(self) -> str:
        return self.en


def czech_number(number: int) -> str:
    """Digits in groups of three with a space that does not break, as Czech sets them (ČSN 01 6910)."""
    return f"{number:,}".replace(",", "\u00a0")
