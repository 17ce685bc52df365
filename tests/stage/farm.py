"""Many processes over one PostgreSQL and one Redis, each to be killed, hung and started again at its own ports."""

from __future__ import annotations

import os
import signal
import smtplib
import subprocess
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.stage.front_end import NO_TLS, PATIENCE, FrontEnd
from tests.stage.helpdesk import CREATE_CONNECTOR, message
from tests.stage.process import DISQUA, children_of, environment, free_port
from tests.stage.shell import Shell
from tests.stage.waiting import by_now, eventually, in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

FULL_SIZE = os.environ.get("DISQUA_FULL_SIZE") == "1"
"""Whether faults last and repeat as long as the promises say, instead of a tenth of that."""

_STARTING_SECONDS = 30.0
_ENDING_SECONDS = 20.0
_MEGABYTE = 1024 * 1024
_NO_ANSWER = 0


@dataclass
class Member:
    """One process of a farm, ``disqua serve`` or ``disqua worker``; its ports stay the same however often it starts."""

    name: str
    command: tuple[str, ...]
    port: int
    mail_port: int
    shell: Shell
    settings: dict[str, str]
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def _log(self) -> Path:
        return self.shell.folder / f"{self.name}.log"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, f"{self.name} was never started"
        return self._process

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def children(self) -> set[int]:
        """The processes that it started and that are there."""
        return children_of(self.process.pid)

    @property
    def memory(self) -> float:
        """Megabytes that it and its children hold themselves, what they share with others apart."""
        return sum(_memory(process) for process in {self.process.pid, *self.children()})

    def launch(self) -> None:
        """Start without waiting."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [DISQUA, *self.command],
                env=environment(self.shell.data_dir, **self.settings),
                cwd=self.shell.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait_until_alive(self) -> None:
        by_now(self._answers, within=_STARTING_SECONDS)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait(_ENDING_SECONDS)

    def stop(self) -> int:
        """End it as its operator would; its exit code."""
        self.process.terminate()
        return self.process.wait(_ENDING_SECONDS)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """It holds its connections and does nothing."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def hang_up(self) -> None:
        """Have ``serve --workers`` replace its processes one by one."""
        self.process.send_signal(signal.SIGHUP)

    async def ready(self) -> tuple[int, dict[str, str]]:
        """What /readyz says."""
        answer = await self._get("/readyz")
        return answer.status_code, answer.json()

    async def numbers(self) -> dict[str, float]:
        """What /metrics says, by name and labels in a row."""
        families = text_string_to_metric_families((await self._get("/metrics")).text)
        samples = [sample for family in families for sample in family.samples]
        return {"".join([sample.name, *map(str, sample.labels.values())]): sample.value for sample in samples}

    async def lookups_ended(self) -> float:
        """How many lookups this process has ended."""
        return sum(value for name, value in (await self.numbers()).items() if name.startswith("disqua_lookups_total"))

    async def reply_to(self, raw: bytes, recipient: str) -> int:
        """What it says to a mail by SMTP: the code that counts in the end, 0 where there is none."""
        return await in_thread(self._reply_to, raw, recipient)

    def _reply_to(self, raw: bytes, recipient: str) -> int:
        try:
            with smtplib.SMTP("127.0.0.1", self.mail_port, timeout=_ENDING_SECONDS) as connection:
                connection.sendmail("sender@firma.cz", [recipient], raw)
        except smtplib.SMTPRecipientsRefused as refused:
            return min(code for code, _ in refused.recipients.values())
        except smtplib.SMTPResponseException as refused:
            return refused.smtp_code
        except (OSError, smtplib.SMTPException):
            return _NO_ANSWER
        return 250

    async def _get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False, verify=NO_TLS, timeout=PATIENCE) as client:
            return await client.get(f"{self.base_url}{path}")

    def _answers(self) -> bool:
        assert self.alive, self.log
        try:
            return httpx.get(f"{self.base_url}/healthz", trust_env=False, verify=NO_TLS).is_success
        except httpx.TransportError:
            return False


