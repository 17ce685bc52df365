"""Bearer tokens (JWT, RFC 7519): issued under our own key, or by the company's identity provider."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import jwt
import structlog

from domain.identity import Principal, Role, WorkspaceId
from persistence.tables import new_id
from server.clock import utc_now
from server.identity_provider import IdentityProvider
from server.revocations import Revocations

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from persistence.database import Database
    from server.settings import Settings

_OURS: Final = "HS256"
_PROVIDERS: Final = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
_REQUIRED: Final = ["sub", "workspace", "role", "exp"]
MAX_REMEMBERED: Final = 5_000
"""Tokens at once; the oldest makes room."""

_LONGEST_REMEMBERED: Final = 2_048
_NOT_GENUINE: Final = (jwt.PyJWTError, ValueError, OverflowError, TypeError, OSError)  # the last: a year beyond the calendar
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Key:
    """What proves a token, and the algorithms that it serves."""

    secret: Any
    algorithms: Sequence[str]
    id: str | None = None
    """At the identity provider; None for our own."""


@dataclass(frozen=True, slots=True)
class _Verified:
    """The holder of a token whose signature was found good, and under which key."""

    principal: Principal
    key: _Key


class Tokens:
    """Issues and judges tokens; each key serves its own algorithms only.

    A signature is verified once, since it is what costs; whatever may end a token is asked of it each time.
    """

    def __init__(self, *, database: Database, signing_key: str | None, jwks_url: str | None, now: Callable[[], datetime]) -> None:
        self._database = database
        self._signing_key = signing_key
        self._provider = IdentityProvider(jwks_url) if jwks_url else None
        self._now = now
        self.revocations = Revocations(database)
        self._known_workspaces: set[WorkspaceId] = set()
        self._ours = None if signing_key is None else _Key(signing_key.encode(), [_OURS])
        self._verified: dict[str, _Verified] = {}

    def issue(self, workspace_id: WorkspaceId, role: Role, *, name: str | None, ttl: timedelta) -> str:
        """A new token under our own key."""
        if self._signing_key is None:
            message = "the identity provider issues the tokens here"
            raise ValueError(message)
        claims = {
            "sub": f"{role}@{workspace_id}",
            "name": name,
            "workspace": str(workspace_id),
            "role": str(role),
            "exp": self._now() + ttl,
            "jti": str(new_id()),
        }
        return jwt.encode(claims, self._signing_key.encode(), algorithm=_OURS)

    async def authenticate(self, token: str) -> Principal | None:
        """The holder of a token that is genuine, in time, not revoked and for a workspace whose doors are open; else None."""
        principal = await self._remembered(token)
        if principal is None:
            try:
                principal = await self._verify(token)
            except _NOT_GENUINE as error:
                _log.debug("token refused", reason=type(error).__name__)
                return None
        if principal.expires_at <= self._now() or self.revocations.concern(principal):
            self._verified.pop(token, None)
            _log.debug("token refused", reason="expired or revoked, or its workspace is suspended")
            return None
        return principal if await self._exists(principal.workspace) else None

    @property
    def remembered(self) -> int:
        """How many tokens need not be verified again."""
        return len(self._verified)

    async def _remembered(self, token: str) -> Principal | None:
        """The holder of a token whose signature was verified before, under a key that still counts."""
        known = self._verified.get(token)
        return known.principal if known is not None and await self._counts(known.key) else None

    async def _verify(self, token: str) -> Principal:
        key = await self._key(jwt.get_unverified_header(token))
        claims = jwt.decode(token, key.secret, algorithms=key.algorithms, options={"require": _REQUIRED, "verify_aud": False})
        principal = _principal(claims)
        if len(token) <= _LONGEST_REMEMBERED:
            if len(self._verified) >= MAX_REMEMBERED:
                del self._verified[next(iter(self._verified))]
            self._verified[token] = _Verified(principal, key)
        return principal

    async def _key(self, header: dict[str, Any]) -> _Key:
        """The key for a token with this header."""
        if header.get("alg") == _OURS:
            if self._ours is not None:
                return self._ours
        elif self._provider is not None and isinstance(header.get("kid"), str):
            found = await self._provider.key(header["kid"])
            if found is not None:
                return _Key(found.key, _PROVIDERS, found.key_id)
        message = "no key for such a token"
        raise jwt.InvalidTokenError(message)

    async def _counts(self, key: _Key) -> bool:
        """Whether the key still is what it was: a provider may take one back."""
        if self._provider is None or key.id is None:
            return True
        found = await self._provider.key(key.id)
        return found is not None and found.key is key.secret

    async def _exists(self, workspace_id: WorkspaceId) -> bool:
        if workspace_id not in self._known_workspaces:
            async with self._database.operator_glancing() as store:
                if not await store.workspaces.exists(workspace_id):
                    return False
            self._known_workspaces.add(workspace_id)
        return True


def _principal(claims: dict[str, Any]) -> Principal:
    name, token_id = claims.get("name"), claims.get("jti")
    return Principal(
        subject=str(claims["sub"]),
        name=name if isinstance(name, str) else None,
        workspace=WorkspaceId(UUID(str(claims["workspace"]))),
        role=Role(claims["role"]),
        expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        token_id=token_id if isinstance(token_id, str) else None,
    )


def claims_of(token: str) -> dict[str, Any] | None:
    """What a token says of itself, genuine or not; None for what is no token. For the operator's eyes, never for a door."""
    try:
        return jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        return None


def open_tokens(settings: Settings, database: Database) -> Tokens:
    """Whoever issues and judges tokens under these settings."""
    return Tokens(database=database, signing_key=settings.signing_key(), jwks_url=settings.jwks_url, now=utc_now)
