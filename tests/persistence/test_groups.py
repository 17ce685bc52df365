"""What those who share a commit on PostgreSQL may rely on; what holds on every database is in test_database.py."""

from __future__ import annotations

import asyncio
import random
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Text, cast, func, select
from sqlalchemy.exc import IntegrityError

from domain.identity import ConnectorId, support_address
from persistence.database import Database, DatabaseAway
from persistence.tables import new_id
from tests.persistence.samples import JAN, NOW, connect
from tests.persistence.writers import Writers, kept
from tests.stage.proxy import open_proxy
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sqlalchemy import Executable

    from domain.identity import WorkspaceId
    from persistence.encryption import KeyRing
    from persistence.store import WorkspaceStore
    from tests.stage.back_door import BackDoor
    from tests.stage.postgres import PostgreSQL

SCHEME = "postgresql+asyncpg"
PATIENCE = timedelta(seconds=1)


@pytest.fixture
def name(postgres: PostgreSQL) -> Iterator[str]:
    """A database with the newest schema."""
    with postgres.database() as name:
        yield name


@pytest.fixture
def url(postgres: PostgreSQL, name: str) -> str:
    return postgres.url(name, scheme=SCHEME)


@pytest.fixture
async def database(url: str, keys: KeyRing) -> AsyncIterator[Database]:
    database = Database(url, keys)
    yield database
    await database.close()


@pytest.fixture
def writers(database: Database, workspace_id: WorkspaceId) -> Writers:
    return Writers(database, workspace_id)


async def ask(store: WorkspaceStore, statement: Executable) -> object:
    """What a statement of no store's brings."""
    return (await store.tickets._connection.execute(statement)).scalar()  # noqa: SLF001


async def break_a_rule(store: WorkspaceStore) -> None:
    await store.lookups.claim_test(ConnectorId(new_id()), JAN, NOW)


async def fails(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        await connect(store, name="in vain")
        await break_a_rule(store)


async def somebody_waits(back_door: BackDoor) -> bool:
    """Whether any lock is waited for."""
    return back_door.rows("SELECT 1 FROM pg_locks WHERE NOT granted") != []


async def somebody_sleeps(back_door: BackDoor) -> bool:
    return back_door.rows("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'") != []


def end_all(postgres: PostgreSQL, name: str) -> None:
    with postgres.connect() as admin:
        admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [name])


@pytest.fixture
def transactions() -> dict[str, object]:
    """In which one each writer wrote."""
    return {}


async def write(
    database: Database, workspace_id: WorkspaceId, name: str, transactions: dict[str, object], **options: bool
) -> None:
    async with database.workspace(workspace_id, **options) as store:
        await connect(store, name=name)
        transactions[name] = await ask(store, select(cast(func.pg_current_xact_id(), Text)))


# Shared


async def test_writers_that_come_together_share_a_commit(
    database: Database, workspace_id: WorkspaceId, transactions: dict[str, object], back_door: BackDoor
) -> None:
    names = [f"{number:02}" for number in range(60)]

    await asyncio.gather(*(write(database, workspace_id, name, transactions) for name in names))

    assert list(transactions) == kept(back_door) == names, "in the order in which they came"
    assert len(set(transactions.values())) < len(names) / 4


async def test_whoever_is_waited_for_ends_when_all_are_kept(writers: Writers, back_door: BackDoor) -> None:
    first, second = [await writers.start(name) for name in "ab"]
    writers.end("a")
    await writers.have_begun("a", "b")
    assert not first.done()
    assert kept(back_door) == []

    writers.end("b")
    await asyncio.gather(first, second)

    assert kept(back_door) == ["a", "b"]


async def test_the_first_of_a_long_queue_does_not_wait_for_the_last(writers: Writers) -> None:
    names = [f"{number:03}" for number in range(200)]
    queue = [await writers.start(name) for name in names]
    writers.end(*names)

    await queue[0]

    assert 1 < len(writers.begun) < 100
    await asyncio.gather(*queue)


async def test_nobody_waits_for_one_who_writes_at_length(writers: Writers, back_door: BackDoor) -> None:
    first = await writers.start("a")
    long = await writers.start("b", at_length=True)
    last = await writers.start("c")
    writers.end("a")
    await first
    await writers.have_begun("a", "b")
    assert kept(back_door) == ["a"]

    writers.end("b")
    await long
    assert not last.done()
    writers.end("c")
    await last


