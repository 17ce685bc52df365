"""Mutations that turn the signing of a connector's requests on and off."""

from __future__ import annotations

from typing import Annotated

import strawberry

from domain.audit import AuditAction, Deed
from domain.identity import ConnectorId
from domain.secret import Secret
from graph.context import Info
from graph.errors import NotFound
from graph.rights import MayConfigure
from graph.types import NO_CONNECTOR, Connector, ConnectorIdArgument, uuid_of
from lookups.signature import new_signing_key


@strawberry.type(description="Every request of the connector is signed with this key from now on.")
class SigningKeyIssued:
    """The one place where a signing key is shown."""

    key: strawberry.Private[Secret]
    connector: Connector = strawberry.field(description="The connector as it is now.")

    @strawberry.field(
        description="whsec_ and 32 bytes in base64, as the libraries of Standard Webhooks read it. Shown this once: give it to "
        "the endpoint."
    )
    def signing_key(self) -> str:
        """The key in the clear."""
        return self.key.reveal()


IssueSigningKeyResult = Annotated[
    SigningKeyIssued | NotFound,
    strawberry.union("IssueSigningKeyResult", description="The new key, or that there is no such connector."),
]
DisableSigningResult = Annotated[
    Connector | NotFound,
    strawberry.union("DisableSigningResult", description="The connector as it is now, or that there is none."),
]


@strawberry.mutation(
    permission_classes=[MayConfigure],
    description="Sign every request of the connector with a new key (Standard Webhooks). Where it signs already, the key before "
    "signs beside the new one for 24 hours, so that the endpoint can change over. A new origin of lookupUrl drops the keys. "
    "For admins.",
)
async def issue_signing_key(info: Info, id: ConnectorIdArgument) -> IssueSigningKeyResult:
    """Turn signing on, or rotate its key."""
    services, found, key = info.context.services, uuid_of(id), new_signing_key()
    if not found:
        return NO_CONNECTOR
    async with services.database.workspace(info.context.workspace_id) as store:
        connector = await store.connectors.get(ConnectorId(found))
        if connector is None:
            return NO_CONNECTOR
        await store.credentials.sign_with(connector.id, key, services.now())
        await store.audit.add(info.context.caller, Deed.to(connector, AuditAction.SIGNING_KEY_ISSUED), services.now())
    return SigningKeyIssued(key=key, connector=Connector.of(connector))


@strawberry.mutation(
    permission_classes=[MayConfigure], description="Sign no request of the connector any more and erase its keys. For admins."
)
async def disable_signing(info: Info, id: ConnectorIdArgument) -> DisableSigningResult:
    """Turn signing off."""
    services, found = info.context.services, uuid_of(id)
    if not found:
        return NO_CONNECTOR
    async with services.database.workspace(info.context.workspace_id) as store:
        connector = await store.connectors.get(ConnectorId(found))
        if connector is None:
            return NO_CONNECTOR
        if await store.credentials.stop_signing(connector.id):
            await store.audit.add(info.context.caller, Deed.to(connector, AuditAction.SIGNING_DISABLED), services.now())
    return Connector.of(connector)
