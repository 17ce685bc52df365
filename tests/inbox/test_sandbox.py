from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from inbox.parse import Parser
from inbox.sandbox import Sandbox
from tests.stage.process import children_of

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.timed

ROOT = Path(__file__).parents[2]
TRICKS = """
import fcntl, os, sys

held = []

def obey(question):
    match question.decode().split():
        case ["pid"]:
            return str(os.getpid())
        case ["session"]:
            return str(os.getsid(0))
        case ["spin"]:
            while True:
                pass
        case ["die"]:
            os.kill(os.getpid(), 9)
        case ["exit"]:
            sys.exit(3)
        case ["fill"]:
            return str(len(bytearray(400 << 20)))
        case ["raise"]:
            raise LookupError("no such thing")
        case ["recurse"]:
            return obey(question)
        case ["ramble"]:
            return "x" * (1 << 25)
        case ["chatter"]:
            print("to you"); print("and you", file=sys.stderr); os.write(1, b"and on")
            return "said"
        case ["half"]:
            return "\\ud83d"
        case ["hold", path, *then]:
            held.append(open(path, "w"))
            fcntl.flock(held[-1], fcntl.LOCK_EX)
            return obey(" ".join(then).encode())
        case words:
            return " ".join(words)
"""


@pytest.fixture
def obey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a function that does what a hostile mail might make a parser do."""
    (tmp_path / "tricks_of_a_mail.py").write_text(TRICKS)
    monkeypatch.syspath_prepend(tmp_path)
    return "tricks_of_a_mail:obey"


async def test_a_question_is_answered_from_its_parts(obey: str) -> None:
    async with Sandbox(obey, children=1) as sandbox:
        assert await sandbox.run(b"good ", b"day") == "good day"
        assert await sandbox.run() == ""
        assert await sandbox.run(b" " * 25_000_000, b"x" * 1_000_000) == "x" * 1_000_000


async def test_one_that_spins_keeps_no_other_question_waiting(obey: str, tmp_path: Path) -> None:
    async with Sandbox(obey, children=2, limit=timedelta(seconds=2)) as sandbox:
        spinning = asyncio.create_task(sandbox.run(f"hold {tmp_path / 'busy'} spin".encode()))
        await _until(lambda: _is_held(tmp_path / "busy"))

        answers = [await sandbox.run(b"good day") for _ in range(100)]

        assert answers == ["good day"] * 100
        assert not spinning.done()
        assert await spinning is None


@pytest.mark.parametrize("trick", ["spin", "die", "exit", "raise", "recurse", "ramble"])
async def test_whatever_a_question_does_to_its_child_the_next_one_is_answered(obey: str, trick: str) -> None:
    async with Sandbox(obey, children=1, limit=timedelta(seconds=1)) as sandbox:
        assert await sandbox.run(trick.encode()) is None
        assert await sandbox.run(b"good day") == "good day"


async def test_a_question_ends_at_its_limit(obey: str) -> None:
    async with Sandbox(obey, children=1, limit=timedelta(seconds=0.3)) as sandbox:
        start = time.monotonic()

        assert await sandbox.run(b"spin") is None

        assert 0.3 <= time.monotonic() - start < 1.3


async def test_a_flood_that_spins_makes_nobody_wait_beyond_the_patience(obey: str) -> None:
    async with Sandbox(obey, children=1, limit=timedelta(seconds=0.5), patience=timedelta(seconds=1)) as sandbox:
        start = time.monotonic()
        flood = [sandbox.run(b"spin") for _ in range(50)]

        answers = await asyncio.gather(*flood, sandbox.run(b"good day"))

        assert answers == [None] * 51
        assert time.monotonic() - start < 2
        assert await sandbox.run(b"good day") == "good day"


async def test_a_child_has_the_memory_that_it_is_given(obey: str) -> None:
    patient = timedelta(seconds=20)
    async with Sandbox(obey, children=1, limit=patient, patience=patient, memory=256 << 20) as sandbox:
        assert await sandbox.run(b"fill") is None
        assert await sandbox.run(b"good day") == "good day"
    async with Sandbox(obey, children=1, limit=patient, patience=patient, memory=1 << 30) as sandbox:
        assert await sandbox.run(b"fill") == str(400 << 20)


@pytest.mark.parametrize("trick", ["raise", "recurse"])
async def test_a_question_that_raises_costs_no_child(obey: str, trick: str) -> None:
    async with Sandbox(obey, children=1) as sandbox:
        before = await sandbox.run(b"pid")

        assert await sandbox.run(trick.encode()) is None

        assert await sandbox.run(b"pid") == before


async def test_a_child_that_dies_while_it_waits_costs_no_answer(obey: str) -> None:
    async with Sandbox(obey, children=1) as sandbox:
        pid = int(await sandbox.run(b"pid") or "")
        os.kill(pid, signal.SIGKILL)
        await _until(lambda: not _exists(pid))
        await asyncio.to_thread(lambda: None)  # the loop has heard of it, too

        assert await sandbox.run(b"good day") == "good day"


async def test_what_a_child_prints_goes_nowhere(obey: str, capfd: pytest.CaptureFixture[str]) -> None:
    async with Sandbox(obey, children=1) as sandbox:
        assert await sandbox.run(b"chatter") == "said"
        assert await sandbox.run(b"good day") == "good day"
        assert await sandbox.run(b"recurse") is None

    assert capfd.readouterr() == ("", "")


async def test_an_answer_that_is_no_text_is_read_all_the_same(obey: str) -> None:
    async with Sandbox(obey, children=1) as sandbox:
        answer = await sandbox.run(b"half")

        assert answer
        assert set(answer) == {"\ufffd"}


async def test_a_child_does_not_hear_ctrl_c(obey: str) -> None:
    async with Sandbox(obey, children=1) as sandbox:
        assert await sandbox.run(b"session") == await sandbox.run(b"pid") != str(os.getsid(0))


async def test_a_question_that_nobody_waits_for_any_more_is_skipped(obey: str, tmp_path: Path) -> None:
    async with Sandbox(obey, children=1, limit=timedelta(seconds=0.5), patience=timedelta(seconds=0.2)) as sandbox:
        await asyncio.gather(sandbox.run(b"spin"), sandbox.run(f"hold {tmp_path / 'lock'}".encode()))
        while await sandbox.run(b"good day") is None:
            pass

        assert not (tmp_path / "lock").exists()


async def test_children_that_cannot_start_are_an_error_at_the_start(obey: str, tmp_path: Path) -> None:
    (tmp_path / "tricks_of_a_mail.py").unlink()

    with pytest.raises(ChildProcessError):
        async with Sandbox(obey, children=1):
            pass


async def test_those_who_read_mail_start_with_the_first_mails_and_read_them_properly() -> None:
    before = children_of(os.getpid())
    async with Parser() as parser:
        idle = children_of(os.getpid())
        mail = b"From: jan@firma.cz\r\nContent-Type: text/html\r\n\r\n<p>Hello"

        emails = await asyncio.gather(*(parser.read(mail, envelope_sender=None) for _ in range(5)))

    assert idle == before
    assert [email.text.strip() for email in emails] == ["Hello"] * 5


async def test_closing_ends_every_child_at_once(obey: str, tmp_path: Path) -> None:
    idle, busy = tmp_path / "idle", tmp_path / "busy"
    async with Sandbox(obey, children=2) as sandbox:
        spinning = asyncio.create_task(sandbox.run(f"hold {busy} spin".encode()))
        await sandbox.run(f"hold {idle}".encode())
        await _until(lambda: _is_held(busy))
        start = time.monotonic()

    assert time.monotonic() - start < 0.9
    assert await spinning is None
    assert not _is_held(idle)
    assert not _is_held(busy)


async def test_children_end_when_their_parent_is_killed(obey: str, tmp_path: Path) -> None:
    idle, busy = tmp_path / "idle", tmp_path / "busy"
    program = f"""
import asyncio
from inbox.sandbox import Sandbox
async def main():
    async with Sandbox("tricks_of_a_mail:obey", children=2) as sandbox:
        await asyncio.gather(sandbox.run(b"hold {busy} spin"), sandbox.run(b"hold {idle}"))
asyncio.run(main())
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", program, env=environment)
    try:
        await _until(lambda: _is_held(idle) and _is_held(busy))
    finally:
        parent.kill()
        await parent.wait()

    await _until(lambda: not _is_held(idle), within=timedelta(seconds=2))
    await _until(lambda: not _is_held(busy), within=timedelta(seconds=5))


def _exists(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def _is_held(path: Path) -> bool:
    """Whether a living process holds the lock: the one trace that a zombie does not leave."""
    if not path.exists():
        return False
    with path.open() as file, contextlib.suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    return True


async def _until(condition: Callable[[], bool], *, within: timedelta = timedelta(seconds=20)) -> None:
    async with asyncio.timeout(within.total_seconds()):
        while not condition():  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.01)
