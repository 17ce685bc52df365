"""What an outcome says of its endpoint: stored in the same transaction, told once when a pause begins and once when it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from domain.failure import Failure
from domain.health import SUCCESS_NOTED, Paused, after_outcome, gives_backlog_up

if TYPE_CHECKING:
    from datetime import datetime

    from domain.connector import Connector
    from domain.health import Health, RetryAfter
    from domain.lookup import Outcome
    from persistence.lookups import Claim
    from persistence.store import WorkspaceStore

_log = structlog.get_logger(__name__)


async def note_outcome(
    store: WorkspaceStore, connector: Connector, claim: Claim, outcome: Outcome, *, now: datetime, retry_after: RetryAfter | None
) -> Health:
    """Store what the outcome changes, if anything, and return the health that it leaves.

    When a pause begins, what is queued and nobody waits for is sent no more: it ends INTERRUPTED in the log, stores nothing
    else, and so each panel keeps its last outcome. Where the endpoint asked for time, it is held for as long and then goes on.
    What an agent waits for goes out at its pace, since it may be a refresh that joined.
    """
    health = after_outcome(connector.health, claim.trigger, outcome, now, retry_after=retry_after)
    success_at = None if isinstance(outcome, Failure) else now
    if health != connector.health or (success_at and not _noted(connector.last_success_at, now)):
        await store.connectors.save_health(connector.id, health, success_at=success_at)
    if gives_backlog_up(connector.health, health, outcome, now, retry_after=retry_after):
        await store.lookups.interrupt_backlog(connector.id, now)
    return health


def _noted(success_at: datetime | None, now: datetime) -> bool:
    return success_at is not None and now - success_at < SUCCESS_NOTED


def tell_turn(connector: Connector, health: Health, claim: Claim, outcome: Outcome) -> bool:
    """Write the one line for the operator when a pause has begun or ended; whether one has."""
    turn = {"connector_id": str(connector.id), "workspace_id": str(claim.workspace_id), "lookup_id": str(claim.lookup_id)}
    match connector.health, health:
        case Paused(), Paused():
            return False
        case _, Paused():
            failure = outcome if isinstance(outcome, Failure) else None
            _log.warning(
                "connector paused",
                **turn,
                failures_in_a_row=health.failures,
                failure=failure and str(failure.kind),
                http_status=failure and failure.http_status,
                next_probe_at=health.next_probe_at.isoformat(),
            )
            return True
        case Paused(), _:
            _log.info("connector works again", **turn, paused_since=connector.health.since.isoformat())
            return True
        case _:
            return False
