"""Plans: what an operation was compiled to, and how that is executed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson
from graphql import GraphQLError, OperationType, Undefined, located_error
from graphql.execution.values import VariableValues
from graphql.pyutils import gather_with_cancel

from compiled.fallback import Fallback, Uncovered
from compiled.lookahead import fields_below
from compiled.operation import operation_of
from compiled.run import Run
from compiled.scope import is_plain, versions_are_known
from compiled.source import MAX_NAMES, TYPENAME, Root, Writer
from compiled.variables import Variables

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    import strawberry
    from graphql import DocumentNode

    from compiled.operation import Operation
    from compiled.run import Spot
    from compiled.source import Written

__all__ = ["EventPlan", "Fallback", "Outcome", "QueryPlan", "plan_of"]

MAX_VARIANTS: Final = 16
"""Of one plan: each combination of the booleans in its conditions is compiled for itself."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an execution brought: data as orjson encodes it, and errors as the stock executor locates them."""

    data: dict[str, Any] | None
    errors: list[GraphQLError] = field(default_factory=list)


def plan_of(schema: strawberry.Schema, document: DocumentNode, operation_name: str | None) -> QueryPlan | EventPlan | None:
    """Compile an operation of a valid document; None where the stock executor must do it."""
    if not versions_are_known() or not is_plain(schema):
        return None
    try:
        operation = operation_of(schema, document, operation_name)
        if operation.definition.operation is OperationType.SUBSCRIPTION:
            return EventPlan(operation)
        return QueryPlan(operation)
    except Exception:  # noqa: BLE001 - Uncovered, or a document so odd that it cannot be compiled: stock executes and explains it
        return None


class _NonNull(Exception):
    """Ends an execution: its only field of the root raised, and cannot be null."""

    def __init__(self, error: GraphQLError) -> None:
        self.error = error


def _write(
    operation: Operation, values: VariableValues, *, names: int = MAX_NAMES
) -> tuple[Writer, dict[str, tuple[Spot, str, Written] | None]]:
    """The writer, and for each field of the root where it stands and which function completes it; None for a type's name."""
    writer = Writer(operation, values, names=names)
    written: dict[str, tuple[Spot, str, Written] | None] = {}
    for response_name, details in operation.root_fields(values).items():
        if details[0].node.name.value == TYPENAME:
            written[response_name] = None
        else:
            spot = writer.spot(operation.root, response_name, details)
            written[response_name] = (spot, *writer.function_for(spot.return_type, details))
    return writer, written


class _Variant:
    """An operation with its conditions decided."""

    def __init__(self, operation: Operation, values: VariableValues, *, names: int) -> None:
        writer, written = _write(operation, values, names=names)
        functions = writer.functions()
        self.size = writer.size
        self.blank: dict[str, Any] = {name: None if field else operation.root.name for name, field in written.items()}
        self.roots = [Root(spot, functions[name], waits=needs.waits) for spot, name, needs in filter(None, written.values())]


class _EventVariant(_Variant):
    """One field, rendered without waiting for anything."""

    def __init__(self, operation: Operation, values: VariableValues, *, names: int) -> None:
        super().__init__(operation, values, names=names)
        if len(self.roots) != len(self.blank) or len(self.roots) != 1 or self.roots[0].waits:
            raise Uncovered("an event that is more than one field, or has to wait")


class _Variants:
    """The variants of a plan, each compiled when it is asked for; without conditions there is one, and it is there at once."""

    def __init__(self, operation: Operation, variant: type[_Variant]) -> None:
        self._operation = operation
        self._known: dict[tuple[bool, ...], _Variant | None] = {}
        self._variant = variant
        if not operation.conditions:
            self._known[()] = variant(operation, VariableValues({}, {}), names=MAX_NAMES)

    def of(self, values: VariableValues) -> _Variant:
        """The variant for these values."""
        key = tuple(values.coerced.get(name, Undefined) for name in self._operation.conditions)
        if key not in self._known:
            self._known[key] = self._compile(key, values)
        variant = self._known[key]
        if variant is None:
            raise Fallback("a variant that is not covered")
        return variant

    def _compile(self, key: tuple[object, ...], values: VariableValues) -> _Variant | None:
        if len(self._known) >= MAX_VARIANTS or not all(isinstance(one, bool) for one in key):
            raise Fallback("a variant too many, or a condition that is neither true nor false")
        room = MAX_NAMES - sum(known.size for known in self._known.values() if known is not None)
        try:
            return self._variant(self._operation, values, names=room)
        except Exception:  # noqa: BLE001 - as in plan_of
            return None