async def test_what_one_wrote_the_next_of_its_group_reads(
    database: Database, writers: Writers, workspace_id: WorkspaceId
) -> None:
    first = await writers.start("a")

    async def count() -> int:
        async with database.workspace(workspace_id) as store:
            return await store.connectors.count()

    counting = asyncio.create_task(count())
    writers.end("a")

    assert await counting == 1
    await first


async def test_whoever_comes_while_a_lone_writer_waits_for_its_commit_is_next(writers: Writers, back_door: BackDoor) -> None:
    with at_each_commit(back_door, "PERFORM pg_advisory_xact_lock(1)"):
        with back_door.holding("SELECT pg_advisory_xact_lock(1)"):
            first = await writers.start("a")
            writers.end("a")
            await eventually(lambda: somebody_waits(back_door))
            second = await writers.start("b")
            writers.end("b")
        await asyncio.gather(first, second)

    assert kept(back_door) == ["a", "b"]


# One's failure


@pytest.mark.parametrize("failing", ["a", "b", "bd", "cd", "abc"])
async def test_a_block_that_raises_takes_nothing_of_its_group_with_it(
    writers: Writers, back_door: BackDoor, failing: str
) -> None:
    group = [await writers.start(name, fails=name in failing) for name in "abcd"]
    writers.end(*"abcd")

    ends = await asyncio.gather(*group, return_exceptions=True)

    assert [type(end) for end in ends] == [LookupError if name in failing else type(None) for name in "abcd"]
    assert kept(back_door) == sorted(set("abcd") - set(failing))


async def test_a_statement_that_is_refused_takes_nothing_of_its_group_with_it(
    database: Database, workspace_id: WorkspaceId, writers: Writers, back_door: BackDoor
) -> None:
    first = await writers.start("a")
    failing = asyncio.create_task(fails(database, workspace_id))
    await asyncio.sleep(0)
    last = await writers.start("c")
    writers.end("a", "c")

    ends = await asyncio.gather(first, failing, last, return_exceptions=True)

    assert [type(end) for end in ends] == [type(None), IntegrityError, type(None)]
    assert kept(back_door) == ["a", "c"]


@pytest.mark.parametrize("before", ["", "a"])
@pytest.mark.parametrize("behind", ["", "c"])
async def test_an_error_that_is_passed_over_lets_nobody_believe_in_what_is_not_kept(
    database: Database, workspace_id: WorkspaceId, writers: Writers, back_door: BackDoor, before: str, behind: str
) -> None:
    async def pass_over() -> None:
        async with database.workspace(workspace_id) as store:
            await connect(store, name="b")
            with suppress(IntegrityError):
                await break_a_rule(store)

    shared = [await writers.start(name) for name in before]
    passing = asyncio.create_task(pass_over())
    await asyncio.sleep(0)
    after = [await writers.start(name) for name in behind]
    writers.end(*before, *behind)

    ends = await asyncio.gather(passing, *shared, return_exceptions=True)
    await asyncio.gather(*after)

    assert {type(end) for end in ends} == {DatabaseAway}
    assert kept(back_door) == [*behind]


async def test_a_block_that_is_cancelled_in_its_statement_takes_nothing_of_its_group_with_it(
    database: Database, workspace_id: WorkspaceId, writers: Writers, back_door: BackDoor
) -> None:
    async def sleep() -> None:
        async with database.workspace(workspace_id) as store:
            await connect(store, name="b")
            await ask(store, select(func.pg_sleep(60)))

    first = await writers.start("a")
    sleeping = asyncio.create_task(sleep())
    writers.end("a")
    await eventually(lambda: somebody_sleeps(back_door))
    last = await writers.start("c")
    writers.end("c")
    sleeping.cancel()

    ends = await asyncio.gather(first, sleeping, last, return_exceptions=True)

    assert [type(end) for end in ends] == [type(None), asyncio.CancelledError, type(None)]
    assert kept(back_door) == ["a", "c"]


