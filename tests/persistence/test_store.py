from __future__ import annotations

import inspect
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel

from domain.erasure import Erased
from domain.health import TrackRecord
from domain.identity import WorkspaceId
from persistence.kept import Kept
from persistence.store import WorkspaceStore
from tests.persistence.calls import CALLS, Rows, some_of_everything

if TYPE_CHECKING:
    from persistence.database import Database
    from persistence.encryption import KeyRing
    from tests.stage.back_door import BackDoor

NOTHING: tuple[object, ...] = (None, False, 0, [], TrackRecord([]))

ADDS_ITS_OWN = ["tickets.open", "connectors.add", "audit.add"]
REFUSED = ["messages.add_email", "messages.add_text", "lookups.queue", "lookups.claim_test", "answers.record"]
"""What would add a row to another workspace's: no caller does it, and the database would not let it."""


async def call(database: Database, workspace_id: WorkspaceId, name: str, rows: Rows) -> object:
    async with database.workspace(workspace_id) as store:
        return await CALLS[name](store, rows)


def rows_about(back_door: BackDoor, theirs: Rows) -> list[tuple[object, ...]]:
    """Every row of every table that names the workspace or one of its rows."""
    ids: tuple[UUID, ...] = (theirs.claim.workspace_id, theirs.ticket.id, theirs.message_id, theirs.connector.id)
    names = {named.hex for named in ids}
    rows = [
        (table, *row)
        for table in SQLModel.metadata.tables
        for row in back_door.rows(f"SELECT * FROM {table} ORDER BY 1, 2")  # noqa: S608 - our own names
    ]
    return [row for row in rows if names.intersection(map(str, row))]


def is_nothing(found: object) -> bool:
    """Also by ticket: an unknown one with nothing; and a receipt for nothing."""
    if isinstance(found, Erased):
        return not any(asdict(found).values())
    return not any(found.values()) if isinstance(found, dict) else found in NOTHING


@pytest.fixture
async def theirs(database: Database, workspace_id: WorkspaceId, other_workspace_id: WorkspaceId) -> Rows:
    """What another workspace has; ours has nothing yet."""
    async with database.workspace(other_workspace_id) as store:
        return await some_of_everything(store)


def test_every_method_of_every_store_stands_in_the_table(keys: KeyRing) -> None:
    connection: Any = None  # nothing is called
    store = WorkspaceStore(connection, WorkspaceId(UUID(int=1)), keys, Kept(sqlite.dialect()))
    stores = {name: getattr(store, name) for name, _ in inspect.getmembers(WorkspaceStore, lambda one: isinstance(one, property))}
    methods = {
        f"{name}.{method}"
        for name, store in stores.items()
        for method, _ in inspect.getmembers(store, inspect.iscoroutinefunction)
        if not method.startswith("_")
    }

    assert methods == {name.partition(" ")[0] for name in CALLS}
    assert stores.keys() == {name.partition(".")[0] for name in CALLS}


@pytest.mark.parametrize("name", [name for name in CALLS if name not in {*REFUSED, *ADDS_ITS_OWN}])
async def test_whatever_is_asked_about_another_workspace_finds_and_changes_nothing(
    database: Database, back_door: BackDoor, workspace_id: WorkspaceId, theirs: Rows, name: str
) -> None:
    before = rows_about(back_door, theirs)

    found = await call(database, workspace_id, name, theirs)

    assert is_nothing(found), found
    assert rows_about(back_door, theirs) == before


@pytest.mark.parametrize("name", REFUSED)
async def test_nothing_can_be_added_to_what_another_workspace_has(
    database: Database, back_door: BackDoor, workspace_id: WorkspaceId, theirs: Rows, name: str
) -> None:
    before = rows_about(back_door, theirs)

    with pytest.raises(IntegrityError, match=r"(?i)foreign key constraint"):
        await call(database, workspace_id, name, theirs)

    assert rows_about(back_door, theirs) == before


@pytest.mark.parametrize("name", ADDS_ITS_OWN)
async def test_what_a_workspace_adds_for_itself_leaves_the_others_alone(
    database: Database, back_door: BackDoor, workspace_id: WorkspaceId, theirs: Rows, name: str
) -> None:
    before = rows_about(back_door, theirs)

    await call(database, workspace_id, name, theirs)

    assert rows_about(back_door, theirs) == before


@pytest.mark.parametrize("name", CALLS)
async def test_in_its_own_workspace_each_of_them_finds_or_changes_something(
    database: Database, back_door: BackDoor, other_workspace_id: WorkspaceId, theirs: Rows, name: str
) -> None:
    before = rows_about(back_door, theirs)

    found = await call(database, other_workspace_id, name, theirs)

    assert not is_nothing(found) or rows_about(back_door, theirs) != before
