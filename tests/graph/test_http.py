from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cross_web import HTTPException
from starlette.requests import ClientDisconnect

from graph.http import RawRequest

if TYPE_CHECKING:
    from starlette.types import Message

MOST = 10


def raw_request(*messages: Message, headers: tuple[tuple[bytes, bytes], ...] = ()) -> RawRequest:
    """A request of which this comes, piece by piece, and then that its client has gone."""
    coming = iter([*messages, {"type": "http.disconnect"}])

    async def receive() -> Message:
        return next(coming)

    return RawRequest({"type": "http", "method": "POST", "headers": headers}, receive, most=MOST)


def piece(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_is_read_once_and_comes_again_for_who_wants_the_whole_request() -> None:
    request = raw_request(piece(b"in ", more=True), piece(b"", more=True), piece(b"pieces"))

    assert [await request.body() for _ in range(2)] == [b"in pieces"] * 2
    whole = request.whole()
    assert await whole.body() == b"in pieces"
    assert await whole.is_disconnected()


async def test_the_whole_request_reads_what_nobody_has_read() -> None:
    assert await raw_request(piece(b"body")).whole().body() == b"body"
    with pytest.raises(HTTPException):
        await raw_request(piece(b"x" * MOST, more=True), piece(b"x")).whole().body()


async def test_a_body_that_breaks_off_is_none() -> None:
    with pytest.raises(ClientDisconnect):
        await raw_request(piece(b'{"query"', more=True)).body()


async def test_a_body_is_refused_as_soon_as_it_is_too_large() -> None:
    assert await raw_request(piece(b"x" * MOST)).body() == b"x" * MOST
    with pytest.raises(HTTPException, match="at most 10 bytes") as refusal:
        await raw_request(piece(b"x" * MOST, more=True), piece(b"x", more=True)).body()
    assert refusal.value.status_code == 413


def test_the_first_of_several_headers_counts() -> None:
    request = raw_request(headers=((b"host", b"a"), (b"accept", b"one"), (b"accept", b"two \xe9")))

    found = [request.header(name) for name in (b"accept", b"host", b"origin")]

    assert found == ["one", "a", None] == [request.whole().headers.get(name) for name in ("accept", "host", "origin")]
