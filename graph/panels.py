"""The panels and tickets that this process shows, each made once for as long as what it shows does not change."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from domain.panel import compose_panel
from graph.types import CrmPanel, Ticket

if TYPE_CHECKING:
    from collections.abc import Iterable

    from domain.identity import TicketId
    from persistence.standings import ConnectorStanding, KnownTicket


class Panels:
    """By what is known of (ticket, connector), and of a ticket: persistence gives the same object for the same knowledge."""

    def __init__(self, help_url: str) -> None:
        self._help_url = help_url
        self._made: WeakKeyDictionary[ConnectorStanding, CrmPanel] = WeakKeyDictionary()
        self._tickets: WeakKeyDictionary[KnownTicket, Ticket] = WeakKeyDictionary()

    def of(self, ticket_id: TicketId, standings: Iterable[ConnectorStanding]) -> list[CrmPanel]:
        """A ticket's panels, in the order of what is known."""
        return [self._panel(ticket_id, known) for known in standings]

    def ticket(self, known: KnownTicket) -> Ticket:
        """A ticket with its panels."""
        ticket = self._tickets.get(known)
        if ticket is None:
            ticket = Ticket.of(known.ticket, panels=self.of(known.ticket.id, known.standings))
            self._tickets[known] = ticket
        return ticket

    def _panel(self, ticket_id: TicketId, known: ConnectorStanding) -> CrmPanel:
        panel = self._made.get(known)
        if panel is None:
            panel = CrmPanel.of(compose_panel(ticket_id, known.connector, known.standing), self._help_url)
            self._made[known] = panel
        return panel
