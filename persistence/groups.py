"""Those who write on PostgreSQL: in each workspace one after the other, and whoever waits for another shares its commit.

The first of a group begins the transaction; the blocks of the others come after its own, each behind a savepoint, and none
of them ends before all of them are kept. One task for each workspace in which somebody waits sees to that, for whoever
writes may be cancelled.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from persistence.line import Line
    from persistence.lines import Lines
    from persistence.patience import Limit, Patience

_AT_MOST: Final = 64
"""Blocks in one transaction: a server remembers 64 savepoints of it, and more would cost every reader."""
_OPEN_SECONDS: Final = 0.1
"""So long others may join: the first waits for them."""
_SHARE_FOR_OTHERS: Final = 0.25
"""Of what is left of the first one's time, at most."""
_LAST_MOMENT_SECONDS: Final = 0.01
"""Before its time is over: the clocks of loops count milliseconds."""
_CLOSING_SECONDS: Final = 1.0

_SAVE = "SAVEPOINT block"
_SAVE_NEXT = f"RELEASE {_SAVE}; {_SAVE}"
_UNDO = f"ROLLBACK TO {_SAVE}"
_COMMIT = "COMMIT"
_ROLLBACK = "ROLLBACK"


def _future() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()


@dataclass(slots=True, eq=False)
class _Block:
    """What one writer does, from the time it waits for its turn."""

    limit: Limit
    at_length: bool
    turn: asyncio.Future[None] = field(default_factory=_future)
    line: Line | None = None
    """Where it writes; the first of a group has to open that itself."""
    left: asyncio.Future[bool] = field(default_factory=_future)
    """Whether what it wrote is to be kept."""
    ended: asyncio.Future[Exception | None] = field(default_factory=_future)
    """Why it was not kept."""

    def leave(self, *, keeps: bool) -> None:
        """Let the next one write; where the loop ends, it may have ended first who sees to that."""
        if not self.left.done():
            self.left.set_result(keeps)

    async def kept(self) -> None:
        """Wait until it is."""
        error = await self.ended
        if error is not None:
            raise ConnectionError(str(getattr(error, "orig", error))) from error


class Groups:
    """The groups of all workspaces."""

    def __init__(self, lines: Lines, patience: Patience, begin: Callable[[str, Limit], str]) -> None:
        """``begin`` tells what the first of a group says in its workspace."""
        self._lines = lines
        self._patience = patience
        self._beginning = begin
        self._queues: dict[str, deque[_Block]] = {}
        """Those who wait in each workspace in which somebody writes."""
        self._serving = set[asyncio.Task[None]]()

    def writing(self, tenant: str, *, at_length: bool) -> AbstractAsyncContextManager[Line]:
        """One block, to be entered at once, and kept when this returns; nobody shares a commit with one ``at_length``."""
        return (self._in_turn if tenant in self._queues else self._at_once)(tenant, at_length=at_length)

    async def close(self) -> None:
        """Wait for those who write, a second at most."""
        if self._serving:
            await asyncio.wait(self._serving, timeout=_CLOSING_SECONDS)

    @asynccontextmanager
    async def _at_once(self, tenant: str, *, at_length: bool) -> AsyncIterator[Line]:
        """Where nobody else writes; unless somebody waits by its end, the block does without the task, which costs a fifth."""
        waiting = self._queues[tenant] = deque()
        async with self._patience.limit(self._patience.seconds) as limit:
            block = _Block(limit, at_length)
            try:
                line = await self._begin(tenant, block)
                yield line
                is_shared = bool(waiting)
                if not is_shared:
                    _expect_commit(await line.say(_COMMIT))
            except BaseException:
                self._give_up(block)
                self._go_on(tenant)
                raise
            if is_shared:
                self._go_on(tenant, block)
                await block.kept()
            else:
                self._lines.keep(line)
                self._go_on(tenant)

    @asynccontextmanager
    async def _in_turn(self, tenant: str, *, at_length: bool) -> AsyncIterator[Line]:
        async with self._patience.limit(self._patience.seconds) as limit:
            block = _Block(limit, at_length)  # whose limit is no longer than that of anybody who comes later
            self._queues[tenant].append(block)
            try:
                await block.turn
                yield block.line or await self._begin(tenant, block)
            except BaseException:
                block.leave(keeps=False)
                raise
            block.leave(keeps=True)
            await block.kept()

    async def _begin(self, tenant: str, block: _Block) -> Line:
        block.line = await self._lines.take()
        block.limit.connected = True
        await block.line.say(self._beginning(tenant, block.limit))
        return block.line

    def _give_up(self, first: _Block) -> None:
        if first.line is not None:
            self._lines.end(first.line, _ROLLBACK)

    def _go_on(self, tenant: str, begun: _Block | None = None) -> None:
        """With those who wait, in the transaction that one of them has ``begun`` or in their own."""
        if begun is None and not self._queues[tenant]:
            del self._queues[tenant]
            return
        serving = asyncio.create_task(self._serve(tenant, begun))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def _serve(self, tenant: str, begun: _Block | None) -> None:
        waiting = self._queues[tenant]
        if begun is not None:
            await self._end(begun, waiting)
        while _head(waiting) is not None:
            await self._transact(waiting.popleft(), waiting)
        del self._queues[tenant]

    async def _transact(self, first: _Block, waiting: deque[_Block]) -> None:
        """One transaction; until its block has ended, the ``first`` is alone in it and begins it by itself."""
        first.turn.set_result(None)
        if await first.left:
            await self._end(first, waiting)
        else:
            self._give_up(first)

    async def _end(self, first: _Block, waiting: deque[_Block]) -> None:
        group = _Group(first, self._patience)
        error = await group.end(waiting)
        if error is None:
            self._lines.keep(group.line)
        else:
            self._lines.end(group.line, _ROLLBACK)
        group.tell(error)


