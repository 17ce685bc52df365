"""What holds of every query holds with compiled execution and without: the same document, asked until it has a plan."""

from __future__ import annotations

import asyncio
import gc
import json
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID, uuid4

import jwt
import orjson
import pytest
from structlog.testing import capture_logs

from compiled.kept import KEPT
from domain.identity import Principal, Role, TicketId
from graph.context import Context
from graph.fast_path import FastPath
from graph.http import RawRequest
from graph.types import CrmCustomer, CrmPanel, Ticket
from persistence.standings import ConnectorStanding, KnownTicket
from server.clock import utc_now
from tests.graph.both_ways import executed
from tests.graph.desk import PANEL, open_neighbour, open_ticket, tamper, tidy
from tests.graph.test_mutations import DELETE
from tests.stage.crm import FOUND, NOT_FOUND
from tests.stage.front_end import receive, send
from tests.stage.helpdesk import REFRESH, Helpdesk, open_helpdesk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    import httpx
    from starlette.types import Message

    from graph.schema import Schema
    from tests.stage.crm import Crm
    from tests.stage.front_end import FrontEnd

VIEWER = "{ viewer { name role } }"
TICKET = f"query ($id: ID!) {{ ticket(id: $id) {{ id number crmPanels {{ {PANEL} }} }} }}"
UPDATE = "mutation ($id: ID!, $input: UpdateConnectorInput!) { updateConnector(id: $id, input: $input) { __typename } }"
FORGET = 'mutation { forgetRequester(email: "jan@firma.cz") { __typename } }'


@pytest.fixture(params=[True, False], ids=["compiled", "stock"])
async def desk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Helpdesk]:
    async with open_helpdesk(tmp_path / "data", compiled=request.param) as opened:
        yield opened


async def plan(desk: Helpdesk, query: str, **variables: Any) -> None:  # noqa: ANN401
    """Ask until there is a plan, where there may be one."""
    for _ in range(3):
        await desk.agent.ask(query, **variables)
    took = "compiled" if desk.parts.settings.compiled else "stock"
    before = await executed(desk)
    await desk.agent.ask(query, **variables)
    assert (await executed(desk))[took] == before[took] + 1


async def found(desk: Helpdesk, crm: Crm, name: str = "Jan", **settings: Any) -> tuple[str, str]:  # noqa: ANN401
    """A ticket with one panel, and its connector."""
    crm.answers["/lookup"] = FOUND | {"name": name}
    connector_id = await desk.connect(crm.url(), **settings)
    ticket_id = await open_ticket(desk.agent)
    await desk.settled()
    return ticket_id, connector_id


async def panels(desk: Helpdesk, ticket_id: str) -> list[Any]:
    shown: list[Any] = (await desk.agent.ask(TICKET, id=ticket_id))["ticket"]["crmPanels"]
    return shown


# What goes wrong.


async def test_what_nobody_expected_says_nothing_and_is_logged_once(desk: Helpdesk, crm: Crm, tmp_path: Path) -> None:
    ticket_id, _ = await found(desk, crm)
    await plan(desk, TICKET, id=ticket_id)
    tamper(tmp_path / "data", "UPDATE answers SET customer = ?", json.dumps({"the": "wrong members"}))

    with capture_logs() as logged:
        answer = await desk.agent.post(TICKET, {"id": ticket_id})

    assert tidy(answer) == (200, "INTERNAL")
    (line,) = [line for line in logged if line["log_level"] == "error"]
    assert (line["request_id"], line["path"]) == (answer.headers["X-Request-Id"], ["ticket"])
    assert isinstance(line["exc_info"], KeyError)


async def test_what_goes_wrong_further_down_is_logged_once_too(desk: Helpdesk, crm: Crm, tmp_path: Path) -> None:
    ticket_id, _ = await found(desk, crm)
    await plan(desk, TICKET, id=ticket_id)
    tamper(tmp_path / "data", "UPDATE tickets SET number = ?", 2**40)

    with capture_logs() as logged:
        answer = await desk.agent.post(TICKET, {"id": ticket_id})

    assert tidy(answer) == (200, "INTERNAL")
    (line,) = [line for line in logged if line["log_level"] == "error"]
    assert (line["request_id"], line["path"]) == (answer.headers["X-Request-Id"], ["ticket", "number"])


