"""What one request may cost. Every limit lies far above what an honest client sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLObjectType,
    InlineFragmentNode,
    IntValueNode,
    SchemaMetaFieldDef,
    SelectionSetNode,
    TypeMetaFieldDef,
    ValidationRule,
    get_named_type,
    get_nullable_type,
    is_list_type,
)

from domain.connector import MAX_CONNECTORS
from graph.errors import LimitExceeded
from graph.pages import MAX_PAGE

if TYPE_CHECKING:
    from graphql import GraphQLNamedType, OperationDefinitionNode, SelectionNode, ValidationContext

MAX_BODY_BYTES: Final = 1024 * 1024
MAX_TOKENS: Final = 10_000
MAX_OPERATIONS_PER_SOCKET: Final = 100
MAX_DEPTH: Final = 20
MAX_ALIASES: Final = 200
MAX_FIELDS: Final = 2_000_000
"""In an answer, were every list as long as it can be."""

_META_FIELDS: Final = {"__schema": SchemaMetaFieldDef, "__type": TypeMetaFieldDef}
_META_PAGE = 10  # types, fields, arguments: some lists of the schema are longer, most are shorter


class _Weight(NamedTuple):
    """What a selection amounts to."""

    depth: int = 0
    aliases: int = 0
    fields: int = 0


class CostRule(ValidationRule):
    """Refuses an operation that is too deep, has too many aliases or could be answered with too many fields.

    A fragment is weighed once however often it is spread: weighing it at each spread takes time that doubles with every
    fragment. The rule judges the document alone, so its verdict can be cached; ``first`` in a variable counts as a full page.
    """

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self._fragments: dict[tuple[str, int], _Weight] = {}

    def enter_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> None:  # noqa: ANN401 - the visitor's
        """Weigh one operation."""
        weight = self._weigh(node.selection_set, self.context.schema.get_root_type(node.operation), MAX_CONNECTORS)
        for measured, limit, what in (
            (weight.depth, MAX_DEPTH, "levels of depth"),
            (weight.aliases, MAX_ALIASES, "aliases"),
            (weight.fields, MAX_FIELDS, "fields in its answer"),
        ):
            if measured > limit:
                self.report_error(LimitExceeded(f"An operation may have at most {limit:,} {what}."))

    def _weigh(self, selections: SelectionSetNode, parent: GraphQLNamedType | None, page: int) -> _Weight:
        """A selection on ``parent``; ``page`` is how long the lists are when it is a connection."""
        weights = [self._weigh_one(selection, parent, page) for selection in selections.selections]
        return _Weight(
            depth=max((weight.depth for weight in weights), default=0),
            aliases=sum(weight.aliases for weight in weights),
            fields=sum(weight.fields for weight in weights),
        )

    def _weigh_one(self, selection: SelectionNode, parent: GraphQLNamedType | None, page: int) -> _Weight:
        if isinstance(selection, FieldNode):
            return self._weigh_field(selection, parent, page)
        if isinstance(selection, InlineFragmentNode):
            condition = selection.type_condition
            return self._weigh(selection.selection_set, self._type(condition.name.value) if condition else parent, page)
        assert isinstance(selection, FragmentSpreadNode)  # noqa: S101 - the three kinds of selection
        return self._weigh_fragment(selection.name.value, page)

    def _weigh_fragment(self, name: str, page: int) -> _Weight:
        fragment = self.context.get_fragment(name)
        if fragment is None:
            return _Weight()  # another rule reports it
        if (name, page) not in self._fragments:
            self._fragments[name, page] = _Weight()  # of a cycle, which another rule reports
            self._fragments[name, page] = self._weigh(
                fragment.selection_set, self._type(fragment.type_condition.name.value), page
            )
        return self._fragments[name, page]

    def _weigh_field(self, node: FieldNode, parent: GraphQLNamedType | None, page: int) -> _Weight:
        own_alias = 1 if node.alias else 0
        field = _definition(node, parent)
        if field is None or node.selection_set is None:
            return _Weight(0, own_alias, 1)
        inside = self._weigh(node.selection_set, get_named_type(field.type), _page(node, field))
        times = page if is_list_type(get_nullable_type(field.type)) else 1
        return _Weight(inside.depth + 1, inside.aliases + own_alias, 1 + inside.fields * times)

    def _type(self, name: str) -> GraphQLNamedType | None:
        return self.context.schema.get_type(name)


RULES: Final = (CostRule,)
"""The same class for every request: one made per request would never be found in the validation cache."""


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
