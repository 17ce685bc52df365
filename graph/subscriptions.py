"""What can be watched: begin to watch first, read second, and read again at each "look again"."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime
from functools import partial
from typing import Annotated

import strawberry

from domain.connector import Connector as StoredConnector
from domain.health import Paused
from domain.identity import ConnectorId, TicketId
from domain.ticket import Ticket as OpenedTicket
from graph import log
from graph.context import Context, Info
from graph.errors import BadRequest
from graph.rights import MayConfigure
from graph.types import Connector, CrmPanel, Ticket, uuid_of
from graph.watch import patience, read_again
from lookups.updates import CONNECTORS, TICKETS

_TICKETS_AT_ONCE = 100


@strawberry.type(description="Everything that can be watched, over WebSocket (graphql-transport-ws) or server-sent events.")
class Subscription:
    """The roots of watching."""

    @strawberry.subscription(
        description="First every panel as it stands, then each again when it changes, also those of connectors made later. The "
        "final state is never lost; states in between may be merged. After a reconnect just subscribe again."
    )
    async def crm_panels(
        self, info: Info, ticket_id: Annotated[strawberry.ID, strawberry.argument(description="The ticket to watch.")]
    ) -> AsyncGenerator[CrmPanel, None]:
        """Panels as they change."""
        context = info.context
        wanted = uuid_of(ticket_id)
        async with context.services.database.reading(context.workspace_id) as store:
            ticket = await store.tickets.get(TicketId(wanted)) if wanted else None
        if ticket is None:
            message = "There is no such ticket."
            raise BadRequest(message)
        happened = asyncio.Event()
        follower = context.services.feeds.follow(context.workspace_id, ticket, happened.set)
        try:
            while True:
                await happened.wait()
                happened.clear()
                while (panel := follower.take()) is not None:
                    with follower.sending():
                        yield panel
        finally:
            follower.leave()

    @strawberry.subscription(
        permission_classes=[MayConfigure],
        description="First every connector as it stands, then each once when its pause begins and once when it ends, and each "
        "new one. A pause that is over before it could be told may be left out. For admins.",
    )
    async def connector_health(self, info: Info) -> AsyncGenerator[Connector, None]:
        """Connectors as they are spared and come back."""
        context = info.context
        async with context.services.updates.watch(context.workspace_id, CONNECTORS) as watch:
            told: dict[ConnectorId, datetime | None] = {}
            connectors = await _connectors(context)
            while True:
                pauses = {connector.id: _paused_since(connector) for connector in connectors}
                turned = [one for one in connectors if one.id not in told or told[one.id] != pauses[one.id]]
                told = pauses
                for connector in turned:
                    yield Connector.of(connector)
                await watch.wait(patience())
                connectors = await read_again(context.services.database, partial(_connectors, context))

    connector_lookups = log.connector_lookups

    @strawberry.subscription(
        description="Every ticket that opens from now on, in order; with `after` also those that opened since a list was read."
    )
    async def ticket_opened(
        self,
        info: Info,
        after: Annotated[
            int | None,
            strawberry.argument(
                description="The number of the newest ticket that is known, 0 for none: those after it come first, the newest "
                "100 of them at most. Left out = none that are there already."
            ),
        ] = None,
    ) -> AsyncGenerator[Ticket, None]:
        """Tickets as they open."""
        context = info.context
        async with context.services.database.reading(context.workspace_id) as store:
            newest = await store.tickets.newest_number()
        seen = newest if after is None else min(max(after, newest - _TICKETS_AT_ONCE), newest)
        async with context.services.updates.watch(context.workspace_id, TICKETS) as watch:
            while True:
                opened = await read_again(context.services.database, partial(_opened_after, context, seen))
                for ticket in opened:
                    seen = ticket.number
                    yield Ticket.of(ticket)
                if not opened:
                    await watch.wait(patience())


async def _connectors(context: Context) -> list[StoredConnector]:
    async with context.services.database.reading(context.workspace_id) as store:
        return await store.connectors.all()


def _paused_since(connector: StoredConnector) -> datetime | None:
    return connector.health.since if isinstance(connector.health, Paused) else None


async def _opened_after(context: Context, seen: int) -> list[OpenedTicket]:
    async with context.services.database.reading(context.workspace_id) as store:
        return await store.tickets.opened_after(seen, limit=_TICKETS_AT_ONCE)
