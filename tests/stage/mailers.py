"""The mail servers of senders: what was not taken with 250 is sent again, perhaps to another host (RFC 5321, 4.5.4.1)."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from random import Random

    from tests.stage.farm import Company, Member

_MAILERS = 4
_LONGEST_PAUSE = 0.5
_RETRY_SECONDS = 0.1
_PATIENCE_SECONDS = 30.0


@dataclass
class Mailers:
    """Several at once, each mail from a sender of its own, to one company after the other."""

    companies: Sequence[Company]
    servers: Sequence[Member]
    chance: Random
    taken: list[str] = field(default_factory=list)
    """The subjects of the mails that were acknowledged."""
    codes: Counter[int] = field(default_factory=Counter)
    """How often each answer was heard; 0 is none."""
    _numbers: count[int] = field(default_factory=count)
    _stopping: bool = False

    async def present(self, server: Member) -> list[str]:
        """The subjects of all tickets that there are, as ``server`` shows them."""
        return [ticket["subject"] for company in self.companies for ticket in await company.tickets(server)]

    async def more(self, mails: int = 20) -> None:
        """Return when so many more have been acknowledged."""
        enough = len(self.taken) + mails

        async def taken() -> bool:
            return len(self.taken) >= enough

        await eventually(taken, within=_PATIENCE_SECONDS)

    async def mail_on(self) -> None:
        """Send one mail after the other until told to stop."""
        while not self._stopping:
            await self.mail_once()
            await asyncio.sleep(self.chance.uniform(0, _LONGEST_PAUSE))

    async def mail_once(self) -> None:
        """Send one more mail until it is taken."""
        await self._deliver(next(self._numbers))

    def stop(self) -> None:
        """Begin no mail any more."""
        self._stopping = True

    async def _deliver(self, number: int) -> None:
        company, subject = self.companies[number % len(self.companies)], f"Mail {number}"
        while await self._try(company, number, subject) != 250:  # noqa: ASYNC110 - the server tells nobody when it is back
            await asyncio.sleep(_RETRY_SECONDS)
        self.taken.append(subject)

    async def _try(self, company: Company, number: int, subject: str) -> int:
        server, sender = self.chance.choice(self.servers), f"sender{number}@firma.cz"
        code = await company.mail(server, sender, Subject=subject, Message_ID=f"<{number}@firma.cz>")
        self.codes[code] += 1
        return code


@asynccontextmanager
async def mailing(companies: Sequence[Company], servers: Sequence[Member], chance: Random) -> AsyncIterator[Mailers]:
    """Mail while the block runs; it ends when whatever was begun has been taken."""
    mailers = Mailers(companies, servers, chance)
    async with asyncio.TaskGroup() as group:
        for _ in range(_MAILERS):
            group.create_task(mailers.mail_on())
        try:
            yield mailers
        finally:
            mailers.stop()
