"""Which core serves and which ones ask, so that neither takes time from the other."""

from __future__ import annotations

import os
from typing import Final

_EVERY: Final = frozenset(os.sched_getaffinity(0))
SERVING: Final = min(_EVERY)
"""The one core of whatever is measured."""
ASKING: Final = (_EVERY - {SERVING}) or _EVERY
"""All others, of clients, endpoints and databases; the same one where there is only one."""


def pinned(*command: str) -> list[str]:
    """The command on the core that serves, with all that it starts."""
    return ["taskset", "--cpu-list", str(SERVING), *command]


def ask_from_the_others() -> None:
    """Keep this process, and what it starts from now on, off the core that serves."""
    os.sched_setaffinity(0, ASKING)
