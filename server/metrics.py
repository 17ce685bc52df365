"""Numbers for Prometheus; docs/operating.md lists each with its labels."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import CounterMetricFamily
from prometheus_client.registry import Collector
from starlette.responses import Response

from domain.lookup import LookupStatus, LookupTrigger
from graph.execution import Execution
from persistence.database import DatabaseAway

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from datetime import timedelta

    from prometheus_client import Metric
    from starlette.requests import Request

    from lookups.counts import Counts
    from persistence.database import Database

disable_created_metrics()  # type: ignore[no-untyped-call] # the hour of birth of each series would be a series more


class Metrics:
    """One registry for each application, so that two in a process do not share their numbers."""

    def __init__(self, database: Database, announcements: Callable[[], Counts]) -> None:
        """``announcements`` tells what those who carry announcements have counted so far."""
        self._database = database
        self.registry = CollectorRegistry()
        """What this process counts; added up where several serve."""
        self.shared = CollectorRegistry()
        """What every process sees alike, such as the database; told by the one that is asked."""
        self.added_up: Callable[[str], Awaitable[str]] = _alone
        """The numbers of this process with those of the others; raises TimeoutError when they cannot be had."""
        self._lookups = Counter("disqua_lookups_total", "Lookups that ended.", ["trigger", "status"], registry=self.registry)
        self._mail_to_panel = Histogram(
            "disqua_mail_to_panel_seconds",
            "From the commit of a ticket to the stored outcome of a lookup it started.",
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30),
            registry=self.registry,
        )
        self._open = Gauge("disqua_lookups_open", "Lookups that wait or run.", ["state"], registry=self.shared)
        self.rings_lost = Counter(
            "disqua_rings_lost_total", "Rings for queued lookups that Redis did not take.", registry=self.registry
        )
        self.sockets = Gauge("disqua_sockets", "Open WebSockets.", registry=self.registry)
        operations = Counter(
            "disqua_operations_total", "GraphQL operations, by how they were executed.", ["execution"], registry=self.registry
        )
        self._operations = {execution: operations.labels(execution) for execution in Execution}
        self._database_up = Gauge("disqua_database_up", "1 when the database answers.", registry=self.shared)
        self._database_seconds = Gauge(
            "disqua_database_seconds", "How long the database took to answer just now.", registry=self.shared
        )
        self.registry.register(_Announcements(announcements))
        for trigger in LookupTrigger:
            for status in set(LookupStatus) - {LookupStatus.PENDING}:
                self._lookups.labels(trigger, status)

    def operation_executed(self, execution: Execution) -> None:
        """Count an operation."""
        self._operations[execution].inc()

    def lookup_ended(self, trigger: LookupTrigger, status: LookupStatus, since_request: timedelta) -> None:
        """Count an outcome."""
        self._lookups.labels(trigger, status).inc()
        if trigger is LookupTrigger.TICKET:
            self._mail_to_panel.observe(since_request.total_seconds())

    async def show(self, _request: Request) -> Response:
        """Answer GET /metrics."""
        started = time.perf_counter()
        try:
            async with asyncio.timeout(2), self._database.operator_reading() as store:
                depth = await store.lookups.depth()
        except (DatabaseAway, TimeoutError):
            self._database_up.set(0)
        else:
            self._database_up.set(1)
            for state, count in depth.items():
                self._open.labels(state).set(count)
        self._database_seconds.set(time.perf_counter() - started)
        try:
            counted = await self.added_up(self.own())
        except TimeoutError:
            return Response("The other processes do not tell their numbers.\n", 503)  # a part would look like a reset
        return Response(counted.encode() + generate_latest(self.shared), headers={"Content-Type": CONTENT_TYPE_LATEST})

    def own(self) -> str:
        """What this process counts."""
        return generate_latest(self.registry).decode()


@dataclass(frozen=True, slots=True)
class _Announcements(Collector):
    """Counters that are kept elsewhere."""

    counts: Callable[[], Counts]

    def collect(self) -> Iterator[Metric]:
        counts = self.counts()
        for name, documentation, value in (
            ("reconnects", "Connections to Redis that were made after one was lost.", counts.reconnects),
            ("resyncs", "Times that all who watch were told to look again.", counts.resyncs),
            ("dropped", "Announcements that found no room and were replaced by one such word.", counts.dropped),
        ):
            yield CounterMetricFamily(f"disqua_updates_{name}", documentation, value)


async def _alone(own: str) -> str:
    return own
