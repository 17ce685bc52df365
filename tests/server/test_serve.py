"""`disqua serve`: how it starts, and how it ends."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.stage.crm import FOUND
from tests.stage.front_end import NO_TLS, receive, send
from tests.stage.helpdesk import LIST, WATCH, open_helpdesk
from tests.stage.served import open_desk
from tests.stage.waiting import eventually, in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from websockets.asyncio.client import ClientConnection

    from tests.stage.crm import Crm
    from tests.stage.helpdesk import Helpdesk
    from tests.stage.served import Desk
    from tests.stage.shell import Shell, Terminal

A_FEW_SECONDS = 15.0
HANGING = """
import socket, time
from datetime import timedelta
from server.app import Parts
from server.serve import Server
from server.settings import load_settings
with socket.create_server(("127.0.0.1", 0)) as listener:
    server = Server(Parts(load_settings(_env_file=None)), listener, None, hard_stop=timedelta(seconds=0.1))
    server.stop()
    time.sleep(60)
"""
TEST_CONNECTOR = 'mutation ($id: ID!) { testConnector(id: $id, email: "jan@firma.cz") { __typename } }'


# The start


def test_what_is_there_when_serving_begins_is_never_looked_through_for_garbage() -> None:
    script = "import gc, server.serve as s; s.spare_what_lasts(); print(gc.get_freeze_count() > 100_000 > len(gc.get_objects()))"

    told = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)

    assert told.stdout.strip() == "True"


@pytest.mark.parametrize("option", ["--port", "--smtp-port"])
def test_a_port_that_is_taken_is_one_line_that_names_its_option(terminal: Terminal, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        other = "--smtp-port" if option == "--port" else "--port"

        line = terminal.refuses("serve", option, port, other, "0")

    assert line == f"disqua: port {port} on 127.0.0.1 is in use; choose another with {option}"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--host", "192.0.2.1"), "port 0 on 192.0.2.1 cannot be listened on"),
        (("--smtp-host", "192.0.2.1"), "port 0 on 192.0.2.1 cannot be listened on"),
        (("--host", "no..host"), "port 0 on no..host cannot be listened on"),
    ],
)
def test_a_host_that_cannot_be_listened_on_is_one_line(shell: Shell, options: tuple[str, ...], reason: str) -> None:
    assert shell.refuses("serve", "--port", "0", "--smtp-port", "0", *options).startswith(f"disqua: {reason}")


async def test_it_says_where_it_serves_and_the_embedded_database_is_made_by_itself(terminal: Terminal) -> None:
    process = terminal.start("serve", "--port", "0", "--smtp-port", "0", "--lmtp")
    try:
        assert process.stderr is not None
        line = await in_thread(process.stderr.readline)
        found = re.search(r"serving .* api=http://127\.0\.0\.1:(\d+)/graphql mail=lmtp://127\.0\.0\.1:(\d+)$", line)
        assert found, line
        async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client:
            ready = await client.get(f"http://127.0.0.1:{found[1]}/readyz")
        with socket.create_connection(("127.0.0.1", int(found[2])), timeout=10) as connection:
            greeting = await in_thread(connection.recv, 512)
    finally:
        process.terminate()
        code = await in_thread(process.wait)
        process.communicate()

    assert ready.json()["status"] == "ok"
    assert greeting.startswith(b"220 ")
    assert code == 0


async def test_it_listens_on_ipv6_too(terminal: Terminal) -> None:
    process = terminal.start("serve", "--host", "::1", "--port", "0", "--smtp-host", "::1", "--smtp-port", "0")
    try:
        assert process.stderr is not None
        line = await in_thread(process.stderr.readline)
        found = re.search(r"api=http://\[::1\]:(\d+)/graphql mail=smtp://\[::1\]:(\d+)$", line)
        assert found, line
        async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client:
            ready = await client.get(f"http://[::1]:{found[1]}/readyz")
    finally:
        process.terminate()
        await in_thread(process.wait)
        process.communicate()

    assert ready.json()["status"] == "ok"


# The end


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_with_exit_code_0(shell: Shell, how: signal.Signals) -> None:
    async with open_desk(shell) as desk:
        assert await desk.stop(how) < A_FEW_SECONDS

        assert "Traceback" not in desk.served.log.read_text()


async def test_clients_that_go_away_before_they_have_read_leave_no_trace_in_the_log(shell: Shell) -> None:
    asked = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}" * 4
    async with open_desk(shell) as desk:
        for _ in range(100):
            with socket.create_connection(("127.0.0.1", desk.served.port)) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # resets when it is closed
                client.sendall(asked)
        async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client:
            assert (await client.get(f"{desk.served.base_url}/healthz")).status_code == 200

        assert "Traceback" not in desk.served.log.read_text()


async def test_open_sockets_mail_dialogues_and_lookups_do_not_hold_it_up(shell: Shell, crm: Crm) -> None:
    crm.hang()
    async with open_desk(shell) as desk, AsyncExitStack() as stack:
        await desk.connect(crm.url())
        ticket_id = await desk.mail()
        idle = await stack.enter_async_context(desk.front_end.signed_in())
        watching = await stack.enter_async_context(desk.front_end.signed_in())
        await send(watching, id="1", type="subscribe", payload={"query": WATCH, "variables": {"id": ticket_id}})
        assert (await receive(watching))["type"] == "next"
        not_signed_in = await stack.enter_async_context(desk.front_end.socket())
        silent = await stack.enter_async_context(_smtp(desk.served.mail_port))
        halfway = await stack.enter_async_context(_smtp(desk.served.mail_port, "EHLO x", "MAIL FROM:<a@b.example>"))
        assert crm.requests, "a lookup is under way"

        took = await desk.stop()

        assert took < A_FEW_SECONDS
        for websocket in (idle, watching, not_signed_in):
            await websocket.wait_closed()
            assert websocket.close_code == 1012
        for reader in (silent, halfway):
            await _rest(reader)
        assert "Traceback" not in desk.served.log.read_text()


async def test_an_event_stream_is_cut_at_the_end(shell: Shell, crm: Crm) -> None:
    async with open_desk(shell) as desk:
        await desk.connect(crm.url())
        async with _events(desk, await desk.mail()) as stream:
            assert await desk.stop() < A_FEW_SECONDS

            await stream
        assert "Traceback" not in desk.served.log.read_text()


@pytest.mark.timed
@pytest.mark.parametrize("workers", [1, 2])
async def test_a_second_ctrl_c_does_not_wait(shell: Shell, workers: int) -> None:
    async with open_desk(shell, workers=workers) as desk, AsyncExitStack() as stack:
        for _ in range(20):  # almost surely one of them would stay for four seconds
            await stack.enter_async_context(desk.front_end.signed_in())
        desk.served.process.send_signal(signal.SIGINT)
        await eventually(lambda: _refuses(desk.served.port))

        assert await desk.stop(signal.SIGINT) < 3.5


def test_what_does_not_end_is_ended_by_force_with_exit_code_0(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", HANGING], cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "ended by force" in ended.stdout


async def test_sockets_end_at_moments_of_their_own(tmp_path: Path) -> None:
    ended: list[float] = []

    async def closed(socket: ClientConnection) -> int | None:
        await socket.wait_closed()
        ended.append(time.monotonic())
        return socket.close_code

    async with AsyncExitStack() as stack:
        async with open_helpdesk(tmp_path / "data", spread=timedelta(seconds=1)) as helpdesk:
            sockets = [await stack.enter_async_context(helpdesk.agent.signed_in()) for _ in range(20)]
            closings = [asyncio.create_task(closed(one)) for one in sockets]
            helpdesk.server.stop()
            started = time.monotonic()
        codes = await asyncio.gather(*closings)

    assert set(codes) == {1012}
    quarters = {int((moment - started) * 4) for moment in ended}
    assert quarters >= {0, 1, 2, 3}


async def test_a_connection_that_is_open_still_hears_that_the_end_is_near(tmp_path: Path) -> None:
    async with (
        httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client,
        open_helpdesk(tmp_path / "data", spread=timedelta(seconds=1)) as helpdesk,
        AsyncExitStack() as stack,
    ):
        for _ in range(10):
            await stack.enter_async_context(helpdesk.agent.socket())
        before = await client.get(f"{helpdesk.base_url}/readyz")
        helpdesk.server.stop()
        await eventually(lambda: _refuses(helpdesk.port))
        after = await client.get(f"{helpdesk.base_url}/readyz")

    assert (before.status_code, before.headers.get("connection")) == (200, None)
    assert (after.status_code, after.headers.get("connection")) == (503, "close")
    assert after.json() == {"status": "unavailable", "database": "ok", "queue": "stopping", "updates": "stopping"}


async def test_a_request_under_way_is_answered(helpdesk: Helpdesk, crm: Crm) -> None:
    release = crm.hang()
    connector_id = await helpdesk.connect(crm.url())
    asking = asyncio.create_task(helpdesk.admin.ask(TEST_CONNECTOR, id=connector_id))
    await eventually(lambda: _asked(crm))
    helpdesk.server.stop()
    await eventually(lambda: _refuses(helpdesk.port))
    release.set()

    assert (await asking)["testConnector"]["__typename"] == "LookupTrial"


@asynccontextmanager
async def _smtp(port: int, *commands: str) -> AsyncIterator[asyncio.StreamReader]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert (await reader.readline()).startswith(b"220")
    for command in commands:
        writer.write(f"{command}\r\n".encode())
        while not re.match(rb"250 ", await reader.readline()):
            pass
    try:
        yield reader
    finally:
        writer.close()


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


@asynccontextmanager
async def _events(desk: Desk, ticket_id: str) -> AsyncIterator[asyncio.Task[None]]:
    """A subscription over server-sent events, its first event read."""
    first = asyncio.Event()

    async def listen() -> None:
        headers = {"Authorization": f"Bearer {desk.front_end.token}", "Accept": "text/event-stream"}
        document = {"query": WATCH, "variables": {"id": ticket_id}}
        async with (
            httpx.AsyncClient(trust_env=False, verify=NO_TLS, timeout=30) as client,
            client.stream("POST", f"{desk.served.base_url}/graphql", json=document, headers=headers) as response,
        ):
            try:
                async for line in response.aiter_lines():
                    if line.startswith("data"):
                        first.set()
            except httpx.RemoteProtocolError:
                pass  # the stream was cut

    listening = asyncio.create_task(listen())
    await first.wait()
    try:
        yield listening
    finally:
        listening.cancel()


async def test_a_lookup_under_way_is_saved_before_the_end_and_not_asked_again(shell: Shell, crm: Crm) -> None:
    crm.answers["/lookup"] = FOUND
    release = crm.hang()
    async with open_desk(shell) as desk:
        await desk.connect(crm.url())
        await desk.mail()

        await eventually(lambda: _asked(crm))
        stopping = asyncio.create_task(desk.stop())
        await eventually(lambda: _refuses(desk.served.port))
        release.set()
        await stopping

    async with open_desk(shell) as desk:
        (ticket,) = (await desk.front_end.ask(LIST))["tickets"]["nodes"]

    (panel,) = ticket["crmPanels"]
    assert (panel["status"], panel["refreshing"]) == ("FOUND", False)
    assert len(crm.requests) == 1


async def _asked(crm: Crm) -> bool:
    return bool(crm.requests)


async def _refuses(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:  # refused, or reset in the moment when it closes
        return True
    writer.close()
    return False


def test_nothing_is_left_behind_when_it_ends(terminal: Terminal, tmp_path: Path) -> None:
    process = terminal.start("serve", "--port", "0", "--smtp-port", "0")
    assert process.stderr is not None
    process.stderr.readline()
    process.terminate()
    process.communicate(timeout=30)

    assert process.returncode == 0
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["disqua.sqlite3", "encryption.keys", "token.key"]
