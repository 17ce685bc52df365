"""What the probes are told: alive while the loop turns, ready while mail and queries are served."""

from __future__ import annotations

import asyncio
import signal
import socket
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import httpx

from server.app import Parts, create_app
from server.serve import Server
from server.settings import load_settings
from tests.stage.front_end import NO_TLS
from tests.stage.helpdesk import open_helpdesk

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stage.helpdesk import Helpdesk

AWAY = {"status": "unavailable", "database": "away", "queue": "ok", "updates": "ok"}


async def get(helpdesk: Helpdesk, path: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client:
        return await client.get(f"{helpdesk.base_url}{path}", timeout=10)


async def test_a_process_that_serves_is_alive_and_ready(helpdesk: Helpdesk) -> None:
    alive, ready = await get(helpdesk, "/healthz"), await get(helpdesk, "/readyz")

    assert (alive.status_code, alive.text) == (200, "alive\n")
    assert ready.status_code == 200
    assert ready.headers["content-type"] == "application/json"
    assert ready.json() == {"status": "ok", "database": "ok", "queue": "ok", "updates": "ok"}


async def test_without_its_database_it_is_alive_and_not_ready_until_the_database_is_back(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with open_helpdesk(data_dir) as helpdesk:
        await helpdesk.parts.database.close()
        data_dir.rename(tmp_path / "elsewhere")
        alive, away = await get(helpdesk, "/healthz"), await get(helpdesk, "/readyz")
        (tmp_path / "elsewhere").rename(data_dir)
        back = await get(helpdesk, "/readyz")

    assert alive.status_code == 200
    assert (away.status_code, away.json()) == (503, AWAY)
    assert back.status_code == 200


async def test_a_file_that_is_no_database_any_more_is_not_ready(tmp_path: Path) -> None:
    async with open_helpdesk(tmp_path / "data") as helpdesk:
        await helpdesk.parts.database.close()
        for file in (tmp_path / "data").glob("disqua.sqlite3*"):
            file.write_bytes(b"This is no database. " * 1000)

        away = await get(helpdesk, "/readyz")

    assert (away.status_code, away.json()) == (503, AWAY)


async def test_a_database_that_does_not_answer_in_time_is_not_ready(helpdesk: Helpdesk) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(15):  # as many connections as there are
            await stack.enter_async_context(helpdesk.parts.database.operator_reading())
        async with asyncio.timeout(5):
            away = await get(helpdesk, "/readyz")

    assert (away.status_code, away.json()) == (503, AWAY)


async def test_from_the_moment_it_is_told_to_stop_it_is_not_ready(tmp_path: Path) -> None:
    parts = Parts(load_settings(_env_file=None, data_dir=tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(parts, listener, None)
        transport = httpx.ASGITransport(create_app(parts))
        async with parts.serving(None), httpx.AsyncClient(transport=transport, base_url="http://disqua") as client:
            before = await client.get("/readyz")
            server.handle_exit(signal.SIGTERM, None)
            after = await client.get("/readyz")

    assert before.status_code == 200
    assert after.status_code == 503
    assert after.json() == {"status": "unavailable", "database": "ok", "queue": "stopping", "updates": "stopping"}
