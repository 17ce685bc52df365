"""The panels of this process, each made once for as long as what it shows does not change."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from domain.panel import compose_panel
from graph.types import CrmPanel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from domain.identity import TicketId
    from persistence.answers import ConnectorStanding


class Panels:
    """Panels by what is known of (ticket, connector): persistence gives the same object for the same knowledge."""

    def __init__(self, help_url: str) -> None:
        self._help_url = help_url
        self._made: WeakKeyDictionary[ConnectorStanding, CrmPanel] = WeakKeyDictionary()

    def of(self, ticket_id: TicketId, standings: Iterable[ConnectorStanding]) -> list[CrmPanel]:
        """A ticket's panels, in the order of what is known."""
        return [self._panel(ticket_id, known) for known in standings]

    def _panel(self, ticket_id: TicketId, known: ConnectorStanding) -> CrmPanel:
        panel = self._made.get(known)
        if panel is None or panel.source.ticket_id != ticket_id:
            panel = CrmPanel.of(compose_panel(ticket_id, known.connector, known.standing), self._help_url)
            self._made[known] = panel
        return panel
