from __future__ import annotations

from collections import Counter, defaultdict
from random import Random
from typing import Any

import pytest
from graphql import GraphQLObjectType, parse

from tests.compiled.both import Way, compare, compare_events, core
from tests.compiled.documents import Author, Written
from tests.compiled.shapes import ODDITIES, SCHEMA, Context
from tests.stage.farm import FULL_SIZE

_UNCOVERED = {"named", "secret", "breaks", "raises"}
"""What has no plan, or fails below the root."""
_FAILING = {"motto", "fails", "mustFail", "failsAtOnce", "mustFailAtOnce"}
"""What fails at the root."""
_SHARE = 0.8
"""Of the valid and the nearly valid that is answered without errors, at least so much is compiled, of each shape."""


@pytest.mark.filterwarnings(r"ignore:coroutine '(Executor|GraphQLCoreConverter|Node)\.")  # the stock one forgets some
@pytest.mark.timeout(600)
async def test_whatever_is_asked_both_ways_answer_the_same() -> None:
    ways: defaultdict[str, Counter[Way]] = defaultdict(Counter)
    for number in range(10_000 if FULL_SIZE else 600):
        chance = Random(number)
        calm, covered, failing = chance.random() < 0.6, chance.random() < 0.8, chance.random() < 0.2
        left_out = (_UNCOVERED if covered else set()) | (set() if failing else _FAILING)

        written = Author(core(SCHEMA), chance, left_out=left_out, calm=calm).write()
        way = await compare(SCHEMA, parse(written.text), written, Context)
        for shape in {"all", *written.shapes} if calm and covered else {"odd"}:
            ways[shape][way] += 1
    odd = ways.pop("odd")
    assert {"compiled", "errors", "failed", "stock"} <= odd.keys()
    assert ways["all"]["failed"]
    assert {shape: seen for shape, seen in ways.items() if _share(seen) < _SHARE} == {}


async def test_whatever_is_watched_both_ways_show_the_same() -> None:
    ways: Counter[Way] = Counter()
    for number in range(2_000 if FULL_SIZE else 200):
        chance = Random(number)
        left_out = _UNCOVERED | (set() if chance.random() < 0.1 else {"awaited", "loaded"})

        written = Author(core(SCHEMA), chance, left_out=left_out, calm=chance.random() < 0.8, root="Subscription").write()
        ways[await compare_events(SCHEMA, parse(written.text), written, Context())] += 1
    assert ways["compiled"] > ways.total() / 3, ways
    assert all(ways[way] for way in ("errors", "fallback", "stock"))


async def test_whatever_stands_in_a_member_is_shown_or_refused_alike() -> None:
    leaves = core(SCHEMA).type_map["Leaves"]
    assert isinstance(leaves, GraphQLObjectType)
    ways: Counter[Way] = Counter()
    for name in leaves.fields:
        for number in range(len(ODDITIES)):
            text = f'{{ oddity(member: "{name}", number: {number}) {{ {name} }} }}'
            ways[await compare(SCHEMA, parse(text), Written(text, None, None, set()), Context)] += 1
    assert ways["compiled"] > ways["fallback"] == ways["stock"] == 0
    assert ways["errors"] > ways["compiled"]


@pytest.mark.parametrize(
    ("text", "variables", "expected"),
    [
        ("query ($n: Int = 1) { node(seed: $n) { class } }", {}, "compiled"),
        ("query ($n: Int = 1) { node(seed: $n) { class } }", {"n": None}, "errors"),
        ("query ($n: Int = 1) { maybeNode(seed: $n) { class } }", {"n": None}, "compiled"),
        ("query ($b: Boolean = true) { node(seed: 1) { class @skip(if: $b) } }", {"b": None}, "errors"),
        ("query ($b: Boolean = true) { node(seed: 1) { class @skip(if: $b) greet } }", None, "compiled"),
        ("query ($l: Boolean = true) { node(seed: 1) { greet(loud: $l) } }", {"l": None}, "errors"),
        ("query ($l: Boolean) { node(seed: 1) { greet(loud: $l) } }", {}, "compiled"),
        ("query ($n: [Int!]!) { node(seed: 1) { a: sum(numbers: $n) b: sum(numbers: $n) } }", {"n": [1, 2]}, "compiled"),
        ('query ($i: ID!) { echo(choice: { must: "a", ids: [$i] }) }', {"i": 7}, "fallback"),
        ("{ motto }", None, "failed"),
        ("{ maybeNode(seed: 1) { class } fails { class } }", None, "failed"),
        ("{ a: fails { class } b: fails { class } }", None, "errors"),
        ("{ mustFail { class } }", None, "failed"),
        ("{ mustFail { class } maybeNode { class } }", None, "errors"),
        ("{ failsAtOnce __typename }", None, "failed"),
        ("{ mustFailAtOnce node(seed: 1) { class } }", None, "errors"),
        ("{ node(seed: 1) { class } node(seed: 1) { greet class } }", None, "compiled"),
        ("{ __typename kind: __typename }", None, "compiled"),
        ("{ a: node(seed: 1) { perhapsAwaited { class } } b: node(seed: 2) { perhapsAwaited { class } } }", None, "compiled"),
        ("{ node(seed: 1) { perhapsAwaited { class } raises } }", None, "errors"),
        ("{ node(seed: 1) { children { perhapsAwaited { raises } } } }", None, "errors"),
    ],
)
async def test_each_corner_is_answered_the_way_it_should(text: str, variables: dict[str, Any] | None, expected: Way) -> None:
    assert await compare(SCHEMA, parse(text), Written(text, None, variables, set()), Context) == expected


def _share(seen: Counter[Way]) -> float:
    return seen["compiled"] / (seen["compiled"] + seen["fallback"] + seen["stock"])
