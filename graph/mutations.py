"""What can be changed; expected refusals are members of the result."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import strawberry
from strawberry import Maybe, Some

from domain.audit import AuditAction, Deed, NamedConnector, changed_members
from domain.connector import UNCHANGED, ConnectorSettings, Unchanged
from domain.errors import InvalidAddress, InvalidConnector, Problem
from domain.identity import ConnectorId, EmailAddress, TicketId, email_address
from domain.lookup import Occasion
from domain.panel import compose_panel
from domain.secret import Secret
from domain.ticket import Requester, one_line, storable
from domain.words import Words
from graph import arrangement, rotation, signing
from graph.context import Info
from graph.erasure import ForgetRequesterResult, forget_requester
from graph.errors import InvalidInput, NotFound
from graph.rights import MayConfigure
from graph.types import (
    NO_CONNECTOR,
    Connector,
    ConnectorDeleted,
    ConnectorIdArgument,
    CrmPanel,
    LookupsRefreshed,
    LookupTrial,
    Ticket,
    uuid_of,
)
from lookups.connectors import change_connector, create_connector
from lookups.request import request_lookups
from lookups.updates import CONNECTORS

_NO_TICKET = NotFound(words=Words(en="There is no such ticket.", cs="Takový ticket tu není."))

CreateTicketResult = Annotated[
    Ticket | InvalidInput, strawberry.union("CreateTicketResult", description="The new ticket, or why there is none.")
]
RefreshLookupResult = Annotated[
    LookupsRefreshed | NotFound,
    strawberry.union("RefreshLookupResult", description="The panels being refreshed, or what is unknown."),
]
CreateConnectorResult = Annotated[
    Connector | InvalidInput,
    strawberry.union("CreateConnectorResult", description="The new connector, or why there is none."),
]
UpdateConnectorResult = Annotated[
    Connector | InvalidInput | NotFound,
    strawberry.union("UpdateConnectorResult", description="The connector as it is now, or why it did not change."),
]
DeleteConnectorResult = Annotated[
    ConnectorDeleted | NotFound,
    strawberry.union("DeleteConnectorResult", description="A receipt, or that there was nothing to delete."),
]
TestConnectorResult = Annotated[
    LookupTrial | InvalidInput | NotFound,
    strawberry.union("TestConnectorResult", description="What the test brought, or why there was none."),
]

_NAME = "The title of its panels, 1 to 100 characters."
_LOOKUP_URL = (
    "Where the request is sent: https (http only outside production), no user name, no fragment, at most 2,048 characters."
)
_HEADER_NAME = "The header that carries the secret, for example X-Api-Key. Name and value: both or neither."
_HEADER_VALUE = "The secret: printable ASCII, at most 4,096 characters. It goes in and never comes out."
_LINK_TEMPLATE = "The link into the CRM with {customer_id} in path, query or fragment, at most 2,048 characters."
_TTL = "How many hours an answer stays fresh, 0 to 8,760; 0 = ask every time."
_LOG_RESULTS = "Whether the log keeps what the endpoint answered. Turned off, what it had kept is erased."
_ENABLED = "Whether it has panels and is asked."
_POSITION = "Sorts the panels, equal ones by age; left out = last."


@strawberry.input(description="A ticket that an agent opens by hand, after a phone call for example.")
class CreateTicketInput:
    """Who and what about."""

    requester_email: str = strawberry.field(description="Whom the ticket is about; the connectors are asked about this address.")
    requester_name: str | None = strawberry.field(default=None, description="What they call themselves.")
    subject: str = strawberry.field(description="One line; line breaks become spaces.")
    text: str = strawberry.field(default="", description="The first message.")


@strawberry.input(description="A new connector.")
class CreateConnectorInput:
    """Every setting, with the defaults of a first connector."""

    name: str = strawberry.field(description=_NAME)
    lookup_url: str = strawberry.field(description=_LOOKUP_URL)
    secret_header_name: str | None = strawberry.field(default=None, description=_HEADER_NAME)
    secret_header_value: str | None = strawberry.field(default=None, description=_HEADER_VALUE)
    link_template: str | None = strawberry.field(default=None, description=_LINK_TEMPLATE)
    cache_ttl_hours: int = strawberry.field(default=24, description=_TTL)
    log_results: bool = strawberry.field(default=True, description=_LOG_RESULTS)
    enabled: bool = strawberry.field(default=True, description=_ENABLED)
    position: int | None = strawberry.field(default=None, description=_POSITION)


@strawberry.input(
    description="What to change: a member left out stays as it is, null clears what may be empty. A new origin of lookupUrl "
    "drops header name and secret unless the same mutation sets them, and the signing keys always; a new lookupUrl also drops "
    "the answers."
)
class UpdateConnectorInput:
    """The same members as for a new connector, all optional."""

    name: Maybe[str | None] = strawberry.field(description=_NAME)
    lookup_url: Maybe[str | None] = strawberry.field(description=_LOOKUP_URL)
    secret_header_name: Maybe[str | None] = strawberry.field(description=_HEADER_NAME)
    secret_header_value: Maybe[str | None] = strawberry.field(description=_HEADER_VALUE)
    link_template: Maybe[str | None] = strawberry.field(description=_LINK_TEMPLATE)
    cache_ttl_hours: Maybe[int | None] = strawberry.field(description=_TTL)
    log_results: Maybe[bool | None] = strawberry.field(description=_LOG_RESULTS)
    enabled: Maybe[bool | None] = strawberry.field(description=_ENABLED)
    position: Maybe[int | None] = strawberry.field(description=_POSITION)


@strawberry.type(
    description="Everything that can be changed. Nothing here waits for an endpoint but testConnector and rotateSecret."
)
class Mutation:
    """The roots of changing."""

    @strawberry.mutation(description="Open a ticket by hand. Its lookups (TICKET) start in the background.")
    async def create_ticket(
        self,
        info: Info,
        input: Annotated[CreateTicketInput, strawberry.argument(description="The new ticket.")],
    ) -> CreateTicketResult:
        """Open a ticket with its first message."""
        email = _address(input.requester_email, "requesterEmail")
        if isinstance(email, InvalidInput):
            return email
        services = info.context.services
        requester = Requester(email, one_line(input.requester_name or "") or None)
        now = services.now()
        async with services.database.workspace(info.context.workspace_id) as store:
            ticket = await store.tickets.open(subject=one_line(input.subject), requester=requester, now=now)
            await store.messages.add_text(ticket.id, requester, storable(input.text), now)
            requested = await request_lookups(store, ticket, Occasion.TICKET_OPENED, now=now)
        await services.dispatch.send(requested, opened=True)
        return Ticket.of(ticket)

    @strawberry.mutation(
        description="Ask again, fresh answer or not. Joins a lookup under way; returns at once, the panels refreshing."
    )
    async def refresh_lookup(
        self,
        info: Info,
        ticket_id: Annotated[strawberry.ID, strawberry.argument(description="The ticket whose requester to ask about.")],
        connector_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="One connector; left out = all of them.")
        ] = None,
    ) -> RefreshLookupResult:
        """Start a lookup at one connector or all."""
        services = info.context.services
        wanted_ticket, only = uuid_of(ticket_id), uuid_of(connector_id) if connector_id is not None else None
        async with services.database.workspace(info.context.workspace_id) as store:
            ticket = await store.tickets.get(TicketId(wanted_ticket)) if wanted_ticket else None
            if ticket is None:
                return _NO_TICKET
            if connector_id is not None:
                connector = await store.connectors.get(ConnectorId(only)) if only else None
                if connector is None or not connector.enabled:
                    return NO_CONNECTOR
            requested = await request_lookups(
                store, ticket, Occasion.REFRESH_ASKED, now=services.now(), only=ConnectorId(only) if only else None
            )
            standings = (await store.standings.of([ticket.id]))[ticket.id]
            asked = tuple(
                NamedConnector(known.connector.id, known.connector.name)
                for known in standings
                if known.connector.id in requested.connectors
            )
            if asked:
                deed = Deed(action=AuditAction.LOOKUPS_REFRESHED, connectors=asked, ticket_id=ticket.id)
                await store.audit.add(info.context.caller, deed, services.now())
        await services.dispatch.send(requested)
        panels = [
            CrmPanel.of(compose_panel(ticket.id, known.connector, known.standing), services.help_url)
            for known in standings
            if known.connector.id in requested.connectors
        ]
        return LookupsRefreshed(panels=panels)

    @strawberry.mutation(permission_classes=[MayConfigure], description="Add a connector. For admins.")
    async def create_connector(
        self,
        info: Info,
        input: Annotated[CreateConnectorInput, strawberry.argument(description="The new connector.")],
    ) -> CreateConnectorResult:
        """Add a connector; existing tickets get its panel at once, not yet asked."""
        services = info.context.services
        secret = None if input.secret_header_value is None else Secret(input.secret_header_value)
        async with services.database.workspace(info.context.workspace_id) as store:
            settings = ConnectorSettings(
                name=input.name,
                lookup_url=input.lookup_url,
                secret_header_name=input.secret_header_name,
                has_secret=secret is not None,
                link_template=input.link_template,
                cache_ttl=timedelta(hours=input.cache_ttl_hours),
                log_results=input.log_results,
                enabled=input.enabled,
                position=await store.connectors.last_position() if input.position is None else input.position,
            )
            connector = await create_connector(store, settings, secret, policy=services.endpoint_policy, now=services.now())
            await store.audit.add(info.context.caller, Deed.to(connector, AuditAction.CONNECTOR_CREATED), services.now())
        await services.updates.announce(info.context.workspace_id, CONNECTORS)
        return Connector.of(connector)

    @strawberry.mutation(permission_classes=[MayConfigure], description="Change a connector. For admins.")
    async def update_connector(
        self,
        info: Info,
        id: ConnectorIdArgument,
        input: Annotated[UpdateConnectorInput, strawberry.argument(description="What to change.")],
    ) -> UpdateConnectorResult:
        """Change what the input mentions."""
        services = info.context.services
        connector_id = uuid_of(id)
        empty = _wrongly_empty(input)
        async with services.database.workspace(info.context.workspace_id, at_length=True) as store:
            changes, secret = _changes(input, await store.connectors.last_position())
            before = await store.connectors.get(ConnectorId(connector_id)) if connector_id else None
            signed = before is not None and await store.credentials.signs(before.id)
            try:
                changed = connector_id and await change_connector(
                    store, ConnectorId(connector_id), changes, secret, policy=services.endpoint_policy, now=services.now()
                )
            except InvalidConnector as others:
                raise InvalidConnector([*empty, *others.problems]) from None
            if changed and empty:
                raise InvalidConnector(empty)
            if before and changed and (members := changed_members(before, changed, secret_given=isinstance(secret, Secret))):
                deed = Deed.to(changed, AuditAction.CONNECTOR_UPDATED, members=members)
                await store.audit.add(info.context.caller, deed, services.now())
            if changed and signed and not await store.credentials.signs(changed.id):
                await store.audit.add(info.context.caller, Deed.to(changed, AuditAction.SIGNING_DISABLED), services.now())
        if not changed:
            return NO_CONNECTOR
        await services.updates.announce(info.context.workspace_id, CONNECTORS)
        return Connector.of(changed)

    @strawberry.mutation(
        permission_classes=[MayConfigure], description="Delete a connector with its answers and its log. For admins."
    )
    async def delete_connector(self, info: Info, id: ConnectorIdArgument) -> DeleteConnectorResult:
        """Delete a connector."""
        connector_id = uuid_of(id)
        services = info.context.services
        async with services.database.workspace(info.context.workspace_id, at_length=True) as store:
            connector = await store.connectors.get(ConnectorId(connector_id)) if connector_id else None
            if connector is None:
                return NO_CONNECTOR
            await store.connectors.delete(connector.id)
            await store.audit.add(info.context.caller, Deed.to(connector, AuditAction.CONNECTOR_DELETED), services.now())
        await services.updates.announce(info.context.workspace_id, CONNECTORS)
        return ConnectorDeleted(id=strawberry.ID(str(connector_id)))

    forget_requester: ForgetRequesterResult = strawberry.mutation(
        resolver=forget_requester,
        permission_classes=[MayConfigure],
        description="Remove what connectors ever said of an address in this workspace: answers, log entries, responses, those of "
        "lookups under way, too; and the names it wrote under. Its tickets, their messages and the address on them stay, for "
        "they are the helpdesk's own records; who opens one asks the CRM again, so erase there first. For admins.",
    )

    @strawberry.mutation(
        permission_classes=[MayConfigure],
        description="Ask the endpoint now and show what it answers; works on a disabled connector, stores no answer, changes no "
        "panel. Waits up to 3 seconds. For admins.",
    )
    async def test_connector(
        self,
        info: Info,
        id: ConnectorIdArgument,
        email: Annotated[str, strawberry.argument(description="The address to ask about.")],
    ) -> TestConnectorResult:
        """Try a connector out."""
        address = _address(email, "email")
        if isinstance(address, InvalidInput):
            return address
        connector_id = uuid_of(id)
        trial = connector_id and await info.context.services.runner.try_out(
            info.context.workspace_id, ConnectorId(connector_id), address
        )
        return LookupTrial.of(trial) if trial else NO_CONNECTOR

    arrange_connectors = arrangement.arrange_connectors
    rotate_secret = rotation.rotate_secret
    restore_secret = rotation.restore_secret
    issue_signing_key = signing.issue_signing_key
    disable_signing = signing.disable_signing


def _address(text: str, field: str) -> EmailAddress | InvalidInput:
    try:
        return email_address(text)
    except InvalidAddress as error:
        return InvalidInput.of([Problem(field, error.words)])


_EMPTY = Words(en="This cannot be empty.", cs="Tohle nesmí zůstat prázdné.")
_MAY_BE_EMPTY = {"secret_header_name", "secret_header_value", "link_template", "position"}


def _wrongly_empty(input: UpdateConnectorInput) -> list[Problem]:
    """The members that an update clears although they cannot be empty."""
    cleared = [name for name, value in vars(input).items() if isinstance(value, Some) and value.value is None]
    return [Problem(_camel_case(name), _EMPTY) for name in cleared if name not in _MAY_BE_EMPTY]


def _changes(input: UpdateConnectorInput, last_position: int) -> tuple[dict[str, Any], Secret | Unchanged | None]:
    """What an update mentions, as members of the settings, and the secret apart from them; less what is wrongly empty."""
    mentioned = {
        name: value.value
        for name, value in vars(input).items()
        if isinstance(value, Some) and (value.value is not None or name in _MAY_BE_EMPTY)
    }
    value = mentioned.pop("secret_header_value", UNCHANGED)
    if "cache_ttl_hours" in mentioned:
        mentioned["cache_ttl"] = timedelta(hours=mentioned.pop("cache_ttl_hours"))
    if mentioned.get("position", 0) is None:
        mentioned["position"] = last_position
    return mentioned, Secret(value) if isinstance(value, str) else value


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.title, others))
