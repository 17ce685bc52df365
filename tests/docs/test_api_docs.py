"""docs/api.md: everything that it shows is done, and what comes back is what it shows."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from itertools import product
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from domain.answer import BadgeColor, Customer, Found, NotFound
from domain.failure import Failure, FailureKind
from domain.identity import Role
from domain.lookup import LookupStatus, LookupTrigger, Standing, StoredAnswer
from domain.words import Locale
from graph.errors import ErrorCode
from graph.limits import Limits
from graph.pages import MAX_PAGE
from server.clock import utc_now
from tests.docs.desk import comparable, panel_of, refusals_in, set_up, shell
from tests.docs.page import API, GUIDE, Operation, code_in, number_in
from tests.stage.front_end import NO_TLS, PATIENCE
from tests.stage.helpdesk import open_helpdesk

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docs.desk import Desk
    from tests.stage.crm import Crm
    from tests.stage.helpdesk import Helpdesk

_ANSWER = (
    '{"found": true, "customer_id": "1001", "name": "Jan Novák", "badge": "Business", "badge_color": "blue", '
    '"fields": {"Plan": "business", "Seats": "12"}}'
)
LIMITS = Limits()
_CLOSED_BY_THE_NETWORK = {1001, 1005, 1006, 1011}
_PATIENT = {4408}  # takes the ten seconds that it is about
_FLOODED = {1008}  # provoked in tests/promises/test_hostile_sockets.py
_WITHOUT_DATABASE = {1013}  # provoked in tests/graph/test_socket.py


@pytest.fixture
async def desk(helpdesk: Helpdesk, crm: Crm) -> Desk:
    return await set_up(helpdesk, crm, _ANSWER)


@pytest.mark.parametrize("operation", API.operations, ids=lambda operation: operation.name)
async def test_every_operation_is_answered_as_the_page_shows(desk: Desk, operation: Operation) -> None:
    role = Role.ADMIN if operation.heading.endswith("(admins)") else Role.AGENT
    if operation.variables.get("after") == "Mg":
        await desk.open_ticket()

    answer = await desk.perform(operation, role)

    assert "errors" not in answer, answer
    if operation.answer is None:
        assert refusals_in(answer) == []
    else:
        assert comparable(answer) == comparable(operation.answer)


async def test_a_token_made_by_the_command_that_the_page_shows_opens_the_api(desk: Desk, tmp_path: Path) -> None:
    making, asking = [block for block in API.blocks if block.language == "sh" and block.heading == "Sign in"]

    token = await shell(desk.really(making.text), tmp_path, DISQUA_DATA_DIR=str(tmp_path / "data"))
    printed = await shell(desk.really(asking.text), tmp_path, TOKEN=token.strip())

    assert json.loads(printed) == API.block_after(asking).json


async def test_curl_receives_the_event_stream_that_the_page_shows(desk: Desk, tmp_path: Path) -> None:
    (watching,) = [block for block in API.blocks if block.heading == "Over server-sent events" and block.language == "sh"]
    shown = API.block_after(watching).text

    printed = await shell(desk.really(watching.text), tmp_path, lines=len(shown.splitlines()), TOKEN=desk.helpdesk.agent.token)

    assert printed.splitlines() == shown.splitlines()


async def test_the_conversation_over_a_websocket_goes_as_the_page_shows(desk: Desk) -> None:
    (conversation,) = [block for block in API.blocks if block.heading == "Over WebSocket" and block.language == "text"]
    token = desk.helpdesk.agent.token

    async with desk.helpdesk.agent.socket() as socket, asyncio.timeout(PATIENCE):
        for line in desk.really(conversation.text).splitlines():
            direction, frame = line.split(" ", 1)
            if direction == "→":
                await socket.send(frame.replace("eyJhbGciOi…", token))
            else:
                assert json.loads(await socket.recv()) == json.loads(frame)


def test_the_table_of_panels_names_every_state_that_a_panel_can_have() -> None:
    rows = API.table("`status`", "`refreshing`", "`stale`")
    shown = [
        (status, row["`refreshing`"] == "true", row["`stale`"] == "true") for row in rows for status in code_in(row["`status`"])
    ]
    found, unknown = Found(Customer(name="Jan")), NotFound()
    answers = [None, StoredAnswer(found, utc_now()), StoredAnswer(unknown, utc_now())]
    failures = [None, Failure(FailureKind.DNS), Failure(FailureKind.TIMEOUT)]

    panels = [panel_of(Standing(*standing)) for standing in product(answers, failures, [True, False])]

    assert sorted(shown) == sorted({(str(panel.status), panel.refreshing, panel.stale) for panel in panels})


def test_the_badges_are_worded_as_the_page_says() -> None:
    told = {code_in(row["status"])[0]: row for row in API.table("status", "`CS`", "`EN`", "colour")}
    assert list(told) == list(LookupStatus)

    for standing in (
        Standing(StoredAnswer(NotFound(), utc_now())),
        Standing(failure=Failure(FailureKind.DNS)),
        Standing(failure=Failure(FailureKind.TIMEOUT)),
    ):
        panel = panel_of(standing)
        for locale in Locale:
            badge, row = panel.badge(locale), told[panel.status]
            assert badge is not None
            assert (row[f"`{locale}`"], row["colour"]) == (badge.text, f"`{badge.color}`")


@pytest.mark.parametrize(
    ("role", "request_", "code"),
    [
        (None, {"json": {"query": "{ viewer { name } }"}}, ErrorCode.UNAUTHENTICATED),
        (Role.MAIL, {"json": {"query": "{ viewer { name } }"}}, ErrorCode.FORBIDDEN),
        (Role.AGENT, {"json": {"query": "{ connectors { id } }"}}, ErrorCode.FORBIDDEN),
        (Role.AGENT, {"json": {"query": "{ nothing }"}}, ErrorCode.BAD_REQUEST),
        (Role.AGENT, {"json": []}, ErrorCode.BAD_REQUEST),
        (Role.AGENT, {"method": "GET"}, ErrorCode.BAD_REQUEST),
        (Role.AGENT, {"content": b" " * (LIMITS.body_bytes + 1)}, ErrorCode.LIMIT_EXCEEDED),
        (Role.AGENT, {"json": {"query": f"{{ {'viewer { name } ' * LIMITS.tokens} }}"}}, ErrorCode.LIMIT_EXCEEDED),
    ],
)
async def test_a_refusal_has_the_code_and_a_status_that_the_page_names(
    helpdesk: Helpdesk, role: Role | None, request_: dict[str, Any], code: ErrorCode
) -> None:
    (row,) = [row for row in API.table("`extensions.code`") if code in code_in(row["`extensions.code`"])]
    authorization = {"Authorization": f"Bearer {helpdesk.token(role)}"} if role else {}

    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client:
        request = {"method": "POST", "headers": authorization | {"Content-Type": "application/json"}} | request_
        answer = await client.request(url=f"{helpdesk.base_url}/graphql", **request)

    (error,) = answer.json()["errors"][:1]
    assert error["extensions"] == {"code": code, "requestId": answer.headers["X-Request-Id"]}
    assert str(answer.status_code) in row["HTTP status"]


def test_the_table_of_codes_names_every_code() -> None:
    assert [code_in(row["`extensions.code`"])[0] for row in API.table("`extensions.code`")] == list(ErrorCode)


async def test_a_socket_is_closed_with_the_codes_that_the_page_names(tmp_path: Path) -> None:
    named = {int(code) for row in API.table("WebSocket close code") for code in row["WebSocket close code"].split(", ")}

    async with open_helpdesk(tmp_path / "data") as helpdesk:
        init = json.dumps({"type": "connection_init", "payload": {"Authorization": f"Bearer {helpdesk.token()}"}})
        subscribe = json.dumps({"type": "subscribe", "id": "1", "payload": {"query": "subscription { ticketOpened { id } }"}})
        closed = {
            await _close_code(helpdesk, '{"type": "connection_init"}'),
            await _close_code(helpdesk, init, "x" * (LIMITS.frame_bytes + 1)),
            await _close_code(helpdesk, init, "[]"),
            await _close_code(helpdesk, subscribe),
            await _close_code(helpdesk, init, subprotocol="graphql-ws"),
            await _close_code(helpdesk, init, subscribe, subscribe),
            await _close_code(helpdesk, init, init),
        }
        left_open = await connect(_socket_url(helpdesk), subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None)
        await left_open.send(init)
        await left_open.recv()
    await left_open.wait_closed()
    closed.add(left_open.close_code)

    assert closed == named - _CLOSED_BY_THE_NETWORK - _PATIENT - _FLOODED - _WITHOUT_DATABASE


def test_the_limits_are_those_of_the_code() -> None:
    limit = {row["what"]: row["at most"] for row in API.table("what", "at most")}

    assert limit["body of a request"] == f"{LIMITS.body_bytes // 1024**2} MiB"
    assert limit["message on a socket"] == f"{LIMITS.frame_bytes // 1024} KiB"
    assert limit["duration of a query"] == f"{LIMITS.duration.total_seconds():g} seconds"
    assert {what: number_in(limit[what]) for what in list(limit)[3:]} == {
        "tokens in a document": LIMITS.tokens,
        "directives in a document": LIMITS.directives,
        "selections in a document, each counted wherever its fragment is spread": LIMITS.selections,
        "values inside the arguments of a document, or inside its variables": LIMITS.values,
        "levels of depth in an operation": LIMITS.depth,
        "levels of fields and fragments nested in each other": LIMITS.nesting,
        "aliases in an operation": LIMITS.aliases,
        "fields of the same name in one selection, those of its fragments too": LIMITS.equal_fields,
        "comparisons of fields that might answer under the same name": LIMITS.comparisons,
        "fields in an answer, were every list as long as its `first`": LIMITS.fields,
        "`first`": MAX_PAGE,
        "operations in one request": 1,
        "operations at once on one socket": LIMITS.socket_operations,
        "messages at once on one socket": LIMITS.socket_messages,
    }


@pytest.mark.parametrize("words", [LookupStatus, LookupTrigger, BadgeColor, ErrorCode, Locale], ids=lambda words: words.__name__)
def test_every_word_of_a_closed_list_is_on_the_page(words: Any) -> None:  # noqa: ANN401 - any enum
    assert set(words) <= set(code_in(API.prose))


async def test_every_field_of_the_schema_is_shown_somewhere(helpdesk: Helpdesk) -> None:
    schema = (await helpdesk.agent.ask("{ __schema { types { name kind fields { name } inputFields { name } } } }"))["__schema"]
    names = {
        field["name"]
        for type_ in schema["types"]
        if not type_["name"].startswith("__")
        for field in [*(type_["fields"] or []), *(type_["inputFields"] or [])]
    }
    code = [text for page in (API, GUIDE) for text in [*code_in(page.prose), *(block.text for block in page.blocks)]]
    shown = set(re.findall(r"\w+", " ".join(code)))

    assert names - shown == set()


async def _close_code(helpdesk: Helpdesk, *frames: str, subprotocol: str = "graphql-transport-ws") -> int | None:
    """The code with which the server closes a socket that sends these frames."""
    async with connect(_socket_url(helpdesk), subprotocols=[Subprotocol(subprotocol)], proxy=None) as socket:
        with suppress(ConnectionClosed):
            for frame in frames:
                await socket.send(frame)
            async with asyncio.timeout(PATIENCE):
                while True:
                    await socket.recv()
        return socket.close_code


def _socket_url(helpdesk: Helpdesk) -> str:
    return f"ws://127.0.0.1:{helpdesk.port}/graphql"
