"""What an execution does beside its answer: how it waits, what it loads, how it ends, and what it leaves to others."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
import strawberry
from graphql import parse
from strawberry.dataloader import DataLoader
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from compiled import scope
from compiled.plan import MAX_VARIANTS, EventPlan, Fallback, QueryPlan, plan_of
from compiled.source import MAX_NAMES
from tests.compiled import shapes
from tests.compiled.both import answer, stock
from tests.compiled.documents import Written


@dataclass
class Context:
    here: asyncio.Event = field(default_factory=asyncio.Event)
    there: asyncio.Event = field(default_factory=asyncio.Event)
    ended: list[str] = field(default_factory=list)
    batches: list[list[int]] = field(default_factory=list)
    loader: DataLoader[int, int] = field(init=False)

    def __post_init__(self) -> None:
        self.loader = DataLoader(self._load)

    async def _load(self, keys: list[int]) -> list[int]:
        self.batches.append(keys)
        return keys


Info = strawberry.Info[Context, Any]


@strawberry.type
class Item:
    number: strawberry.Private[int]

    @strawberry.field
    async def loaded(self, info: Info) -> int:
        return await info.context.loader.load(self.number)

    @strawberry.field
    async def inner(self, info: Info) -> list[Item]:
        assert info.context is not None
        return [Item(number=10 * self.number + n) for n in range(2)]


@strawberry.type
class Query:
    @strawberry.field
    async def items(self, info: Info) -> list[Item]:
        assert info.context is not None
        return [Item(number=n) for n in range(3)]

    @strawberry.field
    async def here(self, info: Info) -> str:
        info.context.here.set()
        await info.context.there.wait()
        return "here"

    @strawberry.field
    async def there(self, info: Info) -> str:
        info.context.there.set()
        await info.context.here.wait()
        return "there"

    @strawberry.field
    async def never(self, info: Info) -> str:
        info.context.here.set()
        try:
            await asyncio.Future[None]()
        finally:
            info.context.ended.append("never")
        return "never"

    @strawberry.field
    def promise(self) -> str:
        async def later() -> str:
            return "later"

        return later()  # type: ignore[return-value]  # as a resolver may that is no coroutine function itself


@strawberry.type
class Mutation:
    @strawberry.field
    def change(self) -> str:
        return "changed"


SCHEMA = strawberry.Schema(Query, Mutation)


def _planned(text: str, schema: strawberry.Schema = SCHEMA) -> QueryPlan:
    plan = plan_of(schema, parse(text), None)
    assert isinstance(plan, QueryPlan)
    return plan


async def test_fields_of_the_root_wait_beside_each_other() -> None:
    outcome = await asyncio.wait_for(_planned("{ here there }").execute(Context(), None), 10)

    assert list((outcome.data or {}).items()) == [("here", "here"), ("there", "there")]


async def test_loaders_get_the_batches_that_the_stock_executor_gives_them() -> None:
    text, here, there = "{ items { loaded inner { loaded } } }", Context(), Context()

    outcome = await _planned(text).execute(here, None)

    assert answer(outcome.data, outcome.errors) == await stock(SCHEMA, parse(text), Written(text, None, None, set()), there)
    assert here.batches == there.batches
    assert len(here.batches) == 1


@pytest.mark.parametrize("text", ["{ never }", "{ never here }"])
async def test_an_execution_that_is_broken_off_ends_what_it_began(text: str) -> None:
    context = Context()
    executing = asyncio.create_task(_planned(text).execute(context, None))
    await context.here.wait()

    executing.cancel()

    with pytest.raises(asyncio.CancelledError):
        await executing
    assert context.ended == ["never"]


async def test_the_time_that_its_caller_gives_it_is_the_callers() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await _planned("{ never }").execute(Context(), None)


async def test_a_promise_of_a_synchronous_resolver_is_left_to_the_stock_executor() -> None:
    with pytest.raises(Fallback):
        await _planned("{ promise }").execute(Context(), None)


async def test_conditions_make_variants_up_to_a_bound() -> None:
    names = [f"v{n}" for n in range(5)]
    plan = _planned(
        f"query ({' '.join(f'${name}: Boolean!' for name in names)}) {{ items {{ "
        + " ".join(f"{name}: __typename @include(if: ${name})" for name in names)
        + " } }"
    )

    async def show(combination: int) -> object:
        chosen = {name: bool(combination >> bit & 1) for bit, name in enumerate(names)}
        outcome = await plan.execute(Context(), chosen)
        assert outcome.data is not None
        assert list(outcome.data["items"][0]) == [name for name in names if chosen[name]]
        return outcome

    for combination in range(MAX_VARIANTS):
        await show(combination)
    with pytest.raises(Fallback):
        await show(MAX_VARIANTS)
    assert await show(0)


async def test_the_variants_of_a_plan_have_its_names_together() -> None:
    aliases = " ".join(f"a{n}: items {{ __typename }}" for n in range(MAX_NAMES // 5))
    plan = _planned(f"query ($a: Boolean!, $b: Boolean!) {{ {aliases} a: __typename @skip(if: $a) b: __typename @skip(if: $b) }}")

    async def way(*, a: bool, b: bool) -> str:
        try:
            await plan.execute(Context(), {"a": a, "b": b})
        except Fallback:
            return "stock"
        return "compiled"

    ways = [await way(a=a, b=b) for a, b in [(True, True), (True, False), (False, True), (False, False)] * 2]

    assert ways == ["compiled", "compiled", "stock", "stock"] * 2


@pytest.mark.parametrize(
    "text",
    [
        "mutation { change }",
        "{ __schema { queryType { name } } }",
        "{ items { loaded @skip(if: true) @never } }",
        "query @experimental_disableErrorPropagation { here }",
        "query A { here } query B { there }",
        "subscription { here }",
        "{ nothing }",
        "fragment F on Query { here }",
        "{ ...F } fragment F($n: Int) on Query { here }",
    ],
)
def test_what_is_not_covered_has_no_plan(text: str) -> None:
    assert plan_of(SCHEMA, parse(text, experimental_fragment_arguments=True), None) is None


@pytest.mark.parametrize("text", ["{ secret }", "{ named { name } }", "subscription { seen { awaited } }"])
def test_rights_interfaces_and_events_that_wait_have_no_plan(text: str) -> None:
    assert plan_of(shapes.SCHEMA, parse(text), None) is None


class _Shouting(SchemaExtension):
    def resolve(self, _next: Any, root: Any, info: Any, *args: Any, **given: Any) -> Any:  # noqa: ANN401 - as strawberry has it
        return _next(root, info, *args, **given)


class _Executor(StrawberryGraphQLCoreExecutionContext):
    def complete_value(self, *given: Any) -> Any:  # noqa: ANN401 - as graphql-core has it
        return super().complete_value(*given)


def _attribute(instance: object, name: str) -> object:
    return getattr(instance, name)


@pytest.mark.parametrize(
    "schema",
    [
        strawberry.Schema(Query, extensions=[_Shouting]),
        strawberry.Schema(Query, execution_context_class=_Executor),
        strawberry.Schema(Query, config=StrawberryConfig(default_resolver=_attribute)),
    ],
    ids=["middleware", "executor", "default resolver"],
)
def test_a_schema_that_executes_otherwise_has_no_plans(schema: strawberry.Schema) -> None:
    assert plan_of(schema, parse("{ here }"), None) is None


async def test_an_event_is_rendered_to_the_bytes_of_its_data() -> None:
    plan = plan_of(shapes.SCHEMA, parse("subscription { shown: stamped { number } }"), None)
    assert isinstance(plan, EventPlan)
    context = shapes.Context()

    assert plan.field_name == "stamped"
    assert plan.render(context.stamp(5), context, plan.coerce(None)) == b'{"shown":{"number":5}}'
    assert orjson.loads(plan.render(None, context, plan.coerce({}))) == {"shown": None}


def test_only_versions_that_somebody_has_read_are_compiled_for() -> None:
    assert scope.strangers(scope.KNOWN) == []
    assert scope.strangers(scope.KNOWN | {"graphql-core": "3.3.3"}) == ["graphql-core 3.3.3 (known: 3.3.2)"]
    assert scope.versions_are_known()


def test_a_package_that_does_not_say_its_version_is_a_stranger() -> None:
    found = scope.versions(["graphql-core", "a-package-that-is-not-there"])

    assert found == {"graphql-core": scope.KNOWN["graphql-core"]}
    assert scope.strangers(found) == ["strawberry-graphql of an unknown version (known: 0.341.2)"]
