"""Serving in one process: sockets first, so that a port that is taken is one clear line, then everything behind them."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog
import uvicorn
import uvloop
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState

from server.app import create_app
from server.http import HTTPProtocol
from server.listen import listen, name_of
from server.socket import SocketProtocol

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType

    from starlette.applications import Starlette

    from server.app import Parts
    from server.listen import MailDoor

HARD_STOP: Final = timedelta(seconds=18)
"""The end comes so long after the word to stop, whatever still runs; those who asked for it wait for 20 s."""

_FINISHING_SECONDS = 4  # longer than a lookup
_FLUSHING_SECONDS = 1
_LOOK_AGAIN_SECONDS = 0.05
_YOUNG_OBJECTS: Final = 5_000
_LAST_ANSWER = (b"connection", b"close")
_log = structlog.get_logger(__name__)


class Server(uvicorn.Server):
    """uvicorn with our application behind a socket that is open already, or without any."""

    def __init__(
        self,
        parts: Parts,
        listener: socket.socket | None,
        mail: MailDoor | None,
        *,
        app: Starlette | None = None,
        ready: Callable[[], None] | None = None,
        hard_stop: timedelta | None = None,
    ) -> None:
        """``ready`` is called when it serves, instead of a line in the log; after ``hard_stop`` the process ends by force."""
        super().__init__(
            uvicorn.Config(
                app or create_app(parts, mail),
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # only a redirect needs them: the application reads them for its pages
                ws_max_size=parts.limits.frame_bytes,
                ws_per_message_deflate=False,
                http=HTTPProtocol,
                ws=SocketProtocol,
                timeout_graceful_shutdown=_FLUSHING_SECONDS,
            )
        )
        self._listener = listener
        self._parts = parts
        self._ready = ready or self._say_where
        self._hard_stop = hard_stop
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self._ready()

    async def run_until_stopped(self) -> None:
        """Serve until SIGTERM, SIGINT or ``should_exit``."""
        await super().serve(sockets=[self._listener] if self._listener else [])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take nothing new, let those who watch go one by one, wait for answers under way; then end as uvicorn does."""
        self._take_nothing_new()
        self._parts.stopping.set()
        farewells = [asyncio.create_task(farewell) for farewell in (self._parts.take_no_more_mail(), self._let_everyone_go())]
        while not self.force_exit and not all(farewell.done() for farewell in farewells):  # noqa: ASYNC110 - as uvicorn waits
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        for farewell in farewells:
            farewell.cancel()
        await asyncio.gather(*farewells, return_exceptions=True)
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn passes it
        """End as asked, which is no failure: uvicorn would raise the signal again afterwards. A second Ctrl-C does not wait."""
        self._parts.health.stopping = True
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.stop()

    def stop(self) -> None:
        """Begin to end."""
        if self._hard_stop is not None and not self.should_exit:
            last_resort = threading.Timer(self._hard_stop.total_seconds(), _end_by_force)
            last_resort.daemon = True
            last_resort.start()
        self.should_exit = True
        if self._loop is not None and self.started:
            self._loop.call_soon_threadsafe(self._take_nothing_new)

    def _take_nothing_new(self) -> None:
        """Leave the listening socket at once: others may wait at it, too, and who comes now is theirs."""
        self._parts.health.stopping = True
        for server in self.servers:
            server.close()
        self._ask_to_come_on_another_connection()

    def _say_where(self) -> None:
        if self._listener is not None:
            say_where(self._listener, self._parts.mail_address)

    def _ask_to_come_on_another_connection(self) -> None:
        """Requests on open connections are answered to the end; a proxy that reads this sends the next one elsewhere."""
        others = [header for header in self.server_state.default_headers if header != _LAST_ANSWER]
        self.server_state.default_headers = [*others, _LAST_ANSWER]

    async def _let_everyone_go(self) -> None:
        """Close each WebSocket at a moment of its own, for thousands of front ends would return at once; finish the requests."""
        loop = asyncio.get_running_loop()
        state = self.server_state
        sockets = {one for one in state.connections if isinstance(one, WebSocketsSansIOProtocol)}
        partings = [loop.call_later(self._parts.linger(), self._part_from, one) for one in sockets]
        try:
            await _wait_while(lambda: bool(state.tasks), self._parts.spread.total_seconds() + _FINISHING_SECONDS)
            await _wait_while(lambda: not state.connections.isdisjoint(sockets), _FLUSHING_SECONDS)
        finally:
            for parting in partings:
                parting.cancel()
            for one in state.connections & sockets:
                one.transport.abort()  # it takes nothing, not even the word that it is over

    def _part_from(self, connection: WebSocketsSansIOProtocol) -> None:
        with suppress(InvalidState):  # it is leaving already
            if connection in self.server_state.connections:
                connection.shutdown()


async def _wait_while(condition: Callable[[], bool], seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while condition():  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)


def _end_by_force() -> None:
    _log.warning("not everything ended in time; ended by force")
    os._exit(0)


def say_where(listener: socket.socket, mail: str | None) -> None:
    """The line of the log that scripts wait for."""
    _log.info("serving", api=f"http://{name_of(listener)}/graphql", mail=mail)


def allow_many_sockets() -> None:
    """Raise the soft limit on open files to the hard one: a socket is a file, and a thousand agents are not many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def spare_what_lasts() -> None:
    """Keep the garbage collector from all that is there now: to go through it holds everybody up for 100 ms and more.

    Of what comes later most is gone before five thousand objects are there, so that little is looked at twice.
    """
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, *gc.get_threshold()[1:])


def serve(parts: Parts, *, host: str, port: int, mail: MailDoor) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    allow_many_sockets()
    with (
        listen(host, port) as listener,
        mail.open() as mail_listener,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(parts.migrate())  # what is wrong with the database is one clear line, too
        server = Server(parts, listener, replace(mail, listener=mail_listener), hard_stop=HARD_STOP)
        spare_what_lasts()
        runner.run(server.run_until_stopped())
