"""The command line: what a person types, and the one line where it cannot be done."""

from __future__ import annotations

import re
import sqlite3
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import jwt
import pytest

from tests.stage.crm import FOUND
from tests.stage.front_end import FrontEnd
from tests.stage.helpdesk import CREATE_CONNECTOR
from tests.stage.process import free_port, serving
from tests.stage.shell import Ended
from tests.stage.waiting import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.stage.crm import Crm
    from tests.stage.shell import Shell, Terminal

TEST_CONNECTOR = """
mutation ($id: ID!) { testConnector(id: $id, email: "jan@firma.cz") { ... on LookupTrial { status } } }
"""
SERVE = ("serve", "--port", "0", "--smtp-port", "0")
UNKNOWN = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
def acme(shell: Shell) -> str:
    """The id of a workspace."""
    return shell.says("workspace", "create", "Acme s.r.o.", "--address", "support@acme.example")


# Workspaces and their addresses


def test_a_new_workspace_prints_its_id_alone(terminal: Terminal) -> None:
    ended = terminal.run("workspace", "create", "Acme", "--address", "support@acme.example", "--address", "help@acme.example")

    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"{UUID(ended.out.strip())}\n"
    assert UUID(ended.out.strip()).version == 7


def test_workspaces_are_listed_with_their_addresses_in_one_form(shell: Shell) -> None:
    first = shell.says(
        "workspace", "create", " Acme [s.r.o.] :cat: ", "--address", "Support@ACME.example", "--address", "help@acme.example"
    )
    second = shell.says("workspace", "create", "Želva", "--address", "podpora@želva.example")

    assert shell.says("workspace", "list").split("\n") == [
        f"{first}\tAcme [s.r.o.] :cat:\thelp@acme.example support@acme.example",
        f"{second}\tŽelva\tpodpora@xn--elva-kbb.example",
    ]


def test_without_workspaces_the_list_is_empty(shell: Shell) -> None:
    assert shell.says("workspace", "list") == ""


@pytest.mark.parametrize("name", ["", " ", "two\nlines", "tab\tbed", "\x1b[31mred"])
def test_the_name_of_a_workspace_is_one_line_of_text(shell: Shell, name: str) -> None:
    assert "name" in shell.refuses("workspace", "create", name, "--address", "support@acme.example")
    assert shell.says("workspace", "list") == ""


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("SUPPORT@Acme.Example", "disqua: support@acme.example belongs to another workspace."),
        ("support", "disqua: support: An email address has the form name@example.com."),
        (
            "[red]@acme.example",
            "disqua: [red]@acme.example: The part before the @ contains a character that no address can have.",
        ),
        ("help+eva@acme.example", "disqua: mail to help+eva@acme.example arrives at help@acme.example: give that address"),
    ],
)
def test_an_address_that_cannot_be_had_is_one_line_and_makes_no_workspace(
    shell: Shell, acme: str, address: str, reason: str
) -> None:
    assert shell.refuses("workspace", "create", "Other", "--address", "other@acme.example", "--address", address) == reason
    assert shell.says("workspace", "list") == f"{acme}\tAcme s.r.o.\tsupport@acme.example"


def test_addresses_are_added_and_removed_whatever_their_case(shell: Shell, acme: str) -> None:
    assert shell.says("workspace", "address", "add", acme, "Help@ACME.example") == ""
    assert shell.says("workspace", "address", "add", acme.upper(), "help@acme.example") == "", "one that is there stays"
    assert shell.says("workspace", "list").endswith("\tsupport@acme.example help@acme.example")

    assert shell.says("workspace", "address", "remove", acme, "SUPPORT@acme.example") == ""
    assert shell.says("workspace", "list").endswith("\thelp@acme.example")
    assert shell.refuses("workspace", "address", "remove", acme, "support@acme.example").endswith(
        "support@acme.example is not an address of this workspace"
    )


def test_an_address_of_another_workspace_is_neither_added_nor_removed(shell: Shell, acme: str) -> None:
    other = shell.says("workspace", "create", "Other", "--address", "support@other.example")

    assert shell.refuses("workspace", "address", "add", other, "Support@acme.example") == (
        "disqua: support@acme.example belongs to another workspace."
    )
    assert "not an address of this workspace" in shell.refuses("workspace", "address", "remove", other, "support@acme.example")
    assert acme in shell.says("workspace", "list")


