"""Events that are rendered once for all who are to see the same bytes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from inspect import iscoroutine
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

import orjson
from graphql import FieldNode, GraphQLError, OperationType, get_operation_ast
from graphql.execution import ExecutionResult, Executor
from graphql.execution.values import get_argument_values

from compiled.plan import EventPlan, Fallback
from domain.identity import Right
from graph.documents import is_kept
from graph.execution import Execution
from graph.scales import holds_fractions

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    import strawberry
    from graphql import DocumentNode

    from domain.identity import Principal
    from graph.context import Context
    from graph.documents import Plan
    from graph.schema import Schema
    from graph.types import CrmPanel

_ROOT: Final = "crmPanels"
_MAX_KEPT: Final = 64 * 1024
"""Bytes of rendered events that an audience keeps: as much as lies in a connection before its writers have to wait."""


class CannotRender(Exception):
    """The event is not the same for all: it has errors, which carry a request id, or waits for something."""


class Audience:
    """Those who asked with the same document, operation and variables, and with the same rights.

    Nothing in a panel's event depends on anything else of them, so it has the same bytes for all.
    """

    __slots__ = ("__weakref__", "_kept", "_renderer", "operation_name", "query", "variables")

    def __init__(self, query: str, variables: dict[str, Any] | None, operation_name: str | None, renderer: _Renderer) -> None:
        self.query = query
        self.variables = variables
        self.operation_name = operation_name
        self._renderer = renderer
        self._kept: dict[strawberry.ID, tuple[CrmPanel, bytes]] = {}

    @property
    def ticket_id(self) -> strawberry.ID:
        """The ticket that they watch."""
        return self._renderer.ticket_id

    @property
    def execution(self) -> Execution:
        """How its events are rendered, as far as it is known before there is one."""
        return self._renderer.execution

    def compile(self, plan: Plan | None) -> None:
        """Render by the plan from now on, if it can: an audience of one may be a document that comes once."""
        self._renderer.compile(plan)

    def data(self, panel: CrmPanel) -> bytes:
        """The ``data`` of the panel's event as JSON, the same object for all; raises CannotRender."""
        panel_id = panel.id
        kept = self._kept.get(panel_id)
        if kept is not None and kept[0] is panel:
            return kept[1]
        data = self._renderer.data(panel)
        self._kept[panel_id] = (panel, data)
        if sum(len(one) for _, one in self._kept.values()) > _MAX_KEPT:
            self._kept = {panel_id: (panel, data)} if len(data) <= _MAX_KEPT else {}
        return data


class Events:
    """The audiences that there are; each lasts as long as anybody is in it."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._audiences: WeakValueDictionary[Hashable, Audience] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._audiences)

    def audience(
        self, query: str, variables: dict[str, Any] | None, operation_name: str | None, context: Context
    ) -> Audience | None:
        """The audience for this operation; None where it is no plain subscription to panels, or something is wrong with it."""
        if "subscription" not in query or not is_kept(query):  # else it would be read here, and again by whoever executes it
            return None
        try:
            spelled = orjson.dumps(variables, option=orjson.OPT_SORT_KEYS)
        except TypeError:  # a lone surrogate, or an integer that is too long
            return None
        if holds_fractions(variables):  # NaN would be spelled as null is
            return None
        key = (query, spelled, operation_name, rights_of(context.caller))
        audience = self._audiences.get(key)
        if audience is not None:
            audience.compile(self._schema.plan(query, operation_name))
        elif (renderer := self._renderer(query, variables, operation_name, context)) is not None:
            audience = self._audiences[key] = Audience(query, variables, operation_name, renderer)
        return audience

    def _renderer(
        self, query: str, variables: dict[str, Any] | None, operation_name: str | None, context: Context
    ) -> _Renderer | None:
        known = self._schema.knows(query)
        document = self._schema.read(query, variables)
        field = None if document is None else _only_field(document, operation_name)
        if document is None or field is None:
            return None
        executor = self._schema.execution_context_class.build(
            self._schema._schema,  # noqa: SLF001 - graphql-core's own
            document,
            context_value=replace(context, connection_params=None),  # of whoever came first: their token stays theirs
            raw_variable_values=variables,
            operation_name=operation_name,
        )
        if not isinstance(executor, Executor):
            return None
        try:
            renderer = _Renderer(executor, field, variables)
        except GraphQLError:
            return None
        if known:
            renderer.compile(self._schema.plan(query, operation_name))
        return renderer


def rights_of(principal: Principal) -> tuple[Right, ...]:
    """All that decides what may be selected: whoever differs in it never shares a byte."""
    return tuple(right for right in Right if principal.may(right))


class _Renderer:
    """Renders the events of one subscription: compiled where it is, else as the stock executor does for each event."""

    def __init__(self, executor: Executor[Any], field: FieldNode, variables: dict[str, Any] | None) -> None:
        """Raises GraphQLError where the arguments or the variables are none."""
        panels = executor.schema.subscription_type.fields[_ROOT]  # type: ignore[union-attr]  # the field is there
        self.ticket_id: strawberry.ID = get_argument_values(panels, field, executor.variable_values)["ticketId"]
        self._executor = executor
        self._variables = variables
        self._compiled: Callable[[CrmPanel], bytes] | None = None

    def compile(self, plan: Plan | None) -> None:
        """Render by the plan, where it knows the variables."""
        if isinstance(plan, EventPlan) and self._compiled is None:
            with suppress(Fallback):
                coerced = plan.coerce(self._variables)
                self._compiled = partial(plan.render, context=self._executor.context_value, coerced=coerced)

    @property
    def execution(self) -> Execution:
        """Compiled where there is a plan that knows the variables."""
        return Execution.STOCK if self._compiled is None else Execution.COMPILED

    def data(self, panel: CrmPanel) -> bytes:
        """The ``data`` of one event as JSON; raises CannotRender."""
        if self._compiled is not None:
            with suppress(Fallback):
                return self._compiled(panel)
        result = self._executor.build_per_event_executor(panel).execute_operation()
        if iscoroutine(result):
            result.close()  # nobody is going to await it
        if not isinstance(result, ExecutionResult) or result.errors:
            raise CannotRender
        return orjson.dumps(result.data)


def _only_field(document: DocumentNode, operation_name: str | None) -> FieldNode | None:
    operation = get_operation_ast(document, operation_name)
    if operation is None or operation.operation is not OperationType.SUBSCRIPTION:
        return None
    selections = operation.selection_set.selections
    field = selections[0] if len(selections) == 1 else None
    plain = isinstance(field, FieldNode) and field.name.value == _ROOT and not field.directives and not operation.directives
    return field if plain else None  # type: ignore[return-value]
