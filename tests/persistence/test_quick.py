from __future__ import annotations

import gc
import sqlite3
import weakref
from contextlib import closing
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from sqlalchemy import (
    bindparam,
    create_engine,
    delete,
    event,
    func,
    insert,
    select,
    type_coerce,
    update,
)
from sqlalchemy.exc import IntegrityError, InvalidRequestError, MultipleResultsFound, NoResultFound
from sqlalchemy.types import NullType
from sqlmodel import SQLModel

from persistence.prepared import Statements
from persistence.quick import QuickConnection
from persistence.tables import workspaces
from tests.persistence.values import NOW, some_value

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine, Select

TABLES = SQLModel.metadata.tables


@pytest.fixture
def engine(file: Path) -> Iterator[Engine]:
    """The way through SQLAlchemy's engine; no row needs another."""
    engine = create_engine(f"sqlite:///{file}", hide_parameters=True)
    yield engine
    engine.dispose()


@pytest.fixture
def quick(file: Path, engine: Engine) -> Iterator[QuickConnection]:
    """The quick way, to the same file."""
    with closing(sqlite3.connect(file, isolation_level=None)) as driver:
        yield QuickConnection(driver, Statements(engine.dialect), engine)


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("name", TABLES)
async def test_both_ways_write_the_same_bytes_and_read_the_same_values(
    file: Path, engine: Engine, quick: QuickConnection, name: str, turn: int
) -> None:
    table = TABLES[name]
    row = {column.name: some_value(column, turn) for column in table.c}
    held = [column for named in table.c for column in (type_coerce(named, NullType()), func.typeof(named))]

    with engine.begin() as connection:
        connection.execute(insert(table).values(row))
        written = connection.execute(select(*held)).all()
        read = connection.execute(select(table)).all()
        connection.execute(delete(table))
    await quick.execute(insert(table).values(row))

    assert (await quick.execute(select(*held))).all() == written
    (found,) = (await quick.execute(select(table))).all()
    assert [found] == read
    assert {column.name: getattr(found, column.name) for column in table.c} == dict(read[0]._mapping)  # noqa: SLF001
    with engine.connect() as connection:
        assert connection.execute(select(*held)).all() == written


async def add_workspaces(quick: QuickConnection, *names: str) -> None:
    for number, name in enumerate(names):
        values = {"id": UUID(int=number), "name": name, "created_at": NOW}
        await quick.execute(insert(workspaces).values(values))


async def test_a_statement_that_is_built_anew_says_its_own_values(quick: QuickConnection) -> None:
    await add_workspaces(quick, "a", "b", "c")

    def numbered(number: int) -> Select[str]:
        return select(workspaces.c.name).where(workspaces.c.id == UUID(int=number)).limit(1)

    kept = numbered(1)
    found = [(await quick.execute(statement)).scalar() for statement in (numbered(0), kept, numbered(2), kept, numbered(7))]

    assert found == ["a", "b", "c", "b", None]


async def test_a_statement_that_cannot_be_known_again_is_let_go_of(quick: QuickConnection) -> None:
    statement = insert(workspaces).values([{"id": UUID(int=9), "name": "a", "created_at": NOW}])
    known_to_us = weakref.ref(statement)
    await quick.execute(statement)

    del statement
    gc.collect()

    assert known_to_us() is None


async def test_a_column_that_an_insert_does_not_name_gets_what_its_table_says(quick: QuickConnection) -> None:
    await add_workspaces(quick, "a")

    assert (await quick.execute(select(workspaces.c.tickets_opened, workspaces.c.suspended_at))).one() == (0, None)


OF_SOME = select(workspaces.c.name).where(
    workspaces.c.name != bindparam("but", "", type_=workspaces.c.name.type),
    workspaces.c.id.in_(bindparam("ids", type_=workspaces.c.id.type, expanding=True)),
)


