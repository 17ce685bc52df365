"""How an endpoint fares, as admins see it."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum
from typing import Self, assert_never

import strawberry

from domain import connector
from domain.health import Failing, Health, Paused, Working
from domain.identity import ConnectorId
from graph.context import Info

_MILLISECOND = timedelta(milliseconds=1)


@strawberry.enum(description="Whether an endpoint answers, and whether it is asked.")
class ConnectorState(Enum):
    """The three healths in one word."""

    WORKING = strawberry.enum_value("working", description="The newest lookup brought an answer, or there has been none.")
    FAILING = strawberry.enum_value("failing", description="The newest lookups failed; it is asked as ever.")
    PAUSED = strawberry.enum_value(
        "paused",
        description="It is spared: tickets and views start nothing, but for one probe at a time. refreshLookup goes through, and "
        "one answer ends the pause.",
    )

    @classmethod
    def of(cls, health: Health) -> ConnectorState:
        """The word for a health."""
        match health:
            case Working():
                return cls.WORKING
            case Failing():
                return cls.FAILING
            case Paused():
                return cls.PAUSED
            case _:
                assert_never(health)


@strawberry.type(
    description="How a connector's endpoint fares. Every lookup counts but tests, and those that failed on our side "
    "(INTERRUPTED, SECRET_UNREADABLE)."
)
class ConnectorHealth:
    """A connector's health; for admins, like the connector."""

    connector_id: strawberry.Private[ConnectorId]
    state: ConnectorState = strawberry.field(description="Whether it answers, and whether it is asked.")
    since: datetime = strawberry.field(
        description="When that began, in UTC: FAILING with the first failure; WORKING with the first answer after failures, with "
        "the last change of lookupUrl, header or secret, or when the connector was made."
    )
    failures_in_a_row: int = strawberry.field(description="Lookups that failed since the last answer.")
    next_probe_at: datetime | None = strawberry.field(
        description="Set while PAUSED: from then on the next ticket that opens or is viewed asks it once, "
        "to see whether it is back."
    )
    last_success_at: datetime | None = strawberry.field(
        description="When a lookup last brought an answer, in UTC and up to a minute too early; null when none ever has."
    )

    @strawberry.field(
        description="Half of the requests among the last 100 lookups took at most so many milliseconds; null without any.",
        name="p50Ms",
    )
    async def p50_ms(self, info: Info) -> int | None:
        """Read only where it is selected."""
        return _milliseconds((await info.context.loaders.track_records.load(self.connector_id)).percentile(0.50))

    @strawberry.field(
        description="95 % of the requests among the last 100 lookups took at most so many milliseconds; null without any.",
        name="p95Ms",
    )
    async def p95_ms(self, info: Info) -> int | None:
        """Read only where it is selected."""
        return _milliseconds((await info.context.loaders.track_records.load(self.connector_id)).percentile(0.95))

    @classmethod
    def of(cls, stored: connector.Connector) -> Self:
        """Made from the domain's connector."""
        health = stored.health
        return cls(
            connector_id=stored.id,
            state=ConnectorState.of(health),
            since=health.since or stored.created_at,
            failures_in_a_row=0 if isinstance(health, Working) else health.failures,
            next_probe_at=health.next_probe_at if isinstance(health, Paused) else None,
            last_success_at=stored.last_success_at,
        )


def _milliseconds(duration: timedelta | None) -> int | None:
    return None if duration is None else round(duration / _MILLISECOND)
