from __future__ import annotations

import asyncio
import gc
import sqlite3
import sys
import threading
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import IntegrityError

from domain.identity import ConnectorId, TicketId, WorkspaceId
from domain.ticket import Requester
from persistence import migrations
from persistence.database import Database, DatabaseAway
from tests.persistence.samples import JAN, NOW, connect, open_ticket

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from persistence.encryption import KeyRing
    from tests.persistence.conftest import OpenDatabase

TEN = range(10)
NOWHERE = TicketId(UUID(int=1))

OPEN_EACH_FILE = """
import asyncio, sys
from persistence.database import Database
from persistence.encryption import KeyRing

async def main():
    for url in iter(sys.stdin.readline, ""):
        database = Database(url.strip(), KeyRing({"k1": bytes(range(32))}))
        async with database.operator():
            print("open", flush=True)
        await database.close()

asyncio.run(main())
"""

ADD_A_CONNECTOR_BEHIND_THE_LAST = """
import asyncio, sys
from uuid import UUID
from persistence.database import Database
from persistence.encryption import KeyRing
from tests.persistence.samples import connect

async def main(url, workspace_id):
    database = Database(url, KeyRing({"k1": bytes(range(32))}))
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(10):
        async with database.workspace(UUID(workspace_id)) as store:
            await connect(store, position=await store.connectors.last_position())
    await database.close()

asyncio.run(main(*sys.argv[1:]))
"""

NIL = WorkspaceId(UUID(int=0))
AT_LENGTH = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000000) SELECT count(*) FROM n"


async def add_behind_the_last(database: Database, workspace_id: WorkspaceId, *, power_safe: bool = True) -> None:
    """Read, then write what was read: lost when somebody else does the same meanwhile."""
    async with database.workspace(workspace_id, power_safe=power_safe) as store:
        await connect(store, position=await store.connectors.last_position())


async def positions(database: Database, workspace_id: WorkspaceId) -> list[int]:
    async with database.reading(workspace_id) as store:
        return [connector.position for connector in await store.connectors.all()]


async def test_what_a_block_wrote_is_there_when_it_has_ended(
    database: Database, neighbour: Database, workspace_id: WorkspaceId
) -> None:
    async with database.workspace(workspace_id) as store:
        ticket = await open_ticket(store)

    async with neighbour.reading(workspace_id) as store:
        assert await store.tickets.get(ticket.id) == ticket


async def test_a_block_that_raises_leaves_nothing(database: Database, workspace_id: WorkspaceId) -> None:
    async def write_and_fail() -> None:
        async with database.workspace(workspace_id) as store:
            await open_ticket(store)
            await connect(store)
            raise LookupError

    with pytest.raises(LookupError):
        await write_and_fail()

    async with database.workspace(workspace_id) as store:
        assert await store.tickets.newest(10) == []
        assert await store.connectors.all() == []
        assert (await open_ticket(store)).number == 1


async def test_a_statement_that_is_refused_undoes_the_whole_block(database: Database, workspace_id: WorkspaceId) -> None:
    async def write_and_be_refused() -> None:
        async with database.workspace(workspace_id) as store:
            await open_ticket(store)
            await store.messages.add_text(NOWHERE, Requester(JAN), "Hello", NOW)

    with pytest.raises(IntegrityError):
        await write_and_be_refused()

    async with database.reading(workspace_id) as store:
        assert await store.tickets.newest(10) == []


async def test_a_block_that_is_cancelled_leaves_nothing_and_lets_others_write(
    database: Database, workspace_id: WorkspaceId
) -> None:
    written = asyncio.Event()

    async def write_and_wait() -> None:
        async with database.workspace(workspace_id) as store:
            await open_ticket(store)
            written.set()
            await asyncio.Event().wait()

    writer = asyncio.create_task(write_and_wait())
    await written.wait()
    writer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writer

    async with database.workspace(workspace_id) as store:
        assert (await open_ticket(store)).number == 1


async def test_ten_that_read_and_then_write_lose_nothing(database: Database, workspace_id: WorkspaceId) -> None:
    await asyncio.gather(*(add_behind_the_last(database, workspace_id) for _ in TEN))

    assert await positions(database, workspace_id) == [*TEN]


