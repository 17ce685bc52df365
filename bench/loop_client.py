"""In place of wrk where that is not installed: some connections that ask again as soon as they are answered.

``loop_client.py PORT CONNECTIONS SECONDS FILE TOKEN`` sends the lines of the file in turn and tells, as
wrk.lua does, what came of it.
It takes more CPU than wrk, so on a quick server it may be the limit of the requests a second; the server's own CPU is as true.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, cast

import uvloop

from bench.figures import percentile

if TYPE_CHECKING:
    from collections.abc import Iterator

_END_OF_HEAD = b"\r\n\r\n"


class _Connection(asyncio.Protocol):
    """One request after the other's answer, until it is told to stop."""

    def __init__(self, requests: Iterator[bytes], took: list[float]) -> None:
        self._requests = requests
        self._took = took
        self._received = b""
        self._asked_at = 0.0
        self._transport: asyncio.Transport | None = None
        self.failed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Ask again after a whole answer."""
        self._received += data
        head, separator, body = self._received.partition(_END_OF_HEAD)
        if separator and len(body) >= _length(head):
            self._took.append(time.perf_counter() - self._asked_at)
            self.failed += b" 200 " not in head.partition(b"\r\n")[0]
            self._received = b""
            self._ask()

    def stop(self) -> None:
        """Ask no more."""
        assert self._transport is not None
        self._transport.abort()

    def _ask(self) -> None:
        assert self._transport is not None
        self._asked_at = time.perf_counter()
        self._transport.write(next(self._requests))


def _length(head: bytes) -> int:
    return next(int(line.partition(b":")[2]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))


def _request(body: bytes, token: str) -> bytes:
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _ask_for(seconds: float, port: int, connections: int, requests: Iterator[bytes]) -> dict[str, float]:
    took, opened = list[float](), list[_Connection]()
    began = time.perf_counter()
    for _ in range(connections):
        _, connection = await asyncio.get_running_loop().create_connection(lambda: _Connection(requests, took), "127.0.0.1", port)
        opened.append(connection)
    await asyncio.sleep(began + seconds - time.perf_counter())
    for connection in opened:
        connection.stop()
    return {
        "requests": len(took),
        "seconds": time.perf_counter() - began,
        "p50_ms": percentile(took, 50) * 1000,
        "p99_ms": percentile(took, 99) * 1000,
        "failed": sum(connection.failed for connection in opened),
    }


def main(port: str, connections: str, seconds: str, file: str, token: str) -> None:
    """Ask, and print what came of it."""
    bodies = [line.encode() for line in Path(file).read_text().splitlines()]
    requests = cycle([_request(body, token) for body in bodies])
    print("RESULT", json.dumps(uvloop.run(_ask_for(float(seconds), int(port), int(connections), requests))))


if __name__ == "__main__":
    main(*sys.argv[1:])