@pytest.mark.parametrize("command", ["add", "remove"])
def test_a_tagged_address_is_refused_because_it_belongs_to_the_one_without_tag(shell: Shell, acme: str, command: str) -> None:
    line = shell.refuses("workspace", "address", command, acme, "Support+vip@acme.example")

    assert line == "disqua: mail to support+vip@acme.example arrives at support@acme.example: give that address"
    assert "support@acme.example" in shell.says("workspace", "list")


@pytest.mark.parametrize(
    "command",
    [
        ("workspace", "address", "add", "{}", "a@b.example"),
        ("workspace", "address", "remove", "{}", "a@b.example"),
        ("token", "--workspace", "{}", "--role", "agent"),
    ],
    ids=lambda command: " ".join(command[:3]),
)
def test_an_unknown_workspace_is_one_line(shell: Shell, command: tuple[str, ...]) -> None:
    assert shell.refuses(*(word.format(UNKNOWN) for word in command)) == (
        f"disqua: there is no workspace {UNKNOWN}; `disqua workspace list` shows them"
    )
    assert shell.refuses(*(word.format("[/]\nacme") for word in command)) == "disqua: [/] acme is not a workspace id"


# Tokens


@pytest.mark.parametrize(
    ("options", "lifetime"),
    [
        ((), timedelta(hours=12)),
        (("--ttl", "45s"), timedelta(seconds=45)),
        (("--ttl", "30m"), timedelta(minutes=30)),
        (("--ttl", " 90d"), timedelta(days=90)),
    ],
)
def test_a_token_is_printed_alone(shell: Shell, acme: str, options: tuple[str, ...], lifetime: timedelta) -> None:
    ended = shell.run("token", "--workspace", acme, "--role", "admin", "--name", "Eva [b]", *options)

    assert (ended.code, ended.err, ended.out.count("\n")) == (0, "", 1)
    key = (shell.data_dir / "token.key").read_text().strip()
    claims = jwt.decode(ended.out.strip(), key, algorithms=["HS256"], options={"verify_exp": False})
    assert (claims["workspace"], claims["role"], claims["name"]) == (acme, "admin", "Eva [b]")
    assert abs(datetime.fromtimestamp(claims["exp"], UTC) - datetime.now(UTC) - lifetime) < timedelta(seconds=90)


@pytest.mark.parametrize("ttl", ["12", "h", "0h", "-1h", "1.5h", "1w", "9999999d", "١h", "1h1m", ""])
def test_a_lifetime_that_makes_no_sense_is_one_line(shell: Shell, ttl: str) -> None:
    line = shell.refuses("token", "--workspace", UNKNOWN, "--role", "agent", "--ttl", ttl)

    assert line.startswith(f"disqua: --ttl {ttl}".rstrip())
    assert "12h" in line


def test_a_token_shows_what_it_says_and_whether_it_was_revoked(shell: Shell, acme: str) -> None:
    token = shell.says("token", "--workspace", acme, "--role", "admin", "--name", "Eva")

    def shown() -> dict[str, str]:
        return dict(line.split("\t") for line in shell.says("token", "show", token).splitlines())

    before = shown()
    assert shell.run("token", "revoke", before["jti"]).err == "Revoked.\n"
    after = shown()

    assert UUID(before["jti"]).version == 7
    assert before | {"jti": "", "exp": ""} == {
        "jti": "", "sub": f"admin@{acme}", "name": "Eva", "workspace": acme, "role": "admin", "exp": "", "revoked": "no",
    }  # fmt: skip
    assert after == before | {"revoked": "yes"}


def test_a_token_is_revoked_by_its_id_or_by_itself_and_as_often_as_one_likes(shell: Shell, acme: str) -> None:
    tokens = [shell.says("token", "--workspace", acme, "--role", "agent") for _ in range(2)]
    first = jwt.decode(tokens[0], options={"verify_signature": False})["jti"]

    said = [shell.run("token", "revoke", text).err for text in (first, tokens[0], tokens[1], tokens[1])]

    assert said == ["Revoked.\n", "It had been revoked before.\n", "Revoked.\n", "It had been revoked before.\n"]


def test_what_is_no_token_and_what_has_no_id_is_one_line(shell: Shell, acme: str) -> None:
    nameless = jwt.encode({"sub": "eva"}, "x" * 32)

    assert shell.refuses("token", "show", "nonsense") == "disqua: this is no token"
    for text in (nameless, "", "x" * 1001, "a\nb"):
        assert "without an id (jti) cannot be revoked" in shell.refuses("token", "revoke", text)


