"""What was kept for a day and is older; what ages by settings is a promise of its own."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

from domain.credentials import KEPT
from domain.secret import Secret
from server.retention import Ages, Retention
from tests.lookups.room import open_room
from tests.stage.waiting import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.lookups.room import Room

_SELECT = "SELECT previous_secret, previous_signing_key FROM connectors"


@pytest.fixture
async def room(url: str) -> AsyncIterator[Room]:
    """A database, and a clock that the test sets."""
    async with open_room(url) as opened:
        yield opened


async def kept(room: Room) -> list[bytes]:
    """The ciphertexts of what was replaced."""
    ((secret, key),) = await in_thread(room.back_door.rows, _SELECT)
    return [bytes(one) for one in (secret, key) if one is not None]


async def test_what_was_replaced_a_day_ago_is_erased_from_the_row_and_from_the_files(room: Room, url: str) -> None:
    connector = await room.connect("https://crm.example/lookup", secret="the first one")
    retention = Retention(room.database, Ages(), now=room.clock.now)
    async with room.database.workspace(room.workspace_id) as store:
        await store.credentials.rotate_secret(connector.id, Secret("the second one"), room.clock.now())
        for key in ("whsec_b2xk", "whsec_bmV3"):
            await store.credentials.sign_with(connector.id, Secret(key), room.clock.now())
    room.clock.let_pass(KEPT - timedelta(minutes=1))
    await retention.sweep()
    ciphertexts = await kept(room)
    assert len(ciphertexts) == 2

    room.clock.let_pass(timedelta(minutes=1))
    await retention.sweep()

    assert await kept(room) == []
    async with room.database.reading(room.workspace_id) as store:
        assert await store.credentials.secret(connector.id) == Secret("the second one")
    if room.database.embedded:
        file = Path(make_url(url).database or "")
        files = [one for one in file.parent.iterdir() if one.name.startswith(file.name)]
        assert [(one.name, text) for one in files for text in ciphertexts if text in one.read_bytes()] == []
