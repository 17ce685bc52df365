"""GraphQL over WebSocket (graphql-transport-ws): signing in, the end of tokens, idle readers, messages without sense."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import structlog
from starlette.websockets import WebSocketDisconnect, WebSocketState
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.http.exceptions import NonJsonMessageReceived, NonTextMessageReceived, WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler, Operation

from graph.context import Context
from graph.curfew import Curfew
from graph.errors import LimitExceeded, tidy_error
from graph.execution import Execution
from graph.pace import Pace
from graph.push import Push, pushed
from persistence.database import DatabaseAway
from persistence.uncancelled import uncancelled

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Mapping

    from starlette.websockets import WebSocket
    from strawberry.subscriptions.protocols.graphql_transport_ws.types import (
        ConnectionInitMessage,
        Message,
        SubscribeMessage,
    )

    from graph.endpoint import Endpoint
    from graph.events import Events
    from graph.schema import Schema

LINE: Final = "disqua.line"
"""The extension of the ASGI scope that holds the ``line`` of a socket, where the server has one."""
_TRY_AGAIN_LATER: Final = 1013
_FORBIDDEN: Final = 4403
_MAX_REASON = 123  # bytes; RFC 6455, 5.5.1 with 5.5
_log = structlog.get_logger(__name__)


class Line(Protocol):
    """What lies below a socket: a text that it has room for needs no waiting, and so no task and no alarm."""

    def has_room(self) -> bool:
        """Whether the connection is open and its reader keeps up."""

    def send_at_once(self, text: bytes) -> None:
        """Send a text message in UTF-8."""

    def lags(self) -> bool:
        """Whether its reader has not taken what was sent."""

    async def caught_up(self) -> None:
        """Wait until its reader has, or the connection is lost."""

    def abort(self) -> None:
        """End the connection without waiting for its reader to take the rest."""


class SocketAdapter(ASGIWebSocketAdapter):
    """Lets a reader go that takes nothing any more: its connection would otherwise live as long as TCP does."""

    def __init__(self, view: Any, request: WebSocket, response: WebSocket) -> None:  # noqa: ANN401 - the endpoint
        super().__init__(view, request, response)
        self.limits = view.door.limits
        self._patience = view.door.patience
        self._connection = asyncio.current_task()
        self._line: Line | None = response.scope.get("extensions", {}).get(LINE, {}).get("line")
        self.let_go = False

    async def iter_json(self, *, ignore_parsing_errors: bool = False) -> AsyncGenerator[object, None]:  # noqa: ARG002
        """As Strawberry does it, but without holding on to a text until the next one comes."""
        try:
            while self.ws.application_state is not WebSocketState.DISCONNECTED:
                yield self.view.decode_json(await self.ws.receive_text())
        except JSONDecodeError as error:
            raise NonJsonMessageReceived from error
        except KeyError as error:
            raise NonTextMessageReceived from error
        except WebSocketDisconnect:
            pass

    def has_room(self) -> bool:
        """Whether a text may be sent at once."""
        return self._line is not None and self._line.has_room()

    def send_at_once(self, text: bytes) -> None:
        """Send a text that there is room for."""
        assert self._line is not None  # noqa: S101 - nobody has asked
        self._line.send_at_once(text)

    async def send_json(self, message: Mapping[str, object]) -> None:
        """Send, or end the connection when nothing is taken any more."""
        await self.send_text(cast("Endpoint", self.view).encode_json(message))

    async def send_text(self, text: str) -> None:
        """Send, or end the connection when nothing is taken any more."""
        await self.room()
        if self.has_room():
            self.send_at_once(text.encode())
        else:
            await self._patiently(self.ws.send_text(text))

    async def room(self) -> None:
        """Wait until the reader has caught up: all who wait are woken at once, and the first may leave the next no room."""
        while self._line is not None and self._line.lags():
            await self._patiently(self._line.caught_up())

    async def close(self, code: int, reason: str) -> None:
        """Close; the reason may repeat what the client sent and is cut to what a frame can carry."""
        await self._patiently(super().close(code, reason.encode(errors="replace")[:_MAX_REASON].decode(errors="ignore")))

    async def _patiently(self, sending: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(self._patience.total_seconds()):
                await sending
        except TimeoutError:
            self.let_go = True
            if self._line is not None:
                self._line.abort()
            if self._connection is not None:
                self._connection.cancel()
            raise WebSocketDisconnected from None
        except (RuntimeError, WebSocketDisconnect) as closed:  # starlette's words for sending after a close
            raise WebSocketDisconnected from closed


class SocketHandler(BaseGraphQLTransportWSHandler[Context, None]):
    """One socket from its handshake to its end."""

    _pace: Pace
    _curfew: Curfew | None = None

    @property
    def events(self) -> Events:
        """The audiences of events."""
        return cast("Endpoint", self.view).events

    async def handle(self) -> None:
        """Serve until either side closes or the other takes nothing any more."""
        burst = cast("SocketAdapter", self.websocket).limits.socket_messages
        self._pace = Pace(burst=burst, per_second=burst / 2, clock=asyncio.get_running_loop().time)
        try:
            await super().handle()
        except asyncio.CancelledError:
            if not cast("SocketAdapter", self.websocket).let_go:
                raise
        finally:
            if self._curfew is not None:
                self._curfew.lift()

    async def handle_message(self, message: Message) -> None:
        """Take one message, not sooner than its turn; one of the wrong shape closes the socket with 4400.

        Nothing more is read from the network meanwhile: a flood waits at its sender.
        """
        await asyncio.sleep(self._pace.step())
        problem = _problem(message)
        if problem is not None:
            await self.handle_invalid_message(problem)
            return
        await super().handle_message(message)
        cast("dict[str, object]", message).clear()  # it stays in the hands of the loop until the next one comes

    async def handle_connection_init(self, message: ConnectionInitMessage) -> None:
        """Sign in by the token in the payload; a bad one closes the socket with 4403."""
        try:
            await super().handle_connection_init(message)
        except DatabaseAway:
            await self.websocket.close(code=_TRY_AGAIN_LATER, reason="The database cannot be reached at the moment")
            return
        if self.connection_acknowledged and self._curfew is None:
            self.connection_init_timeout_task = None
            self._curfew = Curfew(self.context, cast("Endpoint", self.view).door.revoked, self._close)

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        """Start an operation, unless as many as one socket may have are running."""
        limit = self.max_subscriptions_per_connection
        if limit is None or len(self.operations) < limit or message["id"] in self.operations:
            await super().handle_subscribe(message)
            return
        error = LimitExceeded(f"A socket may have at most {limit} operations at once.")
        tidied = tidy_error(error, self.context.request_id, production=True)
        await self.send_message({"id": message["id"], "type": "error", "payload": [tidied.formatted]})

    async def run_operation(self, operation: Operation[Context, None]) -> None:
        """Push what can be pushed; everything else is executed."""
        try:
            push = await pushed(self, operation)
        except Exception:  # noqa: BLE001 - whoever executes it meets the same, and reports it
            push = None
        cast("Endpoint", self.view).door.executed(Execution.STOCK if push is None else push.execution)
        if push is not None:
            self.operations[operation.id] = push
        elif cast("Schema", self.schema).changes(operation.query, operation.operation_name):
            await uncancelled(super().run_operation(operation))  # whoever watches has to hear of what it has done
        else:
            await super().run_operation(operation)

    def execute(self, operation: Operation[Context, None]) -> None:
        """Run an operation without trying to push it, in place of the one that has its id."""
        operation.task = asyncio.create_task(super().run_operation(operation))
        operation.task.add_done_callback(self._task_done)
        self.operations[operation.id] = operation

    async def cleanup_operation(self, operation_id: str) -> None:
        """End an operation, of whatever kind."""
        operation = self.operations.get(operation_id)
        if isinstance(operation, Push):
            del self.operations[operation_id]
            operation.end()
        elif operation is not None:
            operation.completed = True  # a mutation goes on, but says nothing any more
            await super().cleanup_operation(operation_id)

    async def handle_task_exception(self, error: Exception) -> None:
        """Log what nobody expected; that a reader went away while it was being sent something is ordinary."""
        if not isinstance(error, WebSocketDisconnected):
            _log.error("an operation broke off", request_id=self.context.request_id, exc_info=error)

    async def _close(self, reason: str) -> None:
        """Nothing more is sent to whoever may not see it any more."""
        for operation_id in list(self.operations):
            await self.cleanup_operation(operation_id)
        with suppress(WebSocketDisconnected):
            await self.websocket.close(code=_FORBIDDEN, reason=reason)


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
