"""Who stands in an address header (RFC 5322, 3.4, as real mail has it), read in linear time."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from domain.errors import InvalidAddress
from domain.identity import EmailAddress, email_address

_MARK = re.compile(r'=\?[^?\s]++\?[bq]\?[^?\s]*+\?=|\\.|[()<>",;:]|\s++|[^\\()<>",;:\s=]++|.', re.IGNORECASE | re.DOTALL)
_QUOTE_OR_ESCAPE = re.compile(r'"|\\(.)', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One entry of an address header: what stands for the address, and the name beside it, encoded words as they are."""

    address: str
    name: str

    def usable_address(self) -> EmailAddress | None:
        """The address in its one form, if it is one."""
        try:
            return email_address(self.address)
        except InvalidAddress:
            return None


def read_mailboxes(text: str) -> list[Mailbox]:
    """Every entry of an address list, the members of groups included.

    A quote or parenthesis that is never closed, as in ``Jan (home <jan@firma.cz>``, is an ordinary character.
    """
    marks = _MARK.findall(text)
    ordinary = ""
    while True:
        entries = _Entries(ordinary)
        for mark in marks:
            entries.take(mark)
        if not entries.unclosed:
            entries.end_entry()
            return entries.mailboxes
        ordinary += entries.unclosed


@dataclass(slots=True)
class _Entries:
    """Takes the marks and words of an address list one by one; ``ordinary`` marks mean nothing special."""

    ordinary: str
    mailboxes: list[Mailbox] = field(default_factory=list)
    words: list[list[str]] = field(default_factory=lambda: [[]])
    comment: list[str] = field(default_factory=list)
    angle: list[str] | None = None
    in_angle: bool = False
    in_quotes: bool = False
    depth: int = 0

    @property
    def unclosed(self) -> str:
        return '"' if self.in_quotes else "(" if self.depth else ""

    def take(self, mark: str) -> None:
        if self.depth or (mark == "(" and not self.in_quotes and mark not in self.ordinary):
            self._take_comment(mark)
        elif mark == '"' and mark not in self.ordinary:
            self.in_quotes = not self.in_quotes
            self._take_text(mark)
        elif self.in_quotes:
            self._take_text(mark)
        else:
            self._take_unquoted(mark)

    def _take_comment(self, mark: str) -> None:
        self.comment.append(mark)
        self.depth += (mark == "(") - (mark == ")")

    def _take_unquoted(self, mark: str) -> None:
        match mark:
            case "<":
                if self.angle:
                    self.end_entry()
                self.angle, self.in_angle = [], True
            case ">":
                self.in_angle = False
            case "," | ";" if not self.in_angle:
                self.end_entry()
            case ":" if not self.in_angle:
                self.words = [[]]  # what came before was the name of a group
            case _ if mark.isspace():
                self.words.append([])
            case _:
                self._take_text(mark)

    def _take_text(self, mark: str) -> None:
        if self.angle and not self.in_angle:
            self.end_entry()  # the comma is missing
        place = self.angle if self.in_angle and self.angle is not None else self.words[-1]
        place.append(mark)

    def end_entry(self) -> None:
        words = [word for word in map("".join, self.words) if word]
        if self.angle is None:
            address, words = _bare_address(words)
        else:
            address = _without_route("".join(self.angle))
        if address or words:
            self.mailboxes.append(Mailbox(address, _unquoted(" ".join(words)) or _unquoted("".join(self.comment)[1:-1])))
        self.words, self.comment, self.angle, self.in_angle = [[]], [], None, False


def _bare_address(words: list[str]) -> tuple[str, list[str]]:
    """The address among words without angle brackets, and what is left as a name."""
    for word in words:
        if "@" in word.strip("@") and not (word.startswith('"') and word.endswith('"')):
            return word, [other for other in words if other is not word]
    return "".join(words), []  # "jan @ firma.cz", RFC 5322, 4.4


def _without_route(address: str) -> str:
    """``@relay,@relay:jan@firma.cz`` without the way that the mail once took (RFC 5322, 4.4)."""
    return address.partition(":")[2] if address.startswith("@") else address


def _unquoted(phrase: str) -> str:
    return _QUOTE_OR_ESCAPE.sub(r"\1", phrase)
