"""The composition root: builds every part once and opens them in order."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route, WebSocketRoute
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from domain.connector import EndpointPolicy
from graph.context import Services
from graph.endpoint import Door, Endpoint
from graph.feed import Feeds
from graph.http import header
from graph.panels import Panels
from graph.schema import build_schema
from inbox import smtp
from inbox.http import InboundEmailDoor
from inbox.limits import DoorLimits
from inbox.parse import Parser
from inbox.receive import Reception
from lookups.client import LookupClient
from lookups.guard import Guard, look_up
from lookups.lanes import Lanes
from lookups.queue import Queue
from lookups.request import Dispatch
from lookups.runner import Runner
from lookups.sweeper import Sweeper
from lookups.updates import Updates
from server.clock import utc_now
from server.console import console_routes
from server.database import bring_up_to_date, open_database
from server.health import Health
from server.listen import MailDoor, mail_address
from server.metrics import Metrics
from server.retention import Ages, Retention
from server.settings import PREFIX, WrongSetting
from server.tokens import open_tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from lookups.guard import Resolved
    from server.settings import Settings


_GRAPHQL: Final = "/graphql"
_PATIENCE_WITH_WORKERS = timedelta(seconds=10)
_log = structlog.get_logger(__name__)


class Parts:
    """Everything that runs in one process; building does no I/O, ``serving`` or ``working`` opens it."""

    def __init__(
        self,
        settings: Settings,
        *,
        patience: timedelta = timedelta(seconds=6),
        spread: timedelta = timedelta(seconds=5),
        names: Callable[[str], Resolved] = look_up,
    ) -> None:
        """``patience`` is for readers of the API that take nothing; those who watch leave within ``spread`` at the end.

        ``names`` resolves the hosts of endpoints, blocking.
        """
        self.settings = settings
        self.limits = settings.limits()
        self.spread = spread
        self._patience = patience
        self.database = open_database(settings)
        check_redis_address(settings)
        self.tokens = open_tokens(settings, self.database)
        self.updates = Updates(settings.redis_url)
        self.metrics = Metrics(self.database, lambda: self.updates.counts)
        self.guard = Guard(allowed_networks=settings.lookup_allowed_networks)
        self.client = LookupClient(self.guard, ca_file=settings.lookup_ca_file, names=names)
        self.runner = Runner(
            self.database,
            self.client,
            self.updates,
            now=utc_now,
            observe=self.metrics.lookup_ended,
            plain_http=not settings.production,
        )
        self.lanes = Lanes(self.runner)
        self.queue = Queue(self.lanes, settings.redis_url, lost=self.metrics.rings_lost.inc)
        self.health = Health(self.database, queue=self.queue.reachable, updates=lambda: self.updates.connected)
        self.dispatch = Dispatch(self.queue, self.updates)
        self.parser = Parser(authserv_id=settings.authserv_id)
        self.reception = Reception(
            self.database, self.dispatch, per_sender_and_hour=settings.mails_per_sender_and_hour, now=utc_now
        )
        self.retention = Retention(self.database, ages(settings), now=utc_now)
        self.mail_address: str | None = None
        self._mail: smtp.Door | None = None
        self.stopping = asyncio.Event()

    async def migrate(self) -> None:
        """See to the database's schema and let go of it; raises what ``bring_up_to_date`` raises."""
        try:
            await bring_up_to_date(self.settings, self.database)
        finally:
            await self.database.close()

    @asynccontextmanager
    async def serving(self, mail: MailDoor | None) -> AsyncIterator[None]:
        """Take mail and answer; with Redis, lookups are left to the workers as long as they come to them."""
        patience = _PATIENCE_WITH_WORKERS if self.settings.redis_url else timedelta(0)
        async with self._looking_up(patience), AsyncExitStack() as stack:
            await self.tokens.revocations.refresh()
            stack.push_async_callback(_cancel, asyncio.create_task(self.tokens.revocations.run()))
            stack.push_async_callback(_cancel, asyncio.create_task(self.retention.run()))
            await stack.enter_async_context(self.parser)
            if mail is not None:
                listener = mail.open()
                self.mail_address = mail_address(listener, lmtp=mail.lmtp)
                self._mail = await smtp.listen(
                    self.parser, self.reception, listener=listener, lmtp=mail.lmtp, limits=mail_limits(self.settings)
                )
                stack.push_async_callback(self._mail.close)
            stack.callback(self._stop)
            yield

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Run lookups for every process over the same database and Redis."""
        async with self._looking_up(timedelta(0)), self.queue.listening():
            try:
                yield
            finally:
                self._stop()

    @asynccontextmanager
    async def _looking_up(self, patience: timedelta) -> AsyncIterator[None]:
        """Open from the inside out, close from the outside in."""
        sweeper = Sweeper(self.database, self.lanes, self.runner, now=utc_now, patience=patience)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.database.close)
            await bring_up_to_date(self.settings, self.database)
            await stack.enter_async_context(self.client)
            await self.updates.open()
            stack.push_async_callback(self.updates.close)
            await self.queue.open()
            stack.push_async_callback(self.queue.close)
            self.lanes.open(patience=patience)
            stack.push_async_callback(self.lanes.close)
            stack.push_async_callback(_cancel, asyncio.create_task(sweeper.run()))
            yield

    async def take_no_more_mail(self) -> None:
        """Close the mail door; returns when every dialogue has ended."""
        if self._mail is not None:
            await self._mail.close()

    def _stop(self) -> None:
        self.health.stopping = True

    def linger(self) -> float:
        """How many seconds after the word to stop the next reader is let go: at random, so that not all return at once."""
        return random.uniform(0, self.spread.total_seconds())  # noqa: S311 - spreads load, guards nothing

    def endpoint(self) -> Endpoint:
        """GraphQL over what has been built."""
        panels = Panels(self.settings.help_url)
        services = Services(
            database=self.database,
            updates=self.updates,
            feeds=Feeds(self.database, self.updates, panels),
            dispatch=self.dispatch,
            runner=self.runner,
            endpoint_policy=EndpointPolicy(plain_http=not self.settings.production, address_allowed=self.guard.allows),
            panels=panels,
            help_url=self.settings.help_url,
            now=utc_now,
        )
        door = Door(
            authenticate=self.tokens.authenticate,
            revoked=self.tokens.revocations.wait_for,
            allowed_origins=self.settings.allowed_origins,
            socket_opened=self.metrics.sockets.inc,
            socket_closed=self.metrics.sockets.dec,
            executed=self.metrics.operation_executed,
            patience=self._patience,
            stopping=self.stopping,
            linger=self.linger,
            limits=self.limits,
        )
        return Endpoint(
            build_schema(self.limits, production=self.settings.production, compiled=self.settings.compiled), services, door
        )


class App(Starlette):
    """The ASGI application; what is asked most has a short way: the layers of the usual one cost more than to read a ticket.

    For a socket they would hold some 4 KiB as long as it lives.
    """

    def __init__(self, graphql: ASGIApp, *, allow_origins: Sequence[str], **options: Any) -> None:  # noqa: ANN401 - starlette's
        cors: dict[str, Any] = {
            "allow_origins": allow_origins,
            "allow_methods": ["POST"],
            "allow_headers": ["Authorization", "Content-Type"],
            "expose_headers": ["X-Request-Id"],
        }
        super().__init__(
            middleware=[Middleware(ProxyHeadersMiddleware, trusted_hosts="*"), Middleware(CORSMiddleware, **cors)], **options
        )
        self._graphql = graphql
        self._graphql_for_pages = CORSMiddleware(graphql, **cors)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, one socket, or the whole life of the application."""
        if scope["type"] == "lifespan" or scope["path"] != _GRAPHQL:
            await super().__call__(scope, receive, send)
        elif scope["type"] == "http" and header(scope, b"origin") is not None:  # from a page of a browser
            await self._graphql_for_pages(scope, receive, send)
        else:
            await self._graphql(scope, receive, send)


