"""How quick this machine is at the moment: the same work every time, by which times of two runs are compared."""

from __future__ import annotations

import hashlib
import json
import sqlite3

from bench.usage import own_cpu_seconds

_TURNS = 40
_ROWS = 400


def yardstick() -> float:
    """CPU seconds of a fixed piece of work of the kinds that a server does: objects, JSON, hashes, rows."""
    used = own_cpu_seconds()
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE row (id INTEGER PRIMARY KEY, text TEXT)")
    for turn in range(_TURNS):
        rows = [{"id": turn * _ROWS + number, "text": f"row {number}" * 8} for number in range(_ROWS)]
        told = json.loads(json.dumps(rows))
        connection.executemany("INSERT INTO row VALUES (:id, :text)", told)
        hashlib.sha256(repr(connection.execute("SELECT * FROM row ORDER BY id DESC LIMIT 400").fetchall()).encode()).digest()
    connection.close()
    return own_cpu_seconds() - used
