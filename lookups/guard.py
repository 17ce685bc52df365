"""Where a lookup may not go: decided on the address that is dialled, whatever the name or its spelling.

A name is judged when it is resolved, by all of its addresses, and the address again when its socket is made,
so nothing can change between the check and the connection.
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import Future
from contextlib import ExitStack
from contextvars import ContextVar
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from threading import Thread
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from aiohttp.abc import AbstractResolver, ResolveResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from ipaddress import IPv4Network, IPv6Network

    from aiohttp.connector import AddrInfoType

    from domain.identity import WorkspaceId

    Address = IPv4Address | IPv6Address
    Network = IPv4Network | IPv6Network
    Resolved = list[tuple[int, str]]

RESOLVING_AT_ONCE: Final = 256
RESOLVING_AT_ONCE_PER_WORKSPACE: Final = 16

asking_for: ContextVar[WorkspaceId | None] = ContextVar("asking_for", default=None)
"""The workspace whose names are resolved: aiohttp tells a resolver the name alone."""

_SPECIAL: Final = tuple(
    map(
        ip_network,
        (  # IANA IPv4 Special-Purpose Address Registry (RFC 6890), multicast (RFC 5771) and class E
            *"0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24".split(),
            *"192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15".split(),
            *"198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4".split(),
            # IPv6 outside of global unicast, 2000::/3 (RFC 4291): loopback, IPv4 in every wrapping, NAT64, local, multicast
            *"::/3 4000::/2 8000::/1".split(),
            # IANA IPv6 Special-Purpose Address Registry inside of it: Teredo and other protocols, documentation, 6to4, AS112
            *"2001::/23 2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20".split(),
        ),
    )
)
_METADATA: Final = frozenset(
    map(
        ip_address,
        (  # where clouds hand credentials to whoever asks from inside
            *"169.254.169.254 fd00:ec2::254 fd20:ce::254".split(),  # AWS, Google and nearly everyone else
            *"169.254.170.2 169.254.170.23 fd00:ec2::23".split(),  # containers on AWS
            *"168.63.129.16 192.0.0.192 100.100.100.200".split(),  # Azure, Oracle, Alibaba
        ),
    )
)
_ISATAP: Final = frozenset({0x0000_5EFE, 0x0200_5EFE})  # the upper half of an interface id that holds IPv4 (RFC 5214, 6.1)


class BlockedAddress(OSError):
    """The address is not one that lookups may reach."""


class Guard:
    """Judges addresses: public ones are open, the operator's networks too, metadata addresses never."""

    def __init__(self, *, allowed_networks: Sequence[Network] = ()) -> None:
        self._allowed = tuple(allowed_networks)

    def allows(self, address: Address) -> bool:
        """Whether a lookup may connect to this address; an IPv4-mapped one is judged as the IPv4 address that it is."""
        if isinstance(address, IPv6Address):
            if address.scope_id is not None or not _METADATA.isdisjoint(_wrapped(address)):
                return False
            address = address.ipv4_mapped or address
        if address in _METADATA:
            return False
        return any(address in network for network in self._allowed) or not _is_special(address)

    def open_socket(self, destination: AddrInfoType) -> socket.socket:
        """A socket for this destination and no other; raises BlockedAddress before anything is sent."""
        family, kind, protocol, _, (host, *_) = destination
        self.check(host)
        return socket.socket(family, kind, protocol)

    def check(self, host: str | int) -> None:
        """Raise BlockedAddress for a resolved address that is not allowed."""
        if not self.allows(ip_address(host)):
            raise BlockedAddress("This address is not allowed.")


def _is_special(address: Address) -> bool:
    if isinstance(address, IPv6Address) and (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP:
        return True
    return any(address in network for network in _SPECIAL)


def _wrapped(address: IPv6Address) -> Iterator[IPv4Address]:
    """Every IPv4 address that could be inside: NAT64, mapped, translated, compatible and ISATAP hold it last."""
    yield IPv4Address(int(address) & 0xFFFF_FFFF)
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo


class GuardedResolver(AbstractResolver):
    """Resolves names in threads of its own and refuses a name when any of its addresses is not allowed.

    A thread that hangs in getaddrinfo cannot be stopped, and it outlives the lookup by many seconds. So a workspace has
    a share of the threads, those of it who ask for one name share one, and who has given up waiting starts none;
    neither the event loop's executor nor the end of the process depends on them.
    """

    def __init__(self, guard: Guard, names: Callable[[str], Resolved]) -> None:
        self._guard = guard
        self._names = names
        self._threads = asyncio.Semaphore(RESOLVING_AT_ONCE)
        self._shares: WeakValueDictionary[WorkspaceId | None, asyncio.Semaphore] = WeakValueDictionary()
        self._under_way: dict[tuple[WorkspaceId | None, str], asyncio.Future[Resolved]] = {}

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        """All addresses of a name, of both families; raises BlockedAddress, or gaierror when there are none."""
        found = await self._found(host)
        for _, address in found:
            self._guard.check(address)
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=socket.IPPROTO_TCP, flags=0)
            for kind, address in found
            if family in {kind, socket.AF_UNSPEC}
        ]

    async def close(self) -> None:
        """Stop waiting for names."""
        waiting = tuple(self._under_way.values())
        for future in waiting:
            future.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    async def _found(self, host: str) -> Resolved:
        asked = (asking_for.get(), host)
        if asked not in self._under_way:
            await self._begin(asked)
        return await asyncio.shield(self._under_way[asked])

    async def _begin(self, asked: tuple[WorkspaceId | None, str]) -> None:
        """Start a thread for this name as soon as there is room, unless somebody was quicker."""
        workspace_id, host = asked
        share = self._shares.setdefault(workspace_id, asyncio.Semaphore(RESOLVING_AT_ONCE_PER_WORKSPACE))
        with ExitStack() as room:
            for places in (share, self._threads):
                await places.acquire()
                room.callback(places.release)
            if asked not in self._under_way:
                room.callback(self._under_way.pop, asked, None)
                self._under_way[asked] = asyncio.wrap_future(_in_thread(partial(self._names, host)))
                leave = room.pop_all().close
                self._under_way[asked].add_done_callback(lambda _: leave())


def look_up(host: str) -> Resolved:
    """The addresses of a name, each with its family, as the system resolves it; blocks."""
    try:
        infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label that is empty or too long
        raise socket.gaierror(socket.EAI_NONAME, "not a host name") from error
    return [(family, str(address[0])) for family, _, _, _, address in infos]


def _in_thread(call: Callable[[], Resolved]) -> Future[Resolved]:
    """Run in a daemon thread: an executor's threads would be waited for when the interpreter ends."""
    future: Future[Resolved] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(call())
        except Exception as error:  # noqa: BLE001 - whoever awaits the future gets it
            future.set_exception(error)

    Thread(target=run, name="name resolution", daemon=True).start()
    return future
