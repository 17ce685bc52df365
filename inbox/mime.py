"""The text of a mail's body, read by the standard library: only ever in a child process that may be killed.

The standard library is what the kept parsers for Python build on, and its ``compat32`` policy raises least on broken mail.
It can still recurse, spin and fill the memory, and so can a converter of HTML: hence the child process.
HTML is cleaned before it is converted, so that nothing a browser would run or fetch reaches the converter, let alone the text.
"""

from __future__ import annotations

import email
import re
from dataclasses import dataclass
from email.policy import compat32
from itertools import chain
from typing import TYPE_CHECKING, cast

import inscriptis
import nh3

from inbox.charset import decode

if TYPE_CHECKING:
    from email.message import Message

_MAX_TEXT = 1_000_000
_MAX_HTML = 250_000
_MAX_PARTS = 1000
_MAX_DEPTH = 20
_ENCODING = re.compile(r"[\w-]*")
_CLEANER = nh3.Cleaner(
    tags=nh3.ALLOWED_TAGS - {"area", "img", "map"},
    clean_content_tags={"iframe", "noscript", "object", "script", "style", "svg", "template", "title"},
    attributes={"*": {"style"}},
    filter_style_properties={"display", "white-space"},
    url_schemes=set(),
    link_rel=None,
)
"""Leaves what shapes a text, and of styles whether it is shown at all."""


@dataclass(frozen=True, slots=True)
class _Piece:
    html: bool
    text: str

    def plain(self) -> str:
        return inscriptis.get_text(_CLEANER.clean(self.text[:_MAX_HTML])) if self.html else self.text


def body_text(entity: bytes) -> str:
    """The text that a person is meant to read, from a MIME entity: plain parts before HTML, no attachments.

    Of very many texts the first thousand are read, of nested parts those down to the twentieth level.
    """
    message = email.message_from_bytes(entity, policy=compat32)
    text = "\n".join(piece.plain() for piece in _pieces(message)[:_MAX_PARTS])
    return text.replace("\r\n", "\n").replace("\r", "\n").strip("\n")[:_MAX_TEXT]


def _pieces(part: Message, depth: int = 0) -> list[_Piece]:
    if depth > _MAX_DEPTH:
        return []
    if part.get_content_maintype() == "multipart" and part.is_multipart():
        pieces = [_pieces(child, depth + 1) for child in cast("list[Message]", part.get_payload())]
        return _best(pieces) if part.get_content_subtype() == "alternative" else list(chain.from_iterable(pieces))
    if part.is_multipart() or _is_attachment(part):
        return []
    match part.get_content_type():
        case "text/html":
            return [_Piece(html=True, text=_text(part))]
        case "text/plain":
            return [_Piece(html=False, text=_text(part))]
        case kind if kind.startswith("multipart/"):  # without a boundary
            return [_Piece(html=False, text=_text(part))]
        case _:
            return []


def _best(alternatives: list[list[_Piece]]) -> list[_Piece]:
    """Of several forms of one text (RFC 2046, 5.1.4) the first plain one that says something, else the first that does."""
    speaking = [pieces for pieces in alternatives if any(piece.text.strip() for piece in pieces)]
    plain = [pieces for pieces in speaking if not all(piece.html for piece in pieces)]
    return next(chain(plain, speaking), [])


def _is_attachment(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or part.get_param("filename", header="content-disposition") is not None


def _text(part: Message) -> str:
    encoding = _ENCODING.match(str(part.get("content-transfer-encoding", "")).strip())
    del part["content-transfer-encoding"]
    part["content-transfer-encoding"] = encoding[0] if encoding else ""  # real mail says "quoted-printable; x" and "7bit (x)"
    payload = part.get_payload(decode=True)
    return decode(payload, part.get_content_charset()) if isinstance(payload, bytes) else ""
