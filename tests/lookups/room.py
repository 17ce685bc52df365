"""The lookups room without its doors: a database, runners, announcements, and a clock that tests set."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from domain.connector import ConnectorSettings, EndpointPolicy
from domain.identity import ConnectorId, WorkspaceId, email_address, support_address
from domain.lookup import LookupStatus, LookupTrigger, Occasion
from domain.secret import Secret
from domain.ticket import Requester
from lookups.client import LookupClient
from lookups.connectors import create_connector
from lookups.guard import Guard
from lookups.lanes import Lanes
from lookups.queue import Queue
from lookups.request import Dispatch, request_lookups
from lookups.runner import Runner
from lookups.sweeper import Sweeper
from lookups.updates import Topic, Updates, Watch
from persistence.database import Database
from persistence.encryption import KeyRing, new_key_entry
from tests.stage.back_door import BackDoor
from tests.stage.waiting import eventually, in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from domain.connector import Connector
    from domain.lookup import Lookup, Standing
    from domain.ticket import Ticket
    from lookups.request import Requested
    from tests.stage.crm import Crm, Request

POLICY = EndpointPolicy(plain_http=True, address_allowed=lambda _: True)


@dataclass
class Clock:
    """The time as the tests will have it."""

    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    def now(self) -> datetime:
        return self.time

    def let_pass(self, time: timedelta) -> None:
        self.time += time


@dataclass
class Room:
    """Everything that asks, over one workspace."""

    database: Database
    clock: Clock
    updates: Updates
    workspace_id: WorkspaceId
    runner: Runner
    observed: list[tuple[LookupTrigger, LookupStatus, timedelta]]
    back_door: BackDoor

    def __post_init__(self) -> None:
        self.lanes = Lanes(self.runner)
        self.queue = Queue(self.lanes)
        self.dispatch = Dispatch(self.queue, self.updates)
        self.sweeper = Sweeper(self.database, self.lanes, self.runner, now=self.clock.now)

    async def add_workspace(self, address: str) -> WorkspaceId:
        async with self.database.operator() as store:
            return await store.workspaces.create("Firma", [support_address(address)], self.clock.now())

    async def connect(self, url: str, *, secret: str | None = None, **settings: Any) -> Connector:  # noqa: ANN401
        """Add a connector."""
        defaults = {
            "name": "CRM",
            "lookup_url": url,
            "secret_header_name": None if secret is None else "X-Api-Key",
            "has_secret": secret is not None,
            "link_template": None,
            "cache_ttl": timedelta(hours=24),
            "log_results": True,
            "enabled": True,
            "position": 0,
        }
        given = ConnectorSettings(**(defaults | settings))
        async with self.database.workspace(self.workspace_id) as store:
            value = None if secret is None else Secret(secret)
            return await create_connector(store, given, value, policy=POLICY, now=self.clock.now())

    async def open_ticket(self, email: str | None = "jan@firma.cz", *, bounce: bool = False) -> Ticket:
        """Open a ticket without asking anybody."""
        requester = None if email is None else Requester(email_address(email))
        async with self.database.workspace(self.workspace_id) as store:
            return await store.tickets.open(subject="", requester=requester, bounce=bounce, now=self.clock.now())

    async def request(
        self, ticket: Ticket, occasion: Occasion = Occasion.TICKET_OPENED, *, only: ConnectorId | None = None
    ) -> Requested:
        """Queue what the occasion calls for, and tell nobody."""
        async with self.database.workspace(self.workspace_id) as store:
            return await request_lookups(store, ticket, occasion, now=self.clock.now(), only=only)

    async def standing(self, ticket: Ticket, connector: Connector) -> Standing:
        """What is known of (connector, requester)."""
        async with self.database.reading(ticket.workspace_id) as store:
            standings = (await store.standings.of([ticket.id]))[ticket.id]
        (standing,) = [known.standing for known in standings if known.connector.id == connector.id]
        return standing

    async def log(self, connector: Connector) -> list[Lookup]:
        """The connector's log, newest first."""
        async with self.database.reading(self.workspace_id) as store:
            return await store.lookups.newest(connector.id, 1000)

    async def ended(self, connector: Connector) -> bool:
        """Whether no lookup of the connector is open."""
        return all(line.completed_at for line in await self.log(connector))

    async def alter(self, statement: str, **values: object) -> None:
        """Change the database behind everybody's back."""
        await in_thread(self.back_door.alter, statement, **values)

    async def take_away(self, table: str) -> None:
        """Let whoever needs this table find the database away."""
        await in_thread(self.back_door.take_away, table)

    async def bring_back(self, table: str) -> None:
        """Undo ``take_away``."""
        await in_thread(self.back_door.bring_back, table)


@asynccontextmanager
async def open_room(url: str, *, workspace_id: WorkspaceId | None = None) -> AsyncIterator[Room]:
    """The room over a database that has every table; its queue is shut until a test opens it.

    With ``workspace_id`` it is another process's room, over the same workspace.
    """
    clock, observed = Clock(), list[tuple[LookupTrigger, LookupStatus, timedelta]]()
    async with AsyncExitStack() as stack:
        database = Database(url, KeyRing.parse(new_key_entry()))
        stack.push_async_callback(database.close)
        client = await stack.enter_async_context(LookupClient(Guard(allowed_networks=[ip_network("127.0.0.0/8")])))
        updates = Updates()
        await updates.open()
        stack.push_async_callback(updates.close)
        runner = Runner(database, client, updates, now=clock.now, observe=lambda *seen: observed.append(seen))
        if workspace_id is None:
            async with database.operator() as store:
                workspace_id = await store.workspaces.create("Firma", [support_address("support@firma.example")], clock.now())
        yield Room(database, clock, updates, workspace_id, runner, observed, BackDoor(url))


async def told(updates: Updates, workspace_id: WorkspaceId, watch: Watch) -> bool:
    """Whether the watch has been told of something since its last wait; everything announced before has arrived by then."""
    end = Topic("the end of what was announced before")
    async with updates.watch(workspace_id, end) as fence:
        await updates.announce(workspace_id, end)
        await fence.wait(10)
    try:
        async with asyncio.timeout(0):
            await watch.wait(10)
    except TimeoutError:
        return False
    return True


async def arrived(crm: Crm, count: int, path: str = "/lookup") -> list[Request]:
    """The requests of a path once there are this many."""

    async def enough() -> bool:
        return len(crm.asked(path)) >= count

    await eventually(enough)
    return crm.asked(path)


@asynccontextmanager
async def at_work(room: Room, *, patience: timedelta = timedelta(0)) -> AsyncIterator[Lanes]:
    """The room's queue and lanes, open."""
    await room.queue.open()
    room.lanes.open(patience=patience)
    try:
        yield room.lanes
    finally:
        await room.lanes.close()
        await room.queue.close()
