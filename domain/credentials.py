"""What a connector proves itself with: the secret it sends, the keys it signs with, and what may be shown of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from domain.connector import check_secret_value
from domain.errors import InvalidConnector, Problem
from domain.failure import Failure, FailureKind
from domain.words import Words

if TYPE_CHECKING:
    from domain.connector import Connector
    from domain.secret import Secret

KEPT: Final = timedelta(hours=24)
"""How long a secret can be restored after it was replaced, and how long a replaced signing key signs beside the new one."""

USE_NOTED: Final = timedelta(minutes=1)
"""How coarse the moment of last use is, so that not every lookup writes one."""

_REFUSED = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one request carries."""

    secret: Secret | None
    signing_keys: tuple[Secret, ...]
    """Newest first; each signs."""
    previous: Secret | None = None
    """Not sent, but it can be restored, so it is hidden like the one in force."""


@dataclass(frozen=True, slots=True)
class PreviousSecret:
    """The secret that can be restored."""

    fingerprint: str | None
    restorable_until: datetime


@dataclass(frozen=True, slots=True)
class SecretStanding:
    """What may be shown of the secret in force; a fingerprint is None where the present keys do not open the value."""

    fingerprint: str | None
    changed_at: datetime | None
    """None when it is older than the keeping of this."""
    last_used_at: datetime | None
    """None when it has not been sent since it came into force."""
    previous: PreviousSecret | None


@dataclass(frozen=True, slots=True)
class SigningStanding:
    """What may be shown of the signing key."""

    fingerprint: str | None
    changed_at: datetime
    previous_until: datetime | None
    """Until when the key before it signs, too."""


@dataclass(frozen=True, slots=True)
class CredentialStanding:
    """What may be shown of all of it."""

    secret: SecretStanding | None = None
    signing: SigningStanding | None = None


_NO_SECRET = Words(
    en="The connector has no secret to rotate: set header name and value first.",
    cs="Connector nemá secret, který by šlo vyměnit: nejdřív vyplňte název a hodnotu hlavičky.",
)


def check_rotation(connector: Connector, value: Secret) -> None:
    """Raise InvalidConnector unless the connector has a secret that this one can follow."""
    if not connector.has_secret:
        raise InvalidConnector([Problem("id", _NO_SECRET)])
    check_secret_value("value", value)


def why_not_rotated(failure: Failure) -> Words:
    """One sentence for the admin whose new secret was not taken over."""
    match failure:
        case Failure(kind=FailureKind.INTERRUPTED):
            return Words(
                en="The connector was changed meanwhile or this trial forgotten, so nothing was switched: look and try again.",
                cs="Connector mezitím někdo změnil nebo byl pokus zapomenut, a tak se nic nevyměnilo: zkuste to prosím znovu.",
            )
        case Failure(kind=FailureKind.SECRET_UNREADABLE):
            return Words(
                en="The secret in force cannot be opened with the present keys: set a new one by changing the connector.",
                cs="Platný secret se současnými klíči nejde rozšifrovat: zadejte nový v nastavení connectoru.",
            )
        case Failure(http_status=status) if status in _REFUSED:
            return Words(
                en=f"The endpoint refused the new secret (HTTP {status}), so the old one stays in force.",
                cs=f"Endpoint nový secret odmítl (HTTP {status}), proto dál platí ten starý.",
            )
        case _:
            return Words(
                en=f"The endpoint gave no answer to the new secret, so the old one stays in force: {failure.words.en}",
                cs=f"Endpoint na nový secret neodpověděl, proto dál platí ten starý: {failure.words.cs}",
            )
