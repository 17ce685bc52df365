"""The floor under W1, W2 and W3: what the same answers cost by hand, with nothing in between.

Starlette, PyJWT for each request, plain SQL on one connection, orjson; no GraphQL: it knows five operations by name. It
checks no limit, masks nothing and counts nothing. A product that costs as much as this one cannot cost much less.

``DISQUA_FLOOR`` is a file of SQLite or the URL of a database of PostgreSQL, ``DISQUA_TOKEN_KEY`` the key of the tokens.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections import defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol, cast

import asyncpg
import jwt
import orjson
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from starlette.requests import Request
    from starlette.websockets import WebSocket

_TICKET = "SELECT id, subject, requester_email, requester_name FROM ticket WHERE "
_PANELS = """
SELECT p.ticket_id, p.id, p.status, c.name, p.badge_text, p.badge_color, p.customer_id, p.customer_name, p.deep_link, p.fields,
       p.fetched_at, p.stale
FROM panel p JOIN connector c ON c.id = p.connector_id WHERE p.ticket_id {0} ORDER BY p.ticket_id, p.position
"""
_FIRST = 20
_KEY = os.environ["DISQUA_TOKEN_KEY"]
_WHERE = os.environ["DISQUA_FLOOR"]


class _Rows(Protocol):
    """The three statements, wherever they run."""

    async def one(self, ticket_id: str, workspace: str) -> Sequence[Any]: ...
    async def newest(self, workspace: str, first: int) -> Sequence[Any]: ...
    async def panels(self, ticket_ids: list[str]) -> Sequence[Any]: ...


class _SQLite:
    """Short indexed reads in the event loop's own thread."""

    ONE = _TICKET + "id = ? AND workspace_id = ?"
    LIST = _TICKET + "workspace_id = ? ORDER BY number DESC LIMIT ?"
    PANELS = _PANELS.format("IN (SELECT value FROM json_each(?))")

    def __init__(self, file: str) -> None:
        self._connection = sqlite3.connect(file)

    async def one(self, ticket_id: str, workspace: str) -> Sequence[Any]:
        return self._connection.execute(self.ONE, (ticket_id, workspace)).fetchall()

    async def newest(self, workspace: str, first: int) -> Sequence[Any]:
        return self._connection.execute(self.LIST, (workspace, first)).fetchall()

    async def panels(self, ticket_ids: list[str]) -> Sequence[Any]:
        return self._connection.execute(self.PANELS, (orjson.dumps(ticket_ids).decode(),)).fetchall()


class _PostgreSQL:
    """asyncpg, which prepares each statement once for each connection."""

    ONE = _TICKET + "id = $1 AND workspace_id = $2"
    LIST = _TICKET + "workspace_id = $1 ORDER BY number DESC LIMIT $2"
    PANELS = _PANELS.format("= ANY($1)")

    def __init__(self, pool: asyncpg.Pool[Any]) -> None:
        self._pool = pool

    async def one(self, ticket_id: str, workspace: str) -> Sequence[Any]:
        return cast("Sequence[Any]", await self._pool.fetch(self.ONE, ticket_id, workspace))

    async def newest(self, workspace: str, first: int) -> Sequence[Any]:
        return cast("Sequence[Any]", await self._pool.fetch(self.LIST, workspace, first))

    async def panels(self, ticket_ids: list[str]) -> Sequence[Any]:
        return cast("Sequence[Any]", await self._pool.fetch(self.PANELS, ticket_ids))


@asynccontextmanager
async def _life(app: Starlette) -> AsyncIterator[None]:
    if not _WHERE.startswith("postgres"):
        app.state.rows = _SQLite(_WHERE)
        yield
        return
    async with asyncpg.create_pool(_WHERE, min_size=4, max_size=16) as pool:
        app.state.rows = _PostgreSQL(pool)
        yield


