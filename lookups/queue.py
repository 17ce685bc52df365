"""Waking the runners of a connector: a bell for each, at most eight runners behind it.

The table of lookups is the queue; a ring only says that it is worth looking. Nothing piles up in memory,
urgent lookups are found first because the table is asked for the next one each time, and a lost ring
costs the time until the sweeper's next round.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

import structlog
from taskiq import InMemoryBroker

from domain.identity import ConnectorId, WorkspaceId
from domain.lookup import PER_CONNECTOR
from persistence.database import DatabaseAway

if TYPE_CHECKING:
    from lookups.runner import Runner

_AT_ONCE = 512
_FINISHING_SECONDS = 5.0
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Lane:
    """The runners of one connector in this process."""

    runners: int = 0
    rung: bool = False


class Queue:
    """Runs queued lookups inside this process, at most eight at once for one connector."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._lanes: defaultdict[ConnectorId, _Lane] = defaultdict(_Lane)
        self._slots = asyncio.Semaphore(_AT_ONCE)  # the in-memory broker has no bound of its own
        self._broker = InMemoryBroker()
        self._open = False

        @self._broker.task("lookups.run_lane")
        async def run_lane(workspace_id: str, connector_id: str) -> None:
            await self._run_lane(WorkspaceId(UUID(workspace_id)), ConnectorId(UUID(connector_id)))

        self._lane_task = run_lane

    async def open(self) -> None:
        """Begin to take rings."""
        await self._broker.startup()
        self._open = True

    async def close(self) -> None:
        """Take no more rings and give the lookups under way time to finish."""
        self._open = False
        try:
            async with asyncio.timeout(_FINISHING_SECONDS):
                await self._broker.wait_all()
        except TimeoutError:
            _log.warning("lookups were still under way at the end")
        await self._broker.shutdown()

    async def ring(self, workspace_id: WorkspaceId, connector_id: ConnectorId) -> None:
        """Say that the connector has queued lookups; returns at once."""
        lane = self._lanes[connector_id]
        lane.rung = True
        if self._open and lane.runners < PER_CONNECTOR:
            lane.runners += 1
            await self._lane_task.kiq(str(workspace_id), str(connector_id))

    async def _run_lane(self, workspace_id: WorkspaceId, connector_id: ConnectorId) -> None:
        lane = self._lanes[connector_id]
        try:
            while self._open:
                lane.rung = False
                if not await self._run_next(workspace_id, connector_id) and not lane.rung:
                    break
        except DatabaseAway:
            _log.warning("lookups wait for the database", connector_id=str(connector_id))
        finally:
            lane.runners -= 1
            if not lane.runners:
                del self._lanes[connector_id]

    async def _run_next(self, workspace_id: WorkspaceId, connector_id: ConnectorId) -> bool:
        async with self._slots:
            prepared = await self._runner.claim(workspace_id, connector_id)
            if prepared is None:
                return False
            await self.ring(workspace_id, connector_id)  # where one was queued there may be more
            await self._runner.run(prepared)
        return True
