"""Endpoints that answer in every way that a server can be wrong, slow or hostile, in a process of their own.

What they cost there is not counted where they are asked. ``python -m tests.stage.hostile FOLDER`` serves them all
until its input ends, prints their ports and leaves the certificate authority of their company in the folder.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
import ssl
import struct
import sys
import threading
import zlib
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trustme

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""What an endpoint does once it has read a whole request."""

HOST: Final = "crm.example"
"""Whose certificate those with TLS should have."""

_ROOT = Path(__file__).parents[2]
_FOUND = b'{"found": true, "name": "Jan"}'
_NOT_FOUND = b'{"found": false}'
_MEGABYTE = b" " * 2**20
_BOMB = 50 * 2**20


@dataclass(frozen=True, slots=True)
class Case:
    """One way to answer, and what has to come of it."""

    script: Script
    status: str
    error: str | None = None
    http_status: int | None = None
    tls: Callable[[trustme.CA], ssl.SSLContext] | None = None

    @property
    def stalls(self) -> bool:
        """Whether it takes the whole budget."""
        return self.status == "TIMEOUT"


# How to speak


def answer(body: bytes = _NOT_FOUND, *, status: str = "200 OK", headers: str = "") -> bytes:
    """A well-formed HTTP answer."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode("latin-1") + body


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n", headers: str = "") -> bytes:
    head = f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{headers}\r\n".encode()
    return head + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + end


def says(*parts: bytes) -> Script:
    """Write these and close."""

    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
        writer.close()

    return script


def packs(make: Callable[[], bytes], encoding: str) -> Script:
    """Answer with a body that is made when it is needed: not in the process that asks."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await says(answer(make(), headers=f"Content-Encoding: {encoding}\r\n"))(reader, writer)

    return script


def goes_on(first: bytes, rest: Iterable[bytes], *, pause: float = 0) -> Script:
    """Write a beginning, then the rest piece by piece for as long as somebody listens."""

    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        for part in rest:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        writer.close()

    return script


