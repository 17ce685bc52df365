"""The few asyncpg connections of this process that serve its short transactions."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import DBAPIError

from persistence.line import Line, as_the_engine
from persistence.prepared import Statements

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncEngine

_PARTING_SECONDS: Final = 1.0
"""For the end of a transaction that nobody waits for."""


class Lines:
    """As many as there is room for; they are opened by the engine and belong to its pool no longer."""

    def __init__(self, engine: AsyncEngine, *, at_most: int, is_doubted: Callable[[float], bool]) -> None:
        """One that was born at a time that is doubted serves nobody."""
        self._engine = engine
        self._is_doubted = is_doubted
        self._statements = Statements(engine.dialect)
        self._room = asyncio.Semaphore(at_most)
        self._idle: list[Line] = []
        self._ending = set[asyncio.Task[None]]()

    async def take(self) -> Line:
        """One that is in no transaction; whoever takes it gives it back by ``end`` or ``keep``."""
        await self._room.acquire()
        try:
            return self._fresh() or await self._open()
        except BaseException:
            self._room.release()
            raise

    def keep(self, line: Line) -> None:
        """Take back one whose transaction has ended."""
        self._idle.append(line)
        self._room.release()

    def end(self, line: Line, last_word: str) -> None:
        """Take it back, in whatever state, when it has said this; nobody waits for that."""
        ending = asyncio.create_task(self._end(line, last_word))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """Close every one, once what ends has ended; one that hangs stays behind without farewell."""
        if self._ending:
            await asyncio.wait(self._ending)
        idle, self._idle = self._idle, []
        await asyncio.gather(*(line.close() for line in idle), return_exceptions=True)

    def _fresh(self) -> Line | None:
        while self._idle:
            line = self._idle.pop()
            if not (line.closed or self._is_doubted(line.born_at)):
                return line
            line.hang_up()
        return None

    async def _open(self) -> Line:
        dialect = self._engine.dialect
        try:
            opened = await self._engine.raw_connection()
        except dialect.loaded_dbapi.Error as error:
            raise as_the_engine(dialect, error) from error
        line = Line(opened, self._statements, self._engine.sync_engine)
        opened.detach()
        return line

    async def _end(self, line: Line, last_word: str) -> None:
        try:
            with suppress(DBAPIError, OSError, TimeoutError):
                async with asyncio.timeout(_PARTING_SECONDS):
                    await line.say(last_word)
                self._idle.append(line)
                return
            line.hang_up()
        finally:
            self._room.release()
