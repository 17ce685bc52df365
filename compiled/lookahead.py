"""Looking ahead: what is asked for below the field that is being resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphql import FieldNode, FragmentSpreadNode, InlineFragmentNode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from graphql import FragmentDefinitionNode, OperationDefinitionNode, SelectionSetNode
    from strawberry import Info

_WRAPPERS = {"nodes": (), "edges": ("node",)}
"""What stands between a page and its entries."""


class PlannedNodes(list[FieldNode]):
    """The nodes of a field in a plan, which every execution shares: what was found below them is found once."""

    __slots__ = ("selected",)

    def __init__(self, nodes: Iterable[FieldNode]) -> None:
        super().__init__(nodes)
        self.selected: dict[str, bool] = {}


def selects(info: Info[Any, Any], field_name: str) -> bool:
    """Whether a field of this name (as in the schema, not its alias) may be asked for below the one being resolved.

    It is looked for directly, in fragments, and behind `nodes` and `edges { node }`. A mention counts under any @skip or
    @include and in a fragment on any type: reading too much is slow, reading too little is wrong.
    """
    raw: Any = info._raw_info  # noqa: SLF001 - strawberry's own selected_fields converts everything below, each time
    nodes = raw.field_nodes
    if not isinstance(nodes, PlannedNodes):
        return _selects(nodes, raw.fragments, field_name)
    if field_name not in nodes.selected:
        nodes.selected[field_name] = _selects(nodes, raw.fragments, field_name)
    return nodes.selected[field_name]


def _selects(nodes: list[FieldNode], fragments: Mapping[str, FragmentDefinitionNode], field_name: str) -> bool:
    below = list(fields_below(nodes, fragments))
    for wrapper, inner in _WRAPPERS.items():
        within = [node for node in below if node.name.value == wrapper]
        for name in inner:
            within = [node for node in fields_below(within, fragments) if node.name.value == name]
        below += fields_below(within, fragments)
    return any(node.name.value == field_name for node in below)


def fields_below(
    nodes: Iterable[FieldNode | OperationDefinitionNode], fragments: Mapping[str, FragmentDefinitionNode]
) -> Iterator[FieldNode]:
    """The fields directly below, every fragment once."""
    spread: set[str] = set()
    rest: list[SelectionSetNode] = [node.selection_set for node in nodes if node.selection_set]
    while rest:
        for selection in rest.pop().selections:
            if isinstance(selection, FieldNode):
                yield selection
            elif isinstance(selection, InlineFragmentNode):
                rest.append(selection.selection_set)
            elif isinstance(selection, FragmentSpreadNode) and selection.name.value not in spread:
                spread.add(selection.name.value)
                if fragment := fragments.get(selection.name.value):
                    rest.append(fragment.selection_set)
