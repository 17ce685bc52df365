"""Running lookups in a process of its own, which takes no mail and answers nobody but the probes."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import TYPE_CHECKING

import structlog
import uvloop

from server.app import create_worker_app
from server.listen import listen
from server.serve import HARD_STOP, Server, allow_many_sockets, spare_what_lasts

if TYPE_CHECKING:
    from server.app import Parts

_log = structlog.get_logger(__name__)


def work(parts: Parts, *, host: str, port: int | None) -> None:
    """Run lookups until SIGTERM or Ctrl-C; with a port, /healthz, /readyz and /metrics are served there."""
    allow_many_sockets()
    with (
        nullcontext() if port is None else listen(host, port) as listener,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(parts.migrate())  # what is wrong with the database is one clear line
        server = Server(
            parts, listener, None, app=create_worker_app(parts), ready=lambda: _log.info("working"), hard_stop=HARD_STOP
        )
        spare_what_lasts()
        runner.run(server.run_until_stopped())
