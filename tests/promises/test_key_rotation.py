"""The encryption keys are rotated beside a running service, and every secret opens before, meanwhile and after.

Also when the rotation is killed in its middle and begun again.
"""

from __future__ import annotations

import asyncio
import re
import signal
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import jwt
import pytest

from domain.identity import EmailAddress, WorkspaceId
from domain.secret import Secret
from persistence.database import Database
from persistence.encryption import KeyRing, new_key_entry
from server.clock import utc_now
from tests.flows.desk import TEST
from tests.persistence.samples import connect
from tests.stage.back_door import BackDoor
from tests.stage.crm import FOUND, response
from tests.stage.front_end import NO_TLS, FrontEnd
from tests.stage.process import DISQUA, environment, free_port, serving
from tests.stage.waiting import eventually, in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.promises.conftest import Figure
    from tests.stage.crm import Crm, Request
    from tests.stage.postgres import PostgreSQL

pytestmark = [pytest.mark.timed, pytest.mark.timeout(180)]

OLD, NEW, WRONG = (f"{name}:{new_key_entry().partition(':')[2]}" for name in ("old", "new", "old"))
TOKEN_KEY = "the-key-of-the-tokens-of-this-test-alone"
PER_WORKSPACE = 20
VALUE, BEFORE = Secret("the-secret-in-force"), Secret("the-secret-before")
CIPHERTEXTS = "SELECT secret, previous_secret, signing_key, previous_signing_key FROM connectors WHERE secret IS NOT NULL"
BLOCKED = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE connectors SET%'"


@dataclass
class Place:
    """A database with secrets in it, and how a process finds it."""

    data_dir: Path
    settings: dict[str, str]
    url: str
    workspace_id: str = ""
    connector_id: str = ""
    other_connector_id: str = ""
    """Of another workspace: nobody is asked by it."""
    ports: tuple[int, int] = field(default_factory=lambda: (free_port(), free_port()))

    @property
    def back_door(self) -> BackDoor:
        return BackDoor(self.url)

    async def key_ids(self) -> set[str]:
        """Under which keys the ciphertexts are."""
        rows = await in_thread(self.back_door.rows, CIPHERTEXTS)
        return {bytes(stored)[2 : 2 + stored[1]].decode() for row in rows for stored in row if stored is not None}

    @asynccontextmanager
    async def served(self, *keys: str) -> AsyncIterator[FrontEnd]:
        """The service with these keys, and a front end of its admin."""
        given = self.settings | {"ENCRYPTION_KEYS": ",".join(keys), "TOKEN_KEY": TOKEN_KEY}
        claims = {"sub": "an admin", "name": "Eva", "workspace": self.workspace_id, "role": "admin", "exp": time.time() + 3600}
        token = jwt.encode(claims, TOKEN_KEY, algorithm="HS256")
        port, mail_port = self.ports
        async with serving(self.data_dir, port=port, mail_port=mail_port, **given) as served:
            yield FrontEnd(served.base_url, token)

    async def rotating(self) -> asyncio.subprocess.Process:
        """`disqua keys rotate`, under way."""
        return await asyncio.create_subprocess_exec(
            *(DISQUA, "keys", "rotate"),
            env=environment(self.data_dir, **self.settings, ENCRYPTION_KEYS=f"{NEW},{OLD}"),
            stderr=asyncio.subprocess.PIPE,
        )


@pytest.fixture
async def place(
    database_kind: str, request: pytest.FixtureRequest, tmp_path: Path, crm: Crm, size: Callable[[int], int]
) -> AsyncIterator[Place]:
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    crm.answers["/lookup"] = only_for(VALUE)
    workspaces = size(1000) // PER_WORKSPACE
    if database_kind == "sqlite":
        made = Place(data_dir, {}, f"sqlite+aiosqlite:///{data_dir}/disqua.sqlite3")
        await fill(made, crm, workspaces)
        yield made
        return
    postgres: PostgreSQL = request.getfixturevalue("postgres")
    with postgres.database() as name:
        made = Place(data_dir, {"DATABASE_URL": postgres.url(name)}, postgres.url(name, scheme="postgresql+asyncpg"))
        await fill(made, crm, workspaces)
        yield made


def only_for(secret: Secret) -> Callable[[Request], Any]:
    async def check(request: Request) -> Any:  # noqa: ANN401 - whatever the endpoint answers
        return FOUND if request.headers.get("x-api-key") == secret.reveal() else response(401, b"")

    return check


async def fill(place: Place, crm: Crm, workspaces: int) -> None:
    """Connectors with all that is encrypted, under the old key."""
    database, now = Database(place.url, KeyRing.parse(OLD)), utc_now()
    await database.migrate()
    for number in range(workspaces):
        async with database.operator() as operator:
            workspace_id = await operator.workspaces.create("Firma", [EmailAddress(f"support@{number}.example")], now)
        async with database.workspace(workspace_id) as store:
            for _ in range(PER_WORKSPACE):
                connector = await connect(store, BEFORE, lookup_url=crm.url(), secret_header_name="X-Api-Key")
                await store.credentials.rotate_secret(connector.id, VALUE, now)
                for key in ("whsec_b2xk", "whsec_bmV3"):
                    await store.credentials.sign_with(connector.id, Secret(key), now)
                place.workspace_id, place.connector_id = str(workspace_id), str(connector.id)
                place.other_connector_id = place.other_connector_id or str(connector.id)
    await database.close()


