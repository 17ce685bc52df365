"""What a process that serves does without, and what one that only carries out a command does."""

from __future__ import annotations

import os
import subprocess
import sys

NOT_WITHOUT_NEED = "alembic asyncpg inscriptis lxml mako nh3 psycopg redis taskiq taskiq_redis".split()
NOT_FOR_A_COMMAND = "aiohttp compiled graphql httpx inbox lookups strawberry uvicorn".split()


def loaded_by(*modules: str) -> set[str]:
    """All that is loaded when these are."""
    alone = {
        name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")
    }  # which looks into every package
    command = [sys.executable, "-c", f"import sys, {', '.join(modules)}; print(*sys.modules)"]
    return {*subprocess.run(command, check=True, capture_output=True, text=True, env=alone).stdout.split()}


def test_a_server_loads_nothing_that_only_others_need() -> None:
    loaded = loaded_by("server.cli", "server.serve")

    assert "server.app" in loaded
    assert not loaded & {*NOT_WITHOUT_NEED}


def test_a_command_that_serves_nobody_loads_nothing_of_a_server() -> None:
    loaded = loaded_by("server.cli")

    assert "persistence.database" in loaded
    assert not loaded & {*NOT_WITHOUT_NEED, *NOT_FOR_A_COMMAND}
