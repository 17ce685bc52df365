"""Short transactions on asyncpg itself; what both kinds of database promise is in test_database.py."""

from __future__ import annotations

import asyncio
import random
import traceback
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import bindparam, delete, func, insert, select, text, type_coerce, update
from sqlalchemy.exc import IntegrityError, MultipleResultsFound, NoResultFound
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.types import NullType
from sqlmodel import SQLModel

from domain.identity import WorkspaceId, support_address
from persistence.database import Database, DatabaseAway
from persistence.lines import Lines
from persistence.tables import new_id, workspaces
from tests.persistence.samples import NOW, connect, open_ticket
from tests.persistence.values import some_value
from tests.stage.proxy import open_proxy
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sqlalchemy import Column
    from sqlalchemy.ext.asyncio import AsyncEngine

    from persistence.encryption import KeyRing
    from persistence.line import Line
    from tests.stage.postgres import PostgreSQL

TABLES = SQLModel.metadata.tables
SCHEME = "postgresql+asyncpg"
AT_MOST = 15
"""Connections of one process, as docs/operating.md says."""


@pytest.fixture
def name(postgres: PostgreSQL) -> Iterator[str]:
    """A database with the newest schema."""
    with postgres.database() as name:
        yield name


@pytest.fixture
async def engine(postgres: PostgreSQL, name: str) -> AsyncIterator[AsyncEngine]:
    """The way through SQLAlchemy's async layer, as a role that may write rows without those that they refer to."""
    engine = create_async_engine(postgres.url(name, scheme=SCHEME, role="postgres"), hide_parameters=True)
    yield engine
    await engine.dispose()


@pytest.fixture
async def line(engine: AsyncEngine) -> AsyncIterator[Line]:
    """The quick way, to the same database, in a transaction."""
    lines = Lines(engine, at_most=1, is_doubted=lambda _: False)
    line = await lines.take()
    await line.say("BEGIN; SET LOCAL session_replication_role = replica")
    yield line
    lines.end(line, "ROLLBACK")
    await lines.close()


def value_for_a_server(column: Column[Any], turn: int) -> object:
    """PostgreSQL has smaller integers, and no text with a zero in it."""
    match some_value(column, turn):
        case str() as value:
            return value.replace("\0", "")
        case int() as value if not isinstance(value, bool):
            return min(value, 2**31 - 1)
        case value:
            return value


# Both ways are one


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("name_of_table", TABLES)
async def test_both_ways_write_the_same_and_read_the_same_values(
    engine: AsyncEngine, line: Line, name_of_table: str, turn: int
) -> None:
    table = TABLES[name_of_table]
    row = {column.name: value_for_a_server(column, turn) for column in table.c}
    held = [func.encode(func.convert_to(type_coerce(func.row(*table.c).op("::")(text("text")), NullType()), "UTF8"), "hex")]
    async with engine.connect() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        await connection.execute(insert(table).values(row))
        written = (await connection.execute(select(*held))).all()
        read = (await connection.execute(select(table))).all()
        as_returned = (await connection.execute(select(*(type_coerce(column, NullType()) for column in table.c)))).all()

    await line.execute(insert(table).values(row))

    assert (await line.execute(select(*held))).all() == written
    (found,) = (await line.execute(select(table))).all()
    assert [found] == read
    assert {column.name: getattr(found, column.name) for column in table.c} == dict(read[0]._mapping)  # noqa: SLF001
    assert (await line.execute(select(*(type_coerce(column, NullType()) for column in table.c)))).all() == as_returned
    assert (await line.execute(delete(table))).rowcount == 1


async def add_workspaces(line: Line, *names: str) -> None:
    for name in names:
        await line.execute(insert(workspaces).values(id=new_id(), name=name, created_at=NOW))


async def test_rows_are_counted_found_and_returned_as_the_engine_does(line: Line) -> None:
    await add_workspaces(line, "a", "b")
    names, nobody = select(workspaces.c.name).order_by(workspaces.c.name), workspaces.c.name == "z"

    both = await line.execute(names)
    assert ([*both], [*both.scalars()], both.first(), both.scalar()) == ([("a",), ("b",)], ["a", "b"], ("a",), "a")
    with pytest.raises(MultipleResultsFound):
        both.one()
    with pytest.raises(NoResultFound):
        (await line.execute(names.where(nobody))).scalar_one()
    renamed = update(workspaces).values(name=workspaces.c.name + "!")
    assert (await line.execute(renamed)).rowcount == 2
    assert (await line.execute(renamed.where(nobody))).rowcount == 0
    returned = await line.execute(renamed.returning(workspaces.c.name, workspaces.c.tickets_opened))
    assert sorted(returned.all()) == [("a!!", 0), ("b!!", 0)]


OF_SOME = select(workspaces.c.name).where(
    workspaces.c.name != bindparam("but", "", type_=workspaces.c.name.type),
    workspaces.c.name.in_(bindparam("names", type_=workspaces.c.name.type, expanding=True)),
    workspaces.c.name != bindparam("but", "", type_=workspaces.c.name.type),
)


