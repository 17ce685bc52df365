from __future__ import annotations

import asyncio
import base64
import gzip
import json
import logging
import random
import socket
import ssl
import struct
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import TYPE_CHECKING
from urllib.parse import quote
from uuid import UUID

import aiohttp
import pytest
import trustme
from aiohttp.http_exceptions import HttpProcessingError

from domain.answer import Badge, BadgeColor, Customer, Field, Found, NotFound
from domain.failure import Failure, FailureKind
from domain.identity import EmailAddress, LookupId, TicketId, WorkspaceId
from domain.secret import Secret
from lookups.client import MAX_BODY, LookupClient, failure_kind
from lookups.guard import Guard
from lookups.question import Question, RequestHeader
from lookups.signature import Signing, new_signing_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.lookups.conftest import Listen, Script

LOOPBACK = ip_network("127.0.0.0/8")
BUDGET = 3.0  # seconds; uvloop counts time in whole milliseconds
SECRET = 'k3y/"+ \\x=? of the CRM'
QUICK = timedelta(milliseconds=300)


def answer(body: bytes = b'{"found": false}', *, status: str = "200 OK", headers: str = "") -> bytes:
    """A well-formed HTTP answer."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode("latin-1") + body


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + end


def says(*parts: bytes) -> Script:
    """Write these one after the other, and keep the connection."""

    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)  # so that each travels alone

    return script


def says_and_closes(data: bytes) -> Script:
    """Write this and say goodbye, without having announced it."""

    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        writer.close()

    return script


def says_and_resets(*parts: bytes) -> Script:
    """Write this and break the connection off."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await says(*parts)(reader, writer)
        linger_for_no_time = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_for_no_time)
        writer.transport.abort()

    return script


def says_and_stalls(data: bytes) -> Script:
    """Write this, then nothing until the client hangs up."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        await reader.read()
        writer.close()

    return script


def drips(data: bytes, *, after: bytes = b"") -> Script:
    """Write something at once and the rest byte by byte."""

    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(after)
        for byte in data:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.1)

    return script


async def floods(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Write chunks for ever."""
    writer.write(chunked(end=b""))
    while not writer.is_closing():
        writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
        await writer.drain()


def question(url: str, *, email: str = "jan.novak@company.cz", secret: str | None = SECRET) -> Question:
    return Question(
        url=url,
        header_name="X-Api-KEY" if secret else None,
        secret=Secret(secret) if secret else None,
        email=EmailAddress(email),
        ticket_id=TicketId(UUID("01890000-0000-7000-8000-000000000001")),
        workspace_id=WorkspaceId(UUID("01890000-0000-7000-8000-000000000002")),
    )


@pytest.fixture
async def quick_client() -> AsyncIterator[LookupClient]:
    """A client with a short budget, for what is bound to run into it."""
    async with LookupClient(Guard(allowed_networks=[LOOPBACK]), budget=QUICK) as client:
        yield client


# The request


async def test_the_request_goes_out_byte_for_byte_as_documented(listen: Listen, client: LookupClient) -> None:
    endpoint = await listen(says(answer()))

    await client.ask(question(f"{endpoint.url}/a%2Fb/%7Ejan?key=a%20b+c&x=%2B%3D%zz&utf=ä"))

    body = (
        b'{"email": "jan.novak@company.cz", "ticket_id": "01890000-0000-7000-8000-000000000001", '
        b'"workspace_id": "01890000-0000-7000-8000-000000000002", "source": "disqua-helpdesk"}'
    )
    assert endpoint.requests == [
        b"POST /lookup/a%%2Fb/%%7Ejan?key=a%%20b+c&x=%%2B%%3D%%zz&utf=%%C3%%A4 HTTP/1.1\r\n"
        b"Host: 127.0.0.1:%d\r\n"
        b"Content-Type: application/json\r\n"
        b"User-Agent: Disqua-CRM-Connector/1.0\r\n"
        b"Accept: application/json\r\n"
        b"Accept-Encoding: identity\r\n"
        b"Connection: keep-alive\r\n"
        b"X-Api-KEY: %s\r\n"
        b"Content-Length: %d\r\n"
        b"\r\n"
        b"%s" % (endpoint.port, SECRET.encode(), len(body), body)
    ]


