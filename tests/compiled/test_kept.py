from __future__ import annotations

import copy
import tracemalloc
from typing import Any

import orjson
import strawberry
from graphql import parse

from compiled.held import held_in
from compiled.kept import MAX_BYTES, MAX_KEPT, Kept
from compiled.plan import QueryPlan, plan_of


@strawberry.type
class Panel(Kept):
    name: str

    @strawberry.field
    def said(self, times: int = 1) -> str:
        RENDERED.append(self.name)
        return self.name * times

    @strawberry.field
    def told(self, info: strawberry.Info[Any, Any]) -> str:
        RENDERED.append(self.name)
        return info.field_name


@strawberry.type
class Box(Kept):
    held: strawberry.Private[list[Panel] | None]
    label: str = "a box"

    @strawberry.field
    @held_in("held")
    def panels(self, info: strawberry.Info[Any, Any]) -> list[Panel]:
        RENDERED.append(info.field_name)

        async def later() -> list[Panel]:
            return [Panel(name="fetched")]

        return later() if self.held is None else self.held  # type: ignore[return-value]


@strawberry.type
class Shelf(Kept):
    box: Box


@strawberry.type
class Query:
    @strawberry.field
    async def shelf(self, info: strawberry.Info[Any, Any]) -> Shelf:
        return Shelf(box=info.context)

    @strawberry.field
    async def box(self, info: strawberry.Info[Any, Any]) -> Box:
        box: Box = info.context
        return box

    @strawberry.field
    async def panel(self, info: strawberry.Info[Any, Any]) -> Panel:
        panel: Panel = info.context
        return panel


RENDERED: list[str] = []
"""Whose resolver was called."""
SCHEMA = strawberry.Schema(Query)


async def _show(panel: Panel | Box, text: str, **variables: object) -> tuple[object, list[str]]:
    """What a client sees, and whose resolvers had to be asked for it."""
    plan = plan_of(SCHEMA, parse(text), None)
    assert isinstance(plan, QueryPlan)
    RENDERED.clear()
    outcome = await plan.execute(panel, variables)
    (shown,) = orjson.loads(orjson.dumps(outcome.data)).values()
    return shown, RENDERED.copy()


async def test_a_panel_is_rendered_once_for_all_who_ask_the_same() -> None:
    panel = Panel(name="A")

    assert await _show(panel, "{ panel { said } }") == ({"said": "A"}, ["A"])
    assert await _show(panel, "query Later { panel { ...P } } fragment P on Panel { said }") == ({"said": "A"}, [])


async def test_another_selection_or_another_panel_is_rendered_for_itself() -> None:
    panel = Panel(name="A")
    await _show(panel, "{ panel { said } }")

    assert await _show(panel, "{ panel { said(times: 2) } }") == ({"said": "AA"}, ["A"])
    assert await _show(panel, "{ panel { again: said } }") == ({"again": "A"}, ["A"])
    assert await _show(Panel(name="B"), "{ panel { said } }") == ({"said": "B"}, ["B"])


async def test_nothing_is_kept_that_depends_on_a_variable_or_on_who_asks() -> None:
    panel = Panel(name="A")

    for times in (1, 2, 1):
        shown = await _show(panel, "query ($n: Int!) { panel { said(times: $n) } }", n=times)
        assert shown == ({"said": "A" * times}, ["A"])
    for _ in range(2):
        assert await _show(panel, "{ panel { told } }") == ({"told": "told"}, ["A"])


async def test_a_condition_is_part_of_what_is_asked() -> None:
    panel, text = Panel(name="A"), "query ($all: Boolean!) { panel { name said @include(if: $all) } }"

    for wanted in (True, False, True):
        shown, _ = await _show(panel, text, all=wanted)
        assert shown == {"name": "A"} | ({"said": "A"} if wanted else {})


async def test_a_panel_keeps_few_renderings_and_the_newest_of_them() -> None:
    panel = Panel(name="A")
    texts = [f"{{ panel {{ said(times: {times}) }} }}" for times in range(MAX_KEPT + 1)]
    for text in texts:
        await _show(panel, text)

    assert (await _show(panel, texts[-1]))[1] == []
    assert (await _show(panel, texts[0]))[1] == ["A"]


async def test_a_rendering_that_is_long_is_not_kept() -> None:
    panel = Panel(name="A")
    short, long = (f"{{ panel {{ said(times: {times}) }} }}" for times in (MAX_BYTES - 100, MAX_BYTES))

    assert [(await _show(panel, text))[1] for text in (short, short, long, long)] == [["A"], [], ["A"], ["A"]]


async def test_a_copy_starts_with_nothing_kept() -> None:
    panel = Panel(name="A")
    await _show(panel, "{ panel { name said } }")
    changed = copy.copy(panel)
    changed.name = "B"

    assert await _show(changed, "{ panel { name said } }") == ({"name": "B", "said": "B"}, ["B"])
    assert changed != panel


async def test_what_is_no_json_is_not_kept() -> None:
    panel = Panel(name="\ud800")
    plan = plan_of(SCHEMA, parse("{ panel { name } }"), None)
    assert isinstance(plan, QueryPlan)

    outcome = await plan.execute(panel, None)

    assert outcome.data == {"panel": {"name": "\ud800"}}


async def test_what_is_kept_takes_little_more_memory_than_its_bytes() -> None:
    panels = [Panel(name="A" * 400) for _ in range(100)]
    plan = plan_of(SCHEMA, parse("{ panel { name } }"), None)
    assert isinstance(plan, QueryPlan)
    tracemalloc.start()
    try:
        for panel in panels:
            await plan.execute(panel, None)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert taken < len(panels) * 1_500


async def test_what_an_object_holds_is_kept_with_it_and_nobody_is_asked_for_it() -> None:
    box, text = Box(held=[Panel(name="A")]), "{ box { label panels { said } } }"
    shown = {"label": "a box", "panels": [{"said": "A"}]}

    assert await _show(box, text) == (shown, ["A"])
    assert await _show(box, text) == (shown, [])


async def test_what_an_object_does_not_hold_is_asked_for_each_time() -> None:
    box, text = Box(held=None), "{ box { label panels { name } } }"

    for _ in range(2):
        assert await _show(box, text) == ({"label": "a box", "panels": [{"name": "fetched"}]}, ["panels"])
    assert await _show(box, "{ box { label } }") == ({"label": "a box"}, [])


async def test_what_holds_an_object_is_not_kept_as_if_that_held_all() -> None:
    text = "{ shelf { box { panels { name } } } }"

    assert await _show(Box(held=None), text) == ({"box": {"panels": [{"name": "fetched"}]}}, ["panels"])
    assert await _show(Box(held=[]), text) == ({"box": {"panels": []}}, [])
