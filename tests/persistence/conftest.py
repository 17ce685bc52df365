"""A database for each test, and what a test may watch it with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from sqlalchemy import Engine, event

from domain.identity import WorkspaceId, support_address
from persistence.database import Database
from persistence.encryption import KeyRing
from tests.persistence.samples import NOW
from tests.stage.back_door import BackDoor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    OpenDatabase = Callable[..., Database]

settings.register_profile("persistence", deadline=None)  # a busy machine is no fault of a rule
settings.load_profile("persistence")


@dataclass(frozen=True)
class Statement:
    """One statement as it went to the driver."""

    text: str
    parameters: Any


@dataclass(frozen=True)
class Statements:
    """Every statement, the beginning of transactions left out."""

    seen: list[Statement] = field(default_factory=list)

    def record(self, _connection: object, _cursor: object, text: str, parameters: Any, *_: object) -> None:  # noqa: ANN401
        if not text.startswith(("BEGIN", "SELECT set_config(")):
            self.seen.append(Statement(text, parameters))


@pytest.fixture
def statements() -> Iterator[Statements]:
    """What is sent to any database from now on."""
    recorded = Statements()
    event.listen(Engine, "before_cursor_execute", recorded.record)
    yield recorded
    event.remove(Engine, "before_cursor_execute", recorded.record)


@pytest.fixture
def keys() -> KeyRing:
    return KeyRing({"k1": bytes(range(32))})


@pytest.fixture
def back_door(url: str) -> BackDoor:
    """A look at the database from outside."""
    return BackDoor(url)


@pytest.fixture
async def open_database(url: str, keys: KeyRing) -> AsyncIterator[OpenDatabase]:
    """Opens the test's database, or another, with the test's keys, or others, until the test ends."""
    opened: list[Database] = []

    def open_one(keys: KeyRing = keys, *, file: Path | None = None, url: str = url, **options: Any) -> Database:  # noqa: ANN401
        opened.append(Database(url if file is None else f"sqlite+aiosqlite:///{file}", keys, **options))
        return opened[-1]

    yield open_one
    for database in opened:
        await database.close()


@pytest.fixture
def database(open_database: OpenDatabase) -> Database:
    return open_database()


@pytest.fixture
def neighbour(open_database: OpenDatabase) -> Database:
    """The same database as another process has it: with locks and connections of its own."""
    return open_database()


@pytest.fixture
async def workspace_id(database: Database) -> WorkspaceId:
    async with database.operator() as store:
        return await store.workspaces.create("Disqua", [support_address("support@disqua.example")], NOW)


@pytest.fixture
async def other_workspace_id(database: Database) -> WorkspaceId:
    async with database.operator() as store:
        return await store.workspaces.create("Another", [support_address("support@another.example")], NOW)
