"""One of several processes that serve behind the same sockets; server/supervisor.py starts it, and it ends with that."""

from __future__ import annotations

import asyncio
import socket
import sys

import uvloop

from domain.errors import DomainError
from persistence.database import DatabaseAway
from server.app import Parts
from server.link import Link
from server.listen import MailDoor
from server.logs import set_up_logs
from server.serve import HARD_STOP, Server, allow_many_sockets, spare_what_lasts
from server.settings import WrongSetting, load_settings

_ADDING_SECONDS = 3


def main() -> None:
    """Serve behind the sockets that were handed down: those of the API, of mail, and the line to the parent."""
    api, mail, line = sockets = [socket.socket(fileno=int(number)) for number in sys.argv[1:4]]
    for each in sockets:
        each.set_inheritable(False)  # a process started from here would keep the ports open
    allow_many_sockets()
    with api, mail, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(_serve(api, MailDoor(lmtp=sys.argv[4] == "lmtp", listener=mail), line)))


async def _serve(api: socket.socket, mail: MailDoor, line: socket.socket) -> int:
    link = await Link.over(line)
    try:
        parts = await _built()
    except (WrongSetting, DomainError) as error:
        link.say("failed", str(error))
        code = 1
    except DatabaseAway as error:
        link.say("failed", f"the database cannot be used: {str(error).splitlines()[0]}")
        code = 1
    else:
        await _Child(parts, api, mail, link).serve()
        code = 0
    await link.close()
    return code


async def _built() -> Parts:
    settings = load_settings()
    set_up_logs(settings.log_level, production=settings.production)
    parts = Parts(settings)
    await parts.migrate()
    return parts


class _Child:
    """A server and its line to the parent."""

    def __init__(self, parts: Parts, api: socket.socket, mail: MailDoor, link: Link) -> None:
        self._metrics = parts.metrics
        self._link = link
        self._server = Server(parts, api, mail, ready=lambda: link.say("ready"), hard_stop=HARD_STOP)
        self._total: asyncio.Future[str] | None = None
        parts.metrics.added_up = self._added_up

    async def serve(self) -> None:
        """Serve until told to stop or the parent is gone, and leave the numbers behind."""
        spare_what_lasts()
        listening = asyncio.create_task(self._listen())
        await self._server.run_until_stopped()
        listening.cancel()
        self._link.say("numbers", self._metrics.own())

    async def _listen(self) -> None:
        async for what, text in self._link.heard():
            if what == "numbers?":
                self._link.say("numbers", self._metrics.own())
            elif self._total is not None and not self._total.done():
                self._total.set_result(text)
        self._server.stop()

    async def _added_up(self, own: str) -> str:
        """The numbers of all processes; raises TimeoutError when the parent does not say."""
        if self._total is None or self._total.done():
            self._total = asyncio.get_running_loop().create_future()
            self._link.say("total?", own)
        async with asyncio.timeout(_ADDING_SECONDS):
            return await asyncio.shield(self._total)


if __name__ == "__main__":
    main()