@pytest.mark.parametrize("power_safe", [True, False])
async def test_ten_on_two_engines_that_read_and_then_write_lose_nothing(
    database: Database, neighbour: Database, workspace_id: WorkspaceId, power_safe: bool
) -> None:
    engines = (database, neighbour)
    await asyncio.gather(*(add_behind_the_last(engines[turn % 2], workspace_id, power_safe=power_safe) for turn in TEN))

    assert await positions(database, workspace_id) == [*TEN]


async def test_writers_are_served_in_the_order_in_which_they_came(database: Database, workspace_id: WorkspaceId) -> None:
    async def write(name: str) -> None:
        async with database.workspace(workspace_id) as store:
            await connect(store, name=name)

    names = [f"{number:02}" for number in range(30)]
    await asyncio.gather(*map(write, names))

    async with database.reading(workspace_id) as store:
        assert [connector.name for connector in await store.connectors.all()] == names


async def test_two_processes_that_read_and_then_write_lose_nothing(
    database: Database, url: str, workspace_id: WorkspaceId
) -> None:
    arguments = [sys.executable, "-c", ADD_A_CONNECTOR_BEHIND_THE_LAST, url, str(workspace_id)]
    pipe = asyncio.subprocess.PIPE
    processes = [await asyncio.create_subprocess_exec(*arguments, stdin=pipe, stdout=pipe) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"

    await asyncio.gather(*(process.communicate(b"go\n") for process in processes))

    assert [process.returncode for process in processes] == [0, 0]
    assert await positions(database, workspace_id) == [*range(20)]


async def test_a_reader_sees_one_moment(database: Database, neighbour: Database, workspace_id: WorkspaceId) -> None:
    async with database.reading(workspace_id) as store:
        assert await store.connectors.count() == 0
        await add_behind_the_last(neighbour, workspace_id)
        assert await store.connectors.count() == 0

    assert await positions(database, workspace_id) == [0]


async def test_a_reader_does_not_wait_for_a_writer(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as writing:
        await open_ticket(writing)

        async with database.reading(workspace_id) as store:
            assert await store.tickets.newest_number() == 0
        async with database.operator_reading() as operator:
            assert await operator.workspaces.exists(workspace_id)
        await database.ping()


async def test_a_reader_who_is_cancelled_again_and_again_leaves_no_connection_that_is_half_closed(
    file: Path, open_database: OpenDatabase
) -> None:
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["message"]))
    begun = asyncio.Event()

    async def read() -> None:
        async with open_database(file=file).reading(NIL) as store:
            begun.set()
            await store.tickets._connection.execute(text(AT_LENGTH))  # noqa: SLF001 - no statement of ours takes so long

    reader = asyncio.create_task(read())
    await begun.wait()
    while not reader.done():  # as a scope of anyio does, which a stream's client has left
        reader.cancel()
        await asyncio.sleep(0)
    gc.collect()

    assert complaints == []


async def test_a_glance_sees_one_moment_whatever_else_its_block_waits_for(
    database: Database, neighbour: Database, workspace_id: WorkspaceId
) -> None:
    async with database.glancing(workspace_id) as before:
        assert await before.connectors.count() == 0
        await add_behind_the_last(neighbour, workspace_id)

        async with database.glancing(workspace_id) as after:
            assert await after.connectors.count() == 1
            await add_behind_the_last(database, workspace_id)
            assert await after.connectors.count() == 1
        assert await before.connectors.count() == 0

    async with database.glancing(workspace_id) as store:
        assert await store.connectors.count() == 2


async def test_more_glances_than_connections_wait_for_their_turn(database: Database, workspace_id: WorkspaceId) -> None:
    async def glance() -> int:
        async with database.glancing(workspace_id) as store:
            await asyncio.sleep(0)
            return await store.connectors.count()

    assert await asyncio.gather(*(glance() for _ in range(100))) == [0] * 100


