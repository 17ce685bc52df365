"""Whatever is done to a connector, asked again or forgotten is written down with its doer, in the same transaction."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from domain.identity import Role
from tests.stage.back_door import BackDoor
from tests.stage.crm import response
from tests.stage.front_end import FrontEnd
from tests.stage.helpdesk import CREATE_CONNECTOR, REFRESH, TICKET
from tests.stage.waiting import in_thread

if TYPE_CHECKING:
    from tests.stage.crm import Crm
    from tests.stage.helpdesk import Helpdesk

SECRET, HEADER = "tajne-heslo-7f3a9c", "X-Very-Own-Header"
JAN = "jan@firma.cz"
OPEN = 'mutation { createTicket(input: {requesterEmail: "jan@firma.cz", subject: "Hello"}) { ... on Ticket { id } } }'
UPDATE = "mutation ($id: ID!, $input: UpdateConnectorInput!) { updateConnector(id: $id, input: $input) { __typename } }"
DELETE = "mutation ($id: ID!) { deleteConnector(id: $id) { __typename } }"
FORGET = "mutation ($email: String!) { forgetRequester(email: $email) { __typename } }"
LOG = """
query ($first: Int! = 20, $after: String) {
  auditLog(first: $first, after: $after) {
    nodes {
      id happenedAt action actor { subject name tokenId } connectors { id name } members ticketId
      erased { answers lookups underWay responses names }
    }
    pageInfo { hasNextPage endCursor }
  }
}
"""


async def log(helpdesk: Helpdesk, **page: Any) -> Any:  # noqa: ANN401 - what the query selects
    return (await helpdesk.admin.ask(LOG, **page))["auditLog"]


async def entries(helpdesk: Helpdesk) -> list[Any]:
    nodes: list[Any] = (await log(helpdesk))["nodes"]
    return nodes


async def test_who_changed_which_connector_is_told_without_a_single_value(product: Helpdesk, crm: Crm) -> None:
    admin = product.admin
    claims = jwt.decode(admin.token, options={"verify_signature": False})
    url = crm.url("/somewhere-quite-secret")
    given = {"name": "CRM", "lookupUrl": url, "secretHeaderName": HEADER, "secretHeaderValue": SECRET}
    connector_id = (await admin.ask(CREATE_CONNECTOR, input=given))["createConnector"]["id"]
    for change in (
        {"name": "Billing", "cacheTtlHours": 1},
        {"secretHeaderValue": SECRET},
        {"name": "Billing", "enabled": True},
        {"secretHeaderName": None, "secretHeaderValue": None},
        {"lookupUrl": "ftp://x"},
    ):
        await admin.ask(UPDATE, id=connector_id, input=change)
    await admin.ask(DELETE, id=connector_id)
    await admin.ask(DELETE, id=connector_id)

    written = await entries(product)

    assert [(entry["action"], entry["connectors"][0]["name"], entry["members"]) for entry in reversed(written)] == [
        ("CONNECTOR_CREATED", "CRM", []),
        ("CONNECTOR_UPDATED", "Billing", ["name", "cacheTtlHours"]),
        ("CONNECTOR_UPDATED", "Billing", ["secretHeaderValue"]),
        ("CONNECTOR_UPDATED", "Billing", ["secretHeaderName", "secretHeaderValue"]),
        ("CONNECTOR_DELETED", "Billing", []),
    ]
    assert {entry["connectors"][0]["id"] for entry in written} == {connector_id}
    doer = {"subject": claims["sub"], "name": claims["name"], "tokenId": claims["jti"]}
    assert [entry["actor"] for entry in written] == [doer] * 5
    assert not re.search(f"{SECRET}|{HEADER}|somewhere-quite-secret|ftp", str(written))


ROTATE = 'mutation ($id: ID!) { rotateSecret(id: $id, value: "new-7f3a9c", email: "jan@firma.cz") { __typename } }'
RESTORE = "mutation ($id: ID!) { restoreSecret(id: $id) { __typename } }"
SIGN = "mutation ($id: ID!) { issueSigningKey(id: $id) { __typename } }"
SIGN_NO_MORE = "mutation ($id: ID!) { disableSigning(id: $id) { __typename } }"


async def test_who_gave_a_connector_another_secret_or_key_is_told_and_what_failed_is_not(product: Helpdesk, crm: Crm) -> None:
    connector_id = await product.connect(crm.url(), secretHeaderName=HEADER, secretHeaderValue=SECRET)

    await product.admin.ask(RESTORE, id=connector_id)
    for deed in (ROTATE, RESTORE, SIGN, SIGN_NO_MORE):
        await product.admin.ask(deed, id=connector_id)
    crm.answers["/lookup"] = response(401, b"")
    await product.admin.ask(ROTATE, id=connector_id)

    written = await entries(product)
    assert [entry["action"] for entry in reversed(written)] == [
        "CONNECTOR_CREATED", "SECRET_ROTATED", "SECRET_RESTORED", "SIGNING_KEY_ISSUED", "SIGNING_DISABLED",
    ]  # fmt: skip
    assert {entry["connectors"][0]["id"] for entry in written} == {connector_id}
    assert not re.search(f"{SECRET}|{HEADER}|new-7f3a9c", str(written))


async def test_who_refreshed_what_is_told_and_whoever_only_looked_is_not(product: Helpdesk, crm: Crm) -> None:
    first, second = [await product.connect(crm.url(f"/{name}"), name) for name in ("one", "two")]
    ticket_id = (await product.agent.ask(OPEN))["createTicket"]["id"]
    await product.agent.ask(TICKET, id=ticket_id)
    before = await entries(product)
    agent = product.agent

    await agent.ask(REFRESH, id=ticket_id)
    await agent.ask(REFRESH, id=ticket_id, connector=second)
    await agent.ask(REFRESH, id=first)

    written = await entries(product)
    assert [entry["action"] for entry in before] == ["CONNECTOR_CREATED"] * 2
    one, all_of_them = written[: len(written) - 2]
    assert (one["action"], one["ticketId"], [asked["id"] for asked in one["connectors"]]) == (
        "LOOKUPS_REFRESHED", ticket_id, [second],
    )  # fmt: skip
    assert [asked["id"] for asked in all_of_them["connectors"]] == [first, second]
    assert one["actor"]["tokenId"] == jwt.decode(agent.token, options={"verify_signature": False})["jti"]


async def test_who_forgot_somebody_is_told_but_not_whom(product: Helpdesk, crm: Crm) -> None:
    await product.connect(crm.url())
    await product.mail()
    await product.settled()

    await product.admin.ask(FORGET, email=JAN)

    entry, _ = await entries(product)
    assert entry["action"] == "REQUESTER_FORGOTTEN"
    assert entry["erased"] == {"answers": 1, "lookups": 1, "underWay": 0, "responses": 1, "names": 2}
    door = BackDoor(product.parts.settings.async_database_url)
    assert "jan" not in str(await in_thread(door.rows, "SELECT * FROM audit_log")).lower()


async def standing(helpdesk: Helpdesk) -> Any:  # noqa: ANN401 - what the query selects
    """How the connectors stand, with what tells their secrets and keys apart."""
    secret = "secret { fingerprint changedAt previous { fingerprint restorableUntil } }"
    return await helpdesk.admin.ask(f"{{ connectors {{ name {secret} signing {{ fingerprint changedAt previousUntil }} }} }}")


async def test_an_entry_and_its_deed_are_one(product: Helpdesk, crm: Crm) -> None:
    connector_id = await product.connect(crm.url(), secretHeaderName=HEADER, secretHeaderValue=SECRET)
    await product.admin.ask(ROTATE, id=connector_id)
    await product.admin.ask(SIGN, id=connector_id)
    await product.mail()
    before, stood = await product.settled(), await standing(product)
    door = BackDoor(product.parts.settings.async_database_url)
    await in_thread(door.alter, "ALTER TABLE audit_log RENAME TO audit_log_away")

    rotate_again = ROTATE.replace("new-", "newer-")  # to the value in force would be no deed
    answers = [
        await product.admin.post(CREATE_CONNECTOR, {"input": {"name": "Another", "lookupUrl": crm.url()}}),
        await product.admin.post(UPDATE, {"id": connector_id, "input": {"name": "Changed"}}),
        await product.admin.post(DELETE, {"id": connector_id}),
        await product.admin.post(REFRESH, {"id": (await product.tickets())[0]["id"]}),
        await product.admin.post(FORGET, {"email": JAN}),
        *[await product.admin.post(deed, {"id": connector_id}) for deed in (rotate_again, RESTORE, SIGN, SIGN_NO_MORE)],
    ]
    await in_thread(door.alter, "ALTER TABLE audit_log_away RENAME TO audit_log")

    assert [answer.json()["data"] for answer in answers] == [None] * 9
    assert await standing(product) == stood
    assert await product.panel() == before
    assert {key for request in crm.requests for key in request.headers if key.startswith("webhook")} == {
        "webhook-id", "webhook-timestamp", "webhook-signature",
    }  # fmt: skip


async def test_the_log_comes_in_pages_newest_first(product: Helpdesk, crm: Crm) -> None:
    names = [f"Connector {number}" for number in range(5)]
    for name in names:
        await product.connect(crm.url(), name)

    first = await log(product, first=3)
    second = await log(product, first=3, after=first["pageInfo"]["endCursor"])

    told = [entry["connectors"][0]["name"] for page in (first, second) for entry in page["nodes"]]
    assert told == names[::-1]
    assert [page["pageInfo"]["hasNextPage"] for page in (first, second)] == [True, False]
    assert (await log(product, first=0))["nodes"] == []
    for wrong in (-1, 101):
        assert await product.admin.refused(LOG, first=wrong) == "BAD_REQUEST"


async def test_it_is_for_the_admins_of_the_same_workspace(product: Helpdesk, crm: Crm) -> None:
    await product.connect(crm.url())
    theirs = await product.add_workspace("Next door", "support@nextdoor.example")
    neighbour = product.front_end(Role.ADMIN, workspace=theirs)

    assert await product.agent.refused(LOG) == "FORBIDDEN"
    assert (await neighbour.ask(LOG))["auditLog"]["nodes"] == []


@pytest.mark.parametrize("claim", ["name", "jti"])
async def test_a_token_that_says_less_is_written_down_as_it_is(product: Helpdesk, crm: Crm, claim: str) -> None:
    claims = jwt.decode(product.token(Role.ADMIN), options={"verify_signature": False})
    del claims[claim]
    key = product.parts.settings.signing_key()
    assert key is not None
    admin = FrontEnd(product.base_url, jwt.encode(claims, key, algorithm="HS256"))

    await admin.ask(CREATE_CONNECTOR, input={"name": "CRM", "lookupUrl": crm.url()})

    (entry,) = await entries(product)
    assert entry["actor"] == {"subject": claims["sub"], "name": claims.get("name"), "tokenId": claims.get("jti")}
