"""The variables of an operation, coerced as graphql-core coerces them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from graphql import GraphQLBoolean, GraphQLError, GraphQLID, GraphQLInt, GraphQLString, Undefined, is_non_null_type
from graphql.execution.get_variable_signature import GraphQLVariableSignature, get_variable_signature
from graphql.execution.values import VariableValues, VariableValueSource, get_variable_values
from graphql.type.scalars import GRAPHQL_MAX_INT, GRAPHQL_MIN_INT
from graphql.utilities.coerce_input_value import coerce_default_value

from compiled.fallback import Fallback, Uncovered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from compiled.operation import Operation


def _is_text(value: object) -> bool:
    return type(value) is str


def _is_int(value: object) -> bool:
    return type(value) is int and GRAPHQL_MIN_INT <= value <= GRAPHQL_MAX_INT


def _is_boolean(value: object) -> bool:
    return value is True or value is False


_AS_THEY_ARE: dict[Any, Callable[[object], bool]] = {
    GraphQLString: _is_text,
    GraphQLID: _is_text,
    GraphQLInt: _is_int,
    GraphQLBoolean: _is_boolean,
}
"""Which values of these scalars their coercion hands through unchanged."""


class _Variable(NamedTuple):
    signature: GraphQLVariableSignature
    as_it_is: Callable[[object], bool]
    nullable: bool
    default: Any


class Variables:
    """Coerces what a request sends; whatever would be an error is left to the stock executor to word."""

    def __init__(self, operation: Operation) -> None:
        self._schema = operation.schema
        self._definitions = operation.definition.variable_definitions or ()
        signatures = [get_variable_signature(operation.schema, definition) for definition in self._definitions]
        self._simple = _simple(signatures)

    def coerce(self, given: Mapping[str, Any] | None) -> VariableValues:
        """The values with their sources; raises Fallback where one is not what the operation asks for."""
        given = given or {}
        if self._simple is not None:
            return _as_they_are(self._simple, given)
        values = get_variable_values(self._schema, self._definitions, dict(given), max_errors=1)
        if isinstance(values, list):
            raise Fallback("variables")
        return values


def _simple(signatures: list[GraphQLVariableSignature | GraphQLError]) -> list[_Variable] | None:
    """The variables, where all of them are plain scalars; None where graphql-core must look at them itself."""
    simple = []
    for signature in signatures:
        if isinstance(signature, GraphQLError):
            raise Uncovered("a variable of no input type")
        nullable = not is_non_null_type(signature.type)
        as_it_is = _AS_THEY_ARE.get(signature.type if nullable else signature.type.of_type)  # type: ignore[union-attr]
        if as_it_is is None:
            return None
        simple.append(_Variable(signature, as_it_is, nullable, coerce_default_value(signature)))
    return simple


def _as_they_are(variables: list[_Variable], given: Mapping[str, Any]) -> VariableValues:
    sources: dict[str, VariableValueSource] = {}
    coerced: dict[str, Any] = {}
    for signature, as_it_is, nullable, default in variables:
        name = signature.name
        value = given.get(name, Undefined)
        if value is Undefined:
            sources[name] = VariableValueSource(signature)
            if default is not Undefined:
                coerced[name] = default
            elif not nullable:
                raise Fallback("variables")
            continue
        sources[name] = VariableValueSource(signature, value)
        if not (as_it_is(value) or (value is None and nullable)):
            raise Fallback("variables")  # an ID may be a number, for example: the stock executor knows
        coerced[name] = value
    return VariableValues(sources, coerced)