async def test_without_the_database_the_api_is_unavailable_and_then_there_again(desk: Helpdesk, tmp_path: Path) -> None:
    ticket_id = await open_ticket(desk.agent)
    for query in (VIEWER, TICKET):
        await plan(desk, query, **({"id": ticket_id} if query is TICKET else {}))
    await desk.parts.database.close()
    (tmp_path / "data").rename(tmp_path / "elsewhere")

    for query in (VIEWER, TICKET, f"{{ {VIEWER[1:-1]} {VIEWER[1:-1].replace('viewer', 'again: viewer')} }}"):
        for _ in range(2):
            assert tidy(await desk.agent.post(query, {"id": ticket_id})) == (503, "UNAVAILABLE")

    (tmp_path / "elsewhere").rename(tmp_path / "data")
    assert await desk.agent.ask(VIEWER) == {"viewer": {"name": "Test", "role": "AGENT"}}


async def test_whoever_goes_away_leaves_no_trace(desk: Helpdesk, trouble: Callable[[], list[str]]) -> None:
    await plan(desk, VIEWER)
    body = json.dumps({"query": VIEWER}).encode()
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {desk.token()}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    for sent in (head, head + body[:5], head + body, (head + body) * 5):
        _, writer = await asyncio.open_connection("127.0.0.1", desk.port)
        writer.write(sent)
        await writer.drain()
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()

    await plan(desk, VIEWER)
    assert trouble() == []


# Who asks.


async def refused(front_end: FrontEnd, query: str) -> bool:
    answer = await front_end.post(query)
    return answer.status_code == 401 and tidy(answer) == (401, "UNAUTHENTICATED")


async def test_a_token_that_is_revoked_opens_nothing_any_more(desk: Helpdesk) -> None:
    agent = desk.agent
    for _ in range(3):
        await agent.ask(VIEWER)
    token_id = jwt.decode(agent.token, options={"verify_signature": False})["jti"]
    async with desk.parts.database.operator() as store:
        await store.revocations.add(token_id, utc_now())
    await desk.parts.tokens.revocations.refresh()

    assert await refused(agent, VIEWER)
    await plan(desk, VIEWER)


async def test_a_workspace_that_is_suspended_opens_nothing_until_it_is_resumed(desk: Helpdesk) -> None:
    await plan(desk, VIEWER)
    async with desk.parts.database.operator() as store:
        await store.workspaces.suspend(desk.workspace_id, utc_now())
    await desk.parts.tokens.revocations.refresh()

    assert await refused(desk.agent, VIEWER)
    async with desk.parts.database.operator() as store:
        await store.workspaces.resume(desk.workspace_id)
    await desk.parts.tokens.revocations.refresh()
    await plan(desk, VIEWER)


async def test_the_same_document_shows_each_what_is_theirs(desk: Helpdesk, crm: Crm) -> None:
    ticket_id, _ = await found(desk, crm)
    neighbour = await open_neighbour(desk, crm.url("/theirs"))
    await plan(desk, TICKET, id=ticket_id)
    await plan(desk, VIEWER)

    assert await neighbour.admin.ask(TICKET, id=ticket_id) == {"ticket": None}
    assert await desk.agent.ask(TICKET, id=neighbour.ticket_id) == {"ticket": None}
    assert (await desk.admin.ask(VIEWER))["viewer"]["role"] == "ADMIN"
    assert (await desk.agent.ask(VIEWER))["viewer"]["role"] == "AGENT"
    assert tidy(await desk.front_end(Role.MAIL).post(VIEWER)) == (403, "FORBIDDEN")


# What has changed since it was asked last.


async def test_an_answer_is_never_older_than_what_was_changed_before_it(desk: Helpdesk, crm: Crm) -> None:
    ticket_id, connector_id = await found(desk, crm, linkTemplate="https://crm.example/{customer_id}")
    await plan(desk, TICKET, id=ticket_id)
    (before,) = await panels(desk, ticket_id)
    assert (before["status"], before["connectorName"]) == ("FOUND", "CRM")

    await desk.admin.ask(UPDATE, id=connector_id, input={"name": "New name"})
    assert (await panels(desk, ticket_id))[0]["connectorName"] == "New name"
    await desk.admin.ask(UPDATE, id=connector_id, input={"linkTemplate": "https://new.example/{customer_id}"})
    assert (await panels(desk, ticket_id))[0]["customer"]["deepLink"].startswith("https://new.example/")

    crm.answers["/lookup"] = NOT_FOUND
    await desk.agent.ask(REFRESH, id=ticket_id)
    await desk.settled()
    assert [(panel["status"], panel["customer"]) for panel in await panels(desk, ticket_id)] == [("NOT_FOUND", None)]

    await desk.admin.ask(UPDATE, id=connector_id, input={"enabled": False})
    assert await panels(desk, ticket_id) == []
    await desk.admin.ask(UPDATE, id=connector_id, input={"enabled": True})
    assert [panel["connectorId"] for panel in await panels(desk, ticket_id)] == [connector_id]
    await desk.admin.ask(DELETE, id=connector_id)
    assert await panels(desk, ticket_id) == []


