"""One workspace of a running product, and what its agents, its admins and the time do to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from domain.identity import Role
from tests.stage.back_door import BackDoor
from tests.stage.front_end import FrontEnd
from tests.stage.helpdesk import PANELS, REFRESH, TICKET, Helpdesk
from tests.stage.waiting import eventually, in_thread

if TYPE_CHECKING:
    from domain.identity import WorkspaceId
    from tests.stage.crm import Crm, Request

OPEN = f"""
mutation ($email: String!) {{
  createTicket(input: {{requesterEmail: $email, subject: "Hello"}}) {{ ... on Ticket {{ id crmPanels {{ {PANELS} }} }} }}
}}
"""
CHANGE = """
mutation ($id: ID!, $input: UpdateConnectorInput!) {
  updateConnector(id: $id, input: $input) {
    __typename
    ... on Connector { name lookupUrl secretHeaderName hasSecret cacheTtlHours logResults enabled }
    ... on InvalidInput { problems { field } }
  }
}
"""
DELETE = "mutation ($id: ID!) { deleteConnector(id: $id) { __typename } }"
TEST = """
mutation ($id: ID!, $email: String!) {
  testConnector(id: $id, email: $email) {
    __typename
    ... on InvalidInput { problems { field } }
    ... on LookupTrial {
      status httpStatus error { code message httpStatus } durationMs warnings { path expected received } response
      request { method url headers { name value } body }
      customer { customerId name badge { text color } fields { key value } deepLink }
    }
  }
}
"""
LOG = """
query ($id: ID!, $first: Int!, $after: String) {
  connector(id: $id) {
    lookups(first: $first, after: $after) {
      nodes {
        id ticketId email trigger status httpStatus error { code httpStatus } durationMs
        warnings { path expected received } requestedAt completedAt response
      }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""
STORED = """
SELECT (SELECT count(*) FROM answers WHERE connector_id = :id) + (SELECT count(*) FROM lookups WHERE connector_id = :id)
"""
JAN = "jan@firma.cz"


@dataclass
class Desk(Helpdesk):
    """A workspace of its own in a product that it shares with others."""

    address: str

    def front_end(self, role: Role = Role.AGENT, *, workspace: WorkspaceId | None = None) -> FrontEnd:
        """A signed-in front end."""
        return FrontEnd(self.base_url, self.token(role, workspace=workspace))

    async def mail(self, raw: bytes | None = None, *, to: str | None = None, sender: str = JAN, **mail: str) -> None:
        """Send a mail by SMTP, to this workspace unless another address is given."""
        await super().mail(raw, to=to or self.address, sender=sender, **mail)

    async def open(self, email: str = JAN) -> str:
        """Open a ticket by hand and return its id."""
        ticket_id: str = (await self.agent.ask(OPEN, email=email))["createTicket"]["id"]
        return ticket_id

    async def view(self, ticket_id: str, panel: int = 0) -> Any:  # noqa: ANN401 - what the query selects
        """One panel, as the agent sees it who opens the ticket."""
        return (await self.agent.ask(TICKET, id=ticket_id))["ticket"]["crmPanels"][panel]

    async def refresh(self, ticket_id: str, connector_id: str | None = None) -> Any:  # noqa: ANN401
        """Ask again; what the mutation answers."""
        return (await self.agent.ask(REFRESH, id=ticket_id, connector=connector_id))["refreshLookup"]

    async def change(self, connector_id: str, **settings: Any) -> Any:  # noqa: ANN401
        """Change a connector; what the mutation answers."""
        return (await self.admin.ask(CHANGE, id=connector_id, input=settings))["updateConnector"]

    async def delete(self, connector_id: str) -> None:
        """Delete a connector."""
        deleted = (await self.admin.ask(DELETE, id=connector_id))["deleteConnector"]
        assert deleted == {"__typename": "ConnectorDeleted"}

    async def test(self, connector_id: str, email: str = JAN) -> Any:  # noqa: ANN401
        """Try a connector out; what the mutation answers."""
        return (await self.admin.ask(TEST, id=connector_id, email=email))["testConnector"]

    async def log(self, connector_id: str, first: int = 100) -> list[Any]:
        """The log of a connector, newest first."""
        connector = (await self.admin.ask(LOG, id=connector_id, first=first, after=None))["connector"]
        lines: list[Any] = connector["lookups"]["nodes"] if connector else []
        return lines

    @property
    def back_door(self) -> BackDoor:
        """The product's database, past the product."""
        return BackDoor(self.parts.settings.async_database_url)

    async def alter(self, statement: str, **values: object) -> None:
        """Change the database behind the product's back."""
        assert await in_thread(self.back_door.alter, statement, **values) > 0, "nothing was altered"

    async def stored(self, connector_id: str) -> int:
        """How many answers and lines of the log the database holds of a connector."""
        ((count,),) = await in_thread(self.back_door.rows, STORED, id=UUID(connector_id))
        return int(count)

    async def let_pass(self, time: timedelta, connector_id: str) -> None:
        """Make the connector's answers older."""
        await self.alter(
            "UPDATE answers SET fetched_at = :fetched WHERE connector_id = :connector",
            fetched=datetime.now(UTC) - time,
            connector=UUID(connector_id),
        )


async def arrived(crm: Crm, count: int, path: str = "/lookup") -> list[Request]:
    """The requests of a path once there are this many."""

    async def enough() -> bool:
        return len(crm.asked(path)) >= count

    await eventually(enough)
    return crm.asked(path)