async def test_whoever_is_cancelled_while_it_waits_for_the_others_does_not_harm_them(
    writers: Writers, back_door: BackDoor
) -> None:
    first, second = [await writers.start(name) for name in "ab"]
    writers.end("a")
    await writers.have_begun("a", "b")
    first.cancel()
    writers.end("b")

    ends = await asyncio.gather(first, second, return_exceptions=True)

    assert [type(end) for end in ends] == [asyncio.CancelledError, type(None)]
    assert "b" in kept(back_door)


# All fail


@contextmanager
def at_each_commit(back_door: BackDoor, what: str) -> Iterator[None]:
    """Let the server do something when all is written and it is told to keep it."""
    back_door.alter(f"CREATE FUNCTION last() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {what}; RETURN NULL; END $$")
    back_door.alter(
        "CREATE CONSTRAINT TRIGGER last AFTER INSERT ON connectors DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION last()"
    )
    try:
        yield
    finally:
        back_door.alter("DROP FUNCTION last CASCADE")


async def test_a_commit_that_is_refused_keeps_nothing_of_anybody_and_says_so_to_all(
    writers: Writers, back_door: BackDoor
) -> None:
    with at_each_commit(back_door, "RAISE disk_full"):
        group = [await writers.start(name) for name in "abc"]
        writers.end(*"abc")
        ends = await asyncio.gather(*group, return_exceptions=True)

    assert [type(end) for end in ends] == [DatabaseAway] * 3
    assert len(set(map(id, ends))) == 3
    assert kept(back_door) == []
    after = await writers.start("d")
    writers.end("d")
    await after
    assert kept(back_door) == ["d"]


@pytest.mark.parametrize("in_a_statement", [False, True])
async def test_a_connection_that_ends_under_a_group_keeps_nothing_of_anybody_and_says_so_to_all(
    postgres: PostgreSQL, name: str, writers: Writers, back_door: BackDoor, in_a_statement: bool
) -> None:
    first, second = [await writers.start(name) for name in "ab"]
    writers.end("a")
    await (writers.have_begun if in_a_statement else writers.have_written)("a", "b")
    end_all(postgres, name)
    third = await writers.start("c")
    writers.end("b", "c")

    ends = await asyncio.gather(first, second, return_exceptions=True)
    await third

    assert [type(end) for end in ends] == [DatabaseAway] * 2
    assert kept(back_door) == ["c"]


async def test_a_connection_that_ends_under_a_commit_keeps_nothing_of_anybody_and_says_so_to_all(
    postgres: PostgreSQL, name: str, writers: Writers, back_door: BackDoor
) -> None:
    with at_each_commit(back_door, "PERFORM pg_sleep(60)"):
        group = [await writers.start(name) for name in "ab"]
        writers.end("a", "b")
        await eventually(lambda: somebody_sleeps(back_door))
        end_all(postgres, name)
        ends = await asyncio.gather(*group, return_exceptions=True)

    assert [type(end) for end in ends] == [DatabaseAway] * 2
    assert kept(back_door) == []


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_is_cancelled_and_cut_off_whoever_returns_is_kept_and_no_block_by_half(
    postgres: PostgreSQL, name: str, database: Database, workspace_id: WorkspaceId, back_door: BackDoor, seed: int
) -> None:
    chance = random.Random(seed)

    async def write(name: str, *, breaks: bool = False) -> None:
        async with database.workspace(workspace_id) as store:
            await connect(store, name=f"{name} begun")
            if chance.random() < 0.2:
                await asyncio.sleep(chance.choice([0, 0.001]))
            if breaks:
                await break_a_rule(store)
            await connect(store, name=f"{name} whole")

    async def disturb(tasks: list[asyncio.Task[None]]) -> None:
        for number, task in enumerate(chance.sample(tasks, 60)):
            await asyncio.sleep(chance.choice([0, 0, 0.005]))
            task.cancel()
            if number % 20 == 0:
                end_all(postgres, name)

    tasks = [asyncio.create_task(write(f"{number:03}", breaks=chance.random() < 0.1)) for number in range(200)]
    ends = (await asyncio.gather(*tasks, disturb(tasks), return_exceptions=True))[:-1]

    names = kept(back_door)
    begun, whole = ({name[:3] for name in names if name.endswith(end)} for end in ("begun", "whole"))
    returned = {f"{number:03}" for number, end in enumerate(ends) if end is None}
    refused = {f"{number:03}" for number, end in enumerate(ends) if isinstance(end, IntegrityError)}
    assert begun == whole
    assert len(names) == len(begun) + len(whole)
    assert returned <= whole
    assert not refused & whole
    assert len(returned) > 20
    await write("after")


