"""The story that the demo tells: two companies, their connectors, and who writes to them."""

from __future__ import annotations

import secrets
import smtplib
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from typing import TYPE_CHECKING

from domain.identity import Role, WorkspaceId, support_address
from server.clock import utc_now
from server.demo.crm import SECRET_HEADER
from server.demo.front_end import FrontEnd

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from server.app import Parts

_PATIENCE_SECONDS = 10.0
_TOKEN_TTL = timedelta(days=1)
_CREATE_CONNECTOR = """mutation ($input: CreateConnectorInput!) {
  createConnector(input: $input) { ... on Connector { id } ... on InvalidInput { problems { field message } } }
}"""


@dataclass(frozen=True)
class Company:
    """One imaginary company: its connectors by name and path, and who writes to it about what."""

    name: str
    support: str
    connectors: dict[str, str]
    mails: dict[str, str]


COMPANIES = (
    Company(
        name="SaaS company",
        support="support@saas.example",
        connectors={"Billing": "/billing", "Product usage": "/usage"},
        mails={
            "Ada Lovelace <ada@engines.example>": "The analytical report does not add up",
            "Grace Hopper <grace@compilers.example>": "There is a moth in the relay",
            "A stranger <who@nowhere.example>": "What does it cost?",
            "Outis <outage@engines.example>": "Is your billing down?",
            "Percy Slowman <slow@engines.example>": "No hurry",
        },
    ),
    Company(
        name="E-commerce",
        support="pomoc@obchod.example",
        connectors={"Shop": "/shop", "Loyalty": "/loyalty"},
        mails={
            "Jan Novák <jan.novak@posta.example>": "Kde je moje zásilka?",
            "Host <host@posta.example>": "Máte i modrou?",
        },
    ),
)


class Telling:
    """One company's part of the story."""

    def __init__(self, company: Company, parts: Parts, workspace_id: WorkspaceId, front_end: FrontEnd) -> None:
        self.company = company
        self.front_end = front_end
        self.first_ticket = ""
        self._parts = parts
        self._workspace_id = workspace_id

    @classmethod
    @asynccontextmanager
    async def begin(cls, company: Company, parts: Parts, api: str, crm: str, secret: str) -> AsyncIterator[Telling]:
        """Add the workspace, sign in as its admin and add its connectors over the API."""
        async with parts.database.operator() as store:
            workspace_id = await store.workspaces.create(company.name, [support_address(company.support)], utc_now())
        admin = parts.tokens.issue(workspace_id, Role.ADMIN, name="Demo", ttl=_TOKEN_TTL)
        async with FrontEnd.signed_in(api, admin) as front_end:
            for name, path in company.connectors.items():
                connector = {
                    "name": name,
                    "lookupUrl": f"{crm}{path}",
                    "secretHeaderName": SECRET_HEADER,
                    "secretHeaderValue": secret,
                    "linkTemplate": f"https://crm.example{path}/{{customer_id}}",
                }
                await front_end.ask(_CREATE_CONNECTOR, input=connector)
            yield cls(company, parts, workspace_id, front_end)

    def token(self, role: Role) -> str:
        """A token for a day."""
        return self._parts.tokens.issue(self._workspace_id, role, name=f"Demo {role}", ttl=_TOKEN_TTL)

    def send(self, sender: str, subject: str) -> None:
        """Send one mail by SMTP; blocks."""
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = sender, self.company.support, subject
        mail["Message-ID"] = f"<{secrets.token_hex(8)}@demo.example>"
        mail.set_content(f"Hello,\n\n{subject}.\n\nRegards\n")
        host, _, port = (self._parts.mail_address or "").removeprefix("smtp://").rpartition(":")
        with smtplib.SMTP(host, int(port), timeout=_PATIENCE_SECONDS) as connection:
            connection.send_message(mail)
