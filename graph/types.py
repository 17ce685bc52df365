"""The types of the schema and how each is made from the domain; resolvers hold no mapping."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Self, cast
from uuid import UUID

import strawberry

from compiled.held import held_in
from compiled.kept import Kept
from domain import answer, connector, lookup, ticket
from domain.answer import BadgeColor
from domain.deep_link import deep_link
from domain.failure import Failure, FailureKind
from domain.identity import LookupId, MessageId
from domain.lookup import LookupStatus, LookupTrigger
from domain.panel import Panel
from domain.verification import SenderVerification
from domain.words import Locale, Words
from graph.context import Info
from graph.credentials import ConnectorSecret, ConnectorSigning
from graph.errors import NotFound
from graph.health import ConnectorHealth
from graph.loaders import MessagePage
from graph.pages import After, Connection, First, check_first, id_after
from graph.rights import MayConfigure
from graph.words import Language

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lookups.question import SentRequest
    from lookups.runner import Trial
    from persistence import workspaces

_MILLISECOND = timedelta(milliseconds=1)
_HOUR = timedelta(hours=1)


def _enum(enum: type[Enum], description: str, values: Mapping[str, str], name: str | None = None) -> None:
    """Make a closed set of the domain an enum of the schema, with a description for each value."""
    strawberry.enum(enum, name=name, description=description)
    for value in vars(enum)["__strawberry_definition__"].values:
        value.description = values[value.name]


@strawberry.enum(description="What a token lets its holder do.")
class Role(Enum):
    """The roles that can reach the API."""

    ADMIN = strawberry.enum_value("admin", description="Everything an agent may, and the connectors.")
    AGENT = strawberry.enum_value("agent", description="Reads tickets and panels, opens tickets, refreshes lookups.")


_enum(
    LookupStatus,
    "What the newest asking brought.",
    {
        "PENDING": "Nothing yet: the first lookup is under way (refreshing) or nobody has asked so far.",
        "FOUND": "The CRM knows the address; see customer.",
        "NOT_FOUND": "The CRM answered that it does not know the address.",
        "ERROR": "The lookup failed; see error. An earlier answer stays visible and is marked stale.",
        "TIMEOUT": "No complete answer came within 3 seconds; see error.",
    },
)
_enum(
    LookupTrigger,
    "What started a lookup.",
    {
        "TICKET": "A ticket opened, or a reply came after the answer had expired.",
        "VIEW": "An agent opened a ticket without a fresh answer.",
        "REFRESH": "An agent asked for it.",
        "TEST": "An admin tested the connector.",
    },
)
_enum(
    SenderVerification,
    "Whether a mail comes from where its From says, as the operator's own mail server found.",
    {
        "VERIFIED": "The domain of the sender vouches for it: DMARC passed, or an SPF or DKIM that belongs to the domain.",
        "FAILED": "The domain of the sender disowns it: warn the agent before they trust the name.",
        "UNKNOWN": "Nobody said, or nobody whom the operator trusts; also of a text that came by createTicket.",
    },
)
_enum(
    BadgeColor,
    "The colours a badge can have.",
    {
        "GREEN": "All is well, an active customer for example.",
        "BLUE": "Worth knowing.",
        "YELLOW": "Take care.",
        "RED": "Something is wrong.",
        "GRAY": "Neutral; also the colour where the endpoint named none that we know.",
    },
)
_enum(
    FailureKind,
    "Why a lookup brought no answer. The list is closed.",
    {
        "HTTP_STATUS": "The endpoint answered with a status other than 2xx; see httpStatus.",
        "REDIRECT": "The endpoint answered with 3xx; redirects are never followed.",
        "INVALID_JSON": "The body is not JSON in UTF-8, nests deeper than 32 levels or repeats a key.",
        "INVALID_RESPONSE": "The body is no object, or `found` is not true or false.",
        "EMPTY_BODY": "The endpoint answered 204, 205 or without a body.",
        "TOO_LARGE": "The body is larger than 64 KiB.",
        "ENCODING": "The body is compressed although the request asked for identity.",
        "DNS": "The host name could not be resolved.",
        "CONNECT": "No connection could be made.",
        "RESET": "The connection ended before the answer was complete.",
        "TLS": "The certificate is not trusted or the handshake failed.",
        "PROTOCOL": "What came is not HTTP.",
        "BLOCKED_ADDRESS": "The host resolves to an address that lookups may not reach.",
        "SECRET_UNREADABLE": "The stored secret cannot be opened with the present keys.",
        "INTERRUPTED": "The process ended meanwhile, or the connector was changed, deleted or paused.",
        "TIMEOUT": "No complete answer came within 3 seconds.",
    },
    name="LookupErrorCode",
)


@strawberry.type(description="A tenant: one company's tickets, connectors and addresses.")
class Workspace:
    """The caller's own workspace."""

    id: strawberry.ID = strawberry.field(description="The id that also goes out to endpoints as `workspace_id`.")
    name: str = strawberry.field(description="What the company calls itself.")
    support_addresses: list[str] = strawberry.field(description="Mail to these addresses opens tickets here.")

    @classmethod
    def of(cls, workspace: workspaces.Workspace) -> Self:
        """Made from the stored workspace."""
        return cls(id=strawberry.ID(str(workspace.id)), name=workspace.name, support_addresses=list(workspace.support_addresses))


