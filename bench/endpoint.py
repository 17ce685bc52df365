"""A company's endpoint as a process of its own: quick at any path, and silent for ever at /tarpit.

``.venv/bin/python bench/endpoint.py --delay 20`` prints its port and answers each lookup after 20 ms, until its standard
input ends. ``--stamped`` calls each customer by the nanosecond of the monotonic clock, which all processes share, at which
the answer was written: whoever sees the name knows how old it is.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import uvloop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_CUSTOMER = {
    "found": True,
    "customer_id": "cus_42",
    "name": "Jan Novák",
    "badge": "VIP",
    "badge_color": "green",
    "fields": {"Plan": "Pro", "Value": "12 000 Kč", "Seats": "12", "Since": "2021", "Owner": "Eva"},
}
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
_END_OF_HEAD = b"\r\n\r\n"


def _answer(**customer: object) -> bytes:
    body = json.dumps(_CUSTOMER | customer).encode()
    return _HEAD % (len(body), body)


_ALWAYS_THE_SAME = _answer()


class _Connection(asyncio.Protocol):
    """One connection, on which one request follows the other's answer."""

    def __init__(self, delay: float, *, stamped: bool) -> None:
        self._delay = delay
        self._stamped = stamped
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember whom to answer."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer a request that is whole, in a moment."""
        self._received += data
        head, separator, body = self._received.partition(_END_OF_HEAD)
        if separator and len(body) >= _length(head):
            self._received = b""
            if not head.startswith(b"POST /tarpit"):
                asyncio.get_running_loop().call_later(self._delay, self._answer)

    def _answer(self) -> None:
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.write(_answer(name=str(time.monotonic_ns())) if self._stamped else _ALWAYS_THE_SAME)


def _length(head: bytes) -> int:
    lines = head.lower().split(b"\r\n")
    return next(int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:"))


async def _serve(delay: float, *, stamped: bool) -> None:
    connection = partial(_Connection, delay, stamped=stamped)
    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


@asynccontextmanager
async def endpoint(delay_ms: int, *, stamped: bool = False) -> AsyncIterator[tuple[str, int]]:
    """Such a process: where it answers, and its id."""
    options = ["--delay", str(delay_ms), *(["--stamped"] if stamped else [])]
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, *options, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(await process.stdout.readline())}", process.pid
    finally:
        process.stdin.close()
        await process.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog=Path(__file__).name)
    parser.add_argument("--delay", type=int, default=20, help="milliseconds")
    parser.add_argument("--stamped", action="store_true", help="each answer tells when it was written")
    given = parser.parse_args()
    uvloop.run(_serve(given.delay / 1000, stamped=given.stamped))
