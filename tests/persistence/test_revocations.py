from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from persistence.revocations import SPENT
from tests.persistence.samples import HOUR, NOW

if TYPE_CHECKING:
    from domain.identity import WorkspaceId
    from persistence.database import Database


async def test_a_token_is_revoked_once(database: Database) -> None:
    async with database.operator() as store:
        assert await store.revocations.add("a", NOW)
        assert not await store.revocations.add("a", NOW)
        assert await store.revocations.contains("a")
        assert not await store.revocations.contains("b")


async def test_each_look_brings_what_is_new_since_the_last(database: Database, neighbour: Database) -> None:
    async with neighbour.operator_reading() as store:
        nothing = await store.revocations.news(0)
    async with database.operator() as store:
        await store.revocations.add("a", NOW)
        await store.revocations.add("b", NOW)
    async with neighbour.operator_reading() as store:
        first = await store.revocations.news(nothing.newest)
    async with database.operator() as store:
        await store.revocations.add("c", NOW)
    async with neighbour.operator_reading() as store:
        second = await store.revocations.news(first.newest)
        third = await store.revocations.news(second.newest)

    assert [news.tokens for news in (nothing, first, second, third)] == [set(), {"a", "b"}, {"c"}, set()]
    assert nothing.newest == 0
    assert third.newest == second.newest > first.newest


async def test_each_look_brings_every_workspace_that_is_suspended(
    database: Database, workspace_id: WorkspaceId, other_workspace_id: WorkspaceId
) -> None:
    async with database.operator() as store:
        assert await store.workspaces.suspend(workspace_id, NOW)
        assert not await store.workspaces.suspend(workspace_id, NOW)
        assert (await store.revocations.news(0)).suspended == {workspace_id}
        assert {one.id: one.suspended_at for one in await store.workspaces.all()} == {workspace_id: NOW, other_workspace_id: None}
        assert await store.workspaces.resume(workspace_id)
        assert not await store.workspaces.resume(workspace_id)
        assert (await store.revocations.news(0)).suspended == set()


async def test_a_revocation_is_kept_until_its_token_has_ended_by_itself(database: Database) -> None:
    async with database.operator() as store:
        await store.revocations.add("for ever", NOW)
        await store.revocations.add("spent", NOW, expires_at=NOW + HOUR)
        await store.revocations.add("longer", NOW, expires_at=NOW + timedelta(days=9))
        await store.revocations.add("newest", NOW, expires_at=NOW + HOUR)

        assert await store.revocations.sweep(NOW + SPENT) == 0
        assert await store.revocations.sweep(NOW + HOUR + SPENT + HOUR) == 1
        assert (await store.revocations.news(0)).tokens == {"for ever", "longer", "newest"}


async def test_no_number_is_given_twice_whatever_was_swept(database: Database) -> None:
    async with database.operator() as store:
        await store.revocations.add("spent", NOW, expires_at=NOW)
        seen = (await store.revocations.news(0)).newest
        await store.revocations.sweep(NOW + timedelta(days=9))
        await store.revocations.add("new", NOW)

        assert (await store.revocations.news(seen)).tokens == {"new"}
