"""What a client may take of the mail door, and for how long: more than any honest mail server asks for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

MAX_BYTES: Final = 25 * 1024 * 1024
MAX_RECIPIENTS: Final = 100
MAX_COMMAND: Final = 2048
"""Bytes of a command line; RFC 5321, 4.5.3.1.4 asks for 512, and extensions for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorLimits:
    """Whoever exceeds one of these gets 421 and may come again: no mail is lost by them."""

    connections: int = 500
    connections_per_client: int = 200
    """From one address; Postfix opens 20 to one destination."""
    spared: timedelta = timedelta(seconds=10)
    """Who has begun no message for so long makes room when the door is crowded."""
    errors: int = 100
    """Refusals in a row, without a message between them."""
    idle: timedelta = timedelta(minutes=5)
    """From one command to the end of the next (RFC 5321, 4.5.3.2.7)."""
    silence: timedelta = timedelta(minutes=3)
    """Between two pieces of a message (RFC 5321, 4.5.3.2.5)."""
    bytes_per_second: int = 10 * 1024
    """Of a message; one that falls behind this by ``silence`` is over, so that the largest may take three quarters of an hour."""
    bytes_under_way: int = 256 * 1024 * 1024
    """Of all messages that are being received; a client may have as much of it as is left for others, so that some always is."""

    @property
    def bytes_spared(self) -> int:
        """A message below this size, its share if all connections were busy, never makes room for another: half a MiB."""
        return self.bytes_under_way // self.connections
