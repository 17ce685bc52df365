"""Tokens that count no more although their time has not come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Integer, Text, Uuid, and_, bindparam, cast, delete, func, insert, null, select, union_all

from domain.identity import WorkspaceId
from persistence.tables import revoked_tokens, workspaces

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement

    from persistence.connection import Connection

SPENT = timedelta(days=1)
"""How long after a token's own end its revocation is kept: clocks differ."""

_NEWS = union_all(
    select(
        revoked_tokens.c.number,
        revoked_tokens.c.token_id,
        cast(null(), Uuid).label("workspace_id"),
    ).where(revoked_tokens.c.number > bindparam("seen", type_=Integer)),
    select(cast(null(), Integer), cast(null(), Text), workspaces.c.id).where(workspaces.c.suspended_at.is_not(None)),
)
"""What every process asks every second, in one statement that reads little."""


@dataclass(frozen=True, slots=True)
class News:
    """The tokens revoked since the last look, all workspaces that are suspended now, and where to look from next time."""

    tokens: frozenset[str]
    suspended: frozenset[WorkspaceId]
    newest: int


class RevocationList:
    """Revoked tokens by their ``jti``, in the order of commit."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, token_id: str, now: datetime, *, expires_at: datetime | None = None) -> bool:
        """Revoke a token; False when it was revoked before. Without ``expires_at`` it is kept for ever."""
        if await self.contains(token_id):
            return False
        values = {"token_id": token_id, "expires_at": expires_at, "revoked_at": now}
        await self._connection.execute(insert(revoked_tokens).values(values))
        return True

    async def contains(self, token_id: str) -> bool:
        """Whether the token is revoked."""
        statement = select(revoked_tokens.c.number).where(revoked_tokens.c.token_id == token_id)
        return (await self._connection.execute(statement)).first() is not None

    async def news(self, seen: int) -> News:
        """What has been revoked with a number above ``seen``, and who is suspended."""
        rows = (await self._connection.execute(_NEWS, {"seen": seen})).all()
        return News(
            tokens=frozenset(row.token_id for row in rows if row.token_id is not None),
            suspended=frozenset(WorkspaceId(row.workspace_id) for row in rows if row.workspace_id is not None),
            newest=max((row.number for row in rows if row.number is not None), default=seen),
        )

    async def any_spent(self, now: datetime) -> bool:
        """Whether there is something to sweep."""
        return (await self._connection.execute(select(revoked_tokens.c.number).where(_spent(now)).limit(1))).first() is not None

    async def sweep(self, now: datetime) -> int:
        """Remove what has been spent, how many; the newest stays, so that no number is given twice."""
        return (await self._connection.execute(delete(revoked_tokens).where(_spent(now)))).rowcount


def _spent(now: datetime) -> ColumnElement[bool]:
    newest = select(func.max(revoked_tokens.c.number)).scalar_subquery()
    return and_(revoked_tokens.c.expires_at < now - SPENT, revoked_tokens.c.number < newest)
