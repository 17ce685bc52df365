"""What a process that serves does without."""

from __future__ import annotations

import subprocess
import sys

UNUSED = "alembic asyncpg inscriptis lxml mako nh3 psycopg redis taskiq taskiq_redis".split()
LOADED = "import sys, server.cli, server.serve; print(*sys.modules)"


def test_a_server_loads_nothing_that_only_others_need() -> None:
    loaded = subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True).stdout.split()

    assert "server.app" in loaded
    assert not {*UNUSED} & {*loaded}
