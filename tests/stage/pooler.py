"""A throw-away PgBouncer in transaction mode: two connections to the server for however many clients."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.stage.postgres import OWNER, PASSWORD, as_server, give_to_server
from tests.stage.process import free_port
from tests.stage.waiting import by_now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stage.postgres import PostgreSQL

_SETTINGS = """\
[databases]
* = host=127.0.0.1 port={server} user={user} password='{password}'
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
max_client_conn = 200
logfile = {folder}/log
"""


@contextmanager
def open_pooler(postgres: PostgreSQL) -> Iterator[int]:
    """The port of a pooler; raises FileNotFoundError where none is installed."""
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        raise FileNotFoundError("PgBouncer is not installed here")
    folder, port = Path(tempfile.mkdtemp(prefix="disqua-pooler-")), free_port()
    settings = folder / "pgbouncer.ini"
    settings.write_text(_SETTINGS.format(server=postgres.port, user=OWNER, password=PASSWORD, port=port, folder=folder))
    give_to_server(folder, settings)
    process = subprocess.Popen([*as_server(), program, "-q", settings], cwd="/")

    def listens() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return True
        return False

    try:
        by_now(listens)
        yield port
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)
