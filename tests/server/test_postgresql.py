"""On a server that several share, `disqua migrate` alone changes the schema, and the others say what they find."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from persistence import migrations
from tests.stage.back_door import BackDoor
from tests.stage.postgres import OWNER, PASSWORD, PostgreSQL
from tests.stage.process import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stage.shell import Shell, Terminal

CREATE = ("workspace", "create", "Acme", "--address", "support@acme.example")


@pytest.fixture
def url(postgres: PostgreSQL) -> Iterator[str]:
    """A database with the newest schema."""
    with postgres.database() as name:
        yield postgres.url(name)


@pytest.fixture
def empty(postgres: PostgreSQL) -> Iterator[str]:
    """A database without any table."""
    with postgres.empty_database() as name:
        yield postgres.url(name)


def set_revision(url: str, revision: str) -> None:
    assert BackDoor(url).alter("UPDATE alembic_version SET version_num = :revision", revision=revision) == 1


@pytest.mark.parametrize(
    "command", [CREATE, ("workspace", "list"), ("keys", "rotate"), ("serve", "--port", "0", "--smtp-port", "0")]
)
def test_an_empty_database_is_one_line_that_says_what_to_run(shell: Shell, empty: str, command: tuple[str, ...]) -> None:
    assert shell.refuses(*command, DATABASE_URL=empty) == "disqua: the database has no tables yet: run `disqua migrate`"


def test_migrate_says_what_it_did(shell: Shell, empty: str) -> None:
    newest = migrations.head()

    first, second = (shell.run("migrate", DATABASE_URL=empty) for _ in range(2))

    assert first.err == f"The database was empty and has the newest schema now ({newest}).\n"
    assert second.err == f"The database had the newest schema already ({newest}).\n"
    assert [ended.code for ended in (first, second)] == [0, 0]
    shell.says(*CREATE, DATABASE_URL=empty)


def test_an_older_schema_stops_the_start_until_it_is_migrated(shell: Shell, empty: str, postgres: PostgreSQL) -> None:
    postgres.migrate(empty.rpartition("/")[2], "0001")

    refused = shell.refuses("serve", "--port", "0", "--smtp-port", "0", DATABASE_URL=empty)
    migrated = shell.run("migrate", DATABASE_URL=empty)

    assert refused == f"disqua: the database has schema 0001, this version needs {migrations.head()}: run `disqua migrate`"
    assert migrated.err == f"The database has gone from schema 0001 to {migrations.head()}, the newest.\n"


def test_a_newer_schema_is_told_and_worked_with(shell: Shell, url: str) -> None:
    set_revision(url, "9999")
    try:
        ended = shell.run(*CREATE, DATABASE_URL=url)
        refused = shell.refuses("migrate", DATABASE_URL=url)
    finally:
        set_revision(url, str(migrations.head()))

    assert ended.code == 0
    assert "the database has the schema of a newer version" in ended.err
    assert refused.endswith(f"the database has schema 9999 of a newer version; this one knows {migrations.head()} at most")


def test_two_that_migrate_at_once_both_succeed(terminal: Terminal, empty: str) -> None:
    with ThreadPoolExecutor() as pool:
        ended = [*pool.map(lambda _: terminal.run("migrate", DATABASE_URL=empty), range(2))]

    assert [one.code for one in ended] == [0, 0]
    assert sorted("was empty" in one.err for one in ended) == [False, True], ended


def test_a_role_that_may_not_make_tables_is_one_line(shell: Shell, empty: str, postgres: PostgreSQL) -> None:
    postgres.administer("CREATE ROLE guest LOGIN PASSWORD 'x'")
    try:
        as_guest = f"postgresql://guest:x@127.0.0.1:{postgres.port}/{empty.rpartition('/')[2]}"
        assert "permission denied for schema public" in shell.refuses("migrate", DATABASE_URL=as_guest)
    finally:
        postgres.administer("DROP ROLE guest")


def test_a_server_that_is_not_there_is_one_line_without_the_password(shell: Shell, url: str) -> None:
    wrong = url.replace(url.split(":")[2].partition("@")[0], "tajne-heslo")

    for command in (CREATE, ("migrate",), ("serve", "--port", "0", "--smtp-port", "0")):
        line = shell.refuses(*command, DATABASE_URL=wrong)
        assert line == f'disqua: the database cannot be used: password authentication failed for user "{OWNER}"'


def test_an_address_that_cannot_be_read_is_one_line_without_the_password(shell: Shell) -> None:
    line = shell.refuses(*CREATE, DATABASE_URL="postgresql://disqua:tajne-heslo@127.0.0.1:port/disqua")

    assert (
        line
        == "disqua: DISQUA_DATABASE_URL: it must be postgresql://user:password@host:port/database, with %40 for @ in a password"
    )


# The doctor


def doctor(shell: Shell, url: str) -> str:
    """What the doctor says about the database."""
    said = shell.run("doctor", "--smtp-port", str(free_port()), DATABASE_URL=url)
    assert PASSWORD not in said.out
    (line,) = [line for line in said.out.splitlines() if "database: " in line]
    assert said.code == (0 if line.startswith("✓") else 1)
    return line


def test_the_doctor_finds_a_database_well(shell: Shell, url: str) -> None:
    assert doctor(shell, url) == f"✓ database: reachable, schema {migrations.head()}, every secret opens"


def test_the_doctor_says_when_to_migrate(shell: Shell, empty: str, postgres: PostgreSQL) -> None:
    before = doctor(shell, empty)
    postgres.migrate(empty.rpartition("/")[2], "0001")

    assert before == "✗ database: reachable and empty: run `disqua migrate`"
    assert (
        doctor(shell, empty) == f"✗ database: the schema is at 0001, this version needs {migrations.head()}: run `disqua migrate`"
    )


def test_the_doctor_finds_a_newer_schema_well(shell: Shell, url: str) -> None:
    set_revision(url, "9999")
    try:
        assert doctor(shell, url).startswith("✓ database: reachable, schema 9999 of a newer version")
    finally:
        set_revision(url, str(migrations.head()))


def test_the_doctor_warns_of_a_role_that_no_wall_binds(shell: Shell, url: str, postgres: PostgreSQL) -> None:
    as_superuser = f"postgresql://postgres@127.0.0.1:{postgres.port}/{url.rpartition('/')[2]}"

    line = doctor(shell, as_superuser)

    assert line.startswith("✓ database: reachable")
    assert "row-level security does not bind this role" in line
    assert "ordinary role" in line


def test_the_doctor_finds_a_server_that_is_away_wrong(shell: Shell, url: str) -> None:
    line = doctor(shell, url.replace(f"@127.0.0.1:{url.split(':')[3].partition('/')[0]}", f"@127.0.0.1:{free_port()}"))

    assert line.startswith("✗ database: ")
