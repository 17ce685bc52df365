"""Leaves: what becomes of a scalar or a member of an enum."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from graphql import GraphQLBoolean, GraphQLEnumType, GraphQLID, GraphQLInt, GraphQLString, Undefined
from graphql.type.scalars import GRAPHQL_MAX_INT, GRAPHQL_MIN_INT
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema_converter import CustomGraphQLEnumType
from strawberry.schema.types.base_scalars import isoformat

from compiled.fallback import Fallback, closed

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphql import GraphQLLeafType


class Quick(NamedTuple):
    """A leaf's quick way as Python source, in which ``{v}`` stands for the value and the names are those in ``names``."""

    known: str
    """True where the value is the kind that was expected."""
    becomes: str | None
    """What it then becomes; None where it stays as it is."""
    names: dict[str, object]


_TEXT = Quick("type({v}) is str", None, {})
_QUICK: dict[Any, Quick] = {
    GraphQLString: _TEXT,
    GraphQLID: _TEXT,
    GraphQLBoolean: Quick("({v} is True or {v} is False)", None, {}),
    GraphQLInt: Quick(f"type({{v}}) is int and {GRAPHQL_MIN_INT} <= {{v}} <= {GRAPHQL_MAX_INT}", None, {}),
}
_MOMENT = Quick("type({v}) is datetime", "{v}.isoformat()", {"datetime": datetime})


def quick(kind: GraphQLLeafType) -> Quick | None:
    """The quick way for what such a leaf usually is; None where there is none."""
    if kind in _QUICK:
        return _QUICK[kind]
    if kind.coerce_output_value is isoformat and kind.name == "DateTime":
        return _MOMENT
    if type(kind) is CustomGraphQLEnumType and isinstance(kind, GraphQLEnumType):
        wrapped: Any = kind.wrapped_cls
        names = {member._name_: kind.coerce_output_value(member) for member in wrapped}
        alias = f"names_of_{kind.name}"
        members = f"members_of_{kind.name}"
        # By name, because the hash of a member is computed in Python; a flag made of several has none.
        return Quick(
            f"type({{v}}) is {members} and {{v}}._name_ in {alias}", f"{alias}[{{v}}._name_]", {alias: names, members: wrapped}
        )
    return None


def completing(kind: GraphQLLeafType) -> Callable[[Any], object]:
    """The type's own way, for every other value; what would be an error is left to the stock executor."""
    coerce = kind.coerce_output_value

    def complete(value: Any) -> object:  # noqa: ANN401 - whatever a resolver returned
        if value is None or value is Undefined or isinstance(value, Exception):
            raise Fallback("no value")
        if optimized_is_awaitable(value):
            raise unexpected(value)
        coerced: object = coerce(value)
        if coerced is None or coerced is Undefined:
            raise Fallback("no value")
        return coerced

    return complete


def unexpected(value: object) -> Fallback:
    """The refusal of a value of an unknown kind; a coroutine among them will not be awaited here, and is told so."""
    closed(value)
    return Fallback(f"a {type(value).__name__}")


def listed(value: object) -> tuple[object, ...]:
    """A list that is none: only a tuple is known to be as good."""
    if type(value) is not tuple:
        raise unexpected(value)
    return value