def test_a_workspace_is_suspended_and_resumed_and_the_list_says_so(shell: Shell, acme: str) -> None:
    said = [shell.run("workspace", *words, acme).err for words in (("suspend",), ("suspend",))]
    suspended = shell.says("workspace", "list")
    said += [shell.run("workspace", *words, acme).err for words in (("resume",), ("resume",))]

    assert said == ["Suspended.\n", "It had been suspended before.\n", "Resumed.\n", "It was not suspended.\n"]
    assert suspended == shell.says("workspace", "list") + "\tsuspended"
    assert f"there is no workspace {UNKNOWN}" in shell.refuses("workspace", "suspend", UNKNOWN)


def test_where_the_identity_provider_issues_the_tokens_the_command_says_so(shell: Shell, acme: str) -> None:
    line = shell.refuses("token", "--workspace", acme, "--role", "agent", JWKS_URL="https://id.example/keys")

    assert line == "disqua: the identity provider issues the tokens here"


# What is typed wrong


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        (("token",), "--workspace"),
        (("token", "--workspace", UNKNOWN), "--role"),
        (("token", "--workspace", UNKNOWN, "--role", "owner"), "owner"),
        (("workspace", "create"), "name"),
        (("workspace", "create", "Acme"), "--address"),
        (("workspace", "address", "add", UNKNOWN), "EMAIL"),
        (("serve", "--port", "65536"), "--port"),
        (("serve", "--smtp-port", "-1"), "--smtp-port"),
        (("serve", "--workers", "0"), "--workers"),
        (("serve", "--port", "http"), "--port"),
        (("doctor", "--smtp-port", "0"), "--smtp-port"),
        (("invent",), "invent"),
        (("keys", "invent"), "invent"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_wrong_command_line_is_told_with_exit_code_2(shell: Shell, command: tuple[str, ...], missing: str) -> None:
    ended = shell.run(*command)

    assert (ended.code, ended.out) == (2, ""), ended
    assert missing in ended.err
    assert "Traceback" not in ended.err


def test_the_help_names_every_command(shell: Shell) -> None:
    text = shell.says("--help")

    for command in ("demo", "serve", "worker", "migrate", "workspace", "token", "keys", "schema", "doctor"):
        assert re.search(rf"\b{command}\b", text)


@pytest.mark.parametrize("command", [("serve", "--workers", "2"), ("worker",)])
def test_several_processes_are_refused_by_one_line_that_names_redis(terminal: Terminal, command: tuple[str, ...]) -> None:
    assert "DISQUA_REDIS_URL" in terminal.refuses(*command)
    assert not terminal.data_dir.exists()


# An address of Redis that cannot be used

UNFIT_OPTIONS = [
    "redis://:CANARY@127.0.0.1:1?socket_timeout=abc",
    "redis://:CANARY@127.0.0.1:1?protocol=x",
    "redis://:CANARY@127.0.0.1:1?foo=1",
    "redis://:CANARY@127.0.0.1:1?max_connections=5",
    "rediss://:CANARY@127.0.0.1:1?ssl_cert_reqs=bogus",
    "rediss://:CANARY@127.0.0.1:1?ssl_ca_certs=/no/such/file.pem",
]


@pytest.mark.parametrize("command", ["serve", "worker"])
@pytest.mark.parametrize("url", UNFIT_OPTIONS)
def test_options_of_redis_that_cannot_be_used_are_one_line_without_the_password(shell: Shell, command: str, url: str) -> None:
    line = shell.refuses(command, "--port", "0", REDIS_URL=url)

    assert line.startswith("disqua: DISQUA_REDIS_URL: no connection can be made with these options: ")
    assert "CANARY" not in line


def test_several_processes_tell_the_same_in_one_line(terminal: Terminal) -> None:
    options = ("serve", "--workers", "2", "--port", "0", "--smtp-port", "0")

    assert "disqua: DISQUA_REDIS_URL: no connection" in terminal.refuses(*options, REDIS_URL=UNFIT_OPTIONS[2])


# A database that cannot be used


def _garbage(shell: Shell) -> None:
    shell.data_dir.mkdir()
    (shell.data_dir / "disqua.sqlite3").write_bytes(b"This is no database. " * 1000)


def _damaged(shell: Shell) -> None:
    shell.says("migrate")
    file = shell.data_dir / "disqua.sqlite3"
    whole = file.read_bytes()
    file.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))


