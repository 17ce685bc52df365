"""What a single-page front end does: queries over HTTP, subscriptions over a socket."""

from __future__ import annotations

import asyncio
import json
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PATIENCE = 10.0  # less than the 15 to 30 seconds after which who watches looks again all the same: what came was announced
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""httpx would read every certificate authority of the machine for each client, and nothing here speaks TLS."""


@dataclass(frozen=True)
class FrontEnd:
    """One signed-in front end, or a nameless one that has no token."""

    base_url: str
    token: str

    @property
    def credentials(self) -> dict[str, str]:
        """What says who it is, as a header and in a socket's first message."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    async def post(self, query: str, variables: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        """The whole HTTP response."""
        async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client:
            return await client.post(
                f"{self.base_url}/graphql",
                json={"query": query, "variables": variables},
                headers={**self.credentials, **headers},
                timeout=PATIENCE,
            )

    async def ask(self, query: str, **variables: Any) -> Any:  # noqa: ANN401 - whatever the query selects
        """The data of an answer without errors."""
        answer = (await self.post(query, variables)).json()
        assert "errors" not in answer, answer
        return answer["data"]

    async def refused(self, query: str, **variables: Any) -> str:  # noqa: ANN401
        """The code of the first error of an answer."""
        answer = (await self.post(query, variables)).json()
        code: str = answer["errors"][0]["extensions"]["code"]
        return code

    @asynccontextmanager
    async def socket(self, **options: Any) -> AsyncIterator[ClientConnection]:  # noqa: ANN401
        """An open socket, not yet signed in."""
        url = f"{self.base_url.replace('http', 'ws', 1)}/graphql"
        async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None, **options) as socket:
            yield socket

    @asynccontextmanager
    async def signed_in(self, **options: Any) -> AsyncIterator[ClientConnection]:  # noqa: ANN401
        """An open socket, signed in."""
        async with self.socket(**options) as socket:
            await send(socket, type="connection_init", payload=self.credentials)
            assert (await receive(socket))["type"] == "connection_ack"
            yield socket

    @asynccontextmanager
    async def watching(self, subscription: str, **variables: Any) -> AsyncIterator[Watching]:  # noqa: ANN401
        """A running subscription."""
        async with self.signed_in() as socket:
            await send(socket, id="1", type="subscribe", payload={"query": subscription, "variables": variables})
            yield Watching(socket)


@dataclass(frozen=True)
class Watching:
    """A subscription whose events are awaited."""

    socket: ClientConnection

    async def next(self) -> Any:  # noqa: ANN401 - whatever the subscription selects
        """The only root field of the next event's data."""
        message = await receive(self.socket)
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        (value,) = message["payload"]["data"].values()
        return value

    async def until(self, condition: Callable[[Any], bool]) -> Any:  # noqa: ANN401
        """The first event that meets the condition."""
        while not condition(event := await self.next()):
            pass
        return event


async def send(socket: ClientConnection, **message: Any) -> None:  # noqa: ANN401
    """Send one protocol message."""
    await socket.send(json.dumps(message))


async def receive(socket: ClientConnection, patience: float = PATIENCE) -> Any:  # noqa: ANN401
    """The next protocol message, which must be a text frame."""
    async with asyncio.timeout(patience):
        frame = await socket.recv()
    assert isinstance(frame, str), "a binary frame"
    return json.loads(frame)
