"""The mutation that puts connectors in another order."""

from __future__ import annotations

from typing import Annotated

import strawberry

from domain.audit import AuditAction, Deed, NamedConnector
from domain.identity import ConnectorId
from graph.context import Info
from graph.errors import InvalidInput, NotFound
from graph.rights import MayConfigure
from graph.types import NO_CONNECTOR, Connector, uuid_of
from lookups import connectors
from lookups.updates import CONNECTORS


@strawberry.type(description="The connectors stand in the order that was asked for.")
class ConnectorsArranged:
    """A receipt."""

    connectors: list[Connector] = strawberry.field(description="All connectors in panel order, positions counting from 0.")


ArrangeConnectorsResult = Annotated[
    ConnectorsArranged | InvalidInput | NotFound,
    strawberry.union("ArrangeConnectorsResult", description="The connectors in their order, or why it is still the old one."),
]


@strawberry.mutation(
    permission_classes=[MayConfigure],
    description="Put the connectors, and so the panels, in this order: all at once or, where one of them is unknown, not at all. "
    "Those that are not named keep their order behind. Asks nobody and drops nothing. For admins.",
)
async def arrange_connectors(
    info: Info, ids: Annotated[list[strawberry.ID], strawberry.argument(description="The ids in panel order, each once.")]
) -> ArrangeConnectorsResult:
    """Give every connector the position of its place."""
    services, context = info.context.services, info.context
    order = [ConnectorId(found) for found in map(uuid_of, ids) if found]
    if len(order) < len(ids):
        return NO_CONNECTOR
    async with services.database.workspace(context.workspace_id) as store:
        moved = await connectors.arrange_connectors(store, order, services.now())
        if moved is None:
            return NO_CONNECTOR
        if moved:
            named = tuple(NamedConnector(connector.id, connector.name) for connector in moved)
            deed = Deed(action=AuditAction.CONNECTOR_UPDATED, connectors=named, members=("position",))
            await store.audit.add(context.caller, deed, services.now())
        in_order = await store.connectors.all()
    if moved:
        await services.updates.announce(context.workspace_id, CONNECTORS)
    return ConnectorsArranged(connectors=[Connector.of(connector) for connector in in_order])
