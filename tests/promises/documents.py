"""Documents made from the schema itself, so that a field which is new tomorrow is asked for tomorrow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from graphql import (
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
)

from graph.schema import build_schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from graphql import GraphQLField, GraphQLNamedType

SCHEMA: Final = build_schema()._schema  # noqa: SLF001 - the schema as graphql-core sees it
ROOTS: Final = {"Query": "query", "Mutation": "mutation", "Subscription": "subscription"}

_DEPTH: Final = 4


@dataclass(frozen=True, slots=True)
class Place:
    """A field of a root, with the path of the argument that takes an id: ``id`` or ``input.ticketId``."""

    root: str
    field: str
    argument: str = ""

    def __str__(self) -> str:
        return f"{self.root}.{self.field}({self.argument})" if self.argument else f"{self.root}.{self.field}"


def root_fields() -> Iterator[tuple[Place, GraphQLField]]:
    """Every field of the roots."""
    for root in ROOTS:
        kind = SCHEMA.type_map[root]
        assert isinstance(kind, GraphQLObjectType)
        for name, field in kind.fields.items():
            yield Place(root, name), field


def places_of_ids() -> list[Place]:
    """Every argument of a root's field, however deep in its input, that takes an id."""
    return [
        Place(place.root, place.field, path)
        for place, field in root_fields()
        for name, argument in field.args.items()
        for path in _ids(name, get_named_type(argument.type))
    ]


def inner_fields_with_ids() -> list[str]:
    """Fields below the roots that take an id: each would need a way of its own to be tried."""
    return [
        f"{kind.name}.{name}"
        for kind in SCHEMA.type_map.values()
        if isinstance(kind, GraphQLObjectType) and kind.name not in ROOTS and not kind.name.startswith("__")
        for name, field in kind.fields.items()
        if any(list(_ids(arg, get_named_type(given.type))) for arg, given in field.args.items())
    ]


def _ids(path: str, kind: GraphQLNamedType) -> Iterator[str]:
    if kind.name == "ID":
        yield path
    elif isinstance(kind, GraphQLInputObjectType):
        for name, field in kind.fields.items():
            yield from _ids(f"{path}.{name}", get_named_type(field.type))


def document(place: Place, given: Mapping[str, str]) -> str:
    """An operation on one root field with everything selected; ``given`` are its arguments, as literals.

    Raises LookupError for an argument that must be given and is not: that is the row a new field needs.
    """
    kind = SCHEMA.type_map[place.root]
    assert isinstance(kind, GraphQLObjectType)
    field = kind.fields[place.field]
    missing = [name for name, argument in field.args.items() if is_required_argument(argument) and name not in given]
    if missing:
        message = f"{place} needs a row: {', '.join(missing)}"
        raise LookupError(message)
    arguments = ", ".join(f"{name}: {value}" for name, value in given.items() if name in field.args)
    call = f"{place.field}({arguments})" if arguments else place.field
    return f"{ROOTS[place.root]} {{ {call} {everything(get_named_type(field.type))} }}"


def everything(kind: GraphQLNamedType, depth: int = _DEPTH) -> str:
    """A selection of all that a type shows, some levels deep."""
    if is_leaf_type(kind):
        return ""
    if isinstance(kind, GraphQLUnionType):
        members = (f"... on {member.name} {everything(member, depth)}" for member in kind.types)
        return f"{{ __typename {' '.join(members)} }}"
    assert isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)
    selected = [f"{name} {everything(get_named_type(field.type), depth - 1)}" for name, field in _shown(kind, depth)]
    return f"{{ __typename {' '.join(selected)} }}"


def _shown(kind: GraphQLObjectType | GraphQLInterfaceType, depth: int) -> Iterator[tuple[str, GraphQLField]]:
    for name, field in kind.fields.items():
        inner = get_named_type(field.type)
        needs_nothing = not any(is_required_argument(argument) for argument in field.args.values())
        if needs_nothing and (depth > 1 or is_leaf_type(inner)):
            yield name, field


def is_nullable(place: Place) -> bool:
    """Whether the field answers null for what it does not find."""
    kind = SCHEMA.type_map[place.root]
    assert isinstance(kind, GraphQLObjectType)
    return not isinstance(kind.fields[place.field].type, GraphQLNonNull)
