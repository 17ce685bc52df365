"""Resolvers whose value an object may hold already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")

_HELD_IN: Final = "__held_in__"


def held_in(attribute: str) -> Callable[[F], F]:
    """Promise of a resolver: where the object's ``attribute`` is not None, that is what it returns, whatever it is told.

    It then need not be called, nor be told of the context; what it takes to find the value matters only where there is none.
    """

    def promise(resolver: F) -> F:
        setattr(resolver, _HELD_IN, attribute)
        return resolver

    return promise


def holder(resolver: object) -> str | None:
    """The attribute that may hold a resolver's value."""
    attribute: str | None = getattr(resolver, _HELD_IN, None)
    return attribute
