"""Behind a pooler in transaction mode every transaction may meet another connection of the server's."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING

import psycopg
import pytest

from domain.identity import WorkspaceId, support_address
from persistence.database import Database, DatabaseAway
from persistence.tables import new_id
from tests.persistence.samples import NOW, open_ticket
from tests.stage.pooler import open_pooler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from persistence.encryption import KeyRing
    from tests.stage.postgres import PostgreSQL


@pytest.fixture(scope="module")
def pooler(postgres: PostgreSQL) -> Iterator[int]:
    """The pooler's port."""
    with ExitStack() as stack:
        try:
            port = stack.enter_context(open_pooler(postgres))
        except FileNotFoundError as error:
            pytest.skip(str(error))
        yield port


async def test_many_clients_share_two_connections_and_none_sees_what_another_said(
    postgres: PostgreSQL, pooler: int, keys: KeyRing
) -> None:
    with postgres.database() as name:
        url = postgres.url(name, scheme="postgresql+psycopg").replace(f":{postgres.port}/", f":{pooler}/")
        processes = [Database(url, keys) for _ in range(4)]
        async with processes[0].operator() as operator:
            ids = [
                await operator.workspaces.create("Disqua", [support_address(f"support@{number}.example")], NOW)
                for number in range(5)
            ]

        async def work(turn: int) -> None:
            process, workspace_id = processes[turn % 4], ids[turn % 5]
            async with process.workspace(workspace_id) as store:
                await open_ticket(store)
            async with process.reading(workspace_id) as store:
                assert {ticket.workspace_id for ticket in await store.tickets.newest(100)} == {workspace_id}
            async with process.reading(WorkspaceId(new_id())) as store:
                assert await store.tickets.newest(100) == []

        await asyncio.gather(*(work(turn) for turn in range(60)))
        with postgres.connect(name) as connection:
            used = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'disqua'").fetchone()
        with psycopg.connect(host="127.0.0.1", port=pooler, user="disqua", dbname=name, autocommit=True) as connection:
            left = {connection.execute("SELECT current_setting('disqua.workspace', true)").fetchone() for _ in range(10)}
        for workspace_id in ids:
            async with processes[0].reading(workspace_id) as store:
                assert await store.tickets.newest_number() == 12
        for process in processes:
            await process.close()

    assert used == (2,)
    assert left == {("",)}


async def test_a_pooler_without_a_server_is_away(postgres: PostgreSQL, pooler: int, keys: KeyRing) -> None:
    url = postgres.url("nowhere", scheme="postgresql+psycopg").replace(f":{postgres.port}/", f":{pooler}/")
    database = Database(url, keys)

    with pytest.raises(DatabaseAway):
        await database.ping()
    await database.close()
