"""A message while it comes in, after DATA (RFC 5321, 4.1.1.4): in one piece of memory, however many lines it has."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from inbox.limits import MAX_BYTES

if TYPE_CHECKING:
    from inbox.limits import DoorLimits

_NEW_LINE: Final = b"\r\n"
_END: Final = b"\r\n.\r\n"


class Incoming:
    """What has come of a message, until when it may go on, and how quickly it comes; moments are the loop's, in seconds."""

    def __init__(self, limits: DoorLimits, now: float) -> None:
        self._bytes_per_second = limits.bytes_per_second
        self._silence = limits.silence.total_seconds()
        self._content = bytearray(_NEW_LINE)  # the end may come at once, and a dot begin the first line
        self._received = 0
        self._lately = 0.0
        self._at = now
        self.due = now + self._silence
        self.too_large = False
        self.whole = False

    @property
    def size(self) -> int:
        """How many bytes are kept of it."""
        return len(self._content) - len(_NEW_LINE)

    @property
    def in_pace(self) -> bool:
        """Whether it was as quick as it has to be when the last piece came."""
        return self.due == self._at + self._silence

    def pace(self, now: float) -> float:
        """How much came lately: a byte counts half as much with each second that passes."""
        return self._lately * math.pow(0.5, now - self._at)

    def take(self, piece: bytes, now: float) -> bytes:
        """Add a piece; what comes after the end is not the message's and given back.

        Each byte gives it time at the slowest pace, but never more than for one silence, and none beyond the largest message:
        nobody sends much at once in order to hold it for long.
        """
        gained = min(self._received + len(piece), MAX_BYTES) - min(self._received, MAX_BYTES)
        self._received += len(piece)
        self._lately = self.pace(now) + len(piece)
        self._at = now
        self.due = min(self.due + gained / self._bytes_per_second, now + self._silence)
        return self._add(piece)

    def _add(self, piece: bytes) -> bytes:
        begin = max(len(self._content) - len(_END) + 1, 0)
        self._content += piece
        end = self._content.find(_END, begin)
        self.whole = end >= 0
        after = bytes(self._content[end + len(_END) :]) if self.whole else b""
        if self.whole:
            del self._content[end + len(_NEW_LINE) :]
        if self.size > MAX_BYTES + (0 if self.whole else len(_END)):
            self.too_large = True
            del self._content[: -len(_END)]
        return after

    def content(self) -> bytes:
        """The message as it was before dots were doubled (RFC 5321, 4.5.2)."""
        return bytes(self._content.replace(b"\r\n.", _NEW_LINE)[len(_NEW_LINE) :])
