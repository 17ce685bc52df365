"""GraphQL over WebSocket: signing in and expiring, what makes no sense, readers that stop."""

from __future__ import annotations

import asyncio
import json
import socket
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from domain.identity import Role, WorkspaceId
from graph.limits import Limits
from server.socket import SocketProtocol
from tests.graph.desk import open_sockets, open_ticket, watches
from tests.stage.front_end import PATIENCE, FrontEnd, receive, send
from tests.stage.helpdesk import Helpdesk, open_helpdesk
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

ORIGIN = "https://crm.firma.example"
VIEWER = "{ viewer { name } }"
OPEN = 'mutation { createTicket(input: {requesterEmail: "jan@firma.cz", subject: "Hello"}) { __typename } }'
OPENED = "subscription { ticketOpened { id messages { nodes { text } } } }"


@pytest.fixture(autouse=True)
async def nothing_stays_open(helpdesk: Helpdesk) -> AsyncIterator[None]:
    """Whatever a test does to its sockets, the gauge returns to 0 and nobody watches any more."""
    yield
    await eventually(lambda: _all_closed(helpdesk))


async def _all_closed(helpdesk: Helpdesk) -> bool:
    return await open_sockets(helpdesk) == 0 and watches(helpdesk) == 0


async def closed(connection: ClientConnection) -> int | None:
    """The code with which the other side closes, whatever it says before; 1006 when the connection breaks."""
    async with asyncio.timeout(PATIENCE):
        await connection.wait_closed()
    return connection.close_code


async def subscribe(connection: ClientConnection, query: str, operation: str = "1", **payload: Any) -> None:  # noqa: ANN401
    await send(connection, id=operation, type="subscribe", payload={"query": query} | payload)


# Signing in.


async def test_only_graphql_transport_ws_is_spoken(helpdesk: Helpdesk) -> None:
    url = f"ws://127.0.0.1:{helpdesk.port}/graphql"

    for offered in ([Subprotocol("graphql-ws")], None):
        async with connect(url, subprotocols=offered, proxy=None) as connection:
            assert await closed(connection) == 4406
    both = [Subprotocol("graphql-ws"), Subprotocol("graphql-transport-ws")]
    async with connect(url, subprotocols=both, proxy=None) as connection:
        assert connection.subprotocol == "graphql-transport-ws"


async def test_the_key_of_the_token_may_be_written_in_any_case(helpdesk: Helpdesk) -> None:
    for key in ("Authorization", "authorization", "AUTHORIZATION"):
        async with helpdesk.agent.socket() as connection:
            await send(connection, type="connection_init", payload={key: f"Bearer {helpdesk.token()}"})
            assert await receive(connection) == {"type": "connection_ack"}


async def test_without_a_valid_token_a_socket_is_closed(helpdesk: Helpdesk, trouble: Callable[[], list[str]]) -> None:
    good = helpdesk.token()
    bad_ones: dict[str, dict[str, Any]] = {
        "no payload": {},
        "no token": {"payload": {}},
        "empty": {"payload": {"Authorization": ""}},
        "null": {"payload": {"Authorization": None}},
        "a number": {"payload": {"Authorization": 5}},
        "without its scheme": {"payload": {"Authorization": good}},
        "another scheme": {"payload": {"Authorization": f"Basic {good}"}},
        "nonsense": {"payload": {"Authorization": "Bearer nonsense"}},
        "what no text can hold": {"payload": {"Authorization": "Bearer \ud800"}},
        "expired": {"payload": {"Authorization": f"Bearer {helpdesk.token(ttl=timedelta(seconds=-1))}"}},
        "of no workspace": {"payload": {"Authorization": f"Bearer {helpdesk.token(workspace=WorkspaceId(uuid4()))}"}},
        "for mail": {"payload": {"Authorization": f"Bearer {helpdesk.token(Role.MAIL)}"}},
    }

    codes = {}
    for name, init in bad_ones.items():
        async with helpdesk.agent.socket() as connection:
            await send(connection, type="connection_init", **init)
            codes[name] = await closed(connection)

    assert codes == dict.fromkeys(bad_ones, 4403)
    assert trouble() == []


