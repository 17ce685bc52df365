"""A name server of the test's own, asked by the system's own resolver: its answers change, break off and never come."""

from __future__ import annotations

import asyncio
import ctypes
import socket
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pytest
from dnslib import QTYPE, RCODE, RR, DNSRecord

from lookups.guard import look_up

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lookups.guard import Resolved

SILENCE: Final = "silence"
"""What a dead name server says."""

_LIBC = ctypes.CDLL(None)
_MAX_DATAGRAM = 512  # RFC 1035, 4.2.1; more is asked for again over TCP


@dataclass
class NameServer:
    """Answers for the names it was given, NXDOMAIN for all others."""

    port: int = 0
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often each (name, type) was asked for, over UDP."""
    _turns: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def says(self, name: str, *turns: str) -> str:
        """Answer for a name from now on: in each turn records ("A 10.0.0.1; AAAA ::1"), an RCODE or SILENCE; the last stays."""
        self._turns[name] = turns
        for kind in ("A", "AAAA"):
            del self.asked[name, kind]
        return name

    def names(self, host: str) -> Resolved:
        """What the system's own resolver makes of a host when it asks this server alone; blocks."""
        resolver = _resolver_of_this_thread()
        resolver.retrans, resolver.retry, resolver.nscount = 5, 2, 1  # seconds and attempts: what a system has when nobody chose
        resolver.name_servers[0] = _SocketAddress(socket.AF_INET, self.port, (127, 0, 0, 1))
        resolver.search[0] = None
        return look_up(host)

    def reply(self, data: bytes, *, over_tcp: bool) -> bytes | None:
        """The answer to one query."""
        query = DNSRecord.parse(data)
        name, kind = str(query.q.qname).removesuffix("."), QTYPE[query.q.qtype]
        turns = self._turns.get(name, ("NXDOMAIN",))
        turn = turns[min(self.asked[name, kind], len(turns) - 1)]
        self.asked[name, kind] += not over_tcp
        if turn == SILENCE:
            return None
        reply = query.reply()
        if turn.isupper() and turn in RCODE.reverse:
            reply.header.rcode = RCODE.reverse[turn]
        else:
            reply.add_answer(*_records(name, kind, turn))
        packed: bytes = reply.pack()
        if len(packed) > _MAX_DATAGRAM and not over_tcp:
            reply = query.reply()
            reply.header.set_tc(1)
            packed = reply.pack()
        return packed


@asynccontextmanager
async def open_name_server() -> AsyncIterator[NameServer]:
    """Serve UDP and TCP on one free port of 127.0.0.1."""
    if not hasattr(_LIBC, "__res_state"):
        pytest.skip("this system's resolver is not glibc's, and cannot be told whom to ask")
    name_server = NameServer()
    loop = asyncio.get_running_loop()
    tcp = await asyncio.start_server(lambda reader, writer: _answer(name_server, reader, writer), "127.0.0.1", 0)
    address = tcp.sockets[0].getsockname()
    udp, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(name_server), local_addr=address)
    name_server.port = address[1]
    try:
        yield name_server
    finally:
        udp.close()
        tcp.close()
        await tcp.wait_closed()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, name_server: NameServer) -> None:
        self._name_server = name_server

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # asyncio names its parent
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if (reply := self._name_server.reply(data, over_tcp=False)) is not None:
            self._transport.sendto(reply, addr)


async def _answer(name_server: NameServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            query = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
            if (reply := name_server.reply(query, over_tcp=True)) is not None:
                writer.write(len(reply).to_bytes(2) + reply)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def _records(name: str, kind: str, turn: str) -> list[RR]:
    """The records of this type, behind the aliases that lead to them."""
    records, owner = [], name
    for told in turn.split("; "):
        record_type, _, value = told.partition(" ")
        if record_type == "CNAME":
            records += RR.fromZone(f"{owner}. 0 IN CNAME {value}.")
            owner = value
        elif record_type == kind:
            records += RR.fromZone(f"{owner}. 0 IN {kind} {value}")
    return records


class _SocketAddress(ctypes.Structure):
    """`struct sockaddr_in`."""

    _fields_ = (
        ("family", ctypes.c_ushort),
        ("port", ctypes.c_uint16.__ctype_be__),
        ("address", ctypes.c_ubyte * 4),
        ("zero", ctypes.c_ubyte * 8),
    )


class _Resolver(ctypes.Structure):
    """The beginning of glibc's `struct __res_state`; each thread has one of its own."""

    _fields_ = (
        ("retrans", ctypes.c_int),
        ("retry", ctypes.c_int),
        ("options", ctypes.c_ulong),
        ("nscount", ctypes.c_int),
        ("name_servers", _SocketAddress * 3),
        ("id", ctypes.c_ushort),
        ("search", ctypes.c_void_p * 7),
    )


def _resolver_of_this_thread() -> _Resolver:
    """Its settings, from resolv.conf at first; who changes them is heeded."""
    _LIBC["__res_init"]()
    state = _LIBC["__res_state"]
    state.restype = ctypes.POINTER(_Resolver)
    resolver: _Resolver = state().contents
    return resolver
