"""Bodies that an endpoint might send, made from a seed: answers, broken answers and what is neither."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

_MEMBERS = ("customer_id", "name", "badge", "badge_color", "fields", "more")
_FOUND = (True, True, True, True, False, 1, "true", None)
_SCALARS = (None, True, False, 0, -1, 7.5, 1e300, 10**40, "", "red", "Green", "..", "a" * 600, "e\u0301" * 300, "é" * 260)
_ALPHABETS: Final = (
    "abcdefghijklmnop qrstuvwxyz 0123456789",
    "ěščřžýáíé ĚŠČŘŽ ßøł",
    "\x00\x01\x1f\x7f\x85\u2028\ufeff\ufffe\uffff\ud800\udbff\udc00\udfff",
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069x",
    "👩\u200d🚀🇨🇿🏳\ufe0f\U0010ffff\U000e0001",
    "e\u0301\u0327\u0489\u200d\u0e33\u1100\u1161\u11a8",
    "<script>'\";--&amp;{customer_id}%00%n../\\",
    "日本語العربيةעברית",
)
_PIECES = (
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b'"',
        b"\\",
        b"\\u",
        b"\\ud800",
        b"\\u0000",
        b"\x00",
        b"\xff",
        b"\xc3",
        b"\xed\xa0\x80",
    ),
    *(b"\xef\xbb\xbf", b"NaN", b"-Infinity", b"1e999", b"0x1", b"01", b"-", b"//", b"null", b"true", b"[" * 33, b"9" * 400),
    *(b'"found":true,', b'"found":false,', b'"fields":{', b'"name":', b"\n", b" "),
)
_ENCODINGS = ("utf-16", "utf-16-le", "utf-32", "utf-8-sig", "latin-1", "cp1250")


def bodies(chance: Random, count: int) -> Iterator[bytes]:
    """So many of them, each at most 64 KiB and mostly small."""
    kinds = (_answer, _answer, _broken, _broken, _broken, _soup, _bytes, _elsewhere_encoded, _long)
    weights = (20, 10, 20, 10, 10, 15, 10, 5, 0.3)
    for kind in chance.choices(kinds, weights, k=count):
        yield kind(chance)[:65_536]


def _answer(chance: Random) -> bytes:
    document = {"found": chance.choice(_FOUND)} | {name: _value(chance) for name in _MEMBERS if chance.random() < 0.6}
    return json.dumps(document, ensure_ascii=chance.random() < 0.5).encode(errors="surrogatepass")


def _broken(chance: Random) -> bytes:
    body = bytearray(_answer(chance))
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(body) + 1)
        piece = chance.choice(_PIECES) if chance.random() < 0.7 else chance.randbytes(chance.randint(0, 4))
        body[start : start + chance.randint(0, 6)] = piece
    return bytes(body)


def _soup(chance: Random) -> bytes:
    return b"".join(chance.choices(_PIECES, k=chance.randint(0, 40)))


def _bytes(chance: Random) -> bytes:
    return chance.randbytes(chance.randint(0, 80))


def _elsewhere_encoded(chance: Random) -> bytes:
    return _answer(chance).decode(errors="replace").encode(chance.choice(_ENCODINGS), "replace")


def _long(chance: Random) -> bytes:
    fields = {_text(chance): _value(chance) for _ in range(chance.choice((100, 400, 2000)))}
    return json.dumps({"found": True, "name": _text(chance) * 500, "fields": fields}).encode(errors="surrogatepass")


def _value(chance: Random, depth: int = 3) -> Any:  # noqa: ANN401 - any JSON value
    match chance.random():
        case kind if kind < 0.4:
            return _text(chance)
        case kind if kind < 0.7 or not depth:
            return chance.choice(_SCALARS)
        case kind if kind < 0.95:
            return {_text(chance): _value(chance, depth - 1) for _ in range(chance.randint(0, 8))}
        case _:
            return [_value(chance, depth - 1) for _ in range(chance.randint(0, 3))]


def _text(chance: Random) -> str:
    alphabet = chance.choice(_ALPHABETS)
    return "".join(chance.choices(alphabet, k=chance.choice((0, 1, 3, 8, 8, 20, 31, 61))))
