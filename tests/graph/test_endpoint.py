"""GraphQL over HTTP and server-sent events: who may come in, what is a request, what is answered to what is none."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest
from graphql import get_introspection_query

from domain.identity import Role, WorkspaceId
from graph.limits import Limits
from tests.graph.desk import open_ticket, post, tidy, watches
from tests.stage.front_end import NO_TLS, PATIENCE, FrontEnd
from tests.stage.helpdesk import WATCH, Helpdesk, open_helpdesk
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.stage.crm import Crm

VIEWER = "{ viewer { name } }"
OPENED = "subscription { ticketOpened { id messages { nodes { text } } } }"
EVENTS = "text/event-stream"
ORIGIN = "https://crm.firma.example"


async def send_request(helpdesk: Helpdesk, method: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client:
        return await client.request(method, f"{helpdesk.base_url}/graphql", headers=headers, timeout=PATIENCE)


# Who may come in.


@pytest.mark.parametrize("query", [VIEWER, get_introspection_query()], ids=["viewer", "introspection"])
async def test_without_a_valid_token_even_introspection_gets_401(helpdesk: Helpdesk, query: str) -> None:
    good = helpdesk.token()
    bad_ones: dict[str, dict[str, Any]] = {
        "none": {},
        "empty": {"Authorization": "Bearer"},
        "another scheme": {"Authorization": f"Basic {good}"},
        "nonsense": {"Authorization": "Bearer nonsense"},
        "not ascii": {"Authorization": "Bearer ěšč".encode()},
        "tampered": {"Authorization": f"Bearer {good[:-2]}xx"},
        "unsigned": {"Authorization": f"Bearer eyJhbGciOiJub25lIn0.{good.split('.')[1]}."},
        "expired": {"Authorization": f"Bearer {helpdesk.token(ttl=timedelta(seconds=-1))}"},
        "of no workspace": {"Authorization": f"Bearer {helpdesk.token(workspace=WorkspaceId(uuid4()))}"},
    }

    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS, base_url=helpdesk.base_url) as client:
        answers = {name: await client.post("/graphql", json={"query": query}, headers=h) for name, h in bad_ones.items()}

    assert {name: tidy(answer) for name, answer in answers.items()} == dict.fromkeys(bad_ones, (401, "UNAUTHENTICATED"))
    assert {answer.headers["WWW-Authenticate"] for answer in answers.values()} == {"Bearer"}


async def test_a_mail_token_opens_only_the_inbox(helpdesk: Helpdesk) -> None:
    for query in (VIEWER, get_introspection_query()):
        assert tidy(await helpdesk.front_end(Role.MAIL).post(query)) == (403, "FORBIDDEN")


async def test_the_scheme_of_a_token_may_be_written_in_any_case(helpdesk: Helpdesk) -> None:
    answer = await helpdesk.agent.post(VIEWER, authorization=f"bEARER {helpdesk.token()}")

    assert answer.json() == {"data": {"viewer": {"name": "Test"}}}


async def test_only_post_is_served(helpdesk: Helpdesk) -> None:
    signed_in = {"Authorization": f"Bearer {helpdesk.token()}"}

    for method in ("GET", "PUT", "DELETE", "PATCH"):
        answer = await send_request(helpdesk, method, **signed_in)
        assert tidy(answer) == (405, "BAD_REQUEST")
        assert answer.headers["Allow"] == "POST"
    assert tidy(await send_request(helpdesk, "GET")) == (401, "UNAUTHENTICATED")


async def test_a_browser_of_another_origin_is_served_where_the_operator_allowed_it(tmp_path: Path) -> None:
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, content-type"}

    async with open_helpdesk(tmp_path / "data", allowed_origins=[ORIGIN]) as helpdesk:
        allowed = await send_request(helpdesk, "OPTIONS", Origin=ORIGIN, **preflight)
        foreign = await send_request(helpdesk, "OPTIONS", Origin="https://evil.example", **preflight)
        answer = await helpdesk.agent.post(VIEWER, Origin=ORIGIN)

    assert (allowed.status_code, allowed.headers["Access-Control-Allow-Origin"]) == (200, ORIGIN)
    assert "POST" in allowed.headers["Access-Control-Allow-Methods"]
    assert {"authorization", "content-type"} <= set(allowed.headers["Access-Control-Allow-Headers"].lower().split(", "))
    assert foreign.status_code == 400
    assert "Access-Control-Allow-Origin" not in foreign.headers
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert answer.headers["Access-Control-Expose-Headers"] == "X-Request-Id"


async def test_no_other_origin_is_allowed_unless_the_operator_says_so(helpdesk: Helpdesk) -> None:
    answer = await send_request(helpdesk, "OPTIONS", Origin=ORIGIN, **{"Access-Control-Request-Method": "POST"})

    assert "Access-Control-Allow-Origin" not in answer.headers


# What is a request.

NOT_A_REQUEST: dict[str, str | bytes] = {
    "nothing": "",
    "null": "null",
    "a number": "5",
    "a text": '"x"',
    "a list": "[]",
    "a batch": json.dumps([{"query": VIEWER}, {"query": VIEWER}]),
    "brackets without end": "[" * 100_000,
    "objects without end": '{"a":' * 100_000,
    "half an object": '{"query": "{ viewer { name } }"',
    "broken UTF-8": b'{"query": "\xff"}',
    "an endless number": '{"query": "{ viewer { name } }", "variables": {"n": ' + "9" * 5_000 + "}}",
    "no query": "{}",
    "an empty query": '{"query": ""}',
    "a null query": '{"query": null}',
    "a query that is a number": '{"query": 5}',
    "a query that is a list": '{"query": ["{ viewer { name } }"]}',
    "an operation name that is a number": json.dumps({"query": VIEWER, "operationName": 5}),
    "an operation name that is a list": json.dumps({"query": VIEWER, "operationName": []}),
    "an operation that is not there": json.dumps({"query": VIEWER, "operationName": "Other"}),
    "an operation name that no text can hold": '{"query": "{ viewer { name } }", "operationName": "\\ud800"}',
    "variables that are a list": json.dumps({"query": VIEWER, "variables": []}),
    "variables that are a text": json.dumps({"query": VIEWER, "variables": "{}"}),
    "extensions that are a number": json.dumps({"query": VIEWER, "extensions": 5}),
    "a document without an operation": json.dumps({"query": "fragment F on Viewer { name }"}),
    "a schema": json.dumps({"query": "type Query { a: Int }"}),
}


async def test_a_body_that_is_no_request_is_the_clients_fault(helpdesk: Helpdesk, trouble: Callable[[], list[str]]) -> None:
    answers = {name: tidy(await post(helpdesk, body)) for name, body in NOT_A_REQUEST.items()}

    assert answers == dict.fromkeys(NOT_A_REQUEST, (400, "BAD_REQUEST"))
    assert trouble() == []


NOT_A_DOCUMENT = {
    "no syntax": "{",
    "a character that no document has": "{ \ud800 }",
    "an unknown field": "{ nope }",
    "a fragment that is not there": "{ ...Missing }",
    "fragments in a circle": "{ viewer { ...A } } fragment A on Viewer { ...B } fragment B on Viewer { ...A }",
    "a number that nobody can read": "{ tickets(first: " + "9" * 5_000 + ") { nodes { id } } }",
    "several operations without a name": "query A { viewer { name } } query B { viewer { name } }",
    "a subscription before a query, without a name": "subscription A { ticketOpened { id } } query B { viewer { name } }",
}


async def test_a_document_that_makes_no_sense_is_the_clients_fault(helpdesk: Helpdesk, trouble: Callable[[], list[str]]) -> None:
    answers = {name: tidy(await post(helpdesk, json.dumps({"query": text}))) for name, text in NOT_A_DOCUMENT.items()}

    assert answers == dict.fromkeys(NOT_A_DOCUMENT, (200, "BAD_REQUEST"))
    assert trouble() == []


async def test_numbers_that_json_does_not_have_are_the_clients_fault(helpdesk: Helpdesk) -> None:
    for number in ("NaN", "Infinity", "-Infinity", "1e999"):
        body = '{"query": "query ($n: Int!) { tickets(first: $n) { nodes { id } } }", "variables": {"n": ' + number + "}}"
        assert tidy(await post(helpdesk, body)) == (200, "BAD_REQUEST")


async def test_a_document_with_several_operations_runs_the_one_that_is_named(helpdesk: Helpdesk) -> None:
    document = "query A { viewer { name } } query B { viewer { role } }"

    answer = await post(helpdesk, json.dumps({"query": document, "operationName": "B"}))

    assert answer.json() == {"data": {"viewer": {"role": "AGENT"}}}


async def test_only_json_is_taken(helpdesk: Helpdesk) -> None:
    body = json.dumps({"query": VIEWER})
    types = ["", ";;", "text/plain", "application/graphql", "application/x-www-form-urlencoded", "multipart/form-data"]

    answers = {kind: tidy(await post(helpdesk, body, Content_Type=kind)) for kind in types}

    assert answers == dict.fromkeys(types, (400, "BAD_REQUEST"))
    assert (await post(helpdesk, body, Content_Type="application/json; charset=utf-8")).status_code == 200


async def test_a_body_may_have_one_mebibyte_and_no_more(helpdesk: Helpdesk) -> None:
    empty = json.dumps({"query": VIEWER, "extensions": {"padding": ""}})
    full = empty.replace('""', f'"{"x" * (Limits().body_bytes - len(empty))}"')

    assert (await post(helpdesk, full)).json() == {"data": {"viewer": {"name": "Test"}}}
    assert tidy(await post(helpdesk, full + " ")) == (413, "LIMIT_EXCEEDED")


async def test_a_body_that_is_too_large_is_refused_before_it_has_ended(helpdesk: Helpdesk) -> None:
    async with raw_connection(helpdesk) as (reader, writer):
        writer.write(head(helpdesk, "Transfer-Encoding: chunked"))
        for _ in range(17):
            writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
        await writer.drain()

        async with asyncio.timeout(PATIENCE):
            status = await reader.readline()

    assert status.startswith(b"HTTP/1.1 413 ")


async def test_whoever_breaks_off_while_sending_is_no_fault_of_ours(helpdesk: Helpdesk, trouble: Callable[[], list[str]]) -> None:
    async with raw_connection(helpdesk) as (_, writer):
        writer.write(head(helpdesk, "Content-Length: 1000") + b'{"query"')
        await writer.drain()
        await helpdesk.agent.ask(VIEWER)
        writer.transport.abort()

    await helpdesk.agent.ask(VIEWER)
    assert trouble() == []


async def test_every_answer_bears_a_request_id_of_its_own(helpdesk: Helpdesk) -> None:
    answers = [await helpdesk.agent.post(VIEWER) for _ in range(3)]

    assert len({answer.headers["X-Request-Id"] for answer in answers}) == 3


# JSON or a stream of events.


async def test_a_query_and_a_mutation_get_json_whatever_else_their_accept_lists(helpdesk: Helpdesk) -> None:
    mutation = 'mutation { deleteConnector(id: "x") { __typename } }'

    for accept in (EVENTS, f"{EVENTS}, application/json", f"application/json, {EVENTS};q=0.5", "*/*"):
        for operation in (VIEWER, mutation):
            answer = await helpdesk.admin.post(operation, Accept=accept)
            assert answer.headers["Content-Type"] == "application/json"
            assert "errors" not in answer.json()


async def test_a_subscription_gets_a_stream_of_events_where_its_accept_lists_one(helpdesk: Helpdesk, crm: Crm) -> None:
    await helpdesk.connect(crm.url())
    ticket_id = await open_ticket(helpdesk.agent)
    await helpdesk.settled()

    for accept in (EVENTS, f"application/json, {EVENTS}"):
        async with event_stream(helpdesk.agent, WATCH, {"id": ticket_id}, accept) as (response, events):
            event, payload = await anext(events)
        assert response.headers["Content-Type"] == EVENTS
        assert (event, payload["data"]["crmPanels"]["status"]) == ("next", "NOT_FOUND")


async def test_a_subscription_that_would_get_json_is_told_where_it_is_served(helpdesk: Helpdesk) -> None:
    for accept in ("application/json", "*/*", "multipart/mixed"):
        answer = await helpdesk.agent.post(OPENED, Accept=accept)
        assert tidy(answer) == (400, "BAD_REQUEST")
        message = answer.json()["errors"][0]["message"]
        assert "graphql-transport-ws" in message
        assert EVENTS in message


async def test_what_is_wrong_with_a_subscription_is_said_in_its_stream(helpdesk: Helpdesk) -> None:
    wrong = ["subscription { ticketOpened { nope } }", 'subscription { crmPanels(ticketId: "unknown") { id } }']

    for subscription in wrong:
        async with event_stream(helpdesk.agent, subscription) as (response, events):
            received = [event async for event in events]
        (name, payload), (last, _) = received
        (error,) = payload["errors"]
        assert (name, last) == ("next", "complete")
        assert error["extensions"] == {"code": "BAD_REQUEST", "requestId": response.headers["X-Request-Id"]}


async def test_a_stream_ends_when_its_token_expires(helpdesk: Helpdesk) -> None:
    agent = FrontEnd(helpdesk.base_url, helpdesk.token(ttl=timedelta(seconds=2)))

    async with event_stream(agent, OPENED) as (_, events):
        received = [event async for event in events]

    assert received == []
    assert tidy(await agent.post(VIEWER)) == (401, "UNAUTHENTICATED")
    assert watches(helpdesk) == 0


async def test_a_stream_that_nobody_listens_to_any_more_is_let_go(helpdesk: Helpdesk) -> None:
    async with event_stream(helpdesk.agent, OPENED):
        await eventually(lambda: answered(watches(helpdesk) == 1))

    await eventually(lambda: answered(watches(helpdesk) == 0))


async def test_a_listener_who_stops_reading_is_let_go(impatient: Helpdesk, trouble: Callable[[], list[str]]) -> None:
    helpdesk = impatient
    async with raw_connection(helpdesk, receive_buffer=4096) as (_, writer):
        body = json.dumps({"query": OPENED}).encode()
        writer.write(head(helpdesk, f"Content-Length: {len(body)}", f"Accept: {EVENTS}") + body)
        await eventually(lambda: answered(watches(helpdesk) == 1))

        for _ in range(12):
            await open_ticket(helpdesk.agent, text="x" * 900_000)

        await eventually(lambda: answered(watches(helpdesk) == 0))
    assert trouble() in ([], ["ASGI callable returned without completing response."])


async def answered(value: bool) -> bool:
    return value


def head(helpdesk: Helpdesk, *headers: str) -> bytes:
    lines = [
        "POST /graphql HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Authorization: Bearer {helpdesk.token()}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


@asynccontextmanager
async def raw_connection(
    helpdesk: Helpdesk, *, receive_buffer: int | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", helpdesk.port))
    reader, writer = await asyncio.open_connection(sock=connection, limit=receive_buffer or 0x10000)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


@asynccontextmanager
async def event_stream(
    front_end: FrontEnd, subscription: str, variables: dict[str, Any] | None = None, accept: str = EVENTS
) -> AsyncIterator[tuple[httpx.Response, AsyncIterator[tuple[str, Any]]]]:
    request = {"query": subscription, "variables": variables}
    headers = {"Authorization": f"Bearer {front_end.token}", "Accept": accept}
    async with (
        httpx.AsyncClient(trust_env=False, verify=NO_TLS, base_url=front_end.base_url, timeout=PATIENCE) as client,
        client.stream("POST", "/graphql", json=request, headers=headers) as response,
    ):
        yield response, _events(response)


async def _events(response: httpx.Response) -> AsyncIterator[tuple[str, Any]]:
    name = ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: ") or "null")
