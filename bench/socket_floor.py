"""The least that sends one event to many sockets: hand-written, no GraphQL, no database, no limits.

``.venv/bin/python bench/socket_floor.py`` prints its port and serves until its standard input ends. A POST of ``{"mark": …}``
sends one panel, with the mark for its name, to every socket that has subscribed; messages are those of graphql-transport-ws.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import jwt
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.websockets import WebSocket

KEY = "a key of thirty-two bytes at least"
_PANEL: dict[str, Any] = {
    "id": "5f3e8a52-7a39-5a4c-9a53-3b1d7a0c8d11", "connectorId": "01a203f1-5208-74d0-a3bf-6093b8ecb3ee", "status": "FOUND",
    "refreshing": False, "stale": False, "badge": {"text": "VIP", "color": "GREEN"}, "error": None, "helpUrl": None,
    "customer": {
        "customerId": "cus_42", "name": "Jan Novák", "badge": {"text": "VIP", "color": "GREEN"}, "deepLink": None,
        "fields": [
            {"key": "Plan", "value": "Pro"}, {"key": "Value", "value": "12 000 Kč"}, {"key": "Seats", "value": "12"},
            {"key": "Since", "value": "2021"}, {"key": "Owner", "value": "Eva"},
        ],
    },
    "fetchedAt": "2026-11-23T04:05:06.123456+00:00", "expiresAt": "2026-11-23T05:05:06.123456+00:00",
}  # fmt: skip


class _Floor:
    """A queue for each socket and no more."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[dict[str, Any]]] = set()

    async def publish(self, request: Request) -> Response:
        panel = _PANEL | {"connectorName": orjson.loads(await request.body())["mark"]}
        for queue in self._queues:
            queue.put_nowait(panel)
        return Response(b'{"data":{}}', media_type="application/json")

    async def subscribe(self, connection: WebSocket) -> None:
        await connection.accept(subprotocol="graphql-transport-ws")
        token = (await connection.receive_json())["payload"]["Authorization"]
        jwt.decode(token.removeprefix("Bearer "), KEY, algorithms=["HS256"])
        await connection.send_text('{"type":"connection_ack"}')
        operation = (await connection.receive_json())["id"]
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._queues.add(queue)
        pump = asyncio.create_task(_pump(connection, operation, queue))
        try:
            while (await connection.receive())["type"] != "websocket.disconnect":
                pass
        finally:
            pump.cancel()
            self._queues.discard(queue)


async def _pump(connection: WebSocket, operation: str, queue: asyncio.Queue[dict[str, Any]]) -> None:
    while True:
        event = {"id": operation, "type": "next", "payload": {"data": {"crmPanels": await queue.get()}}}
        await connection.send_text(orjson.dumps(event).decode())


def _serve() -> None:
    floor = _Floor()
    routes = [Route("/graphql", floor.publish, methods=["POST"]), WebSocketRoute("/graphql", floor.subscribe)]
    server = uvicorn.Server(
        uvicorn.Config(Starlette(routes=routes), log_config=None, access_log=False, ws_per_message_deflate=False, lifespan="off")
    )
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(listener.getsockname()[1], flush=True)

    def end_with_input() -> None:
        sys.stdin.read()
        server.should_exit = server.force_exit = True

    threading.Thread(target=end_with_input, daemon=True).start()
    server.run(sockets=[listener])


@asynccontextmanager
async def socket_floor() -> AsyncIterator[tuple[str, int]]:
    """Such a process: where it answers, and its id."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(await process.stdout.readline())}", process.pid
    finally:
        process.stdin.close()
        await process.wait()


if __name__ == "__main__":
    _serve()
