"""Settings: defaults, where they come from, what is refused, and the keys that are made when none is given."""

from __future__ import annotations

import base64
import os
import stat
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import jwt
import pytest
import trustme

from graph.limits import Limits
from persistence.encryption import KeyRing, Place, new_key_entry
from server.settings import Environment, LogLevel, WrongSetting, load_settings

if TYPE_CHECKING:
    from tests.stage.shell import Shell, Terminal

CANARY = "c4n4ry-s3cret-that-nobody-may-read"
SERVE = ("serve", "--port", "0", "--smtp-port", "0")


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("DISQUA_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_every_setting_has_the_default_of_the_contract() -> None:
    assert load_settings().model_dump() == {
        "env": Environment.DEVELOPMENT,
        "data_dir": Path("data"),
        "database_url": None,
        "redis_url": None,
        "encryption_keys": None,
        "token_key": None,
        "jwks_url": None,
        "lookup_ca_file": None,
        "lookup_allowed_networks": [],
        "allowed_origins": [],
        "help_url": "https://github.com/disqua/crm-connector/blob/main/docs/connector-guide.md",
        "log_level": LogLevel.INFO,
        "authserv_id": None,
        "mails_per_sender_and_hour": 500,
        "mail_connections": 500,
        "mail_connections_per_client": 200,
        "log_retention_days": None,
        "raw_mail_retention_days": None,
        "compiled": True,
        "graphql_body_bytes": 1_048_576,
        "graphql_tokens": 10_000,
        "graphql_directives": 200,
        "graphql_selections": 10_000,
        "graphql_values": 2_000,
        "graphql_depth": 20,
        "graphql_aliases": 200,
        "graphql_equal_fields": 100,
        "graphql_comparisons": 100_000,
        "graphql_fields": 2_000_000,
        "graphql_seconds": 25,
        "socket_frame_bytes": 262_144,
        "socket_operations": 100,
        "socket_messages": 200,
        "socket_init_seconds": 10,
    }

    assert load_settings().limits() == Limits()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("AUTHSERV_ID", "mx.example.com", "mx.example.com"),
        ("DATA_DIR", "/srv/disqua", Path("/srv/disqua")),
        ("DATABASE_URL", "sqlite:////srv/desk.sqlite3", "sqlite:////srv/desk.sqlite3"),
        ("DATABASE_URL", "postgresql://disqua@db.example/desk", "postgresql://disqua@db.example/desk"),
        ("REDIS_URL", "rediss://redis.example:6380/1", "rediss://redis.example:6380/1"),
        ("REDIS_URL", "unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("TOKEN_KEY", "ž" * 32, "ž" * 32),
        ("JWKS_URL", "https://id.example/keys", "https://id.example/keys"),
        ("LOOKUP_ALLOWED_NETWORKS", " 127.0.0.0/8, fd00::/8 ,", [ip_network("127.0.0.0/8"), ip_network("fd00::/8")]),
        ("LOOKUP_ALLOWED_NETWORKS", "0.0.0.0/0", [ip_network("0.0.0.0/0")]),
        ("ALLOWED_ORIGINS", "https://a.example,http://localhost:5173", ["https://a.example", "http://localhost:5173"]),
        ("ALLOWED_ORIGINS", "HTTPS://A.example:443/", ["https://a.example"]),
        ("ALLOWED_ORIGINS", "https://[::1]:8443, *", ["https://[::1]:8443", "*"]),
        ("HELP_URL", "https://help.example/crm", "https://help.example/crm"),
        ("LOG_LEVEL", "debug", LogLevel.DEBUG),
        ("MAILS_PER_SENDER_AND_HOUR", "20", 20),
        ("LOG_RETENTION_DAYS", "30", 30),
        ("RAW_MAIL_RETENTION_DAYS", "365", 365),
        ("REDIS_URL", "", None),
        ("ENV", "", Environment.DEVELOPMENT),
    ],
)
def test_a_setting_is_read_from_its_variable(monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: object) -> None:
    monkeypatch.setenv(f"DISQUA_{name}", text)

    assert getattr(load_settings(), name.lower()) == value


