"""Whether the process is alive, and whether it is ready for work."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, PlainTextResponse, Response

from persistence.database import DatabaseAway

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from persistence.database import Database

_PATIENCE_SECONDS = 2.0


class Health:
    """Answers the probes of whatever keeps the process running."""

    def __init__(self, database: Database, *, queue: Callable[[], Awaitable[bool]], updates: Callable[[], bool]) -> None:
        """``queue`` and ``updates`` say whether Redis carries them now; always, where it all runs in one process."""
        self._database = database
        self._queue = queue
        self._updates = updates
        self.stopping = False

    async def alive(self, _request: Request) -> Response:
        """Answer GET /healthz: the loop turns."""
        return PlainTextResponse("alive\n")

    async def ready(self, _request: Request) -> Response:
        """Answer GET /readyz: 200 while mail and queries are served, 503 when the database is away or the end is near.

        Without Redis it is degraded, no more: tickets open, and what is queued is run more slowly.
        """
        database, queue = await asyncio.gather(self._database_state(), self._queue())
        updates = self._updates()
        document = {"status": "ok", "database": database, "queue": _state(queue), "updates": _state(updates)}
        if self.stopping:
            document |= {"status": "unavailable", "queue": "stopping", "updates": "stopping"}
        elif database != "ok":
            document["status"] = "unavailable"
        elif not (queue and updates):
            document["status"] = "degraded"
        return JSONResponse(document, 503 if document["status"] == "unavailable" else 200)

    async def _database_state(self) -> str:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._database.ping()
        except (DatabaseAway, TimeoutError):
            return "away"
        return "ok"


def _state(there: bool) -> str:  # noqa: FBT001 - the answer to its question
    return "ok" if there else "away"