async def test_the_reply_tells_the_request_as_it_was_heard_but_for_the_secret(listen: Listen, client: LookupClient) -> None:
    endpoint = await listen(says(answer()))
    signing = Signing(lookup_id=LookupId(UUID(int=7)), keys=(new_signing_key(), new_signing_key()), at=datetime.now(UTC))

    sent = (await client.ask(replace(question(f"{endpoint.url}/%7Ejan?utf=ä"), signing=signing))).request

    assert sent is not None
    head, _, body = endpoint.requests[0].partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    assert first == f"{sent.method} {sent.url.removeprefix(f'http://127.0.0.1:{endpoint.port}')} HTTP/1.1"
    assert lines == [f"{header.name}: {SECRET if header.value == '•••' else header.value}" for header in sent.headers]
    assert RequestHeader("X-Api-KEY", "•••") in sent.headers
    assert [header.name for header in sent.headers][-4:-1] == ["webhook-id", "webhook-timestamp", "webhook-signature"]
    assert body.decode() == sent.body


@pytest.mark.parametrize("secret", ["x", "application/json", "127.0.0.1", "jan.novak@company.cz", SECRET * 100])
async def test_a_request_that_is_told_hides_the_secret_whatever_it_resembles(
    listen: Listen, client: LookupClient, secret: str
) -> None:
    endpoint = await listen(says(answer()))

    sent, other = [(await client.ask(question(endpoint.url, secret=one))).request for one in (secret, SECRET)]

    assert sent == other


async def test_a_request_that_could_not_be_sent_is_told_all_the_same(client: LookupClient) -> None:
    blocked = await client.ask(question("http://10.0.0.1/lookup"))
    undialled = await client.ask(question(f"http://{'ä' * 70}.cz/lookup"))

    assert blocked.outcome == Failure(FailureKind.BLOCKED_ADDRESS)
    assert blocked.request is not None
    assert blocked.request.url == "http://10.0.0.1/lookup"
    assert (undialled.outcome, undialled.request) == (Failure(FailureKind.DNS), None)


async def test_a_connector_without_a_secret_sends_no_further_header(listen: Listen, client: LookupClient) -> None:
    endpoint = await listen(says(answer()))

    await client.ask(question(endpoint.url, secret=None))

    head, _, _ = endpoint.requests[0].partition(b"\r\n\r\n")
    names = [line.partition(b":")[0].decode() for line in head.split(b"\r\n")[1:]]
    assert names == ["Host", "Content-Type", "User-Agent", "Accept", "Accept-Encoding", "Connection", "Content-Length"]


async def test_an_address_in_any_script_goes_out_in_utf_8(listen: Listen, client: LookupClient) -> None:
    endpoint = await listen(says(answer()))

    await client.ask(question(endpoint.url, email='"jörg 😀"@xn--bcher-kva.example'))

    body = endpoint.requests[0].partition(b"\r\n\r\n")[2]
    assert json.loads(body)["email"] == '"jörg 😀"@xn--bcher-kva.example'
    assert "jörg 😀".encode() in body


async def test_no_cookie_is_kept_and_the_second_request_equals_the_first(listen: Listen, client: LookupClient) -> None:
    endpoint = await listen(says(answer(headers="Set-Cookie: session=1; Path=/\r\n")))

    for _ in range(2):
        await client.ask(question(endpoint.url))

    assert endpoint.requests[0] == endpoint.requests[1]
    assert endpoint.connections == 1