async def test_a_list_has_as_many_places_as_it_has_elements(quick: QuickConnection) -> None:
    await add_workspaces(quick, *"abcdef")

    for chosen in ([], [3], [5, 0], [], [1, 2, 3, 4], [0, 5], [9, 9, 2]):
        ids = [UUID(int=number) for number in chosen]
        expected = sorted({"abcdef"[number] for number in chosen if number < 6})
        assert sorted((await quick.execute(OF_SOME, {"ids": ids})).scalars()) == expected
        built = select(workspaces.c.name).where(workspaces.c.id.in_(ids))
        assert sorted((await quick.execute(built)).scalars()) == expected
        but_d = (await quick.execute(OF_SOME, {"but": "d", "ids": ids})).scalars()
        assert sorted(but_d) == [name for name in expected if name != "d"]


async def test_a_value_that_is_missing_is_an_error_and_no_null(quick: QuickConnection) -> None:
    with pytest.raises(InvalidRequestError, match="value is required"):
        await quick.execute(select(workspaces).where(workspaces.c.name == bindparam("name")))


async def test_rows_are_counted_found_and_returned_as_the_engine_does(quick: QuickConnection) -> None:
    await add_workspaces(quick, "a", "b")
    names, nobody = select(workspaces.c.name).order_by(workspaces.c.name), workspaces.c.name == "z"

    both = await quick.execute(names)
    assert ([*both], both.all(), [*both.scalars()]) == ([("a",), ("b",)], [("a",), ("b",)], ["a", "b"])
    assert (both.first(), both.scalar()) == (("a",), "a")
    with pytest.raises(MultipleResultsFound):
        both.one()
    none = await quick.execute(names.where(nobody))
    assert (none.all(), none.first(), none.scalar()) == ([], None, None)
    with pytest.raises(NoResultFound):
        none.scalar_one()
    assert (await quick.execute(names.limit(1))).scalar_one() == "a"

    renamed = update(workspaces).values(name=workspaces.c.name + "!")
    assert (await quick.execute(renamed)).rowcount == 2
    assert (await quick.execute(renamed.where(nobody))).rowcount == 0
    returned = await quick.execute(renamed.returning(workspaces.c.name, workspaces.c.created_at))
    assert sorted(returned.all()) == [("a!!", NOW), ("b!!", NOW)]


async def test_an_error_is_the_one_that_the_engine_would_raise(quick: QuickConnection, engine: Engine) -> None:
    await add_workspaces(quick, "a")
    once_more = insert(workspaces).values(id=UUID(int=0), name="tajny text", created_at=NOW)

    with pytest.raises(IntegrityError) as quickly:
        await quick.execute(once_more)
    with engine.connect() as connection, pytest.raises(IntegrityError) as slowly:
        connection.execute(once_more)

    assert str(quickly.value) == str(slowly.value).replace("[SQL parameters hidden due to hide_parameters=True]\n", "")
    assert "tajny text" not in str(quickly.value)


async def test_whoever_listens_to_the_engine_hears_the_statements(quick: QuickConnection, engine: Engine) -> None:
    heard: list[tuple[str, Any]] = []

    def hear(_connection: object, _cursor: object, text: str, values: object, *_: object) -> None:
        heard.append((text, values))

    event.listen(engine, "before_cursor_execute", hear)
    await quick.execute(select(workspaces.c.name).where(workspaces.c.id == UUID(int=7)))

    ((text, values),) = heard
    assert text.startswith("SELECT workspaces.name")
    assert values == (UUID(int=7).hex,)


async def test_whoever_listens_may_put_another_statement_in_the_place_of_one(quick: QuickConnection, engine: Engine) -> None:
    def replace(_connection: object, _cursor: object, _text: str, _values: object, *_: object) -> tuple[str, tuple[Any, ...]]:
        return "SELECT ?", ("another",)

    event.listen(engine, "before_cursor_execute", replace, retval=True)

    assert (await quick.execute(select(workspaces.c.name))).tuples() == [("another",)]
