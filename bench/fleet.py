"""The product as it is run: processes over PostgreSQL and Redis, or one over its own file; and a way in to prepare things."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domain.connector import ConnectorSettings
from domain.identity import Role, support_address
from domain.ticket import Requester
from server.app import Parts
from server.clock import utc_now
from server.settings import load_settings
from tests.stage.postgres import open_postgresql
from tests.stage.process import DISQUA, environment, free_port, serving
from tests.stage.redis import redis_on_stage
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from domain.identity import ConnectorId, EmailAddress, TicketId, WorkspaceId
    from tests.stage.process import Serving

AS_IN_PRODUCTION = {"autovacuum": "on", "autovacuum_naptime": "10s", "shared_buffers": "128MB", "max_wal_size": "2GB"}
_OPERATORS = {"MAILS_PER_SENDER_AND_HOUR": "1000000"}


@dataclass
class Fleet:
    """Running processes by part, and their database."""

    data_dir: Path
    settings: dict[str, str]
    given: dict[str, Any]
    """What another process gives to ``load_settings`` to be of this fleet."""
    parts: Parts
    """Not running: this process's own way to the database, to tokens and to announcements."""
    processes: dict[str, list[int]] = field(default_factory=dict)
    served: list[Serving] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        """Where the first one serves."""
        return self.served[0].base_url

    @property
    def mail_ports(self) -> list[int]:
        """Where each takes mail."""
        return [served.mail_port for served in self.served]

    def token(self, workspace_id: WorkspaceId, role: Role = Role.AGENT) -> str:
        """A token for the workspace."""
        return self.parts.tokens.issue(workspace_id, role, name="Bench", ttl=timedelta(hours=8))

    async def workspace(self, name: str) -> WorkspaceId:
        """A workspace that takes mail at support@NAME.example."""
        async with self.parts.database.operator() as store:
            return await store.workspaces.create(name, [support_address(support_of(name))], utc_now())

    async def connector(self, workspace_id: WorkspaceId, url: str, name: str = "CRM") -> ConnectorId:
        """A connector whose answers are never fresh, so that each mail asks again."""
        settings = ConnectorSettings(
            name=name, lookup_url=url, secret_header_name=None, has_secret=False, link_template=None,
            cache_ttl=timedelta(0), log_results=True, enabled=True, position=0,
        )  # fmt: skip
        async with self.parts.database.workspace(workspace_id) as store:
            return (await store.connectors.add(settings, None, utc_now())).id

    async def enable(self, workspace_id: WorkspaceId, connector_ids: Sequence[ConnectorId], *, enabled: bool) -> None:
        """Turn connectors on or off."""
        async with self.parts.database.workspace(workspace_id) as store:
            for connector_id in connector_ids:
                connector = await store.connectors.get(connector_id)
                assert connector is not None
                await store.connectors.save(connector_id, replace(connector, enabled=enabled), utc_now())

    async def forget(self, workspace_id: WorkspaceId, connector_id: ConnectorId) -> None:
        """Delete a connector with all its lookups."""
        async with self.parts.database.workspace(workspace_id) as store:
            await store.connectors.delete(connector_id)

    async def tickets(self, workspace_id: WorkspaceId, requesters: Sequence[EmailAddress]) -> list[TicketId]:
        """A ticket of each requester, about whom nobody is asked."""
        async with self.parts.database.workspace(workspace_id) as store:
            return [
                (await store.tickets.open(subject="Hello", requester=Requester(requester), now=utc_now())).id
                for requester in requesters
            ]

    async def depth(self) -> dict[str, int]:
        """How many lookups are queued and how many are running."""
        async with self.parts.database.operator_reading() as store:
            return await store.lookups.depth()

    async def serve_no_more(self) -> None:
        """Kill each `disqua serve`."""
        for served in self.served:
            if served.process.returncode is None:
                await served.kill()

    @asynccontextmanager
    async def working(self, count: int) -> AsyncIterator[None]:
        """So many `disqua worker` beside the others."""
        async with AsyncExitStack() as stack:
            self.processes["worker"] = [await stack.enter_async_context(self._worker(number)) for number in range(count)]
            yield

    @asynccontextmanager
    async def _worker(self, number: int) -> AsyncIterator[int]:
        log = self.data_dir.parent / f"worker{number}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                DISQUA, "worker", env=environment(self.data_dir, **self.settings), cwd=log.parent, stdout=output, stderr=output
            )

        async def works() -> bool:
            assert process.returncode is None, log.read_text()
            return "working" in log.read_text()

        try:
            await eventually(works, within=20)
            yield process.pid
        finally:
            process.kill()
            await process.wait()


def support_of(name: str) -> str:
    """Where the workspace of this name takes mail."""
    return f"support@{name}.example"


@asynccontextmanager
async def open_fleet(*, serves: int = 1, workers: int = 0, embedded: bool = False) -> AsyncIterator[Fleet]:
    """So many of each; an ``embedded`` one is a single `disqua serve` over its own file."""
    async with AsyncExitStack() as stack:
        data_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="disqua-bench-"))) / "data"
        processes, settings = {}, dict(_OPERATORS)
        if not embedded:
            postgres = stack.enter_context(open_postgresql(careful=True, **AS_IN_PRODUCTION))
            redis = stack.enter_context(redis_on_stage())
            settings |= {"DATABASE_URL": postgres.url(stack.enter_context(postgres.database())), "REDIS_URL": redis.url}
            processes = {"PostgreSQL": [postgres.pid], "Redis": [redis.pid]}
        given = {"data_dir": data_dir} | {name.lower(): value for name, value in settings.items() if name.endswith("_URL")}
        parts = Parts(load_settings(_env_file=None, **given))
        stack.push_async_callback(parts.database.close)
        await parts.migrate()
        fleet = Fleet(data_dir, settings, given, parts, processes)
        for _ in range(serves):
            served = serving(data_dir, port=free_port(), mail_port=free_port(), **settings)
            fleet.served.append(await stack.enter_async_context(served))
        stack.push_async_callback(fleet.serve_no_more)  # nobody is left whom a polite end could serve
        processes["serve"] = [served.process.pid for served in fleet.served]
        await stack.enter_async_context(fleet.working(workers))
        yield fleet
