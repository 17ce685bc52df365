"""What the agent sees beside the ticket: one panel for each enabled connector."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, assert_never
from uuid import UUID, uuid5

from domain.answer import Badge, BadgeColor, Customer, Found, NotFound
from domain.deep_link import deep_link
from domain.failure import Failure, FailureKind
from domain.health import Paused
from domain.lookup import LookupStatus, Standing, status_of
from domain.words import Words

if TYPE_CHECKING:
    from domain.connector import Connector
    from domain.identity import ConnectorId, TicketId
    from domain.words import Locale

_UNKNOWN = Words(en="Unknown", cs="Neznámý")
_ERROR = Words(en="Error", cs="Chyba")
_TIMEOUT = Words(en="Timeout (3s)", cs="Timeout (3s)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One connector's knowledge of the requester, as it stands now."""

    id: UUID
    ticket_id: TicketId
    connector_id: ConnectorId
    connector_name: str
    newest: Found | NotFound | Failure | None
    """The newest outcome; None while there has been none."""
    customer: Customer | None
    """Of the last good answer: it stays when a later lookup fails."""
    deep_link: str | None
    refreshing: bool
    stale: bool
    paused: bool
    """Whether the endpoint is spared: until it answers again, tickets and views start nothing for it."""
    fetched_at: datetime | None
    expires_at: datetime | None

    @property
    def status(self) -> LookupStatus:
        """The newest outcome in one word."""
        return status_of(self.newest)

    @property
    def failure(self) -> Failure | None:
        """Why the newest lookup failed, if it did."""
        return self.newest if isinstance(self.newest, Failure) else None

    def badge(self, locale: Locale) -> Badge | None:
        """The customer's own badge, or our word for what happened."""
        match self.newest:
            case None:
                return None
            case Found(customer=customer):
                return customer.badge
            case NotFound():
                return Badge(_UNKNOWN.said_in(locale), BadgeColor.GRAY)
            case Failure(kind=FailureKind.TIMEOUT):
                return Badge(_TIMEOUT.said_in(locale), BadgeColor.YELLOW)
            case Failure():
                return Badge(_ERROR.said_in(locale), BadgeColor.RED)
            case _:
                assert_never(self.newest)


def compose_panel(ticket_id: TicketId, connector: Connector, standing: Standing) -> Panel:
    """The panel of this connector on this ticket; the query and the subscription both show what this returns."""
    stored = standing.answer
    customer = stored.answer.customer if stored and isinstance(stored.answer, Found) else None
    return Panel(
        id=uuid5(ticket_id, str(connector.id)),
        ticket_id=ticket_id,
        connector_id=connector.id,
        connector_name=connector.name,
        newest=standing.newest,
        customer=customer,
        deep_link=deep_link(connector.link_template, customer.customer_id) if customer else None,
        refreshing=standing.under_way,
        stale=standing.failure is not None and stored is not None,
        paused=isinstance(connector.health, Paused),
        fetched_at=stored.fetched_at if stored else None,
        expires_at=stored.expires_at(connector.cache_ttl) if stored else None,
    )
