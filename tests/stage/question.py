"""What an endpoint is asked where nobody cares about whom."""

from __future__ import annotations

from uuid import UUID

from domain.identity import EmailAddress, TicketId, WorkspaceId
from lookups.question import Question


def question(url: str) -> Question:
    """A question without credentials."""
    return Question(
        url=url,
        header_name=None,
        secret=None,
        email=EmailAddress("jan@firma.cz"),
        ticket_id=TicketId(UUID(int=1)),
        workspace_id=WorkspaceId(UUID(int=2)),
    )
