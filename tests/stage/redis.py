"""A Redis of the tests' own: on a free port, with nothing on disk, to be killed and paused at will."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from tests.stage.process import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATIENCE = 10.0


@dataclass
class RedisServer:
    """A server that starts again on its port, empty; every method waits until it is done, which takes some milliseconds."""

    port: int
    folder: Path
    options: list[str] = field(default_factory=list)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def unix_url(self) -> str:
        return f"unix://{self.folder}/redis.sock"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        command += ["--unixsocket", str(self.folder / "redis.sock"), "--save", "", "--appendonly", "no", *self.options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + _PATIENCE
        while not self._answers():
            assert self._process.poll() is None, "redis-server has ended"
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.005)

    def stop(self) -> None:
        """End it as its operator would."""
        self._signal(signal.SIGTERM)
        self._ended()

    def kill(self) -> None:
        """End it as a power cut would."""
        self._signal(signal.SIGKILL)
        self._ended()

    def pause(self) -> None:
        """It holds its connections and takes new ones, and answers nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def run(self, *command: str | bytes) -> object:
        """What it says to a command of its operator."""
        with Redis(port=self.port, socket_timeout=_PATIENCE) as client:
            answer: object = client.execute_command(*command)
            return answer

    def flush(self) -> None:
        self.run("FLUSHALL")

    def close(self) -> None:
        """End it, however it fares."""
        if self._process is not None:
            self._process.kill()
            self._ended()

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def _ended(self) -> None:
        assert self._process is not None
        self._process.wait(_PATIENCE)
        self._process = None

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), _PATIENCE) as client:
                client.sendall(b"PING\r\n")
                return client.recv(1) != b""  # a refusal is an answer, too
        except OSError:
            return False


@contextmanager
def redis_on_stage(*options: str, running: bool = True) -> Iterator[RedisServer]:
    """A server of one's own; where none is installed the test is skipped."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:  # the path of a Unix socket must be short
        server = RedisServer(free_port(), Path(folder), [*options])
        try:
            if running:
                server.start()
            yield server
        finally:
            server.close()
