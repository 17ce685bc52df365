"""Making, changing and deleting connectors, and what that does to the lookups and answers they already have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from domain.arrangement import arranged
from domain.connector import UNCHANGED, changed_settings, check_room, check_settings, upheaval
from domain.errors import SecretUnreadable
from domain.health import Working
from domain.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from domain.connector import Connector, ConnectorSettings, EndpointPolicy, Unchanged
    from domain.identity import ConnectorId
    from persistence.store import WorkspaceStore


async def create_connector(
    store: WorkspaceStore, settings: ConnectorSettings, secret: Secret | None, *, policy: EndpointPolicy, now: datetime
) -> Connector:
    """Add a connector; raises InvalidConnector with every problem."""
    check_settings(settings, secret, policy)
    check_room(await store.connectors.count())
    return await store.connectors.add(settings, secret, now)


async def change_connector(
    store: WorkspaceStore,
    connector_id: ConnectorId,
    changes: Mapping[str, Any],
    secret: Secret | Unchanged | None,
    *,
    policy: EndpointPolicy,
    now: datetime,
) -> Connector | None:
    """Change what ``changes`` mentions; None for an unknown connector; raises InvalidConnector with every problem.

    Whatever the change makes meaningless goes in the same transaction: old failures with the pause that they led to, old
    answers, lookups under way.
    """
    current = await store.connectors.get(connector_id)
    if current is None:
        return None
    settings = changed_settings(current, changes, secret)
    check_settings(settings, secret if isinstance(secret, Secret) else None, policy)
    secret_changed = await _secret_changes(store, current, settings, secret)
    undone = upheaval(current, settings, secret_changed=secret_changed)
    await store.connectors.save(connector_id, settings, now)
    if isinstance(secret, Secret) and secret_changed:
        await store.credentials.save_secret(connector_id, secret, now)
    if undone.drops_previous_secret:
        await store.credentials.forget_previous_secret(connector_id)
    if undone.drops_signing:
        await store.credentials.stop_signing(connector_id)
    if undone.forgets_failures:
        await forget_failures(store, connector_id, now)
    if undone.drops_answers:
        await store.answers.drop(connector_id)
    if current.log_results and not settings.log_results:
        await store.lookups.forget_responses(connector_id)
    return await store.connectors.get(connector_id)


async def arrange_connectors(store: WorkspaceStore, order: Sequence[ConnectorId], now: datetime) -> list[Connector] | None:
    """Put the connectors in this order, and tell those that moved; None, and nothing moves, where one of it is unknown.

    Raises InvalidConnector where one is named twice.
    """
    before = await store.connectors.all()
    after = arranged(before, order)
    if after is None:
        return None
    positions = {connector.id: connector.position for connector in before}
    moved = [connector for connector in after if connector.position != positions[connector.id]]
    await store.connectors.save_positions(moved, now)
    return moved


async def forget_failures(store: WorkspaceStore, connector_id: ConnectorId, now: datetime) -> None:
    """Undo what came of settings that are gone: failures, the pause that they led to, and lookups under way."""
    await store.lookups.interrupt(connector_id, now)
    await store.answers.forget_failures(connector_id)
    await store.connectors.save_health(connector_id, Working(now))


async def _secret_changes(
    store: WorkspaceStore, current: Connector, settings: ConnectorSettings, secret: Secret | Unchanged | None
) -> bool:
    if secret is UNCHANGED or not isinstance(secret, Secret):
        return current.has_secret != settings.has_secret
    try:
        return secret != await store.credentials.secret(current.id)
    except SecretUnreadable:
        return True
