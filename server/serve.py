"""Serving: sockets first, so that a port that is taken is one clear line, then everything behind them."""

from __future__ import annotations

import asyncio
import errno
import resource
import signal
import socket
from typing import TYPE_CHECKING

import structlog
import uvicorn
import uvloop

from server.app import create_app, name_of
from server.settings import WrongSetting

if TYPE_CHECKING:
    from types import FrameType

    from server.app import MailDoor, Parts

_FINISHING_SECONDS = 4  # longer than a lookup, and with all that follows within the 10 s that Docker waits
_MAX_FRAME = 1024 * 1024
_log = structlog.get_logger(__name__)


class Server(uvicorn.Server):
    """uvicorn with our application behind a socket that is open already."""

    def __init__(self, parts: Parts, listener: socket.socket, mail: MailDoor | None) -> None:
        super().__init__(
            uvicorn.Config(
                create_app(parts, mail),
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                ws_max_size=_MAX_FRAME,
                ws_per_message_deflate=False,
                timeout_graceful_shutdown=_FINISHING_SECONDS,
            )
        )
        self._listener = listener
        self._parts = parts

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say where."""
        await super().startup(sockets)
        _log.info("serving", api=f"http://{name_of(self._listener)}/graphql", mail=self._parts.mail_address)

    async def run_until_stopped(self) -> None:
        """Serve until SIGTERM, SIGINT or ``should_exit``."""
        await super().serve(sockets=[self._listener])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let go of event streams first: uvicorn would wait for them until its patience ends."""
        self._parts.stopping.set()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn passes it
        """End as asked, which is no failure: uvicorn would raise the signal again afterwards. A second Ctrl-C does not wait."""
        self._parts.health.stopping = True
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def listen(host: str, port: int, *, option: str = "--port") -> socket.socket:
    """A listening socket; raises WrongSetting in one line when it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        reason = f"is in use; choose another with {option}" if taken else f"cannot be listened on: {error.strerror or error}"
        message = f"port {port} on {host} {reason}"
        raise WrongSetting(message) from None


def _allow_many_sockets() -> None:
    """Raise the soft limit on open files to the hard one: a socket is a file, and a thousand agents are not many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def serve(parts: Parts, *, host: str, port: int, mail: MailDoor) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    _allow_many_sockets()
    with listen(host, port) as listener:
        listen(mail.host, mail.port, option="--smtp-port").close()  # the door itself opens after the database
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(parts.migrate())  # what is wrong with the database is one clear line, too
            runner.run(Server(parts, listener, mail).run_until_stopped())
