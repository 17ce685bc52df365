"""What can be read."""

from __future__ import annotations

from typing import Annotated

import strawberry
import structlog

from compiled.lookahead import selects
from domain.errors import InvalidAddress
from domain.identity import ConnectorId, TicketId, email_address
from domain.lookup import Occasion
from graph.audit import AuditEntry, audit_log
from graph.context import Context, Info
from graph.errors import Unauthenticated
from graph.pages import After, Connection, First, check_first, number_after
from graph.rights import MayConfigure
from graph.types import Connector, Role, Ticket, Viewer, Workspace, uuid_of
from lookups.request import request_lookups, wanted
from persistence.database import DatabaseAway
from persistence.standings import KnownTicket

_log = structlog.get_logger(__name__)


@strawberry.type(description="Everything that can be read. All of it belongs to the workspace of the token.")
class Query:
    """The roots of reading."""

    @strawberry.field(description="Whoever holds the token of this request.")
    async def viewer(self, info: Info) -> Viewer:
        """The caller with the workspace."""
        caller = info.context.caller
        async with info.context.services.database.operator_reading() as store:
            workspace = await store.workspaces.get(caller.workspace)
        if workspace is None:
            message = "The token is for a workspace that does not exist."
            raise Unauthenticated(message)
        return Viewer(
            name=caller.name,
            role=Role(caller.role),
            workspace=Workspace.of(workspace),
            guide_url=info.context.services.help_url,
        )

    @strawberry.field(
        description="One ticket; null when it is unknown in this workspace. Opening a ticket starts a lookup (VIEW) at each "
        "connector that has no fresh answer and whose newest lookup did not fail; the panels then say `refreshing`."
    )
    async def ticket(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The ticket's id.")],
    ) -> Ticket | None:
        """One ticket, after the lookups that viewing it calls for have been committed."""
        ticket_id = uuid_of(id)
        if ticket_id is None:
            return None
        context = info.context
        async with context.services.database.glancing(context.workspace_id) as store:
            known = await store.standings.ticket(TicketId(ticket_id))
        if known is None:
            return None
        if wanted(known.standings, Occasion.TICKET_VIEWED, context.services.now()):
            known = await _request_view(context, known)
        return context.services.panels.ticket(known)

    @strawberry.field(description="The tickets, newest first.")
    async def tickets(
        self,
        info: Info,
        first: First = 20,
        after: After = None,
        requester_email: Annotated[
            str | None,
            strawberry.argument(
                description="Only the tickets of this requester, however the address is written; none for what is no address. "
                "Left out or null = everybody's."
            ),
        ] = None,
    ) -> Connection[Ticket]:
        """One page of tickets; listing them starts no lookup."""
        before = number_after(after)
        check_first(first)
        try:
            requester = None if requester_email is None else email_address(requester_email)
        except InvalidAddress:
            return Connection.of([], [], first)
        services = info.context.services
        with_panels = selects(info, "crmPanels")
        async with services.database.glancing(info.context.workspace_id) as store:
            if with_panels:
                page, more = await store.standings.newest(first, before=before, requester=requester)
                return Connection.page([*map(services.panels.ticket, page)], [one.ticket.number for one in page], more=more)
            found = await store.tickets.newest(first + 1, before=before, requester=requester)
        return Connection.of([*map(Ticket.of, found)], [one.number for one in found], first)

    @strawberry.field(permission_classes=[MayConfigure], description="One connector; null when it is unknown. For admins.")
    async def connector(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The connector's id.")],
    ) -> Connector | None:
        """One connector."""
        connector_id = uuid_of(id)
        if connector_id is None:
            return None
        async with info.context.services.database.reading(info.context.workspace_id) as store:
            found = await store.connectors.get(ConnectorId(connector_id))
        return Connector.of(found) if found else None

    @strawberry.field(permission_classes=[MayConfigure], description="All connectors in panel order. For admins.")
    async def connectors(self, info: Info) -> list[Connector]:
        """Every connector, the disabled ones too."""
        async with info.context.services.database.reading(info.context.workspace_id) as store:
            return [Connector.of(connector) for connector in await store.connectors.all()]

    audit_log: Connection[AuditEntry] = strawberry.field(
        resolver=audit_log,
        permission_classes=[MayConfigure],
        description="Who changed which connector, refreshed what and forgot somebody, newest first. For admins.",
    )


async def _request_view(context: Context, viewed: KnownTicket) -> KnownTicket:
    """Start what viewing calls for, and tell what stood at its commit: an endpoint may answer before anything else is read.

    A ticket that can be read is shown even when nothing can be written.
    """
    services, ticket = context.services, viewed.ticket
    try:
        async with services.database.workspace(context.workspace_id) as store:
            requested = await request_lookups(store, ticket, Occasion.TICKET_VIEWED, now=services.now())
            known = await store.standings.ticket(ticket.id)
    except DatabaseAway:
        _log.warning("no lookup on viewing: the database takes no writes", ticket_id=str(ticket.id))
        return viewed
    await services.dispatch.send(requested)
    return known or viewed
