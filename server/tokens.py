"""Bearer tokens (JWT, RFC 7519): issued under our own key, or by the company's identity provider."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import jwt
import structlog

from domain.identity import Principal, Role, WorkspaceId
from persistence.tables import new_id
from server.identity_provider import IdentityProvider
from server.revocations import Revocations

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from persistence.database import Database

_OURS: Final = "HS256"
_PROVIDERS: Final = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
_REQUIRED: Final = ["sub", "workspace", "role", "exp"]
_log = structlog.get_logger(__name__)


class Tokens:
    """Issues and judges tokens; each key serves its own algorithms only."""

    def __init__(self, *, database: Database, signing_key: str | None, jwks_url: str | None, now: Callable[[], datetime]) -> None:
        self._database = database
        self._signing_key = signing_key
        self._provider = IdentityProvider(jwks_url) if jwks_url else None
        self._now = now
        self.revocations = Revocations(database)
        self._known_workspaces: set[WorkspaceId] = set()

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
        try:
            principal = _principal(await self._claims(token))
        except (jwt.PyJWTError, ValueError, OverflowError, TypeError, OSError) as error:  # OSError: a year beyond the calendar
            _log.debug("token refused", reason=type(error).__name__)
            return None
        if self.revocations.concern(principal):
            _log.debug("token refused", reason="revoked, or its workspace is suspended")
            return None
        return principal if await self._exists(principal.workspace) else None

    async def _claims(self, token: str) -> dict[str, Any]:
        key, algorithms = await self._key(jwt.get_unverified_header(token))
        return jwt.decode(token, key, algorithms=algorithms, options={"require": _REQUIRED, "verify_aud": False})

    async def _key(self, header: dict[str, Any]) -> tuple[Any, Sequence[str]]:
        """The key for a token with this header, and the algorithms that it serves."""
        if header.get("alg") == _OURS:
            if self._signing_key is not None:
                return self._signing_key.encode(), [_OURS]
        elif self._provider is not None and isinstance(header.get("kid"), str):
            found = await self._provider.key(header["kid"])
            if found is not None:
                return found.key, _PROVIDERS
        message = "no key for such a token"
        raise jwt.InvalidTokenError(message)

    async def _exists(self, workspace_id: WorkspaceId) -> bool:
        if workspace_id not in self._known_workspaces:
            async with self._database.operator_reading() as store:
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
