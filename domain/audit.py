"""Who did what: entries outlive what they are about, and hold of a setting its name alone and no requester's address."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NewType, Self
from uuid import UUID

from domain.connector import ConnectorSettings

if TYPE_CHECKING:
    from domain.connector import Connector
    from domain.erasure import Erased
    from domain.identity import ConnectorId, TicketId

AuditEntryId = NewType("AuditEntryId", UUID)


class AuditAction(StrEnum):
    """What is written down; a new kind of deed is one more member."""

    CONNECTOR_CREATED = "CONNECTOR_CREATED"
    CONNECTOR_UPDATED = "CONNECTOR_UPDATED"
    CONNECTOR_DELETED = "CONNECTOR_DELETED"
    SECRET_ROTATED = "SECRET_ROTATED"  # noqa: S105 - the name of a deed, not a secret
    SECRET_RESTORED = "SECRET_RESTORED"  # noqa: S105 - the same
    SIGNING_KEY_ISSUED = "SIGNING_KEY_ISSUED"
    SIGNING_DISABLED = "SIGNING_DISABLED"
    LOOKUPS_REFRESHED = "LOOKUPS_REFRESHED"
    REQUESTER_FORGOTTEN = "REQUESTER_FORGOTTEN"


@dataclass(frozen=True, slots=True)
class NamedConnector:
    """A connector as it was called then; it may be gone."""

    id: ConnectorId
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What was done, and to what."""

    action: AuditAction
    connectors: tuple[NamedConnector, ...] = ()
    members: tuple[str, ...] = ()
    """The settings that changed, by name alone."""
    ticket_id: TicketId | None = None
    erased: Erased | None = None

    @classmethod
    def to(cls, connector: Connector, action: AuditAction, *, members: tuple[str, ...] = ()) -> Self:
        """What was done to one connector."""
        return cls(action=action, connectors=(NamedConnector(connector.id, connector.name),), members=members)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """A deed, its time, and whoever did it as the token said."""

    id: AuditEntryId
    subject: str
    name: str | None
    token_id: str | None
    deed: Deed
    happened_at: datetime


SECRET_VALUE = "secret_header_value"  # noqa: S105 - the name of a setting, never its value
_SETTINGS = tuple(field.name for field in fields(ConnectorSettings) if field.name != "has_secret")


def changed_members(before: Connector, after: Connector, *, secret_given: bool) -> tuple[str, ...]:
    """The settings in which two states of a connector differ; a secret that was given counts, whether it is another or not."""
    changed = [name for name in _SETTINGS if getattr(before, name) != getattr(after, name)]
    return (*changed, SECRET_VALUE) if secret_given or before.has_secret != after.has_secret else tuple(changed)
