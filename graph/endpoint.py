"""GraphQL over HTTP and server-sent events: who may come in, what is a request, what status an answer has."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import orjson
import structlog
from cross_web import HTTPException
from graphql import GraphQLError, OperationType, get_operation_ast, parse
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.subscriptions import GRAPHQL_SSE_PROTOCOL, GRAPHQL_TRANSPORT_WS_PROTOCOL

from domain.identity import Right
from graph.context import Context, Services, new_request_id
from graph.errors import DATABASE_AWAY, INTERNAL, ErrorCode, http_status, tidy_error
from graph.events import Events
from graph.execution import Execution
from graph.fast_path import FastPath
from graph.http import RawRequest, RawResponse
from graph.limits import Limits
from graph.patience import TookTooLong, within
from graph.socket import SocketAdapter, SocketHandler
from persistence.database import DatabaseAway

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence

    from cross_web import AsyncHTTPRequestAdapter
    from starlette.requests import Request
    from starlette.types import Message, Receive, Scope, Send
    from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData
    from strawberry.types import ExecutionResult
    from strawberry.types.unset import UnsetType

    from domain.identity import Principal
    from graph.schema import Schema

_CODE_OF_STATUS = {
    401: ErrorCode.UNAUTHENTICATED,
    403: ErrorCode.FORBIDDEN,
    413: ErrorCode.LIMIT_EXCEEDED,
    500: ErrorCode.INTERNAL,
    503: ErrorCode.UNAVAILABLE,
}
_HEADERS_OF_STATUS = {
    401: {"WWW-Authenticate": "Bearer"},
    405: {"Allow": "POST"},
    413: {"Connection": "close"},  # else the rest of the body would be read, were it endless
}
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """How a token is judged and who is told of sockets: what the endpoint needs from above."""

    authenticate: Callable[[str], Awaitable[Principal | None]]
    """The holder of a bearer token; None for one that is not valid."""
    revoked: Callable[[Principal], Awaitable[None]]
    """Done when the token of somebody who has come in counts no more, though its time has not come."""
    allowed_origins: Sequence[str] = ()
    socket_opened: Callable[[], None] = lambda: None
    socket_closed: Callable[[], None] = lambda: None
    executed: Callable[[Execution], None] = lambda _execution: None
    """Told of each operation that is executed, or refused by its limits or its validation."""
    patience: timedelta = timedelta(seconds=6)
    """How long a reader may take nothing before it is let go."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server is about to stop: event streams would hold it up."""
    linger: Callable[[], float] = lambda: 0.0
    """How many seconds after that the next of them ends."""
    limits: Limits = field(default_factory=Limits)


