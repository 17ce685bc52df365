"""Nothing that is sent to the API makes it fail: no status of 5xx, no INTERNAL error, no traceback, and it goes on serving."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import string
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import schemathesis
from graphql import get_introspection_query
from hypothesis import HealthCheck, given, seed, settings
from structlog.testing import capture_logs
from websockets.exceptions import ConnectionClosed

from domain.identity import Role
from tests.graph.desk import open_ticket
from tests.stage.front_end import NO_TLS
from tests.stage.waiting import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from tests.promises.conftest import Figure
    from tests.stage.crm import Crm
    from tests.stage.helpdesk import Helpdesk

pytestmark = [pytest.mark.timed, pytest.mark.timeout(900)]

OPENED = "subscription { ticketOpened { id } }"
_ID = re.compile(r'\b(id|ticketId|connectorId): (?:"(?:[^"\\]|\\.)*"|-?\d+)')
_LOOKUP_URL = re.compile(r'\blookupUrl: (?:"(?:[^"\\]|\\.)*"|"""(?:.|\n)*?""")')


@pytest.fixture
async def target(helpdesk: Helpdesk, crm: Crm, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Target]:
    """The whole product with a ticket and a connector."""
    ids = [await helpdesk.connect(crm.url()), await open_ticket(helpdesk.agent), str(helpdesk.workspace_id)]
    with capture_logs() as lines:
        yield Target(helpdesk, ids, crm.url(), lines, caplog.records)


@dataclass(frozen=True)
class Target:
    """Whom we shoot at."""

    helpdesk: Helpdesk
    ids: list[str]
    lookup_url: str
    lines: Sequence[Mapping[str, Any]]
    records: Sequence[logging.LogRecord]
    failures: list[tuple[object, object]] = field(default_factory=list)
    """What was sent and what came, where an answer tells of a failure."""

    def real(self, document: str, chance: Random) -> str:
        """The document with ids that exist here and there; its connectors ask nobody but our own endpoint."""
        document = _LOOKUP_URL.sub(f'lookupUrl: "{self.lookup_url}"', document)
        return _ID.sub(lambda found: f'{found[1]}: "{chance.choice(self.ids)}"' if chance.random() < 0.7 else found[0], document)

    def take(self, sent: object, answer: bytes) -> None:
        """Keep it if it is a failure; ``answer`` begins with its status where it has one."""
        if re.match(rb"(HTTP/1.1 )?5", answer) or b"INTERNAL" in answer:
            self.failures.append((sent, answer))

    async def judge(self, figure: Figure) -> None:
        """It serves, and nothing went wrong, in any answer or behind the scenes."""
        assert (await self.helpdesk.admin.ask("{ viewer { role } }")) == {"viewer": {"role": "ADMIN"}}
        errors = [line for line in self.lines if line["log_level"] in {"error", "critical"}]
        traces = [record.getMessage() for record in self.records if record.levelno >= logging.ERROR or record.exc_info]
        assert (self.failures, errors, traces) == ([], [], [])
        figure("5xx, INTERNAL or tracebacks", len(self.failures) + len(errors) + len(traces))


# Operations made from the schema


@pytest.mark.parametrize("part", range(4))
async def test_operations_made_from_the_schema(target: Target, size: Callable[[int], int], figure: Figure, part: int) -> None:
    schema = schemathesis.graphql.from_dict(await target.helpdesk.admin.ask(get_introspection_query()))
    url = f"{target.helpdesk.base_url}/graphql"
    headers = {"Authorization": f"Bearer {target.helpdesk.token(Role.ADMIN)}"}
    chance, cases, answered = Random(part), 0, 0
    with httpx.Client(trust_env=False, verify=NO_TLS, timeout=30, headers=headers) as client:

        @seed(part)
        @settings(max_examples=size(2_500), deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(schema.as_strategy())
        def operate(case: schemathesis.Case[Any]) -> None:
            nonlocal cases, answered
            document = target.real(str(case.body), chance)
            answer = client.post(url, json={"query": document})
            target.take(document, b"%d %s" % (answer.status_code, answer.content))
            cases += 1
            answered += answer.json().get("data") is not None

        await in_thread(operate)

    assert answered > cases // 4, "most of what was made was refused: it proves little"
    await target.judge(figure)
    figure("operations made from the schema", cases)
    figure("of them answered with data", answered)


# Requests that are none

_VALUES: list[Any] = [
    None, True, False, 0, -1, 1.5, 10**30, "\u0000", "\ud800", "{ viewer { name } }", OPENED,
    "", "x", "query ($a: Int!) { tickets(first: $a) { nodes { id } } }", [], {}, [[]], {"a": {"b": []}}, ["{ viewer { name } }"],
    {"a": 10**400}, {"first": 5, "a": None}, "mutation { createTicket(input: $i) { __typename } }",
]  # fmt: skip
_MEMBERS = ["query", "variables", "operationName", "extensions", "id", "", "Query", "\u0000"]
_METHODS = ["POST"] * 12 + ["GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW", "post"]
_TYPES = [
    "application/json", "application/json", "application/json", "application/json; charset=utf-16", "APPLICATION/JSON",
    "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; boundary=x",
    "application/graphql", "application/graphql-response+json", "", ";", "application/json; =", "text/event-stream", "x" * 2_000,
]  # fmt: skip
_HEADERS = [
    "Accept: text/event-stream", "Accept: multipart/mixed", "Accept: */*;q=x", "Accept: ", "Transfer-Encoding: gzip",
    "Content-Encoding: gzip", "Expect: 100-continue", "Origin: null", "Origin: https://evil.example", "Cookie: a=b; c",
    "X-Request-Id: \x7f", "Upgrade: h2c", "Upgrade: websocket", "Connection: Upgrade", "Range: bytes=0-",
    "traceparent: 00-zz-1-1", "Content-Length: 5", "Host: evil.example", "If-None-Match: *", "Authorization: Basic eDp4",
    "X: " + "y" * 4_000,
]  # fmt: skip


_WORDS = "query mutation fragment on { } ( ) viewer tickets nodes id name ... A $a @skip : Int".split()


def _text(chance: Random) -> str:
    kinds: list[Callable[[], str]] = [
        lambda: "".join(chance.choices(string.printable, k=chance.randrange(200))),
        lambda: "".join(chance.choices('{}[]()!$@:"...#, \n\\', k=chance.randrange(300))),
        lambda: " ".join(chance.choices(_WORDS, k=40)),
        lambda: chr(chance.randrange(0x11_0000)) * chance.randrange(20),
    ]
    return chance.choice(kinds)()


def _value(chance: Random, depth: int = 0) -> Any:  # noqa: ANN401 - any JSON
    match chance.randrange(6):
        case 0 if depth < 5:
            return [_value(chance, depth + 1) for _ in range(chance.randrange(4))]
        case 1 if depth < 5:
            return {chance.choice([*_MEMBERS, _text(chance)]): _value(chance, depth + 1) for _ in range(chance.randrange(4))}
        case 2:
            return _text(chance)
        case _:
            return chance.choice(_VALUES)


def _body(chance: Random) -> bytes:
    match chance.randrange(6):
        case 0:
            return chance.randbytes(chance.randrange(300))
        case 5:
            return json.dumps({"query": "{ viewer { name } }", "variables": {"a": _value(chance)}}).encode()
        case 1:
            return json.dumps(_value(chance)).encode()
        case 2:
            whole = json.dumps({"query": chance.choice(_VALUES), "variables": _value(chance)}).encode()
            return whole[: chance.randrange(len(whole))]
        case 3:
            altered = bytearray(json.dumps({"query": "{ viewer { name } }", "variables": {"a": 1}}).encode())
            for _ in range(3):
                altered[chance.randrange(len(altered))] = chance.randrange(256)
            return bytes(altered)
        case _:
            return json.dumps({name: _value(chance) for name in chance.sample(_MEMBERS, chance.randrange(1, 5))}).encode()


def _request(chance: Random, token: str) -> bytes:
    body = _body(chance)
    length = len(body) if chance.random() < 0.9 else chance.choice([0, len(body) // 2])
    lines = [
        f"{chance.choice(_METHODS)} /graphql{chance.choice(['', '', '?', '?query={viewer{name}}', '/', '?%ff'])} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {token}",
        f"Content-Type: {chance.choice(_TYPES)}",
        *chance.sample(_HEADERS, chance.choice([0, 0, 1, 3])),
        f"Content-Length: {length}",
        "Connection: close",
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


async def test_requests_that_are_none(target: Target, size: Callable[[int], int], figure: Figure) -> None:
    chance, places, statuses = Random(8), asyncio.Semaphore(20), list[int]()

    async def ask(sent: bytes) -> None:
        async with places:
            reader, writer = await asyncio.open_connection("127.0.0.1", target.helpdesk.port)
            writer.write(sent)
            answer = b""
            with suppress(TimeoutError, ConnectionError):  # half a request is waited for, and a stream has no end
                async with asyncio.timeout(5):
                    while chunk := await reader.read(65_536):
                        answer += chunk
            writer.transport.abort()
            target.take(sent, answer)
            statuses.extend(int(status) for status in re.findall(rb"^HTTP/1.1 (\d{3})", answer))

    count, token = size(5_000), target.helpdesk.token()
    await asyncio.gather(*(ask(_request(chance, token)) for _ in range(count)))

    assert len(statuses) > count // 2
    assert {200, 400, 405} <= set(statuses)
    await target.judge(figure)
    figure("requests that are none", count)


# Frames that are none


def _message(chance: Random) -> str | bytes:
    payload = chance.choice(
        [{"query": chance.choice(_VALUES)}, {"query": _text(chance), "variables": _value(chance)}, _value(chance)]
    )
    message: dict[str, Any] = {
        "type": chance.choice(["subscribe"] * 12 + ["complete", "ping", "pong", "connection_init", "next", _text(chance)]),
        "id": chance.choice(["1", "2", "1", "2", _text(chance), chance.choice(_VALUES)]),
        "payload": payload,
    }
    match chance.randrange(12):
        case 8 | 9 | 10 | 11:
            return json.dumps({"type": "subscribe", "id": chance.choice("12"), "payload": {"query": OPENED}})
        case 0:
            return chance.randbytes(chance.randrange(100))
        case 1:
            return json.dumps(_value(chance))
        case 2:
            return _text(chance).encode(errors="replace").decode()
        case _:
            return json.dumps(message)


async def test_frames_that_are_none(target: Target, size: Callable[[int], int], figure: Figure) -> None:
    chance, places, sent, codes = Random(9), asyncio.Semaphore(10), 0, set[int | None]()

    async def talk() -> None:
        nonlocal sent
        async with places, target.helpdesk.admin.signed_in() as socket:
            try:
                for _ in range(20):
                    await socket.send(_message(chance))
                    sent += 1
                    with suppress(TimeoutError):
                        async with asyncio.timeout(0.02):
                            target.take("frames", await socket.recv(decode=False))
            except ConnectionClosed:
                codes.add(socket.close_code)

    await asyncio.gather(*(talk() for _ in range(size(2_000))))

    assert codes <= {4400, 4409, 4429}, codes
    assert {4400, 4409} <= codes
    await target.judge(figure)
    figure("frames that are none", sent)