def _read_only(shell: Shell) -> None:
    shell.says("migrate")
    for path in shell.data_dir.iterdir():
        path.chmod(0o400)
    shell.data_dir.chmod(0o500)


def _closed(shell: Shell) -> None:
    shell.says("migrate")
    shell.data_dir.chmod(0o000)


def _folder_in_its_place(shell: Shell) -> None:
    (shell.data_dir / "disqua.sqlite3").mkdir(parents=True)


def _from_a_newer_version(shell: Shell) -> None:
    shell.says("migrate")
    with sqlite3.connect(shell.data_dir / "disqua.sqlite3") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()


@pytest.mark.parametrize("spoil", [_garbage, _damaged, _read_only, _closed, _folder_in_its_place, _from_a_newer_version])
def test_a_database_that_cannot_be_used_is_one_line(shell: Shell, terminal: Terminal, spoil: Callable[[Shell], None]) -> None:
    spoil(shell)

    line = replace(terminal, privileged=False).refuses(*SERVE)

    terminal.data_dir.chmod(0o700)
    assert "database" in line or "DISQUA_DATA_DIR" in line


@pytest.mark.parametrize("spoil", [_garbage, _damaged, _folder_in_its_place, _from_a_newer_version])
def test_commands_say_in_one_line_that_the_database_cannot_be_used(shell: Shell, spoil: Callable[[Shell], None]) -> None:
    spoil(shell)

    line = shell.refuses("workspace", "list")

    assert "database" in line or "DISQUA_DATA_DIR" in line


# Keys


async def test_a_new_key_is_put_first_and_every_secret_is_encrypted_anew(shell: Shell, crm: Crm) -> None:
    crm.answers["/lookup"] = FOUND
    old, new = await in_thread(shell.says, "keys", "new"), await in_thread(shell.says, "keys", "new")
    workspace = ("workspace", "create", "Acme", "--address", "support@acme.example")
    workspace_id = await in_thread(shell.says, *workspace, ENCRYPTION_KEYS=old)
    token = await in_thread(shell.says, "token", "--workspace", workspace_id, "--role", "admin", ENCRYPTION_KEYS=old)
    connector = {"name": "CRM", "lookupUrl": crm.url(), "secretHeaderName": "X-Key", "secretHeaderValue": "s3cret"}
    async with _serving(shell, ENCRYPTION_KEYS=old) as base_url:
        created = (await FrontEnd(base_url, token).ask(CREATE_CONNECTOR, input=connector))["createConnector"]

    rotated = await in_thread(shell.run, "keys", "rotate", ENCRYPTION_KEYS=f"{new},{old}")
    again = await in_thread(shell.run, "keys", "rotate", ENCRYPTION_KEYS=f"{new},{old}")
    async with _serving(shell, ENCRYPTION_KEYS=new) as base_url:
        trial = (await FrontEnd(base_url, token).ask(TEST_CONNECTOR, id=created["id"]))["testConnector"]
    without = await in_thread(shell.run, "keys", "rotate", ENCRYPTION_KEYS=old)

    assert rotated == Ended(0, "", "1 secret encrypted anew.\n")
    assert again == Ended(0, "", "0 secrets encrypted anew.\n")
    assert trial == {"status": "FOUND"}
    assert [request.headers["x-key"] for request in crm.requests] == ["s3cret"]
    assert (without.code, without.out) == (1, "")
    assert without.err.splitlines()[-1].endswith(f"set them again: {created['id']}")


@asynccontextmanager
async def _serving(shell: Shell, **settings: str) -> AsyncIterator[str]:
    async with serving(shell.data_dir, port=free_port(), mail_port=free_port(), **settings) as served:
        yield served.base_url


def test_a_new_key_is_printed_alone_and_works_as_a_setting(terminal: Terminal) -> None:
    ended = terminal.run("keys", "new", ENV="production")

    assert (ended.code, ended.out.count("\n")) == (0, 1)
    assert "keys rotate" in ended.err
    assert terminal.says("workspace", "list", ENV="production", TOKEN_KEY="t" * 32, ENCRYPTION_KEYS=ended.out.strip()) == ""


# The schema


def test_the_printed_schema_is_the_one_in_the_repository(terminal: Terminal) -> None:
    file = Path(__file__).parents[2] / "schema.graphql"

    printed = terminal.run("schema", ENV="nonsense")

    assert (printed.code, printed.err) == (0, "")
    assert printed.out == file.read_text()
