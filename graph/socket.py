"""GraphQL over WebSocket (graphql-transport-ws): signing in, expiry, readers that stop, messages that make no sense."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler

from graph.context import Context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from strawberry.subscriptions.protocols.graphql_transport_ws.types import (
        ConnectionInitMessage,
        Message,
    )

_SEND_SECONDS = 10.0
_FORBIDDEN = 4403


class SocketAdapter(ASGIWebSocketAdapter):
    """Lets a reader go that takes nothing any more: its connection would otherwise live as long as TCP does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - whatever the view passes
        super().__init__(*args, **kwargs)
        self._connection = asyncio.current_task()

    async def send_json(self, message: Mapping[str, object]) -> None:
        """Send, or end the connection after ten seconds without progress."""
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                await super().send_json(message)
        except TimeoutError:
            if self._connection is not None:
                self._connection.cancel()
            raise WebSocketDisconnected from None
        except RuntimeError as closed:  # starlette's word for sending after a close
            raise WebSocketDisconnected from closed


class SocketHandler(BaseGraphQLTransportWSHandler[Context, None]):
    """One socket from its handshake to its end."""

    _expiry: asyncio.Task[None] | None = None

    async def handle(self) -> None:
        """Serve until either side closes."""
        try:
            await super().handle()
        finally:
            if self._expiry:
                self._expiry.cancel()

    async def handle_message(self, message: Message) -> None:
        """Take one message; one of the wrong shape closes the socket with 4400."""
        problem = _problem(message)
        if problem is not None:
            await self.handle_invalid_message(problem)
            return
        await super().handle_message(message)

    async def handle_connection_init(self, message: ConnectionInitMessage) -> None:
        """Sign in by the token in the payload; a bad one closes the socket with 4403."""
        await super().handle_connection_init(message)
        if self.connection_acknowledged and self._expiry is None:
            self._expiry = asyncio.create_task(self._close_when_expired())

    async def _close_when_expired(self) -> None:
        remaining = self.context.caller.expires_at - self.context.services.now()
        await asyncio.sleep(max(remaining.total_seconds(), 0))
        for operation_id in list(self.operations):
            await self.cleanup_operation(operation_id)
        await self.websocket.close(code=_FORBIDDEN, reason="The token has expired")


def _problem(message: object) -> str | None:
    """What is wrong with the shape of a message; the handler below takes the right shape for granted."""
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return "A message is an object with a type"
    if message["type"] in {"subscribe", "complete"} and not isinstance(message.get("id"), str):
        return "The id must be a string"
    return _subscribe_problem(message.get("payload")) if message["type"] == "subscribe" else None


def _subscribe_problem(payload: object) -> str | None:
    if not isinstance(payload, dict) or not isinstance(payload.get("query"), str):
        return "The payload of subscribe needs a query"
    if not isinstance(payload.get("variables"), dict | None):
        return "The variables must be an object"
    if not isinstance(payload.get("operationName"), str | None):
        return "The operationName must be a string"
    return None
