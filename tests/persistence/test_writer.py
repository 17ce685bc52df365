"""What those who share a commit on SQLite may rely on; what holds on every database is in test_database.py."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import resource
import sqlite3
import sys
import threading
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, event

from persistence.database import DatabaseAway
from tests.persistence.samples import NOW, connect, mail, open_ticket
from tests.persistence.writers import HASTY, Writers, kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from domain.identity import WorkspaceId
    from persistence.database import Database
    from tests.persistence.conftest import OpenDatabase
    from tests.stage.back_door import BackDoor

POWER_SAFE = True


@pytest.fixture
def writers(database: Database, workspace_id: WorkspaceId, file: Path) -> Writers:
    return Writers(database, workspace_id)


@contextmanager
def full_disk(file: Path) -> Iterator[None]:
    """Let no file of this process grow beyond the size that the journal has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.with_name(f"{file.name}-wal").stat().st_size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("power_safe", [HASTY, POWER_SAFE])
async def test_whoever_is_waited_for_ends_when_all_are_kept(writers: Writers, back_door: BackDoor, power_safe: bool) -> None:
    first, second, third = [await writers.start(name, power_safe=power_safe) for name in "abc"]
    writers.end("a")
    await writers.have_begun("a", "b")
    assert not first.done()
    assert kept(back_door) == []

    writers.end("b", "c")
    await asyncio.gather(first, second, third)

    assert kept(back_door) == ["a", "b", "c"]


async def test_a_block_that_raises_takes_nothing_of_its_group_with_it(writers: Writers, back_door: BackDoor) -> None:
    group = [await writers.start(name, fails=name in "bd") for name in "abcd"]
    writers.end(*"abcd")

    ends = await asyncio.gather(*group, return_exceptions=True)

    assert [type(end) for end in ends] == [type(None), LookupError, type(None), LookupError]
    assert kept(back_door) == ["a", "c"]


async def test_a_block_that_is_cancelled_takes_nothing_of_its_group_with_it(writers: Writers, back_door: BackDoor) -> None:
    first, second, third = [await writers.start(name) for name in "abc"]
    writers.end("a")
    await writers.have_begun("a", "b")
    third.cancel()
    second.cancel()
    await first

    assert kept(back_door) == ["a"]
    assert (await asyncio.gather(second, third, return_exceptions=True))[0].__class__ is asyncio.CancelledError


async def test_nobody_who_does_without_the_disk_is_joined_by_one_who_does_not(writers: Writers, back_door: BackDoor) -> None:
    hasty, safe = await writers.start("hasty"), await writers.start("safe", power_safe=POWER_SAFE)
    writers.end("hasty")

    await hasty

    assert not safe.done()
    assert kept(back_door) == ["hasty"]
    writers.end("safe")
    await safe


@pytest.fixture
def thoroughness() -> Iterator[list[int]]:
    """How thoroughly each statement that reads is going to be committed: 2 waits for the disk, 1 does not."""
    seen: list[int] = []

    def look(_connection: object, cursor: Any, text: str, *_: object) -> None:  # noqa: ANN401 - whatever driver
        if text.startswith("SELECT"):
            seen.append(cursor.execute("PRAGMA synchronous").fetchone()[0])

    event.listen(Engine, "before_cursor_execute", look)
    yield seen
    event.remove(Engine, "before_cursor_execute", look)


async def test_among_writers_of_both_kinds_each_commit_waits_for_the_disk_that_one_of_them_relies_on(
    database: Database, workspace_id: WorkspaceId, file: Path, thoroughness: list[int]
) -> None:
    seen: list[tuple[bool, int]] = []

    async def write(*, power_safe: bool) -> None:
        async with database.workspace(workspace_id, power_safe=power_safe) as store:
            thoroughness.clear()
            await store.connectors.count()
            seen.append((power_safe, thoroughness[-1]))

    chance = random.Random(7)
    kinds = [chance.choice([HASTY, POWER_SAFE]) for _ in range(200)]
    await asyncio.gather(*(write(power_safe=kind) for kind in kinds))

    assert [kind for kind, _ in seen] == kinds, "in the order in which they came"
    assert {thorough for kind, thorough in seen if kind is POWER_SAFE} == {2}
    assert {thorough for kind, thorough in seen if kind is HASTY} == {1, 2}


@pytest.mark.parametrize("power_safe", [HASTY, POWER_SAFE])
async def test_a_commit_that_fails_keeps_nothing_of_anybody_and_says_so_to_all(
    writers: Writers, back_door: BackDoor, file: Path, power_safe: bool
) -> None:
    group = [await writers.start(name, power_safe=power_safe) for name in "abc"]
    with full_disk(file):
        writers.end(*"abc")
        ends = await asyncio.gather(*group, return_exceptions=True)

    assert [type(end) for end in ends] == [DatabaseAway] * 3
    assert len(set(map(id, ends))) == 3
    assert kept(back_door) == []
    after = await writers.start("d", power_safe=power_safe)
    writers.end("d")
    await after
    assert kept(back_door) == ["d"]


