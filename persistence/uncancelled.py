"""Work that a database would be left half-way by if it was cancelled: its caller is, as soon as it has ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from sqlalchemy import Connection as EngineConnection
    from sqlalchemy import CursorResult, Dialect, Executable
    from sqlalchemy.ext.asyncio import AsyncConnection

T = TypeVar("T")


async def uncancelled(work: Coroutine[Any, Any, T]) -> T:
    """Do it; whoever is cancelled meanwhile learns of it afterwards, and not of what the work brought."""
    doing = asyncio.create_task(work)
    cancelled = None
    while not doing.done():
        try:
            await asyncio.wait([doing])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        doing.exception()  # is nobody's
        raise cancelled
    return doing.result()


class UncancelledConnection:
    """An AsyncConnection whose statement under way is waited for: cut off, it may keep its lock until garbage is collected."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    @property
    def dialect(self) -> Dialect:
        """How this kind of database speaks."""
        return self._connection.dialect

    async def execute(self, statement: Executable, parameters: Mapping[str, Any] | None = None, /) -> CursorResult[Any]:
        """Run one statement; raises DBAPIError."""
        return await uncancelled(self._connection.execute(statement, parameters))

    async def run_sync(self, function: Callable[[EngineConnection], T]) -> T:
        """Run a function that knows nothing of async."""
        return await uncancelled(self._connection.run_sync(function))
