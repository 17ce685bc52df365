"""Several processes behind one pair of sockets: what happens when one of them, or all, are ended or killed."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import time
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.stage.crm import FOUND
from tests.stage.front_end import NO_TLS
from tests.stage.helpdesk import LIST
from tests.stage.served import open_desk
from tests.stage.shell import Shell, Terminal
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from websockets.asyncio.client import ClientConnection

    from tests.stage.crm import Crm
    from tests.stage.process import Serving
    from tests.stage.served import Desk

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the processes are found in /proc")

PROMISED_SECONDS = 20.0


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


async def _answers(served: Serving) -> bool:
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS, timeout=10) as client:
        return (await client.get(f"{served.base_url}/healthz")).status_code == 200


async def _numbers(served: Serving) -> dict[str, float]:
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS, timeout=10) as client:
        answer = await client.get(f"{served.base_url}/metrics")
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.text)
    samples = [sample for family in families for sample in family.samples]
    return {sample.name + "".join(value for _, value in sorted(sample.labels.items())): sample.value for sample in samples}


async def _greeting(served: Serving) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.mail_port)
    try:
        async with asyncio.timeout(10):
            return await reader.readline()
    finally:
        writer.close()


@contextmanager
def _stopped(process: int) -> Iterator[None]:
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


async def _replaced(served: Serving, gone: set[int], *, number: int = 2) -> list[int]:
    """The children once there are as many as before and none of those that are gone, every look being answered."""

    async def look() -> list[int] | None:
        assert await _answers(served)
        children = served.children()
        return children if len(children) == number and gone.isdisjoint(children) else None

    return await eventually(look, within=30)


async def test_every_process_answers_takes_mail_and_tells_the_numbers_of_all(shell: Shell) -> None:
    async with open_desk(shell, workers=2) as desk, AsyncExitStack() as stack:
        served = desk.served
        first, second = served.children()
        for other in (first, second):
            with _stopped(other):
                await stack.enter_async_context(desk.front_end.signed_in())
                assert (await _greeting(served)).startswith(b"220")
                assert await _answers(served)

        numbers = await _numbers(served)

        assert numbers["disqua_sockets"] == 2
        assert numbers["disqua_database_up"] == 1
        assert served.log.read_text().count("serving") == 1


async def test_a_process_that_is_killed_is_replaced_and_what_it_counted_stays(shell: Shell, crm: Crm) -> None:
    async with open_desk(shell, workers=2) as desk:
        assert await desk.try_out(await desk.connect(crm.url())) == "NOT_FOUND"
        before = await _numbers(desk.served)
        for child in desk.served.children():
            os.kill(child, signal.SIGKILL)
            await _replaced(desk.served, {child})
        after = await _numbers(desk.served)

        assert before["disqua_lookups_totalNOT_FOUNDTEST"] == 1
        assert after["disqua_lookups_totalNOT_FOUNDTEST"] == 1
        assert desk.served.log.read_text().count("a child process ended") == 2


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """A Python with the product, to be taken away for a while."""
    (venv := tmp_path / "venv").mkdir()
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", venv)
    (venv / "lib").symlink_to(Path(sys.prefix) / "lib")
    (venv / "bin").mkdir()
    (program := venv / "bin" / "disqua").write_text(f"#!{venv}/bin/python\nfrom server.cli import main\nmain()\n")
    program.chmod(0o700)
    (python := venv / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    return python


async def test_a_process_that_cannot_be_replaced_at_once_is_replaced_later(shell: Shell, python: Path) -> None:
    async with open_desk(shell, workers=2, program=python.with_name("disqua")) as desk:
        served = desk.served
        python.rename(python.with_suffix(".away"))
        other, child = sorted(served.children())
        os.kill(child, signal.SIGKILL)
        await _logged(served, "no child process can be started")
        served.process.send_signal(signal.SIGHUP)  # which waits for no place but the one that it changes
        await _logged(served, "the old ones go on")
        assert served.children() == [other]

        python.with_suffix(".away").rename(python)
        await _replaced(served, {child})


async def _logged(served: Serving, words: str) -> None:
    async def look() -> bool:
        return words in served.log.read_text()

    await eventually(look)


async def test_a_hangup_replaces_every_process_and_refuses_nobody(shell: Shell) -> None:
    async with open_desk(shell, workers=2) as desk:
        before = set(desk.served.children())

        desk.served.process.send_signal(signal.SIGHUP)
        await _replaced(desk.served, before)

        assert await desk.stop() < PROMISED_SECONDS


async def test_when_the_parent_is_killed_nothing_is_left_behind(shell: Shell) -> None:
    async with open_desk(shell, workers=2) as desk:
        children = desk.served.children()
        await desk.served.kill()

        async def all_gone() -> bool:
            return not any(_exists(child) for child in children)

        assert len(children) == 2
        assert await eventually(all_gone, within=PROMISED_SECONDS)


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.timed
async def test_at_the_end_sockets_leave_one_by_one_and_mail_and_requests_under_way_are_finished(shell: Shell, crm: Crm) -> None:
    crm.answers["/lookup"] = FOUND
    release = crm.hang()
    async with open_desk(shell, workers=2) as desk, AsyncExitStack() as stack:
        trial = asyncio.create_task(desk.try_out(await desk.connect(crm.url())))
        await eventually(lambda: _asked(crm))
        sockets = [await stack.enter_async_context(desk.front_end.signed_in()) for _ in range(30)]
        closings = [asyncio.create_task(_closed(socket)) for socket in sockets]
        reader, writer = await asyncio.open_connection("127.0.0.1", desk.served.mail_port)
        stack.callback(writer.close)
        writer.write(b"EHLO x\r\nMAIL FROM:<eva@firma.cz>\r\nRCPT TO:<support@acme.example>\r\nDATA\r\n")
        await reader.readuntil(b"354 ")
        stopping = asyncio.create_task(desk.stop())
        await eventually(lambda: _refused(desk))
        writer.write(b"From: eva@firma.cz\r\n\r\nHello\r\n.\r\nQUIT\r\n")
        release.set()
        answers = await reader.read()

        assert await trial == "FOUND"
        assert await stopping < PROMISED_SECONDS

        codes, moments = zip(*[await closing for closing in closings], strict=True)
        assert set(codes) == {1012}
        assert max(moments) - min(moments) > 2
        assert b"\r\n250 2.0.0 Stored" in answers
        assert "Traceback" not in desk.served.log.read_text()

    async with open_desk(shell) as desk:
        tickets = (await desk.front_end.ask(LIST))["tickets"]["nodes"]
    assert [ticket["requester"]["email"] for ticket in tickets] == ["eva@firma.cz"]


async def _asked(crm: Crm) -> bool:
    return bool(crm.requests)


async def _refused(desk: Desk) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", desk.served.port)
    except ConnectionError:  # refused, or reset in the moment when it closes
        return True
    writer.close()
    return False


async def _closed(socket: ClientConnection) -> tuple[int | None, float]:
    await socket.wait_closed()
    return socket.close_code, time.monotonic()


def test_when_no_process_can_start_one_line_says_why(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal.data_dir.mkdir()
    (terminal.data_dir / "token.key").write_text("short\n")
    options = ("serve", "--workers", "3", "--port", "0", "--smtp-port", "0")

    line = terminal.refuses(*options, REDIS_URL="redis://127.0.0.1:1")

    assert "token.key is damaged" in line
