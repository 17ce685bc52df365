"""What tests of the API do again and again: opening tickets, asking with every member, looking behind the counter."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from sqlalchemy import Engine, event

from domain.identity import Role, email_address
from domain.ticket import Requester
from server.clock import utc_now
from tests.stage.front_end import NO_TLS, PATIENCE, FrontEnd
from tests.stage.helpdesk import CREATE_CONNECTOR, Helpdesk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from domain.identity import WorkspaceId

REQUESTER = "jan@firma.cz"
CREATE_TICKET = """
mutation ($input: CreateTicketInput!) {
  createTicket(input: $input) { __typename ... on Ticket { id } ... on InvalidInput { message problems { field message } } }
}
"""
BADGE = "badge { text color }"
PANEL = f"""
  id ticketId connectorId connectorName status refreshing stale {BADGE}
  customer {{ customerId name {BADGE} fields {{ key value }} deepLink }}
  error {{ code message httpStatus }} helpUrl fetchedAt expiresAt
"""
MESSAGE = "id sender { email name } text receivedAt"
TICKET_MEMBERS = f"""
  id number subject requester {{ email name }} automatic createdAt
  messages(first: 100) {{ nodes {{ {MESSAGE} }} edges {{ cursor node {{ {MESSAGE} }} }} pageInfo {{ hasNextPage endCursor }} }}
  crmPanels {{ {PANEL} }}
"""
LOOKUP = """
  id ticketId email trigger status httpStatus error { code message httpStatus } durationMs
  warnings { path expected received } requestedAt completedAt response
"""


async def open_ticket(front_end: FrontEnd, subject: str = "Invoice", email: str = REQUESTER, **members: Any) -> str:  # noqa: ANN401
    """Open a ticket by hand and return its id."""
    given = {"requesterEmail": email, "subject": subject} | members
    created = (await front_end.ask(CREATE_TICKET, input=given))["createTicket"]
    assert created["__typename"] == "Ticket", created
    ticket_id: str = created["id"]
    return ticket_id


async def stock(helpdesk: Helpdesk, count: int, email: str = REQUESTER) -> list[str]:
    """Put tickets with one message each into the database at once; asks no endpoint."""
    requester, now = Requester(email_address(email)), utc_now()
    async with helpdesk.parts.database.workspace(helpdesk.workspace_id) as store:
        tickets = [await store.tickets.open(subject="Invoice", requester=requester, now=now) for _ in range(count)]
        for ticket in tickets:
            await store.messages.add_text(ticket.id, requester, "Hello", now)
    return [str(ticket.id) for ticket in tickets]


@dataclass(frozen=True)
class Neighbour:
    """Another workspace of the same product, with a ticket and a connector."""

    workspace_id: WorkspaceId
    admin: FrontEnd
    ticket_id: str
    connector_id: str


async def open_neighbour(helpdesk: Helpdesk, lookup_url: str) -> Neighbour:
    """Make a workspace next door."""
    workspace_id = await helpdesk.add_workspace("Next door", "support@nextdoor.example")
    admin = helpdesk.front_end(Role.ADMIN, workspace=workspace_id)
    created = (await admin.ask(CREATE_CONNECTOR, input={"name": "Theirs", "lookupUrl": lookup_url}))["createConnector"]
    return Neighbour(workspace_id, admin, await open_ticket(admin, "Theirs"), created["id"])


async def post(helpdesk: Helpdesk, body: bytes | str, **headers: str) -> httpx.Response:
    """POST whatever bytes with an agent's token."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client:
        return await client.post(
            f"{helpdesk.base_url}/graphql",
            content=body,
            headers={"Authorization": f"Bearer {helpdesk.token()}", "Content-Type": "application/json"} | named,
            timeout=PATIENCE,
        )


def tidy(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal, which must be one of ours: its code, its request id and nothing around them."""
    (error,) = answer.json()["errors"]
    assert error["message"]
    assert set(error["extensions"]) == {"code", "requestId"}, error
    assert error["extensions"]["requestId"] == answer.headers["X-Request-Id"]
    return answer.status_code, error["extensions"]["code"]


def watches(helpdesk: Helpdesk) -> int:
    """How many watches are registered in the product."""
    stations = helpdesk.parts.updates._stations.values()  # noqa: SLF001 - nothing outside shows what was freed
    return sum(len(station.watches) for station in stations)


async def open_sockets(helpdesk: Helpdesk) -> int:
    """What the gauge says."""
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client:
        numbers = (await client.get(f"{helpdesk.base_url}/metrics", timeout=PATIENCE)).text
    found = re.search(r"^disqua_sockets (\S+)$", numbers, re.MULTILINE)
    assert found, numbers
    return int(float(found[1]))


def tamper(data_dir: Path, statement: str, *values: object) -> None:
    """Write into the database file behind the product's back."""
    with closing(sqlite3.connect(data_dir / "disqua.sqlite3", timeout=PATIENCE, isolation_level=None)) as connection:
        connection.execute(statement, values)


@contextmanager
def statements(helpdesk: Helpdesk) -> Iterator[list[str]]:
    """The SQL statements that are executed meanwhile."""
    executed: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        executed.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield executed
    finally:
        event.remove(Engine, "before_cursor_execute", note)
