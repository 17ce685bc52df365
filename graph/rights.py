"""Rights, asked field by field; the rule itself is the domain's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from strawberry.permission import BasePermission

from domain.identity import Right
from graph.errors import Forbidden

if TYPE_CHECKING:
    from strawberry.types import Info


class MayConfigure(BasePermission):
    """For those who look after the connectors."""

    message = "Only an admin may do this."

    def has_permission(self, source: Any, info: Info[Any, Any], **_kwargs: Any) -> bool:  # noqa: ANN401, ARG002
        """Ask the domain."""
        allowed: bool = info.context.caller.may(Right.CONFIGURE)
        return allowed

    def on_unauthorized(self) -> None:
        """Refuse with the code of the contract."""
        raise Forbidden(self.message)
