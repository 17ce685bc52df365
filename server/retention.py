"""Letting go of what has been kept long enough: a little at a time, so that no writer waits long."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from persistence.database import DatabaseAway

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime, timedelta

    from domain.identity import WorkspaceId
    from persistence.database import Database
    from persistence.store import WorkspaceStore

_ROUND_SECONDS: Final = 600.0
_BREATH_SECONDS: Final = 0.05
_LOG_AT_ONCE: Final = 200
_MAILS_AT_ONCE: Final = 10  # each may have 25 MB
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ages:
    """How old each may become; None keeps it for ever."""

    log: timedelta | None = None
    """Ended entries of the connectors' logs, with their responses."""
    raw_mail: timedelta | None = None
    """Mails as they arrived; the messages that were read from them stay."""


class Retention:
    """Goes round every ten minutes; any number of processes may, for what is gone cannot be removed twice."""

    def __init__(self, database: Database, ages: Ages, *, now: Callable[[], datetime]) -> None:
        self._database = database
        self._ages = ages
        self._now = now

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Sweep until cancelled, the first time soon; processes that started together do not meet."""
        while True:
            await sleep(random.uniform(0.1, 0.2) * _ROUND_SECONDS)  # noqa: S311 - spreads load, guards nothing
            try:
                await self.sweep(sleep)
            except DatabaseAway:
                _log.debug("nothing is let go of: the database is away")
            except Exception:  # noqa: BLE001 - whatever it was, the next round comes
                _log.exception("letting go of what is old failed")
            await sleep(_ROUND_SECONDS)

    async def sweep(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Remove everything that is too old now, in small transactions with a breath between them."""
        now, log_entries, mails = self._now(), 0, 0
        if self._ages.log is not None:
            before = now - self._ages.log
            async with self._database.operator_reading() as operator:
                owners = await operator.aged.with_log_before(before)
            for owner in owners:
                log_entries += await self._in_batches(
                    owner, lambda store: store.aging.erase_log(before, at_most=_LOG_AT_ONCE), _LOG_AT_ONCE, sleep
                )
        if self._ages.raw_mail is not None:
            oldest = now - self._ages.raw_mail
            async with self._database.operator_reading() as operator:
                owners = await operator.aged.with_raw_mail_before(oldest)
            for owner in owners:
                mails += await self._in_batches(
                    owner, lambda store: store.aging.erase_raw_mail(oldest, at_most=_MAILS_AT_ONCE), _MAILS_AT_ONCE, sleep
                )
        await self._forget_spent_revocations(now)
        secrets = await self._erase_lapsed_secrets(now)
        if log_entries or mails or secrets:
            await self._database.scrub()
            _log.info("what was old is gone", log_entries=log_entries, raw_mails=mails, secrets=secrets)

    async def _in_batches(
        self,
        owner: WorkspaceId,
        erase: Callable[[WorkspaceStore], Awaitable[int]],
        batch: int,
        sleep: Callable[[float], Awaitable[None]],
    ) -> int:
        removed = 0
        while True:
            async with self._database.workspace(owner, power_safe=False, at_length=True) as store:
                count = await erase(store)
            removed += count
            if count < batch:
                return removed
            await sleep(_BREATH_SECONDS)

    async def _erase_lapsed_secrets(self, now: datetime) -> int:
        """Erase the secrets and signing keys that were replaced and kept for a day; how many."""
        async with self._database.operator_reading() as operator:
            owners = await operator.credentials.lapsed(now)
        erased = 0
        for owner in owners:
            async with self._database.workspace(owner, power_safe=False) as store:
                erased += await store.credentials.erase_lapsed(now)
        return erased

    async def _forget_spent_revocations(self, now: datetime) -> None:
        async with self._database.operator_reading() as operator:
            spent = await operator.revocations.any_spent(now)
        if spent:
            async with self._database.operator() as operator:
                await operator.revocations.sweep(now)