def stalls(data: bytes = b"") -> Script:
    """Write this, then nothing until the client hangs up."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await reader.read()

    return script


def resets(data: bytes = b"") -> Script:
    """Write this, wait until it has arrived, and break the connection off."""

    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(0.02)
        linger_for_no_time = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_for_no_time)
        writer.transport.abort()

    return script


# Certificates


def _server(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def _good(ca: trustme.CA) -> ssl.SSLContext:
    return _server(ca.issue_cert(HOST))


def _expired(ca: trustme.CA) -> ssl.SSLContext:
    return _server(ca.issue_cert(HOST, not_after=datetime.now(UTC) - timedelta(days=1)))


def _self_signed(_: trustme.CA) -> ssl.SSLContext:
    return _server(trustme.CA().issue_cert(HOST))


def _wrong_host(ca: trustme.CA) -> ssl.SSLContext:
    return _server(ca.issue_cert("other.example"))


def _missing_chain(ca: trustme.CA) -> ssl.SSLContext:
    leaf = ca.create_child_ca().issue_cert(HOST)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with trustme.Blob(leaf.private_key_pem.bytes() + leaf.cert_chain_pems[0].bytes()).tempfile() as pem:
        context.load_cert_chain(pem)
    return context


def _old(ca: trustme.CA) -> ssl.SSLContext:
    context = _good(ca)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    return context


def _wants_a_certificate(ca: trustme.CA) -> ssl.SSLContext:
    context = _good(ca)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@cache
def _gzip_bomb() -> bytes:
    return gzip.compress(b"0" * _BOMB, 1)


@cache
def _gzip_bomb_in_gzip() -> bytes:
    return gzip.compress(_gzip_bomb())


@cache
def _deflate_bomb() -> bytes:
    return zlib.compress(b"0" * _BOMB, 1)


@cache
def _zstd_bomb() -> bytes:
    """200 MB in 6 KB: a frame of 1,600 blocks that repeat one byte (RFC 8878, 3.1.1.2)."""
    size = 2**17
    blocks = [struct.pack("<I", (size << 3) | (1 << 1) | (number == 1599))[:3] + b"0" for number in range(1600)]
    return b"\x28\xb5\x2f\xfd\x00\x58" + b"".join(blocks)


_INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
_MESS = "\r\n".join(f"X-{number}: y" for number in range(1000)) + "\r\n"

CASES: Final[dict[str, Case]] = {
    # What is an answer
    "found": Case(says(answer(_FOUND)), "FOUND", None, 200),
    **{
        status[:3]: Case(says(answer(status=status)), "NOT_FOUND", None, int(status[:3]))
        for status in ("200 OK", "201 Created", "202 Accepted", "203 Whatever", "206 Partial Content")
    },
    "50 interim answers": Case(
        says(_INTERIM * 50 + b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + answer()), "NOT_FOUND", None, 200
    ),
    "64 KiB": Case(says(answer(_NOT_FOUND.ljust(65_536))), "NOT_FOUND", None, 200),
    "HTTP/1.0": Case(says(b"HTTP/1.0 200 OK\r\n\r\n" + _NOT_FOUND), "NOT_FOUND", None, 200),
    "JSON said to be HTML": Case(says(answer(headers="Content-Type: text/html\r\n")), "NOT_FOUND", None, 200),
    "JSON said to be Latin": Case(
        says(answer(headers="Content-Type: application/json; charset=latin-1\r\n")), "NOT_FOUND", None, 200
    ),
    "byte order mark": Case(says(answer(b"\xef\xbb\xbf" + _NOT_FOUND)), "NOT_FOUND", None, 200),
    "more than was announced": Case(says(answer() + answer(_FOUND)), "NOT_FOUND", None, 200),
    "1,000 unknown members": Case(
        says(answer(json.dumps({"found": False} | {f"x{number}": number for number in range(1000)}).encode())),
        "NOT_FOUND",
        None,
        200,
    ),
    # What its status says
    **{
        str(status): Case(
            says(answer(b"no", status=f"{status} No", headers="Retry-After: 60\r\n")), "ERROR", "HTTP_STATUS", status
        )
        for status in (400, 401, 403, 404, 410, 429, 451, 500, 502, 503, 504, 999)
    },
    "429 after a long number": Case(
        says(answer(b"no", status="429 No", headers=f"Retry-After: {'0' * 8000}x\r\n")), "ERROR", "HTTP_STATUS", 429
    ),
    "429 after a long date": Case(
        says(answer(b"no", status="429 No", headers=f"Retry-After: Sun, {'06 Nov ' * 1100}\r\n")), "ERROR", "HTTP_STATUS", 429
    ),
    **{
        str(status): Case(says(answer(b"", status=f"{status} Moved", headers="Location: /\r\n")), "ERROR", "REDIRECT", status)
        for status in (300, 301, 302, 303, 307, 308)
    },
    "304": Case(says(b"HTTP/1.1 304 Not Modified\r\n\r\n"), "ERROR", "REDIRECT", 304),
    "204": Case(says(b"HTTP/1.1 204 No Content\r\n\r\n"), "ERROR", "EMPTY_BODY", 204),
    "205": Case(says(answer(b"", status="205 Reset Content")), "ERROR", "EMPTY_BODY", 205),
    "101": Case(says(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nzz"), "ERROR", "HTTP_STATUS", 101),
    # What is no HTTP
    "status 99": Case(says(b"HTTP/1.1 99 Low\r\n\r\n"), "ERROR", "PROTOCOL"),
    "garbage": Case(says(b"hello\r\n\r\n"), "ERROR", "PROTOCOL"),
    "HTTP/0.9": Case(says(_NOT_FOUND), "ERROR", "PROTOCOL"),
    "TLS on a plain port": Case(says(b"\x15\x03\x01\x00\x02\x02\x46"), "ERROR", "PROTOCOL"),
    "length and chunks": Case(says(chunked(_NOT_FOUND, headers="Content-Length: 16\r\n")), "ERROR", "PROTOCOL", 200),
    "two lengths": Case(says(answer(headers="Content-Length: 17\r\n")), "ERROR", "PROTOCOL", 200),
    "broken chunk later": Case(goes_on(b"", [chunked(_NOT_FOUND, end=b""), b"zz\r\n"], pause=0.05), "ERROR", "PROTOCOL", 200),
    "broken chunk": Case(says(chunked(end=b"zz\r\n")), "ERROR", "PROTOCOL", 200),
    "header of 200 KB": Case(says(answer(headers=f"X: {'x' * 200_000}\r\n")), "ERROR", "PROTOCOL", 200),
    "1,000 headers": Case(says(answer(headers=_MESS)), "ERROR", "PROTOCOL", 200),
    "NUL in a header": Case(says(answer(headers="X: a\0b\r\n")), "ERROR", "PROTOCOL", 200),
    # What breaks off
    "closed at once": Case(says(b""), "ERROR", "RESET"),
    "reset at once": Case(resets(), "ERROR", "RESET"),
    "reset in the headers": Case(resets(b"HTTP/1.1 200 OK\r\nX: y\r\n"), "ERROR", "RESET", 200),
    "reset in the body": Case(resets(answer()[:-1]), "ERROR", "RESET", 200),
    "less than was announced": Case(says(answer()[:-1]), "ERROR", "RESET", 200),
    # What is too large, or packed
    "64 KiB + 1": Case(says(answer(_NOT_FOUND.ljust(65_537))), "ERROR", "TOO_LARGE", 200),
    "1 GB": Case(
        goes_on(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n", [_MEGABYTE] * 1024), "ERROR", "TOO_LARGE", 200
    ),
    "10 GB announced": Case(
        goes_on(b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n", repeat(_MEGABYTE)), "ERROR", "TOO_LARGE", 200
    ),
    "endless chunks": Case(goes_on(chunked(end=b""), repeat(b"100000\r\n" + _MEGABYTE + b"\r\n")), "ERROR", "TOO_LARGE", 200),
    "gzip bomb": Case(packs(_gzip_bomb, "gzip"), "ERROR", "ENCODING", 200),
    "gzip bomb in gzip": Case(packs(_gzip_bomb_in_gzip, "gzip, gzip"), "ERROR", "ENCODING", 200),
    "deflate bomb": Case(packs(_deflate_bomb, "deflate"), "ERROR", "ENCODING", 200),
    "zstd bomb": Case(packs(_zstd_bomb, "zstd"), "ERROR", "ENCODING", 200),
    "brotli": Case(says(answer(b"\x0b\x00\x80 \x03", headers="Content-Encoding: br\r\n")), "ERROR", "ENCODING", 200),
    "bad gzip": Case(says(answer(headers="Content-Encoding: gzip\r\n")), "ERROR", "ENCODING", 200),
    "snappy": Case(says(answer(headers="Content-Encoding: snappy\r\n")), "ERROR", "ENCODING", 200),
    # What is no answer
    "nothing": Case(says(answer(b"")), "ERROR", "EMPTY_BODY", 200),
    "white space": Case(says(answer(b" \r\n\t")), "ERROR", "EMPTY_BODY", 200),
    "HTML": Case(says(answer(b"<!doctype html><title>Login</title>")), "ERROR", "INVALID_JSON", 200),
    **{
        encoding: Case(says(answer(_NOT_FOUND.decode().encode(encoding))), "ERROR", "INVALID_JSON", 200)
        for encoding in ("utf-16", "utf-32")
    },
    "Latin bytes": Case(says(answer('{"found": true, "name": "Jiří"}'.encode("iso-8859-2"))), "ERROR", "INVALID_JSON", 200),
    **{
        name: Case(says(answer(body)), "ERROR", "INVALID_JSON", 200)
        for name, body in {
            "NaN": b'{"found": NaN}',
            "Infinity": b'{"found": true, "x": -Infinity}',
            "100,000 brackets": b"[" * 65_000,
            "33 levels": b'{"found": false, "x": ' + b"[" * 32 + b"]" * 32 + b"}",
            "trailing bytes": _NOT_FOUND + b"x",
            "two documents": _NOT_FOUND * 2,
            "a comment": b'{"found": false /* no */}',
            "single quotes": b"{'found': false}",
            "found twice": b'{"found": false, "found": true}',
        }.items()
    },
    **{
        f"body {body}": Case(says(answer(body.encode())), "ERROR", "INVALID_RESPONSE", 200)
        for body in ("null", "true", '"x"', "[]", "{}", '{"found": "true"}', '{"found": 1}', '{"found": null}')
    },
    "5,000 digits": Case(says(answer(b'{"found": true, "customer_id": ' + b"9" * 5000 + b"}")), "FOUND", None, 200),
    "1e400": Case(says(answer(b'{"found": true, "customer_id": 1e400}')), "FOUND", None, 200),
    "10,000 fields": Case(
        says(answer(b'{"found": true, "fields": {' + b", ".join(b'"%d":0' % number for number in range(6000)) + b"}}")),
        "FOUND",
        None,
        200,
    ),
    # What takes its time
    "silence": Case(stalls(), "TIMEOUT", "TIMEOUT"),
    "silence after the status": Case(stalls(b"HTTP/1.1 200 OK\r\n"), "TIMEOUT", "TIMEOUT", 200),
    "silence after the headers": Case(stalls(b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n"), "TIMEOUT", "TIMEOUT", 200),
    "body by the byte": Case(
        goes_on(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", repeat(b" ", 100), pause=0.4), "TIMEOUT", "TIMEOUT", 200
    ),
    "headers by the byte": Case(goes_on(b"HTTP/1.1 200 OK\r\nX-Slow: ", repeat(b"y"), pause=0.3), "TIMEOUT", "TIMEOUT", 200),
    "chunks by the byte": Case(goes_on(chunked(end=b""), repeat(b"1\r\n \r\n"), pause=0.3), "TIMEOUT", "TIMEOUT", 200),
    "interim answers for ever": Case(goes_on(b"", repeat(_INTERIM), pause=0.01), "TIMEOUT", "TIMEOUT"),
    # TLS
    "good certificate": Case(says(answer()), "NOT_FOUND", None, 200, _good),
    "expired certificate": Case(says(answer()), "ERROR", "TLS", None, _expired),
    "self-signed certificate": Case(says(answer()), "ERROR", "TLS", None, _self_signed),
    "certificate of another host": Case(says(answer()), "ERROR", "TLS", None, _wrong_host),
    "certificate without its chain": Case(says(answer()), "ERROR", "TLS", None, _missing_chain),
    "TLS 1.0": Case(says(answer()), "ERROR", "TLS", None, _old),
    "certificate of the client wanted": Case(says(answer()), "ERROR", "TLS", None, _wants_a_certificate),
}
"""Table 2 of what comes back, by name."""


@dataclass(frozen=True, slots=True)
class Hostile:
    """The running endpoints."""

    ports: dict[str, int]
    ca_file: Path

    def url(self, name: str) -> str:
        """Where to ask; those with TLS by their name."""
        return f"https://{HOST}:{self.ports[name]}/" if CASES[name].tls else f"http://127.0.0.1:{self.ports[name]}/"


@asynccontextmanager
async def open_hostile(folder: Path) -> AsyncIterator[Hostile]:
    """Serve every case until the block ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "ignore", "-m", "tests.stage.hostile", str(folder),
        cwd=_ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield Hostile(json.loads(await process.stdout.readline()), folder / "ca.pem")
    finally:
        process.kill()
        await process.communicate()