async def test_nothing_runs_before_signing_in_and_nobody_signs_in_twice(helpdesk: Helpdesk) -> None:
    async with helpdesk.agent.socket() as connection:
        await subscribe(connection, VIEWER)
        assert await closed(connection) == 4401
    async with helpdesk.agent.signed_in() as connection:
        await send(connection, type="connection_init", payload={"Authorization": f"Bearer {helpdesk.token(Role.ADMIN)}"})
        assert await closed(connection) == 4429


async def test_a_socket_is_closed_when_its_token_expires(helpdesk: Helpdesk, trouble: Callable[[], list[str]]) -> None:
    agent = FrontEnd(helpdesk.base_url, helpdesk.token(ttl=timedelta(seconds=2)))

    async with agent.watching(OPENED) as opened:
        assert await closed(opened.socket) == 4403

    assert trouble() == []


async def test_a_page_of_another_origin_opens_no_socket(helpdesk: Helpdesk) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        async with helpdesk.agent.socket(origin="https://evil.example"):
            pass

    assert refusal.value.response.status_code == 403
    async with helpdesk.agent.signed_in(origin=helpdesk.base_url):
        pass


async def test_a_page_of_an_allowed_origin_opens_a_socket(helpdesk: Helpdesk, tmp_path: Path) -> None:
    async with open_helpdesk(tmp_path / "other", allowed_origins=[ORIGIN]) as open_desk:
        async with open_desk.agent.signed_in(origin=ORIGIN):
            pass
        with pytest.raises(InvalidStatus):
            async with open_desk.agent.socket(origin="https://evil.example"):
                pass


async def test_a_socket_is_asked_to_come_back_when_the_database_is_away(helpdesk: Helpdesk, tmp_path: Path) -> None:
    newcomer = helpdesk.token(workspace=await helpdesk.add_workspace("Next door", "support@nextdoor.example"))
    await helpdesk.parts.database.close()
    (tmp_path / "data").rename(tmp_path / "elsewhere")

    async with helpdesk.agent.socket() as connection:
        await send(connection, type="connection_init", payload={"Authorization": f"Bearer {newcomer}"})
        assert await closed(connection) == 1013

    (tmp_path / "elsewhere").rename(tmp_path / "data")


# What makes no sense.

NOT_A_MESSAGE: dict[str, str | bytes] = {
    "no JSON": "hello",
    "nothing": "",
    "null": "null",
    "a number": "5",
    "a text": '"x"',
    "a list": "[]",
    "an object without a type": "{}",
    "a type that is a number": '{"type": 5}',
    "an unknown type": '{"type": "start"}',
    "a long unknown type": json.dumps({"type": "ř" * 1_000}),
    "a type that no text can hold": '{"type": "\\ud800"}',
    "brackets without end": "[" * 100_000,
    "objects without end": '{"a":' * 40_000,
    "an endless number": '{"type": "ping", "payload": ' + "9" * 5_000 + "}",
    "a binary frame": b'{"type": "ping"}',
    "subscribe without an id": '{"type": "subscribe", "payload": {"query": "{ viewer { name } }"}}',
    "subscribe with a number for its id": '{"type": "subscribe", "id": 1, "payload": {"query": "{ viewer { name } }"}}',
    "subscribe without a payload": '{"type": "subscribe", "id": "1"}',
    "subscribe with a payload that is a list": '{"type": "subscribe", "id": "1", "payload": []}',
    "subscribe without a query": '{"type": "subscribe", "id": "1", "payload": {}}',
    "subscribe with a number for a query": '{"type": "subscribe", "id": "1", "payload": {"query": 5}}',
    "subscribe with a list of variables": '{"type": "subscribe", "id": "1", "payload": {"query": "{a}", "variables": []}}',
    "subscribe with a number for a name": '{"type": "subscribe", "id": "1", "payload": {"query": "{a}", "operationName": 5}}',
    "complete without an id": '{"type": "complete"}',
    "complete with a list for an id": '{"type": "complete", "id": []}',
}


