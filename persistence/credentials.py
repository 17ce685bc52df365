"""The secrets and signing keys of connectors, the ones in force and those before them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, or_, select, update

from domain.connector import origin
from domain.credentials import KEPT, USE_NOTED, Credentials, CredentialStanding, PreviousSecret, SecretStanding, SigningStanding
from domain.errors import SecretUnreadable
from domain.identity import ConnectorId, WorkspaceId
from domain.secret import Secret
from persistence.encryption import Place
from persistence.tables import connectors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Row

    from persistence.connection import Connection
    from persistence.encryption import KeyRing

_SECRET: Final = connectors.c.secret.name
_PREVIOUS: Final = connectors.c.previous_secret.name
_SIGNING: Final = connectors.c.signing_key.name
_PREVIOUS_SIGNING: Final = connectors.c.previous_signing_key.name
_CIPHERTEXTS: Final = (_SECRET, _PREVIOUS, _SIGNING, _PREVIOUS_SIGNING)

_WITHOUT_PREVIOUS: Final = {_PREVIOUS: None, "previous_secret_until": None}
_WITHOUT_PREVIOUS_SIGNING: Final = {_PREVIOUS_SIGNING: None, "previous_signing_until": None}
WITHOUT_SECRET: Final = {_SECRET: None, "secret_changed_at": None, "secret_used_at": None} | _WITHOUT_PREVIOUS
"""The columns of a connector that has no secret."""

CREDENTIAL_COLUMNS: Final = frozenset(_CIPHERTEXTS) | {
    "secret_changed_at",
    "secret_used_at",
    "previous_secret_until",
    "signing_changed_at",
    "previous_signing_until",
}
_COLUMNS = tuple(column for column in connectors.c if column.name in {"id", "workspace_id", "lookup_url", *CREDENTIAL_COLUMNS})
_OF_ONE = select(*_COLUMNS).where(
    connectors.c.workspace_id == bindparam("workspace", type_=connectors.c.workspace_id.type),
    connectors.c.id == bindparam("connector", type_=connectors.c.id.type),
)  # made once, as what each lookup asks for


class CredentialStore:
    """The credentials of one workspace's connectors."""

    def __init__(self, connection: Connection, workspace_id: WorkspaceId, keys: KeyRing) -> None:
        self._connection = connection
        self._workspace_id = workspace_id
        self._keys = keys

    async def secret(self, connector_id: ConnectorId) -> Secret | None:
        """The secret in the clear, None when there is none; raises SecretUnreadable."""
        sealed = await self._sealed(connector_id)
        return None if sealed is None else sealed.open(_SECRET)

    async def carried(self, connector_id: ConnectorId, now: datetime, *, note_use: bool) -> Credentials | None:
        """What a request of this moment carries, None for an unknown connector; raises SecretUnreadable.

        Notes the use, at most once a minute.
        """
        sealed = await self._sealed(connector_id)
        if sealed is None:
            return None
        signing = [sealed.open(_SIGNING), sealed.open(_PREVIOUS_SIGNING) if sealed.holds_previous_signing(now) else None]
        previous = sealed.opened(_PREVIOUS) if sealed.holds_previous(now) else None
        credentials = Credentials(sealed.open(_SECRET), tuple(key for key in signing if key), previous)
        used = sealed.row.secret_used_at
        if note_use and credentials.secret and (used is None or now - used >= USE_NOTED):
            await self._write(connector_id, {"secret_used_at": now})
        return credentials

    async def standings(self, connector_ids: Sequence[ConnectorId], now: datetime) -> dict[ConnectorId, CredentialStanding]:
        """What may be shown of the credentials of each connector."""
        statement = select(*_COLUMNS).where(connectors.c.workspace_id == self._workspace_id, connectors.c.id.in_(connector_ids))
        rows = await self._connection.execute(statement)
        return {ConnectorId(row.id): _Sealed(row, self._keys).standing(now) for row in rows}

    async def save_secret(self, connector_id: ConnectorId, secret: Secret, now: datetime) -> None:
        """Set the secret; the one before it is not kept."""
        sealed = sealed_secret(self._keys, self._workspace_id, connector_id, secret)
        values = {_SECRET: sealed, "secret_changed_at": now, "secret_used_at": None}
        await self._write(connector_id, values | _WITHOUT_PREVIOUS)

    async def rotate_secret(self, connector_id: ConnectorId, secret: Secret, now: datetime) -> bool:
        """Put ``secret``, which has just been used, in force and keep the one before it for a day.

        Raises SecretUnreadable. False when it was in force already, and nothing changed.
        """
        sealed = await self._sealed(connector_id)
        if sealed is None or (current := sealed.open(_SECRET)) == secret:
            return False
        await self._write(connector_id, sealed.swapped(secret, current, now) | {"secret_used_at": now, "updated_at": now})
        return True

    async def restore_secret(self, connector_id: ConnectorId, now: datetime) -> bool:
        """Let the secret and the one before it change places; False when there is none to go back to, or no longer.

        Raises SecretUnreadable when the one in force cannot be opened: it could not be kept, and its key may come back.
        """
        sealed = await self._sealed(connector_id)
        if sealed is None or not sealed.row.secret or not sealed.holds_previous(now):
            return False
        previous = sealed.opened(_PREVIOUS)
        if previous is None:
            return False
        current = sealed.open(_SECRET)
        await self._write(connector_id, sealed.swapped(previous, current, now) | {"secret_used_at": None, "updated_at": now})
        return True

    async def forget_previous_secret(self, connector_id: ConnectorId) -> None:
        """Erase the ciphertext of the secret before."""
        await self._write(connector_id, _WITHOUT_PREVIOUS)

    async def signs(self, connector_id: ConnectorId) -> bool:
        """Whether the connector's requests are signed."""
        sealed = await self._sealed(connector_id)
        return sealed is not None and sealed.row.signing_key is not None

    async def sign_with(self, connector_id: ConnectorId, key: Secret, now: datetime) -> bool:
        """Sign with ``key`` from now on, and for a day with the key before it, too; False for an unknown connector."""
        sealed = await self._sealed(connector_id)
        if sealed is None:
            return False
        before = sealed.opened(_SIGNING)
        previous = (
            {_PREVIOUS_SIGNING: sealed.seal(_PREVIOUS_SIGNING, before), "previous_signing_until": now + KEPT} if before else {}
        )
        values = {_SIGNING: sealed.seal(_SIGNING, key), "signing_changed_at": now}
        await self._write(connector_id, _WITHOUT_PREVIOUS_SIGNING | previous | values)
        return True

    async def stop_signing(self, connector_id: ConnectorId) -> bool:
        """Erase the signing keys; False when there were none."""
        values = {_SIGNING: None, "signing_changed_at": None} | _WITHOUT_PREVIOUS_SIGNING
        return await self._write(connector_id, values, connectors.c[_SIGNING].is_not(None))

    async def erase_lapsed(self, now: datetime) -> int:
        """Erase what was kept for a day and is older; how many ciphertexts that were."""
        erased = 0
        for until, values in (
            (connectors.c.previous_secret_until, _WITHOUT_PREVIOUS),
            (connectors.c.previous_signing_until, _WITHOUT_PREVIOUS_SIGNING),
        ):
            statement = update(connectors).where(connectors.c.workspace_id == self._workspace_id, until <= now).values(values)
            erased += (await self._connection.execute(statement)).rowcount
        return erased

    async def _sealed(self, connector_id: ConnectorId) -> _Sealed | None:
        names = {"workspace": self._workspace_id, "connector": connector_id}
        row = (await self._connection.execute(_OF_ONE, names)).first()
        return None if row is None else _Sealed(row, self._keys)

    async def _write(self, connector_id: ConnectorId, values: dict[str, Any], *where: ColumnElement[bool]) -> bool:
        this = connectors.c.workspace_id == self._workspace_id, connectors.c.id == connector_id
        return (await self._connection.execute(update(connectors).where(*this, *where).values(values))).rowcount > 0


