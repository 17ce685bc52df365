"""The arguments of a field: what its resolver is called with."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from graphql import Undefined, VariableNode, is_non_null_type
from graphql.execution.values import coerce_argument, get_argument_values
from graphql.utilities.coerce_input_value import coerce_default_value
from strawberry.relay.types import GlobalID
from strawberry.scalars import is_scalar
from strawberry.types.arguments import convert_argument, convert_arguments
from strawberry.types.base import StrawberryMaybe, StrawberryOptional
from strawberry.types.enum import StrawberryEnumDefinition, has_enum_definition

from compiled.fallback import Fallback, Uncovered

if TYPE_CHECKING:
    import strawberry
    from graphql import ArgumentNode, FieldNode, GraphQLArgument, GraphQLField, ValueNode
    from graphql.execution.values import VariableValues
    from strawberry.types.arguments import StrawberryArgument
    from strawberry.types.field import StrawberryField

_UNCHANGING = (str, int, float, bool, type(None), Enum, datetime, date, time, Decimal, UUID)


class _Bound(NamedTuple):
    """An argument that is a variable, and nothing but that."""

    python_name: str
    variable: str
    default: Any
    non_null: bool


class Arguments:
    """The arguments of one field in one operation.

    Literals and defaults are converted once, where what they become cannot be changed by a resolver; a bare variable of a
    leaf type is handed through; everything else is coerced and converted each time, as Strawberry does.
    """

    def __init__(self, schema: strawberry.Schema, definition: GraphQLField, node: FieldNode, field: StrawberryField) -> None:
        self._schema = schema
        self._definition = definition
        self._node = node
        self._field = field
        self.constant: dict[str, Any] = {}
        """Those that no request changes; of a constant field all of them."""
        self._bound: list[_Bound] = []
        given = {argument.name.value: argument for argument in node.arguments or ()}
        self.varies = any(_mentions_variable(argument.value) for argument in given.values())
        """Whether a variable stands anywhere in them."""
        self.odd = not all(self._take(argument, given) for argument in field.arguments)
        """Whether they are converted each time: then a conversion may ask for the resolver's Info."""

    def _take(self, argument: StrawberryArgument, given: dict[str, ArgumentNode]) -> bool:
        """Take one argument as a constant or a bare variable; False where it is neither."""
        name = self._schema.config.name_converter.from_argument(argument)
        definition, node = self._definition.args[name], given.get(name)
        if node is None or not _mentions_variable(node.value):
            return self._take_constant(argument, name, definition, node)
        if not isinstance(node.value, VariableNode) or not self._is_leaf(argument):
            return False
        default = coerce_default_value(definition)
        self._bound.append(_Bound(argument.python_name, node.value.name.value, default, is_non_null_type(definition.type)))
        return isinstance(default, _UNCHANGING) or default is Undefined

    def _take_constant(
        self, argument: StrawberryArgument, name: str, definition: GraphQLArgument, node: ArgumentNode | None
    ) -> bool:
        coerced: dict[str, Any] = {}
        try:
            coerce_argument(coerced, self._node, name, definition, node, None, None)
            if name not in coerced:
                return True
            value = convert_argument(
                coerced[name], argument.type, self._schema.schema_converter.scalar_registry, self._schema.config
            )
        except Exception as error:
            raise Uncovered(f"the argument {name}") from error
        self.constant[argument.python_name] = value
        return isinstance(value, _UNCHANGING)

    def _is_leaf(self, argument: StrawberryArgument) -> bool:
        """Whether Strawberry hands such a value through unchanged."""
        kind = argument.type
        if isinstance(kind, StrawberryMaybe):
            return False
        if isinstance(kind, StrawberryOptional):
            kind = kind.of_type
        if isinstance(kind, StrawberryEnumDefinition) or has_enum_definition(kind):
            return True
        return kind is not GlobalID and is_scalar(kind, self._schema.schema_converter.scalar_registry)

    def read(self, values: VariableValues, info: Any) -> dict[str, Any]:  # noqa: ANN401 - the Info of whoever configured it
        """What the resolver is called with; what would be an error is left to the stock executor."""
        if self.odd:
            return self._read_each_time(values, info)
        read = self.constant.copy()
        for python_name, variable, default, non_null in self._bound:
            value = values.coerced.get(variable, Undefined)
            if value is Undefined:
                value = default
            if value is Undefined and not non_null:
                continue
            if non_null and (value is None or value is Undefined):
                raise Fallback("an argument")
            read[python_name] = value
        return read

    def _read_each_time(self, values: VariableValues, info: Any) -> dict[str, Any]:  # noqa: ANN401
        try:
            return convert_arguments(
                get_argument_values(self._definition, self._node, values),
                self._field.arguments,
                scalar_registry=self._schema.schema_converter.scalar_registry,
                config=self._schema.config,
                info=info,
            )
        except Exception as error:
            raise Fallback("an argument") from error


def _mentions_variable(value: ValueNode) -> bool:
    if isinstance(value, VariableNode):
        return True
    inner = [*getattr(value, "values", ()), *(member.value for member in getattr(value, "fields", ()))]
    return any(_mentions_variable(one) for one in inner)
