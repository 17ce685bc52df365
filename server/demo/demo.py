"""``disqua demo``: the whole story on embedded parts, through the same doors that everybody uses."""

from __future__ import annotations

import asyncio
import secrets
import socket
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
import uvloop
from rich.console import Console
from rich.live import Live

from domain.identity import Role
from server.app import Parts
from server.console import HOW_TO_GET_IT, is_built
from server.demo.crm import demo_crm
from server.demo.screen import Row, draw
from server.demo.story import COMPANIES, Telling
from server.listen import MailDoor
from server.logs import set_up_logs
from server.serve import Server
from server.settings import Environment, LogLevel, Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_USUAL_PORT = 8000
_USUAL_SMTP_PORT = 8025
_SETTLING_SECONDS = 20.0
_MIN_WIDTH = 120

_TICKETS = "{ tickets { nodes { id number subject requester { email } } } }"
_WATCH = """subscription ($ticket: ID!) {
  crmPanels(ticketId: $ticket) {
    id connectorName status refreshing badge(locale: EN) { text color } error { message }
    customer { name fields { key value } }
  }
}"""
_TO_PASTE = """# 1. A ticket with its panels
query {{
  ticket(id: "{ticket}") {{
    subject requester {{ name email }}
    crmPanels {{
      connectorName status badge {{ text color }}
      customer {{ name fields {{ key value }} deepLink }} error {{ message }}
    }}
  }}
}}

# 2. The same panels, live (over WebSocket)
subscription {{
  crmPanels(ticketId: "{ticket}") {{ connectorName status refreshing badge {{ text color }} customer {{ name }} }}
}}

# 3. Ask again; the subscription shows it
mutation {{
  refreshLookup(ticketId: "{ticket}") {{ ... on LookupsRefreshed {{ panels {{ connectorName refreshing }} }} }}
}}"""


def run_demo(*, once: bool) -> int:
    """Tell the story; the exit code is 0 when every panel settled."""
    set_up_logs(LogLevel.WARNING, production=False)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_MIN_WIDTH)
    with (
        tempfile.TemporaryDirectory(prefix="disqua-demo-", ignore_cleanup_errors=True) as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        suppress(KeyboardInterrupt),
    ):
        return runner.run(_Demo(console, Path(folder), once=once).run())
    return 0


