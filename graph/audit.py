"""The audit log, as admins read it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Self

import strawberry
from strawberry.utils.str_converters import to_camel_case

from domain.audit import AuditAction, AuditEntryId
from graph.context import Info
from graph.erasure import Erasure
from graph.pages import After, Connection, First, check_first, id_after

if TYPE_CHECKING:
    from domain import audit

_ACTIONS = {
    "CONNECTOR_CREATED": "A connector was made.",
    "CONNECTOR_UPDATED": "Settings of a connector changed; see members.",
    "CONNECTOR_DELETED": "A connector was deleted, with its answers and its log.",
    "SECRET_ROTATED": "A new secret was put in force, after the endpoint had answered with it.",
    "SECRET_RESTORED": "The secret before was put in force again.",
    "SIGNING_KEY_ISSUED": "Requests are signed, with a key that is new.",
    "SIGNING_DISABLED": "Requests are no longer signed.",
    "LOOKUPS_REFRESHED": "Connectors were asked again about the requester of a ticket.",
    "REQUESTER_FORGOTTEN": "A requester was forgotten; see erased. Nobody can tell from here who it was.",
}
strawberry.enum(AuditAction, description="What was done. Later versions may write down more.")
for _value in vars(AuditAction)["__strawberry_definition__"].values:
    _value.description = _ACTIONS[_value.name]


@strawberry.type(description="Whoever did it, as their token said.")
class AuditActor:
    """The holder of a token at that moment."""

    subject: str = strawberry.field(description="The token's `sub`.")
    name: str | None = strawberry.field(description="The token's `name`.")
    token_id: str | None = strawberry.field(description="The token's `jti`: what `disqua token revoke` takes.")


@strawberry.type(description="A connector as it was called then; it may be gone.")
class AuditedConnector:
    """Its id and name."""

    id: strawberry.ID = strawberry.field(description="Its id.")
    name: str = strawberry.field(description="Its name at that moment.")


@strawberry.type(
    description="One thing that somebody did. Entries never change. They hold no value of a setting but the connector's "
    "name, and no requester's address."
)
class AuditEntry:
    """A line of the audit log."""

    id: strawberry.ID = strawberry.field(description="The entry's id.")
    happened_at: datetime = strawberry.field(description="When, in UTC.")
    action: AuditAction = strawberry.field(description="What was done.")
    actor: AuditActor = strawberry.field(description="Who did it.")
    connectors: list[AuditedConnector] = strawberry.field(description="The connectors it was done to, or that were asked.")
    members: list[str] = strawberry.field(
        description="With CONNECTOR_UPDATED: the members that changed, as the input calls them, secretHeaderValue for example."
    )
    ticket_id: strawberry.ID | None = strawberry.field(description="With LOOKUPS_REFRESHED: the ticket.")
    erased: Erasure | None = strawberry.field(description="With REQUESTER_FORGOTTEN: how many of each were removed.")

    @classmethod
    def of(cls, entry: audit.AuditEntry) -> Self:
        """Made from the domain's entry."""
        deed = entry.deed
        return cls(
            id=strawberry.ID(str(entry.id)),
            happened_at=entry.happened_at,
            action=deed.action,
            actor=AuditActor(subject=entry.subject, name=entry.name, token_id=entry.token_id),
            connectors=[AuditedConnector(id=strawberry.ID(str(one.id)), name=one.name) for one in deed.connectors],
            members=[_API_NAMES.get(member) or to_camel_case(member) for member in deed.members],
            ticket_id=strawberry.ID(str(deed.ticket_id)) if deed.ticket_id else None,
            erased=Erasure.of(deed.erased) if deed.erased else None,
        )


_API_NAMES = {"cache_ttl": "cacheTtlHours"}


async def audit_log(info: Info, first: First = 20, after: After = None) -> Connection[AuditEntry]:
    """One page of the audit log."""
    behind = id_after(after)
    async with info.context.services.database.reading(info.context.workspace_id) as store:
        found = await store.audit.newest(check_first(first) + 1, before=AuditEntryId(behind) if behind else None)
    return Connection.of([AuditEntry.of(entry) for entry in found], [entry.id for entry in found], first)