WRONG = [
    ("ENV", "prod"),
    ("DATABASE_URL", f"mysql://disqua:{CANARY}@db.example/disqua"),
    ("REDIS_URL", f"https://:{CANARY}@redis.example"),
    ("ENCRYPTION_KEYS", CANARY),
    ("TOKEN_KEY", CANARY[:31]),
    ("JWKS_URL", f"ftp://user:{CANARY}@id.example/keys"),
    ("LOOKUP_CA_FILE", "/no/such/file.pem"),
    ("LOOKUP_ALLOWED_NETWORKS", "10.0.0.0/8,10.0.0.1/8"),
    ("ALLOWED_ORIGINS", "helpdesk.example"),
    ("HELP_URL", "javascript:alert(1)"),
    ("LOG_LEVEL", "loud"),
    ("MAILS_PER_SENDER_AND_HOUR", "0"),
    ("LOG_RETENTION_DAYS", "0"),
    ("RAW_MAIL_RETENTION_DAYS", "36501"),
    ("DATA_DIR", "/dev/null"),
]
ALSO_WRONG = [
    ("DATABASE_URL", "sqlite://"),
    ("DATABASE_URL", "sqlite:///:memory:?cache=shared"),
    ("DATABASE_URL", "sqlite+pysqlite:////srv/desk.sqlite3"),
    ("DATABASE_URL", "postgresql+psycopg2://db.example/desk"),
    ("DATABASE_URL", "postgresql:db.example"),
    ("REDIS_URL", "redis://"),
    ("REDIS_URL", "localhost:6379"),
    ("REDIS_URL", "redis://localhost:65536"),
    ("ENCRYPTION_KEYS", f"k1:{CANARY}"),
    ("ENCRYPTION_KEYS", "k1:" + base64.b64encode(CANARY[:31].encode()).decode()),
    ("ENCRYPTION_KEYS", "k1:" + base64.b64encode(bytes(32)).decode()),
    ("ENCRYPTION_KEYS", ",".join(["k1:" + base64.b64encode(CANARY[:32].encode()).decode()] * 2)),
    ("ENCRYPTION_KEYS", ","),
    ("TOKEN_KEY", os.fsdecode(b"\xff" + CANARY.encode())),
    ("JWKS_URL", "https://"),
    ("JWKS_URL", "/keys"),
    ("HELP_URL", "http://["),
    ("LOOKUP_CA_FILE", "/dev/null"),
    ("LOOKUP_CA_FILE", "/"),
    ("LOOKUP_ALLOWED_NETWORKS", "localhost"),
    ("LOOKUP_ALLOWED_NETWORKS", "10.0.0.0/33"),
    ("ALLOWED_ORIGINS", "https://a.example/desk"),
    ("ALLOWED_ORIGINS", "https://*.example"),
    ("ALLOWED_ORIGINS", "https://user@a.example"),
    ("ALLOWED_ORIGINS", "null"),
    ("MAILS_PER_SENDER_AND_HOUR", "-1"),
    ("MAILS_PER_SENDER_AND_HOUR", "many"),
]


@pytest.mark.parametrize(("name", "text"), WRONG)
def test_a_wrong_setting_stops_the_server_with_one_line_that_names_it(terminal: Terminal, name: str, text: str) -> None:
    line = terminal.refuses(*SERVE, **{name: text})

    assert line.startswith(f"disqua: DISQUA_{name}: ")
    assert CANARY[:8] not in line


