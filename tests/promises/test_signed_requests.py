"""Whoever checks the signature knows that we sent exactly this body just now; both keys sign while one is changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.flows.desk import arrived
from tests.stage.crm import FOUND
from tests.stage.waiting import in_thread

if TYPE_CHECKING:
    from tests.flows.desk import Desk
    from tests.stage.crm import Crm, Request

pytestmark = pytest.mark.asyncio(loop_scope="session")

SIGNING = "signing { fingerprint changedAt previousUntil }"
SHOW = f"query ($id: ID!) {{ connector(id: $id) {{ {SIGNING} }} }}"
ISSUE = f"""
mutation ($id: ID!) {{
  issueSigningKey(id: $id) {{ __typename ... on SigningKeyIssued {{ signingKey connector {{ {SIGNING} }} }} }}
}}
"""
DISABLE = f"mutation ($id: ID!) {{ disableSigning(id: $id) {{ __typename ... on Connector {{ {SIGNING} }} }} }}"
HEADERS = {"webhook-id", "webhook-timestamp", "webhook-signature"}


async def issue(desk: Desk, connector_id: str) -> str:
    """A new signing key."""
    key: str = (await desk.admin.ask(ISSUE, id=connector_id))["issueSigningKey"]["signingKey"]
    return key


async def shown(desk: Desk, connector_id: str) -> Any:  # noqa: ANN401
    return (await desk.admin.ask(SHOW, id=connector_id))["connector"]["signing"]


async def asked(desk: Desk, company: Crm, connector_id: str) -> Request:
    """The request of a test made now."""
    await desk.test(connector_id)
    return company.requests[-1]


def vouched_for(request: Request, key: str) -> bool:
    try:
        Webhook(key).verify(request.body, request.headers)
    except WebhookVerificationError:
        return False
    return True


async def test_a_request_is_not_signed_until_a_key_is_issued(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url())

    request = await asked(desk, company, connector_id)

    assert HEADERS.isdisjoint(request.headers)
    assert await shown(desk, connector_id) is None


@pytest.mark.parametrize("secret", [{}, {"secretHeaderName": "X-Api-Key", "secretHeaderValue": "the-secret-of-the-header"}])
async def test_every_request_of_a_connector_that_signs_is_signed_by_its_lookups_id(
    desk: Desk, company: Crm, secret: dict[str, str]
) -> None:
    company.answers["/lookup"] = FOUND
    connector_id = await desk.connect(company.url(), **secret)
    unsigned = await asked(desk, company, connector_id)
    key = await issue(desk, connector_id)

    await desk.open("žofie@příklad.cz")
    _, request = await arrived(company, 2)
    await desk.settled()
    tested = await asked(desk, company, connector_id)

    assert vouched_for(request, key)
    assert vouched_for(tested, key)
    assert [sent.headers["webhook-id"] for sent in (tested, request)] == [line["id"] for line in await desk.log(connector_id)][:2]
    assert abs(int(request.headers["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 60
    assert request.headers["webhook-signature"].startswith("v1,")
    assert request.headers.keys() == unsigned.headers.keys() | HEADERS, "nothing else is added"
    assert key.removeprefix("whsec_").encode() not in request.head + request.body


async def test_while_the_key_is_changed_both_sign_and_a_day_later_the_new_one_alone(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url())
    old = await issue(desk, connector_id)
    before = await shown(desk, connector_id)
    new = await issue(desk, connector_id)

    both = await asked(desk, company, connector_id)
    during = await shown(desk, connector_id)
    await desk.alter(
        "UPDATE connectors SET previous_signing_until = :now WHERE id = :id", now=datetime.now(UTC), id=UUID(connector_id)
    )
    alone = await asked(desk, company, connector_id)

    assert before["previousUntil"] is None
    assert during["fingerprint"] != before["fingerprint"]
    until, changed = (datetime.fromisoformat(during[moment]) for moment in ("previousUntil", "changedAt"))
    assert until - changed == timedelta(hours=24)
    assert [len(request.headers["webhook-signature"].split(" ")) for request in (both, alone)] == [2, 1]
    assert [vouched_for(request, key) for request in (both, alone) for key in (new, old)] == [True, True, True, False]
    assert (await shown(desk, connector_id))["previousUntil"] is None


async def test_signing_can_be_turned_off_and_its_keys_are_gone(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url())
    await issue(desk, connector_id)
    await issue(desk, connector_id)

    stopped = (await desk.admin.ask(DISABLE, id=connector_id))["disableSigning"]

    assert stopped == {"__typename": "Connector", "signing": None}
    assert HEADERS.isdisjoint((await asked(desk, company, connector_id)).headers)
    assert await kept(desk, connector_id) == (None, None)


async def test_a_new_origin_drops_the_keys_and_a_new_path_does_not(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url())
    key = await issue(desk, connector_id)
    await issue(desk, connector_id)

    await desk.change(connector_id, lookupUrl=company.url("/v2"))
    assert vouched_for(await asked(desk, company, connector_id), key)

    await desk.change(connector_id, lookupUrl=company.url().replace("127.0.0.1", "127.0.0.2"))
    assert await kept(desk, connector_id) == (None, None)
    assert await shown(desk, connector_id) is None
    nodes = (await desk.admin.ask("{ auditLog(first: 100) { nodes { action connectors { id } } } }"))["auditLog"]["nodes"]
    actions = [node["action"] for node in nodes if connector_id in str(node["connectors"])]
    assert [action for action in actions if action in {"SIGNING_DISABLED", "CONNECTOR_UPDATED"}] == [
        "SIGNING_DISABLED",
        "CONNECTOR_UPDATED",
        "CONNECTOR_UPDATED",
    ]


async def test_keys_that_stayed_behind_when_the_origin_changed_sign_nothing(desk: Desk, company: Crm) -> None:
    """As a release before this one would leave them, which knows of no signing keys."""
    connector_id = await desk.connect("http://127.0.0.1:9/lookup")
    await issue(desk, connector_id)

    await desk.alter("UPDATE connectors SET lookup_url = :url WHERE id = :id", url=company.url(), id=UUID(connector_id))

    assert (await desk.test(connector_id))["error"]["code"] == "SECRET_UNREADABLE"
    assert company.requests == []


async def test_a_signing_key_that_does_not_open_stops_the_request(desk: Desk, company: Crm) -> None:
    connector_id = await desk.connect(company.url())
    await issue(desk, connector_id)

    await desk.alter("UPDATE connectors SET signing_key = :broken WHERE id = :id", broken=b"broken", id=UUID(connector_id))

    assert (await desk.test(connector_id))["error"]["code"] == "SECRET_UNREADABLE"
    assert company.requests == []
    assert (await shown(desk, connector_id))["fingerprint"] is None
    await issue(desk, connector_id)
    assert (await desk.test(connector_id))["status"] == "NOT_FOUND"


async def kept(desk: Desk, connector_id: str) -> tuple[object, ...]:
    """The ciphertexts of both signing keys."""
    statement = "SELECT signing_key, previous_signing_key FROM connectors WHERE id = :id"
    (found,) = await in_thread(desk.back_door.rows, statement, id=UUID(connector_id))
    return found