async def test_when_the_disk_is_full_whoever_returns_is_kept_and_whoever_is_refused_is_not(
    database: Database, writers: Writers, back_door: BackDoor, workspace_id: WorkspaceId, file: Path
) -> None:
    async def write_much() -> None:
        async with database.workspace(workspace_id) as store:
            ticket = await open_ticket(store)
            for _ in range(8):
                await store.messages.add_email(ticket.id, mail("x" * 1_000_000), ticket.created_at)

    first = await writers.start("a")
    much = asyncio.create_task(write_much())
    await asyncio.sleep(0)
    last = await writers.start("c")
    with full_disk(file):
        writers.end("a", "c")
        ends = await asyncio.gather(first, much, last, return_exceptions=True)

    assert isinstance(ends[1], DatabaseAway)
    assert kept(back_door) == [name for name, end in zip("ac", (ends[0], ends[2]), strict=True) if end is None]
    assert back_door.rows("SELECT * FROM tickets") == []


async def test_the_first_of_a_long_queue_does_not_wait_for_the_last(writers: Writers) -> None:
    names = [f"{number:03}" for number in range(200)]
    queue = [await writers.start(name) for name in names]
    writers.end(*names)

    await queue[0]

    assert 1 < len(writers.begun) < 100
    await asyncio.gather(*queue)


async def test_the_operator_and_those_who_write_at_length_wait_for_the_group_and_hold_up_the_next(
    database: Database, writers: Writers, back_door: BackDoor, workspace_id: WorkspaceId
) -> None:
    seen = []
    first = await writers.start("a")

    async def operate() -> None:
        async with database.operator():
            seen.append(kept(back_door))

    async def write_at_length() -> None:
        async with database.workspace(workspace_id, at_length=True) as store:
            await connect(store, name="b")
        seen.append(kept(back_door))

    others = [asyncio.create_task(operate()), asyncio.create_task(write_at_length())]
    await asyncio.sleep(0)
    last = await writers.start("c")
    writers.end("a", "c")
    await asyncio.gather(first, last, *others)

    assert seen == [["a"], ["a", "b"]]
    assert kept(back_door) == ["a", "b", "c"]


@pytest.mark.parametrize("seed", range(4))
async def test_whoever_is_cancelled_at_any_moment_leaves_the_others_whole(
    database: Database, back_door: BackDoor, workspace_id: WorkspaceId, file: Path, seed: int
) -> None:
    chance = random.Random(seed)

    async def write(name: str) -> None:
        async with database.workspace(workspace_id, power_safe=chance.random() < 0.3) as store:
            await connect(store, name=f"{name} begun")
            if chance.random() < 0.5:
                await asyncio.sleep(chance.choice([0, 0.001]))
            await connect(store, name=f"{name} whole")

    async def disturb(tasks: list[asyncio.Task[None]]) -> None:
        for task in chance.sample(tasks, 100):
            await asyncio.sleep(chance.choice([0, 0, 0.002]))
            task.cancel()

    tasks = [asyncio.create_task(write(f"{number:03}")) for number in range(200)]
    await asyncio.gather(*tasks, disturb(tasks), return_exceptions=True)

    names = kept(back_door)
    begun, whole = ({name[:3] for name in names if name.endswith(end)} for end in ("begun", "whole"))
    returned = {f"{number:03}" for number, task in enumerate(tasks) if not task.cancelled()}
    assert begun == whole
    assert returned <= whole
    async with database.workspace(workspace_id) as store:
        assert await store.connectors.count() == len(names)


async def test_whoever_is_cancelled_while_the_disk_is_waited_for_leaves_the_next_one_a_whole_writer(
    database: Database, back_door: BackDoor, workspace_id: WorkspaceId, file: Path
) -> None:
    async def write(name: str) -> None:
        async with database.workspace(workspace_id) as store:
            await connect(store, name=name)

    names = [f"{number:02}" for number in range(20)]
    for name in names:
        impatient = asyncio.create_task(write(f"{name} impatient"))
        await asyncio.sleep(0)  # its block waits for nothing: by now its commit is under way
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        await write(name)

    assert [name for name in kept(back_door) if "impatient" not in name] == names


@pytest.mark.parametrize("how", ["at length", "as the operator"])
async def test_whoever_is_cancelled_at_length_or_as_the_operator_holds_no_lock_afterwards(
    database: Database, workspace_id: WorkspaceId, file: Path, how: str
) -> None:
    async def write() -> None:
        if how == "at length":
            async with database.workspace(workspace_id, at_length=True) as store:
                await open_ticket(store)
        else:
            async with database.operator() as store:
                await store.workspaces.create("Another", [], NOW)

    chance = random.Random(1)
    gc.disable()  # it would let go of what is held by garbage alone
    try:
        with closing(sqlite3.connect(file, isolation_level=None, timeout=0)) as elsewhere:
            for _ in range(150):
                impatient = asyncio.create_task(write())
                for _ in range(chance.randrange(40)):
                    await asyncio.sleep(chance.choice([0, 0, 0.0002]))
                impatient.cancel()
                await asyncio.gather(impatient, return_exceptions=True)
                elsewhere.execute("BEGIN IMMEDIATE")
                elsewhere.execute("ROLLBACK")
    finally:
        gc.enable()