@pytest.mark.parametrize(("name", "text"), [*WRONG[:-1], *ALSO_WRONG])
def test_what_is_wrong_with_a_setting_is_one_line_without_its_secret(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv(f"DISQUA_{name}", text)

    with pytest.raises(WrongSetting, match=rf"^DISQUA_{name}: \S") as refusal:
        load_settings()

    line = str(refusal.value)
    assert "\n" not in line
    assert CANARY[:8] not in line


def test_settings_stand_in_dot_env_and_the_environment_wins(shell: Shell) -> None:
    (shell.folder / ".env").write_text('DISQUA_LOG_LEVEL=loud\nDISQUA_DATA_DIR="kept here"\nOTHER=1\n')

    assert shell.refuses("migrate").startswith("disqua: DISQUA_LOG_LEVEL: ")
    shell.says("migrate", LOG_LEVEL="info")

    assert (shell.folder / "kept here" / "disqua.sqlite3").is_file()


@pytest.mark.parametrize(("content", "mode"), [(b"DISQUA_HELP_URL=\xff\n", 0o600), (b"", 0o000)])
def test_a_dot_env_that_cannot_be_read_is_one_line(terminal: Terminal, content: bytes, mode: int) -> None:
    (terminal.folder / ".env").write_bytes(content)
    (terminal.folder / ".env").chmod(mode)

    assert replace(terminal, privileged=False).refuses("migrate").startswith("disqua: .env ")


def test_further_authorities_are_taken_from_a_file_of_certificates(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    assert load_settings(lookup_ca_file=tmp_path / "ca.pem").lookup_ca_file == tmp_path / "ca.pem"


# Keys that nobody gave


def test_what_is_generated_is_for_the_owner_alone(terminal: Terminal) -> None:
    workspace_id = replace(terminal, umask=0).says("workspace", "create", "Acme", "--address", "support@acme.example")

    replace(terminal, umask=0).says("token", "--workspace", workspace_id, "--role", "agent")

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [terminal.data_dir, *terminal.data_dir.iterdir()]}
    assert modes == {"data": 0o700, "disqua.sqlite3": 0o600, "encryption.keys": 0o600, "token.key": 0o600}


@pytest.mark.timeout(180)  # a dozen processes, on few processors
def test_commands_side_by_side_in_an_empty_folder_agree_on_one_set_of_keys(terminal: Terminal) -> None:
    names = [f"Acme {number}" for number in range(8)]
    created = terminal.side_by_side(
        [("workspace", "create", name, "--address", f"{number}@acme.example") for number, name in enumerate(names)]
    )
    assert [ended.code for ended in created] == [0] * 8, created

    issued = terminal.side_by_side([("token", "--workspace", ended.out.strip(), "--role", "agent") for ended in created[:4]])
    assert [ended.code for ended in issued] == [0] * 4, issued

    assert sorted(path.name for path in terminal.data_dir.iterdir()) == ["disqua.sqlite3", "encryption.keys", "token.key"]
    key = (terminal.data_dir / "token.key").read_text().strip().encode()
    workspaces = {jwt.decode(ended.out.strip(), key, algorithms=["HS256"])["workspace"] for ended in issued}
    assert workspaces == {ended.out.strip() for ended in created[:4]}


def test_generated_keys_are_made_once(tmp_path: Path) -> None:
    place = Place(uuid4(), "connectors", uuid4(), "secret")
    first = load_settings(data_dir=tmp_path / "data")
    sealed, token_key = first.key_ring().encrypt("s3cret", place), first.signing_key()

    again = load_settings(data_dir=tmp_path / "data")

    assert again.key_ring().decrypt(sealed, place) == "s3cret"
    assert again.signing_key() == token_key


def test_given_keys_go_before_generated_ones(tmp_path: Path) -> None:
    load_settings(data_dir=tmp_path).key_ring()

    given = load_settings(data_dir=tmp_path, encryption_keys=new_key_entry().replace("k", "mine-", 1), token_key="ž" * 32)

    assert given.key_ring().primary.startswith("mine-")
    assert given.signing_key() == "ž" * 32


def test_where_only_an_identity_provider_issues_tokens_no_key_of_ours_is_made(tmp_path: Path) -> None:
    assert load_settings(data_dir=tmp_path, jwks_url="https://id.example/keys").signing_key() is None
    assert not (tmp_path / "token.key").exists()


@pytest.mark.parametrize(
    ("file", "content"),
    [("encryption.keys", b""), ("encryption.keys", b"k1:c2hvcnQ="), ("token.key", b"short\n"), ("token.key", b"\xff" * 40)],
)
def test_a_damaged_key_file_is_named_and_never_replaced(tmp_path: Path, file: str, content: bytes) -> None:
    (tmp_path / file).write_bytes(content)
    settings = load_settings(data_dir=tmp_path)

    with pytest.raises(WrongSetting, match=rf"^DISQUA_DATA_DIR: .*{file} is damaged: [^\n]*$"):
        settings.key_ring() if file == "encryption.keys" else settings.signing_key()

    assert (tmp_path / file).read_bytes() == content


PRODUCTION_KEYS = {"encryption_keys": new_key_entry(), "token_key": "t" * 32}


@pytest.mark.parametrize("missing", PRODUCTION_KEYS)
def test_production_refuses_generated_keys(tmp_path: Path, missing: str) -> None:
    development = load_settings(data_dir=tmp_path)
    development.key_ring()
    development.signing_key()
    given: dict[str, Any] = {name: key for name, key in PRODUCTION_KEYS.items() if name != missing}

    with pytest.raises(WrongSetting, match=f"^DISQUA_{missing.upper()}: "):
        load_settings(env="production", data_dir=tmp_path, **given)


def test_production_refuses_to_serve_on_generated_keys_in_one_line(terminal: Terminal) -> None:
    assert terminal.refuses(*SERVE, ENV="production").startswith("disqua: DISQUA_ENCRYPTION_KEYS: ")
    assert not terminal.data_dir.exists()


def test_production_runs_on_given_keys_or_an_identity_provider(tmp_path: Path) -> None:
    keys = PRODUCTION_KEYS["encryption_keys"]

    assert load_settings(env="production", encryption_keys=keys, token_key="t" * 32).production
    assert load_settings(env="production", encryption_keys=keys, jwks_url="https://id.example/keys").production


def test_several_keys_may_stand_on_lines_of_their_own(tmp_path: Path) -> None:
    entries = [new_key_entry(), new_key_entry()]
    (tmp_path / "encryption.keys").write_text("\n".join(entries) + "\n")
    place = Place(uuid4(), "connectors", uuid4(), "secret")

    ring = load_settings(data_dir=tmp_path).key_ring()

    assert ring.decrypt(KeyRing.parse(entries[1]).encrypt("s3cret", place), place) == "s3cret"
    assert f"{ring.primary}:" == entries[0][: len(ring.primary) + 1]


# The database


@pytest.mark.parametrize("name", ["with space", "100%41", "what?now", "a#b", "ř [red]"])
def test_the_data_directory_may_bear_any_name(shell: Shell, name: str) -> None:
    shell.says("migrate", DATA_DIR=name)

    assert (shell.folder / name / "disqua.sqlite3").stat().st_size > 0
    assert [path.name for path in shell.folder.iterdir()] == [name]


def test_the_database_may_lie_elsewhere(shell: Shell) -> None:
    shell.says("migrate", DATABASE_URL=f"sqlite:///{shell.folder}/desk.sqlite3")

    assert (shell.folder / "desk.sqlite3").stat().st_size > 0
    assert not (shell.data_dir / "disqua.sqlite3").exists()


def test_settings_do_not_change_once_they_are_read() -> None:
    settings = load_settings(_env_file=None)

    with pytest.raises(ValueError, match="frozen"):
        setattr(settings, "env", Environment.PRODUCTION)  # noqa: B010 - mypy refuses the plain assignment, too


def test_keys_are_not_shown_where_settings_are_printed() -> None:
    settings = load_settings(token_key=CANARY, encryption_keys="k1:" + base64.b64encode(CANARY[:32].encode()).decode())

    assert CANARY not in repr(settings)
    assert base64.b64encode(CANARY[:32].encode()).decode() not in repr(settings)