@strawberry.type(description="Whoever holds the token of this request.")
class Viewer:
    """The caller."""

    name: str | None = strawberry.field(description="The name in the token, if it has one.")
    role: Role = strawberry.field(description="What the token allows.")
    workspace: Workspace = strawberry.field(description="The workspace that the token is for.")
    guide_url: str = strawberry.field(description="The guide for whoever builds an endpoint, where the operator has it.")


@strawberry.type(description="The person who wrote.")
class Requester:
    """An address and the name its owner goes by."""

    email: str = strawberry.field(description="Lower case, the domain in IDNA form: the form that endpoints are asked with.")
    name: str | None = strawberry.field(description="The display name of the mail, decoded; null when it had none.")

    @classmethod
    def of(cls, requester: ticket.Requester | None) -> Requester | None:
        """Made from the domain's requester."""
        return None if requester is None else cls(email=requester.email, name=requester.name)


@strawberry.type(description="One mail of a ticket, or the text with which an agent opened it.")
class Message:
    """A message as text."""

    id: strawberry.ID = strawberry.field(description="The message's id.")
    sender: Requester | None = strawberry.field(description="Who wrote it; null when the mail named no usable address.")
    text: str = strawberry.field(description="The readable text; of an HTML mail the text in it. Show it as text, never as HTML.")
    received_at: datetime = strawberry.field(description="When it was stored, in UTC.")
    sender_verification: SenderVerification = strawberry.field(
        description="Whether the sender is who the mail says; judged once, when it was stored."
    )

    @classmethod
    def of(cls, message: ticket.Message) -> Self:
        """Made from the domain's message."""
        return cls(
            id=strawberry.ID(str(message.id)),
            sender=Requester.of(message.sender),
            text=message.text,
            received_at=message.received_at,
            sender_verification=message.sender_verification,
        )


@strawberry.type(description="A short coloured word beside a name.")
class Badge:
    """Text and colour."""

    text: str = strawberry.field(description="At most 30 characters.")
    color: BadgeColor = strawberry.field(description="One of five colours.")

    @classmethod
    def of(cls, badge: answer.Badge | None) -> Badge | None:
        """Made from the domain's badge."""
        return None if badge is None else cls(text=badge.text, color=badge.color)


@strawberry.type(description="One line of a panel.")
class CrmField:
    """A name and a value, both as the CRM worded them."""

    key: str = strawberry.field(description="At most 60 characters.")
    value: str = strawberry.field(description="At most 500 characters.")


