"""The one writer of a SQLite file, in the event loop's own thread: those who wait for each other share a commit.

Their blocks come one after the other, each behind a savepoint of its own, and none of them ends before all of them are kept.
"""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import DBAPIError

from persistence.busy import when_free
from persistence.quick import QuickConnection, as_told_by_the_engine
from persistence.uncancelled import uncancelled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import timedelta

    from sqlalchemy import Engine

    from persistence.prepared import Statements

_AT_MOST: Final = 64
"""Blocks in one group: the first of them waits for the last."""
_WRITTEN_BACK: Final = 1000
"""Pages of the journal from which on it is written back into the file: SQLite's own measure."""
_UNTIL_WRITTEN_BACK: Final = 200
"""Blocks after which that is looked at, in the thread, although none of them has to wait for the disk."""
_CLOSING_SECONDS: Final = 3.0


@dataclass(slots=True, eq=False)
class _Group:
    """One transaction of the file."""

    power_safe: bool
    blocks: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    error: sqlite3.Error | None = None
    """Why nothing of it was kept."""
    ending: asyncio.Task[None] | None = None
    changes_before: int = 0
    """Rows that its connection had changed until then."""


class Writer:
    """Blocks write in the order in which they came."""

    def __init__(
        self, open_one: Callable[[], sqlite3.Connection], statements: Statements, engine: Engine, *, patience: timedelta
    ) -> None:
        """``patience`` is for another process that holds the lock of the file."""
        self._open = open_one
        self._statements = statements
        self._engine = engine
        self._patience = patience.total_seconds()
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._driver: sqlite3.Connection | None = None
        self._group: _Group | None = None
        self._since_written_back = 0
        self._restarts_journal = True
        """Whether the next commit may begin the journal anew: SQLite then waits for the disk, whatever is asked of it."""
        self._closed = False
        self._thread = _thread()

    @asynccontextmanager
    async def writing(self, *, power_safe: bool) -> AsyncIterator[QuickConnection]:
        """One block, kept when this returns; with ``power_safe`` on the disk."""
        given_up_at = asyncio.get_running_loop().time() + self._patience
        async with self._my_turn():
            group, driver = await self._join(given_up_at, power_safe=power_safe)
            try:
                driver.execute("SAVEPOINT block")
                yield QuickConnection(driver, self._statements, self._engine)
                driver.execute("RELEASE block")
            except BaseException as error:
                self._undo(group, driver)
                if isinstance(error, sqlite3.Error):
                    raise as_told_by_the_engine(error) from error
                raise
            finally:
                await self._go_on(group)
        await group.ended.wait()
        if group.error is not None:
            raise as_told_by_the_engine(group.error) from group.error

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """A turn in which this writer holds no lock of the file."""
        async with self._my_turn():
            if self._group is not None:
                await self._end(self._group)
            self._restarts_journal = True
            yield

    async def close(self) -> None:
        """End the group that is open, and close the connection; where a block hangs, as soon as it ends."""
        self._closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING_SECONDS), self.alone():
                self._let_go()
        self._thread.shutdown(wait=False)
        self._thread = _thread()  # costs nothing unless it is used

    @asynccontextmanager
    async def _my_turn(self) -> AsyncIterator[None]:
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turn.release()

    async def _join(self, given_up_at: float, *, power_safe: bool) -> tuple[_Group, sqlite3.Connection]:
        """The group that is open, unless it is full or would not wait for the disk; a commit that does serves all."""
        group = self._group
        if group is not None and (group.blocks == _AT_MOST or (power_safe and not group.power_safe)):
            await self._end(group)
        if self._group is None or self._driver is None:
            self._driver = await self._begin(given_up_at, power_safe=power_safe)
            self._group = _Group(power_safe, changes_before=self._driver.total_changes)
        self._group.blocks += 1
        return self._group, self._driver

    async def _begin(self, given_up_at: float, *, power_safe: bool) -> sqlite3.Connection:
        """Take the lock of the file, which another process may hold: wait for it, and hold nobody up meanwhile."""
        try:
            return await when_free(lambda: self._begin_at_once(power_safe=power_safe), given_up_at=given_up_at)
        except DBAPIError:
            self._let_go()
            raise

    def _begin_at_once(self, *, power_safe: bool) -> sqlite3.Connection:
        if self._driver is None:
            self._driver = self._open()
            self._closed = False  # a database that was closed opens again when it is used
        driver = self._driver
        driver.execute(f"PRAGMA synchronous={'FULL' if power_safe else 'NORMAL'}")
        driver.execute("BEGIN IMMEDIATE")
        return driver

    def _undo(self, group: _Group, driver: sqlite3.Connection) -> None:
        """Leave the others of the group what they wrote; some errors, as that of a full disk, have undone that as well."""
        try:
            driver.execute("ROLLBACK TO block")
            driver.execute("RELEASE block")
        except sqlite3.Error as error:
            self._ended(group, error)

    async def _go_on(self, group: _Group) -> None:
        """Leave the commit to whoever comes after those who wait, else do it."""
        if group.ended.is_set():
            return
        if not self._waiting:
            await self._end(group)
        elif group.ending is None:
            group.ending = asyncio.create_task(self._end_in_turn(group))

    async def _end_in_turn(self, group: _Group) -> None:
        async with self._my_turn():
            if not group.ended.is_set():
                await self._end(group)

    async def _end(self, group: _Group) -> None:
        """Commit, in a thread where that waits for the disk; whoever is cancelled meanwhile learns of it afterwards."""
        self._since_written_back += group.blocks
        writes_back = group.power_safe or self._since_written_back >= _UNTIL_WRITTEN_BACK
        if writes_back:
            self._since_written_back = 0
        if writes_back or self._restarts_journal:
            await uncancelled(self._end_in_thread(group, pages=_WRITTEN_BACK if writes_back else 0))
        else:
            self._ended(group, self._commit(pages=0))

    async def _end_in_thread(self, group: _Group, *, pages: int) -> None:
        driver = self._driver
        assert driver is not None  # noqa: S101 - a group is open
        error = await asyncio.get_running_loop().run_in_executor(self._thread, lambda: self._commit(pages=pages))
        if pages or driver.total_changes > group.changes_before:  # a commit of nothing leaves the journal as it is
            self._restarts_journal = pages > 0
        self._ended(group, error)

    def _commit(self, *, pages: int) -> sqlite3.Error | None:
        """The error, if it failed; a journal of so many ``pages`` is written back, and waited for."""
        assert self._driver is not None  # noqa: S101 - a group is open
        try:
            self._driver.execute(f"PRAGMA wal_autocheckpoint={pages}")
            self._driver.execute("COMMIT")
        except sqlite3.Error as error:
            return error
        return None

    def _ended(self, group: _Group, error: sqlite3.Error | None) -> None:
        self._group = None
        if error is not None or self._closed:
            self._let_go()  # and with it of all that was not committed
        group.error = error
        group.ended.set()

    def _let_go(self) -> None:
        if self._driver is not None:
            self._driver.close()
            self._driver = None


def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="commit")
