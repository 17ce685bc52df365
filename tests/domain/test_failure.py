from __future__ import annotations

import pytest

from domain.failure import Failure, FailureKind


def test_the_kinds_are_the_documented_ones() -> None:
    documented = """
        HTTP_STATUS REDIRECT INVALID_JSON INVALID_RESPONSE EMPTY_BODY TOO_LARGE ENCODING DNS CONNECT RESET TLS PROTOCOL
        BLOCKED_ADDRESS SECRET_UNREADABLE INTERRUPTED TIMEOUT
    """

    assert [kind.value for kind in FailureKind] == documented.split()


@pytest.mark.parametrize("kind", FailureKind)
def test_every_kind_has_its_own_sentence(kind: FailureKind) -> None:
    message = Failure(kind, 418).words.en

    assert message[0].isupper()
    assert message.endswith(".")
    assert "{" not in message
    assert message not in {Failure(other, 418).words.en for other in FailureKind if other is not kind}


@pytest.mark.parametrize("kind", [FailureKind.HTTP_STATUS, FailureKind.REDIRECT])
def test_the_sentence_names_the_status_where_the_status_is_the_failure(kind: FailureKind) -> None:
    assert "307" in Failure(kind, 307).words.en


def test_one_message_for_every_blocked_address() -> None:
    assert Failure(FailureKind.BLOCKED_ADDRESS).words.en == "This address is not allowed."
