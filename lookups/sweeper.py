"""The net under everything: lookups whose process died are ended, lookups that nobody was woken for are run."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from persistence.database import DatabaseAway

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from domain.identity import LookupId
    from lookups.lanes import Lanes
    from lookups.runner import Runner
    from persistence.database import Database
    from persistence.lookups import Claim, Waiting

_ROUND_SECONDS = 2.0
_AT_ONCE = 8
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
        self._ending: dict[LookupId, asyncio.Task[None]] = {}
        self._few_at_once = asyncio.Semaphore(_AT_ONCE)

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
        """Wake the lanes of every workspace with queued lookups, then end what was abandoned, if it can be."""
        async with self._database.operator_reading() as store:
            now = self._now()
            waiting = await store.lookups.waiting(now, before=now - self._patience)
        self._wake(waiting)
        async with self._database.operator_reading() as store:
            abandoned = await store.lookups.abandoned(self._now())
        for claim in abandoned:
            if claim.lookup_id not in self._ending:
                self._ending[claim.lookup_id] = asyncio.create_task(self._end(claim))
        if self._ending:
            await asyncio.wait(self._ending.values(), timeout=_ROUND_SECONDS)

    def _wake(self, waiting: Sequence[Waiting]) -> None:
        if waiting and self._patience and self._now() >= self._quiet_until:
            self._quiet_until = self._now() + _A_MINUTE
            _log.warning("lookups wait: their endpoints are slow, or no `disqua worker` runs; this process helps")
        for workspace in waiting:
            self._lanes.ring(workspace.workspace_id)
            if workspace.urgent:
                self._lanes.ring(workspace.workspace_id, urgent=True)

    async def _end(self, claim: Claim) -> None:
        try:
            async with self._few_at_once:
                await self._runner.interrupt(claim)
        except DatabaseAway:
            _log.warning("an abandoned lookup cannot be ended now", lookup_id=str(claim.lookup_id))
        except Exception:  # noqa: BLE001 - whatever it was, the next round tries again
            _log.exception("an abandoned lookup cannot be ended", lookup_id=str(claim.lookup_id))
        finally:
            del self._ending[claim.lookup_id]
