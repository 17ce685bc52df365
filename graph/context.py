"""What a resolver can reach: one context for each operation, with loaders of its own."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from strawberry.types import Info as StrawberryInfo

from graph.errors import Unauthenticated
from graph.loaders import Loaders

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from domain.connector import EndpointPolicy
    from domain.identity import Principal, WorkspaceId
    from graph.feed import Feeds
    from graph.panels import Panels
    from lookups.request import Dispatch
    from lookups.runner import Runner
    from lookups.updates import Updates
    from persistence.database import Database


def new_request_id() -> str:
    """What an answer, its errors and the log are found by; it guards nothing, so that the system need not be asked for chance."""
    return f"{random.getrandbits(128):032x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts that resolvers speak to; built once, in the composition root."""

    database: Database
    updates: Updates
    feeds: Feeds
    dispatch: Dispatch
    runner: Runner
    endpoint_policy: EndpointPolicy
    panels: Panels
    help_url: str
    now: Callable[[], datetime]


@dataclass(slots=True, kw_only=True)
class Context:
    """Who asks, under which request id, and what has been loaded for this operation or event."""

    services: Services
    request_id: str
    principal: Principal | None = None
    connection_params: dict[str, Any] | None = None
    """The payload of connection_init, filled in by the WebSocket handler."""
    spent: float = 0.0
    """Seconds of a query's time that the fast path has taken before it gave up."""
    _loaders: Loaders | None = field(default=None, init=False)

    @property
    def loaders(self) -> Loaders:
        """Made when they are first asked for: most operations load nothing through them."""
        if self._loaders is None:
            self._loaders = Loaders(self)
        return self._loaders

    @property
    def caller(self) -> Principal:
        """The principal; nobody gets here without one."""
        if self.principal is None:
            message = "A valid token is needed."
            raise Unauthenticated(message)
        return self.principal

    @property
    def workspace_id(self) -> WorkspaceId:
        """The caller's workspace: the only source of a tenant, never an argument."""
        return self.caller.workspace

    def afresh(self, *, request_id: str | None = None) -> Context:
        """The same caller with loaders that have loaded nothing yet."""
        return replace(self, request_id=request_id or self.request_id)


Info = StrawberryInfo[Context, None]
