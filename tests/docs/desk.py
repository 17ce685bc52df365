"""The helpdesk that the pages talk about: its requester, its connector, and the ids that the examples show."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import signal
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from domain.connector import Connector
from domain.identity import ConnectorId, TicketId
from domain.panel import Panel, compose_panel
from server.clock import utc_now
from tests.stage.crm import response
from tests.stage.helpdesk import SUPPORT, message

if TYPE_CHECKING:
    from domain.identity import Role
    from domain.lookup import Standing
    from tests.docs.page import Operation
    from tests.stage.crm import Crm
    from tests.stage.helpdesk import Helpdesk

REQUESTER = "jan.novak@company.cz"
SECRET = "choose-a-long-random-text"

_TICKET = "0197a3c2-5d1e-7c44-9f3a-2b8d6e10c7f5"
_CONNECTOR = "0197a3c1-7f20-7d31-a5c8-4e9b0d2f6a11"
_WORKSPACE = "0197a3c0-11aa-7b02-8d5c-6f4e2a9b3d17"
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?\+00:00")
_REFUSALS = {"InvalidInput", "NotFound"}


@dataclass(frozen=True)
class Desk:
    """A running helpdesk with one connector and one ticket, whose ids stand for those of the pages."""

    helpdesk: Helpdesk
    crm: Crm
    connector_id: str
    ticket_id: str

    @property
    def ids(self) -> dict[str, str]:
        return {_TICKET: self.ticket_id, _CONNECTOR: self.connector_id, _WORKSPACE: str(self.helpdesk.workspace_id)}

    def really(self, text: str) -> str:
        """A text of a page with the ids and the addresses that really are."""
        for shown, real in self.ids.items():
            text = text.replace(shown, real)
        return text.replace("http://127.0.0.1:8000", self.helpdesk.base_url)

    def as_shown(self, text: str) -> str:
        """The other way round."""
        for shown, real in self.ids.items():
            text = text.replace(real, shown)
        return text

    async def perform(self, operation: Operation, role: Role) -> Any:  # noqa: ANN401 - whatever the operation selects
        """The answer to an operation, of a subscription its first event."""
        document, variables = self.really(operation.document), json.loads(self.really(json.dumps(operation.variables)))
        front_end = self.helpdesk.front_end(role)
        if not document.startswith("subscription"):
            return (await front_end.post(document, variables)).json()
        async with front_end.watching(document, **variables) as events:
            first = asyncio.create_task(events.next())
            while not first.done():
                await self.open_ticket()  # until one opens after the subscription has begun
                await asyncio.wait([first], timeout=0.05)
            return {"data": {"event": await first}}

    async def open_ticket(self) -> None:
        opening = 'mutation { createTicket(input: {requesterEmail: "eva@company.cz", subject: "Hello"}) { __typename } }'
        await self.helpdesk.agent.ask(opening)


async def shell(commands: str, folder: Path, *, lines: int | None = None, **environment: str) -> str:
    """What commands print that run in ``folder``; they are ended after so many ``lines``, if given."""
    process = await asyncio.create_subprocess_exec(
        *("sh", "-ec", commands),
        cwd=folder,
        env=environment_of_programs() | environment,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    if lines is None:
        printed, _ = await process.communicate()
        assert process.returncode == 0, commands
        return printed.decode()
    heard = [await process.stdout.readline() for _ in range(lines)]
    os.killpg(process.pid, signal.SIGTERM)
    await process.communicate()
    return b"".join(heard).decode()


def environment_of_programs() -> dict[str, str]:
    """Ours without its settings, and with the programs of these tests first on the path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DISQUA_", "LOOKUP_"))}
    return kept | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}


async def set_up(helpdesk: Helpdesk, crm: Crm, answer: str) -> Desk:
    """Connect a CRM that gives this answer, and receive one mail that has been looked up."""
    crm.answers["/lookup"] = response(200, answer.encode())
    connector_id = await helpdesk.connect(
        crm.url(),
        secretHeaderName="X-Api-Key",
        secretHeaderValue=SECRET,
        linkTemplate="https://crm.company.cz/customers/{customer_id}",
    )
    mail = {"From": f"=?utf-8?q?Jan_Nov=C3=A1k?= <{REQUESTER}>", "Subject": "Invoice 2026-118", "Message_ID": "<1@company.cz>"}
    await helpdesk.mail(message("Could you send me the invoice again?", **mail), to=SUPPORT, sender=REQUESTER)
    await helpdesk.settled()
    (ticket,) = await helpdesk.tickets()
    return Desk(helpdesk, crm, connector_id, ticket["id"])


def panel_of(standing: Standing) -> Panel:
    """The panel that a connector with these outcomes has."""
    connector = Connector(
        id=ConnectorId(UUID(int=2)),
        name="CRM",
        lookup_url="https://crm.company.cz/lookup",
        secret_header_name=None,
        has_secret=False,
        link_template=None,
        cache_ttl=timedelta(hours=24),
        log_results=True,
        enabled=True,
        position=1,
        created_at=utc_now(),
        updated_at=utc_now(),
    )
    return compose_panel(TicketId(UUID(int=1)), connector, standing)


def refusals_in(answer: Any) -> list[Any]:  # noqa: ANN401 - any JSON value
    """The members of an answer that say no, whatever they selected of their refusal."""
    if isinstance(answer, list):
        return [refusal for item in answer for refusal in refusals_in(item)]
    if not isinstance(answer, dict):
        return []
    refused = answer.get("__typename") in _REFUSALS or "problems" in answer or list(answer) == ["message"]
    return [answer] if refused else [refusal for item in answer.values() for refusal in refusals_in(item)]


def comparable(value: Any, key: str = "") -> Any:  # noqa: ANN401 - any JSON value
    """The value with what differs from run to run replaced by a word for it."""
    if isinstance(value, dict):
        return {name: comparable(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [comparable(item, key) for item in value]
    if key == "durationMs":
        return "a duration" if isinstance(value, int) else value
    if not isinstance(value, str):
        return value
    if key in {"cursor", "endCursor"} and _UUID.fullmatch(_decoded(value)):
        return "a cursor"
    return _TIME.sub("a time", _UUID.sub("an id", value))


def _decoded(cursor: str) -> str:
    return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
