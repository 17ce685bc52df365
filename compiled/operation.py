"""One operation of a document, with what its fragments and conditions are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
)
from graphql.execution.collect_fields import FragmentDetails, collect_fields, collect_subfields

from compiled.fallback import Uncovered

if TYPE_CHECKING:
    from collections.abc import Iterator

    import strawberry
    from graphql import (
        DirectiveNode,
        DocumentNode,
        GraphQLObjectType,
        GraphQLSchema,
        SelectionSetNode,
        VariableDefinitionNode,
    )
    from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
    from graphql.execution.values import VariableValues

_CONDITIONS = {"skip", "include"}


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """What is executed, and under which conditions its selections count."""

    strawberry: strawberry.Schema
    schema: GraphQLSchema
    definition: OperationDefinitionNode
    root: GraphQLObjectType
    fragments: dict[str, FragmentDetails]
    fragment_definitions: dict[str, FragmentDefinitionNode]
    conditions: tuple[str, ...]
    """The variables that @skip and @include ask."""

    def root_fields(self, values: VariableValues) -> GroupedFieldSet:
        """The fields of the operation by response name, as graphql-core collects them."""
        return collect_fields(self.schema, self.fragments, values, self.root, self.definition).grouped_field_set

    def fields_below(self, kind: GraphQLObjectType, details: FieldDetailsList, values: VariableValues) -> GroupedFieldSet:
        """The fields below a field by response name, as graphql-core collects them."""
        return collect_subfields(self.schema, self.fragments, values, self.definition, kind, details).grouped_field_set


def operation_of(schema: strawberry.Schema, document: DocumentNode, name: str | None) -> Operation:
    """The operation that the stock executor would choose; raises Uncovered where it refuses, or for what is not a read."""
    chosen = None
    fragments: dict[str, FragmentDefinitionNode] = {}
    for definition in document.definitions:
        if isinstance(definition, FragmentDefinitionNode):
            fragments[definition.name.value] = definition
        elif not isinstance(definition, OperationDefinitionNode):
            raise Uncovered("a definition that is neither operation nor fragment")
        elif name is None and chosen is not None:
            raise Uncovered("several operations, and none is named")
        elif name is None or (definition.name and definition.name.value == name):
            chosen = definition
    if chosen is None or chosen.operation is OperationType.MUTATION:
        raise Uncovered("no query and no subscription")
    root = schema._schema.get_root_type(chosen.operation)  # noqa: SLF001 - strawberry's own executor takes it from there
    if root is None:
        raise Uncovered("the schema has no such root")
    return Operation(
        strawberry=schema,
        schema=schema._schema,  # noqa: SLF001
        definition=chosen,
        root=root,
        fragments={name: FragmentDetails(fragment) for name, fragment in fragments.items()},
        fragment_definitions=fragments,
        conditions=tuple(sorted(_conditions(chosen, fragments))),
    )


def _conditions(chosen: OperationDefinitionNode, fragments: dict[str, FragmentDefinitionNode]) -> set[str]:
    """The variables in conditions; raises Uncovered for every directive that is no condition."""
    nodes: tuple[OperationDefinitionNode | VariableDefinitionNode | FragmentDefinitionNode, ...]
    nodes = (chosen, *(chosen.variable_definitions or ()), *fragments.values())
    if any(node.directives for node in nodes) or any(fragment.variable_definitions for fragment in fragments.values()):
        raise Uncovered("a directive or a variable where none is known")
    sets = [chosen.selection_set, *(fragment.selection_set for fragment in fragments.values())]
    return {name for selections in sets for directive in _directives(selections) for name in _asked(directive)}


def _directives(selections: SelectionSetNode) -> Iterator[DirectiveNode]:
    for selection in selections.selections:
        yield from selection.directives or ()
        if isinstance(selection, FieldNode | InlineFragmentNode) and selection.selection_set:
            yield from _directives(selection.selection_set)
        elif not isinstance(selection, FieldNode | FragmentSpreadNode):
            raise Uncovered("a selection of an unknown kind")


def _asked(directive: DirectiveNode) -> Iterator[str]:
    if directive.name.value not in _CONDITIONS:
        raise Uncovered(f"@{directive.name.value}")
    for argument in directive.arguments or ():
        if isinstance(argument.value, VariableNode):
            yield argument.value.name.value
