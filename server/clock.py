"""The clock of the machine."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The time, for everything that is handed it."""
    return datetime.now(UTC)
