"""deploy/: what is installed there is what the tests run, and it starts over a real PostgreSQL and a real Redis."""

from __future__ import annotations

import asyncio
import re
import shlex
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest
import typer.main
import yaml

from persistence.encryption import new_key_entry
from server.cli import app
from server.settings import PREFIX, Settings
from tests.docs.page import REPOSITORY, Page
from tests.stage.front_end import NO_TLS
from tests.stage.process import DISQUA, free_port
from tests.stage.waiting import eventually, in_thread

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stage.postgres import PostgreSQL
    from tests.stage.redis import RedisServer

DEPLOY = REPOSITORY / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
SERVICES: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
OPTIONS = {
    name: {option for parameter in command.params for option in parameter.opts}
    for name, command in typer.main.get_command(app).commands.items()  # type: ignore[attr-defined]
}


def _lines(unit: Path, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", unit.read_text(), re.MULTILINE)


def _check(command: str, *arguments: str) -> None:
    assert command in OPTIONS
    assert {word for word in arguments if word.startswith("--")} <= OPTIONS[command]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_starts_a_command_of_ours_and_gives_it_the_time_to_end(unit: Path) -> None:
    (line,) = _lines(unit, "ExecStart")
    program, *command = shlex.split(line)

    assert program == "/usr/local/bin/disqua"
    _check(*command)
    assert _lines(unit, "TimeoutStopSec") == ["20"]


def test_the_unit_on_the_operating_page_is_the_one_here_but_for_several_processes() -> None:
    (shown,) = [block.text for block in Page(REPOSITORY / "docs" / "operating.md").blocks if "Description=Disqua" in block.text]
    here = (DEPLOY / "disqua.service").read_text()

    assert shown == here.replace(" --workers 2", "").replace("ExecReload=/bin/kill -HUP $MAINPID\n", "")


@pytest.mark.parametrize("name", OURS)
def test_a_service_is_a_command_of_ours_with_settings_that_exist(name: str) -> None:
    service = OURS[name]

    _check(*service["command"])
    assert set(service["environment"]) <= {f"{PREFIX}{field.upper()}" for field in Settings.model_fields}
    assert service["stop_grace_period"] == "20s"


@pytest.mark.parametrize("path", re.findall(r"^COPY (?!--)(\S+) ", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE))
def test_what_the_image_is_made_of_is_there(path: str) -> None:
    assert (REPOSITORY / path).exists()


def test_the_image_is_made_of_every_package_and_the_console() -> None:
    copied = set(re.findall(r"^COPY (\w+) \1$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE))

    assert copied == {path.parent.name for path in REPOSITORY.glob("*/__init__.py")} | {"console"}


def _here(command: list[str], ports: dict[str, int]) -> list[str]:
    """The command on this machine, on ports that are free here."""
    return [str(ports.get(word, word)).replace("0.0.0.0", "127.0.0.1") for word in command]  # noqa: S104 - of a container


async def test_what_compose_starts_serves_over_postgresql_and_redis_and_ends_in_time(
    tmp_path: Path, postgres: PostgreSQL, redis_server: RedisServer
) -> None:
    ports = {port: free_port() for port in ("8000", "8001", "8025")}
    with postgres.empty_database() as database:
        given = {
            "DISQUA_DATABASE_URL": postgres.url(database),
            "DISQUA_REDIS_URL": redis_server.url,
            "DISQUA_ENCRYPTION_KEYS": new_key_entry(),
            "DISQUA_TOKEN_KEY": "x" * 32,
            "PATH": "/usr/bin:/bin",
        }
        started = {name: service["environment"] | given for name, service in OURS.items()}

        async def start(name: str) -> asyncio.subprocess.Process:
            command = _here(OURS[name]["command"], ports)
            return await asyncio.create_subprocess_exec(DISQUA, *command, env=started[name], cwd=tmp_path)

        assert await (await start("migrate")).wait() == 0
        running = [await start(name) for name in ("serve", "worker")]
        for port in ("8000", "8001"):
            await eventually(lambda port=port: in_thread(_is_ready, ports[port]), within=30)  # type: ignore[misc]

        for process in running:
            process.terminate()
        async with asyncio.timeout(20):
            assert [await process.wait() for process in running] == [0, 0]


def _is_ready(port: int) -> bool:
    try:
        return bool(httpx.get(f"http://127.0.0.1:{port}/readyz", verify=NO_TLS, trust_env=False).json()["status"] == "ok")
    except httpx.TransportError:
        return False


def test_the_role_and_the_database_of_the_operating_page_can_be_made(postgres: PostgreSQL) -> None:
    (block,) = [block for block in Page(REPOSITORY / "docs" / "operating.md").blocks if block.language == "sql"]
    name = f"shown_{free_port()}"
    statements = [line.replace("disqua", name) for line in block.text.splitlines()]

    postgres.administer(*statements)
    try:
        with psycopg.connect(postgres.url(name, role=name, password="choose-one")) as connection:
            assert connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (False,)
    finally:
        postgres.administer(f"DROP DATABASE {name}", f"DROP ROLE {name}")
