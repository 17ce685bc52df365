"""Weighs a document before it is validated: validating is where a hostile one costs most."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from graphql import (
    DirectiveNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLObjectType,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    Node,
    ObjectFieldNode,
    OperationDefinitionNode,
    SchemaMetaFieldDef,
    TypeMetaFieldDef,
    get_named_type,
    get_nullable_type,
    is_list_type,
)

from domain.connector import MAX_CONNECTORS
from graph.errors import BadRequest, LimitExceeded
from graph.pages import MAX_PAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphql import DocumentNode, GraphQLNamedType, GraphQLSchema, SelectionNode, SelectionSetNode

    from graph.limits import Limits

_META_FIELDS: Final = {"__schema": SchemaMetaFieldDef, "__type": TypeMetaFieldDef}
_META_PAGE = 10  # types, fields, arguments: some lists of the schema are longer, most are shorter


def weigh(document: DocumentNode, schema: GraphQLSchema, limits: Limits) -> None:
    """Raise LimitExceeded where the document is larger than it may be, and BadRequest where its fragments have no end.

    The verdict depends on the document alone, so it can be kept; ``first`` in a variable counts as a full page.
    """
    _weigh_nodes(document, limits)
    scales = _Scales(document, schema, limits)
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            scales.weigh(definition)


def weigh_variables(variables: object, limits: Limits) -> None:
    """Raise LimitExceeded where there are more values in the variables than there may be."""
    count, rest = 0, [variables]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            rest.extend(value.values())
        elif isinstance(value, list):
            rest.extend(value)
        else:
            continue
        count += len(value)
        if count > limits.values:
            raise LimitExceeded(f"Variables may hold at most {limits.values:,} values.")


def _weigh_nodes(document: DocumentNode, limits: Limits) -> None:
    directives = values = 0
    for node in _nodes_of(document):
        if isinstance(node, DirectiveNode):
            directives += 1
        elif isinstance(node, ObjectFieldNode):
            values += 1
        elif isinstance(node, ListValueNode):
            values += len(node.values)
    if directives > limits.directives:
        raise LimitExceeded(f"A document may have at most {limits.directives:,} directives.")
    if values > limits.values:
        raise LimitExceeded(f"The arguments of a document may hold at most {limits.values:,} values.")


def _nodes_of(document: DocumentNode) -> Iterator[Node]:
    """Every node once; graphql-core's own visitor takes five times as long."""
    rest: list[Node] = [document]
    while rest:
        node = rest.pop()
        yield node
        for key in node.keys:
            child = getattr(node, key, None)
            if isinstance(child, Node):
                rest.append(child)
            elif isinstance(child, tuple | list):
                rest.extend(child)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a selection stands."""

    parent: GraphQLNamedType | None
    page: int
    """How long the lists are when the parent is a connection."""
    names: Counter[str]
    """The response names of the selection so far: its fragments share them."""
    depth: int = 0
    nesting: int = 0


class _Scales:
    """Walks each operation as it would be executed, every fragment written out where it is spread; stops at the first limit."""

    def __init__(self, document: DocumentNode, schema: GraphQLSchema, limits: Limits) -> None:
        self._schema = schema
        self._limits = limits
        self._fragments = {
            definition.name.value: definition
            for definition in document.definitions
            if isinstance(definition, FragmentDefinitionNode)
        }
        self._selections = 0
        self._aliases = 0
        self._spread: list[str] = []

    def weigh(self, operation: OperationDefinitionNode) -> None:
        """Weigh one operation."""
        self._aliases = 0
        root = self._schema.get_root_type(operation.operation)
        fields = self._fields_in(operation.selection_set, _Place(root, MAX_CONNECTORS, Counter()))
        if fields > self._limits.fields:
            raise LimitExceeded(f"An operation may have at most {self._limits.fields:,} fields in its answer.")

    def _fields_in(self, selections: SelectionSetNode, place: _Place) -> int:
        if place.nesting > self._limits.nesting:
            raise LimitExceeded(f"Fields and fragments may nest at most {self._limits.nesting:,} levels.")
        self._selections += len(selections.selections)
        if self._selections > self._limits.selections:
            limit = f"{self._limits.selections:,} selections"
            raise LimitExceeded(f"A document may have at most {limit}, each counted wherever its fragment is spread.")
        return sum(self._fields_of(selection, place) for selection in selections.selections)

    def _fields_of(self, selection: SelectionNode, place: _Place) -> int:
        if isinstance(selection, FieldNode):
            return self._fields_of_field(selection, place)
        if isinstance(selection, InlineFragmentNode):
            condition = selection.type_condition
            parent = self._schema.get_type(condition.name.value) if condition else place.parent
            return self._fields_in(selection.selection_set, _inside(place, parent))
        assert isinstance(selection, FragmentSpreadNode)  # noqa: S101 - the three kinds of selection
        return self._fields_of_fragment(selection.name.value, place)

    def _fields_of_fragment(self, name: str, place: _Place) -> int:
        fragment = self._fragments.get(name)
        if fragment is None:
            return 0  # validation says so
        if name in self._spread:
            raise BadRequest(f"Cannot spread fragment '{name}' within itself.")
        self._spread.append(name)
        parent = self._schema.get_type(fragment.type_condition.name.value)
        fields = self._fields_in(fragment.selection_set, _inside(place, parent))
        self._spread.pop()
        return fields

    def _fields_of_field(self, node: FieldNode, place: _Place) -> int:
        self._count_name(node, place)
        field = _definition(node, place.parent)
        if node.selection_set is None:
            return 1
        if place.depth >= self._limits.depth:
            raise LimitExceeded(f"An operation may have at most {self._limits.depth:,} levels of depth.")
        kind, page = (get_named_type(field.type), _page(node, field)) if field else (None, MAX_CONNECTORS)
        inside = self._fields_in(node.selection_set, _Place(kind, page, Counter(), place.depth + 1, place.nesting + 1))
        times = place.page if field and is_list_type(get_nullable_type(field.type)) else 1
        return 1 + inside * times

    def _count_name(self, node: FieldNode, place: _Place) -> None:
        name = (node.alias or node.name).value
        place.names[name] += 1
        if place.names[name] > self._limits.equal_fields:
            raise LimitExceeded(f"A selection may have at most {self._limits.equal_fields:,} fields of the same name.")
        self._aliases += node.alias is not None
        if self._aliases > self._limits.aliases:
            raise LimitExceeded(f"An operation may have at most {self._limits.aliases:,} aliases.")


def _inside(place: _Place, parent: GraphQLNamedType | None) -> _Place:
    """A fragment there: it adds to the same selection, at the same depth."""
    return _Place(parent, place.page, place.names, place.depth, place.nesting + 1)


def _definition(node: FieldNode, parent: GraphQLNamedType | None) -> GraphQLField | None:
    name = node.name.value
    if name in _META_FIELDS:
        return _META_FIELDS[name]
    return parent.fields.get(name) if isinstance(parent, GraphQLObjectType) else None


def _page(node: FieldNode, field: GraphQLField) -> int:
    """How long the lists right below a field can be."""
    if get_named_type(field.type).name.startswith("__"):
        return _META_PAGE
    if "first" not in field.args:
        return MAX_CONNECTORS
    given = next((argument.value for argument in node.arguments or () if argument.name.value == "first"), None)
    match given:
        case None:
            return int(field.args["first"].default_value)
        case IntValueNode(value=digits) if len(digits) <= len(str(MAX_PAGE)):
            return max(int(digits), 0)  # a negative one is refused later and must not pay for others here
        case _:
            return MAX_PAGE


def holds_fractions(value: object) -> bool:
    """Whether any number in it is no integer."""
    if isinstance(value, dict):
        return any(map(holds_fractions, value.values()))
    return any(map(holds_fractions, value)) if isinstance(value, list) else isinstance(value, float)
