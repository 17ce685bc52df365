"""What a rule can refuse.

DomainError
├── InvalidAddress
├── InvalidConnector   (carries every problem found)
└── SecretUnreadable
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from domain.words import Words


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with an input: ``field`` as the front end spells it, ``words`` for a person."""

    field: str
    words: Words


class DomainError(Exception):
    """A rule of the domain said no."""


class InvalidAddress(DomainError):
    """The text is not an email address that a requester or a support desk can have."""

    def __init__(self, words: Words) -> None:
        super().__init__(str(words))
        self.words = words


class InvalidConnector(DomainError):
    """The settings of a connector break at least one rule."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{problem.field}: {problem.words}" for problem in problems))
        self.problems = tuple(problems)


class SecretUnreadable(DomainError):
    """The stored secret cannot be opened with any key of the ring."""