class EveryCredential:
    """The credentials of all workspaces, for the rotation of keys and for what is kept for a day."""

    def __init__(self, connection: Connection, keys: KeyRing) -> None:
        self._connection = connection
        self._keys = keys

    async def rotate(self) -> tuple[int, list[ConnectorId]]:
        """Encrypt everything under the primary key: how many values were, and the connectors of which some did not open."""
        held = or_(*(connectors.c[name].is_not(None) for name in _CIPHERTEXTS))
        rows = (await self._connection.execute(select(*_COLUMNS).where(held))).all()
        rotated, unreadable = 0, []
        for row in rows:
            sealed = _Sealed(row, self._keys)
            if not sealed.whole():
                unreadable.append(ConnectorId(row.id))
            if anew := sealed.anew():
                await self._connection.execute(update(connectors).where(connectors.c.id == row.id).values(anew))
            rotated += len(anew)
        return rotated, unreadable

    async def lapsed(self, now: datetime) -> list[WorkspaceId]:
        """The workspaces in which something was kept for a day and is older."""
        over = or_(connectors.c.previous_secret_until <= now, connectors.c.previous_signing_until <= now)
        rows = await self._connection.execute(select(connectors.c.workspace_id).where(over).distinct())
        return [WorkspaceId(row.workspace_id) for row in rows]


