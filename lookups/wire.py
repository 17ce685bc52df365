"""What goes over the wire: one request exactly as it was written, and whatever is heard of the answer.

aiohttp's connections under httpx's types. The transport of httpx-aiohttp would send header names in lower case and
the URL rewritten, and httpx's client would add headers of its own, keep cookies and log the URL.
"""

from __future__ import annotations

import re
import select
import socket
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache, partial
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import aiohttp
import httpx
import idna
from aiohttp.client_proto import ResponseHandler
from aiohttp.helpers import _EXC_SENTINEL
from httpx_aiohttp.transport import AiohttpResponseStream
from yarl import URL

from lookups.guard import asking_for

if TYPE_CHECKING:
    import ssl

    from aiohttp import ClientRequest, ClientTimeout
    from aiohttp.abc import AbstractResolver
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

    from lookups.guard import Guard

_IDLE_SECONDS: Final = 1.0  # a request on a connection that its peer has just closed would be lost
_FINAL_STATUS_LINE = re.compile(rb"(?:\A|\n\r?\n)HTTP/1\.[01] +(101|[2-9]\d\d)(?: [^\n]*)?\n")
_MAX_HEAD: Final = 16_384
_TARGETS: Final = 1_000  # as many connectors as ask often; to read a URL takes as long as to send a request


@dataclass(slots=True)
class Heard:
    """What an endpoint has said so far; it stays when the exchange breaks off."""

    status: int | None = None
    """Of the final answer, as soon as its status line is there: the rest of the head may never come."""
    headers: httpx.Headers | None = None
    """Of the final answer, once its head is complete."""
    body: bytearray = field(default_factory=bytearray)
    _head: bytearray = field(default_factory=bytearray)

    def listen(self, data: bytes) -> None:
        """Take in raw bytes until the status line is among them."""
        if self.status is None and len(self._head) < _MAX_HEAD:
            self._head += data
            if line := _FINAL_STATUS_LINE.search(self._head):
                self.status = int(line[1])

    @property
    def encoded(self) -> bool:
        """Whether the body is compressed: chunks alone are no encoding (RFC 9110, 8.4; RFC 9112, 6.1)."""
        if self.headers is None:
            return False
        named = (self.headers.get(name) for name in ("content-encoding", "transfer-encoding"))
        codings = (coding for header in named if header for coding in header.split(","))
        return any(coding.strip().lower() not in {"", "identity", "chunked"} for coding in codings)


_listener: ContextVar[Heard] = ContextVar("listener")


@lru_cache(_TARGETS)
def target(url: str) -> httpx.URL:
    """The URL as it is dialled: the host in IDNA form, an IPv4 address in four decimal parts (127.1, 0x7f000001)."""
    host = urlsplit(url).hostname or ""
    if not host.isascii():
        host = idna.encode(host, uts46=True).decode("ascii")
    with suppress(OSError):
        host = str(IPv4Address(socket.inet_aton(host.removesuffix("."))))
    return httpx.URL(url, host=host)


@lru_cache(_TARGETS)
def _dialled(url: httpx.URL) -> URL:
    return URL(str(url), encoded=True)


class Wire(httpx.AsyncBaseTransport):
    """Sends a request as it is, once, to addresses that the guard allows.

    `extensions["heard"]` listens to the answer, and names are resolved for the workspace `extensions["asking_for"]`.
    """

    def __init__(self, guard: Guard, resolver: AbstractResolver, tls: ssl.SSLContext) -> None:
        self._session = aiohttp.ClientSession(
            connector=_Connector(guard, resolver, tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Returns when the head of the final answer is there; aiohttp's errors come through as they are."""
        listening = _listener.set(request.extensions["heard"])
        asking = asking_for.set(request.extensions["asking_for"])
        try:
            response = await self._session.request(
                request.method,
                _dialled(request.url),
                headers=[(name.decode("ascii"), value.decode("ascii")) for name, value in request.headers.raw],
                data=request.content,
                allow_redirects=False,
            )
        finally:
            asking_for.reset(asking)
            _listener.reset(listening)
        return httpx.Response(
            response.status, headers=response.raw_headers, stream=AiohttpResponseStream(response), request=request
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._session.close()


class _Connector(aiohttp.TCPConnector):
    """Connections to allowed addresses, kept for a moment after use."""

    def __init__(self, guard: Guard, resolver: AbstractResolver, tls: ssl.SSLContext) -> None:
        super().__init__(
            limit=0,
            keepalive_timeout=_IDLE_SECONDS,
            resolver=resolver,
            use_dns_cache=False,
            socket_factory=guard.open_socket,
            ssl=tls,
        )
        self._factory = partial(_Line, loop=self._loop)  # type: ignore[assignment]  # partial is invariant

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout) -> Connection:  # noqa: ASYNC109 - aiohttp's signature
        """A connection whose peer has said nothing since it was last used: neither goodbye nor an answer to nobody."""
        while True:
            connection = await super().connect(req, traces, timeout)
            line = connection.protocol
            assert isinstance(line, _Line)  # noqa: S101 - made by the factory above
            if line.heard is None or not line.has_more():
                line.heard = _listener.get()
                return connection
            connection.close()


class _Line(ResponseHandler):
    """A connection that lets the one who asks over it hear the raw answer."""

    heard: Heard | None = None

    def data_received(self, data: bytes) -> None:
        if self.heard is not None:
            self.heard.listen(data)
        super().data_received(data)
        error, body = self.exception(), self._payload
        if error is not None and body is not None and not body.is_eof():
            body.set_exception(error)  # aiohttp leaves whoever reads a body waiting when a later chunk is broken

    def set_exception(self, exc: BaseException, exc_cause: BaseException = _EXC_SENTINEL) -> None:
        """Leave it to connection_lost, which is about to follow, to say why a request could not be written."""
        write_failed = isinstance(exc.__cause__, aiohttp.ClientConnectionResetError)
        if not write_failed or self.transport is None:
            super().set_exception(exc, exc_cause)

    def has_more(self) -> bool:
        """Whether something came after the last answer, or waits to be read."""
        if self.should_close or self.transport is None:
            return True
        look = select.poll()
        look.register(self.transport.get_extra_info("socket"), select.POLLIN)
        return bool(look.poll(0))
