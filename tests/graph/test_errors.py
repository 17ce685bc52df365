"""Errors as the outside sees them: a code, a request id, and nothing that is not meant for the outside."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from structlog.testing import capture_logs

from domain.identity import Role
from graph.endpoint import Door, Endpoint
from graph.errors import ErrorCode, without_values
from graph.schema import build_schema
from persistence.encryption import new_key_entry
from tests.graph.desk import open_ticket, post, tamper, tidy
from tests.stage.crm import FOUND
from tests.stage.front_end import receive, send
from tests.stage.helpdesk import TICKET, WATCH, open_helpdesk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from domain.identity import Principal
    from tests.stage.crm import Crm
    from tests.stage.helpdesk import Helpdesk

SECRET = "s3cret-value"
INTERNAL = "Something went wrong on our side."


@pytest.fixture
async def broken_ticket(helpdesk: Helpdesk, crm: Crm, tmp_path: Path) -> str:
    """A ticket whose stored answer no code of ours could have written."""
    crm.answers["/lookup"] = FOUND
    await helpdesk.connect(crm.url())
    ticket_id = await open_ticket(helpdesk.agent)
    await helpdesk.settled()
    tamper(tmp_path / "data", "UPDATE answers SET customer = ?", json.dumps({"the": "wrong members"}))
    return ticket_id


@pytest.fixture
async def production(tmp_path: Path) -> AsyncIterator[Helpdesk]:
    settings: dict[str, Any] = {"env": "production", "encryption_keys": new_key_entry(), "token_key": "k" * 32}
    async with open_helpdesk(tmp_path / "production", **settings) as opened:
        yield opened


# INTERNAL says nothing else.


async def test_what_nobody_expected_says_nothing_but_its_code(helpdesk: Helpdesk, broken_ticket: str) -> None:
    with capture_logs() as logged:
        answer = await helpdesk.agent.post(TICKET, {"id": broken_ticket})

    assert tidy(answer) == (200, "INTERNAL")
    (error,) = answer.json()["errors"]
    assert error["message"] == INTERNAL
    assert set(error) == {"message", "locations", "path", "extensions"}
    (line,) = [line for line in logged if line["log_level"] == "error"]
    assert line["request_id"] == answer.headers["X-Request-Id"]
    assert isinstance(line["exc_info"], KeyError)


async def test_what_nobody_expected_says_nothing_over_a_socket_either(helpdesk: Helpdesk, broken_ticket: str) -> None:
    operations = {"a query": TICKET, "a subscription": WATCH}
    with capture_logs() as logged:
        async with helpdesk.agent.signed_in() as socket:
            for name, query in operations.items():
                await send(socket, id=name, type="subscribe", payload={"query": query, "variables": {"id": broken_ticket}})
                (error,) = (await receive(socket))["payload"]["errors"]
                assert (error["message"], error["extensions"]["code"]) == (INTERNAL, "INTERNAL")
                assert await receive(socket) == {"id": name, "type": "complete"}
                assert "error" in [line["log_level"] for line in logged]
                assert error["extensions"]["requestId"] in [line.get("request_id") for line in logged]
                logged.clear()


async def test_a_value_of_ours_that_the_schema_does_not_allow_is_our_fault(helpdesk: Helpdesk, tmp_path: Path) -> None:
    ticket_id = await open_ticket(helpdesk.agent)
    tamper(tmp_path / "data", "UPDATE tickets SET number = ?", 2**40)

    answer = await helpdesk.agent.post("query ($id: ID!) { ticket(id: $id) { number } }", {"id": ticket_id})

    assert tidy(answer) == (200, "INTERNAL")
    assert answer.json()["errors"][0]["message"] == INTERNAL


async def test_what_nobody_expected_before_the_operation_says_nothing_either(helpdesk: Helpdesk) -> None:
    async def authenticate(token: str) -> Principal | None:
        raise RuntimeError(token)

    async def never(_principal: Principal) -> None:
        await asyncio.Event().wait()

    endpoint = Endpoint(build_schema(), helpdesk.parts.endpoint().services, Door(authenticate=authenticate, revoked=never))
    with capture_logs() as logged:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(endpoint), base_url="http://here") as client:
            answer = await client.post("/graphql", headers={"Authorization": f"Bearer {SECRET}"})

    assert tidy(answer) == (500, "INTERNAL")
    assert answer.json()["errors"][0]["message"] == INTERNAL
    assert [line["request_id"] for line in logged] == [answer.headers["X-Request-Id"]]


# Suggestions.

MISSPELT: dict[str, dict[str, Any]] = {
    "a field": {"query": "{ viewr { name } }"},
    "a leaf": {"query": "{ viewer }"},
    "an argument": {"query": '{ ticket(idd: "x") { id } }'},
    "an enum": {"query": '{ ticket(id: "x") { crmPanels { badge(locale: CZ) { text } } } }'},
    "a type": {"query": "query ($input: CreateTicketInptu) { viewer { name } }"},
    "a member of an input": {
        "query": "mutation ($input: CreateTicketInput!) { createTicket(input: $input) { __typename } }",
        "variables": {"input": {"requesterEmial": "a@b.cz", "subject": "x"}},
    },
    "a member of an input in the document": {
        "query": 'mutation { createTicket(input: {requesterEmial: "a@b.cz", subject: "x"}) { __typename } }',
    },
}


async def test_production_gives_no_suggestions(helpdesk: Helpdesk, production: Helpdesk) -> None:
    def words(answer: Any) -> str:  # noqa: ANN401 - any body
        return " ".join(error["message"] for error in answer.json()["errors"])

    for name, request in MISSPELT.items():
        there = words(await post(helpdesk, json.dumps(request)))
        here = words(await post(production, json.dumps(request)))
        assert "Did you mean" in there, name
        assert "Did you mean" not in here, name
        assert here, name


async def test_production_gives_no_suggestions_over_a_socket(production: Helpdesk) -> None:
    async with production.agent.signed_in() as socket:
        await send(socket, id="1", type="subscribe", payload={"query": "{ viewr { name } }"})
        (error,) = (await receive(socket))["payload"]

    assert error["message"] == "Cannot query field 'viewr' on type 'Query'."


# Secrets.

WITH_SECRETS: dict[str, dict[str, Any]] = {
    "a member is missing": {"variables": {"input": {"name": "CRM", "secretHeaderValue": SECRET}}},
    "a member is unknown": {"variables": {"input": {"name": "CRM", "lookupUrl": "x", "secretHeaderValue": SECRET, "x": 1}}},
    "a member is misspelt": {"variables": {"input": {"name": "CRM", "lookupUrl": "x", "secretHeaderValeu": SECRET}}},
    "the secret is a list": {"variables": {"input": {"name": "CRM", "lookupUrl": "x", "secretHeaderValue": [SECRET]}}},
    "the secret is an object": {"variables": {"input": {"name": "CRM", "lookupUrl": "x", "secretHeaderValue": {"v": SECRET}}}},
    "the input is a list": {"variables": {"input": [SECRET]}},
    "the input is a text": {"variables": {"input": SECRET}},
    "the document lacks a member": {"query": f'{{name: "CRM", secretHeaderValue: "{SECRET}"}}'},
    "the document has an unknown member": {"query": f'{{name: "CRM", lookupUrl: "x", secretHeaderValeu: "{SECRET}"}}'},
    "the document has a list": {"query": f'{{name: "CRM", lookupUrl: "x", secretHeaderValue: ["{SECRET}"]}}'},
    "the document has nothing but the secret": {"query": f'"{SECRET}"'},
    "the document lacks a colon": {"query": f'{{secretHeaderValue "{SECRET}"}}'},
    "the document lacks a colon before a block": {"query": f'{{secretHeaderValue """{SECRET}"""}}'},
    "the document has a text too many": {"query": f'{{secretHeaderValue: "{SECRET}" "{SECRET}"}}'},
    "the value breaks a rule": {
        "variables": {
            "input": {"name": "CRM", "lookupUrl": "https://x.cz", "secretHeaderName": "X-Key", "secretHeaderValue": f"{SECRET}\n"}
        }
    },
}


async def test_a_refused_input_is_not_repeated_for_its_secret(helpdesk: Helpdesk) -> None:
    by_variable = """mutation ($input: CreateConnectorInput!) {
      createConnector(input: $input) { ... on InvalidInput { message problems { field message } } } }"""
    in_document = "mutation {{ createConnector(input: {}) {{ __typename }} }}"

    for name, request in WITH_SECRETS.items():
        query = in_document.format(request["query"]) if "query" in request else by_variable
        answer = await helpdesk.admin.post(query, request.get("variables"))
        assert "essage" in answer.text, name
        assert SECRET not in answer.text, name
        assert base64.b64encode(SECRET.encode()).decode() not in answer.text, name


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("Int cannot represent non-integer value: nan", "Int cannot represent non-integer value."),
        ("Expected value of type 'A' to be an object, found: [1].", "Expected value of type 'A' to be an object."),
        ("… unknown field 'nam'. Did you mean 'name'? Found: {'a': 1}.", "… unknown field 'nam'. Did you mean 'name'?"),
        ("Variable '$n' has invalid value: Expected it.", "Variable '$n' has invalid value: Expected it."),
        ("Variable '$n' has invalid value at .a: String … value: [1]", "Variable '$n' has invalid value at .a: String … value."),
        ("Syntax Error: Expected ':', found String 'x: y'.", "Syntax Error: Expected ':', found String."),
        ("Syntax Error: Expected Name, found <EOF>.", "Syntax Error: Expected Name, found <EOF>."),
        ("Cannot query field 'x' on type 'Query'.", "Cannot query field 'x' on type 'Query'."),
    ],
)
def test_what_is_said_of_an_input_leaves_the_input_out(message: str, kept: str) -> None:
    assert without_values(message) == kept


# The database is away.


async def test_without_the_database_the_api_is_unavailable(helpdesk: Helpdesk, tmp_path: Path) -> None:
    await helpdesk.agent.ask("{ viewer { name } }")
    newcomer = helpdesk.front_end(Role.AGENT, workspace=await helpdesk.add_workspace("Next door", "support@nextdoor.example"))
    await helpdesk.parts.database.close()
    (tmp_path / "data").rename(tmp_path / "elsewhere")

    for front_end in (helpdesk.agent, newcomer):
        answer = await front_end.post("{ viewer { name } }")
        assert tidy(answer) == (503, "UNAVAILABLE")
        assert "sqlite" not in answer.text
    mutation = await helpdesk.agent.post(
        'mutation { createTicket(input: {requesterEmail: "a@b.cz", subject: "x"}) { __typename } }'
    )
    assert tidy(mutation) == (503, "UNAVAILABLE")
    async with helpdesk.agent.watching("subscription { ticketOpened { id } }") as opened:
        (error,) = (await receive(opened.socket))["payload"]["errors"]
        assert error["extensions"]["code"] == "UNAVAILABLE"

    (tmp_path / "elsewhere").rename(tmp_path / "data")
    assert await helpdesk.agent.ask("{ viewer { name } }") == {"viewer": {"name": "Test"}}


def test_the_list_of_codes_is_closed() -> None:
    assert {*ErrorCode} == set("UNAUTHENTICATED FORBIDDEN BAD_REQUEST LIMIT_EXCEEDED UNAVAILABLE INTERNAL".split())
