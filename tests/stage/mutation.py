"""Damage to mail, by chance that can be repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

_WORDS = (
    b"\0",
    b"\r",
    b"\n",
    b"\r\n\r\n",
    b"\r\n.\r\n",
    b'"',
    b"(",
    b"<",
    b"=?utf-8?q?",
    b"--",
    b"boundary=",
    b";",
    b"\xff",
    b"%00",
)


def damaged(raw: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """The message with bytes changed, a piece cut out or repeated, a dangerous word in it, or the end of another behind it."""
    start, end = sorted(chance.randrange(len(raw) + 1) for _ in range(2))
    match chance.randrange(6):
        case 0:
            return bytes(chance.randrange(256) if chance.random() < 0.02 else byte for byte in raw)
        case 1:
            return raw[:start] + raw[end:]
        case 2:
            return raw[:end] + raw[start:]
        case 3:
            return raw[:start] + chance.choice(_WORDS) * chance.choice((1, 2, 100)) + raw[start:]
        case 4:
            return raw[:start] + chance.choice(others)[start:]
        case _:
            lines = raw.splitlines(keepends=True)
            chance.shuffle(lines)
            return b"".join(lines)