class QueryPlan:
    """A query, compiled."""

    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        self._variables = Variables(operation)
        self._variants = _Variants(operation, _Variant)

    async def execute(
        self,
        context: object,
        variables: Mapping[str, Any] | None,
        *,
        root_value: object = None,
        extensions: dict[str, Any] | None = None,
    ) -> Outcome:
        """Execute the query; ``extensions`` are those of the request, for ``Info.input_extensions``."""
        values = self._variables.coerce(variables)
        variant = self._variants.of(values)
        run = Run(self._operation, values, context, root_value, extensions)
        return await _Answer(variant, run).fill()

    def source(self, variables: Mapping[str, Any] | None = None) -> str:
        """What is written for such variables, to be read by people: written anew, for a plan keeps no text."""
        writer, _ = _write(self._operation, self._variables.coerce(variables))
        return writer.text


class _Answer:
    """One answer while it is filled."""

    def __init__(self, variant: _Variant, run: Run) -> None:
        self._roots = variant.roots
        self._run = run
        self._data = variant.blank.copy()
        self._errors: list[GraphQLError] = []

    async def fill(self) -> Outcome:
        """Resolve what is synchronous in its order, then everything else at once."""
        try:
            waiting = self._begin()
            if len(waiting) == 1:
                await waiting[0]
            elif waiting:
                await gather_with_cancel(*waiting)
        except _NonNull as end:
            return Outcome(None, [end.error])
        finally:
            self._run.abandon()
        if len(self._errors) > 1:
            raise Fallback("several errors")
        return Outcome(self._data, self._errors)

    def _begin(self) -> list[Coroutine[Any, Any, None]]:
        """Resolve what is synchronous; what then remains to be awaited."""
        for root in self._roots:
            if not root.is_async:
                self._resolve(root)
        waiting = [self._await(root) for root in self._roots if root.is_async]
        return [*waiting, self._run.fill()] if self._run.waits() else waiting

    def _resolve(self, root: Root) -> None:
        try:
            value = root.resolve(self._run)
        except Fallback:
            raise
        except Exception as error:  # noqa: BLE001 - as the stock executor: every one is located
            self._fail(root, error)
        else:
            self._data[root.name] = _completed(root, value, self._run)

    async def _await(self, root: Root) -> None:
        try:
            value = await root.resolved(self._run)
        except Fallback:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(root, error)
        else:
            self._data[root.name] = _completed(root, value, self._run)
            await self._run.fill()

    def _fail(self, root: Root, error: Exception) -> None:
        located = located_error(error, root.nodes, [root.name])
        if root.non_null and len(self._roots) > 1:
            raise Fallback("what the others have come to counts, too") from error
        if root.non_null:
            raise _NonNull(located)
        self._errors.append(located)


def _completed(root: Root, value: object, run: Run) -> object:
    """The value as the answer shows it; whatever goes wrong below a field of the root is the stock executor's to report."""
    try:
        return root.complete(value, run)
    except Fallback:
        raise
    except Exception as error:
        raise Fallback(root.name) from error


@dataclass(frozen=True, slots=True)
class Coerced:
    """The variables of a subscription, which are the same for each of its events."""

    values: VariableValues
    variant: _Variant


class EventPlan:
    """What is shown of each event of a subscription, compiled; the stream of events is Strawberry's."""

    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        self._variables = Variables(operation)
        self._variants = _Variants(operation, _EventVariant)
        names = {node.name.value for node in fields_below([operation.definition], operation.fragment_definitions)}
        if len(names) != 1:
            raise Uncovered("not one field")
        (self.field_name,) = names

    def coerce(self, variables: Mapping[str, Any] | None) -> Coerced:
        """What every event is rendered with."""
        values = self._variables.coerce(variables)
        return Coerced(values, self._variants.of(values))

    def render(self, payload: object, context: object, coerced: Coerced) -> bytes:
        """The JSON of an event's ``data``."""
        (root,) = coerced.variant.roots
        run = Run(self._operation, coerced.values, context, payload)
        try:
            shown = _completed(root, payload, run)
            if run.waits():
                raise Fallback("an event that has to wait")
        finally:
            run.abandon()
        return orjson.dumps({root.name: shown})
