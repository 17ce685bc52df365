from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from sqlalchemy.exc import IntegrityError

from domain.identity import EmailAddress, WorkspaceId, email_address
from persistence.workspaces import AddressTaken, Workspace
from tests.persistence.samples import NOW, SECOND

if TYPE_CHECKING:
    from persistence.database import Database

SUPPORT = EmailAddress("support@disqua.example")
SALES = EmailAddress("sales@disqua.example")
ANOTHER = EmailAddress("support@another.example")
NOBODY = WorkspaceId(UUID(int=1))


async def test_a_workspace_comes_back_as_it_was_made(database: Database) -> None:
    async with database.operator() as store:
        workspace_id = await store.workspaces.create("Disqua č. 1", [SALES, SUPPORT, SALES], NOW)

        assert await store.workspaces.get(workspace_id) == Workspace(workspace_id, "Disqua č. 1", (SALES, SUPPORT))
        assert await store.workspaces.exists(workspace_id)


async def test_a_workspace_may_do_without_addresses(database: Database) -> None:
    async with database.operator() as store:
        workspace_id = await store.workspaces.create("Quiet", [], NOW)

        assert await store.workspaces.get(workspace_id) == Workspace(workspace_id, "Quiet", ())


async def test_an_unknown_workspace_is_none(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.operator_reading() as store:
        assert await store.workspaces.get(NOBODY) is None
        assert not await store.workspaces.exists(NOBODY)


async def test_all_workspaces_come_oldest_first(
    database: Database, workspace_id: WorkspaceId, other_workspace_id: WorkspaceId
) -> None:
    async with database.operator() as store:
        last = await store.workspaces.create("A", [], NOW)

        found = [workspace.id for workspace in await store.workspaces.all()]

    assert found == [workspace_id, other_workspace_id, last]


async def test_two_workspaces_may_bear_one_name(database: Database) -> None:
    async with database.operator() as store:
        assert await store.workspaces.create("Disqua", [], NOW) != await store.workspaces.create("Disqua", [], NOW)


async def test_addresses_come_oldest_first_and_those_of_one_moment_by_name(database: Database, workspace_id: WorkspaceId) -> None:
    later = [EmailAddress("b@disqua.example"), EmailAddress("a@disqua.example")]

    async with database.operator() as store:
        for address in later:
            await store.workspaces.add_address(workspace_id, address, NOW + SECOND)
        workspace = await store.workspaces.get(workspace_id)

    assert workspace is not None
    assert workspace.support_addresses == (SUPPORT, *reversed(later))


async def test_an_address_it_already_has_stays_as_it_is(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.operator() as store:
        await store.workspaces.add_address(workspace_id, SALES, NOW + SECOND)

        await store.workspaces.add_address(workspace_id, SUPPORT, NOW + 2 * SECOND)

        workspace = await store.workspaces.get(workspace_id)
    assert workspace is not None
    assert workspace.support_addresses == (SUPPORT, SALES)


async def test_an_address_belongs_to_one_workspace(
    database: Database, workspace_id: WorkspaceId, other_workspace_id: WorkspaceId
) -> None:
    with pytest.raises(AddressTaken, match=r"support@another\.example belongs to another workspace"):
        async with database.operator() as store:
            await store.workspaces.add_address(workspace_id, ANOTHER, NOW)
    with pytest.raises(AddressTaken):
        async with database.operator() as store:
            await store.workspaces.create("Third", [SALES, ANOTHER], NOW)

    async with database.operator_reading() as store:
        assert await store.workspaces.receiving(ANOTHER) == other_workspace_id
        assert await store.workspaces.receiving(SALES) is None
        assert len(await store.workspaces.all()) == 2


async def test_an_address_of_no_workspace_is_not_stored(database: Database) -> None:
    with pytest.raises(IntegrityError):
        async with database.operator() as store:
            await store.workspaces.add_address(NOBODY, SALES, NOW)


async def test_an_address_that_was_taken_away_receives_nothing_and_is_free(
    database: Database, workspace_id: WorkspaceId, other_workspace_id: WorkspaceId
) -> None:
    async with database.operator() as store:
        assert await store.workspaces.remove_address(workspace_id, SUPPORT)
        assert not await store.workspaces.remove_address(workspace_id, SUPPORT)
        assert not await store.workspaces.remove_address(workspace_id, ANOTHER)

        assert await store.workspaces.receiving(SUPPORT) is None
        await store.workspaces.add_address(other_workspace_id, SUPPORT, NOW)
        assert await store.workspaces.receiving(SUPPORT) == other_workspace_id


@pytest.mark.parametrize(
    "recipient",
    ["support@disqua.example", "SUPPORT@Disqua.Example", "support+2026@disqua.example", "Support+a+b@DISQUA.example."],
)
async def test_a_recipient_is_found_in_any_letter_case_and_with_any_tag(
    database: Database, workspace_id: WorkspaceId, other_workspace_id: WorkspaceId, recipient: str
) -> None:
    async with database.operator_reading() as store:
        assert await store.workspaces.receiving(email_address(recipient)) == workspace_id


@pytest.mark.parametrize("recipient", ["+support@disqua.example", "support@example", "upport@disqua.example", "%@disqua.example"])
async def test_an_unknown_recipient_belongs_to_nobody(database: Database, workspace_id: WorkspaceId, recipient: str) -> None:
    async with database.operator_reading() as store:
        assert await store.workspaces.receiving(email_address(recipient)) is None
