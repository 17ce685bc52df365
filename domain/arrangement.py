"""The order in which the panels of a ticket stand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from domain.errors import InvalidConnector, Problem
from domain.words import Words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from domain.connector import Connector
    from domain.identity import ConnectorId

_TWICE = Words(
    en="A connector can stand in one place only: name each once.",
    cs="Connector může stát jen na jednom místě: každý uveďte jednou.",
)


def arranged(connectors: Sequence[Connector], order: Sequence[ConnectorId]) -> list[Connector] | None:
    """All connectors, those of ``order`` in that order and the others, as they stood, behind; positions count from 0.

    None where one is named that is not among them; raises InvalidConnector where one is named twice.
    """
    if len(set(order)) < len(order):
        raise InvalidConnector([Problem("ids", _TWICE)])
    known = {connector.id: connector for connector in connectors}
    if not known.keys() >= set(order):
        return None
    named = [known.pop(connector_id) for connector_id in order]
    return [replace(connector, position=position) for position, connector in enumerate([*named, *known.values()])]
