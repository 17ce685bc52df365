"""Where a mail and its lookups spend their CPU: the server under W5, sampled by py-spy, by the room that was at work.

A sample belongs to the innermost function of ours on its stack, for that is what asked for whatever runs below it; what runs
in a greenlet or thread of a database driver has none. Where py-spy may not look into another process, there is no split.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.endpoint import endpoint
from bench.sampler import FRAME, PY_SPY, sampling, waits
from bench.seed import Helpdesk
from bench.target import Seeded
from bench.w5_mail_to_panel import flow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ROOT: Final = f"{Path(__file__).parents[1]}/"
_WARM = 10
_CHILD_THAT_PARSES: Final = "inbox.sandbox import serve"
_ROOMS: Final = (
    ("SMTP", ("inbox/smtp", "inbox/client", "inbox/limits")),
    (
        "parse",
        ("inbox/sandbox", "inbox/parse", "inbox/mime", "inbox/headers", "inbox/charset", "inbox/incoming", "inbox/mailboxes"),
    ),
    ("HTTP", ("lookups/client", "lookups/wire", "lookups/question", "lookups/guard", "lookups/signature")),
    ("announce", ("lookups/updates", "lookups/carrier")),
    ("frame", ("graph/", "compiled/", "server/socket")),
    ("queue", ("lookups/",)),
    ("mail", ("inbox/",)),
    ("process", ("server/",)),
)
_DATABASE: Final = ("sqlalchemy/", "aiosqlite/", "sqlite3/", "asyncpg/")


async def split(folder: Path, mails: int) -> dict[str, float]:
    """Percent of the samples by part, the largest first; empty where nobody may look."""
    if not PY_SPY.exists():
        return {}
    async with endpoint(0) as (url, _):
        seeded = await Seeded.make(folder / "split", Helpdesk(lookup_url=url, always_ask=True))
        async with flow(seeded) as mail:
            await mail.send(range(_WARM))
            file = folder / "samples"
            async with sampling(mail.target.pid, file):
                await mail.send(range(_WARM, _WARM + mails))
    return shares(file.read_text().splitlines()) if file.exists() else {}


def shares(samples: Sequence[str]) -> dict[str, float]:
    """Percent by part, of lines that each hold a stack and how often it was seen."""
    counted = Counter[str]()
    for sample in samples:
        stack, _, times = sample.rpartition(" ")
        if not waits(stack):
            counted[_part(stack)] += int(times)
    return {part: times / counted.total() * 100 for part, times in counted.most_common()}


def _part(stack: str) -> str:
    if _CHILD_THAT_PARSES in stack:
        return "parse"
    ours = [*_ours(stack)]
    room = next((room for room in reversed(ours) if not room.startswith("domain/")), "")
    if room.startswith("persistence/"):
        return f"database, for {_room(next((caller for caller in reversed(ours) if not caller.startswith('persistence/')), ''))}"
    if not room or room.startswith("server/"):
        return "database, for nobody who is on the stack" if any(f"/{name}" in stack for name in _DATABASE) else "event loop"
    return _room(room)


def _ours(stack: str) -> Iterator[str]:
    """The files of ours on the stack, outermost first."""
    for file, _ in FRAME.findall(stack):
        if file.startswith(_ROOT) and "/.venv/" not in file:
            yield file.removeprefix(_ROOT)


def _room(file: str) -> str:
    return next((name for name, files in _ROOMS if file.startswith(files)), "others")
