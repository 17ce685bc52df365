"""Every refusal that a person reads comes in Czech and in English, and in English where nobody says which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from graphql import GraphQLInterfaceType, GraphQLObjectType

from graph.schema import build_schema
from tests.graph.desk import open_ticket
from tests.stage.crm import response

if TYPE_CHECKING:
    from tests.stage.crm import Crm
    from tests.stage.helpdesk import Helpdesk

BOTH = "message en: message(locale: EN) cs: message(locale: CS)"
REFUSED = f"__typename ... on Error {{ {BOTH} }} ... on InvalidInput {{ problems {{ field {BOTH} }} }}"
CREATE = f"mutation ($input: CreateConnectorInput!) {{ createConnector(input: $input) {{ {REFUSED} }} }}"
UPDATE = f"mutation ($id: ID!, $input: UpdateConnectorInput!) {{ updateConnector(id: $id, input: $input) {{ {REFUSED} }} }}"
OPEN = f"mutation ($input: CreateTicketInput!) {{ createTicket(input: $input) {{ {REFUSED} }} }}"
REFRESH = f"mutation ($id: ID!) {{ refreshLookup(ticketId: $id) {{ ... on Error {{ {BOTH} }} }} }}"
RESTORE = f"mutation ($id: ID!) {{ restoreSecret(id: $id) {{ ... on Error {{ {BOTH} }} }} }}"
ROTATE = f"""
mutation ($id: ID!, $email: String! = "jan@firma.cz") {{ rotateSecret(id: $id, value: "new", email: $email) {{ {REFUSED} }} }}
"""
FORGET = f'mutation {{ forgetRequester(email: "x") {{ {REFUSED} }} }}'
ARRANGE = f"mutation ($ids: [ID!]!) {{ arrangeConnectors(ids: $ids) {{ {REFUSED} }} }}"
PANELS = f"query ($id: ID!) {{ ticket(id: $id) {{ crmPanels {{ error {{ {BOTH} }} }} }} }}"


async def refused(helpdesk: Helpdesk, operation: str, **variables: Any) -> tuple[str, list[tuple[str, str]]]:  # noqa: ANN401
    """The refusal in Czech, and its problems; English is what comes unasked."""
    (refusal,) = (await helpdesk.admin.ask(operation, **variables)).values()
    problems = refusal.get("problems", [])
    assert all(told["message"] == told["en"] != told["cs"] for told in (refusal, *problems))
    return refusal["cs"], [(problem["field"], problem["cs"]) for problem in problems]


async def test_every_refusal_speaks_czech(helpdesk: Helpdesk, crm: Crm) -> None:
    plain = await helpdesk.connect(crm.url())
    secret = await helpdesk.connect(crm.url(), secretHeaderName="X-Key", secretHeaderValue="old")
    crm.answers["/lookup"] = response(401, b"")
    invalid, address = "Zadání ještě není v pořádku.", "E-mailová adresa má podobu jmeno@example.com."
    given = {"name": "", "lookupUrl": "ftp://x", "linkTemplate": "x" * 2049, "cacheTtlHours": -1}

    assert await refused(helpdesk, CREATE, input=given) == (
        invalid,
        [
            ("name", "Název musí mít 1 až 100 znaků."),
            ("lookupUrl", "URL musí začínat https://."),
            ("linkTemplate", "Šablona smí mít nejvýš 2\u00a0048 znaků."),
            ("cacheTtlHours", "Odpovědi mohou platit 0 až 8\u00a0760 hodin."),
        ],
    )
    assert await refused(helpdesk, UPDATE, id=plain, input={"name": None}) == (
        invalid,
        [("name", "Tohle nesmí zůstat prázdné.")],
    )
    assert await refused(helpdesk, OPEN, input={"requesterEmail": "x", "subject": "x"}) == (
        invalid,
        [("requesterEmail", address)],
    )
    assert await refused(helpdesk, FORGET) == (invalid, [("email", address)])
    assert await refused(helpdesk, ROTATE, id=secret, email="x") == (invalid, [("email", address)])
    assert await refused(helpdesk, ROTATE, id=secret) == (
        "Endpoint nový secret odmítl (HTTP 401), proto dál platí ten starý.",
        [],
    )
    assert (await refused(helpdesk, ROTATE, id=plain))[1][0][0] == "id"
    assert await refused(helpdesk, ARRANGE, ids=[plain, plain]) == (
        invalid,
        [("ids", "Connector může stát jen na jednom místě: každý uveďte jednou.")],
    )
    assert (await refused(helpdesk, RESTORE, id=plain))[0].startswith("Předchozí secret")
    assert await refused(helpdesk, RESTORE, id=str(uuid4())) == ("Takový connector tu není.", [])
    assert await refused(helpdesk, REFRESH, id=str(uuid4())) == ("Takový ticket tu není.", [])


async def test_why_a_lookup_failed_is_told_in_czech(helpdesk: Helpdesk, crm: Crm) -> None:
    crm.answers["/lookup"] = response(503, b"")
    await helpdesk.connect(crm.url())
    ticket_id = await open_ticket(helpdesk.agent)
    await helpdesk.settled()

    (panel,) = (await helpdesk.agent.ask(PANELS, id=ticket_id))["ticket"]["crmPanels"]

    english = "The endpoint answered with HTTP status 503."
    assert panel["error"] == {"message": english, "en": english, "cs": "Endpoint odpověděl stavem HTTP 503."}


def test_every_message_of_the_schema_takes_a_language() -> None:
    messages = {
        kind.name: str(kind.fields["message"].args["locale"].type)
        for kind in build_schema()._schema.type_map.values()  # noqa: SLF001 - the schema as graphql-core sees it
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType) and "message" in kind.fields
    }

    assert len(messages) > 5
    assert set(messages.values()) == {"Locale!"}