@dataclass(frozen=True, slots=True)
class _Sealed:
    """The ciphertexts of one connector, and the keys to them."""

    row: Row[Any]
    keys: KeyRing

    def open(self, column: str) -> Secret | None:
        """A value in the clear; raises SecretUnreadable."""
        stored: bytes | None = getattr(self.row, column)
        return None if stored is None else Secret(self.keys.decrypt(stored, self._place(column)))

    def opened(self, column: str) -> Secret | None:
        """A value in the clear, if it is there and can be opened."""
        try:
            return self.open(column)
        except SecretUnreadable:
            return None

    def seal(self, column: str, secret: Secret) -> bytes:
        """The ciphertext of a value in its column."""
        return self.keys.encrypt(secret.reveal(), self._place(column))

    def swapped(self, secret: Secret, previous: Secret | None, now: datetime) -> dict[str, Any]:
        """The columns when ``secret`` is in force and ``previous`` can be restored for a day."""
        kept = {_PREVIOUS: self.seal(_PREVIOUS, previous), "previous_secret_until": now + KEPT} if previous else _WITHOUT_PREVIOUS
        return {_SECRET: self.seal(_SECRET, secret), "secret_changed_at": now} | kept

    def whole(self) -> bool:
        """Whether everything that is stored can be opened."""
        return all(self.opened(column) for column in _CIPHERTEXTS if getattr(self.row, column) is not None)

    def anew(self) -> dict[str, bytes]:
        """What can be opened and is not yet encrypted under the primary key, encrypted so."""
        values = {column: self.opened(column) for column in _CIPHERTEXTS}
        return {
            column: self.seal(column, value)
            for column, value in values.items()
            if value is not None and not self.keys.is_current(getattr(self.row, column))
        }

    def holds_previous(self, now: datetime) -> bool:
        """Whether a secret is still kept to be restored."""
        return self.row.previous_secret is not None and now < self.row.previous_secret_until

    def holds_previous_signing(self, now: datetime) -> bool:
        """Whether the signing key before still signs."""
        return self.row.previous_signing_key is not None and now < self.row.previous_signing_until

    def standing(self, now: datetime) -> CredentialStanding:
        """What may be shown."""
        return CredentialStanding(
            secret=self._secret_standing(now) if self.row.secret else None,
            signing=self._signing_standing(now) if self.row.signing_key else None,
        )

    def _secret_standing(self, now: datetime) -> SecretStanding:
        previous = (
            PreviousSecret(self._fingerprint(_PREVIOUS), self.row.previous_secret_until) if self.holds_previous(now) else None
        )
        return SecretStanding(self._fingerprint(_SECRET), self.row.secret_changed_at, self.row.secret_used_at, previous)

    def _signing_standing(self, now: datetime) -> SigningStanding:
        previous_until = self.row.previous_signing_until if self.holds_previous_signing(now) else None
        return SigningStanding(self._fingerprint(_SIGNING), self.row.signing_changed_at, previous_until)

    def _fingerprint(self, column: str) -> str | None:
        value = self.opened(column)
        return None if value is None else self.keys.fingerprint(value.reveal(), self._place(column))

    def _place(self, column: str) -> Place:
        """The secret in force alone is bound to no origin: its settings change with it in one statement."""
        bound_to = None if column == _SECRET else origin(self.row.lookup_url)
        return Place(self.row.workspace_id, connectors.name, self.row.id, column, bound_to)


def sealed_secret(keys: KeyRing, workspace_id: WorkspaceId, connector_id: ConnectorId, secret: Secret) -> bytes:
    """The ciphertext of a connector's secret."""
    return keys.encrypt(secret.reveal(), Place(workspace_id, connectors.name, connector_id, _SECRET))
