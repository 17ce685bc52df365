"""A company's own endpoints: real HTTP on a free port, answers as scripted, every request kept."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    path: str
    head: bytes
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever was sent
        return json.loads(self.body)


FIELDS = {"Plan": "Pro", "Value": "12 000 Kč", "Seats": "12", "Since": "2021", "Owner": "Eva"}
FOUND = {
    "found": True,
    "customer_id": "cus/42 á",
    "name": "Jan Novák",
    "badge": "VIP",
    "badge_color": "green",
    "fields": FIELDS,
}
NOT_FOUND = {"found": False}


@dataclass
class Crm:
    """Endpoints by path; an endpoint answers with a document, bytes of a whole response, or whatever a function makes."""

    port: int = 0
    requests: list[Request] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    open_now: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    open_at_most: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def url(self, path: str = "/lookup") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def asked(self, path: str = "/lookup") -> list[Request]:
        return [request for request in self.requests if request.path == path]

    def hang(self, path: str = "/lookup") -> asyncio.Event:
        """Answer nothing until the event is set, then what the path answered before."""
        release = asyncio.Event()
        before = self.answers.get(path, NOT_FOUND)

        async def answer(_request: Request) -> Any:  # noqa: ANN401 - whatever the path answers
            await release.wait()
            return before

        self.answers[path] = answer
        return release

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).removesuffix(b"\r\n\r\n")
            request = Request(head.split(b" ")[1].decode(), head, b"")
            body = await reader.readexactly(int(request.headers.get("content-length", "0")))
            request = Request(request.path, head, body)
            self.requests.append(request)
            self.open_now[request.path] += 1
            self.open_at_most[request.path] = max(self.open_at_most[request.path], self.open_now[request.path])
            try:
                writer.write(await self._response(request))
                await writer.drain()
            finally:
                self.open_now[request.path] -= 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _response(self, request: Request) -> bytes:
        answer = self.answers.get(request.path, NOT_FOUND)
        if callable(answer):
            make: Callable[[Request], Awaitable[Any]] = answer
            answer = await make(request)
        if isinstance(answer, bytes):
            return answer
        return response(200, json.dumps(answer).encode())


def response(status: int, body: bytes, *headers: str) -> bytes:
    """A whole HTTP response that closes its connection."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@asynccontextmanager
async def open_crm() -> AsyncIterator[Crm]:
    """Serve on a free port of 127.0.0.1."""
    crm = Crm()
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not server.is_serving():  # accepted as it closed: nobody would end this task any more
            writer.close()
            return
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            await crm.serve(reader, writer)
        except asyncio.CancelledError:
            pass  # the end of the test; asyncio would report it as a fault
        finally:
            connections.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    crm.port = server.sockets[0].getsockname()[1]
    try:
        yield crm
    finally:
        server.close()
        for connection in list(connections):
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
