"""How a lookup begins: a row in the transaction of whatever called for it, a ring of the bell after its commit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain.health import after_start, goes_first, may_start
from domain.lookup import Occasion, calls_for_lookup
from lookups.trace import here
from lookups.updates import TICKETS, log_topic, requester_topic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from domain.identity import ConnectorId
    from domain.ticket import Ticket
    from lookups.queue import Queue
    from lookups.updates import Updates
    from persistence.standings import ConnectorStanding
    from persistence.store import WorkspaceStore


@dataclass(frozen=True, slots=True)
class Requested:
    """The connectors that were asked, or are being asked already, about a ticket's requester; ``urgent`` if an agent waits."""

    ticket: Ticket
    connectors: Sequence[ConnectorId] = ()
    urgent: bool = False


def wanted(standings: Sequence[ConnectorStanding], occasion: Occasion, now: datetime) -> list[ConnectorStanding]:
    """The connectors that this occasion wants to ask and may; what is under way already is joined, paused or not."""
    return [
        known
        for known in standings
        if calls_for_lookup(occasion, known.standing, known.connector.cache_ttl, now)
        and (known.standing.under_way or may_start(known.connector.health, occasion.trigger, now))
    ]


async def request_lookups(
    store: WorkspaceStore, ticket: Ticket, occasion: Occasion, *, now: datetime, only: ConnectorId | None = None
) -> Requested:
    """Queue the lookups that the occasion calls for, in the caller's transaction; joins those under way.

    A paused endpoint's probe is given away in this transaction, beside which nobody writes in the workspace: there is one.
    """
    standings = (await store.standings.of([ticket.id]))[ticket.id]
    connectors = [known.connector for known in wanted(standings, occasion, now) if only in {None, known.connector.id}]
    if ticket.requester is not None:
        for connector in connectors:
            email, trigger = ticket.requester.email, occasion.trigger
            urgent = goes_first(connector.health, trigger, now)
            if await store.lookups.queue(connector.id, ticket.id, email, trigger, now, trace=here(), urgent=urgent):
                health = after_start(connector.health, trigger, now)
                if health != connector.health:
                    await store.connectors.save_health(connector.id, health)
    return Requested(ticket, [connector.id for connector in connectors], urgent=occasion.trigger.urgent)


class Dispatch:
    """What follows a commit that opened a ticket or requested lookups: telling whoever watches, waking the runners."""

    def __init__(self, queue: Queue, updates: Updates) -> None:
        self._queue = queue
        self._updates = updates

    async def send(self, requested: Requested, *, opened: bool = False) -> None:
        """Announce and ring; waits for no endpoint."""
        ticket = requested.ticket
        topics = [TICKETS] if opened else []
        if requested.connectors and ticket.requester is not None:
            topics += [requester_topic(ticket.requester.email), *map(log_topic, requested.connectors)]
        if topics:
            await self._updates.announce(ticket.workspace_id, *topics)
        if requested.connectors:
            await self._queue.ring(ticket.workspace_id, urgent=requested.urgent)
