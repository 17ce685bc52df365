"""What a process that serves does without."""

from __future__ import annotations

import os
import subprocess
import sys

UNUSED = "alembic asyncpg inscriptis lxml mako nh3 psycopg redis taskiq taskiq_redis".split()
LOADED = "import sys, server.cli, server.serve; print(*sys.modules)"


def test_a_server_loads_nothing_that_only_others_need() -> None:
    alone = {
        name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")
    }  # which looks into every package
    command = [sys.executable, "-c", LOADED]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True, env=alone).stdout.split()

    assert "server.app" in loaded
    assert not {*UNUSED} & {*loaded}
