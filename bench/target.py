"""A server under measurement: a process of its own on the core that serves, ours or the floor, over a copy of seeded data."""

from __future__ import annotations

import asyncio
import compileall
import json
import shutil
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from bench.cores import pinned
from bench.seed import seed_floor, seed_floor_on_postgresql, seed_ours
from bench.usage import cpu_seconds, own_peak_bytes, peak_bytes, resident_bytes
from tests.stage.back_door import BackDoor
from tests.stage.process import DISQUA, environment, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from bench.seed import Helpdesk

_FLOOR = "floor.sqlite3"
_ROOT = Path(__file__).parents[1]
_KEY = "the-key-of-the-bench-is-no-secret-0123456789"
_PATIENCE_SECONDS = 60.0
_LOOK_AGAIN_SECONDS = 0.005
_UVICORN = (
    "--no-access-log --log-level warning --loop uvloop --http httptools --ws websockets-sansio --ws-per-message-deflate false"
)
_OPERATORS = {"MAILS_PER_SENDER_AND_HOUR": "1000000", "TOKEN_KEY": _KEY}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A server that is ready."""

    port: int
    mail_port: int
    token: str
    helpdesk: Helpdesk
    pid: int
    ready_after: float
    """Seconds from the start of its process to its first 200 at /readyz."""
    database: str
    """Its URL; empty for the floor."""

    @property
    def base_url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def back_door(self) -> BackDoor:
        """A way into its database past it."""
        return BackDoor(self.database)

    def cpu_seconds(self) -> float:
        """How much CPU it has used so far, with all its processes."""
        return cpu_seconds({"server": [self.pid]})["server"]

    def resident_bytes(self) -> int:
        """How much memory all its processes occupy."""
        return resident_bytes(self.pid)

    def peak_bytes(self) -> int:
        """How much memory each of its processes once occupied, together."""
        return peak_bytes(self.pid)

    def own_peak_bytes(self) -> int:
        """How much memory the process that serves once occupied, without its children."""
        return own_peak_bytes(self.pid)

    async def ask(self, body: str) -> dict[str, Any]:
        """The data of an answer, which must be without errors."""
        head = (
            f"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: Bearer {self.token}\r\n"
            f"Accept: application/json\r\nContent-Type: application/json\r\nContent-Length: {len(body.encode())}\r\n\r\n"
        )
        status, _, content = (await _exchange(self.port, head + body)).partition(b"\r\n\r\n")
        assert b" 200 " in status.splitlines()[0], (status, content)
        answer: dict[str, Any] = json.loads(content)
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data


@dataclass(frozen=True, slots=True, kw_only=True)
class Databases:
    """Two of PostgreSQL, by their URLs."""

    ours: str
    floor: str


@dataclass(frozen=True, slots=True)
class Seeded:
    """Data of both sides: in a folder of which each server gets a copy, or in two databases."""

    folder: Path
    helpdesk: Helpdesk
    token: str
    databases: Databases | None = None
    copied: bool = True
    """False where a copy would take longer than what is measured."""

    @classmethod
    async def make(
        cls, folder: Path, helpdesk: Helpdesk, databases: Databases | None = None, *, ours_alone: bool = False
    ) -> Self:
        """Seed both sides, or ours alone, which is then served without being copied."""
        compile_as_pip_does()
        given = {} if databases is None else {"database_url": databases.ours}
        token = await seed_ours(helpdesk, data_dir=folder / "ours", token_key=_KEY, **given)
        if databases is not None:
            seed_floor_on_postgresql(helpdesk, databases.floor)
        elif not ours_alone:
            seed_floor(helpdesk, folder / _FLOOR)
        return cls(folder, helpdesk, token, databases, copied=databases is None and not ours_alone)

    def running(self, side: str) -> AbstractAsyncContextManager[Target]:
        """The server of this side."""
        return self.ours() if side == "ours" else self.floor()

    @asynccontextmanager
    async def ours(self) -> AsyncIterator[Target]:
        """``disqua serve``, one process."""
        folder = self._copy("ours")
        port, mail_port = free_port(), free_port()
        command = [str(DISQUA), "serve", "--port", str(port), "--smtp-port", str(mail_port)]
        given = _OPERATORS | ({} if self.databases is None else {"DATABASE_URL": self.databases.ours})
        database = self.databases.ours if self.databases else f"sqlite:///{folder / 'disqua.sqlite3'}"
        surroundings = environment(folder, **given)
        async with self._running(command, surroundings, port=port, mail_port=mail_port, database=database) as target:
            yield target

    @asynccontextmanager
    async def floor(self) -> AsyncIterator[Target]:
        """The floor, one process."""
        port = free_port()
        command = [sys.executable, "-m", "uvicorn", "bench.floor:app", "--port", str(port), *_UVICORN.split()]
        where = self.databases.floor if self.databases else str(self._copy(_FLOOR))
        surroundings = environment(self.folder, TOKEN_KEY=_KEY, FLOOR=where)
        async with self._running(command, surroundings, port=port) as target:
            yield target

    def ask_at(self, lookup_url: str) -> None:
        """The same data, from now on with connectors that ask there at every mail."""
        assert self.databases is None
        file = self.folder / "ours" / "disqua.sqlite3"
        BackDoor(f"sqlite:///{file}").alter("UPDATE connectors SET lookup_url = :url, cache_ttl_hours = 0", url=lookup_url)

    def _copy(self, name: str) -> Path:
        source, copy = self.folder / name, self.folder / "running"
        if not self.copied:
            return source
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        if source.is_dir():
            return Path(shutil.copytree(source, copy / name))
        return Path(shutil.copy(source, copy / name))

    @asynccontextmanager
    async def _running(
        self, command: list[str], surroundings: dict[str, str], *, port: int, mail_port: int = 0, database: str = ""
    ) -> AsyncIterator[Target]:
        log = self.folder / "log"
        started = time.monotonic()
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *pinned(*command), env=surroundings, cwd=_ROOT, stdout=output, stderr=output
            )
        try:
            while not await _is_ready(port):
                assert process.returncode is None, log.read_text()
                assert time.monotonic() < started + _PATIENCE_SECONDS, log.read_text()
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            yield Target(
                port=port, mail_port=mail_port, token=self.token, helpdesk=self.helpdesk, pid=process.pid,
                ready_after=time.monotonic() - started, database=database,
            )  # fmt: skip
        finally:
            if process.returncode is None:
                process.kill()  # nobody is left whom a polite end could serve
            await process.wait()


def compile_as_pip_does() -> None:
    """Leave bytecode beside the sources, also where the environment keeps Python from writing it: an installed package has it."""
    for package in _ROOT.glob("*/__init__.py"):
        compileall.compile_dir(package.parent, quiet=1)


async def _is_ready(port: int) -> bool:
    try:
        return b" 200 " in await _exchange(port, "GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    except OSError:
        return False


async def _exchange(port: int, request: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode())
    answer = await reader.read()
    writer.close()
    return answer