async def test_what_is_open_when_the_database_is_closed_is_kept(
    writers: Writers, database: Database, back_door: BackDoor, open_database: OpenDatabase
) -> None:
    first, second = await writers.start("a"), await writers.start("b")
    closing = asyncio.create_task(database.close())
    writers.end("a", "b")
    await asyncio.gather(first, second, closing)

    assert kept(back_door) == ["a", "b"]


async def test_a_journal_that_only_the_hasty_write_is_written_back(
    database: Database, workspace_id: WorkspaceId, file: Path
) -> None:
    async with database.workspace(workspace_id) as store:
        connector = await connect(store)
    journal = file.with_name(f"{file.name}-wal")

    for _ in range(1000):
        async with database.workspace(workspace_id, power_safe=False) as store:
            await store.tickets.open(subject="x" * 4000, requester=None, now=connector.created_at)

    written = 1000 * 4000
    assert journal.stat().st_size < 2 * written, "each page of it was used again"


COMMIT_THREAD = "commit"


@pytest.fixture
def in_the_thread() -> Iterator[Callable[[], bool]]:
    """Whether anything was run in the thread for commits since it was asked last."""
    seen: set[str] = set()

    def look(_frame: object, _event: str, _argument: object) -> None:
        if threading.current_thread().name.startswith(COMMIT_THREAD):
            seen.add(COMMIT_THREAD)

    def asked() -> bool:
        was_seen = bool(seen)
        seen.clear()
        return was_seen

    threading.setprofile(look)
    yield asked
    threading.setprofile(None)


async def test_a_commit_that_begins_the_journal_anew_waits_for_the_disk_in_the_thread(
    database: Database, workspace_id: WorkspaceId, file: Path, in_the_thread: Callable[[], bool]
) -> None:
    async def write(*, power_safe: bool = HASTY, at_length: bool = False, nothing: bool = False) -> bool:
        async with database.workspace(workspace_id, power_safe=power_safe, at_length=at_length) as store:
            if not nothing:
                await open_ticket(store)
        return in_the_thread()

    assert [await write() for _ in range(3)] == [True, False, False], "the file has just been opened"
    assert await write(power_safe=POWER_SAFE)
    assert await write(nothing=True)
    assert [await write() for _ in range(3)] == [True, False, False]
    await write(at_length=True)
    assert [await write() for _ in range(3)] == [True, False, False]
    await database.scrub()
    assert [await write() for _ in range(3)] == [True, False, False]


async def test_a_queue_of_writers_waits_for_another_process_no_longer_than_each_of_them_would(
    file: Path, workspace_id: WorkspaceId, open_database: OpenDatabase
) -> None:
    database = open_database(patience=timedelta(milliseconds=200))

    async def write() -> None:
        async with database.workspace(workspace_id) as store:
            await connect(store)

    with closing(sqlite3.connect(file, isolation_level=None)) as elsewhere:
        elsewhere.execute("BEGIN IMMEDIATE")
        async with asyncio.timeout(2):
            ends = await asyncio.gather(*(write() for _ in range(20)), return_exceptions=True)

    assert [type(end) for end in ends] == [DatabaseAway] * 20
    await write()


def open_files(file: Path) -> int:
    """How often this process has the file open."""
    return [os.path.realpath(entry) for entry in Path("/proc/self/fd").iterdir()].count(str(file.resolve()))


async def test_a_block_that_ends_after_the_database_was_closed_leaves_no_connection(
    writers: Writers, database: Database, back_door: BackDoor, file: Path
) -> None:
    late = await writers.start("late")
    await database.close()
    writers.end("late")
    await late

    assert kept(back_door) == ["late"]
    assert open_files(file) == 0


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """The events of connections that were opened to a file."""
    watching, events = [True], list[str]()

    def note(event: str, _arguments: tuple[object, ...]) -> None:
        if event == "sqlite3.connect" and watching:
            events.append(event)

    sys.addaudithook(note)  # which cannot be taken away again
    yield events
    watching.clear()


async def test_a_database_that_was_closed_and_is_used_again_keeps_its_connections_again(
    database: Database, workspace_id: WorkspaceId, file: Path, opened: list[str]
) -> None:
    assert file.exists()
    await database.close()
    opened.clear()

    for number in range(1, 4):
        async with database.workspace(workspace_id) as store:
            await open_ticket(store)
        async with database.glancing(workspace_id) as store:
            assert await store.tickets.newest_number() == number

    assert len(opened) == 2
