from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from domain.connector import Connector
from domain.credentials import check_rotation, why_not_rotated
from domain.errors import InvalidConnector
from domain.failure import Failure, FailureKind
from domain.identity import ConnectorId
from domain.secret import Secret

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
CONNECTOR = Connector(
    id=ConnectorId(uuid4()),
    name="CRM",
    lookup_url="https://crm.example/lookup",
    secret_header_name="X-Api-Key",
    has_secret=True,
    link_template=None,
    cache_ttl=timedelta(hours=24),
    log_results=True,
    enabled=True,
    position=0,
    created_at=NOW,
    updated_at=NOW,
)


def test_a_secret_follows_another_one_only() -> None:
    check_rotation(CONNECTOR, Secret("new"))

    with pytest.raises(InvalidConnector) as refused:
        check_rotation(replace(CONNECTOR, secret_header_name=None, has_secret=False), Secret("new"))

    assert [problem.field for problem in refused.value.problems] == ["id"]


@pytest.mark.parametrize("value", ["", " new", "nový", "x" * 4097])
def test_a_secret_that_no_header_can_carry_is_refused(value: str) -> None:
    with pytest.raises(InvalidConnector) as refused:
        check_rotation(CONNECTOR, Secret(value))

    assert [problem.field for problem in refused.value.problems] == ["value"]


@pytest.mark.parametrize(
    ("failure", "word"),
    [
        (Failure(FailureKind.HTTP_STATUS, 401), "refused the new secret (HTTP 401)"),
        (Failure(FailureKind.HTTP_STATUS, 403), "refused the new secret (HTTP 403)"),
        (Failure(FailureKind.HTTP_STATUS, 500), "HTTP status 500"),
        (Failure(FailureKind.TIMEOUT), "within 3 seconds"),
        (Failure(FailureKind.INTERRUPTED), "nothing was switched"),
        (Failure(FailureKind.SECRET_UNREADABLE), "cannot be opened"),
    ],
)
def test_why_nothing_was_switched_is_one_sentence(failure: Failure, word: str) -> None:
    assert word in why_not_rotated(failure).en