@strawberry.type(description="The record on the CRM's side.")
class CrmCustomer:
    """What the CRM tells of the requester."""

    customer_id: str | None = strawberry.field(description="The CRM's own id.")
    name: str | None = strawberry.field(description="At most 200 characters.")
    badge: Badge | None = strawberry.field(description="The badge the CRM gave this customer, if any.")
    fields: list[CrmField] = strawberry.field(description="At most five, in the order the CRM sent them.")
    deep_link: str | None = strawberry.field(
        description="The customer in the CRM; null without linkTemplate or customerId. It never leaves the template's site."
    )

    @classmethod
    def of(cls, customer: answer.Customer | None, link: str | None) -> CrmCustomer | None:
        """Made from the domain's customer and the link of its connector."""
        if customer is None:
            return None
        return cls(
            customer_id=customer.customer_id,
            name=customer.name,
            badge=Badge.of(customer.badge),
            fields=[CrmField(key=field.key, value=field.value) for field in customer.fields],
            deep_link=link,
        )


@strawberry.type(description="Why a lookup brought no answer.")
class LookupError:  # noqa: A001 - the name in the schema
    """A failure in words."""

    source: strawberry.Private[Failure]
    code: FailureKind = strawberry.field(description="The reason, for programs.")
    http_status: int | None = strawberry.field(description="Set once a status line had arrived.")

    @strawberry.field(description="The reason, for people.")
    def message(self, locale: Language = Locale.EN) -> str:
        """The failure in words."""
        return self.source.words.said_in(locale)

    @classmethod
    def of(cls, failure: Failure | None) -> LookupError | None:
        """Made from the domain's failure."""
        if failure is None:
            return None
        return cls(source=failure, code=failure.kind, http_status=failure.http_status)


def _customer_of(self: CrmPanel) -> CrmCustomer | None:
    return CrmCustomer.of(self.source.customer, self.source.deep_link)


@strawberry.type(
    description="What one connector knows of the ticket's requester. All tickets of a requester show the same; "
    "subscribe to crmPanels to see it change."
)
class CrmPanel(Kept):
    """A panel of the side bar; the same for everybody who may see its ticket, so that its bytes may be shared."""

    source: strawberry.Private[Panel]
    id: strawberry.ID = strawberry.field(description="The same for ever for this ticket and connector; opaque.")
    ticket_id: strawberry.ID = strawberry.field(description="The ticket beside which the panel stands.")
    connector_id: strawberry.ID = strawberry.field(description="The connector that was asked.")
    connector_name: str = strawberry.field(description="The panel's title.")
    status: LookupStatus = strawberry.field(description="What the newest asking brought; PENDING until there is an outcome.")
    refreshing: bool = strawberry.field(description="Whether a lookup is under way: show a spinner.")
    stale: bool = strawberry.field(
        description="Whether the newest lookup failed and customer is of an earlier one. An expired answer alone is not stale."
    )
    paused: bool = strawberry.field(
        description="Whether the endpoint failed for so long that it is spared: the panel keeps its last outcome, opening "
        "tickets asks nothing, refreshLookup still does."
    )
    customer: CrmCustomer | None = strawberry.field(
        resolver=_customer_of,  # made where it is rendered: thousands of panels are kept, and their bytes already tell of it
        description="Of the last good answer; stays when a later lookup fails.",
    )
    error: LookupError | None = strawberry.field(description="Set while the newest outcome is ERROR or TIMEOUT.")
    help_url: str | None = strawberry.field(description="Where NOT_FOUND is explained: the target of the badge's tooltip.")
    fetched_at: datetime | None = strawberry.field(description="When the last good answer came, in UTC.")
    expires_at: datetime | None = strawberry.field(description="Until when that answer counts as fresh, in UTC.")

    @strawberry.field(description="The badge to show: the customer's own, or a word for what happened.")
    def badge(
        self,
        locale: Annotated[Locale, strawberry.argument(description="The language of our own words.")] = Locale.CS,
    ) -> Badge | None:
        """FOUND: the customer's; otherwise ours."""
        return Badge.of(self.source.badge(locale))

    @classmethod
    def of(cls, panel: Panel, help_url: str) -> Self:
        """Made from the domain's panel."""
        return cls(
            source=panel,
            id=strawberry.ID(str(panel.id)),
            ticket_id=strawberry.ID(str(panel.ticket_id)),
            connector_id=strawberry.ID(str(panel.connector_id)),
            connector_name=panel.connector_name,
            status=panel.status,
            refreshing=panel.refreshing,
            stale=panel.stale,
            paused=panel.paused,
            error=LookupError.of(panel.failure),
            help_url=help_url if panel.status is LookupStatus.NOT_FOUND else None,
            fetched_at=panel.fetched_at,
            expires_at=panel.expires_at,
        )