def _memory(process: int) -> float:
    pages = Path(f"/proc/{process}/statm").read_text().split()
    return (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE") / _MEGABYTE


@dataclass(frozen=True)
class Company:
    """A workspace of the farm's; every process can be asked for it."""

    address: str
    token: str

    def front_end(self, server: Member) -> FrontEnd:
        return FrontEnd(server.base_url, self.token)

    async def connect(self, server: Member, url: str, **settings: Any) -> str:  # noqa: ANN401
        """Add a connector and return its id."""
        given = {"name": "CRM", "lookupUrl": url} | settings
        created = (await self.front_end(server).ask(CREATE_CONNECTOR, input=given))["createConnector"]
        assert created["__typename"] == "Connector", created
        connector_id: str = created["id"]
        return connector_id

    async def mail(self, server: Member, sender: str = "jan@firma.cz", **headers: str) -> int:
        """Send a mail; the code of the answer."""
        return await server.reply_to(message(**({"From": sender} | headers)), self.address)

    async def tickets(self, server: Member) -> list[Any]:
        """All tickets with their panels, oldest first; reading them starts nothing."""
        front_end = self.front_end(server)
        found: list[Any] = []
        page: Any = {"pageInfo": {"hasNextPage": True, "endCursor": None}}
        while page["pageInfo"]["hasNextPage"]:
            page = (await front_end.ask(_TICKETS, after=page["pageInfo"]["endCursor"]))["tickets"]
            found += page["nodes"]
        return found[::-1]

    async def panels(self, server: Member) -> list[Any]:
        """All panels of all tickets."""
        return [panel for ticket in await self.tickets(server) for panel in ticket["crmPanels"]]

    async def settled(self, server: Member, *, within: float) -> list[Any]:
        """All panels once nothing is refreshing."""

        async def look() -> list[Any] | None:
            panels = await self.panels(server)
            return None if any(panel["refreshing"] for panel in panels) else panels

        return await eventually(look, within=within)


@dataclass
class Farm:
    """Processes that share a database and a Redis."""

    shell: Shell
    settings: dict[str, str]
    servers: list[Member] = field(default_factory=list)
    workers: list[Member] = field(default_factory=list)
    _numbers: count[int] = field(default_factory=count)

    @property
    def members(self) -> list[Member]:
        return [*self.servers, *self.workers]

    def add_server(self, *, processes: int = 1) -> Member:
        port, mail_port = free_port(), free_port()
        options = ("--port", str(port), "--smtp-port", str(mail_port), "--workers", str(processes))
        member = Member(f"serve-{next(self._numbers)}", ("serve", *options), port, mail_port, self.shell, self.settings)
        self.servers.append(member)
        return member

    def add_worker(self) -> Member:
        port = free_port()
        member = Member(f"worker-{next(self._numbers)}", ("worker", "--port", str(port)), port, 0, self.shell, self.settings)
        self.workers.append(member)
        return member

    def start(self) -> None:
        """Start all side by side and wait for them."""
        for member in self.members:
            member.launch()
        for member in self.members:
            member.wait_until_alive()

    def stop(self) -> None:
        """End those that run, side by side; none may have told of a fault of its own."""
        running = [member for member in self.members if member.alive]
        for member in running:
            member.process.terminate()
        for member in running:
            member.process.wait(_ENDING_SECONDS)

    async def company(self) -> Company:
        """A new workspace, made and given a token by the command line."""
        address = f"support{next(self._numbers)}@disqua.example"
        workspace_id = await in_thread(self.shell.says, "workspace", "create", "Acme", "--address", address, **self.settings)
        arguments = ("token", "--workspace", workspace_id, "--role", "admin")
        return Company(address, await in_thread(self.shell.says, *arguments, **self.settings))


@contextmanager
def open_farm(folder: Path, *, servers: int, workers: int, several: int = 0, **settings: str) -> Iterator[Farm]:
    """A running farm over a database that `disqua migrate` has brought to the newest schema; blocks while it starts.

    ``several`` servers more are two processes each.
    """
    shell = Shell(folder)
    farm = Farm(shell, {"LOG_LEVEL": "warning", "LOOKUP_ALLOWED_NETWORKS": "127.0.0.0/8"} | settings)
    assert shell.run("migrate", **farm.settings).code == 0
    for _ in range(servers):
        farm.add_server()
    for _ in range(several):
        farm.add_server(processes=2)
    for _ in range(workers):
        farm.add_worker()
    with ExitStack() as stack:
        stack.callback(farm.stop)
        farm.start()
        yield farm


_TICKETS = """query ($after: String) {
  tickets(first: 100, after: $after) {
    nodes { id subject requester { email } crmPanels { id status refreshing error { code } } }
    pageInfo { hasNextPage endCursor }
  }
}"""
