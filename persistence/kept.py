"""What was read of late and need not be made again while its row holds the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persistence.standings import KeptStandings
from persistence.tickets import KeptTickets

if TYPE_CHECKING:
    from sqlalchemy import Dialect


class Kept:
    """One for each database, shared by its transactions."""

    def __init__(self, dialect: Dialect) -> None:
        self.tickets = KeptTickets(dialect)
        self.standings = KeptStandings(dialect, self.tickets)

    def forget(self) -> None:
        """Let go of every requester now: what keeps them is part of a cycle, which lives until some collection of garbage."""
        self.tickets.forget()
        self.standings.forget()
