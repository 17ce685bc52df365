from __future__ import annotations

import asyncio
import json
import traceback
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
import trustme
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import SQLModel

from domain.identity import ConnectorId, TicketId, WorkspaceId, support_address
from domain.ticket import Requester
from persistence.database import Database, DatabaseAway
from persistence.tables import new_id
from persistence.workspaces import AddressTaken
from tests.persistence.calls import CALLS, Rows, some_of_everything
from tests.persistence.samples import JAN, NOW, connect, open_ticket
from tests.stage.back_door import BackDoor
from tests.stage.postgres import OWNER, PASSWORD, PostgreSQL
from tests.stage.proxy import open_proxy
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from persistence.encryption import KeyRing
    from persistence.store import WorkspaceStore
    from tests.persistence.conftest import Statements

OPERATORS = {"revoked_tokens"}
"""What no workspace has a part in; only an operator's transaction sees it."""
TABLES = sorted(set(SQLModel.metadata.tables) - OPERATORS)


@pytest.fixture
def name(postgres: PostgreSQL) -> Iterator[str]:
    """A database with the newest schema."""
    with postgres.database() as name:
        yield name


@pytest.fixture(params=["postgresql+asyncpg", "postgresql+psycopg"])
def scheme(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@asynccontextmanager
async def opened(url: str, keys: KeyRing) -> AsyncIterator[Database]:
    database = Database(url, keys)
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
async def database(postgres: PostgreSQL, name: str, scheme: str, keys: KeyRing) -> AsyncIterator[Database]:
    async with opened(postgres.url(name, scheme=scheme), keys) as database:
        yield database


# The second wall


@pytest.fixture
async def theirs(postgres: PostgreSQL, name: str, keys: KeyRing) -> Rows:
    """What one workspace has; another has nothing."""
    async with opened(postgres.url(name, scheme="postgresql+asyncpg"), keys) as database:
        async with database.operator() as operator:
            workspace_id = await operator.workspaces.create("Disqua", [support_address("support@disqua.example")], NOW)
        async with database.workspace(workspace_id) as store:
            return await some_of_everything(store)


@pytest.fixture
async def plain(postgres: PostgreSQL, name: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection as the product's role, without any of its code."""
    connection = await asyncpg.connect(host="127.0.0.1", port=postgres.port, user=OWNER, password=PASSWORD, database=name)
    async with connection.transaction():
        yield connection
    await connection.close()


async def as_workspace(connection: asyncpg.Connection[Any], workspace: object) -> None:
    await connection.execute("SELECT set_config('disqua.workspace', $1, true)", str(workspace))


async def counts(connection: asyncpg.Connection[Any]) -> dict[str, int]:
    return {table: await connection.fetchval(f"SELECT count(*) FROM {table}") for table in TABLES}  # noqa: S608


async def test_without_a_workspace_plain_sql_sees_nothing_at_all(plain: asyncpg.Connection[Any], theirs: Rows) -> None:
    before = await counts(plain)
    await as_workspace(plain, "")
    afterwards = await counts(plain)

    assert before == afterwards == dict.fromkeys(TABLES, 0)


async def test_as_another_workspace_plain_sql_sees_and_deletes_nothing(plain: asyncpg.Connection[Any], theirs: Rows) -> None:
    await as_workspace(plain, new_id())

    assert await counts(plain) == dict.fromkeys(TABLES, 0)
    assert [await plain.execute(f"DELETE FROM {table}") for table in TABLES] == ["DELETE 0"] * len(TABLES)  # noqa: S608
    await as_workspace(plain, "*")
    assert 0 not in (await counts(plain)).values()


async def test_as_itself_a_workspace_sees_every_table_of_its_own(plain: asyncpg.Connection[Any], theirs: Rows) -> None:
    await as_workspace(plain, theirs.ticket.workspace_id)

    assert 0 not in (await counts(plain)).values()


@pytest.mark.parametrize("table", TABLES)
async def test_no_row_can_be_made_or_made_over_for_another_workspace(
    plain: asyncpg.Connection[Any], theirs: Rows, table: str
) -> None:
    await as_workspace(plain, theirs.ticket.workspace_id)
    await plain.execute(f"CREATE TEMPORARY TABLE copy AS SELECT * FROM {table} LIMIT 1")  # noqa: S608
    owner = {"workspaces": "id", "raw_messages": "message_id"}.get(table, "workspace_id")

    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        async with plain.transaction():
            await plain.execute(f"UPDATE {table} SET {owner} = '{new_id()}'")  # noqa: S608
    await as_workspace(plain, new_id())
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        async with plain.transaction():
            await plain.execute(f"INSERT INTO {table} SELECT * FROM copy")  # noqa: S608


async def test_every_table_of_ours_stands_behind_the_wall_its_owner_too(plain: asyncpg.Connection[Any]) -> None:
    rows = await plain.fetch(
        "SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity AND row_security_active(oid)"
    )

    assert {row["relname"] for row in rows} == {*TABLES, *OPERATORS}


async def test_revoked_tokens_are_the_operators_alone(database: Database, plain: asyncpg.Connection[Any], theirs: Rows) -> None:
    async with database.operator() as operator:
        await operator.revocations.add("some-token", NOW)

    await as_workspace(plain, theirs.ticket.workspace_id)
    assert await plain.fetchval("SELECT count(*) FROM revoked_tokens") == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        async with plain.transaction():
            await plain.execute("INSERT INTO revoked_tokens (token_id, revoked_at) VALUES ('another', now())")
    await as_workspace(plain, "*")
    assert await plain.fetchval("SELECT count(*) FROM revoked_tokens") == 1


async def test_whatever_hangs_on_a_row_goes_with_it_behind_the_wall(plain: asyncpg.Connection[Any], theirs: Rows) -> None:
    await as_workspace(plain, theirs.ticket.workspace_id)

    assert await plain.execute("DELETE FROM workspaces") == "DELETE 1"

    await as_workspace(plain, "*")
    assert await counts(plain) == dict.fromkeys(TABLES, 0)


async def test_what_a_transaction_said_is_forgotten_when_it_ends(database: Database, postgres: PostgreSQL, name: str) -> None:
    async with database.operator() as operator:
        workspace_id = await operator.workspaces.create("Disqua", [], NOW)
    async with database.workspace(workspace_id):
        pass

    with postgres.connect(name) as connection:
        found = connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()
    assert found == (0,)


@pytest.mark.parametrize("attribute", ["SUPERUSER", "BYPASSRLS"])
async def test_a_role_that_no_wall_binds_is_told(postgres: PostgreSQL, name: str, keys: KeyRing, attribute: str) -> None:
    postgres.administer(f"CREATE ROLE mighty LOGIN {attribute} PASSWORD 'x' IN ROLE {OWNER}")
    try:
        async with opened(postgres.url(name, scheme="postgresql+asyncpg", role="mighty", password="x"), keys) as mighty:
            assert not await mighty.walls_tenants()
        async with opened(postgres.url(name, scheme="postgresql+asyncpg"), keys) as ordinary:
            assert await ordinary.walls_tenants()
    finally:
        postgres.administer("DROP ROLE mighty")


# Plans


BACKLOG = """
    INSERT INTO lookups (id, workspace_id, connector_id, ticket_id, email, trigger, urgent, warnings, requested_at)
    SELECT gen_random_uuid(), workspace_id, connector_id, ticket_id, n || '@firma.cz', trigger, urgent, warnings, requested_at
    FROM lookups CROSS JOIN generate_series(1, 3000) AS n WHERE email = 'eva@firma.cz'
"""


class Undone(Exception):
    """Ends a transaction without a trace."""


async def test_behind_the_wall_every_statement_of_a_workspace_finds_its_rows_by_an_index(
    postgres: PostgreSQL, name: str, keys: KeyRing, plain: asyncpg.Connection[Any], theirs: Rows, statements: Statements
) -> None:
    workspace_id = theirs.ticket.workspace_id
    BackDoor(postgres.url(name)).alter(BACKLOG)
    await as_workspace(plain, workspace_id)
    await plain.execute("ANALYZE lookups")
    await plain.execute("SET LOCAL enable_seqscan = off")  # the other tables are small
    without_index = []
    async with opened(postgres.url(name, scheme="postgresql+asyncpg"), keys) as database:
        for called, call in CALLS.items():
            statements.seen.clear()
            with suppress(Undone):
                async with database.workspace(workspace_id) as store:
                    await call(store, theirs)
                    raise Undone
            for statement in statements.seen:
                plan = await plain.fetchval(f"EXPLAIN (FORMAT JSON) {statement.text}", *statement.parameters)
                without_index += [(called, node) for node in nodes(json.loads(plan)[0]["Plan"]) if reads_all(node)]

    assert without_index == [], without_index


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan's steps, each without those below it."""
    yield {key: value for key, value in plan.items() if key != "Plans"}
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def reads_all(node: dict[str, Any]) -> bool:
    """Whether the step goes through a whole table, or through a whole index of one."""
    return node.get("Relation Name") in TABLES and (
        node["Node Type"] == "Seq Scan" or ("Index" in node["Node Type"] and "Index Cond" not in node)
    )


# One writer


@pytest.fixture
async def workspace_id(database: Database) -> WorkspaceId:
    async with database.operator() as store:
        return await store.workspaces.create("Disqua", [support_address("support@disqua.example")], NOW)


async def test_writers_of_one_workspace_do_not_keep_others_from_writing(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.operator() as operator:
        other_id = await operator.workspaces.create("Another", [], NOW)

    async with asyncio.TaskGroup() as group, database.workspace(workspace_id) as held:
        await open_ticket(held)
        waiting = [group.create_task(_open(database, workspace_id)) for _ in range(50)]
        for _ in range(10):
            await _open(database, other_id)
        assert not any(task.done() for task in waiting)

    async with database.reading(workspace_id) as store:
        assert await store.tickets.newest_number() == 51


async def _open(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        await open_ticket(store)


async def test_an_operator_who_changes_secrets_is_alone(
    database: Database, postgres: PostgreSQL, name: str, scheme: str, keys: KeyRing, workspace_id: WorkspaceId
) -> None:
    async def somebody_waits() -> bool:
        with postgres.connect(name) as connection:
            return connection.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone() is not None

    async with opened(postgres.url(name, scheme=scheme), keys) as neighbour:
        async with database.operator() as operator:
            writer = asyncio.create_task(_open(neighbour, workspace_id))
            await eventually(somebody_waits)
            await operator.credentials.rotate()
            assert not writer.done()
        await writer


async def test_two_processes_that_give_one_address_to_two_workspaces_leave_it_with_the_first(
    database: Database, postgres: PostgreSQL, name: str, scheme: str, keys: KeyRing
) -> None:
    async with opened(postgres.url(name, scheme=scheme), keys) as neighbour:

        async def create(at: Database) -> WorkspaceId:
            async with at.operator() as operator:
                return await operator.workspaces.create("Disqua", [support_address("help@disqua.example")], NOW)

        results = await asyncio.gather(*(create(at) for at in [database, neighbour] * 5), return_exceptions=True)

    assert sum(isinstance(result, AddressTaken) for result in results) == 9


async def test_locks_of_workspaces_that_nobody_writes_in_take_no_memory(database: Database) -> None:
    for _ in range(20):
        async with database.workspace(WorkspaceId(new_id())) as store:
            await store.connectors.count()

    assert len(database._server._queues) == 0  # type: ignore[union-attr]  # noqa: SLF001 - nothing outside shows it


async def test_a_reader_can_write_nothing(database: Database, workspace_id: WorkspaceId) -> None:
    with pytest.raises(DatabaseAway, match="read-only"):
        async with database.reading(workspace_id) as store:
            await connect(store)


# Away


NO_SERVER = 1
VALUE = "tajny text"


@pytest.mark.parametrize("wrong", ["port", "password", "database", "role", "TLS", "sslmode", "certificates"])
async def test_a_server_that_does_not_let_us_in_is_away_and_nothing_says_the_password(
    postgres: PostgreSQL, name: str, scheme: str, keys: KeyRing, wrong: str
) -> None:
    url = postgres.url(name, scheme=scheme, password="tajne-heslo")
    right = postgres.url(name, scheme=scheme)
    secret = right.split(":")[2].partition("@")[0]
    urls = {
        "port": right.replace(f":{postgres.port}/", f":{NO_SERVER}/"),
        "password": url,
        "database": postgres.url("nowhere", scheme=scheme),
        "role": postgres.url(name, scheme=scheme, role="nobody"),
        "TLS": f"{right}?sslmode=require",
        "sslmode": f"{right}?sslmode=nonsense",
        "certificates": f"{right}?sslmode=verify-full&sslrootcert=/nowhere.crt",
    }

    async with opened(urls[wrong], keys) as database:
        for call in (database.revision, database.migrate, database.walls_tenants):
            with pytest.raises(DatabaseAway):
                await call()
        with pytest.raises(DatabaseAway):
            await _open(database, WorkspaceId(new_id()))
        with pytest.raises(DatabaseAway) as away:
            await database.ping()
        told = "".join(traceback.format_exception(away.value)) + repr(database)

    assert not any(password in told for password in ("tajne-heslo", PASSWORD, secret))


async def test_a_server_with_no_room_for_us_is_away(postgres: PostgreSQL, database: Database) -> None:
    postgres.administer(f"ALTER ROLE {OWNER} CONNECTION LIMIT 0")
    try:
        with pytest.raises(DatabaseAway, match="too many connections"):
            await database.ping()
    finally:
        postgres.administer(f"ALTER ROLE {OWNER} CONNECTION LIMIT -1")
    await database.ping()


async def test_a_connection_that_ends_in_the_middle_means_away_and_leaves_nothing(
    postgres: PostgreSQL, name: str, database: Database, workspace_id: WorkspaceId
) -> None:
    async def write_and_be_cut_off(*, before_the_commit: bool) -> None:
        async with database.workspace(workspace_id) as store:
            await open_ticket(store)
            end_all(postgres, name)
            if not before_the_commit:
                await open_ticket(store)

    for before_the_commit in (True, False):
        with pytest.raises(DatabaseAway):
            await write_and_be_cut_off(before_the_commit=before_the_commit)

    async with database.workspace(workspace_id) as store:
        assert (await open_ticket(store)).number == 1


def end_all(postgres: PostgreSQL, name: str) -> None:
    with postgres.connect() as connection:
        connection.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [name])


async def test_connections_that_ended_in_the_pool_are_never_met(
    postgres: PostgreSQL, name: str, keys: KeyRing, database: Database, workspace_id: WorkspaceId
) -> None:
    await asyncio.gather(*(database.ping() for _ in range(10)))
    end_all(postgres, name)
    async with opened(postgres.url(name), keys) as another:
        await another.ping()  # meanwhile the loop has heard of the end of the others

    await asyncio.gather(*(_open(database, workspace_id) for _ in range(10)))


async def test_what_breaks_a_rule_does_not_mean_away(database: Database, workspace_id: WorkspaceId) -> None:
    nowhere = ConnectorId(new_id())

    with pytest.raises(IntegrityError):
        async with database.workspace(workspace_id) as store:
            await store.lookups.claim_test(nowhere, JAN, NOW)


async def test_no_error_quotes_a_value_not_even_to_a_superuser(
    postgres: PostgreSQL, name: str, scheme: str, keys: KeyRing
) -> None:
    nowhere = TicketId(new_id())

    async def break_a_reference(store: WorkspaceStore) -> None:
        await store.messages.add_text(nowhere, Requester(JAN), "", NOW)

    async def send_what_is_no_text(store: WorkspaceStore) -> None:
        await connect(store, name=VALUE + "\ud800")

    async def leave_a_column_empty(store: WorkspaceStore) -> None:
        await store.tickets.open(subject=None, requester=Requester(JAN, VALUE), now=NOW)  # type: ignore[arg-type]

    async with opened(postgres.url(name, scheme=scheme, role="postgres"), keys) as database:
        async with database.operator() as operator:
            workspace_id = await operator.workspaces.create("Disqua", [], NOW)
        for wrong in (break_a_reference, send_what_is_no_text, leave_a_column_empty):
            with pytest.raises((DBAPIError, UnicodeEncodeError)) as refused:
                async with database.workspace(workspace_id) as store:
                    await wrong(store)
            told = "".join(traceback.format_exception(refused.value))
            assert VALUE not in told
            assert str(nowhere) not in told


async def test_a_process_goes_on_while_the_schema_changes_beside_it(postgres: PostgreSQL, scheme: str, keys: KeyRing) -> None:
    with postgres.empty_database() as name:
        postgres.migrate(name, "0001")
        async with opened(postgres.url(name, scheme=scheme), keys) as database:
            async with database.operator() as operator:
                workspace_id = await operator.workspaces.create("Disqua", [], NOW)
            await asyncio.gather(*(_open(database, workspace_id) for _ in range(5)))

            postgres.migrate(name)

            await asyncio.gather(*(_open(database, workspace_id) for _ in range(5)))
            async with database.reading(workspace_id) as store:
                assert await store.tickets.newest_number() == 10


@pytest.mark.timed
async def test_a_server_that_hangs_is_away_in_time_and_as_before_when_it_goes_on(
    fragile_postgres: PostgreSQL, scheme: str, keys: KeyRing
) -> None:
    with fragile_postgres.database() as name:
        database = Database(fragile_postgres.url(name, scheme=scheme), keys, patience=timedelta(seconds=1))
        async with database.operator() as operator:
            workspace_id = await operator.workspaces.create("Disqua", [], NOW)
        await asyncio.gather(*(database.ping() for _ in range(5)))
        fragile_postgres.suspend()
        try:
            async with asyncio.timeout(4):
                results = await asyncio.gather(
                    *(_open(database, workspace_id) for _ in range(30)),
                    *(database.ping() for _ in range(30)),
                    return_exceptions=True,
                )
        finally:
            fragile_postgres.resume()
        assert {type(result) for result in results} == {DatabaseAway}

        await asyncio.gather(*(_open(database, workspace_id) for _ in range(5)))
        async with database.reading(workspace_id) as store:
            assert await store.tickets.newest_number() == 5
        await database.close()


@pytest.mark.timed
async def test_whoever_falls_silent_in_a_transaction_holds_the_others_up_no_longer_than_it_may_last(
    postgres: PostgreSQL, name: str, scheme: str, keys: KeyRing
) -> None:
    async with open_proxy(postgres.port) as proxy, opened(postgres.url(name, scheme=scheme), keys) as near:
        behind_proxy = postgres.url(name, scheme=scheme).replace(f":{postgres.port}/", f":{proxy.port}/")
        far = Database(behind_proxy, keys, patience=timedelta(seconds=1))
        async with near.operator() as operator:
            workspace_id = await operator.workspaces.create("Disqua", [support_address("support@disqua.example")], NOW)

        async def fall_silent() -> None:
            async with far.workspace(workspace_id) as store:
                await open_ticket(store, JAN)
                proxy.half_open()

        with pytest.raises(DatabaseAway):
            await fall_silent()
        async with asyncio.timeout(5), near.workspace(workspace_id) as store:
            await open_ticket(store, JAN)
            assert await store.tickets.newest_number() == 1
        await far.close()


async def test_who_waits_for_a_turn_in_vain_does_not_doubt_the_server(
    postgres: PostgreSQL, name: str, scheme: str, keys: KeyRing
) -> None:
    url = postgres.url(name, scheme=scheme)
    async with opened(url, keys) as near:
        far = Database(url, keys, patience=timedelta(seconds=2))
        async with near.operator() as operator:
            workspace_id = await operator.workspaces.create("Disqua", [support_address("support@disqua.example")], NOW)
        await far.ping()
        connections = _connections(postgres, name)

        async with near.workspace(workspace_id):
            for outcome in await asyncio.gather(*(_write(far, workspace_id) for _ in range(2)), return_exceptions=True):
                assert isinstance(outcome, DatabaseAway)
        await far.ping()

        assert connections <= _connections(postgres, name), "none was given up"
        await far.close()


def _connections(postgres: PostgreSQL, name: str) -> set[int]:
    with postgres.connect() as admin:
        found = admin.execute("SELECT pid FROM pg_stat_activity WHERE datname = %s", [name]).fetchall()
    return {pid for (pid,) in found}


async def _write(database: Database, workspace_id: WorkspaceId) -> None:
    async with database.workspace(workspace_id) as store:
        await open_ticket(store, JAN)


@pytest.mark.timed
async def test_a_program_ends_although_the_server_hangs(fragile_postgres: PostgreSQL, scheme: str, keys: KeyRing) -> None:
    with fragile_postgres.database() as name:
        database = Database(fragile_postgres.url(name, scheme=scheme), keys)
        await database.ping()
        fragile_postgres.suspend()
        try:
            async with asyncio.timeout(6):
                await database.close()
        finally:
            fragile_postgres.resume()


@pytest.mark.timed
@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_after_a_restart_the_first_use_works(fragile_postgres: PostgreSQL, scheme: str, keys: KeyRing, end: str) -> None:
    with fragile_postgres.database() as name:
        async with opened(fragile_postgres.url(name, scheme=scheme), keys) as database:
            await asyncio.gather(*(database.ping() for _ in range(10)))
            getattr(fragile_postgres, end)()
            with pytest.raises(DatabaseAway):
                await database.ping()
            fragile_postgres.start()

            await asyncio.gather(*(database.ping() for _ in range(10)))


async def test_encryption_is_asked_for_as_libpq_does(
    fragile_postgres: PostgreSQL, scheme: str, keys: KeyRing, tmp_path: Path
) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    fragile_postgres.encrypt(authority.issue_cert("127.0.0.1", "localhost"))
    for name, one in (("authority", authority), ("stranger", stranger)):
        one.cert_pem.write_to_path(str(tmp_path / f"{name}.crt"))

    async def is_encrypted(query: str) -> bool:
        with fragile_postgres.database() as name:
            async with opened(f"{fragile_postgres.url(name, scheme=scheme)}?{query}", keys) as database:
                await database.ping()
                with fragile_postgres.connect() as connection:
                    found = connection.execute(
                        "SELECT ssl, application_name FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE datname = %s",
                        [name],
                    )
                    return found.fetchone() == (True, "disqua")

    assert not await is_encrypted("sslmode=disable")
    assert await is_encrypted("sslmode=require")
    assert await is_encrypted(f"sslmode=verify-full&sslrootcert={tmp_path}/authority.crt")
    with pytest.raises(DatabaseAway):
        await is_encrypted(f"sslmode=verify-full&sslrootcert={tmp_path}/stranger.crt")
