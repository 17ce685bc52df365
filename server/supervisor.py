"""Serving in several processes: the parent opens the sockets and keeps the children alive that serve behind them.

All children wait at the same listening socket, so that a connection which nobody has taken yet outlives any of them.
uvicorn's own supervisor leaves its children behind when it is killed, starts one that cannot live again and again without
a pause, and adds up no numbers.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog
import uvloop

from server.database import bring_up_to_date, open_database
from server.link import Link
from server.listen import listen, mail_address
from server.serve import HARD_STOP, allow_many_sockets, say_where
from server.tally import Tally

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Coroutine

    from server.listen import MailDoor
    from server.settings import Settings

_FIRST_PAUSE = timedelta(seconds=0.1)
_LONGEST_PAUSE = timedelta(seconds=30)
_LONG_LIFE = timedelta(minutes=1)
_READY = timedelta(seconds=30)
_TELLING = timedelta(seconds=1)
_PATIENCE: Final = HARD_STOP + timedelta(seconds=1)
_log = structlog.get_logger(__name__)


class NeverServed(Exception):
    """No child could start; its text is one line that says why."""


def serve_in_several(settings: Settings, *, host: str, port: int, mail: MailDoor, workers: int) -> None:
    """Serve in ``workers`` processes until SIGTERM or Ctrl-C; raises NeverServed when none of them can start."""
    allow_many_sockets()
    with (
        listen(host, port) as api,
        mail.open() as mail_listener,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(_examine(settings))
        runner.run(Supervisor(api, mail_listener, lmtp=mail.lmtp, workers=workers).run())


async def _examine(settings: Settings) -> None:
    database = open_database(settings)
    try:
        await bring_up_to_date(settings, database)
    finally:
        await database.close()


class _Child:
    """One process that serves."""

    def __init__(self, process: Process, link: Link, supervisor: Supervisor) -> None:
        self.process = process
        self.link = link
        self.born = asyncio.get_running_loop().time()
        self.ready = asyncio.Event()
        self.told = asyncio.Event()
        self.numbers = ""
        self.reason = "a child process ended before it served"
        self.life = asyncio.create_task(self._live(supervisor))

    async def _live(self, supervisor: Supervisor) -> None:
        async for what, text in self.link.heard():
            match what:
                case "ready":
                    self.ready.set()
                    supervisor.somebody_is_ready()
                case "failed":
                    self.reason = text
                case "numbers":
                    self.numbers = text
                    self.told.set()
                case _:
                    self.numbers = text
                    supervisor.add_up_for(self)
        await self.process.wait()
        await self.link.close()

    async def serves(self) -> bool:
        """True when it serves, False when it ended before."""
        ready = asyncio.create_task(self.ready.wait())
        await asyncio.wait({ready, self.life}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        return self.ready.is_set()

    async def tell(self) -> None:
        """Have it tell its numbers; those of the last time stay when it does not."""
        self.told.clear()
        self.link.say("numbers?")
        await self.told.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it is alive."""
        if self.process.returncode is None:
            self.process.send_signal(number)


