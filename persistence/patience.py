"""How long a server is waited for, and which of its connections are trusted when that was in vain."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_PARTING_SECONDS: Final = 1.0
"""For telling the server that a statement is no longer waited for; a driver left alone takes ten."""


@dataclass(slots=True)
class Limit:
    """What is known of a transaction whose time runs."""

    ends_at: float
    connected: bool = False

    @property
    def rest(self) -> float:
        """The seconds that are left."""
        return self.ends_at - asyncio.get_running_loop().time()


class Patience:
    """That with one server."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        """For one transaction."""
        self._doubted_at = 0.0

    @asynccontextmanager
    async def limit(self, seconds: float, *, connected: bool = False) -> AsyncIterator[Limit]:
        """End what takes longer by TimeoutError; where a connection fell silent, trust none that was open by then.

        Whoever only waited for a turn, here or in the pool, has no reason to doubt the server.
        """
        limit = Limit(asyncio.get_running_loop().time() + seconds, connected)
        soft, hard = asyncio.timeout(seconds), asyncio.timeout(seconds + _PARTING_SECONDS)
        try:
            async with hard, soft:
                yield limit
        except TimeoutError as error:
            if not soft.expired():
                raise
            if limit.connected:
                self._doubted_at = time.monotonic()
            raise TimeoutError(f"no answer within {seconds:.0f} seconds") from error

    def is_doubted(self, born_at: float) -> bool:
        """Whether a connection is no longer trusted that was opened at this time of the monotonic clock."""
        return born_at < self._doubted_at