async def asking(front_end: FrontEnd, place: Place, seen: list[str]) -> None:
    """Look somebody up again and again; how each lookup ended."""
    while True:
        await asyncio.sleep(0.02)  # leaves the processor to the rotation
        trial = (await front_end.ask(TEST, id=place.connector_id, email="jan@firma.cz"))["testConnector"]
        seen.append(trial["status"] if trial["error"] is None else trial["error"]["code"])


async def kill_in_the_middle(place: Place) -> int | None:
    """Kill -9 a rotation that has begun to write: on PostgreSQL while it waits for a row, on SQLite while it holds the file.

    How it ended: on SQLite it may have been too quick to be killed.
    """
    if place.back_door.postgresql:
        async with asyncio.timeout(30):
            with place.back_door.holding("SELECT 1 FROM connectors WHERE id = :id FOR UPDATE", id=UUID(place.other_connector_id)):
                process = await place.rotating()

                async def blocked() -> bool:
                    return bool(await in_thread(place.back_door.rows, BLOCKED))

                await eventually(blocked, within=20)
                process.kill()
                return await process.wait()
    process = await place.rotating()
    wal = place.data_dir / "disqua.sqlite3-wal"

    async def writing() -> bool:
        return process.returncode is not None or str(wal) in open_files(process.pid)

    await eventually(writing, within=20)
    with suppress(ProcessLookupError):
        process.kill()
    return await process.wait()


def open_files(pid: int) -> set[str]:
    """The paths that a process has open."""
    try:
        return {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    except (FileNotFoundError, ProcessLookupError):
        return set()


@pytest.mark.timeout(600)
async def test_a_rotation_is_killed_resumed_and_done_while_lookups_go_on(
    place: Place, size: Callable[[int], int], figure: Figure
) -> None:
    seen: list[str] = []
    async with place.served(NEW, OLD) as front_end, asyncio.timeout(500):
        load = [asyncio.create_task(asking(front_end, place, seen)) for _ in range(3)]
        endings: list[int | None] = []
        kinds = []
        while endings.count(-signal.SIGKILL) < size(20):
            endings.append(await kill_in_the_middle(place))
            kinds.append(await place.key_ids())
        rotation = await place.rotating()
        _, told = await rotation.communicate()
        counted = len(seen)

        async def more() -> bool:
            return len(seen) > counted + 5

        await eventually(more)
        for task in load:
            task.cancel()
        await asyncio.gather(*load, return_exceptions=True)

    assert all(found in ({"old"}, {"new"}) for found in kinds), "all or nothing"
    assert rotation.returncode == 0
    assert re.search(r"\d+ secrets? encrypted anew", told.decode())
    assert await place.key_ids() == {"new"}
    assert set(seen) == {"FOUND"}
    figure("lookups during the rotations, all answered", len(seen))
    figure("rotations killed", endings.count(-signal.SIGKILL))

    async with place.served(NEW) as front_end:
        trial = (await front_end.ask(TEST, id=place.connector_id, email="jan@firma.cz"))["testConnector"]
    assert trial["status"] == "FOUND"
    figure("secrets and keys that open with the new key alone", str(await opened(place, KeyRing.parse(NEW))))


async def opened(place: Place, keys: KeyRing) -> int:
    """How many values open, the previous ones too; one that does not raises."""
    database, count = Database(place.url, keys), 0
    async with database.operator() as operator:
        workspaces = await operator.workspaces.all()
    for workspace in workspaces:
        async with database.workspace(WorkspaceId(workspace.id)) as store:
            for connector in await store.connectors.all():
                carried = await store.credentials.carried(connector.id, utc_now(), note_use=False)
                assert carried is not None
                assert carried.secret == VALUE
                assert [key.reveal() for key in carried.signing_keys] == ["whsec_bmV3", "whsec_b2xk"]
                assert await store.credentials.restore_secret(connector.id, utc_now())
                assert await store.credentials.secret(connector.id) == BEFORE
                count += 4
    await database.close()
    return count


async def test_with_a_wrong_key_lookups_say_so_and_the_server_lives(place: Place, crm: Crm) -> None:
    async with place.served(WRONG) as front_end:
        trial = (await front_end.ask(TEST, id=place.connector_id, email="jan@firma.cz"))["testConnector"]
        async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client:
            ready = await client.get(f"{front_end.base_url}/readyz")
        shown = await front_end.ask("{ connectors { secret { fingerprint previous { fingerprint } } signing { fingerprint } } }")

    assert (trial["status"], trial["error"]["code"]) == ("ERROR", "SECRET_UNREADABLE")
    assert ready.status_code == 200
    assert crm.requests == [], "nothing is sent without its secret"
    nothing = {"secret": {"fingerprint": None, "previous": {"fingerprint": None}}, "signing": {"fingerprint": None}}
    assert shown["connectors"] == [nothing] * PER_WORKSPACE

    assert await opened(place, KeyRing.parse(OLD)), "nothing was lost"
