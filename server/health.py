"""Whether the process is alive, and whether it is ready for work."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, PlainTextResponse, Response

from persistence.database import DatabaseAway

if TYPE_CHECKING:
    from starlette.requests import Request

    from persistence.database import Database

_PATIENCE_SECONDS = 2.0


class Health:
    """Answers the probes of whatever keeps the process running."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.stopping = False

    async def alive(self, _request: Request) -> Response:
        """Answer GET /healthz: the loop turns."""
        return PlainTextResponse("alive\n")

    async def ready(self, _request: Request) -> Response:
        """Answer GET /readyz: 200 while mail and queries are served, 503 when the database is away or the end is near."""
        database = await self._database_state()
        ready = database == "ok" and not self.stopping
        document = {
            "status": "ok" if ready else "unavailable",
            "database": database,
            "queue": "stopping" if self.stopping else "ok",
            "updates": "stopping" if self.stopping else "ok",
        }
        return JSONResponse(document, 200 if ready else 503)

    async def _database_state(self) -> str:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._database.ping()
        except (DatabaseAway, TimeoutError):
            return "away"
        return "ok"