async def test_whoever_is_forgotten_is_shown_no_more(desk: Helpdesk, crm: Crm) -> None:
    ticket_id, _ = await found(desk, crm)
    await plan(desk, TICKET, id=ticket_id)
    release = crm.hang()
    (before,) = await panels(desk, ticket_id)

    await desk.admin.ask(FORGET)

    (after,) = await panels(desk, ticket_id)
    assert before["customer"] is not None
    assert (after["customer"], after["fetchedAt"], after["status"]) == (None, None, "PENDING")
    release.set()


async def test_whoever_is_forgotten_is_forgotten_by_this_process_too(desk: Helpdesk, crm: Crm) -> None:
    name = uuid4().hex
    ticket_id, _ = await found(desk, crm, name)
    await plan(desk, TICKET, id=ticket_id)
    assert in_memory(name)

    await desk.admin.ask(FORGET)

    assert not in_memory(name)


async def test_a_panel_is_kept_without_the_customer_that_its_bytes_tell_of(desk: Helpdesk, crm: Crm) -> None:
    name = uuid4().hex
    ticket_id, _ = await found(desk, crm, name)
    await plan(desk, TICKET, id=ticket_id)

    assert in_memory(name)
    assert not in_memory(name, CrmCustomer)


async def test_a_ticket_is_made_and_rendered_once_while_nothing_in_it_changes(helpdesk: Helpdesk, crm: Crm) -> None:
    endpoint = helpdesk.parts.endpoint()
    ticket_id, connector_id = await found(helpdesk, crm)

    async def made() -> Ticket:
        async with endpoint.services.database.glancing(helpdesk.workspace_id) as store:
            known = await store.standings.ticket(TicketId(UUID(ticket_id)))
        assert known is not None
        return endpoint.services.panels.ticket(known)

    first = await made()
    assert await made() is first
    await helpdesk.admin.ask(UPDATE, id=connector_id, input={"name": "Another"})
    assert await made() is not first


def in_memory(name: str, *kinds: type) -> bool:
    """Whether a panel or a ticket, or what those are made of, or what they were rendered to, still holds the name."""
    gc.collect()
    kinds = kinds or (ConnectorStanding, KnownTicket, CrmPanel, Ticket)
    held = [one for one in gc.get_objects() if isinstance(one, kinds)]
    rendered = [fragment for one in held for fragment in getattr(one, "__dict__", {}).get(KEPT, {}).values()]
    return any(name in repr(one) for one in held) or any(name.encode() in orjson.dumps(fragment) for fragment in rendered)


# Over a socket every query goes the stock way.


async def test_a_query_over_a_socket_is_answered_as_over_http(desk: Helpdesk, crm: Crm) -> None:
    ticket_id, _ = await found(desk, crm)
    await plan(desk, TICKET, id=ticket_id)
    over_http: httpx.Response = await desk.agent.post(TICKET, {"id": ticket_id})

    async with desk.agent.signed_in() as socket:
        for number in range(3):
            payload = {"query": TICKET, "variables": {"id": ticket_id}}
            await send(socket, id=str(number), type="subscribe", payload=payload)
            answer = await receive(socket)
            assert json.dumps(answer["payload"]) == json.dumps(over_http.json())
            assert await receive(socket) == {"id": str(number), "type": "complete"}


async def test_what_is_given_up_here_has_the_time_that_is_left(helpdesk: Helpdesk) -> None:
    endpoint, limits = helpdesk.parts.endpoint(), helpdesk.parts.limits
    schema = cast("Schema", endpoint.schema)
    principal = Principal("eva", "Eva", helpdesk.workspace_id, Role.AGENT, utc_now() + timedelta(hours=1))
    context = Context(services=endpoint.services, request_id="1", principal=principal)
    given_up = "{ viewer { name } tickets(first: -1) { nodes { id } } }"
    assert schema.read(given_up, None)

    answer = await FastPath(schema, limits).answer(posted(given_up), context)

    assert answer is None
    assert context.spent > 0
    late = await schema.execute(VIEWER, context_value=replace(context, spent=limits.duration.total_seconds()))
    assert [(error.extensions or {})["code"] for error in late.errors or ()] == ["LIMIT_EXCEEDED"]


def posted(query: str) -> RawRequest:
    """A request as it reaches the fast path."""

    async def receive() -> Message:
        return {"type": "http.request", "body": orjson.dumps({"query": query}), "more_body": False}

    return RawRequest({"type": "http", "headers": [(b"content-type", b"application/json")]}, receive, most=1_000)
