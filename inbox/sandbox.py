"""Child processes in which a function may crash, spin or fill the memory, and nobody else notices.

No pool at hand keeps that promise: in pebble 5.2 and concurrent.futures a worker that is killed while it waits breaks the whole
pool for good, and both unpickle what a child sends. Here each child has pipes of its own, sends plain text, is killed by
the clock and replaced, hears no Ctrl-C, and ends when its parent is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import resource
import signal
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Self, cast

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_log = logging.getLogger(__name__)

_LENGTH: Final = 8  # bytes before each question and each answer that say how long it is
_NO_ANSWER: Final = b"\xff" * _LENGTH
_MAX_ANSWER: Final = 1 << 24
_START = timedelta(seconds=30)
_FAREWELL = timedelta(seconds=1)
_PAUSE = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class _Job:
    question: tuple[bytes, ...]
    answer: asyncio.Future[str | None]


class Sandbox:
    """Runs one function in ``children`` processes for as long as the sandbox is open.

    ``function``, from bytes to a string, is named as entry points are, ``package.module:name``, so that what it needs is
    loaded by the children alone.
    ``limit`` is for one run; ``patience`` is for a run and the wait for a free child together, so that a flood of questions
    that spin delays nobody beyond it. ``memory`` is the address space of a child in bytes.
    """

    def __init__(
        self,
        function: str,
        *,
        children: int,
        limit: timedelta = timedelta(seconds=2),
        patience: timedelta = timedelta(seconds=4),
        memory: int = 512 << 20,
    ) -> None:
        self._command = _command(function, limit, memory)
        self._children = children
        self._limit = limit
        self._patience = patience
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue()
        self._asked = asyncio.Event()
        self._tenders: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Start the first child; the others start with the first question, for each takes some megabytes."""
        started = asyncio.get_running_loop().create_future()
        others = (self._tend_when_asked() for _ in range(1, self._children))
        self._tenders = [asyncio.create_task(work) for work in (self._tend(started), *others)]
        try:
            await started  # children that cannot start are reported here, not mail by mail
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for tender in self._tenders:
            tender.cancel()
        await asyncio.gather(*self._tenders, return_exceptions=True)

    async def run(self, *question: bytes) -> str | None:
        """What the function says to these bytes, put together; None when it fails, spins, dies or gets no turn in time."""
        job = _Job(question, asyncio.get_running_loop().create_future())
        self._jobs.put_nowait(job)
        self._asked.set()
        try:
            async with asyncio.timeout(self._patience.total_seconds()):
                return await job.answer
        except TimeoutError:
            return None

    async def _tend_when_asked(self) -> None:
        await self._asked.wait()
        await self._tend()

    async def _tend(self, started: asyncio.Future[None] | None = None) -> None:
        """Keep one child alive and give it one job after the other; ``started`` is told how its first start went."""
        while True:
            try:
                async with _Child.started(self._command) as child:
                    if started is not None and not started.done():
                        started.set_result(None)
                    while await self._served_next(child):
                        pass
            except OSError as error:
                if started is not None and not started.done():
                    started.set_exception(error)
                    return
                _log.exception("A child process does not start.")
                await asyncio.sleep(_PAUSE.total_seconds())

    async def _served_next(self, child: _Child) -> bool:
        """Give the next job to the child and say whether it can be given another one."""
        job = await self._jobs.get()
        if job.answer.done():
            return True
        if not child.alive:
            self._jobs.put_nowait(job)
            return False
        answer: str | None = None
        try:
            async with asyncio.timeout(self._limit.total_seconds()):
                answer = await child.ask(job.question)
        except (OSError, EOFError):
            return False
        else:
            return True
        finally:
            if not job.answer.done():
                job.answer.set_result(answer)


class _Child:
    """One child process and its pipes."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._questions = cast("asyncio.StreamWriter", process.stdin)
        self._answers = cast("asyncio.StreamReader", process.stdout)

    @classmethod
    @contextlib.asynccontextmanager
    async def started(cls, command: list[str]) -> AsyncIterator[Self]:
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, start_new_session=True)
        child = cls(process)
        try:
            await child._is_ready()
            yield child
        finally:
            ending = asyncio.create_task(child._end())
            try:
                await asyncio.shield(ending)
            except asyncio.CancelledError:
                await ending  # a process that nobody waits for stays behind
                raise

    async def _is_ready(self) -> None:
        try:
            async with asyncio.timeout(_START.total_seconds()):
                await self._answer()
        except EOFError as error:
            raise ChildProcessError("A child process ended before it could answer.") from error

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def ask(self, question: tuple[bytes, ...]) -> str | None:
        """One question, one answer; a child that is interrupted in between is of no more use and killed."""
        try:
            self._questions.write(sum(map(len, question)).to_bytes(_LENGTH))
            self._questions.writelines(question)
            await self._questions.drain()
            return await self._answer()
        except BaseException:
            self._kill()
            raise

    async def _answer(self) -> str | None:
        length = await self._answers.readexactly(_LENGTH)
        if length == _NO_ANSWER:
            return None
        if int.from_bytes(length) > _MAX_ANSWER:
            raise EOFError("The child does not keep to the protocol.")
        return (await self._answers.readexactly(int.from_bytes(length))).decode("utf-8", errors="replace")

    async def _end(self) -> None:
        self._questions.close()
        try:
            async with asyncio.timeout(_FAREWELL.total_seconds()):
                await self._process.communicate()
        except TimeoutError:
            self._kill()
            await self._process.communicate()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()


def _command(function: str, limit: timedelta, memory: int) -> list[str]:
    seconds = math.ceil(limit.total_seconds()) + 1
    module, _, name = function.partition(":")
    program = (
        f"import sys; sys.path[:] = {sys.path!r}; from inbox.sandbox import serve; "
        f"from {module} import {name} as function; serve(function, {seconds}, {memory})"
    )
    return [sys.executable, "-c", program]


def serve(function: Callable[[bytes], str], seconds: int, memory: int) -> None:
    """The life of a child: answer until the parent closes the pipe; the alarm ends one that spins with nobody to kill it."""
    with contextlib.suppress(ValueError, OSError):  # not every system limits the address space
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, sys.stdout.fileno())
    os.dup2(silence, sys.stderr.fileno())
    answers.write(_NO_ANSWER)  # to no question: ready
    answers.flush()
    while length := sys.stdin.buffer.read(_LENGTH):
        signal.alarm(seconds)
        answers.write(_answer(function, sys.stdin.buffer.read(int.from_bytes(length))))
        answers.flush()
        signal.alarm(0)


def _answer(function: Callable[[bytes], str], question: bytes) -> bytes:
    try:
        answer = function(question).encode("utf-8", errors="surrogatepass")
    except MemoryError:
        raise  # and let the child end: what is left of its memory is of little use
    except Exception:  # noqa: BLE001 - whatever it was, it is the parent's to go on without
        return _NO_ANSWER
    return len(answer).to_bytes(_LENGTH) + answer