class _Group:
    """One transaction, from the time that the block of the ``first`` has ended; it speaks while none of its blocks does."""

    def __init__(self, first: _Block, patience: Patience) -> None:
        assert first.line is not None  # noqa: S101 - its block has ended
        self.line = first.line
        self._limit = first.limit
        self._kept = [first]
        self._patience = patience

    async def end(self, waiting: deque[_Block]) -> Exception | None:
        """Take in of those who wait, and commit: why that failed."""
        try:
            if not self._kept[0].at_length:
                await self._take_in(waiting)
            _expect_commit(await self._say(_COMMIT))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is all of theirs
            return error
        return None

    def tell(self, error: Exception | None) -> None:
        """Let them go on who have not gone."""
        for block in self._kept:
            if not block.ended.done():
                block.ended.set_result(error)

    async def _take_in(self, waiting: deque[_Block]) -> None:
        open_until = asyncio.get_running_loop().time() + min(_OPEN_SECONDS, self._limit.rest * _SHARE_FOR_OTHERS)
        save = _SAVE
        for _ in range(1, _AT_MOST):
            if _who_shares(waiting) is None or asyncio.get_running_loop().time() > open_until:
                return
            await self._say(save)
            save = _SAVE_NEXT
            block = _who_shares(waiting)
            if block is None:  # they have gone meanwhile
                return
            waiting.popleft()
            await self._let_write(block)

    async def _let_write(self, block: _Block) -> None:
        block.line = self.line
        block.limit.connected = True
        block.turn.set_result(None)
        if await block.left:
            self._kept.append(block)
        else:
            await self._say(_UNDO)

    async def _say(self, text: str) -> str:
        """Raises TimeoutError when the first one's time is over: that one is told so, and nothing of it may be kept."""
        if self._limit.rest <= _LAST_MOMENT_SECONDS:
            raise TimeoutError("the first of those who share a commit no longer waits for it")
        async with self._patience.limit(self._limit.rest, connected=True):
            return await self.line.say(text)


def _head(waiting: deque[_Block]) -> _Block | None:
    """The first of those who still wait."""
    while waiting and waiting[0].turn.done():
        waiting.popleft()
    return waiting[0] if waiting else None


def _who_shares(waiting: deque[_Block]) -> _Block | None:
    head = _head(waiting)
    return None if head is None or head.at_length else head


def _expect_commit(said: str) -> None:
    """The server says ROLLBACK, and no error, when a block has passed one over."""
    if said != _COMMIT:
        raise ConnectionError("an error was passed over: nothing is kept")
