"""What the API shows of secrets and signing keys: fingerprints and times, never a value."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import strawberry

if TYPE_CHECKING:
    from domain import credentials

_FINGERPRINT = (
    "Twelve hex digits by which to tell one value from another; null where the server's present keys do not open it. Made with "
    "a key of the server, so nobody can find the value out by trying guesses against it. A new encryption key changes it."
)


@strawberry.type(description="The secret before the present one, kept so that restoreSecret can go back to it.")
class PreviousSecret:
    """A secret that can be restored."""

    fingerprint: str | None = strawberry.field(description=_FINGERPRINT)
    restorable_until: datetime = strawberry.field(description="24 hours after it was replaced, in UTC; then it is erased.")

    @classmethod
    def of(cls, previous: credentials.PreviousSecret | None) -> PreviousSecret | None:
        """Made from the domain's."""
        if previous is None:
            return None
        return cls(fingerprint=previous.fingerprint, restorable_until=previous.restorable_until)


@strawberry.type(description="What may be shown of the secret in force.")
class ConnectorSecret:
    """A secret without its value."""

    fingerprint: str | None = strawberry.field(description=_FINGERPRINT)
    changed_at: datetime | None = strawberry.field(
        description="When it was set, rotated or restored, in UTC; null when that was before the server kept this."
    )
    last_used_at: datetime | None = strawberry.field(
        description="When it was last sent, in UTC and up to a minute too early; null when not since it came into force."
    )
    previous: PreviousSecret | None = strawberry.field(
        description="The secret before, while it can be restored. A new origin of lookupUrl, header or secret erases it at once."
    )

    @classmethod
    def of(cls, standing: credentials.SecretStanding | None) -> ConnectorSecret | None:
        """Made from the domain's standing."""
        if standing is None:
            return None
        return cls(
            fingerprint=standing.fingerprint,
            changed_at=standing.changed_at,
            last_used_at=standing.last_used_at,
            previous=PreviousSecret.of(standing.previous),
        )


@strawberry.type(description="That the connector's requests are signed, and with which key.")
class ConnectorSigning:
    """A signing key without its value."""

    fingerprint: str | None = strawberry.field(description=_FINGERPRINT)
    changed_at: datetime = strawberry.field(description="When the key was issued, in UTC.")
    previous_until: datetime | None = strawberry.field(
        description="Until when the key before it signs, too, in UTC; null when it alone signs."
    )

    @classmethod
    def of(cls, standing: credentials.SigningStanding | None) -> ConnectorSigning | None:
        """Made from the domain's standing."""
        if standing is None:
            return None
        return cls(fingerprint=standing.fingerprint, changed_at=standing.changed_at, previous_until=standing.previous_until)