async def _serve(folder: Path) -> None:
    for make in (_gzip_bomb, _gzip_bomb_in_gzip, _deflate_bomb, _zstd_bomb):
        make()
    ca = trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    ports = {name: _with_tls(case.tls(ca)) if case.tls else await _plain(case.script) for name, case in CASES.items()}
    print(json.dumps(ports), flush=True)  # noqa: T201 - that is how they are told
    await asyncio.to_thread(sys.stdin.read)


async def _plain(script: Script) -> int:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await _request(reader)
            await script(reader, writer)
            if not writer.is_closing():
                writer.transport.abort()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    return port


async def _request(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)^content-length: *(\d+)\r$", head, re.MULTILINE)
    await reader.readexactly(int(length[1]) if length else 0)


def _with_tls(context: ssl.SSLContext) -> int:
    """In threads: an asyncio server hangs up without saying what it missed."""
    server = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_accept, args=(server, context), daemon=True).start()
    port: int = server.getsockname()[1]
    return port


def _accept(server: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        threading.Thread(target=_shake_hands, args=(server.accept()[0], context), daemon=True).start()


def _shake_hands(plain: socket.socket, context: ssl.SSLContext) -> None:
    with suppress(OSError), context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False) as connection:
        try:
            connection.do_handshake()
            connection.recv(65_536)
            connection.sendall(answer())
        except ssl.SSLError:
            connection.shutdown(socket.SHUT_WR)
            while socket.socket.recv(connection, 4096):  # past the TLS layer, or a reset would overtake the alert
                pass


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
