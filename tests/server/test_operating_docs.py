"""docs/operating.md: it names every setting, metric and command, and what it tells the operator to type works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import typer.main
from prometheus_client.parser import text_string_to_metric_families

from domain.identity import Role, support_address
from domain.lookup import LookupStatus, LookupTrigger
from persistence.database import Database
from persistence.encryption import KeyRing
from server.cli import app
from server.settings import PREFIX, Settings
from tests.docs.page import REPOSITORY, Page, code_in
from tests.persistence.calls import ADMIN, DEED
from tests.persistence.samples import FOUND, NOW, SECRET, connect, mail, running
from tests.stage.back_door import BackDoor
from tests.stage.front_end import NO_TLS
from tests.stage.postgres import PASSWORD
from tests.stage.process import DISQUA, free_port
from tests.stage.waiting import in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.stage.helpdesk import Helpdesk
    from tests.stage.postgres import PostgreSQL

pytestmark = pytest.mark.timed

PAGE = Page(REPOSITORY / "docs" / "operating.md")
BUILD = REPOSITORY / "hatch_build.py"
TOOLS = ("bash", "curl", "openssl", "sqlite3")
NEED_A_MACHINE_OF_THEIR_OWN = ("/opt/disqua", "useradd", "daemon-reload", "newaliases", "db.example.com")
"""What blocks have in them that install packages, make users or speak to systemd, Postfix and PostgreSQL."""

PRELUDE = """
set -euo pipefail
disqua() {
    case $1 in
    serve)
        command disqua "$@" --port $PORT --smtp-port $MAIL_PORT & server=$!
        curl -sf --retry 600 --retry-delay 1 --retry-connrefused http://127.0.0.1:$PORT/readyz ;;
    doctor) command disqua "$@" --smtp-port $MAIL_PORT ;;
    *) command disqua "$@" ;;
    esac
}
systemctl() {
    case $1 in
    stop) kill $server; wait $server ;;
    start) disqua serve ;;
    restart) systemctl stop; systemctl start ;;
    esac
}
sudo() { "$@"; }
trap 'kill $server' EXIT
"""
"""Stands in for systemd, for root, and for the usual ports, which may be taken here."""


# Settings


def test_every_setting_is_described() -> None:
    described = [code_in(row["variable"])[0] for row in PAGE.table("variable", "default")]

    assert described == [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]


@pytest.mark.parametrize("row", PAGE.table("variable", "default"), ids=lambda row: row["variable"])
def test_the_default_of_a_setting_is_the_one_in_the_code(row: dict[str, str]) -> None:
    default = Settings.model_fields[code_in(row["variable"])[0].removeprefix(PREFIX).lower()].default

    match default:
        case None:
            assert row["default"].startswith(("unset", "generated", "`disqua.sqlite3`", "the system's"))
        case []:
            assert row["default"] == "empty"
        case str() if default.endswith("/docs/connector-guide.md"):
            assert row["default"] == "the connector guide"
        case bool():
            assert row["default"] == f"`{default}`".lower()
        case _:
            assert row["default"] == f"`{default}`"


def test_every_variable_that_is_named_exists() -> None:
    named = set(re.findall(rf"\b{PREFIX}[A-Z_]+", PAGE.text))
    of_the_build = set(re.findall(rf"\b{PREFIX}[A-Z_]+", BUILD.read_text()))

    assert named - of_the_build == {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}


def _warnings() -> set[str]:
    """What our code logs at a level at which an operator should look."""
    logged = re.compile(r'_log\.(?:warning|error|exception)\(\s*"([^"]+)"')
    rooms = ("graph", "inbox", "lookups", "persistence", "server")
    return {text for room in rooms for file in (REPOSITORY / room).rglob("*.py") for text in logged.findall(file.read_text())}


def test_every_warning_of_the_log_is_described() -> None:
    told = [code.rstrip("…").strip() for code in re.findall(r"`([^`\n]+)`", PAGE.path.read_text())]

    assert [text for text in sorted(_warnings()) if not any(text.startswith(start) for start in told if len(start) > 5)] == []


def test_every_role_is_described() -> None:
    assert {code_in(row["role"])[0] for row in PAGE.table("role", "may")} == set(Role)


# Metrics


async def test_every_metric_is_described_with_its_labels_and_their_values(helpdesk: Helpdesk) -> None:
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client:
        scraped = (await client.get(f"{helpdesk.base_url}/metrics")).text
    families = list(text_string_to_metric_families(scraped))
    rows = {code_in(row["metric"])[0]: row["labels"] for row in PAGE.table("metric", "labels")}

    assert {name: set(code_in(labels)) for name, labels in rows.items()} == {
        f"{family.name}_total" if family.type == "counter" else family.name: {
            label for sample in family.samples for label in sample.labels
        }
        for family in families
    }
    values = {label: set(found.split(", ")) for label, found in re.findall(r"`(\w+)`: ([\w, ]+)", ";".join(rows.values()))}
    assert values["trigger"] == set(LookupTrigger)
    assert values["status"] == set(LookupStatus) - {LookupStatus.PENDING}
    assert values["state"] == {"queued", "running"}


# Commands


def _commands(group: Any, *path: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - typer's own kind of command
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, *path, name)
        if not hasattr(command, "commands") or command.invoke_without_command:
            yield " ".join([*path, name]), command


COMMANDS = dict(_commands(typer.main.get_command(app)))


def _options(command: Any) -> set[str]:  # noqa: ANN401
    return {option for parameter in command.params for option in parameter.opts if option.startswith("--")}


def test_every_command_is_described_with_its_options() -> None:
    rows = {code_in(row["command"])[0].removeprefix("disqua "): row["does"] for row in PAGE.table("command", "does")}

    assert set(rows) == set(COMMANDS)
    for name, command in COMMANDS.items():
        assert set(re.findall(r"--[a-z-]+", rows[name])) == _options(command), name


def _typed() -> Iterator[str]:
    """What stands behind each ``disqua`` in the code on the page."""
    code = [*code_in(PAGE.prose), *(block.text for block in PAGE.blocks)]
    for line in "\n".join(code).splitlines():
        yield from re.findall(r"(?:^|/bin/|\$\()disqua ([a-z][^|;)]*)", line)


@pytest.mark.parametrize("line", sorted(set(_typed())))
def test_every_command_line_on_the_page_is_one_of_ours(line: str) -> None:
    words = line.split()
    name = next((name for name in COMMANDS if words[: len(name.split())] == name.split()), None)

    assert name is not None
    assert {word for word in words if word.startswith("--")} <= _options(COMMANDS[name])


@pytest.mark.timeout(180)  # some twenty processes, one after the other
def test_what_the_page_tells_to_type_works_from_top_to_bottom(tmp_path: Path) -> None:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed")
    port, mail_port = free_port(), free_port()
    typed = [
        block.text.replace("127.0.0.1:8000", f"127.0.0.1:{port}")
        for block in PAGE.blocks
        if block.language == "sh" and not any(word in block.text for word in NEED_A_MACHINE_OF_THEIR_OWN)
    ]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    kept |= {"PATH": f"{DISQUA.parent}:{kept['PATH']}", "PORT": str(port), "MAIL_PORT": str(mail_port)}

    ended = subprocess.run(
        ["bash"],
        input="\n".join([PRELUDE, *typed, "disqua doctor", "disqua workspace list"]),
        cwd=tmp_path,
        env=kept,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count('{"ticketId":') == 1
    assert '"status":"ok"' in ended.stdout
    assert "disqua_database_up 1.0" in ended.stdout
    assert re.search(r"[}\n]ok\n", ended.stdout), "the backup is whole"
    assert ended.stdout.count("every secret opens") >= 2
    assert "✗" not in ended.stdout
    assert ended.stdout.rstrip().endswith("\tExample Ltd\tsupport@example.com support@desk.example.com")
    assert "Traceback" not in ended.stderr
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600


# The backup of PostgreSQL


async def test_what_pg_dump_saves_and_pg_restore_puts_back_is_every_row_of_every_workspace(
    postgres: PostgreSQL, tmp_path: Path
) -> None:
    if not (postgres.programs / "pg_dump").exists():
        pytest.skip("pg_dump is not installed here")
    save, restore = (block.text for block in PAGE.blocks if "db.example.com" in block.text and block.language == "sh")
    with postgres.database() as original, postgres.empty_database() as copy:
        for name in ("acme", "globex"):
            await _fill(postgres.url(original, scheme="postgresql+asyncpg"), name)
        await in_thread(_type, save, postgres, original, tmp_path)
        await in_thread(_type, restore, postgres, copy, tmp_path)
        saved, restored = _rows(postgres, original), _rows(postgres, copy)

    assert saved == restored
    assert min(saved.values()) > 0
    assert saved["workspaces"] == 2


async def _fill(url: str, name: str) -> None:
    """A workspace with a row in every table."""
    database = Database(url, KeyRing({"k1": bytes(range(32))}))
    async with database.operator() as store:
        workspace_id = await store.workspaces.create(name, [support_address(f"support@{name}.example")], NOW)
        await store.revocations.add(f"token of {name}", NOW)
    async with database.workspace(workspace_id) as store:
        claim = await running(store, (await connect(store, SECRET)).id)
        (ticket,) = await store.tickets.newest(1)
        await store.messages.add_email(ticket.id, mail(), NOW)
        await store.answers.record(claim.connector_id, claim.email, FOUND, NOW)
        await store.audit.add(ADMIN, DEED, NOW)
    await database.close()


def _type(commands: str, postgres: PostgreSQL, database: str, folder: Path) -> None:
    """Type what the page says, for this server and this database."""
    subprocess.run(
        ["bash", "-euc", commands.replace("db.example.com/disqua", f"127.0.0.1:{postgres.port}/{database}")],
        env={"PATH": f"{postgres.programs}:{os.environ['PATH']}", "PGPASSWORD": PASSWORD},
        cwd=folder,
        check=True,
        timeout=60,
    )


def _rows(postgres: PostgreSQL, database: str) -> dict[str, int]:
    """How many rows each table has, whosever they are."""
    door = BackDoor(postgres.url(database))
    tables = door.rows("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
    return {name: door.rows(f"SELECT count(*) FROM {name}")[0][0] for (name,) in tables}  # noqa: S608 - names of our tables
