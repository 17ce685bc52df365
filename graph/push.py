"""A subscription to panels on a socket: sent as its feed brings them, without an executor or a task of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import Operation

from domain.identity import TicketId
from graph.context import Context
from graph.types import uuid_of

if TYPE_CHECKING:
    from domain.ticket import Ticket
    from graph.endpoint import Endpoint
    from graph.events import Audience
    from graph.execution import Execution
    from graph.socket import SocketAdapter, SocketHandler
    from graph.types import CrmPanel


class Push(Operation[Context, None]):
    """From its first panel to its end. Whatever is out of the ordinary is left to the way that all operations can go."""

    __slots__ = ("_audience", "_follower", "_head")

    def __init__(self, handler: SocketHandler, operation_id: str, audience: Audience, ticket: Ticket) -> None:
        super().__init__(handler, operation_id, audience.query, audience.variables, audience.operation_name)
        self._audience = audience
        spelled = cast("Endpoint", handler.view).encode_json(operation_id)
        self._head = f'{{"id":{spelled},"type":"next","payload":{{"data":'.encode()
        context = handler.context
        self._follower = context.services.feeds.follow(context.workspace_id, ticket, self._wake)

    @property
    def execution(self) -> Execution:
        """How its events are rendered."""
        return self._audience.execution

    def end(self) -> None:
        """Send nothing any more."""
        self._follower.leave()
        if self.task is not None:
            self.task.cancel()

    def _wake(self) -> None:
        if self.task is None:  # else its reader is slow, and the task goes on by itself
            try:
                self._send_at_once()
            except Exception:  # noqa: BLE001 - the other way tells it from what is expected, and reports it
                self._hand_over()

    def _send_at_once(self) -> None:
        """Send what its reader has room for, which takes no task; wait for room in one."""
        socket = cast("SocketAdapter", self.handler.websocket)
        while socket.has_room():
            panel = self._follower.take()
            if panel is None:
                return
            text = self._frame(panel)
            with self._follower.sending():
                socket.send_at_once(text)
        self.task = asyncio.create_task(self._send_patiently())

    async def _send_patiently(self) -> None:
        """Send one after the other until its reader has caught up; states it was too slow for are merged meanwhile."""
        socket = cast("SocketAdapter", self.handler.websocket)
        try:
            await socket.room()
            while (panel := self._follower.take()) is not None:
                text = self._frame(panel)
                with self._follower.sending():
                    await socket.send_text(text.decode())
                await socket.room()
            self.task = None
        except WebSocketDisconnected:
            pass  # the end of the socket is the end of all its operations
        except Exception:  # noqa: BLE001 - as above
            self._hand_over()

    def _frame(self, panel: CrmPanel) -> bytes:
        return b"%b%b}}" % (self._head, self._audience.data(panel))

    def _hand_over(self) -> None:
        """Begin again on the other way."""
        self._follower.leave()
        handler = cast("SocketHandler", self.handler)
        handler.execute(Operation(handler, self.id, self.query, self.variables, self.operation_name))


async def pushed(handler: SocketHandler, operation: Operation[Context, None]) -> Push | None:
    """The operation as a push that has begun; None where it must go the way of all others."""
    context = handler.context
    audience = handler.events.audience(operation.query, operation.variables, operation.operation_name, context)
    found = uuid_of(audience.ticket_id) if audience is not None else None
    if audience is None or found is None:
        return None
    async with context.services.database.glancing(context.workspace_id) as store:
        ticket = await store.tickets.get(TicketId(found))
    return None if ticket is None else Push(handler, operation.id, audience, ticket)
