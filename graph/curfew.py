"""The end of a token: its time is over, or it has been taken back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from domain.identity import Principal
    from graph.context import Context


class Curfew:
    """Calls the end of a token once; costs an alarm and a future for each socket, but no task as long as nothing ends."""

    __slots__ = ("_alarm", "_close", "_closing", "_revoked")

    def __init__(
        self,
        context: Context,
        revoked: Callable[[Principal], Awaitable[None]],
        close: Callable[[str], Coroutine[None, None, None]],
    ) -> None:
        """``close`` is given the reason."""
        self._close = close
        self._closing: asyncio.Task[None] | None = None
        left = context.caller.expires_at - context.services.now()
        self._alarm = asyncio.get_running_loop().call_later(left.total_seconds(), self._call, "The token has expired")
        self._revoked = asyncio.ensure_future(revoked(context.caller))
        self._revoked.add_done_callback(self._take_back)

    def lift(self) -> None:
        """Whoever it was for is gone."""
        self._alarm.cancel()
        self._revoked.cancel()
        if self._closing is not None:
            self._closing.cancel()

    def _take_back(self, revoked: asyncio.Future[None]) -> None:
        if not revoked.cancelled():
            self._call("The token has been revoked, or its workspace suspended")

    def _call(self, reason: str) -> None:
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close(reason))