# Patience


@pytest.mark.timed
async def test_who_was_told_in_vain_is_not_kept_although_the_others_of_its_group_had_time(
    url: str, keys: KeyRing, workspace_id: WorkspaceId, back_door: BackDoor
) -> None:
    impatient = Database(url, keys, patience=PATIENCE)
    writers = Writers(impatient, workspace_id)
    loop = asyncio.get_running_loop()
    first, half_over = await writers.start("a"), loop.time() + PATIENCE.total_seconds() / 2

    async def is_half_over() -> bool:
        return loop.time() > half_over

    await eventually(is_half_over)
    second = await writers.start("b")
    writers.end("a")
    with pytest.raises(DatabaseAway):
        await first
    assert writers.begun == ["a", "b"]
    writers.end("b")
    with pytest.raises(DatabaseAway):
        await second

    assert kept(back_door) == []
    after = await writers.start("c")
    writers.end("c")
    await after
    assert kept(back_door) == ["c"]
    await impatient.close()


@pytest.mark.timed
async def test_a_group_whose_connection_falls_silent_is_away_in_time_and_the_next_one_is_not(
    postgres: PostgreSQL, name: str, url: str, keys: KeyRing, workspace_id: WorkspaceId, back_door: BackDoor
) -> None:
    async with open_proxy(postgres.port) as proxy:
        far = Database(url.replace(f":{postgres.port}/", f":{proxy.port}/"), keys, patience=PATIENCE)
        writers = Writers(far, workspace_id)
        group = [await writers.start(name) for name in "abc"]
        writers.end("a")
        await writers.have_begun("a", "b")
        proxy.half_open()
        writers.end("b", "c")

        async with asyncio.timeout(3):
            ends = await asyncio.gather(*group, return_exceptions=True)
        proxy.mend()

        assert [type(end) for end in ends] == [DatabaseAway] * 3
        assert kept(back_door) == []
        after = await writers.start("d")
        writers.end("d")
        async with asyncio.timeout(3):
            await after
        assert kept(back_door) == ["d"]
        await far.close()


async def test_an_operator_comes_between_two_groups_and_alone(
    database: Database, neighbour: Database, workspace_id: WorkspaceId, writers: Writers, back_door: BackDoor
) -> None:
    async def operate() -> list[str]:
        async with neighbour.operator() as operator:
            await operator.workspaces.create("Another", [support_address("another@disqua.example")], NOW)
            return kept(back_door)

    first, second = [await writers.start(name) for name in "ab"]
    writers.end("a")
    await writers.have_begun("a", "b")
    operating = asyncio.create_task(operate())
    await eventually(lambda: somebody_waits(back_door))
    writers.end("b")

    await asyncio.gather(first, second)
    assert await operating == ["a", "b"]


async def test_what_is_open_when_the_database_is_closed_is_kept(
    writers: Writers, database: Database, back_door: BackDoor
) -> None:
    first, second = [await writers.start(name) for name in "ab"]
    closing = asyncio.create_task(database.close())
    writers.end("a", "b")

    await asyncio.gather(first, second, closing)

    assert kept(back_door) == ["a", "b"]


async def test_closing_leaves_no_connection_to_a_commit_that_nobody_waits_for(
    writers: Writers, database: Database, back_door: BackDoor
) -> None:
    with at_each_commit(back_door, "PERFORM pg_advisory_xact_lock(1)"):
        with back_door.holding("SELECT pg_advisory_xact_lock(1)"):
            group = [await writers.start(name) for name in "ab"]
            writers.end("a", "b")
            await eventually(lambda: somebody_waits(back_door))
            for writer in group:
                writer.cancel()
            await asyncio.gather(*group, return_exceptions=True)
            closing = asyncio.create_task(database.close())
            await asyncio.sleep(0)
        await closing

    async def nobody_is_connected() -> bool:
        return back_door.rows("SELECT 1 FROM pg_stat_activity WHERE application_name = 'disqua'") == []

    await eventually(nobody_is_connected)
    assert kept(back_door) == ["a", "b"]
