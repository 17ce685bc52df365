"""A connector's log as it grows."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated

import strawberry

from domain.identity import ConnectorId, LookupId
from domain.lookup import LookupStatus
from graph.context import Context, Info
from graph.errors import BadRequest
from graph.pages import MAX_PAGE, check_first
from graph.rights import MayConfigure
from graph.types import ConnectorIdArgument, Lookup, uuid_of
from graph.watch import Rest, patience, read_again
from lookups.updates import CONNECTORS, log_topic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from domain.lookup import Lookup as LogLine

_WINDOW = MAX_PAGE
"""Lines that are looked at again, ended or not: the clocks of two processes may put a new one that far behind."""
_AT_ONCE = 20
"""Lines that are read whole: each may hold a response of 64 KiB."""

Newest = Annotated[int, strawberry.argument(description=f"How many lines of the log come first, 0 to {MAX_PAGE}.")]


@strawberry.subscription(
    permission_classes=[MayConfigure],
    description="First the newest of the log, oldest first, then each lookup of the connector when it begins and when it ends, "
    "tests included, as it is by then: replace the one with the same id. The final state is never lost; states in between may "
    "be merged. A line that is erased sends nothing. Completes when the connector is deleted. For admins.",
)
async def connector_lookups(info: Info, id: ConnectorIdArgument, newest: Newest = 10) -> AsyncGenerator[Lookup, None]:
    """Lines of the log as they are written."""
    check_first(newest, argument="newest")
    context, found = info.context, uuid_of(id)
    connector_id = ConnectorId(found) if found else None
    told = await _begun(context, connector_id) if connector_id else None
    if connector_id is None or told is None:
        message = "There is no such connector."
        raise BadRequest(message)
    again, rest = partial(read_again, context.services.database), Rest()
    async with context.services.updates.watch(context.workspace_id, CONNECTORS, log_topic(connector_id)) as watch:
        standing = await _standing(context, connector_id, told)  # the first may be slow for reasons of its own: no rest after it
        news = told.news(standing or {})
        news = news[max(0, len(news) - newest) :]
        while standing is not None:
            for start in range(0, len(news), _AT_ONCE):
                for line in await again(partial(_lines, context, connector_id, news[start : start + _AT_ONCE])):
                    told.known[line.id] = line.status
                    yield Lookup.of(line)
            await rest.take()  # thousands may be queued
            await watch.wait(patience())
            standing = await rest.after(again(partial(_standing, context, connector_id, told)))
            news = told.news(standing or {})


@dataclass(slots=True)
class _Told:
    """What a watcher knows of a log: it grows with what is open, and no further."""

    since: LookupId | None = None
    """The line from which on the log is looked at; None = its beginning."""
    known: dict[LookupId, LookupStatus] = field(default_factory=dict)

    def news(self, standing: dict[LookupId, LookupStatus]) -> list[LookupId]:
        """The lines that began or ended since the last time, in their order; those are known from now on."""
        ended = (line for line, status in self.known.items() if status is LookupStatus.PENDING and line not in standing)
        changed = (line for line, status in standing.items() if self.known.get(line) is not status)
        news = sorted([*ended, *changed])
        self.known = standing
        if len(standing) >= _WINDOW:
            oldest = sorted(standing)[-_WINDOW]
            self.since = max(oldest, self.since or oldest)
        return news


async def _begun(context: Context, connector_id: ConnectorId) -> _Told | None:
    """A watcher of the newest lines; None for an unknown connector."""
    async with context.services.database.reading(context.workspace_id) as store:
        if await store.connectors.get(connector_id) is None:
            return None
        return _Told(await store.lookups.newest_but(connector_id, _WINDOW - 1))


async def _standing(context: Context, connector_id: ConnectorId, told: _Told) -> dict[LookupId, LookupStatus] | None:
    """How the lines stand that may have changed; None once the connector is gone."""
    async with context.services.database.reading(context.workspace_id) as store:
        if await store.connectors.get(connector_id) is None:
            return None
        return await store.lookups.standing(connector_id, since=told.since)


async def _lines(context: Context, connector_id: ConnectorId, lookup_ids: Sequence[LookupId]) -> list[LogLine]:
    async with context.services.database.reading(context.workspace_id) as store:
        return await store.lookups.some(connector_id, lookup_ids)
