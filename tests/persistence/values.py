"""A value for a column, whatever its type."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import JSON, Boolean, Integer, LargeBinary, Uuid
from sqlmodel.sql.sqltypes import UTCDateTime

if TYPE_CHECKING:
    from sqlalchemy import Column

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def some_value(column: Column[Any], turn: int) -> object:
    """One of those that a column of this type holds; in the last turn none, where there may be none."""
    match column.type:
        case UTCDateTime():
            values: list[object] = [NOW, NOW.astimezone(timezone(timedelta(hours=2))), NOW.replace(microsecond=0)]
        case Uuid():
            values = [UUID(int=turn), UUID("ffffffff-0000-7000-8000-0123456789ab"), UUID(int=2**127)]
        case JSON():
            values = [{"a": [1, None, "ž 👩‍🔧"]}, {}, []]
        case Boolean():
            values = [True, False, True]
        case Integer():
            values = [0, -(2**31), 2**53]
        case LargeBinary():
            values = [b"", b"\x00\xff", b"x" * 1000]
        case _:
            values = ["", "ž\x00'\n", "👩‍🔧" * 100]
    return None if turn == len(values) and column.nullable else values[turn % len(values)]