def create_app(parts: Parts, mail: MailDoor | None = None) -> Starlette:
    """The ASGI application; with ``mail`` it takes mail as long as it lives."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with parts.serving(mail):
            yield

    endpoint = parts.endpoint()
    return App(
        endpoint,
        allow_origins=parts.settings.allowed_origins,
        routes=[
            Route(_GRAPHQL, endpoint),
            WebSocketRoute(_GRAPHQL, endpoint),
            Route(
                "/inbound/email",
                InboundEmailDoor(parts.parser, parts.reception, parts.tokens.authenticate).answer,
                methods=["POST"],
            ),
            *_probes(parts),
            *console_routes(),
        ],
        lifespan=lifespan,
    )


def create_worker_app(parts: Parts) -> Starlette:
    """The ASGI application of a process that runs lookups as long as it lives, and is only looked after."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with parts.working():
            yield

    return Starlette(routes=_probes(parts), lifespan=lifespan)


def _probes(parts: Parts) -> list[Route]:
    return [
        Route("/healthz", parts.health.alive),
        Route("/readyz", parts.health.ready),
        Route("/metrics", parts.metrics.show),
    ]


def mail_limits(settings: Settings) -> DoorLimits:
    """What a mail server may take of the door, as far as the operator decides it."""
    return DoorLimits(connections=settings.mail_connections, connections_per_client=settings.mail_connections_per_client)


def check_redis_address(settings: Settings) -> None:
    """Raise WrongSetting where no connection can be made as the address of Redis says; Redis itself may be away."""
    if settings.redis_url is None:
        return
    from lookups.carrier import check_address  # noqa: PLC0415 - a process without Redis does without the megabytes of its client

    try:
        check_address(settings.redis_url)
    except ValueError as error:
        raise WrongSetting(f"{PREFIX}REDIS_URL: {error}") from None


def ages(settings: Settings) -> Ages:
    """How old the settings let things become."""

    def days(count: int | None) -> timedelta | None:
        return None if count is None else timedelta(days=count)

    return Ages(log=days(settings.log_retention_days), raw_mail=days(settings.raw_mail_retention_days))


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
