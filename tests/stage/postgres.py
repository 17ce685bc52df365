"""A throw-away PostgreSQL: Debian's server on a free port, with a fresh database for every test, to be stopped and killed."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
from sqlalchemy import create_engine

from persistence import migrations
from tests.stage.process import free_port
from tests.stage.waiting import by_now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trustme import LeafCert

OWNER = "disqua"
"""An ordinary role that owns its tables, as in production: row-level security binds it."""
PASSWORD = "p@ss word/+%"
_TEMPLATE = "disqua_template"
_ADMIN = "postgres"
_ACCESS = """\
host all postgres 127.0.0.1/32 trust
host all all      127.0.0.1/32 scram-sha-256
"""
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": 200,
    "shared_buffers": "16MB",
    "autovacuum": "off",
}
_CARELESS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
_END_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
_PATIENCE_SECONDS = 20.0


@dataclass
class PostgreSQL:
    """One server over one folder; careless of power cuts unless told otherwise, for speed."""

    programs: Path
    folder: Path
    port: int
    careful: bool = False
    settings: dict[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _clean: list[str] = field(default_factory=list, init=False)

    def prepare(self) -> None:
        """Make the cluster."""
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        give_to_server(self.folder, secret)
        arguments = ["-D", str(self._data), "-U", _ADMIN, "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"]
        subprocess.run([*as_server(), self.programs / "initdb", *arguments], check=True, capture_output=True, cwd="/")
        (self._data / "pg_hba.conf").write_text(_ACCESS)

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        self.launch()
        by_now(self._takes_connections, within=_PATIENCE_SECONDS)

    def launch(self) -> None:
        """Start without waiting."""
        settings = _SETTINGS | ({} if self.careful else _CARELESS) | self.settings
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*as_server(), self.programs / "postgres", "-D", self._data, "-p", str(self.port), *options],
                stdout=log, stderr=log, cwd="/",
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """The process that all others of the server descend from."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """Close every connection and shut down in order."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End as the machine would: no farewell, recovery at the next start."""
        self._end(signal.SIGKILL)
        by_now(self._nobody_left, within=_PATIENCE_SECONDS)

    def suspend(self) -> None:
        """Hang: connections stay open, are even taken, and nothing answers."""
        for process in self._processes():
            os.kill(process, signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after ``suspend``."""
        for process in self._processes():
            with suppress(ProcessLookupError):  # it served whom nobody waited for: one that went on before has ended it
                os.kill(process, signal.SIGCONT)

    def encrypt(self, certificate: LeafCert) -> None:
        """Take encrypted connections, too, from now on."""
        key = self._data / "server.key"
        certificate.private_key_pem.write_to_path(str(key))
        certificate.cert_chain_pems[0].write_to_path(str(self._data / "server.crt"))
        key.chmod(0o600)
        give_to_server(key, self._data / "server.crt")
        self.administer("ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()")

        def encrypted() -> bool:
            with self.connect() as connection:
                return connection.pgconn.ssl_in_use

        by_now(encrypted)

    def _end(self, how: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(_PATIENCE_SECONDS)

    def _processes(self) -> list[int]:
        assert self._process is not None
        main = self._process.pid
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        return [main, *map(int, children)]

    def _nobody_left(self) -> bool:
        """Whether the server's children have noticed that it is gone: before, no new one may start."""
        shared_memory = (self._data / "postmaster.pid").read_text().splitlines()[6].split()[1]
        segments = [line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]]
        return not any(segment[1] == shared_memory and segment[6] != "0" for segment in segments)

    def _takes_connections(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()
        with suppress(psycopg.OperationalError), self.connect():
            return True
        return False

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """A connection as the superuser."""
        return psycopg.connect(host="127.0.0.1", port=self.port, user=_ADMIN, dbname=database, autocommit=True)

    def administer(self, *statements: str) -> None:
        """Run statements as the superuser."""
        with self.connect() as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def url(self, database: str, *, scheme: str = "postgresql", role: str = OWNER, password: str = PASSWORD) -> str:
        """How the product is told of a database."""
        secret = "".join(f"%{byte:02X}" for byte in password.encode())
        return f"{scheme}://{role}:{secret}@127.0.0.1:{self.port}/{database}"

    def admin_url(self, database: str) -> str:
        """How a test reaches a database past row-level security, synchronously."""
        return f"postgresql+psycopg://{_ADMIN}@127.0.0.1:{self.port}/{database}"

    def make_template(self) -> None:
        """A role for the product, and a database with the newest schema to copy from."""
        self.administer(f"CREATE ROLE {OWNER} LOGIN PASSWORD '{PASSWORD}'", f"CREATE DATABASE {_TEMPLATE} OWNER {OWNER}")
        self.migrate(_TEMPLATE)

    def migrate(self, database: str, revision: str = "head") -> None:
        """Bring a database to this revision, as the product's role."""
        engine = create_engine(self.url(database, scheme="postgresql+psycopg"))
        with engine.begin() as connection:
            migrations.upgrade(connection, revision)
        engine.dispose()

    @contextmanager
    def database(self) -> Iterator[str]:
        """The name of a database with the newest schema and nothing in it; what is left in it serves again, emptied."""
        name = self._clean.pop() if self._clean else self._new(_TEMPLATE)
        yield name
        with self.connect(name) as connection:
            connection.execute(_END_OTHERS)
            connection.execute("DELETE FROM workspaces")
            connection.execute("DELETE FROM revoked_tokens")
        self._clean.append(name)

    @contextmanager
    def empty_database(self) -> Iterator[str]:
        """The name of a database without any table."""
        name = self._new("template0")
        yield name
        self.administer(f"DROP DATABASE {name} WITH (FORCE)")

    def _new(self, template: str) -> str:
        name = f"test_{uuid4().hex}"
        self.administer(f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {template}")
        return name

    @property
    def _data(self) -> Path:
        return self.folder / "data"


@contextmanager
def open_postgresql(*, careful: bool = False, **settings: str) -> Iterator[PostgreSQL]:
    """A running server with a template; raises FileNotFoundError where none is installed.

    ``settings`` are PostgreSQL's and go before those of tests.
    """
    folder = Path(tempfile.mkdtemp(prefix="disqua-postgresql-"))  # not below pytest's, which only its own user may enter
    server = PostgreSQL(_programs(), folder, free_port(), careful, settings)
    try:
        server.prepare()
        server.start()
        server.make_template()
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    """Where the newest server's programs are."""
    if tool := shutil.which("pg_config"):
        told = Path(subprocess.run([tool, "--bindir"], check=True, capture_output=True, text=True).stdout.strip())
        if (told / "initdb").exists():
            return told
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise FileNotFoundError("PostgreSQL is not installed here")
    return found[-1].parent


def as_server() -> list[str]:
    """What to put before a command: PostgreSQL and its poolers refuse to run as root."""
    return ["setpriv", f"--reuid={_ADMIN}", f"--regid={_ADMIN}", "--clear-groups"] if os.geteuid() == 0 else []


def give_to_server(*paths: Path) -> None:
    """Let those who run in place of root have these files."""
    if os.geteuid() == 0:
        owner = pwd.getpwnam(_ADMIN)
        for path in paths:
            os.chown(path, owner.pw_uid, owner.pw_gid)
