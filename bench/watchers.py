"""Front ends that watch panels at little cost: WebSocket frames without any task of their own."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

if TYPE_CHECKING:
    from collections.abc import Callable

    from domain.identity import TicketId

WATCH = """
subscription ($id: ID!) {
  crmPanels(ticketId: $id) {
    id connectorId connectorName status refreshing stale badge { text color }
    customer { customerId name badge { text color } fields { key value } deepLink }
    error { code message } helpUrl fetchedAt expiresAt
  }
}
"""
_SMALL_BUFFER = 4096


class Watcher(asyncio.Protocol):
    """One socket that watches the panels of one ticket."""

    def __init__(self, url: str, token: str, ticket_id: TicketId, take: Callable[[Any, float], None], document: str) -> None:
        """``take`` gets each panel and the moment at which its frame was here."""
        self._protocol = ClientProtocol(parse_uri(url), subprotocols=[Subprotocol("graphql-transport-ws")])
        self._transport: asyncio.Transport | None = None
        self._token = token
        self._subscribe = {"query": document, "variables": {"id": str(ticket_id)}}
        self._take = take
        self.watching = asyncio.Event()
        """Set by the first panel."""
        self.faults = 0
        """Errors that came instead of a panel; after one the socket watches nothing any more."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self._transport = cast("asyncio.Transport", transport)
        self._protocol.send_request(self._protocol.connect())
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Sign in, watch, and hand on what comes."""
        at = time.monotonic()
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self._send(type="connection_init", payload={"Authorization": f"Bearer {self._token}"})
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._hear(json.loads(bytes(event.data)), at)
        self._flush()

    def stop_reading(self) -> None:
        """Hang, as a front end on a train does."""
        assert self._transport is not None
        self._transport.pause_reading()

    def close(self) -> None:
        """Go without a farewell."""
        if self._transport is not None:
            self._transport.abort()

    def _hear(self, message: Any, at: float) -> None:  # noqa: ANN401 - a message of graphql-transport-ws
        match message["type"]:
            case "connection_ack":
                self._send(id="1", type="subscribe", payload=self._subscribe)
            case "ping":
                self._send(type="pong")
            case "next" if "errors" not in message["payload"]:
                self.watching.set()
                (panel,) = message["payload"]["data"].values()
                self._take(panel, at)
            case _:
                self.watching.set()
                self.faults += 1

    def _send(self, **message: object) -> None:
        self._protocol.send_text(json.dumps(message).encode())

    def _flush(self) -> None:
        assert self._transport is not None
        for data in self._protocol.data_to_send():
            self._transport.write(data)


async def watch(
    base_url: str,
    token: str,
    ticket_id: TicketId,
    take: Callable[[Any, float], None],
    *,
    small: bool = False,
    document: str = WATCH,
) -> Watcher:
    """A socket that has got its first panel; a ``small`` one holds no more than some kilobytes that nobody has read."""
    at = urlsplit(base_url)
    connection = socket.socket()
    connection.setblocking(False)  # noqa: FBT003 - the standard library's signature
    if small:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, (at.hostname, at.port))
    url = f"{base_url.replace('http', 'ws', 1)}/graphql"
    _, watcher = await loop.create_connection(lambda: Watcher(url, token, ticket_id, take, document), sock=connection)
    await watcher.watching.wait()
    return watcher


@dataclass
class Panels:
    """The panels of one ticket: when each was last shown as settled."""

    fetched: dict[str, str] = field(default_factory=dict)
    shown_at: dict[str, float] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, panel: Any, at: float) -> None:  # noqa: ANN401 - a panel as JSON
        """Remember a panel that is settled and shows a new answer."""
        connector_id = panel["connectorId"]
        if not panel["refreshing"] and panel["fetchedAt"] and panel["fetchedAt"] != self.fetched.get(connector_id):
            self.fetched[connector_id] = panel["fetchedAt"]
            self.shown_at[connector_id] = at
            self._changed.set()

    async def renewed_since(self, moment: float, count: int) -> list[float]:
        """Wait until so many panels show an answer that came after the moment; when each of them did."""
        while len(renewed := [at for at in self.shown_at.values() if at > moment]) < count:
            self._changed.clear()
            await self._changed.wait()
        return renewed