async def test_a_message_that_makes_no_sense_closes_the_socket(helpdesk: Helpdesk, trouble: Callable[[], list[str]]) -> None:
    codes = {}
    for name, message in NOT_A_MESSAGE.items():
        async with helpdesk.agent.signed_in() as connection:
            await connection.send(message)
            codes[name] = await closed(connection)

    assert codes == dict.fromkeys(NOT_A_MESSAGE, 4400)
    assert trouble() == []


async def test_a_payload_of_init_that_is_no_object_closes_the_socket(helpdesk: Helpdesk) -> None:
    for payload in (["x"], "x", 5):
        async with helpdesk.agent.socket() as connection:
            await send(connection, type="connection_init", payload=payload)
            assert await closed(connection) == 4400


async def test_the_id_of_an_operation_is_taken_once_at_a_time_however_long_it_is(helpdesk: Helpdesk) -> None:
    async with helpdesk.agent.signed_in() as connection:
        for _ in range(2):
            await subscribe(connection, OPENED, "ř" * 200)
        assert await closed(connection) == 4409


NOT_A_DOCUMENT: dict[str, dict[str, Any]] = {
    "nothing": {"query": ""},
    "no syntax": {"query": "{"},
    "no syntax, at length": {"query": "{ viewer { name } } " + "x" * 500},
    "a character that no document has": {"query": "{ \ud800 }"},
    "an unknown field": {"query": "{ nope }"},
    "an unknown field of a subscription": {"query": "subscription { nope }"},
    "a fragment that is not there": {"query": "{ ...Missing }"},
    "an operation that is not there": {"query": VIEWER, "operationName": "Other" * 100},
    "an operation name that no text can hold": {"query": VIEWER, "operationName": "\ud800"},
    "several operations without a name": {"query": "query A { viewer { name } } query B { viewer { name } }"},
    "a variable of another type": {"query": "query ($n: Int!) { tickets(first: $n) { nodes { id } } }", "variables": {"n": "x"}},
    "a ticket that is not there": {"query": 'subscription { crmPanels(ticketId: "unknown") { id } }'},
}


async def test_what_is_wrong_with_an_operation_is_said_and_the_socket_stays(
    helpdesk: Helpdesk, trouble: Callable[[], list[str]]
) -> None:
    codes: dict[str, str] = {}
    request_ids: set[str] = set()
    async with helpdesk.agent.signed_in() as connection:
        for name, payload in NOT_A_DOCUMENT.items():
            await subscribe(connection, operation=name, **payload)
            (error,) = await errors_of(connection, name)
            codes[name] = error["extensions"]["code"]
            request_ids.add(error["extensions"]["requestId"])
        await subscribe(connection, VIEWER)
        answer = await receive(connection)

    assert codes == dict.fromkeys(NOT_A_DOCUMENT, "BAD_REQUEST")
    assert len(request_ids) == len(NOT_A_DOCUMENT)
    assert answer["payload"] == {"data": {"viewer": {"name": "Test"}}}
    assert trouble() == []


async def errors_of(connection: ClientConnection, operation: str) -> Any:  # noqa: ANN401 - errors as they came
    """The errors with which an operation ends: in a message of their own, or in its only result."""
    message = await receive(connection)
    assert message["id"] == operation
    if message["type"] == "error":
        return message["payload"]
    assert message["type"] == "next", message
    assert (await receive(connection))["type"] == "complete"
    return message["payload"]["errors"]


