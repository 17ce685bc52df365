from __future__ import annotations

import base64
from dataclasses import asdict, replace
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from domain.connector import MAX_POSITION, ConnectorSettings
from domain.errors import SecretUnreadable
from domain.health import Failing, Health, Paused, Working
from domain.identity import ConnectorId
from domain.lookup import LookupTrigger
from domain.secret import Secret
from persistence.encryption import KeyRing
from persistence.lookups import Ending
from tests.persistence.samples import FOUND, HOUR, JAN, NOW, SECOND, SECRET, connect, open_ticket, running, settings

if TYPE_CHECKING:
    from pathlib import Path

    from domain.identity import WorkspaceId
    from persistence.database import Database
    from tests.persistence.conftest import OpenDatabase
    from tests.stage.back_door import BackDoor

EVERYTHING_SET = settings(
    name="CRM Nováková 👩‍🔧",
    lookup_url="https://crm.example/lookup?a=1",
    secret_header_name="X-Api-Key",
    has_secret=True,
    link_template="https://crm.example/{customer_id}",
    cache_ttl=8760 * HOUR,
    log_results=False,
    enabled=False,
    position=MAX_POSITION,
)
NOBODY = ConnectorId(UUID(int=1))
NEW_SECRET = Secret("Bearer uplne-jine-b81d44")
OLD_KEY = bytes(range(32))
NEW_KEY = bytes(range(1, 33))


def sealed(back_door: BackDoor, connector_id: ConnectorId) -> bytes:
    """The column as it is stored."""
    ((stored,),) = back_door.rows("SELECT secret FROM connectors WHERE id = :id", id=connector_id)
    return bytes(stored)


async def secret_of(database: Database, workspace_id: WorkspaceId, connector_id: ConnectorId) -> Secret | None:
    async with database.reading(workspace_id) as store:
        return await store.credentials.secret(connector_id)


@pytest.mark.parametrize("given", [settings(), EVERYTHING_SET, settings(cache_ttl=0 * HOUR)], ids=["bare", "full", "no ttl"])
async def test_a_connector_comes_back_as_it_was_added(
    database: Database, workspace_id: WorkspaceId, given: ConnectorSettings
) -> None:
    async with database.workspace(workspace_id) as store:
        added = await store.connectors.add(given, SECRET if given.has_secret else None, NOW)

    async with database.reading(workspace_id) as store:
        assert await store.connectors.get(added.id) == added
        assert await store.connectors.all() == [added]
    assert asdict(added) == asdict(given) | {
        "id": added.id,
        "created_at": NOW,
        "updated_at": NOW,
        "health": {"since": None},
        "last_success_at": None,
    }


async def test_saved_settings_replace_all_but_id_and_age(database: Database, workspace_id: WorkspaceId) -> None:
    later = NOW + SECOND

    async with database.workspace(workspace_id) as store:
        added = await connect(store, SECRET)
        bystander = await connect(store)
        await store.connectors.save(added.id, EVERYTHING_SET, later)

        saved = await store.connectors.get(added.id)
        assert await store.connectors.get(bystander.id) == bystander

    assert saved is not None
    assert asdict(saved) == asdict(EVERYTHING_SET) | {
        "id": added.id,
        "created_at": NOW,
        "updated_at": later,
        "health": {"since": None},
        "last_success_at": None,
    }


@pytest.mark.parametrize("health", [Working(), Working(NOW), Failing(NOW, 3), Paused(NOW, 20, NOW + SECOND)], ids=repr)
async def test_health_comes_back_as_it_was_saved_wherever_a_connector_is_read(
    database: Database, workspace_id: WorkspaceId, health: Health
) -> None:
    async with database.workspace(workspace_id) as store:
        added, bystander = await connect(store), await connect(store)
        ticket = await open_ticket(store)
        await store.connectors.save_health(added.id, Paused(NOW, 1, NOW))

        await store.connectors.save_health(added.id, health)

        sick = replace(added, health=health)
        assert await store.connectors.get(added.id) == sick
        assert await store.connectors.all() == [sick, bystander]
        assert [known.connector for known in (await store.standings.of([ticket.id]))[ticket.id]] == [sick, bystander]