@strawberry.type(description="A conversation that began with a mail to a support address, or that an agent opened.")
class Ticket(Kept):
    """A ticket with its messages and panels."""

    source: strawberry.Private[ticket.Ticket]
    panels: strawberry.Private[list[CrmPanel] | None]
    id: strawberry.ID = strawberry.field(description="The id that also goes out to endpoints as `ticket_id`.")
    number: int = strawberry.field(description="Counts from 1 within the workspace.")
    subject: str = strawberry.field(description='One line; "" when the mail had none.')
    requester: Requester | None = strawberry.field(description="Who wrote; null when the mail named no usable address.")
    automatic: bool = strawberry.field(description="Whether no person wrote it: a bounce or an automatic reply.")
    created_at: datetime = strawberry.field(description="When it was opened, in UTC.")

    @strawberry.field(description="The conversation, oldest message first.")
    async def messages(self, info: Info, first: First = 20, after: After = None) -> Connection[Message]:
        """One page of messages."""
        behind = id_after(after)
        page = MessagePage(self.source.id, check_first(first) + 1, MessageId(behind) if behind else None)
        found = await info.context.loaders.messages.load(page)
        return Connection.of([Message.of(message) for message in found], [message.id for message in found], first)

    @strawberry.field(
        description="One panel for each enabled connector, in panel order. Reading them never waits for an endpoint. "
        "Empty for a bounce and without a requester."
    )
    @held_in("panels")
    def crm_panels(self, info: Info) -> list[CrmPanel]:
        """The panels as they stand; those that whoever read the ticket has read with it need no waiting."""
        loaded: Any = info.context.loaders.panels.load(self.source.id) if self.panels is None else self.panels
        return cast("list[CrmPanel]", loaded)

    @classmethod
    def of(cls, opened: ticket.Ticket, *, panels: list[CrmPanel] | None = None) -> Self:
        """Made from the domain's ticket; ``panels`` are those at the moment that counts, where they are known."""
        return cls(
            source=opened,
            panels=panels,
            id=strawberry.ID(str(opened.id)),
            number=opened.number,
            subject=opened.subject,
            requester=Requester.of(opened.requester),
            automatic=opened.automatic,
            created_at=opened.created_at,
        )


@strawberry.type(description="One repair that an answer needed before it could be shown.")
class Warning:  # noqa: A001 - the name in the schema
    """Where, what was expected and what came."""

    path: str = strawberry.field(description='The member of the answer, for example "fields.Plan".')
    expected: str = strawberry.field(description="What the guide asks for.")
    received: str = strawberry.field(description="What came: type and value, or the type alone where results are not logged.")

    @classmethod
    def all_of(cls, warnings: Iterable[answer.AnswerWarning]) -> list[Warning]:
        """Made from the domain's warnings."""
        return [cls(path=warning.path, expected=warning.expected, received=warning.received) for warning in warnings]