async def test_a_glance_that_raises_or_is_cancelled_leaves_the_next_one_alone(
    database: Database, workspace_id: WorkspaceId
) -> None:
    looking = asyncio.Event()

    async def glance_and_wait() -> None:
        async with database.glancing(workspace_id) as store:
            await store.connectors.count()
            looking.set()
            await asyncio.Event().wait()

    async def glance_and_fail() -> None:
        async with database.glancing(workspace_id) as store:
            await store.connectors.count()
            raise LookupError

    for _ in TEN:
        with pytest.raises(LookupError):
            await glance_and_fail()
        looking.clear()
        waiting = asyncio.create_task(glance_and_wait())
        await looking.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    await add_behind_the_last(database, workspace_id)
    async with database.glancing(workspace_id) as store:
        assert await store.connectors.count() == 1


async def test_a_glance_changes_nothing(database: Database, workspace_id: WorkspaceId) -> None:
    with pytest.raises(DatabaseAway, match=r"(?i)read-?only"):
        async with database.glancing(workspace_id) as store:
            await connect(store)

    assert await positions(database, workspace_id) == []


async def test_an_operators_glance_sees_every_workspace_and_changes_none(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.operator() as operator:
        other_id = await operator.workspaces.create("Another", [], NOW)

    async with database.operator_glancing() as operator:
        assert [await operator.workspaces.exists(one) for one in (workspace_id, other_id)] == [True, True]
    with pytest.raises(DatabaseAway, match=r"(?i)read-?only"):
        async with database.operator_glancing() as operator:
            await operator.workspaces.suspend(other_id, NOW)


async def test_a_file_that_somebody_keeps_for_himself_is_away_for_glances_until_he_lets_go(
    file: Path, workspace_id: WorkspaceId, open_database: OpenDatabase, database: Database
) -> None:
    await database.close()
    one_who_glances = open_database(patience=timedelta(milliseconds=10))
    with closing(sqlite3.connect(file, isolation_level=None)) as elsewhere:
        elsewhere.execute("PRAGMA locking_mode=EXCLUSIVE")
        elsewhere.execute("BEGIN IMMEDIATE")

        with pytest.raises(DatabaseAway, match="database is locked"):
            async with one_who_glances.glancing(workspace_id) as store:
                await store.connectors.count()

    async with one_who_glances.glancing(workspace_id) as store:
        assert await store.connectors.count() == 0


async def test_a_glance_waits_while_another_process_keeps_the_file_for_itself(
    file: Path, workspace_id: WorkspaceId, open_database: OpenDatabase, database: Database
) -> None:
    await database.close()
    one_who_glances = open_database()

    async def glance() -> int:
        async with one_who_glances.glancing(workspace_id) as store:
            return await store.connectors.count()

    with closing(sqlite3.connect(file, isolation_level=None)) as elsewhere:
        elsewhere.execute("PRAGMA locking_mode=EXCLUSIVE")
        elsewhere.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(glance())
        done, _ = await asyncio.wait([waiting], timeout=0.05)
        assert not done

    assert await waiting == 0


async def test_glances_that_wait_for_each_other_find_the_file_away(
    file: Path, workspace_id: WorkspaceId, open_database: OpenDatabase
) -> None:
    database = open_database(patience=timedelta(milliseconds=50))

    async def glance_twice() -> None:
        async with database.glancing(workspace_id):
            await asyncio.sleep(0)
            async with database.glancing(workspace_id) as store:
                await store.connectors.count()

    async with asyncio.timeout(5):
        ends = await asyncio.gather(*(glance_twice() for _ in range(4)), return_exceptions=True)

    assert DatabaseAway in map(type, ends)
    async with database.glancing(workspace_id) as store:
        assert await store.connectors.count() == 0


async def test_a_glance_that_ends_after_the_database_was_closed_leaves_no_connection(
    database: Database, workspace_id: WorkspaceId, file: Path
) -> None:
    async with database.glancing(workspace_id) as store:
        await store.connectors.count()
        await database.close()

    assert not file.with_name(f"{file.name}-wal").exists(), "whoever closes the last connection takes the journal away"


async def test_more_readers_than_connections_wait_for_their_turn(database: Database, workspace_id: WorkspaceId) -> None:
    assert await asyncio.gather(*(positions(database, workspace_id) for _ in range(100))) == [[]] * 100


async def test_a_writer_waits_while_another_process_holds_the_lock(
    database: Database, file: Path, workspace_id: WorkspaceId
) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as elsewhere:
        elsewhere.execute("BEGIN IMMEDIATE")
        writer = asyncio.create_task(add_behind_the_last(database, workspace_id))
        assert await positions(database, workspace_id) == []
        assert not writer.done()
        elsewhere.execute("COMMIT")

    await writer
    assert await positions(database, workspace_id) == [0]


async def test_a_database_that_stays_locked_is_away_for_writers_alone(
    file: Path, workspace_id: WorkspaceId, open_database: OpenDatabase
) -> None:
    database = open_database(patience=timedelta(milliseconds=10))
    with closing(sqlite3.connect(file, isolation_level=None)) as elsewhere:
        elsewhere.execute("BEGIN IMMEDIATE")

        with pytest.raises(DatabaseAway, match="database is locked"):
            await add_behind_the_last(database, workspace_id)
        with pytest.raises(DatabaseAway, match="database is locked"):
            async with database.operator():
                pytest.fail("a block began without the lock")
        assert await positions(database, workspace_id) == []

    await add_behind_the_last(database, workspace_id)
    assert await positions(database, workspace_id) == [0]


@pytest.fixture
def no_folder(tmp_path: Path) -> Path:
    return tmp_path / "nowhere" / "disqua.sqlite3"


@pytest.fixture
def a_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder.sqlite3"
    folder.mkdir()
    return folder


@pytest.fixture
def no_database(tmp_path: Path) -> Path:
    junk = tmp_path / "junk.sqlite3"
    junk.write_bytes(b"junk" * 1000)
    return junk


@pytest.mark.parametrize("what", ["no_folder", "a_folder", "no_database"])
async def test_a_database_that_cannot_be_opened_is_away(
    what: str, file: Path, request: pytest.FixtureRequest, open_database: OpenDatabase
) -> None:
    database = open_database(file=request.getfixturevalue(what))

    for call in (database.ping, database.migrate, database.revision):
        with pytest.raises(DatabaseAway):
            await call()
    for block in (database.workspace, database.reading, database.glancing):
        with pytest.raises(DatabaseAway):
            async with block(UUID(int=1)):  # type: ignore[arg-type]
                pytest.fail("a block began without a database")
    for operate in (database.operator, database.operator_reading, database.operator_glancing):
        with pytest.raises(DatabaseAway):
            async with operate():
                pytest.fail("a block began without a database")


def test_a_program_that_cannot_open_its_database_ends_in_silence(no_folder: Path, keys: KeyRing) -> None:
    async def open_and_end() -> None:
        database = Database(f"sqlite+aiosqlite:///{no_folder}", keys)
        with pytest.raises(DatabaseAway):
            await database.migrate()
        await database.close()

    complaints: list[object] = []
    told, threading.excepthook = threading.excepthook, complaints.append
    for _ in range(20):
        asyncio.run(open_and_end())
    for thread in set(threading.enumerate()) - {threading.current_thread()}:
        if thread.name.endswith("(_connection_worker_thread)"):
            thread.join()
    threading.excepthook = told

    assert complaints == []


async def test_a_database_that_comes_back_is_used_again(file: Path, no_folder: Path, open_database: OpenDatabase) -> None:
    database = open_database(file=no_folder)
    with pytest.raises(DatabaseAway):
        await database.migrate()

    no_folder.parent.mkdir()
    await database.migrate()

    await database.ping()
    assert await database.revision() == migrations.head()


async def test_a_rule_that_a_statement_breaks_does_not_mean_that_the_database_is_away(
    database: Database, workspace_id: WorkspaceId
) -> None:
    with pytest.raises(IntegrityError):
        async with database.workspace(workspace_id) as store:
            await store.lookups.claim_test(ConnectorId(UUID(int=1)), JAN, NOW)


async def test_no_error_of_the_database_shows_a_value(database: Database, file: Path, workspace_id: WorkspaceId) -> None:
    async def write_too_late() -> None:
        async with database.reading(workspace_id) as store:
            await store.connectors.count()
            with closing(sqlite3.connect(file)) as elsewhere:
                elsewhere.execute("UPDATE workspaces SET name = 'changed meanwhile'")
                elsewhere.commit()
            await connect(store, name="tajny text")

    with pytest.raises(IntegrityError) as refused:
        async with database.workspace(workspace_id) as store:
            await store.messages.add_text(NOWHERE, Requester(JAN), "tajny text", NOW)
    with pytest.raises(DatabaseAway) as away:
        await write_too_late()

    for error in (refused.value, away.value):
        assert "INSERT INTO" in str(error)
        assert "tajny text" not in str(error)


async def test_the_schema_has_no_revision_before_the_first_migration(
    file: Path, tmp_path: Path, open_database: OpenDatabase
) -> None:
    database = open_database(file=tmp_path / "new.sqlite3")

    before = await database.revision()
    await database.migrate()
    await database.migrate()

    assert before is None
    assert await database.revision() == migrations.head()


@pytest.fixture
def pragmas() -> Iterator[list[dict[str, Any]]]:
    """How each connection is set when a statement of ours comes to it."""
    seen: list[dict[str, Any]] = []

    def look(_connection: object, cursor: Any, text: str, *_: object) -> None:  # noqa: ANN401 - whatever driver
        if not text.startswith("SELECT"):
            return
        settings = {}
        for pragma in ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "busy_timeout"):
            cursor.execute(f"PRAGMA {pragma}")
            (settings[pragma],) = cursor.fetchone()
        seen.append(settings)

    event.listen(Engine, "before_cursor_execute", look)
    yield seen
    event.remove(Engine, "before_cursor_execute", look)


