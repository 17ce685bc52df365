"""A workspace that is served by processes of their own."""

from __future__ import annotations

import asyncio
import signal
import smtplib
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.stage.front_end import FrontEnd
from tests.stage.helpdesk import CREATE_CONNECTOR, LIST, message
from tests.stage.process import DISQUA, free_port, serving
from tests.stage.waiting import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.stage.process import Serving
    from tests.stage.shell import Shell


TRY_OUT = 'mutation ($id: ID!) { testConnector(id: $id, email: "jan@firma.cz") { ... on LookupTrial { status } } }'


class Desk:
    """A served workspace."""

    def __init__(self, served: Serving, token: str) -> None:
        self.served = served
        self.front_end = FrontEnd(served.base_url, token)

    async def connect(self, url: str) -> str:
        given = {"name": "CRM", "lookupUrl": url}
        created = (await self.front_end.ask(CREATE_CONNECTOR, input=given))["createConnector"]
        assert created["__typename"] == "Connector"
        connector_id: str = created["id"]
        return connector_id

    async def try_out(self, connector_id: str) -> str:
        """The status of a test: a lookup that this service runs itself, whoever runs the others."""
        trial = (await self.front_end.ask(TRY_OUT, id=connector_id))["testConnector"]
        status: str = trial["status"]
        return status

    async def mail(self) -> str:
        """Send a mail and return its ticket's id."""
        raw = message(From="jan@firma.cz", Message_ID="<1@firma.cz>")
        await in_thread(self._send, raw)
        ticket_id: str = (await self.front_end.ask(LIST))["tickets"]["nodes"][0]["id"]
        return ticket_id

    def _send(self, raw: bytes) -> None:
        with smtplib.SMTP("127.0.0.1", self.served.mail_port, timeout=10) as connection:
            connection.sendmail("jan@firma.cz", ["support@acme.example"], raw)

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> float:
        """Send the signal; how many seconds it took to end, which it must do with exit code 0."""
        started = time.monotonic()
        self.served.process.send_signal(how)
        async with asyncio.timeout(30):
            code = await self.served.process.wait()
        assert code == 0, self.served.log.read_text()
        return time.monotonic() - started


@asynccontextmanager
async def open_desk(shell: Shell, *, workers: int = 1, program: Path = DISQUA) -> AsyncIterator[Desk]:
    """Serve in a process of its own, or in several; ``program`` may be a copy of ours that the test breaks."""
    listed = await in_thread(shell.says, "workspace", "list")
    workspace_id = listed.partition("\t")[0] or await in_thread(
        shell.says, "workspace", "create", "Acme", "--address", "support@acme.example"
    )
    token = await in_thread(shell.says, "token", "--workspace", workspace_id, "--role", "admin")
    redis = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}"} if workers > 1 else {}
    async with serving(shell.data_dir, workers, program, port=free_port(), mail_port=free_port(), **redis) as served:
        yield Desk(served, token)