async def test_a_ping_is_answered(helpdesk: Helpdesk) -> None:
    async with helpdesk.agent.signed_in() as connection:
        await send(connection, type="ping")
        assert await receive(connection) == {"type": "pong"}
        await send(connection, type="pong", payload={"what": "ever"})
        await send(connection, type="complete", id="never started")
        await send(connection, type="ping", payload={"what": "ever"})
        assert await receive(connection) == {"type": "pong"}


async def test_queries_and_mutations_run_over_a_socket(helpdesk: Helpdesk) -> None:
    async with helpdesk.agent.signed_in() as connection:
        for operation in (VIEWER, 'mutation { refreshLookup(ticketId: "x") { __typename } }'):
            await subscribe(connection, operation)
            assert "errors" not in (await receive(connection))["payload"]
            assert await receive(connection) == {"id": "1", "type": "complete"}


async def test_whoever_watches_hears_of_what_was_done_for_one_who_has_gone_meanwhile(helpdesk: Helpdesk) -> None:
    async with helpdesk.agent.watching(OPENED) as watching, helpdesk.agent.signed_in() as connection:
        await eventually(lambda: answered(watches(helpdesk) == 1))

        await subscribe(connection, OPEN)
        await send(connection, id="1", type="complete")

        async with asyncio.timeout(PATIENCE):  # without being told they would look again later
            assert (await watching.next())["id"]
        await send(connection, type="ping")
        assert await receive(connection) == {"type": "pong"}


async def test_a_socket_has_room_for_a_hundred_operations(helpdesk: Helpdesk) -> None:
    async with helpdesk.agent.signed_in() as connection:
        for number in range(Limits().socket_operations):
            await subscribe(connection, OPENED, str(number))
        await subscribe(connection, OPENED, "one too many")

        (error,) = await errors_of(connection, "one too many")

        assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
        assert error["extensions"]["requestId"]
        await send(connection, type="complete", id="0")
        await subscribe(connection, VIEWER, "in the place of another")
        assert (await receive(connection))["payload"] == {"data": {"viewer": {"name": "Test"}}}


# Readers that stop.


async def test_a_reader_who_stops_is_let_go(impatient: Helpdesk, trouble: Callable[[], list[str]]) -> None:
    helpdesk = impatient
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.setblocking(False)
    await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", helpdesk.port))
    async with helpdesk.agent.signed_in(sock=narrow, max_queue=1, ping_interval=None, close_timeout=0) as connection:
        await subscribe(connection, OPENED)
        await eventually(lambda: answered(watches(helpdesk) == 1))
        connection.transport.pause_reading()

        for _ in range(12):
            await open_ticket(helpdesk.agent, text="x" * 900_000)

        await eventually(lambda: _all_closed(helpdesk))
        await eventually(lambda: answered(not any(isinstance(one, SocketProtocol) for one in connections(helpdesk))))
        connection.transport.abort()
    assert trouble() == []


def connections(helpdesk: Helpdesk) -> set[Any]:
    """Those that the server has."""
    return helpdesk.server.server_state.connections


async def test_a_socket_keeps_nothing_of_its_opening_but_what_the_application_was_given(helpdesk: Helpdesk) -> None:
    async with helpdesk.agent.signed_in():
        (opened,) = (one for one in connections(helpdesk) if isinstance(one, SocketProtocol))

        assert b"upgrade" in dict(opened.scope["headers"])
        assert [*opened.request.headers, *opened.response.headers] == []


async def test_a_reader_who_breaks_off_is_let_go(helpdesk: Helpdesk, trouble: Callable[[], list[str]]) -> None:
    async with helpdesk.agent.signed_in() as connection:
        for number in range(20):
            await subscribe(connection, OPENED, str(number))
        await eventually(lambda: answered(watches(helpdesk) == 20))
        assert await open_sockets(helpdesk) == 1

        connection.transport.abort()
        for _ in range(5):
            await open_ticket(helpdesk.agent)

    await eventually(lambda: _all_closed(helpdesk))
    assert trouble() == []


async def answered(value: bool) -> bool:
    return value
