"""The net under everything: lookups whose process died are ended, lookups that nobody was woken for are run."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from persistence.database import DatabaseAway

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from lookups.lanes import Lanes
    from lookups.runner import Runner
    from persistence.database import Database

_ROUND_SECONDS = 2.0
_A_MINUTE = timedelta(minutes=1)
_log = structlog.get_logger(__name__)


class Sweeper:
    """Goes round at the start and every two seconds."""

    def __init__(
        self,
        database: Database,
        lanes: Lanes,
        runner: Runner,
        *,
        now: Callable[[], datetime],
        patience: timedelta = timedelta(0),
    ) -> None:
        """Leaves what has been queued for less than ``patience`` to the workers."""
        self._database = database
        self._lanes = lanes
        self._runner = runner
        self._now = now
        self._patience = patience
        self._quiet_until = now()

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Sweep until cancelled; a round that fails is told and the next one tries again."""
        while True:
            try:
                await self.sweep()
            except DatabaseAway:
                _log.warning("no sweep: the database is away")
            except Exception:  # noqa: BLE001 - whatever it was, the next round comes
                _log.exception("a sweep failed")
            await sleep(_ROUND_SECONDS)

    async def sweep(self) -> None:
        """End what was abandoned and wake the lanes of every workspace with queued lookups."""
        async with self._database.operator_reading() as store:
            abandoned = await store.lookups.abandoned(self._now())
            waiting = await store.lookups.waiting(before=self._now() - self._patience)
        for claim in abandoned:
            await self._runner.interrupt(claim)
        if waiting and self._patience and self._now() >= self._quiet_until:
            self._quiet_until = self._now() + _A_MINUTE
            _log.warning("lookups wait: their endpoints are slow, or no `disqua worker` runs; this process helps")
        for workspace in waiting:
            self._lanes.ring(workspace.workspace_id)
            if workspace.urgent:
                self._lanes.ring(workspace.workspace_id, urgent=True)
