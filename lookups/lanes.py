"""Running what is queued, in this process: a lane for each workspace.

The table of lookups is the queue. A lane that is rung claims what is next until nothing is, or until as many run as may run
at once, which is judged where they are claimed, across all processes. What is shared out here are the slots of
this process: in turn, one to a workspace, so that nobody's backlog stands before another's first lookup.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from persistence.database import DatabaseAway

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from domain.identity import WorkspaceId
    from lookups.runner import Prepared, Runner

_SLOTS = 448
_URGENT_SLOTS = 64
"""Apart, so that an agent who waits does not stand behind the backlogs of all companies."""

_FINISHING_SECONDS = 5.0
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Lane:
    """The claims of one workspace, one at a time."""

    claims: asyncio.Task[None] | None = None
    rung: bool = True


class Lanes:
    """Runs queued lookups inside this process."""

    def __init__(self, runner: Runner, *, slots: int = _SLOTS, urgent_slots: int = _URGENT_SLOTS) -> None:
        self._runner = runner
        self._patience = timedelta(0)
        self._lanes: dict[tuple[WorkspaceId, bool], _Lane] = {}
        self._slots = {False: asyncio.Semaphore(slots), True: asyncio.Semaphore(urgent_slots)}
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = False

    def open(self, *, patience: timedelta = timedelta(0)) -> None:
        """Begin to take rings; what has been queued for less than ``patience`` is left to others."""
        self._patience = patience
        self._open = True

    def stop(self) -> None:
        """Claim no more."""
        self._open = False
        for lane in self._lanes.values():
            lane.rung = False

    async def close(self) -> None:
        """Claim no more, and give the lookups under way time to finish."""
        self.stop()
        if self._tasks:
            _, unfinished = await asyncio.wait(self._tasks, timeout=_FINISHING_SECONDS)
            if unfinished:
                _log.warning("lookups were still under way at the end", lookups=len(unfinished))
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)

    def ring(self, workspace_id: WorkspaceId, *, urgent: bool = False) -> asyncio.Task[None] | None:
        """Say that the workspace has queued lookups; ``urgent`` looks for those alone that an agent waits for.

        The task that is returned ends when nothing more can be claimed now; None before opening and after closing.
        """
        if not self._open:
            return None
        lane = self._lanes.setdefault((workspace_id, urgent), _Lane())
        lane.rung = True
        if lane.claims is None:
            lane.claims = self._start(self._claim_all(workspace_id, lane, urgent=urgent))
        return lane.claims

    async def _claim_all(self, workspace_id: WorkspaceId, lane: _Lane, *, urgent: bool) -> None:
        try:
            while lane.rung:
                await asyncio.sleep(0)  # a claim may suspend nowhere: whoever was rung meanwhile asks for a slot first
                await self._slots[urgent].acquire()
                lane.rung = False
                prepared = await self._claim(workspace_id, urgent=urgent)
                if prepared is not None:
                    lane.rung = self._open and (lane.rung or prepared.more)
                    _ = self._start(self._run(prepared, urgent=urgent))
        except DatabaseAway:
            _log.warning("lookups wait for the database", workspace_id=str(workspace_id))
        finally:
            del self._lanes[workspace_id, urgent]

    async def _claim(self, workspace_id: WorkspaceId, *, urgent: bool) -> Prepared | None:
        """Use the slot or give it back."""
        prepared = None
        try:
            if self._open:
                prepared = await self._runner.claim(workspace_id, urgent_only=urgent, patience=self._patience)
        finally:
            if prepared is None:
                self._slots[urgent].release()
        return prepared

    async def _run(self, prepared: Prepared, *, urgent: bool) -> None:
        more = True
        try:
            more = await self._runner.run(prepared)
        except DatabaseAway:
            _log.warning("the outcome of a lookup is lost: the database is away", lookup_id=str(prepared.claim.lookup_id))
        finally:
            self._slots[urgent].release()
            if more:
                self.ring(prepared.claim.workspace_id)  # there is room for the next one

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a lookup failed", exc_info=error)
