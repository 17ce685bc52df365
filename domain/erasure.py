"""Forgetting a requester: what a receipt says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """How many of each were removed for one address; no word of what they were."""

    answers: int
    """What connectors had said."""
    lookups: int
    """Entries of their logs, those under way included."""
    under_way: int
    """Lookups among them that had not ended: they will store nothing."""
    responses: int
    """Raw bodies among them."""
    names: int
    """Tickets and messages that bore the requester's name."""

    @property
    def anything(self) -> bool:
        """Whether there was anything to remove."""
        return any((self.answers, self.lookups, self.names))
