"""The header of a mail, read in linear time by rules that no input can break.

The standard library's readers recurse on nested comments and are quadratic on folded encoded words. Reading the header
without them gives a mail the same sender and subject whether or not its body can be read.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Self

from inbox.charset import decode

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_HEADER = 1 << 20
_MAX_VALUE = 1 << 16
_FIELD = re.compile(rb"^([!-9;-~]++)[ \t]*+:(.*+(?:\n[ \t].*+)*+)", re.MULTILINE)  # RFC 5322, 2.2 and 2.2.3
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_WORD = re.compile(r"=\?([^?*\s]++)(?:\*[^?\s]*+)?\?([bq])\?([^?]*+)\?=", re.IGNORECASE)  # RFC 2047, 2; RFC 2231, 5
_WORDS = re.compile(rf"{_WORD.pattern}(?:\s*+{_WORD.pattern})*+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Headers:
    """The fields of a header by lower-case name, unfolded, in their order; empty ones are left out."""

    fields: dict[str, list[bytes]]

    @classmethod
    def read(cls, block: bytes) -> Self:
        """Read what is a field or continues one and pass over any other line; nothing is read beyond 1 MiB."""
        fields: dict[str, list[bytes]] = {}
        for name, folded in _FIELD.findall(block[:_MAX_HEADER]):
            if value := b" ".join(filter(None, (line.strip() for line in folded.split(b"\n")))):
                fields.setdefault(name.decode("ascii").lower(), []).append(value)
        return cls(fields)

    def first(self, name: str) -> bytes:
        """What the first field of this name says; nothing when there is none."""
        return next(iter(self.fields.get(name, ())), b"")

    def texts(self, name: str) -> list[str]:
        """What the fields of this name say, each at its first 65,536 characters; encoded words are left as they are."""
        return [decode(value, None)[:_MAX_VALUE] for value in self.fields.get(name, ())]

    def text(self, name: str) -> str:
        """The first of these texts; "" when there is none."""
        return next(iter(self.texts(name)), "")

    def listed(self, name: str) -> str:
        """All of these texts as one list, at its first 65,536 characters."""
        return ",".join(self.texts(name))[:_MAX_VALUE]


def split_message(raw: bytes) -> tuple[Headers, bytes]:
    """Header and body with all line endings as LF; a message whose first paragraph holds no field is all body."""
    text = raw.removeprefix(_BYTE_ORDER_MARK).lstrip().replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    block, _, body = text.partition(b"\n\n")
    headers = Headers.read(block)
    return headers, body if headers.fields else text


def decode_words(text: str) -> str:
    """The text with its encoded words decoded (RFC 2047); one that cannot be decoded stays as it is written."""
    return _WORDS.sub(lambda words: _decode_neighbours(_WORD.finditer(words[0])), text)


def _decode_neighbours(words: Iterable[re.Match[str]]) -> str:
    """Join words of one charset before decoding them: many mailers cut a character in two."""
    runs = [(charset, list(run)) for charset, run in groupby(words, key=lambda word: word[1].lower())]
    return "".join(_decode_run(charset, run) for charset, run in runs)


def _decode_run(charset: str, words: list[re.Match[str]]) -> str:
    try:
        return decode(b"".join(map(_content, words)), charset)
    except binascii.Error:
        return " ".join(word[0] for word in words)


def _content(word: re.Match[str]) -> bytes:
    data = word[3].encode("utf-8")
    return binascii.a2b_base64(data + b"==") if word[2] in "bB" else binascii.a2b_qp(data, header=True)
