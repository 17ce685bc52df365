from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlmodel import SQLModel

from domain.identity import EmailAddress
from domain.lookup import LookupTrigger
from persistence.lookups import Ending
from persistence.tables import new_id
from tests.persistence.calls import CALLS, some_of_everything
from tests.persistence.samples import FOUND, NOW, open_ticket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from domain.identity import WorkspaceId
    from persistence.database import Database
    from persistence.lookups import OpenLookups
    from tests.persistence.calls import Rows
    from tests.persistence.conftest import Statements


def plans(file: Path, statements: Statements) -> Iterator[str]:
    """What SQLite does to carry out each of the statements."""
    assert statements.seen
    with closing(sqlite3.connect(file)) as connection:
        for statement in statements.seen:
            for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement.text}", statement.parameters):
                yield step


@pytest.fixture
async def rows(database: Database, workspace_id: WorkspaceId) -> Rows:
    async with database.workspace(workspace_id) as store:
        return await some_of_everything(store)


@pytest.mark.parametrize("name", CALLS)
async def test_no_statement_of_a_workspace_reads_a_whole_table(
    database: Database, file: Path, workspace_id: WorkspaceId, statements: Statements, rows: Rows, name: str
) -> None:
    async with database.workspace(workspace_id) as store:
        statements.seen.clear()
        await CALLS[name](store, rows)

    whole_tables = tuple(f"SCAN {table}" for table in SQLModel.metadata.tables)
    assert [step for step in plans(file, statements) if step.startswith(whole_tables)] == []


@pytest.mark.parametrize(
    "name",
    [
        "audit.newest",
        "audit.newest (next page)",
        "lookups.newest",
        "standings.newest",
        "standings.newest (next page)",
        "standings.newest (of a requester)",
        "standings.newest (of a requester, next page)",
        "tickets.newest",
        "tickets.newest (next page)",
        "tickets.newest (of a requester)",
        "tickets.newest (of a requester, next page)",
        "tickets.opened_after",
    ],
)
async def test_the_first_of_a_long_list_is_found_without_sorting_it(
    database: Database, file: Path, workspace_id: WorkspaceId, statements: Statements, rows: Rows, name: str
) -> None:
    async with database.workspace(workspace_id) as store:
        statements.seen.clear()
        await CALLS[name](store, rows)

    assert [step for step in plans(file, statements) if "TEMP B-TREE" in step] == []


SWEEPS: dict[str, Callable[[OpenLookups], Awaitable[object]]] = {
    "abandoned": lambda lookups: lookups.abandoned(NOW),
    "waiting": lambda lookups: lookups.waiting(NOW),
    "depth": lambda lookups: lookups.depth(),
}


@pytest.mark.parametrize("name", SWEEPS)
async def test_the_sweeper_reads_open_lookups_alone(
    database: Database, file: Path, statements: Statements, rows: Rows, name: str
) -> None:
    async with database.operator_reading() as operator:
        statements.seen.clear()
        await SWEEPS[name](operator.lookups)

    steps = [step for step in plans(file, statements) if "lookups" in step]
    assert steps
    assert all(" USING " in step and "INDEX ix_lookups_" in step for step in steps), steps


async def test_joining_a_lookup_does_not_read_the_backlog_of_its_connector(
    database: Database, file: Path, workspace_id: WorkspaceId, statements: Statements, rows: Rows
) -> None:
    async with database.workspace(workspace_id) as store:
        statements.seen.clear()
        await CALLS["lookups.queue (joining)"](store, rows)

    (joining,) = [step for step in plans(file, statements) if step.startswith("SEARCH lookups")]
    assert joining == "SEARCH lookups USING INDEX uq_lookups_one_under_way (connector_id=? AND email=?)"


@pytest.mark.parametrize("analyzed", [False, True], ids=["as we leave it", "analyzed"])
async def test_a_long_backlog_and_a_long_log_change_no_plan(
    database: Database, file: Path, workspace_id: WorkspaceId, statements: Statements, rows: Rows, *, analyzed: bool
) -> None:
    async with database.workspace(workspace_id) as store:
        for number in range(100):
            email = EmailAddress(f"{number}@firma.cz")
            ticket = await open_ticket(store, email)
            await store.lookups.queue(rows.connector.id, ticket.id, email, LookupTrigger.TICKET, NOW)
            test = await store.lookups.claim_test(rows.connector.id, email, NOW)
            await store.lookups.finish(test, Ending(outcome=FOUND), NOW)
    if analyzed:
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("ANALYZE")

    async with database.workspace(workspace_id) as store:
        statements.seen.clear()
        await store.lookups.claim_next(NOW)

    heads = "ix_lookups_queued (workspace_id=? AND connector_id=? AND urgent=?)"
    running = "ix_lookups_running (workspace_id=?"
    read = [step for step in plans(file, statements) if "lookups" in step]
    assert [step for step in read if heads not in step and running not in step and "(id=?)" not in step] == []


async def test_a_page_of_tickets_is_found_by_its_ids_however_many_there_are(
    database: Database, file: Path, workspace_id: WorkspaceId, statements: Statements, rows: Rows
) -> None:
    async with database.workspace(workspace_id) as store:
        page = [(await open_ticket(store, EmailAddress(f"{number}@firma.cz"))).id for number in range(30)]
    async with database.glancing(workspace_id) as store:
        statements.seen.clear()
        await store.standings.ticket(page[0])
        await store.standings.of(page)
        await store.messages.of_tickets(page, 10)

    steps = [step for step in plans(file, statements) if "SEARCH tickets" in step or "SEARCH messages" in step]
    assert len(steps) == 3
    assert all("(id=?" in step or "(ticket_id=?" in step for step in steps), steps


def test_later_ids_sort_after_earlier_ones() -> None:
    ids = [new_id() for _ in range(10_000)]

    assert ids == sorted(ids)
    assert len(set(ids)) == 10_000
    assert {made.version for made in ids} == {7}


@pytest.mark.parametrize("name", ["tickets.newest (of a requester)", "tickets.newest (of a requester, next page)"])
async def test_the_tickets_of_a_requester_are_found_without_looking_at_those_of_others(
    database: Database, file: Path, workspace_id: WorkspaceId, statements: Statements, rows: Rows, name: str
) -> None:
    async with database.workspace(workspace_id) as store:
        statements.seen.clear()
        await CALLS[name](store, rows)

    assert any("(workspace_id=? AND requester_email=?" in step for step in plans(file, statements))
