"""A thousand agents on one token are an honest client: none is refused, and all of them hear."""

from __future__ import annotations

import asyncio
import json
import resource
import smtplib
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.stage.front_end import FrontEnd, receive, send
from tests.stage.helpdesk import SUPPORT, message
from tests.stage.process import disqua, free_port, serving
from tests.stage.waiting import in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from websockets.asyncio.client import ClientConnection

pytestmark = pytest.mark.timed

SOCKETS = 1000
AT_ONCE = 50
PAUSE = 15
"""Seconds between mails: a busy machine needs some to serve a thousand frames, and more mail meanwhile only adds to them."""


@pytest.fixture
def many_files() -> Iterator[None]:
    """As many open files as the machine allows."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("many_files")
async def test_a_thousand_sockets_on_one_token_are_served(tmp_path: Path) -> None:
    data_dir, port, mail_port = tmp_path / "data", free_port(), free_port()
    workspace = await disqua("workspace", "create", "Disqua", "--address", SUPPORT, data_dir=data_dir)
    token = await disqua("token", "--workspace", workspace, "--role", "agent", data_dir=data_dir)
    front_end = FrontEnd(f"http://127.0.0.1:{port}", token)
    places = asyncio.Semaphore(AT_ONCE)

    async with serving(data_dir, port=port, mail_port=mail_port), AsyncExitStack() as stack:

        async def watch() -> ClientConnection:
            async with places:
                socket = await stack.enter_async_context(front_end.signed_in(open_timeout=60, ping_interval=None))
                await send(socket, id="1", type="subscribe", payload={"query": "subscription { ticketOpened { subject } }"})
                await send(socket, type="ping")
                assert (await receive(socket))["type"] == "pong"
                return socket

        sockets = await asyncio.gather(*(watch() for _ in range(SOCKETS)))
        hearing = asyncio.gather(*(hear(socket) for socket in sockets))
        while not hearing.done():  # a subscription begins some time after it was asked for: mail again for the late ones
            await in_thread(deliver, mail_port)
            await asyncio.wait([hearing], timeout=PAUSE)
        heard: list[Any] = await hearing

    assert {frame["payload"]["data"]["ticketOpened"]["subject"] for frame in heard} == {"To all"}
    assert len(heard) == SOCKETS


async def hear(socket: ClientConnection) -> Any:  # noqa: ANN401 - a protocol message
    """The next message, however long it takes: that all are served is promised here, not when."""
    async with asyncio.timeout(120):
        return json.loads(await socket.recv())


def deliver(mail_port: int) -> None:
    with smtplib.SMTP("127.0.0.1", mail_port, timeout=30) as connection:
        connection.sendmail(
            "jan@firma.cz", [SUPPORT], message(From="jan@firma.cz", Subject="To all", Message_ID=f"<{uuid4()}@firma.cz>")
        )