class _Demo:
    """One telling of the story."""

    def __init__(self, console: Console, folder: Path, *, once: bool) -> None:
        self._console = console
        self._folder = folder
        self._once = once
        self._rows: dict[str, Row] = {}
        self._changed = asyncio.Event()
        self._expected = sum(len(company.connectors) * len(company.mails) for company in COMPANIES)

    async def run(self) -> int:
        """Start everything, send the mails, watch the panels settle, keep serving."""
        parts = Parts(_settings(self._folder), spread=timedelta(0))
        listener = _listener(_USUAL_PORT)
        server = Server(parts, listener, MailDoor(port=_free_or_any(_USUAL_SMTP_PORT)))
        secret = secrets.token_urlsafe(24)
        api = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with AsyncExitStack() as stack:
            crm = await stack.enter_async_context(_serving_crm(secret))
            serving = await stack.enter_async_context(_serving(server))
            self._console.print(f"[bold]Disqua CRM Connector[/] serves {api}/graphql and takes mail at {parts.mail_address}\n")
            tellings = [await stack.enter_async_context(Telling.begin(one, parts, api, crm, secret)) for one in COMPANIES]
            watchers = [asyncio.create_task(self._watch(telling)) for telling in tellings]
            stack.push_async_callback(_cancel, watchers)
            for task in (serving, *watchers):
                task.add_done_callback(lambda _done: self._changed.set())
            settled = await self._show_until_settled(serving, *watchers)
            if not self._once and settled:
                self._explain(parts, api, tellings)
                await serving
        return 0 if settled else 1

    async def _watch(self, telling: Telling) -> None:
        """Send the mails of a company and follow the panels of each ticket they open."""
        for sender, subject in telling.company.mails.items():
            await asyncio.to_thread(telling.send, sender, subject)
        tickets = (await telling.front_end.ask(_TICKETS))["tickets"]["nodes"]
        telling.first_ticket = tickets[-1]["id"]
        async with asyncio.TaskGroup() as following:
            for ticket in tickets:
                following.create_task(self._follow(telling, ticket))

    async def _follow(self, telling: Telling, ticket: dict[str, Any]) -> None:
        async for event in telling.front_end.stream(_WATCH, ticket=ticket["id"]):
            panel = event["crmPanels"]
            self._rows[panel["id"]] = Row(telling.company, ticket["number"], ticket["requester"]["email"], panel)
            self._changed.set()

    async def _show_until_settled(self, *needed: asyncio.Future[Any]) -> bool:
        """Redraw whenever a panel changes; True when all of them settled in time and nothing needed has ended."""
        with Live(console=self._console, auto_refresh=False) as live, suppress(TimeoutError):
            async with asyncio.timeout(_SETTLING_SECONDS):
                while not self._all_settled() and not any(task.done() for task in needed):
                    await self._changed.wait()
                    self._changed.clear()
                    live.update(draw(COMPANIES, self._rows.values()), refresh=True)
        if not self._all_settled():
            self._console.print(f"[red]Not every panel settled within {_SETTLING_SECONDS:.0f} seconds.[/]")
        return self._all_settled()

    def _all_settled(self) -> bool:
        return len(self._rows) == self._expected and all(row.settled for row in self._rows.values())

    def _explain(self, parts: Parts, api: str, tellings: list[Telling]) -> None:
        """What to do with what is running now; the link to open comes last, where the eye is."""
        show = self._console.print
        show(f"GraphQL    {api}/graphql   (POST, and WebSocket with graphql-transport-ws)")
        show(f"Mail       {parts.mail_address}")
        show(f"Data       {self._folder}   (goes when the demo ends)")
        show("\n[bold]Three documents to paste[/]\n")
        show(_TO_PASTE.format(ticket=tellings[0].first_ticket), soft_wrap=True, markup=False)
        show(
            "\n[bold]The console, signed in[/]: each link holds its token behind #token="
            if is_built()
            else f"\nThis installation has no web console: {HOW_TO_GET_IT}."
        )
        for telling in tellings:
            show(f"\n[bold]{telling.company.name}[/]: write to {telling.company.support}")
            for role in (Role.AGENT, Role.ADMIN):
                self._show_way_in(api, role, telling.token(role))
        show("\nCtrl-C ends the demo.")

    def _show_way_in(self, api: str, role: Role, token: str) -> None:
        """A link that signs in; where there is no console to sign in to, the header that does."""
        if is_built():
            self._console.print(f"[bold]{role}[/]  {api}/#token={token}", soft_wrap=True)
        else:
            self._console.print(f"[bold]{role}[/], Authorization: Bearer {token}", soft_wrap=True)


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _settings(folder: Path) -> Settings:
    """Nothing of the environment: the demo is the same everywhere."""
    return load_settings(
        _env_file=None,
        env=Environment.DEVELOPMENT,
        data_dir=folder,
        lookup_allowed_networks=["127.0.0.0/8"],
        **dict.fromkeys(("database_url", "redis_url", "encryption_keys", "token_key", "jwks_url", "lookup_ca_file")),
    )


def _listener(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port), backlog=2048)
    except OSError:
        return socket.create_server(("127.0.0.1", 0), backlog=2048)


def _free_or_any(port: int) -> int:
    with _listener(port) as probe:
        return port if probe.getsockname()[1] == port else 0


@asynccontextmanager
async def _serving(server: Server) -> AsyncIterator[asyncio.Task[None]]:
    running = asyncio.create_task(server.run_until_stopped())
    while not server.started and not running.done():  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        yield running
    finally:
        server.should_exit = True
        await running


@asynccontextmanager
async def _serving_crm(secret: str) -> AsyncIterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = _QuietServer(uvicorn.Config(demo_crm(secret), log_config=None, lifespan="off", timeout_graceful_shutdown=5))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


class _QuietServer(uvicorn.Server):
    """A server that leaves the signals to the other one."""

    def capture_signals(self) -> Any:  # noqa: ANN401 - a context manager
        return nullcontext()