async def test_a_list_has_as_many_places_as_it_has_elements(line: Line) -> None:
    await add_workspaces(line, *"abcdef")

    for chosen in ("", "d", "fa", "", "bcde", "af", "zzc"):
        found = (await line.execute(OF_SOME, {"but": "d", "names": [*chosen]})).scalars()
        assert sorted(found) == sorted(set(chosen) & set("abcef"))


async def test_an_error_is_the_one_that_the_engine_would_raise_and_has_no_value(engine: AsyncEngine, line: Line) -> None:
    row = {"id": new_id(), "name": "tajny text", "created_at": NOW}
    once_more = insert(workspaces).values([row, row])

    with pytest.raises(IntegrityError) as quickly:
        await line.execute(once_more)
    async with engine.connect() as connection:
        with pytest.raises(IntegrityError) as slowly:
            await connection.execute(once_more)

    hidden = "[SQL parameters hidden due to hide_parameters=True]\n"
    assert str(quickly.value) == str(slowly.value).replace(hidden, "")
    assert quickly.value.orig is not None
    assert quickly.value.orig.sqlstate == "23505"  # type: ignore[attr-defined]
    assert str(row["id"]) not in "".join(traceback.format_exception(quickly.value))


# Snapshots


@pytest.fixture
async def database(postgres: PostgreSQL, name: str, keys: KeyRing) -> AsyncIterator[Database]:
    database = Database(postgres.url(name, scheme=SCHEME), keys)
    yield database
    await database.close()


@pytest.fixture
async def ids(database: Database) -> list[WorkspaceId]:
    """Two workspaces, each with a ticket."""
    async with database.operator() as operator:
        ids = [
            await operator.workspaces.create("Disqua", [support_address(f"support@{number}.example")], NOW) for number in range(2)
        ]
    for workspace_id in ids:
        async with database.workspace(workspace_id) as store:
            await open_ticket(store)
    return ids


def everything() -> Any:  # noqa: ANN401 - a statement
    """The workspaces of all tickets, whoever asks: a statement that forgot its tenant."""
    return select(TABLES["tickets"].c.workspace_id)


async def seen_by(database: Database, workspace_id: WorkspaceId) -> set[object]:
    async with database.glancing(workspace_id) as store:
        found = await store.tickets._connection.execute(everything())  # noqa: SLF001 - no store forgets it
        return set(found.scalars())


async def test_the_second_wall_stands_whoever_had_the_connection_before(database: Database, ids: list[WorkspaceId]) -> None:
    strangers = [WorkspaceId(new_id()) for _ in range(2)]
    order = [*ids, *strangers] * 20
    random.Random(7).shuffle(order)

    seen = await asyncio.gather(*(seen_by(database, workspace_id) for workspace_id in order))

    assert seen == [{workspace_id} & set(ids) for workspace_id in order]


async def test_a_glance_is_one_snapshot_and_can_write_nothing(database: Database, ids: list[WorkspaceId]) -> None:
    async with database.glancing(ids[0]) as store:
        assert await store.tickets.newest_number() == 1
        async with database.workspace(ids[0]) as writing:
            await open_ticket(writing)
        assert await store.tickets.newest_number() == 1
    with pytest.raises(DatabaseAway, match="read-only"):
        async with database.glancing(ids[0]) as store:
            await connect(store)
    async with database.glancing(ids[0]) as store:
        assert await store.tickets.newest_number() == 2


async def test_what_is_no_id_never_becomes_a_statement(database: Database, ids: list[WorkspaceId]) -> None:
    wrong: Any = "*'; RESET ALL; --"

    with pytest.raises(ValueError, match="UUID"):
        await seen_by(database, wrong)

    assert await seen_by(database, ids[0]) == {ids[0]}


def states(postgres: PostgreSQL, name: str) -> list[str]:
    with postgres.connect() as admin:
        found = admin.execute("SELECT state FROM pg_stat_activity WHERE datname = %s", [name]).fetchall()
    return [state for (state,) in found]


async def all_are_idle(postgres: PostgreSQL, name: str) -> None:
    """Return when no transaction is open."""

    async def look() -> bool:
        return set(states(postgres, name)) <= {"idle"}

    await eventually(look)


