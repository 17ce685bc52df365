"""Mail that nobody here wrote, however it is damaged, is read or kept as it came within 5 s, and no worker is lost."""

from __future__ import annotations

import asyncio
import os
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from domain.ticket import InboundEmail, one_line, storable
from inbox.parse import Parser
from tests.stage.back_door import BackDoor
from tests.stage.dialogue import Dialogue, whole, wire
from tests.stage.helpdesk import SUPPORT, open_helpdesk
from tests.stage.mutation import damaged
from tests.stage.waiting import eventually, in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.promises.conftest import Figure

pytestmark = pytest.mark.timed

MUTATIONS = 20_000
AT_ONCE = 8
THROUGH_SMTP = 50  # one of so many
CHILDREN = 2
QUOTED = (
    b"From: jan@firma.cz\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C5=99"
)


@pytest.fixture
def originals(corpora: Path) -> list[bytes]:
    files = [path for path in sorted((corpora / "mail").rglob("*")) if path.is_file() and not path.name.endswith("LICENSE")]
    return [raw for path in files if 0 < len(raw := path.read_bytes()) < 200_000]


@pytest.mark.timeout(900)
async def test_no_damage_stops_the_reading(originals: list[bytes], size: Callable[[int], int], figure: Figure) -> None:
    chance = random.Random(4)
    mails = [damaged(chance.choice(originals), chance, originals) for _ in range(size(MUTATIONS))]
    seconds: list[float] = []
    children: set[int] = set()
    places = asyncio.Semaphore(AT_ONCE)
    others = sandboxes()  # of a product that other tests share

    async with Parser(children=CHILDREN) as parser:

        async def read(raw: bytes) -> None:
            async with places:
                started = time.monotonic()
                email = await parser.read(raw, envelope_sender="jan@firma.cz")
                seconds.append(time.monotonic() - started)
            children.update(sandboxes() - others)
            assert email.raw == raw
            assert can_be_stored(email)

        await asyncio.gather(*map(read, mails))
        await eventually(lambda: all_read(parser, others), within=30)

    assert max(seconds) < 5
    figure("mutations read", len(mails))
    figure("slowest, s", max(seconds))
    figure("children replaced", len(children) - CHILDREN)


@pytest.mark.timeout(300)
async def test_what_is_damaged_is_stored_as_it_came(
    originals: list[bytes], tmp_path: Path, size: Callable[[int], int], figure: Figure
) -> None:
    chance = random.Random(5)
    mails = [damaged(chance.choice(originals), chance, originals) for _ in range(size(MUTATIONS) // THROUGH_SMTP)]

    async with open_helpdesk(tmp_path / "data", mails_per_sender_and_hour=100_000) as helpdesk:
        replies = await in_thread(deliver, helpdesk.mail_port, mails)
        different = {(await helpdesk.parts.parser.read(whole(raw), envelope_sender="")).fingerprint for raw in mails}

    assert {reply[:3] for reply in replies} == {"250"}
    back_door = BackDoor(f"sqlite+aiosqlite:///{tmp_path / 'data' / 'disqua.sqlite3'}")
    stored = [bytes(content) for (content,) in back_door.rows("SELECT content FROM raw_messages")]
    assert set(stored) <= {whole(raw) for raw in mails}
    assert len(stored) == len(different)
    figure("of them through SMTP", len(mails))


def deliver(port: int, mails: list[bytes]) -> list[str]:
    replies = []
    with Dialogue(port) as dialogue:
        dialogue.reply()
        dialogue.say(b"EHLO sender.example")
        for raw in mails:
            assert dialogue.say(b"MAIL FROM:<corpus@mail.example>").startswith("250")
            assert dialogue.say(f"RCPT TO:<{SUPPORT}>".encode()).startswith("250")
            replies.append(dialogue.data(wire(raw)))
    return replies


def sandboxes() -> set[int]:
    """The processes that read bodies."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text().split():
            try:
                command = Path("/proc", pid, "cmdline").read_bytes()
            except OSError:
                continue  # it has just ended
            if b"inbox.sandbox" in command:
                found.add(int(pid))
    return found - {os.getpid()}


async def all_read(parser: Parser, others: set[int]) -> bool:
    """Whether every child is there, and reads again."""
    emails = await asyncio.gather(*(parser.read(QUOTED, envelope_sender=None) for _ in range(2 * CHILDREN)))
    return [email.text for email in emails] == ["ř"] * 2 * CHILDREN and len(sandboxes() - others) == CHILDREN


def can_be_stored(email: InboundEmail) -> bool:
    name = email.requester.name or "" if email.requester else ""
    return (email.subject, name, email.text) == (one_line(email.subject), one_line(name), storable(email.text))
