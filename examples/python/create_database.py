"""Makes the customer table that the example answers from."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

here = Path(__file__).parent
with closing(sqlite3.connect(os.environ.get("LOOKUP_DATABASE", here / "customers.sqlite3"))) as database:
    database.executescript((here.parent / "customers.sql").read_text(encoding="utf-8"))
