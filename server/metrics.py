"""Numbers for Prometheus; docs/operating.md lists each with its labels."""

from __future__ import annotations

import asyncio
import time
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
from starlette.responses import Response

from domain.lookup import LookupStatus, LookupTrigger
from persistence.database import DatabaseAway

if TYPE_CHECKING:
    from datetime import timedelta

    from starlette.requests import Request

    from persistence.database import Database

disable_created_metrics()  # type: ignore[no-untyped-call] # the hour of birth of each series would be a series more


class Metrics:
    """One registry for each application, so that two in a process do not share their numbers."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.registry = CollectorRegistry()
        self._lookups = Counter("disqua_lookups_total", "Lookups that ended.", ["trigger", "status"], registry=self.registry)
        self._mail_to_panel = Histogram(
            "disqua_mail_to_panel_seconds",
            "From the commit of a ticket to the stored outcome of a lookup it started.",
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30),
            registry=self.registry,
        )
        self._open = Gauge("disqua_lookups_open", "Lookups that wait or run.", ["state"], registry=self.registry)
        self.rings_lost = Counter(
            "disqua_rings_lost_total", "Rings for queued lookups that Redis did not take.", registry=self.registry
        )
        self.sockets = Gauge("disqua_sockets", "Open WebSockets.", registry=self.registry)
        self._database_up = Gauge("disqua_database_up", "1 when the database answers.", registry=self.registry)
        self._database_seconds = Gauge(
            "disqua_database_seconds", "How long the database took to answer just now.", registry=self.registry
        )
        for trigger in LookupTrigger:
            for status in set(LookupStatus) - {LookupStatus.PENDING}:
                self._lookups.labels(trigger, status)

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
        return Response(generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
