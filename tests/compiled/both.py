"""Executes a document both ways, and holds them against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import orjson
from graphql import ExecutionResult, GraphQLError, MiddlewareManager, create_source_event_stream, execute
from strawberry.execution import optimized_is_awaitable

from compiled.plan import EventPlan, Fallback, QueryPlan, plan_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import strawberry
    from graphql import DocumentNode, GraphQLSchema

    from tests.compiled.documents import Written

Way = Literal["compiled", "failed", "fallback", "stock", "errors"]
"""How an operation was answered: compiled without or with errors, or not; "errors" are the stock executor's alone to word."""


def core(schema: strawberry.Schema) -> GraphQLSchema:
    """The schema as graphql-core has it."""
    return schema._schema  # noqa: SLF001 - strawberry has no other word for it


def answer(data: object, errors: list[GraphQLError] | None) -> bytes:
    """What a client and a log would see of an outcome, in its order."""
    told = [(error.formatted, repr(error.original_error)) for error in errors or ()]
    return orjson.dumps([data, told])


async def stock(
    schema: strawberry.Schema, document: DocumentNode, written: Written, context: object, root_value: object = None
) -> bytes:
    """The answer of the stock executor, asked as Strawberry asks it."""
    asked: Any = optimized_is_awaitable  # typed as no guard
    result: Any = execute(
        core(schema),
        document,
        root_value=root_value,
        middleware=MiddlewareManager(),
        variable_values=written.variables,
        operation_name=written.operation_name,
        context_value=context,
        is_awaitable=asked,
        executor_class=schema.execution_context_class,
        operation_extensions=None,
    )
    if not isinstance(result, ExecutionResult):
        result = await result
    return answer(result.data, result.errors)


async def compare(
    schema: strawberry.Schema,
    document: DocumentNode,
    written: Written,
    context: Callable[[], object],
    root_value: object = None,
) -> Way:
    """Fail unless the compiled answer, where there is one, is the stock one, a second time as well; tell which way it went."""
    plan = plan_of(schema, document, written.operation_name)
    expected = await stock(schema, document, written, context(), root_value)
    faultless = orjson.loads(expected)[1] == []
    if plan is None:
        return "stock" if faultless else "errors"
    assert isinstance(plan, QueryPlan)
    same = context()
    for _ in range(2):
        try:
            outcome = await plan.execute(same, written.variables, root_value=root_value)
        except Fallback:
            return "fallback" if faultless else "errors"
        seen = answer(outcome.data, outcome.errors)
        assert seen == expected, f"{written.text}\n{written.variables} {written.operation_name}\n{expected!r}\n{seen!r}"
    return "compiled" if faultless else "failed"


async def compare_events(schema: strawberry.Schema, document: DocumentNode, written: Written, context: object) -> Way:
    """As ``compare``, of each event of a subscription: both ways render the very same payload."""
    plan = plan_of(schema, document, written.operation_name)
    executor_class: Any = schema.execution_context_class
    executor = executor_class.build(
        core(schema),
        document,
        context_value=context,
        raw_variable_values=written.variables,
        operation_name=written.operation_name,
        is_awaitable=optimized_is_awaitable,
        operation_extensions=None,
    )
    stream: Any = executor if isinstance(executor, list) else create_source_event_stream(executor)
    if optimized_is_awaitable(stream):
        stream = await stream
    if isinstance(stream, list | ExecutionResult):
        return "errors"
    way: Way = "stock"
    async for payload in stream:
        result = executor.build_per_event_executor(payload).execute_operation(serially=False)
        event = await result if optimized_is_awaitable(result) else result
        way = "errors" if event.errors else "stock"
        if isinstance(plan, EventPlan):
            try:
                coerced = plan.coerce(written.variables)
                rendered = [plan.render(payload, context, coerced) for _ in range(2)]
            except Fallback:
                return "errors" if event.errors else "fallback"
            assert (rendered, event.errors) == ([orjson.dumps(event.data)] * 2, None), f"{written.text}\n{written.variables}"
            way = "compiled"
    return way
