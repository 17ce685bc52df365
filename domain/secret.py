"""A connector's secret: shown as dots, and hidden again where an endpoint echoes it."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Span = tuple[int, int]

DOTS: Final = "•••"

_LAYERS = 3  # of escapes: two that an endpoint puts around an echo, and the JSON of its answer
_MIN_TORN = 8
_TORN_ESCAPE = re.compile(r"(?:%[0-9a-fA-F]?|\\(?:u[0-9a-fA-F]{0,3})?)\Z")
_CREDENTIALS = re.compile(r"(?:apikey|basic|bearer|token) +(\S{8,})", re.IGNORECASE)


class Secret:
    """A value that prints, formats and compares without giving itself away.

    It refuses to be pickled, so that it cannot slip into a queue or a cache.
    """

    __slots__ = ("_echoes", "_spellings", "_value")

    def __init__(self, value: str) -> None:
        self._value = value
        self._echoes = _echoes_of(value)
        self._spellings = (_JSON, _PERCENT, _FORM) if " " in value else (_JSON, _PERCENT)

    def reveal(self) -> str:
        """The value itself, for the one header that carries it and the cipher that stores it."""
        return self._value

    def hide_in(self, text: str) -> str:
        """Replace the secret in ``text`` by dots: plain, base64 and percent-encoded, JSON escapes included.

        Of "Bearer abc…" the part after the scheme is hidden alone, too.
        Linear in the length of ``text``, because strangers choose it.
        """
        return hide_all((self,), text)

    def hide_torn_end(self, text: str) -> str:
        """Hide what is left of an echo at the end of a text that was cut off, from eight characters on."""
        return hide_torn_ends((self,), text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __repr__(self) -> str:
        return f"Secret({DOTS})"

    def __str__(self) -> str:
        return DOTS

    def __reduce__(self) -> str:
        raise TypeError("A secret is never pickled.")


def hide_all(secrets: Iterable[Secret], text: str) -> str:
    """Replace every one of the secrets in ``text`` by dots, where they overlap, too."""
    return hiding(secrets)(text)


def hiding(secrets: Iterable[Secret]) -> Callable[[str], str]:
    """The same for many texts: what is looked for is made out once."""
    traces = _Traces.of(secrets)
    if not traces.echoes:
        return str

    def hide(text: str) -> str:
        if traces.plainly_absent(text):
            return text
        pieces, rest = [], 0
        for start, end in _merged(traces.spans(text, _LAYERS)):
            pieces += [text[rest:start], DOTS]
            rest = end
        return "".join([*pieces, text[rest:]])

    return hide


def hide_torn_ends(secrets: Iterable[Secret], text: str) -> str:
    """Hide what is left of an echo of any of the secrets at the end of a text that was cut off."""
    whole = _TORN_ESCAPE.sub("", text)
    starts = [*_Traces.of(secrets).torn_starts(whole)]
    return f"{whole[: min(starts)]}{DOTS}" if starts else text


@dataclass(frozen=True, slots=True)
class _Spelling:
    """A way to write one character as several."""

    escape: re.Pattern[str]
    unit: re.Pattern[str]

    @classmethod
    def of(cls, escape: str) -> _Spelling:
        return cls(re.compile(escape), re.compile(f"{escape}|.", re.DOTALL))

    def read(self, text: str) -> str:
        return self.escape.sub(_character, text)

    def positions(self, text: str) -> list[int]:
        """Where in ``text`` each character of what is read begins, and where the last one ends."""
        return [0, *accumulate(map(len, self.unit.findall(text)))]


@dataclass(frozen=True, slots=True)
class _Traces:
    """All that is looked for in a text at once: undoing its escapes takes longer than searching it."""

    echoes: tuple[str, ...]
    spellings: tuple[_Spelling, ...]

    @classmethod
    def of(cls, secrets: Iterable[Secret]) -> _Traces:
        known = tuple(secrets)
        echoes = dict.fromkeys(echo for secret in known for echo in secret._echoes)  # noqa: SLF001 - of this file
        spellings = dict.fromkeys(spelling for secret in known for spelling in secret._spellings)  # noqa: SLF001 - of this file
        return cls(tuple(echoes), tuple(spellings))

    def plainly_absent(self, text: str) -> bool:
        """Whether one look is enough: nothing in ``text`` is escaped, and no secret stands there."""
        for sign in (*_BEGIN_ESCAPES, *self.echoes):  # noqa: SIM110 - a generator takes five times as long
            if sign in text:
                return False
        return True

    def spans(self, text: str, layers: int) -> Iterator[Span]:
        """Where the secrets stand, under so many layers of escapes."""
        for echo in self.echoes:
            yield from _occurrences(echo, text)
        for spelling in self.spellings if layers else ():
            plain = spelling.read(text)
            if plain != text and (found := [*self.spans(plain, layers - 1)]):
                source = spelling.positions(text)
                yield from ((source[start], source[end]) for start, end in found)

    def torn_starts(self, text: str) -> Iterator[int]:
        """Where what is left of one at the end of the text may begin."""
        yield from _torn(self.echoes, text)
        for spelling in self.spellings:
            plain = spelling.read(text)
            if plain != text:
                source = spelling.positions(text)
                yield from (source[start] for start in _torn(self.echoes, plain))


_BEGIN_ESCAPES: Final = ("\\", "%", "+")
_JSON = _Spelling.of(r'\\u[0-9a-fA-F]{4}|\\["\\/]')
_PERCENT = _Spelling.of(r"%[0-9a-fA-F]{2}")
_FORM = _Spelling.of(r"%[0-9a-fA-F]{2}|\+")


def _character(escape: re.Match[str]) -> str:
    match len(escape[0]):
        case 1:
            return " "
        case 2:
            return escape[0][1]
        case _:
            return chr(int(escape[0].lstrip("%\\u"), 16))


def _echoes_of(value: str) -> tuple[str, ...]:
    """Every spelling to look for: the value and its credentials, plain and in both alphabets of base64."""
    echoes = []
    for text in (value, *_CREDENTIALS.findall(value)):
        raw = text.encode(errors="surrogatepass")
        padded = [base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()]
        echoes += [text, *padded, *(form.rstrip("=") for form in padded)]
    return tuple(dict.fromkeys(filter(None, echoes)))


def _occurrences(echo: str, text: str) -> Iterator[Span]:
    start = text.find(echo)
    while start >= 0:
        end = start + len(echo)
        yield start, end
        start = text.find(echo, end)


def _torn(echoes: Iterable[str], text: str) -> Iterator[int]:
    """Where the beginnings of echoes start with which the text ends."""
    for echo in echoes:
        for length in range(len(echo) - 1, _MIN_TORN - 1, -1):
            if text.endswith(echo[:length]):
                yield len(text) - length
                break


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
