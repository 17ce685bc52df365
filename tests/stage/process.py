"""The product as a process of its own, to be killed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from tests.stage.front_end import NO_TLS
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator

DISQUA = Path(sys.executable).with_name("disqua")

_HELD: list[socket.socket] = []


@dataclass(frozen=True)
class Serving:
    """A running ``disqua serve``."""

    process: Process
    port: int
    mail_port: int
    log: Path

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def children(self) -> list[int]:
        """The processes that it started."""
        return [*children_of(self.process.pid)]

    async def kill(self) -> None:
        """End it as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


def children_of(process: int) -> set[int]:
    """The processes that a process started and that are there."""
    parents = {int(stat.parent.name): _parent_of(stat) for stat in Path("/proc").glob("[0-9]*/stat")}
    return {child for child, parent in parents.items() if parent == process}


def _parent_of(stat: Path) -> int | None:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return None


def free_port() -> int:
    """A port for a server that is about to start, and for nobody else: this process holds it, without listening, to its end."""
    holder = socket.socket()
    holder.bind(("127.0.0.1", 0))
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # from now on a server may listen; other holders were refused
    _HELD.append(holder)
    port: int = holder.getsockname()[1]
    return port


def environment(data_dir: Path, **settings: str) -> dict[str, str]:
    """The environment of a process with these settings and no others of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DISQUA_")}
    given = {"DATA_DIR": str(data_dir), "LOOKUP_ALLOWED_NETWORKS": "127.0.0.0/8"} | settings
    return kept | {f"DISQUA_{name}": value for name, value in given.items()}


async def disqua(*arguments: str, data_dir: Path, **settings: str) -> str:
    """Run a command to its end and return what it printed on standard output."""
    process = await asyncio.create_subprocess_exec(
        DISQUA, *arguments, env=environment(data_dir, **settings), cwd=data_dir.parent, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0
    return printed.decode().strip()


@asynccontextmanager
async def serving(
    data_dir: Path, workers: int = 1, program: Path = DISQUA, /, *, port: int, mail_port: int, **settings: str
) -> AsyncIterator[Serving]:
    """Serve in a process of its own, or in several, until the block ends, if it has not been killed before."""
    log = data_dir.parent / "serve.log"
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            program, "serve", "--port", str(port), "--smtp-port", str(mail_port), "--workers", str(workers),
            env=environment(data_dir, **settings), cwd=data_dir.parent, stdout=output, stderr=output,
        )  # fmt: skip
    served = Serving(process, port, mail_port, log)

    async def ready() -> bool:
        assert process.returncode is None, log.read_text()
        if workers > 1:
            return "serving" in log.read_text()
        async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client:
            try:
                return (await client.get(f"{served.base_url}/readyz")).status_code == 200
            except httpx.TransportError:
                return False

    try:
        await eventually(ready, within=60)
        yield served
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
