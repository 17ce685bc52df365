"""Reading documents: once, however often they come, and no more of them are kept than there is room for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from graphql import GraphQLError

from graph.documents import MAX_KEPT_CHARACTERS, MAX_PLANS, Documents
from graph.limits import Limits
from graph.schema import build_schema

if TYPE_CHECKING:
    from tests.stage.helpdesk import Helpdesk

SCHEMA = build_schema()._schema  # noqa: SLF001 - the schema as graphql-core sees it
VIEWER = "{ viewer { name } }"
WRONG = "{ nope }"


@pytest.fixture
def documents() -> Documents:
    return Documents(Limits(), suggestions=True)


def test_a_document_is_validated_once_however_often_it_is_sent(documents: Documents) -> None:
    for text in (VIEWER, WRONG):
        assert documents.read(text, SCHEMA) is documents.read(text, SCHEMA)

    assert [len(documents.read(text, SCHEMA).errors) for text in (VIEWER, WRONG)] == [0, 1]


def test_a_text_that_does_not_parse_is_not_kept(documents: Documents) -> None:
    with pytest.raises(GraphQLError, match="Syntax Error"):
        documents.read("{", SCHEMA)

    assert len(documents) == 0


def test_the_documents_asked_for_least_lately_make_room_for_others(documents: Documents) -> None:
    large = [f"{VIEWER} # {n} {'x' * 40_000}" for n in range(2 * MAX_KEPT_CHARACTERS // 40_000)]
    often = documents.read(VIEWER, SCHEMA)
    first = documents.read(large[0], SCHEMA)

    for text in large:
        documents.read(text, SCHEMA)
        assert documents.read(VIEWER, SCHEMA) is often

    assert documents.read(large[0], SCHEMA) is not first
    assert len(documents) <= MAX_KEPT_CHARACTERS // 40_000 + 1


def test_a_document_that_would_displace_many_is_not_kept(documents: Documents) -> None:
    documents.read(VIEWER + " " * (MAX_KEPT_CHARACTERS // 10), SCHEMA)

    assert len(documents) == 0


def test_the_plans_asked_for_least_lately_make_room_for_others(documents: Documents) -> None:
    schema = build_schema()
    texts = [f"query A {{ a{n}: __typename }} query B {{ __typename }}" for n in range(MAX_PLANS)]
    for text in texts:
        documents.read(text, SCHEMA)

    first, *_ = [documents.plan(text, name, schema) for text in texts for name in ("A", "B")]

    assert documents.planned == MAX_PLANS
    assert documents.plan(texts[-1], "B", schema) is documents.plan(texts[-1], "B", schema)
    assert documents.plan(texts[0], "A", schema) is not first


def test_a_plan_ends_with_its_document(documents: Documents) -> None:
    schema = build_schema()
    documents.read(VIEWER, SCHEMA)
    assert documents.plan(VIEWER, None, schema)

    for n in range(2 * MAX_KEPT_CHARACTERS // 40_000):
        documents.read(f"{VIEWER} # {n} {'x' * 40_000}", SCHEMA)

    assert documents.planned == 0
    assert documents.plan(VIEWER, None, schema) is None


async def test_what_is_wrong_with_a_document_is_reported_each_time(helpdesk: Helpdesk) -> None:
    answers = [await helpdesk.agent.post(WRONG) for _ in range(5)]

    request_ids = {answer.json()["errors"][0]["extensions"]["requestId"] for answer in answers}
    assert request_ids == {answer.headers["X-Request-Id"] for answer in answers}
    assert len(request_ids) == 5
