"""A new secret is in force only when the endpoint has answered with it, and for 24 hours the one before can be restored."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from tests.flows.desk import JAN, arrived
from tests.stage.crm import FOUND, NOT_FOUND, response
from tests.stage.waiting import in_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.flows.desk import Desk
    from tests.stage.crm import Crm, Request

pytestmark = pytest.mark.asyncio(loop_scope="session")

OLD, NEW, NEWER = "the-old-secret-1", "the-new-secret-2", "the-newer-secret-3"
SECRET = "secret { fingerprint changedAt lastUsedAt previous { fingerprint restorableUntil } }"
SHOW = f"query ($id: ID!) {{ connector(id: $id) {{ hasSecret secretHeaderName {SECRET} }} }}"
REQUEST = "request { headers { name value } }"
ROTATE = f"""
mutation ($id: ID!, $value: String!, $email: String!) {{
  rotateSecret(id: $id, value: $value, email: $email) {{
    __typename
    ... on SecretRotated {{ connector {{ {SECRET} }} trial {{ status response {REQUEST} }} }}
    ... on SecretNotRotated {{ message trial {{ status httpStatus error {{ code }} response {REQUEST} }} }}
    ... on InvalidInput {{ problems {{ field message }} }}
    ... on NotFound {{ message }}
  }}
}}
"""
RESTORE = f"""
mutation ($id: ID!) {{
  restoreSecret(id: $id) {{ __typename ... on Connector {{ {SECRET} }} ... on Error {{ message }} }}
}}
"""
KEPT = "SELECT previous_secret FROM connectors WHERE id = :id"


async def connected(desk: Desk, company: Crm, path: str = "/lookup", secret: str = OLD) -> str:
    return await desk.connect(company.url(path), secretHeaderName="X-Api-Key", secretHeaderValue=secret)


async def rotate(desk: Desk, connector_id: str, value: str = NEW, email: str = JAN) -> Any:  # noqa: ANN401
    return (await desk.admin.ask(ROTATE, id=connector_id, value=value, email=email))["rotateSecret"]


async def restore(desk: Desk, connector_id: str) -> Any:  # noqa: ANN401
    return (await desk.admin.ask(RESTORE, id=connector_id))["restoreSecret"]


async def shown(desk: Desk, connector_id: str) -> Any:  # noqa: ANN401
    return (await desk.admin.ask(SHOW, id=connector_id))["connector"]["secret"]


async def deeds(desk: Desk, connector_id: str) -> list[str]:
    """What the audit log holds of the connector, newest first."""
    nodes = (await desk.admin.ask("{ auditLog(first: 100) { nodes { action connectors { id } } } }"))["auditLog"]["nodes"]
    return [node["action"] for node in nodes if connector_id in str(node["connectors"])]


async def sent_now(desk: Desk, company: Crm, connector_id: str) -> str:
    """The secret that a request carries."""
    await desk.test(connector_id)
    return company.requests[-1].headers["x-api-key"]


def accepting(*secrets: str, answer: Any = FOUND) -> Callable[[Request], Awaitable[Any]]:  # noqa: ANN401
    async def check(request: Request) -> Any:  # noqa: ANN401
        return answer if request.headers.get("x-api-key") in secrets else response(401, b"who are you?")

    return check


@pytest.mark.parametrize("answer", [FOUND, NOT_FOUND])
async def test_a_new_secret_that_brings_an_answer_is_in_force(desk: Desk, company: Crm, answer: Any) -> None:  # noqa: ANN401
    company.answers["/lookup"] = accepting(NEW, answer=answer)
    connector_id = await connected(desk, company)
    before = await shown(desk, connector_id)

    rotated = await rotate(desk, connector_id)

    assert rotated["__typename"] == "SecretRotated"
    assert rotated["trial"]["status"] == ("FOUND" if answer is FOUND else "NOT_FOUND")
    after = rotated["connector"]["secret"]
    assert after["fingerprint"] != before["fingerprint"] == after["previous"]["fingerprint"]
    assert after["changedAt"] > before["changedAt"]
    until, changed = (datetime.fromisoformat(moment) for moment in (after["previous"]["restorableUntil"], after["changedAt"]))
    assert until - changed == timedelta(hours=24)
    assert await sent_now(desk, company, connector_id) == NEW


async def test_rotating_asks_once_with_the_new_secret_as_a_test_does(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    connector_id = await connected(desk, company)
    ticket = await desk.open()
    await desk.settled()
    before = await desk.view(ticket)
    company.requests.clear()

    await rotate(desk, connector_id, email="eva@firma.cz")

    (request,) = company.requests
    assert request.headers["x-api-key"] == NEW
    assert request.json["ticket_id"] == str(UUID(int=0))
    line = (await desk.log(connector_id))[0]
    assert (line["trigger"], line["ticketId"], line["email"], line["status"]) == ("TEST", None, "eva@firma.cz", "FOUND")
    assert await desk.view(ticket) == before


@pytest.mark.parametrize(
    ("answer", "says", "status"),
    [
        (response(401, b""), "refused the new secret (HTTP 401)", 401),
        (response(403, b""), "refused the new secret (HTTP 403)", 403),
        (response(500, b""), "gave no answer to the new secret", 500),
        (response(302, b"", "Location: /elsewhere"), "gave no answer to the new secret", 302),
        (response(200, b"<html>"), "gave no answer to the new secret", 200),
        (b"", "gave no answer to the new secret", None),
    ],
)
async def test_whatever_is_no_answer_leaves_the_old_secret_in_force(
    desk: Desk, company: Crm, answer: bytes, says: str, status: int | None
) -> None:
    connector_id = await connected(desk, company)
    before = await shown(desk, connector_id)
    company.answers["/lookup"] = answer

    refused = await rotate(desk, connector_id)

    assert refused["__typename"] == "SecretNotRotated"
    assert says in refused["message"]
    assert refused["message"].count("the old one stays in force") == 1
    assert (refused["trial"]["status"], refused["trial"]["httpStatus"]) == ("ERROR", status)
    after = await shown(desk, connector_id)
    assert (after["fingerprint"], after["changedAt"], after["previous"]) == (before["fingerprint"], before["changedAt"], None)
    assert await sent_now(desk, company, connector_id) == OLD


async def test_an_endpoint_that_echoes_the_old_and_the_new_secret_is_shown_without_either(desk: Desk, company: Crm) -> None:
    longer = f"{OLD}-and-more"
    connector_id = await connected(desk, company)
    company.answers["/lookup"] = response(401, f"expected {OLD}, got {longer}".encode())

    refused = await rotate(desk, connector_id, longer)

    assert refused["trial"]["response"] == "expected •••, got •••"
    assert {"name": "X-Api-Key", "value": "•••"} in refused["trial"]["request"]["headers"]
    assert [line["response"] for line in await desk.log(connector_id)] == ["expected •••, got •••"]


async def test_of_two_rotations_at_once_one_is_in_force_and_the_other_says_that_it_is_not(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    release = company.hang()
    connector_id = await connected(desk, company)

    both = [asyncio.create_task(rotate(desk, connector_id, value)) for value in (NEW, NEWER)]
    await arrived(company, 2)
    release.set()
    results = dict(zip((NEW, NEWER), await asyncio.gather(*both), strict=True))

    (winner,) = [value for value, result in results.items() if result["__typename"] == "SecretRotated"]
    (loser,) = [result for result in results.values() if result["__typename"] == "SecretNotRotated"]
    assert "changed meanwhile" in loser["message"]
    assert await sent_now(desk, company, connector_id) == winner
    assert (await restore(desk, connector_id))["__typename"] == "Connector"
    assert await sent_now(desk, company, connector_id) == OLD


@pytest.mark.parametrize(
    ("change", "now_sent"),
    [
        ({"secretHeaderValue": NEWER}, NEWER),
        ({"secretHeaderName": "X-Api-Key-2"}, OLD),
        ({"lookupUrl": "/v2"}, OLD),
        ({"secretHeaderName": None, "secretHeaderValue": None}, None),
    ],
)
async def test_what_changes_while_the_endpoint_is_asked_stands_and_nothing_is_switched(
    desk: Desk, company: Crm, change: dict[str, Any], now_sent: str | None
) -> None:
    company.answers["/lookup"] = FOUND
    release = company.hang()
    connector_id = await connected(desk, company)
    rotating = asyncio.create_task(rotate(desk, connector_id))
    await arrived(company, 1)

    if "lookupUrl" in change:
        change = {"lookupUrl": company.url("/v2")}
    await desk.change(connector_id, **change)
    release.set()
    refused = await rotating

    assert (refused["__typename"], refused["trial"]["error"]["code"]) == ("SecretNotRotated", "INTERRUPTED")
    await desk.test(connector_id)
    sent = company.requests[-1].headers
    assert sent.get("x-api-key-2", sent.get("x-api-key")) == now_sent
    assert [request.path for request in company.requests if NEW in request.headers.values()] == ["/lookup"]


async def test_a_connector_deleted_while_the_endpoint_is_asked_stays_deleted(desk: Desk, company: Crm) -> None:
    release = company.hang()
    connector_id = await connected(desk, company)
    rotating = asyncio.create_task(rotate(desk, connector_id))
    await arrived(company, 1)

    await desk.delete(connector_id)
    release.set()

    assert (await rotating)["__typename"] == "SecretNotRotated"
    assert (await desk.admin.ask(SHOW, id=connector_id))["connector"] is None


async def test_nobody_waits_for_the_database_while_the_endpoint_is_asked(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    release = company.hang()
    connector_id = await connected(desk, company)
    rotating = asyncio.create_task(rotate(desk, connector_id))
    await arrived(company, 1)

    async with asyncio.timeout(2):
        await desk.change(connector_id, name="Renamed")
    release.set()

    assert (await rotating)["__typename"] == "SecretRotated"


async def test_rotating_and_restoring_forget_failures(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = accepting(NEW)
    connector_id = await connected(desk, company)
    ticket = await desk.open()
    assert (await desk.settled())["status"] == "ERROR"

    await rotate(desk, connector_id)
    assert (await desk.panel())["status"] == "PENDING"

    company.answers["/lookup"] = accepting(OLD)
    await desk.refresh(ticket)
    assert (await desk.settled())["status"] == "ERROR"
    await restore(desk, connector_id)
    assert (await desk.panel())["status"] == "PENDING"


async def test_restoring_swaps_the_two_and_asks_nobody(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    connector_id = await connected(desk, company)
    original = await shown(desk, connector_id)
    rotated = (await rotate(desk, connector_id))["connector"]["secret"]
    company.requests.clear()

    restored = (await restore(desk, connector_id))["secret"]

    assert company.requests == []
    assert restored["fingerprint"] == original["fingerprint"]
    assert restored["previous"]["fingerprint"] == rotated["fingerprint"]
    assert restored["lastUsedAt"] is None
    assert await sent_now(desk, company, connector_id) == OLD
    await restore(desk, connector_id)
    assert await sent_now(desk, company, connector_id) == NEW


async def test_where_no_secret_was_replaced_there_is_nothing_to_restore(desk: Desk, company: Crm) -> None:
    connector_id = await connected(desk, company)

    assert (await restore(desk, connector_id))["__typename"] == "NothingToRestore"
    assert (await restore(desk, "x"))["__typename"] == "NotFound"
    assert (await restore(desk, str(UUID(int=7))))["__typename"] == "NotFound"
    assert await sent_now(desk, company, connector_id) == OLD


async def test_after_24_hours_there_is_nothing_to_restore_and_nothing_is_shown(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    connector_id = await connected(desk, company)
    await rotate(desk, connector_id)

    await desk.alter(
        "UPDATE connectors SET previous_secret_until = :now WHERE id = :id", now=datetime.now(UTC), id=UUID(connector_id)
    )

    assert (await shown(desk, connector_id))["previous"] is None
    assert (await restore(desk, connector_id))["__typename"] == "NothingToRestore"
    assert await sent_now(desk, company, connector_id) == NEW


@pytest.mark.parametrize(
    "change",
    [
        {"lookupUrl": "http://127.0.0.1:9/lookup"},
        {"lookupUrl": "http://127.0.0.1:9/lookup", "secretHeaderName": "X-Api-Key", "secretHeaderValue": NEW},
        {"secretHeaderName": "X-Other"},
        {"secretHeaderValue": NEWER},
        {"secretHeaderName": None, "secretHeaderValue": None},
    ],
)
async def test_a_new_origin_header_or_secret_erases_the_previous_secret(desk: Desk, company: Crm, change: dict[str, Any]) -> None:
    company.answers["/lookup"] = FOUND
    connector_id = await connected(desk, company)
    await rotate(desk, connector_id)
    assert await kept(desk, connector_id) is not None

    await desk.change(connector_id, **change)

    assert await kept(desk, connector_id) is None
    assert (await restore(desk, connector_id))["__typename"] == "NothingToRestore"


@pytest.mark.parametrize("change", [{"lookupUrl": "/v2"}, {"name": "Renamed"}, {"secretHeaderValue": NEW}])
async def test_a_new_path_a_new_name_and_the_same_secret_keep_it(desk: Desk, company: Crm, change: dict[str, str]) -> None:
    company.answers["/lookup"] = FOUND
    connector_id = await connected(desk, company)
    await rotate(desk, connector_id)

    if "lookupUrl" in change:
        change = {"lookupUrl": company.url(change["lookupUrl"])}
    await desk.change(connector_id, **change)

    assert (await restore(desk, connector_id))["__typename"] == "Connector"


async def test_a_previous_secret_that_stayed_behind_when_the_origin_changed_opens_for_nobody(desk: Desk, company: Crm) -> None:
    """As a release before this one would leave it, which knows of no previous secret."""
    company.answers["/lookup"] = FOUND
    connector_id = await connected(desk, company)
    await rotate(desk, connector_id)

    await desk.alter(
        "UPDATE connectors SET lookup_url = :url WHERE id = :id", url="http://127.0.0.1:9/elsewhere", id=UUID(connector_id)
    )

    assert (await restore(desk, connector_id))["__typename"] == "NothingToRestore"


async def test_the_secret_in_force_may_be_rotated_to_itself_and_nothing_is_lost(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    connector_id = await connected(desk, company)
    await rotate(desk, connector_id, NEW)
    before = await shown(desk, connector_id)

    rotations = await deeds(desk, connector_id)
    assert rotations.count("SECRET_ROTATED") == 1
    held = company.hang()
    await desk.open()
    await arrived(company, 2)
    company.answers["/lookup"] = FOUND
    assert (await rotate(desk, connector_id, NEW))["__typename"] == "SecretRotated"

    assert (await shown(desk, connector_id))["previous"] == before["previous"]
    assert await deeds(desk, connector_id) == rotations
    held.set()
    await desk.settled()
    assert "INTERRUPTED" not in str(await desk.log(connector_id))


async def test_a_secret_that_cannot_be_opened_is_not_given_up_by_going_back(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    connector_id = await connected(desk, company)
    await rotate(desk, connector_id)
    await desk.alter("UPDATE connectors SET secret = :broken WHERE id = :id", broken=b"broken", id=UUID(connector_id))

    refused = await restore(desk, connector_id)

    assert refused["__typename"] == "NothingToRestore"
    assert "cannot be opened" in refused["message"]
    assert await in_thread(desk.back_door.rows, "SELECT secret FROM connectors WHERE id = :id", id=UUID(connector_id)) == [
        (b"broken",)
    ]


@pytest.mark.parametrize(
    ("settings", "value", "email", "field"),
    [
        ({}, NEW, JAN, "id"),
        ({"secretHeaderName": "X-Api-Key", "secretHeaderValue": OLD}, "two\nlines", JAN, "value"),
        ({"secretHeaderName": "X-Api-Key", "secretHeaderValue": OLD}, "", JAN, "value"),
        ({"secretHeaderName": "X-Api-Key", "secretHeaderValue": OLD}, NEW, "nobody", "email"),
    ],
)
async def test_what_cannot_be_rotated_is_refused_before_anybody_is_asked(
    desk: Desk, company: Crm, settings: dict[str, Any], value: str, email: str, field: str
) -> None:
    connector_id = await desk.connect(company.url(), **settings)

    refused = await rotate(desk, connector_id, value, email)

    assert (refused["__typename"], [problem["field"] for problem in refused["problems"]]) == ("InvalidInput", [field])
    assert company.requests == []


async def test_a_secret_shows_when_it_was_last_used_to_the_minute(desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    connector_id = await connected(desk, company)
    never = (await shown(desk, connector_id))["lastUsedAt"]
    await desk.test(connector_id)
    first = (await shown(desk, connector_id))["lastUsedAt"]
    await desk.test(connector_id)
    again = (await shown(desk, connector_id))["lastUsedAt"]
    await desk.alter(
        "UPDATE connectors SET secret_used_at = :past WHERE id = :id",
        past=datetime.now(UTC) - timedelta(minutes=2),
        id=UUID(connector_id),
    )
    await desk.test(connector_id)
    later = (await shown(desk, connector_id))["lastUsedAt"]

    assert never is None
    assert first == again < later


async def test_a_connector_without_secret_shows_none(desk: Desk, company: Crm) -> None:
    assert await shown(desk, await desk.connect(company.url())) is None


async def test_one_value_has_one_fingerprint_in_one_connector_and_others_elsewhere(desk: Desk, company: Crm) -> None:
    one, other = await connected(desk, company), await connected(desk, company)

    first = (await shown(desk, one))["fingerprint"]

    assert len(first) == 12
    assert first != (await shown(desk, other))["fingerprint"]
    await desk.change(one, secretHeaderValue=NEW)
    assert first != (await shown(desk, one))["fingerprint"]
    await desk.change(one, secretHeaderValue=OLD)
    assert first == (await shown(desk, one))["fingerprint"]


async def kept(desk: Desk, connector_id: str) -> object:
    """The ciphertext of the secret before."""
    ((found,),) = await asyncio.to_thread(desk.back_door.rows, KEPT, id=UUID(connector_id))
    return found
