"""The whole product in this process: real sockets for the API and for mail, a real database file."""

from __future__ import annotations

import asyncio
import smtplib
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from domain.identity import Role, WorkspaceId, support_address
from lookups.guard import look_up
from server.app import Parts
from server.clock import utc_now
from server.listen import MailDoor
from server.serve import Server
from server.settings import load_settings
from tests.stage.front_end import PATIENCE, FrontEnd
from tests.stage.waiting import eventually, in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from lookups.guard import Resolved

SUPPORT = "support@disqua.example"

CREATE_CONNECTOR = """
mutation ($input: CreateConnectorInput!) {
  createConnector(input: $input) {
    __typename
    ... on Connector { id }
    ... on InvalidInput { problems { field message } }
  }
}
"""
PANELS = """
  id connectorId connectorName status refreshing stale
  badge { text color }
  customer { customerId name badge { text color } fields { key value } deepLink }
  error { code message httpStatus } helpUrl fetchedAt expiresAt
"""
TICKET = f"query ($id: ID!) {{ ticket(id: $id) {{ id subject crmPanels {{ {PANELS} }} }} }}"
LIST = f"{{ tickets {{ nodes {{ id number subject automatic requester {{ email name }} crmPanels {{ {PANELS} }} }} }} }}"
WATCH = f"subscription ($id: ID!) {{ crmPanels(ticketId: $id) {{ {PANELS} }} }}"
REFRESH = f"""
mutation ($id: ID!, $connector: ID) {{
  refreshLookup(ticketId: $id, connectorId: $connector) {{
    __typename ... on LookupsRefreshed {{ panels {{ {PANELS} }} }}
  }}
}}
"""


@dataclass
class Helpdesk:
    """A running product with one workspace."""

    parts: Parts
    port: int
    workspace_id: WorkspaceId
    server: Server

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def mail_port(self) -> int:
        assert self.parts.mail_address is not None
        return int(self.parts.mail_address.rpartition(":")[2])

    def token(self, role: Role = Role.AGENT, *, workspace: WorkspaceId | None = None, ttl: timedelta = timedelta(hours=1)) -> str:
        return self.parts.tokens.issue(workspace or self.workspace_id, role, name="Test", ttl=ttl)

    def front_end(self, role: Role = Role.AGENT, *, workspace: WorkspaceId | None = None) -> FrontEnd:
        return FrontEnd(self.base_url, self.token(role, workspace=workspace))

    @property
    def agent(self) -> FrontEnd:
        return self.front_end(Role.AGENT)

    @property
    def admin(self) -> FrontEnd:
        return self.front_end(Role.ADMIN)

    async def add_workspace(self, name: str, address: str) -> WorkspaceId:
        async with self.parts.database.operator() as store:
            return await store.workspaces.create(name, [support_address(address)], utc_now())

    async def connect(self, url: str, name: str = "CRM", **settings: Any) -> str:  # noqa: ANN401
        """Add a connector and return its id."""
        given = {"name": name, "lookupUrl": url} | settings
        created = (await self.admin.ask(CREATE_CONNECTOR, input=given))["createConnector"]
        assert created["__typename"] == "Connector", created
        connector_id: str = created["id"]
        return connector_id

    async def mail(self, raw: bytes | None = None, *, to: str = SUPPORT, sender: str = "jan@firma.cz", **mail: str) -> None:
        """Send a mail by SMTP; ``mail`` holds the headers of one that is made here."""
        await in_thread(self._send, raw or message(**({"From": f"Jan <{sender}>"} | mail)), to, sender)

    def _send(self, raw: bytes, to: str, sender: str) -> None:
        with smtplib.SMTP("127.0.0.1", self.mail_port, timeout=PATIENCE) as connection:
            connection.sendmail(sender, [to], raw, mail_options=["SMTPUTF8", "BODY=8BITMIME"])

    async def tickets(self) -> list[Any]:
        """All tickets with their panels, newest first; reading them starts nothing."""
        nodes: list[Any] = (await self.agent.ask(LIST))["tickets"]["nodes"]
        return nodes

    async def panel(self, ticket: int = 0, panel: int = 0) -> Any:  # noqa: ANN401
        """One panel, counted from the newest ticket, without starting a lookup."""
        return (await self.tickets())[ticket]["crmPanels"][panel]

    async def settled(self, ticket: int = 0, panel: int = 0) -> Any:  # noqa: ANN401
        """That panel once nothing is under way any more."""

        async def look() -> Any:  # noqa: ANN401
            seen = await self.panel(ticket, panel)
            return None if seen["refreshing"] else seen

        return await eventually(look)


def message(text: str = "Hello", **headers: str) -> bytes:
    """A small mail; underscores in the names of headers stand for hyphens."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + f"\r\n\r\n{text}\r\n").encode()


@asynccontextmanager
async def open_helpdesk(
    data_dir: Path,
    *,
    port: int = 0,
    lmtp: bool = False,
    patience: timedelta = timedelta(seconds=6),
    spread: timedelta = timedelta(0),
    names: Callable[[str], Resolved] = look_up,
    **settings: Any,  # noqa: ANN401
) -> AsyncIterator[Helpdesk]:
    """Serve until the block ends, on free ports unless one is given; over data that is there already, its first workspace."""
    defaults = {"data_dir": data_dir, "lookup_allowed_networks": ["127.0.0.0/8"]}
    parts = Parts(load_settings(_env_file=None, **(defaults | settings)), patience=patience, spread=spread, names=names)
    listener = socket.create_server(("127.0.0.1", port))
    server = Server(parts, listener, MailDoor(port=0, lmtp=lmtp))
    serving = asyncio.create_task(server.run_until_stopped())

    async def server_started() -> bool:
        return server.started or serving.done()

    await eventually(server_started)
    async with parts.database.operator() as store:
        known = [workspace.id for workspace in await store.workspaces.all()]
        workspace_id = known[0] if known else await store.workspaces.create("Disqua", [support_address(SUPPORT)], utc_now())
    try:
        yield Helpdesk(parts, listener.getsockname()[1], workspace_id, server)
    finally:
        server.should_exit = True
        await serving
