"""What befell the announcements."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counts:
    """What an operator wants to see grow slowly, since the start of the process."""

    reconnects: int = 0
    """Connections made after one was lost."""
    resyncs: int = 0
    """Times that all who watch were told to look again."""
    dropped: int = 0
    """Announcements that found no room and were replaced by one RESYNC."""
