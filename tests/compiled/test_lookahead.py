from __future__ import annotations

import pytest
import strawberry
from graphql import parse

from compiled.lookahead import selects
from compiled.plan import QueryPlan, plan_of
from tests.compiled.both import stock
from tests.compiled.documents import Written


@strawberry.type
class Ticket:
    number: int
    panels: int


@strawberry.type
class Edge:
    node: Ticket


@strawberry.type
class Page:
    nodes: list[Ticket]
    edges: list[Edge]
    number: int


@strawberry.type
class Query:
    @strawberry.field
    async def page(self, info: strawberry.Info[list[bool], None]) -> Page:
        info.context.append(selects(info, "panels"))
        info.context.append(selects(info, "panels"))
        return Page(nodes=[], edges=[], number=0)


SCHEMA = strawberry.Schema(Query)


@pytest.mark.parametrize(
    ("below", "selected"),
    [
        ("number", False),
        ("nodes { number }", False),
        ("nodes { panels }", True),
        ("nodes { other: panels }", True),
        ("nodes { panels: number }", False),
        ("number edges { node { panels } }", True),
        ("edges { node { number } }", False),
        ("...F", True),
        ("... on Page { nodes { ... { ...G } } }", True),
        ("nodes { panels @skip(if: true) }", True),
        ("nodes @include(if: false) { panels }", True),
    ],
)
async def test_a_resolver_sees_ahead_what_is_asked_below_it(below: str, selected: bool) -> None:
    text = f"{{ page {{ {below} }} }} fragment F on Page {{ edges {{ node {{ ...G }} }} }} fragment G on Ticket {{ panels }}"
    document = parse(text)
    plan = plan_of(SCHEMA, document, None)
    assert isinstance(plan, QueryPlan)
    seen: list[bool] = []

    await plan.execute(seen, None)
    await plan.execute(seen, None)
    await stock(SCHEMA, document, Written(text, None, None, set()), seen)

    assert seen == [selected] * 6


async def test_a_field_merged_from_two_places_is_seen_in_both() -> None:
    plan = plan_of(SCHEMA, parse("{ page { number } page { nodes { panels } } }"), None)
    assert isinstance(plan, QueryPlan)
    seen: list[bool] = []

    await plan.execute(seen, None)

    assert seen == [True, True]