async def test_a_proxy_in_the_environment_is_ignored(listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint, proxy = await listen(says(answer())), await listen(says(answer()))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("NO_PROXY", "")

    async with LookupClient(Guard(allowed_networks=[LOOPBACK])) as client:
        await client.ask(question(endpoint.url))

    assert (len(endpoint.requests), proxy.connections) == (1, 0)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_never_followed(listen: Listen, client: LookupClient, status: str) -> None:
    target = await listen(says(answer()))
    endpoint = await listen(says(answer(b"moved", status=status, headers=f"Location: {target.url}\r\n")))

    reply = await client.ask(question(endpoint.url))

    code = int(status[:3])
    assert reply.outcome == Failure(FailureKind.REDIRECT, code)
    assert (reply.http_status, reply.response) == (code, "moved")
    assert (len(endpoint.requests), target.connections) == (1, 0)


async def test_a_request_is_never_sent_twice(listen: Listen, client: LookupClient) -> None:
    """For aiohttp repeats an idempotent request when the connection it reused turns out to be dead."""
    scripts = iter([says(answer()), says_and_resets(), says(answer())])

    async def next_script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await next(scripts)(reader, writer)

    endpoint = await listen(next_script)
    await client.ask(question(endpoint.url))
    reply = await client.ask(question(endpoint.url))

    assert reply.outcome == Failure(FailureKind.RESET)
    assert (len(endpoint.requests), endpoint.connections) == (2, 1)


async def test_no_lookup_is_lost_on_a_connection_that_its_peer_has_closed(listen: Listen, client: LookupClient) -> None:
    endpoint = await listen(says_and_closes(answer()))

    for _ in range(20):
        reply = await client.ask(question(endpoint.url))
        await endpoint.closed.wait()
        endpoint.closed.clear()
        assert reply.outcome == NotFound()

    assert len(endpoint.requests) == 20


async def test_an_answer_that_nobody_asked_for_is_never_given_to_the_next(listen: Listen, client: LookupClient) -> None:
    endpoint = await listen(says(answer(), answer(b'{"found": true, "name": "Somebody Else"}')))

    replies = []
    for _ in range(5):
        replies.append(await client.ask(question(endpoint.url)))
        await asyncio.sleep(0.03)  # the time that the second answer takes to arrive

    assert [reply.outcome for reply in replies] == [NotFound()] * 5


# The table of answers


async def test_a_found_customer_is_read_with_its_warnings(listen: Listen, client: LookupClient) -> None:
    document = (
        b'{"found": true, "customer_id": 12345, "name": "Jan", "badge": "VIP", "badge_color": "gold", "fields": {"Plan": "Pro"}}'
    )
    endpoint = await listen(says(answer(document)))

    reply = await client.ask(question(endpoint.url))

    customer = Customer("12345", "Jan", Badge("VIP", BadgeColor.GRAY), (Field("Plan", "Pro"),))
    assert reply.outcome == Found(customer)
    assert reply.http_status == 200
    assert sorted(warning.path for warning in reply.warnings) == ["badge_color", "customer_id"]
    assert reply.response == document.decode()
    assert timedelta() < reply.took < timedelta(seconds=1)


NOT_FOUND_ANSWERS = {
    "plain": answer(),
    "created": answer(status="201 Created"),
    "partial": answer(status="206 Partial Content"),
    "in chunks": chunked(b'{"found":', b" false}"),
    "with trailers": chunked(b'{"found": false}', end=b"0\r\nX-Time: 5\r\n\r\n"),
    "HTTP/1.0, ended by its connection": b'HTTP/1.0 200 OK\r\n\r\n{"found": false}',
    "without a reason": b'HTTP/1.1 200\r\nContent-Length: 16\r\n\r\n{"found": false}',
    "after interim answers": b"HTTP/1.1 100 Continue\r\n\r\n" * 50 + b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + answer(),
    "said to be HTML": answer(headers="Content-Type: text/html\r\n"),
    "identity encoding": answer(headers="Content-Encoding: Identity\r\n"),
    "a byte order mark": answer(b'\xef\xbb\xbf{"found": false}'),
    "64 KiB": answer(b'{"found": false}'.ljust(65_536)),
}


@pytest.mark.parametrize("said", NOT_FOUND_ANSWERS.values(), ids=NOT_FOUND_ANSWERS)
async def test_any_2xx_with_a_json_object_is_an_answer(listen: Listen, client: LookupClient, said: bytes) -> None:
    endpoint = await listen(says_and_closes(said))

    reply = await client.ask(question(endpoint.url))

    assert reply.outcome == NotFound()
    assert reply.http_status in {200, 201, 206}


FAILURES: dict[str, tuple[Script, FailureKind, int | None, str | None]] = {
    "400": (says(answer(b"no", status="400 Bad Request")), FailureKind.HTTP_STATUS, 400, "no"),
    "401": (says(answer(status="401 Unauthorized")), FailureKind.HTTP_STATUS, 401, '{"found": false}'),
    "404": (says(answer(b"", status="404 Not Found")), FailureKind.HTTP_STATUS, 404, None),
    "500": (says(answer(b"oops", status="500 Oops")), FailureKind.HTTP_STATUS, 500, "oops"),
    "999": (says(answer(b"", status="999 Oops")), FailureKind.HTTP_STATUS, 999, None),
    "101": (says(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nzz"), FailureKind.HTTP_STATUS, 101, None),
    "500, oversized": (says(answer(b"x" * 70_000, status="500 Oops")), FailureKind.HTTP_STATUS, 500, "x" * MAX_BODY),
    "500, incomplete": (says_and_closes(answer(b"oops", status="500 Oops")[:-1]), FailureKind.HTTP_STATUS, 500, "oop"),
    "500, compressed": (
        says(answer(b"oops", status="500 Oops", headers="Content-Encoding: gzip\r\n")),
        FailureKind.HTTP_STATUS,
        500,
        None,
    ),
    "300": (says(answer(b"", status="300 Choices")), FailureKind.REDIRECT, 300, None),
    "304": (says(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 16\r\n\r\n"), FailureKind.REDIRECT, 304, None),
    "204": (says(b"HTTP/1.1 204 No Content\r\n\r\n"), FailureKind.EMPTY_BODY, 204, None),
    "205": (says(answer(b"{}", status="205 Reset Content")), FailureKind.EMPTY_BODY, 205, "{}"),
    "empty": (says(answer(b"")), FailureKind.EMPTY_BODY, 200, None),
    "white space": (says(answer(b" \r\n")), FailureKind.EMPTY_BODY, 200, " \r\n"),
    "HTML": (says(answer(b"<html>")), FailureKind.INVALID_JSON, 200, "<html>"),
    "UTF-16": (says(answer("{}".encode("utf-16-le"))), FailureKind.INVALID_JSON, 200, "{\ufffd}\ufffd"),
    "NaN": (says(answer(b'{"found": NaN}')), FailureKind.INVALID_JSON, 200, '{"found": NaN}'),
    "list": (says(answer(b"[]")), FailureKind.INVALID_RESPONSE, 200, "[]"),
    "found as text": (says(answer(b'{"found": "true"}')), FailureKind.INVALID_RESPONSE, 200, '{"found": "true"}'),
    "64 KiB + 1": (says(answer(b" " * 65_537)), FailureKind.TOO_LARGE, 200, " " * 65_536),
    "endless": (floods, FailureKind.TOO_LARGE, 200, " " * MAX_BODY),
    "gzip": (says(answer(gzip.compress(b"{}"), headers="Content-Encoding: gzip\r\n")), FailureKind.ENCODING, 200, None),
    "gzip twice": (says(answer(b"..", headers="Content-Encoding: gzip, gzip\r\n")), FailureKind.ENCODING, 200, None),
    "two headers": (
        says(answer(b"..", headers="Content-Encoding: identity\r\nContent-Encoding: br\r\n")),
        FailureKind.ENCODING,
        200,
        None,
    ),
    "unknown coding": (says(answer(b"..", headers="Content-Encoding: snappy\r\n")), FailureKind.ENCODING, 200, None),
    "transfer coding": (
        says(chunked(b"..").replace(b": chunked", b": gzip, chunked")),
        FailureKind.ENCODING,
        200,
        None,
    ),
    "closed at once": (says_and_closes(b""), FailureKind.RESET, None, None),
    "reset at once": (says_and_resets(), FailureKind.RESET, None, None),
    "closed in the status line": (says_and_closes(b"HTTP/1.1 20"), FailureKind.RESET, None, None),
    "closed in the head": (says_and_closes(b"HTTP/1.1 200 OK\r\nX: y\r\n"), FailureKind.RESET, 200, None),
    "reset in the head": (says_and_resets(b"HTTP/1.1 200 OK\r\nX: y\r\n"), FailureKind.RESET, 200, None),
    "closed in the body": (says_and_closes(answer()[:-1]), FailureKind.RESET, 200, '{"found": false'),
    "reset in the body": (says_and_resets(answer()[:-1]), FailureKind.RESET, 200, '{"found": false'),
    "closed in a chunk": (says_and_closes(chunked(b"{}", end=b"10\r\nabc")), FailureKind.RESET, 200, "{}abc"),
    "closed between chunks": (says_and_closes(chunked(b"{}", end=b"")), FailureKind.RESET, 200, "{}"),
    "garbage": (says(b"hello\r\n\r\n"), FailureKind.PROTOCOL, None, None),
    "HTTP/0.9": (says_and_closes(b'{"found": false}'), FailureKind.PROTOCOL, None, None),
    "TLS on a plain port": (says(b"\x15\x03\x01\x00\x02\x02\x46"), FailureKind.PROTOCOL, None, None),
    "status 99": (says(b"HTTP/1.1 99 Low\r\n\r\n"), FailureKind.PROTOCOL, None, None),
    "broken chunk": (says(chunked(end=b"zz\r\n")), FailureKind.PROTOCOL, 200, None),
    "broken chunk later": (says(chunked(b"{}", end=b""), b"zz\r\n"), FailureKind.PROTOCOL, 200, "{}"),
    "two lengths": (says(answer(headers="Content-Length: 17\r\n")), FailureKind.PROTOCOL, 200, None),
    "negative length": (says(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), FailureKind.PROTOCOL, 200, None),
    "large header": (says(answer(headers=f"X: {'x' * 200_000}\r\n")), FailureKind.PROTOCOL, 200, None),
    "many headers": (says(answer(headers="X: y\r\n" * 1000)), FailureKind.PROTOCOL, 200, None),
    "NUL in a header": (says(answer(headers="X: a\0b\r\n")), FailureKind.PROTOCOL, 200, None),
}


@pytest.mark.parametrize(("script", "kind", "status", "response"), FAILURES.values(), ids=FAILURES)
async def test_every_other_answer_is_the_documented_failure(
    listen: Listen, client: LookupClient, script: Script, kind: FailureKind, status: int | None, response: str | None
) -> None:
    endpoint = await listen(script)

    reply = await client.ask(question(endpoint.url))

    assert reply.outcome == Failure(kind, status)
    assert reply.http_status == status
    assert reply.response == response
    assert reply.warnings == ()
    assert reply.took < timedelta(seconds=1)
    assert len(endpoint.requests) == 1


def test_an_answer_that_cannot_be_parsed_is_no_name_that_cannot_be_resolved() -> None:
    """Whatever the parser stumbled over: a ValueError of ours would be the host of the URL."""
    error = aiohttp.ClientPayloadError()
    error.__cause__ = HttpProcessingError()
    error.__cause__.__cause__ = ValueError()

    assert failure_kind(error) is FailureKind.PROTOCOL


async def test_a_bomb_is_not_unpacked(listen: Listen, client: LookupClient) -> None:
    bomb = gzip.compress(gzip.compress(b"0" * 100_000_000))
    endpoint = await listen(says(answer(bomb, headers="Content-Encoding: gzip, gzip\r\n")))

    reply = await client.ask(question(endpoint.url))

    assert reply.outcome == Failure(FailureKind.ENCODING, 200)


async def test_a_port_where_nobody_listens_is_a_failed_connection(client: LookupClient) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

        reply = await client.ask(question(f"http://127.0.0.1:{port}/"))

    assert reply.outcome == Failure(FailureKind.CONNECT)
    assert (reply.http_status, reply.response) == (None, None)


async def test_a_name_with_one_dead_address_is_reached_at_the_other(listen: Listen) -> None:
    endpoint = await listen(says(answer()))
    names = ["127.0.0.9", "127.0.0.1"]

    async with LookupClient(
        Guard(allowed_networks=[LOOPBACK]), names=lambda _: [(socket.AF_INET, name) for name in names]
    ) as client:
        reply = await client.ask(question(f"http://crm.example:{endpoint.port}/"))

    assert reply.outcome == NotFound()


@pytest.mark.parametrize(
    "url", ["http://unknown.example/", f"http://{'a' * 64}.example/", "http://a..example/", "http://☃\u200d.-ä/", "http://[::1/"]
)
async def test_a_host_that_cannot_be_resolved_is_a_dns_failure(url: str) -> None:
    def unknown(host: str) -> list[tuple[int, str]]:
        raise socket.gaierror(socket.EAI_NONAME, host)

    async with LookupClient(Guard(allowed_networks=[LOOPBACK]), names=unknown) as client:
        reply = await client.ask(question(url))

    assert reply.outcome == Failure(FailureKind.DNS)


@pytest.mark.parametrize(("host", "asked"), [("Příklad.example", "xn--pklad-zsa96e.example"), ("ＣＲＭ.example", "crm.example")])
async def test_a_host_in_any_script_is_asked_for_in_its_idna_form(listen: Listen, host: str, asked: str) -> None:
    endpoint = await listen(says(answer()))
    names: list[str] = []

    def loopback(name: str) -> list[tuple[int, str]]:
        names.append(name)
        return [(socket.AF_INET, "127.0.0.1")]

    async with LookupClient(Guard(allowed_networks=[LOOPBACK]), names=loopback) as client:
        reply = await client.ask(question(f"http://{host}:{endpoint.port}/"))

    assert reply.outcome == NotFound()
    assert names == [asked]
    assert f"Host: {asked}:{endpoint.port}\r\n".encode() in endpoint.requests[0]


# The budget

STALLS: dict[str, tuple[Script, int | None, str | None]] = {
    "silent": (says_and_stalls(b""), None, None),
    "silent after the status line": (says_and_stalls(b"HTTP/1.1 200 OK\r\n"), 200, None),
    "silent after the head": (says_and_stalls(b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n"), 200, None),
    "silent in the body": (says_and_stalls(answer()[:-1]), 200, '{"found": false'),
    "silent after a 500": (says_and_stalls(answer(status="500 Oops")[:-1]), 500, '{"found": false'),
    "dripping head": (drips(b"HTTP/1.1 200 OK\r\nX-Slow: very\r\n" + b"X: y\r\n" * 100), 200, None),
    "dripping body": (drips(b" " * 100, after=b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"), 200, None),
    "dripping chunks": (drips(b"1\r\n \r\n" * 100, after=chunked(end=b"")), 200, None),
    "dripping interim answers": (drips(b"HTTP/1.1 100 Continue\r\n\r\n" * 10), None, None),
}


async def test_whatever_stalls_the_lookup_ends_after_three_seconds(listen: Listen, client: LookupClient) -> None:
    endpoints = [await listen(script) for script, _, _ in STALLS.values()]

    replies = await asyncio.gather(*(client.ask(question(endpoint.url)) for endpoint in endpoints))

    for (name, (_, status, response)), reply in zip(STALLS.items(), replies, strict=True):
        assert (name, reply.outcome) == (name, Failure(FailureKind.TIMEOUT, status))
        assert (name, reply.http_status) == (name, status)
        assert BUDGET - 0.01 <= reply.took.total_seconds() < BUDGET + 0.5, name
        if response is not None:
            assert (name, reply.response) == (name, response)


async def test_a_name_server_that_hangs_ends_in_time_too() -> None:
    release = threading.Event()

    def hangs(_: str) -> list[tuple[int, str]]:
        release.wait()
        return []

    async with LookupClient(Guard(), names=hangs) as client:
        reply = await client.ask(question("https://crm.example/"))
    release.set()

    assert reply.outcome == Failure(FailureKind.TIMEOUT)
    assert BUDGET - 0.01 <= reply.took.total_seconds() < BUDGET + 0.5


async def test_a_handshake_that_stalls_and_a_backlog_that_is_full_end_in_time_too(client: LookupClient) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as never_accepts:
        port = never_accepts.getsockname()[1]

        replies = await asyncio.gather(*(client.ask(question(f"https://127.0.0.1:{port}/")) for _ in range(8)))

    for reply in replies:
        assert reply.outcome == Failure(FailureKind.TIMEOUT)
        assert BUDGET - 0.01 <= reply.took.total_seconds() < BUDGET + 0.5


async def test_a_lookup_that_ran_out_of_time_hangs_up(listen: Listen, quick_client: LookupClient) -> None:
    endpoint = await listen(says_and_stalls(b""))

    await quick_client.ask(question(endpoint.url))

    async with asyncio.timeout(5):
        await endpoint.closed.wait()


async def test_a_cancelled_lookup_is_cancelled_and_hangs_up(listen: Listen, client: LookupClient) -> None:
    endpoint = await listen(says_and_stalls(answer()[:-1]))
    asking = asyncio.create_task(client.ask(question(endpoint.url)))
    async with asyncio.timeout(5):
        while not endpoint.requests:  # noqa: ASYNC110 - the endpoint has no event for it
            await asyncio.sleep(0.001)

    asking.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asking
    async with asyncio.timeout(5):
        await endpoint.closed.wait()


async def test_a_slow_endpoint_does_not_hold_the_others(listen: Listen, client: LookupClient) -> None:
    slow, quick = await listen(says_and_stalls(b"")), await listen(says(answer()))
    waiting = [asyncio.create_task(client.ask(question(slow.url))) for _ in range(200)]
    async with asyncio.timeout(3):
        while len(slow.requests) < len(waiting):  # noqa: ASYNC110 - the endpoint has no event for it
            await asyncio.sleep(0.001)

    replies = [await client.ask(question(quick.url)) for _ in range(20)]

    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert [reply.outcome for reply in replies] == [NotFound()] * 20
    assert max(reply.took for reply in replies) < timedelta(seconds=1)


# TLS


@pytest.fixture
def authority(tmp_path: Path) -> tuple[trustme.CA, Path]:
    """A certificate authority of a company, and the file that the operator names."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    return ca, tmp_path / "ca.pem"


def server_context(ca: trustme.CA, *hosts: str, not_after: datetime | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*hosts, not_after=not_after).configure_cert(context)
    return context


def loopback(_: str) -> list[tuple[int, str]]:
    return [(socket.AF_INET, "127.0.0.1")]


async def test_an_endpoint_inside_a_company_is_trusted_by_the_operators_ca_file(
    listen: Listen, authority: tuple[trustme.CA, Path]
) -> None:
    ca, ca_file = authority
    context, names = server_context(ca, "crm.example"), []
    context.sni_callback = lambda _, name, __: names.append(name)
    endpoint = await listen(says(answer()), tls=context)

    async with LookupClient(Guard(allowed_networks=[LOOPBACK]), ca_file=ca_file, names=loopback) as client:
        reply = await client.ask(question(f"https://crm.example:{endpoint.port}/"))

    assert reply.outcome == NotFound()
    assert names == ["crm.example"]
    assert f"Host: crm.example:{endpoint.port}\r\n".encode() in endpoint.requests[0]


async def test_a_certificate_that_proves_nothing_is_a_tls_failure(listen: Listen, authority: tuple[trustme.CA, Path]) -> None:
    ca, ca_file = authority
    yesterday = datetime.now(UTC) - timedelta(days=1)
    contexts = {
        "of another host": server_context(ca, "other.example"),
        "of a stranger": server_context(trustme.CA(), "crm.example"),
        "expired": server_context(ca, "crm.example", not_after=yesterday),
    }
    endpoints = {name: await listen(says(answer()), tls=context) for name, context in contexts.items()}

    async with LookupClient(Guard(allowed_networks=[LOOPBACK]), ca_file=ca_file, names=loopback) as client:
        for name, endpoint in endpoints.items():
            reply = await client.ask(question(f"https://crm.example:{endpoint.port}/"))

            assert (name, reply.outcome) == (name, Failure(FailureKind.TLS))
            assert endpoint.requests == []


@pytest.mark.parametrize("refusal", ["knows no TLS 1.2", "wants a certificate from the client"])
async def test_a_server_that_refuses_the_handshake_is_a_tls_failure(authority: tuple[trustme.CA, Path], refusal: str) -> None:
    ca, ca_file = authority
    context = server_context(ca, "crm.example")
    if refusal == "knows no TLS 1.2":
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    else:
        context.verify_mode = ssl.CERT_REQUIRED

    with socket.create_server(("127.0.0.1", 0)) as server:

        def shake_hands() -> None:  # in a thread: an asyncio server hangs up without the alert
            plain, _ = server.accept()
            with context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False) as connection:
                with suppress(ssl.SSLError):
                    connection.do_handshake()
                connection.shutdown(socket.SHUT_WR)
                while socket.socket.recv(connection, 4096):  # past the TLS layer, or a reset would overtake the alert
                    pass

        shaking = asyncio.create_task(asyncio.to_thread(shake_hands))
        async with LookupClient(Guard(allowed_networks=[LOOPBACK]), ca_file=ca_file, names=loopback) as client:
            reply = await client.ask(question(f"https://crm.example:{server.getsockname()[1]}/"))
        await shaking

    assert reply.outcome == Failure(FailureKind.TLS)


async def test_plain_http_on_a_tls_port_is_a_tls_failure(client: LookupClient) -> None:
    async def answer_in_the_clear(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(status="400 Bad Request"))
        writer.close()

    async with await asyncio.start_server(answer_in_the_clear, "127.0.0.1", 0) as server:
        reply = await client.ask(question(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"))

    assert reply.outcome == Failure(FailureKind.TLS)


async def test_a_missing_ca_file_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        async with LookupClient(Guard(), ca_file=tmp_path / "missing.pem"):
            pass


# What is kept

ECHOES = {
    "plain": SECRET.replace("\\", "\\\\").replace('"', '\\"'),
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "base64url": base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("="),
    "percent": quote(SECRET, safe=""),
    "JSON escapes": "".join(f"\\u{ord(character):04x}" for character in SECRET),
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden"])
async def test_an_echo_of_the_secret_is_hidden_in_everything_that_is_kept(
    listen: Listen, client: LookupClient, echo: str, status: str
) -> None:
    document = (
        f'{{"found": true, "customer_id": ["{echo}"], "name": "{echo}", "badge": "{echo}", "badge_color": "{echo}", '
        f'"fields": {{"{echo}": "<{echo}>", "x{echo}": {{}}, "long": "{echo * 30}"}}}}'
    )
    endpoint = await listen(says(answer(document.encode(), status=status)))

    reply = await client.ask(question(endpoint.url))

    assert reply.response is not None
    assert "•••" in reply.response
    kept = repr(reply) + reply.response
    for spelling in [SECRET, *ECHOES.values()]:
        assert spelling not in kept


@pytest.mark.parametrize("script", [says_and_closes, says_and_stalls], ids=["reset", "timeout"])
async def test_an_echo_that_was_cut_off_is_hidden_too(listen: Listen, quick_client: LookupClient, script: object) -> None:
    assert callable(script)
    whole = answer(b"your key: " + SECRET.encode())
    endpoint = await listen(script(whole[:-3]))

    reply = await quick_client.ask(question(endpoint.url))

    assert reply.response == "your key: •••"


async def test_an_echo_across_the_end_of_what_is_kept_is_hidden_too(listen: Listen, client: LookupClient) -> None:
    padding = "x" * (MAX_BODY - 12)
    endpoint = await listen(says(answer(f"{padding}{SECRET}{padding}".encode())))

    reply = await client.ask(question(endpoint.url))

    assert reply.response == f"{padding}•••"


async def test_the_response_is_kept_as_text_that_any_database_stores(listen: Listen, client: LookupClient) -> None:
    endpoint = await listen(says(answer(b'{"name": "\xc4\x8desky \xff \0 \xed\xa0\x80 \\u0000"}', status="500 Oops")))

    reply = await client.ask(question(endpoint.url))

    assert reply.response == '{"name": "česky \ufffd \ufffd \ufffd\ufffd\ufffd \\u0000"}'


@pytest.mark.parametrize(
    ("said", "understood"),
    [
        ("120", timedelta(minutes=2)),
        ("0", timedelta()),
        ("00000000000000000120", timedelta(minutes=2)),
        ("9" * 5000, timedelta(seconds=999_999_999)),
        ("Sun, 06 Nov 2033 08:49:37 GMT", datetime(2033, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ("Sunday, 06-Nov-33 08:49:37 GMT", datetime(2033, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ("Sun Nov  6 08:49:37 2033", datetime(2033, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ("-1", None),
        ("1.5", None),
        ("\xb2", None),
        ("soon", None),
        ("0" * 8000 + "x", None),
        (f"Sun, 06 Nov 2033 08:49:37 GMT {'(' * 8000}", None),
        ("", None),
        ("120\r\nRetry-After: 60", None),
        ("Sun, 06 Nov 99999999999999999999 08:49:37 GMT", None),
        ("Sun, 31 Feb 2033 08:49:37 GMT", None),
    ],
)
async def test_retry_after_is_seconds_or_a_date(
    listen: Listen, client: LookupClient, said: str, understood: timedelta | datetime | None
) -> None:
    endpoint = await listen(says(answer(status="429 Too Many Requests", headers=f"Retry-After: {said}\r\n")))

    reply = await client.ask(question(endpoint.url))

    assert reply.outcome == Failure(FailureKind.HTTP_STATUS, 429)
    assert reply.retry_after == understood


async def test_whatever_stands_in_retry_after_the_lookup_ends(listen: Listen, client: LookupClient) -> None:
    chance = random.Random(20261122)
    words = ["Sun", ",", " ", "06", "Nov", "-", "2033", ":", "08", "+", "GMT", "é", "0" * 20, "9" * 5, "\t", ";", "-0000"]
    said = ["".join(chance.choices(words, k=chance.randint(1, 12))) for _ in range(300)]
    endpoints = [await listen(says_and_closes(answer(status="429 No", headers=f"Retry-After: {text}\r\n"))) for text in said]

    replies = await asyncio.gather(*(client.ask(question(endpoint.url)) for endpoint in endpoints))

    assert {reply.outcome for reply in replies} == {Failure(FailureKind.HTTP_STATUS, 429)}


async def test_nothing_is_logged(listen: Listen, quick_client: LookupClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    endpoints = [
        await listen(script)
        for script in (says(answer()), floods, says_and_stalls(b""), says_and_resets(b"HTTP/1.1 200"), says(b"hello\r\n\r\n"))
    ]

    for endpoint in endpoints:
        await quick_client.ask(question(f"{endpoint.url}?token=canary"))
    await quick_client.ask(question("http://10.0.0.1/?token=canary"))

    assert [record.getMessage() for record in caplog.records if record.name != "asyncio"] == []
    assert "canary" not in caplog.text


async def test_whatever_bytes_come_back_the_outcome_is_a_documented_one(listen: Listen, quick_client: LookupClient) -> None:
    chance = random.Random(20261122)
    seeds = [answer(b'{"found": true, "name": "Jan"}'), chunked(b'{"found": false}'), *NOT_FOUND_ANSWERS.values()]

    def mutation() -> bytes:
        said = bytearray(chance.choice(seeds)[:2000])
        for _ in range(chance.randint(1, 8)):
            position = chance.randrange(len(said))
            said[position : position + chance.randint(0, 4)] = chance.randbytes(chance.randint(0, 4))
        return bytes(said)

    endpoints = [await listen(says_and_closes(mutation())) for _ in range(300)]
    replies = await asyncio.gather(*(quick_client.ask(question(endpoint.url)) for endpoint in endpoints))

    for reply in replies:
        assert isinstance(reply.outcome, (Found, NotFound, Failure))
