"""What can be changed, and how a refusal is said."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from domain.connector import MAX_CONNECTORS
from tests.graph.desk import CREATE_TICKET, LOOKUP, PANEL, open_ticket, post, tamper
from tests.stage.crm import FOUND, response
from tests.stage.helpdesk import REFRESH, Helpdesk, message
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from tests.stage.crm import Crm

CONNECTOR = """
  id name lookupUrl secretHeaderName hasSecret linkTemplate cacheTtlHours logResults enabled position createdAt updatedAt
"""
INVALID = "... on InvalidInput { message problems { field message } }"
REFUSAL = f"{INVALID} ... on NotFound {{ message }}"
CREATE = f"""mutation ($input: CreateConnectorInput!) {{
  createConnector(input: $input) {{ __typename ... on Connector {{ {CONNECTOR} }} {INVALID} }}
}}"""
UPDATE = f"""mutation ($id: ID!, $input: UpdateConnectorInput!) {{
  updateConnector(id: $id, input: $input) {{ __typename ... on Connector {{ {CONNECTOR} }} {REFUSAL} }}
}}"""
DELETE = "mutation ($id: ID!) { deleteConnector(id: $id) { __typename ... on ConnectorDeleted { id } } }"
TEST = f"""mutation ($id: ID!, $email: String!) {{
  testConnector(id: $id, email: $email) {{
    __typename
    ... on LookupTrial {{
      status httpStatus error {{ code message httpStatus }} durationMs warnings {{ path expected received }}
      customer {{ customerId name badge {{ text color }} fields {{ key value }} deepLink }} response
      request {{ method url headers {{ name value }} body }}
    }}
    {REFUSAL}
  }}
}}"""
LOG = f"query ($id: ID!) {{ connector(id: $id) {{ lookups {{ nodes {{ {LOOKUP} }} }} }} }}"
URL = "https://crm.example/lookup"
SECRET = "s3cret-of-mine"


async def create(helpdesk: Helpdesk, **given: Any) -> Any:  # noqa: ANN401 - any member
    created = await helpdesk.admin.ask(CREATE, input={"name": "CRM", "lookupUrl": URL} | given)
    return created["createConnector"]


async def update(helpdesk: Helpdesk, connector_id: str, **changes: Any) -> Any:  # noqa: ANN401 - any member
    changed = await helpdesk.admin.ask(UPDATE, id=connector_id, input=changes)
    return changed["updateConnector"]


async def stored(helpdesk: Helpdesk, connector_id: str) -> Any:  # noqa: ANN401 - a connector
    found = await helpdesk.admin.ask(f"query ($id: ID!) {{ connector(id: $id) {{ {CONNECTOR} }} }}", id=connector_id)
    return found["connector"]


def fields(refusal: Any) -> list[str]:  # noqa: ANN401 - a result
    assert refusal["__typename"] == "InvalidInput", refusal
    assert all(problem["message"] for problem in refusal["problems"])
    return [problem["field"] for problem in refusal["problems"]]


async def log_of(helpdesk: Helpdesk, connector_id: str) -> Any:  # noqa: ANN401 - lines
    return (await helpdesk.admin.ask(LOG, id=connector_id))["connector"]["lookups"]["nodes"]


# createTicket


async def test_a_ticket_opened_by_hand_is_as_one_opened_by_mail(helpdesk: Helpdesk, crm: Crm) -> None:
    crm.answers["/lookup"] = FOUND
    connector_id = await helpdesk.connect(crm.url())
    query = f"""mutation ($input: CreateTicketInput!) {{ createTicket(input: $input) {{ ... on Ticket {{
      id number subject automatic requester {{ email name }} messages {{ nodes {{ sender {{ email name }} text }} }}
      crmPanels {{ {PANEL} }} }} }} }}"""

    given = {
        "requesterEmail": " Jan.Novak@Firma.CZ ",
        "requesterName": "Jan\r\nNovák",
        "subject": "Two\r\nlines\x00",
        "text": "Called\nus",
    }
    ticket = (await helpdesk.agent.ask(query, input=given))["createTicket"]

    assert UUID(ticket["id"]).version == 7
    assert (ticket["number"], ticket["subject"], ticket["automatic"]) == (1, "Two lines", False)
    assert ticket["requester"] == {"email": "jan.novak@firma.cz", "name": "Jan Novák"}
    assert ticket["messages"]["nodes"] == [{"sender": ticket["requester"], "text": "Called\nus"}]
    assert ticket["crmPanels"][0]["connectorId"] == connector_id
    assert (await helpdesk.settled())["status"] == "FOUND"
    (line,) = await log_of(helpdesk, connector_id)
    assert (line["trigger"], line["ticketId"], line["email"]) == ("TICKET", ticket["id"], "jan.novak@firma.cz")
    assert crm.requests[0].json["ticket_id"] == ticket["id"]


async def test_opening_a_ticket_never_waits_for_an_endpoint(helpdesk: Helpdesk, crm: Crm) -> None:
    release = crm.hang()
    await helpdesk.connect(crm.url())

    await open_ticket(helpdesk.agent)

    assert (await helpdesk.panel())["refreshing"] is True
    release.set()
    await helpdesk.settled()


async def test_a_ticket_may_lack_name_and_text(helpdesk: Helpdesk) -> None:
    ticket_id = await open_ticket(helpdesk.agent, "")
    query = "query ($id: ID!) { ticket(id: $id) { subject requester { name } messages { nodes { text } } } }"

    ticket = (await helpdesk.agent.ask(query, id=ticket_id))["ticket"]

    assert ticket == {"subject": "", "requester": {"name": None}, "messages": {"nodes": [{"text": ""}]}}


@pytest.mark.parametrize("email", ["", "jan", "jan@", "@firma.cz", "jan@firma@cz", "a b@firma.cz", "jan@fir\nma.cz", "x" * 400])
async def test_a_ticket_needs_an_address_that_can_be_one(helpdesk: Helpdesk, email: str) -> None:
    refusal = (await helpdesk.agent.ask(CREATE_TICKET, input={"requesterEmail": email, "subject": "x"}))["createTicket"]

    assert fields(refusal) == ["requesterEmail"]
    assert refusal["message"]
    assert await helpdesk.tickets() == []


# refreshLookup


async def test_a_refresh_asks_again_fresh_or_not(helpdesk: Helpdesk, crm: Crm) -> None:
    connector_id = await helpdesk.connect(crm.url())
    ticket_id = await open_ticket(helpdesk.agent)
    await helpdesk.settled()
    crm.answers["/lookup"] = FOUND
    release = crm.hang()

    refreshed = (await helpdesk.agent.ask(REFRESH, id=ticket_id))["refreshLookup"]

    assert refreshed["__typename"] == "LookupsRefreshed"
    (panel,) = refreshed["panels"]
    assert (panel["status"], panel["refreshing"]) == ("NOT_FOUND", True)
    release.set()
    assert (await helpdesk.settled())["status"] == "FOUND"
    assert [line["trigger"] for line in await log_of(helpdesk, connector_id)] == ["REFRESH", "TICKET"]


async def test_a_refresh_joins_what_is_under_way(helpdesk: Helpdesk, crm: Crm) -> None:
    release = crm.hang()
    connector_id = await helpdesk.connect(crm.url())
    ticket_id = await open_ticket(helpdesk.agent)

    for _ in range(3):
        (panel,) = (await helpdesk.agent.ask(REFRESH, id=ticket_id))["refreshLookup"]["panels"]
        assert panel["refreshing"] is True

    release.set()
    await helpdesk.settled()
    assert [line["trigger"] for line in await log_of(helpdesk, connector_id)] == ["TICKET"]


async def test_a_refresh_of_one_connector_leaves_the_others_alone(helpdesk: Helpdesk, crm: Crm) -> None:
    one, other = [await helpdesk.connect(crm.url(path), path) for path in ("/one", "/other")]
    ticket_id = await open_ticket(helpdesk.agent)
    for place in range(2):
        await helpdesk.settled(panel=place)

    refreshed = (await helpdesk.agent.ask(REFRESH, id=ticket_id, connector=one))["refreshLookup"]

    assert [panel["connectorId"] for panel in refreshed["panels"]] == [one]
    await helpdesk.settled()
    assert [len(await log_of(helpdesk, connector_id)) for connector_id in (one, other)] == [2, 1]


async def test_a_refresh_of_what_is_not_there_is_not_found(helpdesk: Helpdesk, crm: Crm) -> None:
    ticket_id = await open_ticket(helpdesk.agent)
    disabled = await helpdesk.connect(crm.url(), enabled=False)

    for variables in (
        {"id": "x"},
        {"id": "x", "connector": disabled},
        {"id": ticket_id, "connector": "x"},
        {"id": ticket_id, "connector": ""},
        {"id": ticket_id, "connector": ticket_id},
        {"id": ticket_id, "connector": disabled},
    ):
        assert (await helpdesk.agent.ask(REFRESH, **variables))["refreshLookup"] == {"__typename": "NotFound"}
    assert (await helpdesk.agent.ask(REFRESH, id=ticket_id))["refreshLookup"] == {"__typename": "LookupsRefreshed", "panels": []}
    assert crm.requests == []


async def test_a_ticket_without_a_requester_refreshes_nothing(helpdesk: Helpdesk, crm: Crm) -> None:
    await helpdesk.connect(crm.url())
    await helpdesk.mail(message("Nobody", Subject="Nobody"), sender="")
    (ticket,) = await helpdesk.tickets()

    assert (await helpdesk.agent.ask(REFRESH, id=ticket["id"]))["refreshLookup"]["panels"] == []
    assert crm.requests == []


# createConnector


async def test_a_connector_has_the_defaults_of_the_contract(helpdesk: Helpdesk) -> None:
    created = await create(helpdesk)

    assert UUID(created["id"]).version == 7
    assert created["createdAt"] == created["updatedAt"]
    assert created == await stored(helpdesk, created["id"]) | {"__typename": "Connector"}
    expected = {
        "name": "CRM",
        "lookupUrl": URL,
        "secretHeaderName": None,
        "hasSecret": False,
        "linkTemplate": None,
        "cacheTtlHours": 24,
        "logResults": True,
        "enabled": True,
        "position": 0,
    }
    assert {name: created[name] for name in expected} == expected


async def test_every_problem_of_a_connector_is_told_at_once(helpdesk: Helpdesk) -> None:
    refusal = await create(
        helpdesk,
        name="",
        lookupUrl="ftp://crm.example",
        secretHeaderName="Host",
        secretHeaderValue="line\nbreak",
        linkTemplate="https://crm.example/",
        cacheTtlHours=-1,
    )

    assert fields(refusal) == [
        "name",
        "lookupUrl",
        "secretHeaderName",
        "secretHeaderValue",
        "linkTemplate",
        "cacheTtlHours",
    ]
    assert (await helpdesk.admin.ask("{ connectors { id } }"))["connectors"] == []


REFUSED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a name without a character to see": ({"name": "  "}, ["name"]),
    "a name that is too long": ({"name": "x" * 101}, ["name"]),
    "a URL with a user": ({"lookupUrl": "https://me:secret@crm.example/"}, ["lookupUrl"]),
    "a URL with a fragment": ({"lookupUrl": "https://crm.example/#x"}, ["lookupUrl"]),
    "a URL that is too long": ({"lookupUrl": "https://crm.example/" + "x" * 2048}, ["lookupUrl"]),
    "no URL": ({"lookupUrl": ""}, ["lookupUrl"]),
    "an address that is not allowed": ({"lookupUrl": "https://169.254.169.254/"}, ["lookupUrl"]),
    "a header without a value": ({"secretHeaderName": "X-Key"}, ["secretHeaderValue"]),
    "a value without a header": ({"secretHeaderValue": SECRET}, ["secretHeaderName"]),
    "an empty header": ({"secretHeaderName": "", "secretHeaderValue": SECRET}, ["secretHeaderName"]),
    "an empty value": ({"secretHeaderName": "X-Key", "secretHeaderValue": ""}, ["secretHeaderValue"]),
    "a header of HTTP": ({"secretHeaderName": "Content-Length", "secretHeaderValue": SECRET}, ["secretHeaderName"]),
    "a value that is too long": ({"secretHeaderName": "X-Key", "secretHeaderValue": "x" * 4097}, ["secretHeaderValue"]),
    "a template without its placeholder": ({"linkTemplate": "https://crm.example/"}, ["linkTemplate"]),
    "an empty template": ({"linkTemplate": ""}, ["linkTemplate"]),
    "hours below none": ({"cacheTtlHours": -1}, ["cacheTtlHours"]),
    "more hours than a year has": ({"cacheTtlHours": 8761}, ["cacheTtlHours"]),
    "as many hours as can be said": ({"cacheTtlHours": 2**31 - 1}, ["cacheTtlHours"]),
}


async def test_what_breaks_a_rule_is_refused_with_the_member_that_breaks_it(helpdesk: Helpdesk) -> None:
    connector_id = (await create(helpdesk))["id"]
    before = await stored(helpdesk, connector_id)

    for name, (members, expected) in REFUSED.items():
        assert fields(await create(helpdesk, **members)) == expected, name
        assert fields(await update(helpdesk, connector_id, **members)) == expected, name

    assert await stored(helpdesk, connector_id) == before
    assert len((await helpdesk.admin.ask("{ connectors { id } }"))["connectors"]) == 1


async def test_the_limits_themselves_are_allowed(helpdesk: Helpdesk) -> None:
    url = "https://crm.example/"
    created = await create(
        helpdesk,
        name="ř" * 100,
        lookupUrl=url + "x" * (2048 - len(url)),
        secretHeaderName="X" * 64,
        secretHeaderValue="x" * 4096,
        cacheTtlHours=8760,
        position=2**31 - 1,
    )

    assert created["__typename"] == "Connector"
    assert (await create(helpdesk, cacheTtlHours=0, position=-(2**31)))["__typename"] == "Connector"


async def test_a_workspace_has_at_most_25_connectors(helpdesk: Helpdesk) -> None:
    for _ in range(MAX_CONNECTORS):
        assert (await create(helpdesk))["__typename"] == "Connector"

    assert fields(await create(helpdesk)) == ["input"]

    (first, *_) = (await helpdesk.admin.ask("{ connectors { id } }"))["connectors"]
    await helpdesk.admin.ask(DELETE, id=first["id"])
    assert (await create(helpdesk))["__typename"] == "Connector"


async def test_connectors_stand_by_position_and_equal_ones_by_age(helpdesk: Helpdesk) -> None:
    for name, position in (("b", 5), ("c", 5), ("last", None), ("a", 1), ("very last", None), ("d", 5)):
        await create(helpdesk, name=name, **({} if position is None else {"position": position}))

    ordered = (await helpdesk.admin.ask("{ connectors { name position } }"))["connectors"]

    assert [connector["name"] for connector in ordered] == ["a", "b", "c", "d", "last", "very last"]
    assert [connector["position"] for connector in ordered] == [1, 5, 5, 5, 6, 7]


async def test_a_new_connector_stands_last_even_behind_the_highest_position(helpdesk: Helpdesk) -> None:
    for name, position in (("high", 2**31 - 1), ("last", None)):
        created = await create(helpdesk, name=name, position=position)
        assert created["__typename"] == "Connector"

    ordered = (await helpdesk.admin.ask("{ connectors { name } }"))["connectors"]
    assert [connector["name"] for connector in ordered] == ["high", "last"]


async def test_panels_stand_in_the_order_of_their_connectors(helpdesk: Helpdesk, crm: Crm) -> None:
    for name, position in (("second", 2), ("third", 2), ("first", 1)):
        await helpdesk.connect(crm.url(), name, position=position)
    await open_ticket(helpdesk.agent)

    (ticket,) = await helpdesk.tickets()

    assert [panel["connectorName"] for panel in ticket["crmPanels"]] == ["first", "second", "third"]


# updateConnector


async def test_what_an_update_does_not_mention_stays(helpdesk: Helpdesk) -> None:
    created = await create(
        helpdesk,
        secretHeaderName="X-Key",
        secretHeaderValue=SECRET,
        linkTemplate="https://crm.example/{customer_id}",
        cacheTtlHours=5,
        logResults=False,
        enabled=False,
        position=7,
    )
    changes: dict[str, Any] = {
        "name": "Renamed",
        "lookupUrl": "https://crm.example/other",
        "secretHeaderName": "X-Other",
        "secretHeaderValue": "other",
        "linkTemplate": "https://crm.example/?id={customer_id}",
        "cacheTtlHours": 6,
        "logResults": True,
        "enabled": True,
        "position": 8,
    }
    expected = dict(created)

    for member, value in changes.items():
        updated = await update(helpdesk, created["id"], **{member: value})
        if member != "secretHeaderValue":
            expected[member] = value
        assert updated["updatedAt"] > expected["updatedAt"]
        expected["updatedAt"] = updated["updatedAt"]
        assert updated == expected, member
    assert await stored(helpdesk, created["id"]) | {"__typename": "Connector"} == expected


async def test_null_clears_what_may_be_empty(helpdesk: Helpdesk) -> None:
    first = await create(helpdesk, name="first")
    created = await create(
        helpdesk,
        secretHeaderName="X-Key",
        secretHeaderValue=SECRET,
        linkTemplate="https://crm.example/{customer_id}",
        position=-5,
    )

    cleared = await update(
        helpdesk, created["id"], secretHeaderName=None, secretHeaderValue=None, linkTemplate=None, position=None
    )

    assert (cleared["secretHeaderName"], cleared["hasSecret"], cleared["linkTemplate"]) == (None, False, None)
    assert cleared["position"] > first["position"]


async def test_null_is_refused_where_something_must_stand(helpdesk: Helpdesk) -> None:
    created = await create(helpdesk)
    members = ["name", "lookupUrl", "cacheTtlHours", "logResults", "enabled"]

    for member in members:
        assert fields(await update(helpdesk, created["id"], **{member: None})) == [member]
    assert fields(await update(helpdesk, created["id"], **dict.fromkeys(members))) == members
    assert await stored(helpdesk, created["id"]) | {"__typename": "Connector"} == created


async def test_every_problem_of_an_update_is_told_at_once(helpdesk: Helpdesk) -> None:
    created = await create(helpdesk)

    refusal = await update(helpdesk, created["id"], name=None, lookupUrl="nonsense", linkTemplate="x", enabled=None, position=3)

    assert set(fields(refusal)) == {"name", "lookupUrl", "linkTemplate", "enabled"}
    assert await stored(helpdesk, created["id"]) | {"__typename": "Connector"} == created


async def test_header_name_and_value_are_judged_together_with_what_is_stored(helpdesk: Helpdesk) -> None:
    bare = (await create(helpdesk))["id"]
    armed = (await create(helpdesk, secretHeaderName="X-Key", secretHeaderValue=SECRET))["id"]

    assert fields(await update(helpdesk, bare, secretHeaderName="X-Key")) == ["secretHeaderValue"]
    assert fields(await update(helpdesk, bare, secretHeaderValue=SECRET)) == ["secretHeaderName"]
    assert fields(await update(helpdesk, armed, secretHeaderName=None)) == ["secretHeaderName"]
    assert fields(await update(helpdesk, armed, secretHeaderValue=None)) == ["secretHeaderValue"]
    assert (await update(helpdesk, armed, secretHeaderName="X-Other"))["hasSecret"] is True
    assert (await update(helpdesk, armed, secretHeaderValue="other"))["secretHeaderName"] == "X-Other"
    both = await update(helpdesk, bare, secretHeaderName="X-Key", secretHeaderValue=SECRET)
    assert (both["secretHeaderName"], both["hasSecret"]) == ("X-Key", True)


async def test_a_secret_does_not_follow_the_url_to_another_origin(helpdesk: Helpdesk, crm: Crm) -> None:
    created = await create(helpdesk, lookupUrl="https://crm.example/lookup", secretHeaderName="X-Key", secretHeaderValue=SECRET)
    connector_id = created["id"]

    same = await update(helpdesk, connector_id, lookupUrl="https://crm.example:443/elsewhere?x=1")
    assert (same["secretHeaderName"], same["hasSecret"]) == ("X-Key", True)

    moved = await update(helpdesk, connector_id, lookupUrl=crm.url())
    assert (moved["secretHeaderName"], moved["hasSecret"]) == (None, False)
    await helpdesk.admin.ask(TEST, id=connector_id, email="jan@firma.cz")
    assert "x-key" not in crm.requests[-1].headers

    taken_along = await update(helpdesk, connector_id, lookupUrl=URL, secretHeaderName="X-Key", secretHeaderValue="chosen anew")
    assert (taken_along["secretHeaderName"], taken_along["hasSecret"]) == ("X-Key", True)
    assert fields(await update(helpdesk, connector_id, lookupUrl=crm.url(), secretHeaderName="X-Key")) == ["secretHeaderValue"]


async def test_a_change_of_the_url_drops_the_answers_and_of_the_secret_the_failures(helpdesk: Helpdesk, crm: Crm) -> None:
    crm.answers |= {"/good": FOUND, "/bad": response(500, b"")}
    good, bad = [await helpdesk.connect(crm.url(path), path) for path in crm.answers]
    await open_ticket(helpdesk.agent)
    assert [(await helpdesk.settled(panel=place))["status"] for place in range(2)] == ["FOUND", "ERROR"]

    await update(helpdesk, bad, secretHeaderName="X-Key", secretHeaderValue=SECRET)
    assert [(await helpdesk.panel(panel=place))["status"] for place in range(2)] == ["FOUND", "PENDING"]
    await update(helpdesk, good, lookupUrl=crm.url("/other"))
    panel = await helpdesk.panel()

    assert (panel["status"], panel["refreshing"], panel["customer"]) == ("PENDING", False, None)


async def test_a_connector_that_is_not_there_is_not_found(helpdesk: Helpdesk) -> None:
    for unknown in ("", "x", "01a203f1-5208-74d0-a3bf-6093b8ecb3ee"):
        changed = await update(helpdesk, unknown, name="x")
        assert (changed["__typename"], bool(changed["message"])) == ("NotFound", True)
        assert (await helpdesk.admin.ask(DELETE, id=unknown))["deleteConnector"] == {"__typename": "NotFound"}
        tested = (await helpdesk.admin.ask(TEST, id=unknown, email="jan@firma.cz"))["testConnector"]
        assert tested["__typename"] == "NotFound"


async def test_an_update_that_mentions_nothing_changes_nothing_else(helpdesk: Helpdesk) -> None:
    created = await create(helpdesk, secretHeaderName="X-Key", secretHeaderValue=SECRET)

    updated = await update(helpdesk, created["id"])

    assert updated | {"updatedAt": ""} == created | {"updatedAt": ""}


# deleteConnector


async def test_a_deleted_connector_is_gone_with_its_panels_and_its_log(helpdesk: Helpdesk, crm: Crm) -> None:
    connector_id = await helpdesk.connect(crm.url())
    await open_ticket(helpdesk.agent)
    await helpdesk.settled()

    receipt = (await helpdesk.admin.ask(DELETE, id=connector_id.upper()))["deleteConnector"]

    assert receipt == {"__typename": "ConnectorDeleted", "id": connector_id}
    assert await stored(helpdesk, connector_id) is None
    (ticket,) = await helpdesk.tickets()
    assert ticket["crmPanels"] == []
    assert (await helpdesk.admin.ask(DELETE, id=connector_id))["deleteConnector"] == {"__typename": "NotFound"}


# testConnector


async def test_a_test_shows_what_a_panel_would_show_and_changes_none(helpdesk: Helpdesk, crm: Crm) -> None:
    connector_id = await helpdesk.connect(
        crm.url(),
        linkTemplate="https://crm.example/{customer_id}",
        secretHeaderName="X-Key",
        secretHeaderValue=SECRET,
    )
    await open_ticket(helpdesk.agent)
    before = await helpdesk.settled()
    crm.answers["/lookup"] = FOUND | {"badge": "x" * 31, "echo": SECRET}

    trial = (await helpdesk.admin.ask(TEST, id=connector_id, email=" Jan@Firma.CZ "))["testConnector"]

    assert trial["__typename"] == "LookupTrial"
    assert (trial["status"], trial["httpStatus"], trial["error"]) == ("FOUND", 200, None)
    assert trial["customer"]["deepLink"] == "https://crm.example/cus%2F42%20%C3%A1"
    assert [warning["path"] for warning in trial["warnings"]] == ["badge"]
    assert SECRET not in json.dumps(trial)
    assert "•••" in trial["response"]
    assert await helpdesk.panel() == before
    newest, _ = await log_of(helpdesk, connector_id)
    assert (newest["trigger"], newest["ticketId"], newest["email"], newest["status"]) == ("TEST", None, "jan@firma.cz", "FOUND")
    assert crm.requests[-1].json["ticket_id"] == "00000000-0000-0000-0000-000000000000"
    assert crm.requests[-1].headers["x-key"] == SECRET


async def test_a_test_shows_the_request_as_the_endpoint_got_it_with_dots_for_the_secret(helpdesk: Helpdesk, crm: Crm) -> None:
    connector_id = await helpdesk.connect(crm.url(), secretHeaderName="X-Key", secretHeaderValue=SECRET)
    await helpdesk.admin.ask("mutation ($id: ID!) { issueSigningKey(id: $id) { __typename } }", id=connector_id)

    sent = (await helpdesk.admin.ask(TEST, id=connector_id, email="jan@firma.cz"))["testConnector"]["request"]

    (heard,) = crm.requests
    assert (sent["method"], sent["url"], json.loads(sent["body"])) == ("POST", crm.url(), heard.json)
    headers = {header["name"].lower(): header["value"] for header in sent["headers"]}
    assert headers == {name.lower(): value for name, value in heard.headers.items()} | {"x-key": "•••"}
    assert "webhook-signature" in headers


async def test_a_test_without_a_request_shows_none(helpdesk: Helpdesk, crm: Crm) -> None:
    connector_id = await helpdesk.connect(crm.url(), secretHeaderName="X-Key", secretHeaderValue=SECRET)
    tamper(helpdesk.parts.settings.data_dir, "UPDATE connectors SET secret = x'00'")

    trial = (await helpdesk.admin.ask(TEST, id=connector_id, email="jan@firma.cz"))["testConnector"]

    assert (trial["error"]["code"], trial["request"]) == ("SECRET_UNREADABLE", None)
    assert crm.requests == []


async def test_a_disabled_connector_can_be_tested(helpdesk: Helpdesk, crm: Crm) -> None:
    crm.answers["/lookup"] = response(404, b"")
    connector_id = await helpdesk.connect(crm.url(), enabled=False)

    trial = (await helpdesk.admin.ask(TEST, id=connector_id, email="jan@firma.cz"))["testConnector"]

    assert (trial["status"], trial["httpStatus"], trial["error"]["code"]) == ("ERROR", 404, "HTTP_STATUS")
    assert trial["customer"] is None


async def test_a_test_needs_an_address(helpdesk: Helpdesk, crm: Crm) -> None:
    connector_id = await helpdesk.connect(crm.url())

    for email in ("", "jan", "jan@", "\x00@firma.cz"):
        assert fields((await helpdesk.admin.ask(TEST, id=connector_id, email=email))["testConnector"]) == ["email"]
    assert crm.requests == []


async def test_a_test_joins_nothing(helpdesk: Helpdesk, crm: Crm) -> None:
    release = crm.hang()
    connector_id = await helpdesk.connect(crm.url())
    await open_ticket(helpdesk.agent)
    await eventually(lambda: _asked(crm))
    crm.answers["/lookup"] = FOUND

    trial = (await helpdesk.admin.ask(TEST, id=connector_id, email="jan@firma.cz"))["testConnector"]

    assert trial["status"] == "FOUND"
    assert (await helpdesk.panel())["refreshing"] is True
    release.set()
    assert (await helpdesk.settled())["status"] == "NOT_FOUND"


async def _asked(crm: Crm) -> bool:
    return bool(crm.requests)


async def test_a_test_of_a_connector_that_logs_no_results_shows_none(helpdesk: Helpdesk, crm: Crm) -> None:
    crm.answers["/lookup"] = FOUND
    connector_id = await helpdesk.connect(crm.url(), logResults=False)

    trial = (await helpdesk.admin.ask(TEST, id=connector_id, email="jan@firma.cz"))["testConnector"]

    assert trial["response"] is None
    assert trial["status"] == "FOUND"


# Whatever is written into a member.


async def test_no_text_breaks_a_mutation(helpdesk: Helpdesk) -> None:
    connector_id = (await create(helpdesk))["id"]
    texts = ["\ud800", "\x00", "\u202e", "\u2028", "e\u0301" * 200, "'; DROP TABLE tickets; --", "{customer_id}", "😀" * 50]
    mutations = {
        "requesterEmail": (CREATE_TICKET, {"input": {"requesterEmail": "", "subject": "x"}}),
        "requesterName": (CREATE_TICKET, {"input": {"requesterEmail": "jan@firma.cz", "requesterName": "", "subject": "x"}}),
        "subject": (CREATE_TICKET, {"input": {"requesterEmail": "jan@firma.cz", "subject": ""}}),
        "text": (CREATE_TICKET, {"input": {"requesterEmail": "jan@firma.cz", "subject": "x", "text": ""}}),
        "email": (TEST, {"id": connector_id, "email": ""}),
        "id": (DELETE, {"id": ""}),
    } | {
        member: (UPDATE, {"id": connector_id, "input": {member: ""}})
        for member in ("name", "lookupUrl", "secretHeaderName", "secretHeaderValue", "linkTemplate")
    }

    for member, (mutation, variables) in mutations.items():
        for text in texts:
            nested: dict[str, Any] = variables.get("input", variables)
            nested[member] = text
            body = json.dumps({"query": mutation, "variables": variables})
            answer = await post(helpdesk, body, Authorization=f"Bearer {helpdesk.admin.token}")
            assert "errors" not in answer.json(), (member, text, answer.text)