async def _with_panels(rows: _Rows, tickets: Sequence[Any]) -> list[dict[str, Any]]:
    panels: dict[str, list[dict[str, Any]]] = {ticket[0]: [] for ticket in tickets}
    for ticket_id, panel_id, status, connector, badge, color, customer, name, link, fields, fetched, stale in await rows.panels(
        list(panels)
    ):
        panels[ticket_id].append(
            {
                "id": panel_id,
                "status": status,
                "connectorName": connector,
                "badge": {"text": badge, "color": color} if badge else None,
                "customer": {"customerId": customer, "name": name, "deepLink": link, "fields": orjson.loads(fields)}
                if customer
                else None,
                "fetchedAt": fetched,
                "stale": bool(stale),
            }
        )
    return [
        {"id": ticket_id, "subject": subject, "requester": {"email": email, "name": name}, "crmPanels": panels[ticket_id]}
        for ticket_id, subject, email, name in tickets
    ]


class _Watchers:
    """Who watches which ticket."""

    def __init__(self) -> None:
        self._queues: defaultdict[str, set[asyncio.Queue[Any]]] = defaultdict(set)

    def join(self, ticket_id: str, queue: asyncio.Queue[Any]) -> None:
        self._queues[ticket_id].add(queue)

    def leave(self, ticket_id: str, queue: asyncio.Queue[Any]) -> None:
        self._queues[ticket_id].discard(queue)

    def tell(self, ticket_id: str, panel: Any) -> None:  # noqa: ANN401 - a panel as JSON
        for queue in self._queues[ticket_id]:
            queue.put_nowait(panel)


_watchers = _Watchers()


def _workspace(authorization: str) -> str:
    claims = jwt.decode(authorization.removeprefix("Bearer "), _KEY, algorithms=["HS256"])
    return cast("str", claims["workspace"])


async def _answer(request: Request) -> Response:
    try:
        workspace = _workspace(request.headers.get("authorization", ""))
    except jwt.PyJWTError:
        return Response(status_code=401)
    body = orjson.loads(await request.body())
    data = await _data(request.app.state.rows, workspace, body["operationName"], body["variables"])
    return Response(orjson.dumps({"data": data}), media_type="application/json")


async def _data(rows: _Rows, workspace: str, operation: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    match operation:
        case "Ticket":
            found = await _with_panels(rows, await rows.one(variables["id"], workspace))
            return {"ticket": found[0] if found else None}
        case "Tickets":
            return {"tickets": {"nodes": await _with_panels(rows, await rows.newest(workspace, _FIRST))}}
        case "Publish":
            (ticket,) = await _with_panels(rows, await rows.one(variables["id"], workspace))
            panel = ticket["crmPanels"][0]
            _watchers.tell(ticket["id"], panel | {"connectorName": variables["name"]})
            return {"publish": True}
        case _:
            raise NotImplementedError(operation)


async def _watch(socket: WebSocket) -> None:
    await socket.accept(subprotocol="graphql-transport-ws")
    _workspace((await socket.receive_json())["payload"]["Authorization"])
    await socket.send_text('{"type":"connection_ack"}')
    subscribe = await socket.receive_json()
    ticket_id, queue = subscribe["payload"]["variables"]["id"], asyncio.Queue[Any]()
    _watchers.join(ticket_id, queue)
    sending = asyncio.create_task(_send(socket, subscribe["id"], queue))
    try:
        while (await socket.receive())["type"] != "websocket.disconnect":
            pass
    finally:
        sending.cancel()
        _watchers.leave(ticket_id, queue)


async def _send(socket: WebSocket, operation_id: str, queue: asyncio.Queue[Any]) -> None:
    while True:
        message = {"id": operation_id, "type": "next", "payload": {"data": {"crmPanels": await queue.get()}}}
        await socket.send_text(orjson.dumps(message).decode())


async def _ready(_request: Request) -> Response:
    return Response(b"ready")


app = Starlette(
    routes=[Route("/graphql", _answer, methods=["POST"]), WebSocketRoute("/graphql", _watch), Route("/readyz", _ready)],
    lifespan=_life,
)