@pytest.mark.parametrize("seed", range(4))
async def test_whoever_is_cancelled_at_any_moment_leaves_the_next_one_a_whole_connection(
    postgres: PostgreSQL, name: str, database: Database, ids: list[WorkspaceId], seed: int
) -> None:
    chance = random.Random(seed)

    async def disturb(tasks: list[asyncio.Task[set[object]]]) -> None:
        for task in chance.sample(tasks, 100):
            await asyncio.sleep(chance.choice([0, 0, 0.0005]))
            task.cancel()

    order = [chance.choice(ids) for _ in range(200)]
    tasks = [asyncio.create_task(seen_by(database, workspace_id)) for workspace_id in order]
    ends = await asyncio.gather(*tasks, disturb(tasks), return_exceptions=True)

    for workspace_id, end in zip(order, ends[:-1], strict=True):
        assert isinstance(end, asyncio.CancelledError) or end == {workspace_id}
    assert await asyncio.gather(*(seen_by(database, workspace_id) for workspace_id in order)) == [{one} for one in order]
    await all_are_idle(postgres, name)
    assert len(states(postgres, name)) <= AT_MOST


async def test_a_process_never_has_more_connections_than_it_says(
    postgres: PostgreSQL, name: str, database: Database, ids: list[WorkspaceId]
) -> None:
    async def look(number: int) -> int:
        if number % 3:
            await seen_by(database, ids[number % 2])
        else:
            await database.ping()
        return len(states(postgres, name))

    assert max(await asyncio.gather(*(look(number) for number in range(100)))) <= AT_MOST


async def test_a_glance_that_is_cut_off_is_away_and_the_next_one_meets_no_dead_connection(
    postgres: PostgreSQL, name: str, database: Database, ids: list[WorkspaceId]
) -> None:
    async def look_and_be_cut_off() -> None:
        async with database.glancing(ids[0]) as store:
            end_all(postgres, name)
            await store.tickets.newest_number()

    await asyncio.gather(*(seen_by(database, ids[0]) for _ in range(10)))
    with pytest.raises(DatabaseAway):
        await look_and_be_cut_off()

    await asyncio.gather(*(seen_by(database, ids[0]) for _ in range(10)))


def end_all(postgres: PostgreSQL, name: str) -> None:
    with postgres.connect() as connection:
        connection.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [name])


@pytest.mark.timed
async def test_connections_that_fall_silent_are_away_in_time_and_trusted_no_more(
    postgres: PostgreSQL, name: str, ids: list[WorkspaceId], keys: KeyRing
) -> None:
    async with open_proxy(postgres.port) as proxy:
        url = postgres.url(name, scheme=SCHEME).replace(f":{postgres.port}/", f":{proxy.port}/")
        far = Database(url, keys, patience=timedelta(seconds=1))
        await asyncio.gather(*(seen_by(far, ids[0]) for _ in range(10)))
        proxy.half_open()

        async with asyncio.timeout(4):
            with pytest.raises(DatabaseAway):
                await seen_by(far, ids[0])
        proxy.mend()

        assert await asyncio.gather(*(seen_by(far, ids[0]) for _ in range(10))) == [{ids[0]}] * 10
        await far.close()


# Writers


@pytest.mark.parametrize("seed", range(4))
async def test_writers_of_two_processes_who_are_cancelled_at_any_moment_leave_whole_blocks_and_whole_connections(
    postgres: PostgreSQL, name: str, database: Database, ids: list[WorkspaceId], keys: KeyRing, seed: int
) -> None:
    chance = random.Random(seed)
    neighbour = Database(postgres.url(name, scheme=SCHEME), keys)

    async def write(at: Database, name: str) -> None:
        async with at.workspace(ids[0]) as store:
            await connect(store, name=f"{name} begun")
            if chance.random() < 0.5:
                await asyncio.sleep(chance.choice([0, 0.001]))
            await connect(store, name=f"{name} whole")

    async def disturb(tasks: list[asyncio.Task[None]]) -> None:
        for task in chance.sample(tasks, 40):
            await asyncio.sleep(chance.choice([0, 0, 0.005]))
            task.cancel()

    tasks = [asyncio.create_task(write(at, f"{number:03}")) for number in range(40) for at in (database, neighbour)]
    ends = await asyncio.gather(*tasks, disturb(tasks), return_exceptions=True)

    assert {type(end) for end in ends} == {type(None), asyncio.CancelledError}
    await asyncio.gather(*(write(at, "after") for at in (database, neighbour)))
    await all_are_idle(postgres, name)
    await neighbour.close()
    async with database.glancing(ids[0]) as store:
        names = [connector.name for connector in await store.connectors.all()]
    begun, whole = (sorted(name.split()[0] for name in names if name.endswith(end)) for end in ("begun", "whole"))
    assert begun == whole
    assert len(whole) >= sum(end is None for end in ends[:-1]) + 2


async def test_a_block_that_raises_leaves_nothing_and_keeps_its_connection(
    postgres: PostgreSQL, name: str, database: Database, ids: list[WorkspaceId]
) -> None:
    async def fail() -> None:
        async with database.workspace(ids[0]) as store:
            await connect(store)
            raise LookupError

    before = len(states(postgres, name))
    for _ in range(5):
        with pytest.raises(LookupError):
            await fail()
        await all_are_idle(postgres, name)

    assert len(states(postgres, name)) == before
    async with database.glancing(ids[0]) as store:
        assert await store.connectors.count() == 0