@strawberry.type(description="A line of a connector's log.")
class Lookup:
    """One asking, from its request to its end."""

    id: strawberry.ID = strawberry.field(description="The lookup's id; it also stands in the server's log.")
    ticket_id: strawberry.ID | None = strawberry.field(description="The ticket that started it; null for a test.")
    email: str = strawberry.field(description="The address that was asked about.")
    trigger: LookupTrigger = strawberry.field(description="What started it.")
    status: LookupStatus = strawberry.field(description="How it ended; PENDING while it is under way.")
    http_status: int | None = strawberry.field(description="Set once a status line had arrived.")
    error: LookupError | None = strawberry.field(description="Set with ERROR and TIMEOUT.")
    duration_ms: int | None = strawberry.field(
        description="Milliseconds from name resolution to the last byte; null while it is under way and where nothing was sent."
    )
    warnings: list[Warning] = strawberry.field(description="The repairs that the answer needed.")
    requested_at: datetime = strawberry.field(description="When it was asked for, in UTC; it may then have waited its turn.")
    completed_at: datetime | None = strawberry.field(description="When it ended, in UTC.")
    response: str | None = strawberry.field(
        description="The raw body with the secret hidden; null when the connector does not log results."
    )

    @classmethod
    def of(cls, lookup: lookup.Lookup) -> Self:
        """Made from the domain's lookup."""
        return cls(
            id=strawberry.ID(str(lookup.id)),
            ticket_id=strawberry.ID(str(lookup.ticket_id)) if lookup.ticket_id else None,
            email=lookup.email,
            trigger=lookup.trigger,
            status=lookup.status,
            http_status=lookup.http_status,
            error=LookupError.of(lookup.failure),
            duration_ms=None if lookup.duration is None else round(lookup.duration / _MILLISECOND),
            warnings=Warning.all_of(lookup.warnings),
            requested_at=lookup.requested_at,
            completed_at=lookup.completed_at,
            response=lookup.response,
        )


@strawberry.type(description="How to ask one CRM: the endpoint, its secret and what to do with its answers.")
class Connector:
    """A connector's settings and log; for admins."""

    source: strawberry.Private[connector.Connector]
    id: strawberry.ID = strawberry.field(description="The connector's id.")
    name: str = strawberry.field(description="The title of its panels.")
    lookup_url: str = strawberry.field(description="Where the request is sent.")
    secret_header_name: str | None = strawberry.field(description="The header that carries the secret.")
    has_secret: bool = strawberry.field(description="Whether a secret is stored. The secret itself never comes out again.")
    link_template: str | None = strawberry.field(description="The link into the CRM, with {customer_id} in it.")
    cache_ttl_hours: int = strawberry.field(description="How long an answer stays fresh; 0 = ask every time.")
    log_results: bool = strawberry.field(description="Whether the log keeps what the endpoint answered.")
    enabled: bool = strawberry.field(description="Whether it has panels and is asked.")
    position: int = strawberry.field(description="Sorts the panels; equal ones by age.")
    created_at: datetime = strawberry.field(description="When it was made, in UTC.")
    updated_at: datetime = strawberry.field(description="When its settings last changed, in UTC.")

    @strawberry.field(
        permission_classes=[MayConfigure], description="How its endpoint fares, and whether it is spared; watch connectorHealth."
    )
    def health(self) -> ConnectorHealth:
        """Its figures are read only where they are selected."""
        return ConnectorHealth.of(self.source)

    @strawberry.field(
        permission_classes=[MayConfigure], description="What may be shown of the secret; null when there is none. For admins."
    )
    async def secret(self, info: Info) -> ConnectorSecret | None:
        """Fingerprint and times."""
        return ConnectorSecret.of((await info.context.loaders.credentials.load(self.source.id)).secret)

    @strawberry.field(
        permission_classes=[MayConfigure], description="The signing of its requests; null when they are not signed. For admins."
    )
    async def signing(self, info: Info) -> ConnectorSigning | None:
        """Fingerprint and times."""
        return ConnectorSigning.of((await info.context.loaders.credentials.load(self.source.id)).signing)

    @strawberry.field(permission_classes=[MayConfigure], description="The log, newest first.")
    async def lookups(self, info: Info, first: First = 10, after: After = None) -> Connection[Lookup]:
        """One page of the log."""
        behind = id_after(after)
        async with info.context.services.database.reading(info.context.workspace_id) as store:
            found = await store.lookups.newest(
                self.source.id, check_first(first) + 1, before=LookupId(behind) if behind else None
            )
        return Connection.of([Lookup.of(line) for line in found], [line.id for line in found], first)

    @classmethod
    def of(cls, stored: connector.Connector) -> Self:
        """Made from the domain's connector."""
        return cls(
            source=stored,
            id=strawberry.ID(str(stored.id)),
            name=stored.name,
            lookup_url=stored.lookup_url,
            secret_header_name=stored.secret_header_name,
            has_secret=stored.has_secret,
            link_template=stored.link_template,
            cache_ttl_hours=stored.cache_ttl // _HOUR,
            log_results=stored.log_results,
            enabled=stored.enabled,
            position=stored.position,
            created_at=stored.created_at,
            updated_at=stored.updated_at,
        )


