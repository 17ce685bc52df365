"""A front end as small as can be: operations over one WebSocket (graphql-transport-ws)."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class FrontEnd:
    """A signed-in socket on which any number of operations run."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._ids = count(1)
        self._inboxes: dict[str, asyncio.Queue[dict[str, Any]]] = {}

    @classmethod
    @asynccontextmanager
    async def signed_in(cls, api: str, token: str) -> AsyncIterator[FrontEnd]:
        """Connect and sign in."""
        url = f"{api.replace('http', 'ws', 1)}/graphql"
        async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None) as connection:
            await connection.send(json.dumps({"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}}))
            await connection.recv()
            client = cls(connection)
            reading = asyncio.create_task(client._sort())
            try:
                yield client
            finally:
                reading.cancel()

    async def ask(self, document: str, **variables: Any) -> Any:  # noqa: ANN401 - whatever the document selects
        """The first result of an operation."""
        async for data in self.stream(document, **variables):
            return data
        raise ConnectionError("the server closed the operation")

    async def stream(self, document: str, **variables: Any) -> AsyncIterator[Any]:  # noqa: ANN401
        """Every result of an operation."""
        operation = str(next(self._ids))
        inbox = self._inboxes[operation] = asyncio.Queue()
        payload = {"query": document, "variables": variables}
        await self._connection.send(json.dumps({"id": operation, "type": "subscribe", "payload": payload}))
        while (message := await inbox.get())["type"] != "complete":
            if message["type"] == "error" or message["payload"].get("errors"):
                raise ConnectionError(json.dumps(message["payload"]))
            yield message["payload"]["data"]

    async def _sort(self) -> None:
        async for frame in self._connection:
            message = json.loads(frame)
            if message.get("id") in self._inboxes:
                self._inboxes[message["id"]].put_nowait(message)
