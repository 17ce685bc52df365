"""`disqua doctor`: a line for each part, and exit code 1 when one of them is wrong."""

from __future__ import annotations

import contextlib
import socket
import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from persistence.encryption import new_key_entry
from tests.stage.helpdesk import open_helpdesk
from tests.stage.process import free_port
from tests.stage.redis import redis_on_stage
from tests.stage.waiting import in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.stage.crm import Crm
    from tests.stage.redis import RedisServer
    from tests.stage.shell import Shell

PARTS = ["settings", "keys", "database", "redis", "mail port", "console"]


def lines(shell: Shell, *options: str, well: bool, **settings: str) -> dict[str, str]:
    """What the doctor says about each part, the sign in front."""
    options = options or ("--smtp-port", str(free_port()))
    ended = shell.run("doctor", *options, **settings)
    assert ended.err == "", ended
    assert ended.code == (0 if well else 1), ended
    said = [line.partition(": ") for line in ended.out.splitlines()]
    return {part[2:]: f"{part[0]} {finding}" for part, _, finding in said}


def wrong(findings: dict[str, str]) -> list[str]:
    """The parts that are wrong."""
    assert all(finding[0] in "✓✗" for finding in findings.values()), findings
    return [part for part, finding in findings.items() if finding[0] == "✗"]


def test_an_empty_folder_is_well(shell: Shell) -> None:
    port = free_port()

    findings = lines(shell, "--smtp-port", str(port), well=True)

    assert list(findings) == PARTS
    assert wrong(findings) == []
    assert findings["settings"] == f"✓ development, data in {shell.data_dir}"
    assert "generated" in findings["keys"]
    assert "empty" in findings["database"]
    assert findings["mail port"] == f"✓ 127.0.0.1:{port} is free"


def test_a_database_in_use_is_well(shell: Shell) -> None:
    shell.says("migrate")

    assert lines(shell, well=True)["database"].startswith("✓ reachable, schema 0")


def test_given_keys_and_the_issuer_of_tokens_are_told_and_no_key_is_shown(shell: Shell) -> None:
    entry = new_key_entry()
    key_id, _, key = entry.partition(":")

    ended = shell.run(
        "doctor", "--smtp-port", str(free_port()), ENCRYPTION_KEYS=entry, JWKS_URL="https://id.example/keys", ENV="production"
    )

    assert ended.code == 0
    assert f"✓ keys: secrets are encrypted under {key_id} (given), tokens are the identity provider's\n" in ended.out
    assert key not in ended.out


def test_a_wrong_setting_is_the_only_line(shell: Shell) -> None:
    findings = lines(shell, well=False, ALLOWED_ORIGINS="[red]")

    assert findings == {"settings": "✗ DISQUA_ALLOWED_ORIGINS: [red] is no origin, such as https://helpdesk.example.com"}


def test_a_damaged_key_file_is_wrong(shell: Shell) -> None:
    folder = shell.folder / "[red]"
    folder.mkdir()
    (folder / "encryption.keys").write_text("k1:short\n")

    findings = lines(shell, well=False, DATA_DIR="[red]")

    assert wrong(findings) == ["keys", "database"]
    assert findings["keys"].startswith("✗ DISQUA_DATA_DIR: [red]/encryption.keys is damaged: ")


def test_a_folder_that_cannot_be_used_is_wrong(shell: Shell) -> None:
    assert wrong(lines(shell, well=False, DATA_DIR="/dev/null")) == ["keys", "database"]


def test_a_file_that_is_no_database_is_wrong(shell: Shell) -> None:
    shell.data_dir.mkdir()
    (shell.data_dir / "disqua.sqlite3").write_bytes(b"This is no database. " * 1000)

    assert wrong(lines(shell, well=False)) == ["database"]


@pytest.mark.parametrize(
    ("revision", "remedy"), [("0000", "run `disqua migrate`"), ("9999", "a newer version of Disqua made it")]
)
def test_a_database_of_another_version_is_wrong(shell: Shell, revision: str, remedy: str) -> None:
    shell.says("migrate")
    with contextlib.closing(sqlite3.connect(shell.data_dir / "disqua.sqlite3", isolation_level=None)) as file:
        file.execute("UPDATE alembic_version SET version_num = ?", [revision])

    findings = lines(shell, well=False)

    assert wrong(findings) == ["database"]
    assert findings["database"].startswith(f"✗ the schema is at {revision}, this version needs 0")
    assert findings["database"].endswith(f": {remedy}")