@strawberry.type(description="A header of a request.")
class RequestHeader:
    """A name and what it carries."""

    name: str = strawberry.field(description="As it is written, in the letter case of the connector's settings.")
    value: str = strawberry.field(description="What it carries; ••• for the secret, however long that is.")


@strawberry.type(description="A request to an endpoint, exactly as it is written but for the secret.")
class LookupRequest:
    """What to compare with what an endpoint says it got."""

    method: str = strawberry.field(description="POST.")
    url: str = strawberry.field(description="The connector's lookupUrl as it is dialled: its host in ASCII.")
    headers: list[RequestHeader] = strawberry.field(
        description="Every header in its order, those of the signature, where there is one, too."
    )
    body: str = strawberry.field(description="The JSON, byte for byte what a signature vouches for.")

    @classmethod
    def of(cls, request: SentRequest | None) -> LookupRequest | None:
        """Made from what the client wrote."""
        if request is None:
            return None
        headers = [RequestHeader(name=header.name, value=header.value) for header in request.headers]
        return cls(method=request.method, url=request.url, headers=headers, body=request.body)


@strawberry.type(description="What a test of a connector brought. Nothing of it is stored but a line of the log.")
class LookupTrial:
    """A test's outcome."""

    status: LookupStatus = strawberry.field(description="How it ended.")
    http_status: int | None = strawberry.field(description="Set once a status line had arrived.")
    error: LookupError | None = strawberry.field(description="Set with ERROR and TIMEOUT.")
    duration_ms: int = strawberry.field(
        description="Milliseconds from name resolution to the last byte; 0 where nothing was sent."
    )
    warnings: list[Warning] = strawberry.field(description="The repairs that the answer needed.")
    customer: CrmCustomer | None = strawberry.field(description="The customer as a panel would show it.")
    request: LookupRequest | None = strawberry.field(
        description="The request as it was sent, the secret hidden; after DNS, CONNECT, TLS or BLOCKED_ADDRESS what would have "
        "been sent. Null where none was made up, because the secret cannot be opened or plain http is not allowed any more."
    )
    response: str | None = strawberry.field(
        description="The raw body with the secret hidden; null when the connector does not log results."
    )

    @classmethod
    def of(cls, trial: Trial) -> Self:
        """Made from the runner's trial."""
        outcome = trial.reply.outcome
        customer = outcome.customer if isinstance(outcome, answer.Found) else None
        link = deep_link(trial.connector.link_template, customer.customer_id) if customer else None
        return cls(
            status=lookup.status_of(outcome),
            http_status=trial.reply.http_status,
            error=LookupError.of(outcome) if isinstance(outcome, Failure) else None,
            duration_ms=round(trial.reply.took / _MILLISECOND),
            warnings=Warning.all_of(trial.reply.warnings),
            customer=CrmCustomer.of(customer, link),
            request=LookupRequest.of(trial.reply.request),
            response=trial.reply.response,
        )


@strawberry.type(description="The lookups were started, or joined where one was under way already.")
class LookupsRefreshed:
    """The panels that are being refreshed."""

    panels: list[CrmPanel] = strawberry.field(description="The panels as they stand now, refreshing.")


@strawberry.type(description="The connector, its answers and its log are gone.")
class ConnectorDeleted:
    """A receipt."""

    id: strawberry.ID = strawberry.field(description="The id it had.")


ConnectorIdArgument = Annotated[strawberry.ID, strawberry.argument(description="The connector's id.")]
NO_CONNECTOR = NotFound(words=Words(en="There is no such connector.", cs="Takový connector tu není."))


def uuid_of(text: strawberry.ID) -> UUID | None:
    """The UUID that an id argument spells; None for anything else, which then is an unknown id."""
    try:
        return UUID(text)
    except ValueError:
        return None