async def test_saved_settings_leave_the_health_alone(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        added = await connect(store)
        await store.connectors.save_health(added.id, Failing(NOW, 3))

        await store.connectors.save(added.id, settings(enabled=False), NOW)

        assert await store.connectors.get(added.id) == replace(added, enabled=False, health=Failing(NOW, 3))


async def test_an_unknown_connector_is_none(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        assert await store.connectors.get(NOBODY) is None
        assert await store.credentials.secret(NOBODY) is None
        assert not await store.connectors.delete(NOBODY)


async def test_connectors_stand_by_position_and_equal_ones_by_age(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        for name, position in [("c", 5), ("b", -1), ("d", 5), ("a", -2), ("e", 5)]:
            await connect(store, name=name, position=position, enabled=name != "d")

        assert [connector.name for connector in await store.connectors.all()] == ["a", "b", "c", "d", "e"]
        assert await store.connectors.count() == 5


async def test_the_last_position_is_behind_all_others_and_still_a_position(database: Database, workspace_id: WorkspaceId) -> None:
    last = []
    async with database.workspace(workspace_id) as store:
        for position in (-3, 0, 7, MAX_POSITION - 1, MAX_POSITION):
            last.append(await store.connectors.last_position())
            await connect(store, position=position)
        last.append(await store.connectors.last_position())

    assert last == [0, -2, 1, 8, MAX_POSITION, MAX_POSITION]


async def test_a_secret_comes_back_and_can_be_replaced(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        connector = await connect(store, SECRET)
        before = await store.credentials.secret(connector.id)

        await store.credentials.save_secret(connector.id, NEW_SECRET, NOW)

        assert (before, await store.credentials.secret(connector.id)) == (SECRET, NEW_SECRET)


async def test_a_connector_without_secret_has_none(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        connector = await connect(store)

        assert not connector.has_secret
        assert await store.credentials.secret(connector.id) is None


async def test_settings_keep_the_secret_unless_they_say_that_there_is_none(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        connector = await connect(store, SECRET)
        await store.connectors.save(connector.id, replace(connector, name="Renamed"), NOW)
        kept = await store.credentials.secret(connector.id)

        await store.connectors.save(connector.id, replace(connector, secret_header_name=None, has_secret=False), NOW)

        saved = await store.connectors.get(connector.id)
        assert saved is not None
        assert (kept, saved.has_secret, await store.credentials.secret(connector.id)) == (SECRET, False, None)


async def test_deleting_a_connector_deletes_its_answers_and_log_and_no_others(
    database: Database, back_door: BackDoor, workspace_id: WorkspaceId
) -> None:
    async with database.workspace(workspace_id) as store:
        gone, stays = [await connect(store, SECRET) for _ in range(2)]
        for connector in (gone, stays):
            claim = await running(store, connector.id)
            await store.lookups.finish(claim, Ending(outcome=FOUND), NOW)
            await store.answers.record(connector.id, JAN, FOUND, NOW)
        for connector in (gone, stays):
            await store.lookups.queue(connector.id, (await open_ticket(store)).id, JAN, LookupTrigger.VIEW, NOW)

        assert await store.connectors.delete(gone.id)
        assert await store.connectors.all() == [stays]

    for table, left in (("lookups", 2), ("answers", 1)):
        assert back_door.rows(f"SELECT connector_id FROM {table}") == [(stays.id.hex,)] * left  # noqa: S608 - names from above


async def test_no_secret_stands_in_any_byte_of_the_files(database: Database, file: Path, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        connector = await connect(store, SECRET)
        await store.credentials.save_secret(connector.id, NEW_SECRET, NOW)
    async with database.operator() as operator:
        await operator.credentials.rotate()

    while_open = bytes_on_disk(file)
    await database.close()

    for content in (while_open, bytes_on_disk(file)):
        assert connector.id.hex.encode() in content
        for secret in (SECRET, NEW_SECRET):
            for form in written_forms(secret.reveal()):
                assert form not in content


def bytes_on_disk(file: Path) -> bytes:
    """The database with its log of writes and whatever else SQLite laid beside it."""
    return b"".join(part.read_bytes() for part in sorted(file.parent.glob(f"{file.name}*")))


def written_forms(text: str) -> list[bytes]:
    """Plain, reversed, hexadecimal, and base64 of the text at each place in a longer one."""
    raw = text.encode()
    inner = [base64.b64encode(b"x" * before + raw)[4:-4] for before in range(3)]
    return [raw, raw[::-1], raw.hex().encode(), raw.hex().upper().encode(), *inner, text.encode("utf-16-le")]


async def test_a_secret_that_moved_to_another_row_is_unreadable(
    database: Database, back_door: BackDoor, workspace_id: WorkspaceId, other_workspace_id: WorkspaceId
) -> None:
    async with database.workspace(workspace_id) as store:
        one, two = [await connect(store, secret) for secret in (SECRET, NEW_SECRET)]
    async with database.workspace(other_workspace_id) as store:
        theirs = await connect(store, SECRET)

    moved = "UPDATE connectors SET secret = :secret WHERE id = :id"
    first = sealed(back_door, one.id)
    for source, target in ((two.id, one.id), (theirs.id, two.id)):
        back_door.alter(moved, secret=sealed(back_door, source), id=target)
    back_door.alter(moved, secret=first, id=theirs.id)

    for owner, connector in ((workspace_id, one), (workspace_id, two), (other_workspace_id, theirs)):
        with pytest.raises(SecretUnreadable):
            await secret_of(database, owner, connector.id)


async def test_a_connector_that_moved_to_another_workspace_does_not_bring_its_secret(
    database: Database, back_door: BackDoor, workspace_id: WorkspaceId, other_workspace_id: WorkspaceId
) -> None:
    async with database.workspace(workspace_id) as store:
        connector = await connect(store, SECRET)

    back_door.alter("UPDATE connectors SET workspace_id = :id", id=other_workspace_id)

    with pytest.raises(SecretUnreadable):
        await secret_of(database, other_workspace_id, connector.id)


@pytest.mark.parametrize("stored", [b"", b"\x01", b"plain text", bytes(100)])
async def test_a_column_that_holds_no_ciphertext_is_unreadable(
    database: Database, back_door: BackDoor, workspace_id: WorkspaceId, stored: bytes
) -> None:
    async with database.workspace(workspace_id) as store:
        connector = await connect(store, SECRET)

    back_door.alter("UPDATE connectors SET secret = :stored", stored=stored)

    with pytest.raises(SecretUnreadable):
        await secret_of(database, workspace_id, connector.id)


async def test_after_a_rotation_the_new_key_alone_opens_every_secret(
    database: Database, open_database: OpenDatabase, workspace_id: WorkspaceId, other_workspace_id: WorkspaceId
) -> None:
    added = []
    for owner in (workspace_id, other_workspace_id, workspace_id):
        async with database.workspace(owner) as store:
            added.append((owner, await connect(store, Secret(f"tajne-{owner}"), enabled=False)))
            await connect(store)

    rotating = open_database(KeyRing({"k2": NEW_KEY, "k1": OLD_KEY}))
    async with rotating.operator() as operator:
        first = await operator.credentials.rotate()
    async with rotating.operator() as operator:
        second = await operator.credentials.rotate()

    assert (first, second) == ((3, []), (0, []))
    afterwards = open_database(KeyRing({"k2": NEW_KEY}))
    for owner, connector in added:
        assert await secret_of(afterwards, owner, connector.id) == Secret(f"tajne-{owner}")
        with pytest.raises(SecretUnreadable):
            await secret_of(database, owner, connector.id)


@pytest.mark.parametrize("broken", [b"", b"\x01\x02k1" + bytes(40), b"\x01\x02k9" + bytes(40), b"\x01\x02k2" + bytes(40)])
async def test_a_rotation_names_what_it_cannot_open_leaves_it_and_goes_on(
    database: Database, open_database: OpenDatabase, back_door: BackDoor, workspace_id: WorkspaceId, broken: bytes
) -> None:
    async with database.workspace(workspace_id) as store:
        before, unreadable, behind = [await connect(store, SECRET) for _ in range(3)]
    back_door.alter("UPDATE connectors SET secret = :broken WHERE id = :id", broken=broken, id=unreadable.id)

    rotating = open_database(KeyRing({"k2": NEW_KEY, "k1": OLD_KEY}))
    async with rotating.operator() as operator:
        rotated = await operator.credentials.rotate()

    assert rotated == (2, [unreadable.id])
    assert sealed(back_door, unreadable.id) == broken
    for connector in (before, behind):
        assert await secret_of(rotating, workspace_id, connector.id) == SECRET