class Endpoint(GraphQL[Context, None]):
    """The ASGI application at /graphql."""

    websocket_adapter_class = SocketAdapter
    graphql_transport_ws_handler_class = SocketHandler

    def __init__(self, schema: Schema, services: Services, door: Door) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            allow_queries_via_get=False,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL, GRAPHQL_SSE_PROTOCOL),
            connection_init_wait_timeout=door.limits.init_timeout,
            max_subscriptions_per_connection=door.limits.socket_operations,
            allowed_origins=door.allowed_origins,
        )
        self.services = services
        self.door = door
        self._fast_path = FastPath(schema, door.limits)
        self.events = Events(schema)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or one socket."""
        if scope["type"] == "websocket":
            await self._serve_socket(WebSocket(scope, receive, send))
            return
        context = Context(services=self.services, request_id=new_request_id())
        with suppress(ClientDisconnect):  # whoever went away, or takes nothing any more, needs no answer
            response = await self._respond(RawRequest(scope, receive, self.door.limits.body_bytes), context)
            response.raw_headers.append((b"x-request-id", context.request_id.encode()))
            if isinstance(response, StreamingResponse):
                await self._stream(response, scope, receive, send)
            else:
                await self._patiently(response(scope, receive, send))

    async def _respond(self, request: RawRequest, context: Context) -> Response | RawResponse:
        try:
            context.principal = await self._admit(request)
            return await self._answer(request, context)
        except HTTPException as refusal:
            return self._refuse(refusal.status_code, refusal.reason, context)
        except DatabaseAway:
            return self._refuse(503, DATABASE_AWAY, context)
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001 - the last resort: what nobody expected is told apart by its id alone
            _log.error("internal error", request_id=context.request_id, exc_info=error)
            return self._refuse(500, INTERNAL, context)

    async def _answer(self, request: RawRequest, context: Context) -> Response | RawResponse:
        quick = await self._fast_path.answer(request, context)
        answer = quick or await self._run(request.whole(), context)
        self.door.executed(Execution.STOCK if quick is None else Execution.COMPILED)
        return answer

    async def _stream(self, response: StreamingResponse, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_patiently(message: Message) -> None:
            await self._patiently(send(message))

        try:
            await response(scope, receive, send_patiently)
        finally:  # else it lives on until a garbage collection
            await cast("AsyncGenerator[str, None]", response.body_iterator).aclose()

    async def _patiently(self, sending: Awaitable[None]) -> None:
        """Give up on a reader that takes nothing any more."""
        try:
            await within(self.door.patience.total_seconds(), cast("Coroutine[Any, Any, None]", sending))
        except TookTooLong:
            raise ClientDisconnect from None

    async def _run(self, request: Request, context: Context) -> Response:
        request.state.request_id = context.request_id
        return await self.run(request, context=context)

    def _refuse(self, status: int, message: str, context: Context) -> Response:
        code = _CODE_OF_STATUS.get(status, ErrorCode.BAD_REQUEST)
        error = {"message": message, "extensions": {"code": code, "requestId": context.request_id}}
        headers = _HEADERS_OF_STATUS.get(status)
        return Response(self.encode_json({"errors": [error]}), status, headers, media_type="application/json")

    async def _serve_socket(self, socket: WebSocket) -> None:
        self.door.socket_opened()
        try:
            await self.run(socket)
        finally:
            self.door.socket_closed()

    async def _admit(self, request: RawRequest) -> Principal:
        principal = await self.principal_of(request.header(b"authorization"))
        if principal is None:
            raise HTTPException(401, "A valid token is needed: Authorization: Bearer …")
        if not principal.may(Right.ANSWER_TICKETS):
            raise HTTPException(403, "This token opens only /inbound/email.")
        if request.method != "POST":
            raise HTTPException(405, "GraphQL is served to POST requests, and to WebSockets.")
        return principal

    async def principal_of(self, authorization: object) -> Principal | None:
        """The holder of the token in an Authorization value; None when there is no valid one."""
        scheme, _, token = authorization.partition(" ") if isinstance(authorization, str) else ("", "", "")
        return await self.door.authenticate(token.strip()) if scheme.lower() == "bearer" else None

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:  # noqa: ARG002
        """The context of a socket, before anyone has signed in; a request brings its own."""
        return Context(services=self.services, request_id=new_request_id())

    async def on_ws_connect(self, context: Context) -> UnsetType | dict[str, object] | None:
        """Sign in by the token in the payload of connection_init, whose key may be in any case."""
        payload = {key.lower(): value for key, value in (context.connection_params or {}).items()}
        context.connection_params = {}  # a token is not kept for as long as its socket lives
        context.principal = await self.principal_of(payload.get("authorization"))
        if context.principal is None or not context.principal.may(Right.ANSWER_TICKETS):
            raise ConnectionRejectionError
        return await super().on_ws_connect(context)

    async def parse_http_body(self, request: AsyncHTTPRequestAdapter) -> GraphQLRequestData | list[GraphQLRequestData]:
        """One operation; a query gets JSON whatever else its Accept lists, a subscription needs an event stream."""
        data = await super().parse_http_body(request)
        if isinstance(data, list):
            raise HTTPException(400, "Send one operation for each request.")
        if not isinstance(data.operation_name, str | None):
            raise HTTPException(400, "`operationName` must be a string or null.")
        streaming = data.protocol == "sse"
        subscribing = (
            _is_subscription(data.query, data.operation_name, self.door.limits.tokens)
            if streaming or "subscription" in (data.query or "")
            else False
        )
        if subscribing and not streaming:
            raise HTTPException(
                400, "A subscription is served over WebSocket (graphql-transport-ws) or with Accept: text/event-stream."
            )
        return data if subscribing else replace(data, protocol="http")

    def parse_json(self, data: str | bytes) -> Any:  # noqa: ANN401 - any JSON value
        """The body as an object; anything else is the client's fault and is told so."""
        try:
            document = self.decode_json(data)
        except ValueError:
            raise HTTPException(400, "The body is not valid JSON.") from None
        if not isinstance(document, dict):
            raise HTTPException(400, "The body must be a JSON object with a `query`.")
        return document

    def decode_json(self, data: str | bytes) -> object:
        """Any JSON value; raises JSONDecodeError, for nesting without end, broken UTF-8 and numbers without end, too."""
        try:
            return json.loads(data)
        except json.JSONDecodeError:
            raise
        except (RecursionError, ValueError) as error:
            raise json.JSONDecodeError(str(error), "", 0) from error

    def encode_json(self, data: object) -> str:
        """Text, never bytes: bytes would travel as binary frames, which browsers' clients do not read."""
        try:
            return orjson.dumps(data).decode()
        except TypeError:  # a client's lone surrogate inside an error message
            return json.dumps(data)

    async def process_result(self, request: Request, result: ExecutionResult) -> GraphQLHTTPResponse:
        """The result as it leaves; what fails around an operation has not passed the extensions that tidy its errors."""
        for_whom = request.state.request_id
        result.errors = [tidy_error(error, for_whom, production=True) for error in result.errors or ()] or None
        return await super().process_result(request, result)

    def create_response(self, response_data: GraphQLHTTPResponse | list[GraphQLHTTPResponse], sub_response: Response) -> Response:
        """An answer with the status that its errors call for."""
        assert isinstance(response_data, dict)  # noqa: S101 - batches are refused
        response = super().create_response(response_data, sub_response)
        response.status_code = http_status(response_data)
        return response

    async def create_streaming_response(
        self,
        request: Request | WebSocket,
        stream: Callable[[], AsyncIterator[str]],
        sub_response: Response,
        headers: Mapping[str, str],
    ) -> Response:
        """An event stream that ends when the token of its request expires or is revoked, or the server stops."""
        principal = await self.principal_of(request.headers.get("authorization"))
        ends_in = (principal.expires_at - self.services.now()).total_seconds() if principal else 0
        endings: list[Callable[[], Awaitable[None]]] = [self._stopped]
        if principal is not None:
            endings.append(partial(self.door.revoked, principal))

        def timed() -> AsyncIterator[str]:
            return _until(cast("AsyncGenerator[str, None]", stream()), ends_in, endings)

        return await super().create_streaming_response(request, timed, sub_response, headers)

    async def _stopped(self) -> None:
        await self.door.stopping.wait()
        await asyncio.sleep(self.door.linger())


def _is_subscription(query: str | None, operation_name: str | None, max_tokens: int) -> bool:
    try:
        operation = get_operation_ast(parse(query or "", no_location=True, max_tokens=max_tokens), operation_name)
    except GraphQLError:
        return False  # the executor will say what is wrong with it
    return operation is not None and operation.operation is OperationType.SUBSCRIPTION


async def _until(
    stream: AsyncGenerator[str, None], seconds: float, endings: Sequence[Callable[[], Awaitable[None]]]
) -> AsyncGenerator[str, None]:
    """The stream until its time is up or one of the ``endings`` comes; however it ends, what feeds it ends, too."""

    async def following() -> str | None:
        return await anext(stream, None)

    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    over = {asyncio.ensure_future(ending()) for ending in endings}
    piece = asyncio.create_task(following())
    try:
        while True:
            await asyncio.wait({piece, *over}, timeout=end - loop.time(), return_when=asyncio.FIRST_COMPLETED)
            if not piece.done() or any(ending.done() for ending in over) or (text := piece.result()) is None:
                return
            yield text
            piece = asyncio.create_task(following())
    finally:
        for task in (piece, *over):
            task.cancel()
        await asyncio.wait({piece, *over})  # a generator that still runs cannot be closed
        await stream.aclose()
