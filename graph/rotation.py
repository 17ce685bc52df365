"""Mutations that give a connector another secret."""

from __future__ import annotations

from typing import Annotated

import strawberry

from domain.credentials import why_not_rotated
from domain.errors import InvalidAddress, Problem, SecretUnreadable
from domain.failure import Failure
from domain.identity import ConnectorId, email_address
from domain.secret import Secret
from domain.words import Words
from graph.context import Info
from graph.errors import Error, InvalidInput, NotFound
from graph.rights import MayConfigure
from graph.types import NO_CONNECTOR, Connector, ConnectorIdArgument, LookupTrial, uuid_of
from lookups import rotation
from lookups.updates import CONNECTORS


@strawberry.type(description="The endpoint answered with the new secret, and it is in force.")
class SecretRotated:
    """A receipt."""

    connector: Connector = strawberry.field(description="The connector as it is now.")
    trial: LookupTrial = strawberry.field(description="What the endpoint answered with the new secret.")


@strawberry.type(description="The new secret brought no answer, so the old one stays in force.")
class SecretNotRotated(Error):
    """Why nothing was switched."""

    trial: LookupTrial = strawberry.field(description="What came of asking with the new secret.")


@strawberry.type(
    description="Nothing was changed: no secret was replaced in the last 24 hours, or it was erased since, or the one in force "
    "cannot be opened with the server's present keys and would be lost."
)
class NothingToRestore(Error):
    """Nothing was changed."""


_NOTHING_TO_RESTORE = NothingToRestore(
    words=Words(
        en="There is no previous secret to go back to, or no longer.",
        cs="Předchozí secret, ke kterému by se šlo vrátit, tu není nebo už není.",
    )
)
_WOULD_BE_LOST = NothingToRestore(
    words=Words(
        en="The secret in force cannot be opened with the present keys and would be lost: nothing was changed. "
        "Bring its key back, or set a secret by changing the connector.",
        cs="Platný secret se současnými klíči nejde rozšifrovat a přišli byste o něj, proto se nic nezměnilo. "
        "Vraťte jeho klíč, nebo zadejte secret v nastavení connectoru.",
    )
)

RotateSecretResult = Annotated[
    SecretRotated | SecretNotRotated | InvalidInput | NotFound,
    strawberry.union("RotateSecretResult", description="Whether the new secret is in force, and what the endpoint said to it."),
]
RestoreSecretResult = Annotated[
    Connector | NothingToRestore | NotFound,
    strawberry.union("RestoreSecretResult", description="The connector as it is now, or why it did not change."),
]


@strawberry.mutation(
    permission_classes=[MayConfigure],
    description="Ask the endpoint with a new secret and put it in force if it answers (FOUND or NOT_FOUND); after anything else "
    "the old one stays. The asking is logged like a test's. The old secret can be restored for 24 hours. Waits up to 3 seconds. "
    "For admins.",
)
async def rotate_secret(
    info: Info,
    id: ConnectorIdArgument,
    value: Annotated[str, strawberry.argument(description="The new secret: printable ASCII, at most 4,096 characters.")],
    email: Annotated[str, strawberry.argument(description="The address to ask about.")],
) -> RotateSecretResult:
    """Try a new secret and take it over."""
    try:
        address = email_address(email)
    except InvalidAddress as error:
        return InvalidInput.of([Problem("email", error.words)])
    services, workspace_id, found = info.context.services, info.context.workspace_id, uuid_of(id)
    connector_id = ConnectorId(found) if found else None
    trial = connector_id and await rotation.rotate_secret(
        services.database,
        services.runner,
        workspace_id,
        connector_id,
        value=Secret(value),
        email=address,
        actor=info.context.caller,
        now=services.now,
    )
    if not trial:
        return NO_CONNECTOR
    if isinstance(trial.reply.outcome, Failure):
        return SecretNotRotated(words=why_not_rotated(trial.reply.outcome), trial=LookupTrial.of(trial))
    await services.updates.announce(workspace_id, CONNECTORS)
    async with services.database.reading(workspace_id) as store:
        connector = await store.connectors.get(trial.connector.id) or trial.connector
    return SecretRotated(connector=Connector.of(connector), trial=LookupTrial.of(trial))


@strawberry.mutation(
    permission_classes=[MayConfigure],
    description="Go back to the secret before, within 24 hours; the present one then becomes the previous one. The endpoint is "
    "not asked. For admins.",
)
async def restore_secret(info: Info, id: ConnectorIdArgument) -> RestoreSecretResult:
    """Let the secret and the one before it change places."""
    services, workspace_id, found = info.context.services, info.context.workspace_id, uuid_of(id)
    if not found:
        return NO_CONNECTOR
    async with services.database.workspace(workspace_id) as store:
        connector = await store.connectors.get(ConnectorId(found))
        if connector is None:
            return NO_CONNECTOR
        try:
            restored = await rotation.restore_secret(store, connector, actor=info.context.caller, now=services.now())
        except SecretUnreadable:
            return _WOULD_BE_LOST
        if not restored:
            return _NOTHING_TO_RESTORE
        connector = await store.connectors.get(connector.id) or connector
    await services.updates.announce(workspace_id, CONNECTORS)
    return Connector.of(connector)