async def test_secrets_that_no_key_opens_are_wrong_and_their_connectors_named(shell: Shell, crm: Crm) -> None:
    async with open_helpdesk(shell.data_dir) as helpdesk:
        await helpdesk.connect(crm.url("/plain"))
        connector_id = await helpdesk.connect(crm.url(), secretHeaderName="X-Key", secretHeaderValue="s3cret")

    well = await in_thread(lines, shell, well=True)
    lost = await in_thread(lines, shell, well=False, ENCRYPTION_KEYS=new_key_entry())

    assert well["database"].endswith("every secret opens")
    assert wrong(lost) == ["database"]
    assert connector_id in lost["database"]


async def test_a_key_of_the_same_name_with_other_bytes_is_found_out(shell: Shell, crm: Crm) -> None:
    async with open_helpdesk(shell.data_dir, encryption_keys=f"k1:{new_key_entry().partition(':')[2]}") as helpdesk:
        await helpdesk.connect(crm.url(), secretHeaderName="X-Key", secretHeaderValue="s3cret")

    other = await in_thread(lines, shell, well=False, ENCRYPTION_KEYS=f"k1:{new_key_entry().partition(':')[2]}")

    assert wrong(other) == ["database"]


# The mail port


async def test_a_port_that_we_serve_is_well(tmp_path: Path, shell: Shell) -> None:
    async with open_helpdesk(tmp_path / "data") as helpdesk:
        assert helpdesk.parts.mail_address is not None
        port = helpdesk.parts.mail_address.rpartition(":")[2]

        findings = await in_thread(lines, shell, "--smtp-port", port, well=True)

    assert findings["mail port"] == f"✓ 127.0.0.1:{port} takes mail"


@contextmanager
def greeting(words: bytes, host: str = "127.0.0.1") -> Iterator[int]:
    """A port on which somebody greets, once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:

        def greet() -> None:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(words)

        thread = threading.Thread(target=greet)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join()


@pytest.mark.parametrize(
    ("words", "finding"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "something that is no mail server listens on"),
        (b"\xff\xfe\x00", "something that is no mail server listens on"),
        (b"", "something that is no mail server listens on"),
        (b"220 mx.acme.example ESMTP Postfix\r\n", "another mail server listens on"),
    ],
)
def test_a_port_that_someone_else_has_taken_is_wrong(shell: Shell, words: bytes, finding: str) -> None:
    with greeting(words) as port:
        findings = lines(shell, "--smtp-port", str(port), well=False)

    assert findings["mail port"] == f"✗ {finding} 127.0.0.1:{port}"


def test_a_server_that_waits_to_be_spoken_to_is_wrong(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        findings = lines(shell, "--smtp-port", str(port), well=False)

    assert findings["mail port"] == f"✗ nothing on 127.0.0.1:{port} greets as a mail server: timed out"


def test_the_mail_port_may_be_an_ipv6_one(shell: Shell) -> None:
    port = free_port()

    findings = lines(shell, "--smtp-host", "::1", "--smtp-port", str(port), well=True)

    assert findings["mail port"] == f"✓ ::1:{port} is free"


def test_a_host_that_is_none_is_wrong(shell: Shell) -> None:
    assert wrong(lines(shell, "--smtp-host", "no..host", "--smtp-port", "8025", well=False)) == ["mail port"]


def test_a_redis_that_answers_is_well(shell: Shell, redis_server: RedisServer) -> None:
    assert lines(shell, well=True, REDIS_URL=redis_server.url)["redis"].startswith("✓ version ")


def test_a_redis_that_is_away_is_wrong_and_its_password_is_not_shown(shell: Shell) -> None:
    findings = lines(shell, well=False, REDIS_URL=f"redis://:CANARY@127.0.0.1:{free_port()}/0")

    assert wrong(findings) == ["redis"]
    assert "CANARY" not in findings["redis"]


def test_options_that_no_connection_to_redis_has_are_wrong(shell: Shell) -> None:
    findings = lines(shell, well=False, REDIS_URL="redis://:CANARY@127.0.0.1:1?foo=1")

    assert findings["redis"].startswith("✗ DISQUA_REDIS_URL: no connection can be made")


def test_a_redis_that_wants_a_password_is_wrong(shell: Shell) -> None:
    with redis_on_stage("--requirepass", "CANARY") as redis:
        assert wrong(lines(shell, well=False, REDIS_URL=redis.url)) == ["redis"]
        assert wrong(lines(shell, well=True, REDIS_URL=f"redis://:CANARY@127.0.0.1:{redis.port}")) == []
