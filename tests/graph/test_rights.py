"""Rights: what is for admins is for admins wherever it stands."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import strawberry
from graphql import GraphQLObjectType
from strawberry.types.field import StrawberryField

from domain.connector import Connector as DomainConnector
from domain.identity import ConnectorId, Principal, Role
from graph.context import Context
from graph.rights import MayConfigure
from graph.schema import build_schema
from graph.types import Connector
from server.clock import utc_now
from tests.graph.desk import open_neighbour, open_ticket
from tests.stage.front_end import receive, send

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stage.crm import Crm
    from tests.stage.helpdesk import Helpdesk

FOR_ADMINS = {
    "Query.connector": '{ connector(id: "x") { id } }',
    "Query.connectors": "{ connectors { id lookups { nodes { id } } } }",
    "Mutation.createConnector": 'mutation { createConnector(input: {name: "x", lookupUrl: "x"}) { __typename } }',
    "Mutation.updateConnector": 'mutation { updateConnector(id: "x", input: {name: "x"}) { __typename } }',
    "Mutation.arrangeConnectors": 'mutation { arrangeConnectors(ids: ["x"]) { __typename } }',
    "Mutation.deleteConnector": 'mutation { deleteConnector(id: "x") { __typename } }',
    "Query.auditLog": "{ auditLog { nodes { id } } }",
    "Mutation.forgetRequester": 'mutation { forgetRequester(email: "jan@firma.cz") { __typename } }',
    "Mutation.testConnector": 'mutation { testConnector(id: "x", email: "x") { __typename } }',
    "Mutation.rotateSecret": 'mutation { rotateSecret(id: "x", value: "x", email: "x") { __typename } }',
    "Mutation.issueSigningKey": 'mutation { issueSigningKey(id: "x") { __typename } }',
    "Mutation.disableSigning": 'mutation { disableSigning(id: "x") { __typename } }',
    "Mutation.restoreSecret": 'mutation { restoreSecret(id: "x") { __typename } }',
}


def fields_of_schema() -> Iterator[tuple[str, StrawberryField]]:
    """Every field with its place."""
    schema = build_schema()
    for kind in schema._schema.type_map.values():  # noqa: SLF001 - the schema as graphql-core sees it
        if isinstance(kind, GraphQLObjectType):
            for name, field in kind.fields.items():
                definition = field.extensions.get("strawberry-definition")
                if isinstance(definition, StrawberryField):
                    yield f"{kind.name}.{name}", definition


def test_every_way_to_a_connector_is_for_admins_and_nothing_else_is() -> None:
    guarded = {place for place, field in fields_of_schema() if MayConfigure in field.permission_classes}

    assert guarded == {
        *FOR_ADMINS,
        "Subscription.connectorHealth",
        "Subscription.connectorLookups",
        "Connector.health",
        "Connector.lookups",
        "Connector.secret",
        "Connector.signing",
    }


async def test_an_agent_is_forbidden_what_is_for_admins(helpdesk: Helpdesk, crm: Crm) -> None:
    connector_id = await helpdesk.connect(crm.url())

    codes = {}
    for place, operation in FOR_ADMINS.items():
        answer = (await helpdesk.agent.post(operation.replace('"x"', f'"{connector_id}"', 1))).json()
        assert answer["data"] in (None, {"connector": None})
        (error,) = answer["errors"]
        codes[place] = error["extensions"]["code"]

    assert codes == dict.fromkeys(FOR_ADMINS, "FORBIDDEN")
    assert (await helpdesk.admin.ask("{ connectors { id name } }"))["connectors"] == [{"id": connector_id, "name": "CRM"}]
    assert crm.requests == []


async def test_an_agent_is_forbidden_it_over_a_socket_too(helpdesk: Helpdesk) -> None:
    async with helpdesk.agent.signed_in() as socket:
        for place, operation in FOR_ADMINS.items():
            await send(socket, id=place, type="subscribe", payload={"query": operation})
            (error,) = (await receive(socket))["payload"]["errors"]
            assert error["extensions"]["code"] == "FORBIDDEN"
            assert (await receive(socket))["type"] == "complete"


async def test_the_log_is_for_admins_even_where_an_agent_gets_hold_of_a_connector(helpdesk: Helpdesk) -> None:
    @strawberry.type
    class LooseQuery:
        @strawberry.field
        def found(self) -> Connector:
            return Connector.of(some_connector())

    schema = strawberry.Schema(LooseQuery)
    contexts = {role: context_of(helpdesk, role) for role in (Role.AGENT, Role.ADMIN)}

    refused = await schema.execute("{ found { lookups { nodes { id } } } }", context_value=contexts[Role.AGENT])
    answered = await schema.execute("{ found { lookups { nodes { id } } } }", context_value=contexts[Role.ADMIN])

    assert [error.extensions for error in refused.errors or ()] == [{"code": "FORBIDDEN"}]
    assert answered.data == {"found": {"lookups": {"nodes": []}}}


def context_of(helpdesk: Helpdesk, role: Role) -> Context:
    expires_at = utc_now() + timedelta(hours=1)
    principal = Principal("someone", None, helpdesk.workspace_id, role, expires_at)
    return Context(services=helpdesk.parts.endpoint().services, request_id="x", principal=principal)


def some_connector() -> DomainConnector:
    return DomainConnector(
        id=ConnectorId(uuid4()),
        name="CRM",
        lookup_url="https://crm.example/lookup",
        secret_header_name=None,
        has_secret=False,
        link_template=None,
        cache_ttl=timedelta(hours=24),
        log_results=True,
        enabled=True,
        position=0,
        created_at=utc_now(),
        updated_at=utc_now(),
    )


async def test_lists_hold_only_what_is_the_workspaces_own(helpdesk: Helpdesk, crm: Crm) -> None:
    neighbour = await open_neighbour(helpdesk, crm.url("/theirs"))
    mine = await open_ticket(helpdesk.agent)

    assert [ticket["id"] for ticket in await helpdesk.tickets()] == [mine]
    assert (await helpdesk.admin.ask("{ connectors { id } }"))["connectors"] == []
    theirs = await neighbour.admin.ask("{ tickets { nodes { id number } } connectors { id } viewer { workspace { name } } }")
    assert theirs == {
        "tickets": {"nodes": [{"id": neighbour.ticket_id, "number": 1}]},
        "connectors": [{"id": neighbour.connector_id}],
        "viewer": {"workspace": {"name": "Next door"}},
    }
