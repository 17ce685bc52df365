"""One execution: what resolvers are told of it, and what it still waits for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from graphql import GraphQLResolveInfoHelpers
from graphql.pyutils import Path, gather_with_cancel
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import _OperationContextAwareGraphQLResolveInfo as ResolveInfo

from compiled.fallback import Fallback, closed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from graphql import GraphQLObjectType, GraphQLOutputType
    from graphql.execution.values import VariableValues
    from strawberry.types.field import StrawberryField

    from compiled.arguments import Arguments
    from compiled.lookahead import PlannedNodes
    from compiled.operation import Operation

_in_background: set[asyncio.Future[Any]] = set()


def _gather(values: Sequence[Awaitable[Any]]) -> Awaitable[list[Any]]:
    return gather_with_cancel(*values)


def _track(values: Sequence[Any]) -> None:
    awaitables = [value for value in values if optimized_is_awaitable(value)]
    if awaitables:
        future = asyncio.gather(*awaitables, return_exceptions=True)
        _in_background.add(future)
        future.add_done_callback(_in_background.discard)


_HELPERS = GraphQLResolveInfoHelpers(gather=_gather, track=_track)


@dataclass(frozen=True, slots=True, eq=False)
class Spot:
    """Where a field with a resolver stands in an operation."""

    response_name: str
    nodes: PlannedNodes
    return_type: GraphQLOutputType
    parent: GraphQLObjectType
    field: StrawberryField
    arguments: Arguments


@dataclass(slots=True, eq=False)
class Later:
    """A field whose value has to be awaited, how that is rendered, and where it goes."""

    name: str
    awaited: Awaitable[Any] | partial[Awaitable[Any]]
    """What a resolver returned, or how it is called: an asynchronous one begins only when it is awaited."""
    complete: Callable[[Any], object]
    place: dict[str, Any] | None = None
    """Known as soon as the object that has the field is rendered but for this."""

    def forget(self) -> None:
        """Nobody will await it: a coroutine is to know."""
        if not isinstance(self.awaited, partial):
            closed(self.awaited)


class Run:
    """The state of one execution; nothing of it outlives the answer."""

    __slots__ = ("_later", "_read", "context", "extensions", "operation", "root_value", "values")

    def __init__(
        self,
        operation: Operation,
        values: VariableValues,
        context: object,
        root_value: object,
        extensions: dict[str, Any] | None = None,
    ) -> None:
        self.operation = operation
        self.values = values
        self.context = context
        self.root_value = root_value
        self.extensions = extensions
        self._read: dict[Arguments, dict[str, Any]] = {}
        self._later: list[Later] = []

    def info(self, spot: Spot, path: Path | None) -> Any:  # noqa: ANN401 - the Info of whoever configured it
        """What Strawberry would tell the resolver at this spot, whose parent is at ``path``."""
        operation = self.operation
        raw = ResolveInfo(
            spot.nodes[0].name.value,
            spot.nodes,
            spot.return_type,
            spot.parent,
            Path(path, spot.response_name, spot.parent.name),
            operation.schema,
            operation.fragment_definitions,
            self.root_value,
            operation.definition,
            self.values.coerced,
            self.context,
            optimized_is_awaitable,
            None,
            _HELPERS,
            self.extensions,  # type: ignore[arg-type]  # None where a request has none, as in strawberry
        )
        return operation.strawberry.config.info_class(_raw_info=raw, _field=spot.field)  # type: ignore[arg-type]

    def arguments(self, arguments: Arguments) -> dict[str, Any]:
        """The arguments of a field below the root, read once for all the objects that have it."""
        if arguments not in self._read:
            self._read[arguments] = arguments.read(self.values, None)
        return self._read[arguments]

    def later(self, later: Later) -> Later:
        """Leave a place open until its value is there."""
        self._later.append(later)
        return later

    def waits(self) -> bool:
        """Whether places are open."""
        return bool(self._later)

    async def fill(self) -> None:
        """Fill every open place, all at once, so that loaders see one batch, and then those that opened meanwhile."""
        waiting, self._later = self._later, []
        try:
            if len(waiting) == 1:
                await self._fill(waiting[0])
            elif waiting:
                await gather_with_cancel(*map(self._fill, waiting))
        except BaseException:
            for open_place in waiting:
                open_place.forget()
            raise

    def abandon(self) -> None:
        """Forget what is still open: the stock executor takes over, or nobody waits any more."""
        for open_place in self._later:
            open_place.forget()

    async def _fill(self, open_place: Later) -> None:
        awaited, place = open_place.awaited, open_place.place
        if place is None:
            raise Fallback("an object that could not be rendered")
        try:
            value = await (awaited() if isinstance(awaited, partial) else awaited)
            place[open_place.name] = open_place.complete(value)
        except Fallback:
            raise
        except Exception as error:
            raise Fallback(open_place.name) from error
        if self._later:  # opened by this very value: nobody else ran since
            await self.fill()
