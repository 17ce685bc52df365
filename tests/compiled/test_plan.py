from __future__ import annotations

from collections import Counter, defaultdict
from random import Random
from typing import get_args

import pytest
from graphql import parse

from tests.compiled.both import Way, compare, compare_events, core
from tests.compiled.documents import Author
from tests.compiled.shapes import SCHEMA, Context
from tests.stage.farm import FULL_SIZE

_UNCOVERED = {"named", "secret", "breaks", "raises"}
"""What has no plan, or fails below the root."""
_FAILING = {"motto", "fails", "mustFail", "failsAtOnce", "mustFailAtOnce"}
"""What fails at the root."""
_SHARE = 0.8
"""Of the valid and the nearly valid that is answered without errors, at least so much is compiled, of each shape."""


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
    assert all(odd[way] for way in get_args(Way))
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


def _share(seen: Counter[Way]) -> float:
    return seen["compiled"] / (seen["compiled"] + seen["fallback"] + seen["stock"])
