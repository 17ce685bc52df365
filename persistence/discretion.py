"""What PostgreSQL's errors say, without any value of a row or of a statement."""

from __future__ import annotations

import re
from typing import Final

_QUOTED: Final = re.compile(r"(?<=query argument \$)\d+: .*|\n(?:DETAIL|CONTEXT): .*", re.DOTALL)


def quote_no_value(error: BaseException) -> None:
    """Leave of an error what has no value in it: servers quote rows in its details, asyncpg quotes what it cannot send."""
    found: BaseException | None = error
    while found is not None:
        found.args = tuple(_QUOTED.sub("", text) if isinstance(text, str) else text for text in found.args)
        if isinstance(getattr(found, "detail", None), str):
            found.detail = None  # type: ignore[attr-defined]
        found = found.__cause__ or getattr(found, "orig", None)