async def test_every_connection_lets_readers_by_holds_references_and_overwrites_what_goes(
    database: Database, file: Path, workspace_id: WorkspaceId, pragmas: list[dict[str, Any]]
) -> None:
    for block in (database.workspace, database.reading, database.glancing):
        async with block(workspace_id) as store:
            await store.connectors.count()
    async with database.workspace(workspace_id, at_length=True) as store:
        await store.connectors.count()
    async with database.operator() as operator:
        await operator.workspaces.exists(workspace_id)

    for_all = {"journal_mode": "wal", "foreign_keys": 1, "secure_delete": 1}
    assert [{name: settings[name] for name in for_all} for settings in pragmas] == [for_all] * 5
    assert [settings["busy_timeout"] for settings in pragmas] == [0, 5000, 10, 5000, 5000], "the loop's thread waits for nobody"


async def test_what_was_committed_survives_a_power_cut_unless_the_caller_does_without(
    database: Database, file: Path, workspace_id: WorkspaceId, pragmas: list[dict[str, Any]]
) -> None:
    normal, full = 1, 2

    for at_length in (False, True):
        for power_safe in (True, False, False, True):
            async with database.workspace(workspace_id, power_safe=power_safe, at_length=at_length) as store:
                await store.connectors.count()
    async with database.operator() as operator:
        await operator.workspaces.exists(workspace_id)

    assert [settings["synchronous"] for settings in pragmas] == [full, normal, normal, full] * 2 + [full]


async def test_closed_it_leaves_one_whole_file(database: Database, file: Path, workspace_id: WorkspaceId) -> None:
    await add_behind_the_last(database, workspace_id)
    assert len([*file.parent.glob("disqua.sqlite3*")]) == 3

    await database.close()

    assert [*file.parent.glob("disqua.sqlite3*")] == [file]
    with closing(sqlite3.connect(file)) as copy:
        assert copy.execute("SELECT count(*) FROM connectors").fetchone() == (1,)


async def test_of_many_who_open_a_new_file_at_once_none_is_refused(tmp_path: Path) -> None:
    pipe = asyncio.subprocess.PIPE
    arguments = [sys.executable, "-c", OPEN_EACH_FILE]
    processes = [await asyncio.create_subprocess_exec(*arguments, stdin=pipe, stdout=pipe) for _ in range(4)]

    for turn in range(20):
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(f"sqlite+aiosqlite:///{tmp_path / f'new{turn}.sqlite3'}\n".encode())
        for process in processes:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"open\n"

    for process in processes:
        await process.communicate(b"")