class Supervisor:
    """Keeps as many children alive as are wanted.

    SIGTERM and SIGINT end all of them. SIGHUP replaces one after the other, and what `.env` and the code say by then holds.
    A child that sees its line close, because the parent was killed, ends by itself.
    """

    def __init__(self, api: socket.socket, mail: socket.socket, *, lmtp: bool, workers: int) -> None:
        self._api = api
        self._mail = mail
        self._lmtp = lmtp
        self._workers = workers
        self._serving: list[_Child] = []
        self._all: set[_Child] = set()
        self._tally = Tally()
        self._said = False
        self._stopping = asyncio.Event()
        self._replacing = asyncio.Lock()
        self._changing = [asyncio.Lock() for _ in range(workers)]
        self._broken: BaseException | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until a signal, or until a place can be kept no more, which is raised; returns when every child is gone."""
        self._listen_to_signals()
        try:
            self._serving = [await self._begin() for _ in range(self._workers)]
        except OSError as error:
            raise NeverServed(f"no child process can be started: {error}") from None
        await self._first_words()
        for place in range(self._workers):
            self._in_background(self._keep(place)).add_done_callback(self._stop_if_broken)
        await self._stopping.wait()
        await self._end()
        if self._broken is not None:
            raise self._broken

    async def _first_words(self) -> None:
        """Return when each child serves or has ended, or a signal came; raises NeverServed when none of them serves."""
        starts = [asyncio.create_task(child.serves()) for child in self._serving]
        stopping = asyncio.create_task(self._stopping.wait())
        stopping.add_done_callback(lambda _stopped: [start.cancel() for start in starts])
        await asyncio.wait(starts)
        stopping.cancel()
        if not self._stopping.is_set() and not any(start.result() for start in starts):
            raise NeverServed(self._serving[0].reason)

    def somebody_is_ready(self) -> None:
        """Say that it serves, once, when all do."""
        if not self._said and len(self._serving) == self._workers and all(child.ready.is_set() for child in self._serving):
            self._said = True
            say_where(self._api, mail_address(self._mail, lmtp=self._lmtp))

    def add_up_for(self, asking: _Child) -> None:
        """Tell a child the numbers of all."""
        _ = self._in_background(self._add_up_for(asking))

    async def _add_up_for(self, asking: _Child) -> None:
        others = [asyncio.create_task(child.tell()) for child in self._all - {asking}]
        if others:
            _, late = await asyncio.wait(others, timeout=_TELLING.total_seconds())
            for task in late:
                task.cancel()
        asking.link.say("total", self._tally.total(child.numbers for child in self._all))

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        loop.add_signal_handler(signal.SIGHUP, lambda: self._in_background(self._replace_all()))

    def _stop(self) -> None:
        self._stopping.set()

    def _interrupt(self) -> None:
        """Stop; a second Ctrl-C does not wait, and the children hear of it here alone, for their sessions are their own."""
        if self._stopping.is_set():
            for child in self._all:
                child.send(signal.SIGINT)
        self._stop()

    async def _begin(self) -> _Child:
        ours, theirs = socket.socketpair()
        with theirs:
            numbers = [each.fileno() for each in (self._api, self._mail, theirs)]
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "server.child", *map(str, numbers), "lmtp" if self._lmtp else "smtp",
                pass_fds=numbers, stdin=asyncio.subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        child = _Child(process, await Link.over(ours), self)
        self._all.add(child)
        child.life.add_done_callback(lambda _life: self._bury(child))
        return child

    def _bury(self, child: _Child) -> None:
        self._all.discard(child)
        self._tally.keep(child.numbers)

    async def _keep(self, place: int) -> None:
        """Replace the child in this place whenever it dies, at once the first time and slower each time it dies young."""
        pause = _FIRST_PAUSE
        while True:
            child = self._serving[place]
            await asyncio.wait({child.life})
            if self._serving[place] is not child:
                continue
            reason = None if child.ready.is_set() else child.reason
            _log.warning("a child process ended", pid=child.process.pid, code=child.process.returncode, reason=reason)
            if asyncio.get_running_loop().time() - child.born > _LONG_LIFE.total_seconds():
                pause = _FIRST_PAUSE
            await asyncio.sleep(pause.total_seconds())
            pause = min(pause * 2, _LONGEST_PAUSE)
            async with self._changing[place]:
                if self._serving[place] is child:
                    self._serving[place] = await self._begin_at_last()

    async def _begin_at_last(self) -> _Child:
        """A new child, however long the machine has no room for one, or no Python while that is installed anew."""
        pause = _FIRST_PAUSE
        while True:
            try:
                return await self._begin()
            except OSError as error:
                _log.error("no child process can be started", reason=str(error))
                await asyncio.sleep(pause.total_seconds())
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _replace_all(self) -> None:
        """Put a new child in each place, the old one leaving when the new one serves; stop at the first that does not."""
        async with self._replacing:
            for place in range(self._workers):
                try:
                    await self._replace(place)
                except (OSError, NeverServed) as error:
                    _log.error("a new child process does not serve; the old ones go on", reason=str(error))
                    return
            _log.info("every child process was replaced")

    async def _replace(self, place: int) -> None:
        async with self._changing[place]:
            new = await self._begin()
            if not await self._serves_soon(new):
                new.send(signal.SIGKILL)
                raise NeverServed(new.reason)
            old, self._serving[place] = self._serving[place], new
        old.send(signal.SIGTERM)
        await asyncio.wait({old.life}, timeout=_PATIENCE.total_seconds())

    async def _serves_soon(self, child: _Child) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(_READY.total_seconds()):
                return await child.serves()
        return False

    async def _end(self) -> None:
        self._api.close()
        self._mail.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for child in self._all:
            child.send(signal.SIGTERM)
        lives = {child.life for child in self._all}
        if lives:
            _, late = await asyncio.wait(lives, timeout=_PATIENCE.total_seconds())
            for child in self._all:
                child.send(signal.SIGKILL)
            await asyncio.gather(*late)

    def _in_background(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._let_go)
        return task

    def _let_go(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if error := _what_broke(task):
            _log.error("work of the parent process broke off", exc_info=error)

    def _stop_if_broken(self, keeper: asyncio.Task[None]) -> None:
        """Without its keeper a place would stay empty unseen: whoever started this process starts it anew."""
        if error := _what_broke(keeper):
            self._broken = error
            self._stop()


def _what_broke(task: asyncio.Task[None]) -> BaseException | None:
    return None if task.cancelled() else task.exception()
