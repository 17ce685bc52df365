"""What this process knows of tokens that count no more: asked of the database every second, held while it is away."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from persistence.database import DatabaseAway

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from domain.identity import Principal, WorkspaceId
    from persistence.database import Database

_LOOK_AGAIN_SECONDS: Final = 1.0
_log = structlog.get_logger(__name__)


class Revocations:
    """Revoked tokens and suspended workspaces, as the database had them a second ago."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tokens: set[str] = set()
        self._suspended: frozenset[WorkspaceId] = frozenset()
        self._newest = 0
        self._waiting: dict[asyncio.Future[None], Principal] = {}

    def concern(self, principal: Principal) -> bool:
        """Whether the principal's token is revoked, or its workspace suspended."""
        return principal.token_id in self._tokens or principal.workspace in self._suspended

    def wait_for(self, principal: Principal) -> asyncio.Future[None]:
        """Done when the principal's token is revoked or its workspace suspended; cancel it to wait no more."""
        over = asyncio.get_running_loop().create_future()
        self._waiting[over] = principal
        over.add_done_callback(self._waiting.pop)
        if self.concern(principal):
            over.set_result(None)
        return over

    async def refresh(self) -> None:
        """Learn what is new; raises DatabaseAway and then knows what it knew."""
        async with self._database.operator_glancing() as store:
            news = await store.revocations.news(self._newest)
        self._newest = news.newest
        if news.tokens or news.suspended != self._suspended:
            self._tokens |= news.tokens
            self._suspended = news.suspended
            for over in [over for over, principal in self._waiting.items() if not over.done() and self.concern(principal)]:
                over.set_result(None)

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Refresh every second until cancelled."""
        while True:
            await sleep(_LOOK_AGAIN_SECONDS)
            try:
                await self.refresh()
            except DatabaseAway:
                _log.debug("no news of revoked tokens: the database is away")
            except Exception:  # noqa: BLE001 - whatever it was, the next look comes
                _log.exception("revoked tokens cannot be read")
