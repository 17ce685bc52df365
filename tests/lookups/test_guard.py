from __future__ import annotations

import asyncio
import contextvars
import socket
import subprocess
import sys
import threading
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from domain.failure import Failure, FailureKind
from domain.identity import EmailAddress, TicketId, WorkspaceId
from lookups.client import LookupClient
from lookups.guard import (
    RESOLVING_AT_ONCE,
    RESOLVING_AT_ONCE_PER_WORKSPACE,
    BlockedAddress,
    Guard,
    GuardedResolver,
    asking_for,
    look_up,
)
from lookups.question import Question

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lookups.conftest import Listen

    Found = list[tuple[int, str]]

PUBLIC = "1.1.1.1 8.8.8.8 93.184.216.34 2606:4700:4700::1111 2a00:1450:4001:80b::200e ::ffff:93.184.216.34".split()

BESIDE_A_CLOSED_RANGE = (
    "1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.254 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 168.63.129.15 "
    "168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 172.32.0.1 192.0.1.0 192.0.3.0 192.88.98.255 "
    "192.88.100.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 "
    "203.0.114.0 223.255.255.255 2001:200:: 2001:db7:ffff:: 2001:db9:: 2003:: 3ffe:ffff:: 2620:4f:7fff:: 2620:4f:8001::"
).split()

CLOSED = (
    "0.0.0.0 0.1.2.3 0.255.255.255 10.0.0.0 10.0.0.1 10.255.255.255 100.64.0.0 100.64.0.1 100.127.255.255 "
    "127.0.0.0 127.0.0.1 127.255.255.254 169.254.0.0 169.254.1.1 169.254.255.255 172.16.0.0 172.16.0.1 172.31.255.255 "
    "192.0.0.0 192.0.0.8 192.0.0.9 192.0.0.255 192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1 192.168.0.0 192.168.0.1 "
    "192.168.255.255 192.175.48.1 198.18.0.0 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.250 "
    "240.0.0.1 255.255.255.255 "
    ":: ::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::127.0.0.1 ::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe "
    "64:ff9b::808:808 64:ff9b:1::7f00:1 100::1 2001::1 2001:0:4136:e378:8000:63bf:80ff:fffe 2001:2::1 2001:10::1 2001:20::1 "
    "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff 2001:db8::1 2002:7f00:1::1 2002:808:808::1 2620:4f:8000::1 3fff::1 "
    "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff 4000::1 5f00::1 fc00::1 fd12:3456::1 fe80::1 fe80::5efe:127.0.0.1 febf::1 fec0::1 "
    "ff02::1 feef::1 2606:4700::5efe:127.0.0.1 2606:4700::200:5efe:a00:1"
).split()

METADATA = (
    "169.254.169.254 169.254.170.2 169.254.170.23 168.63.129.16 192.0.0.192 100.100.100.200 "
    "fd00:ec2::254 fd00:ec2::23 fd20:ce::254"
).split()

METADATA_IN_IPV6 = (
    "::ffff:169.254.169.254 ::ffff:168.63.129.16 ::169.254.169.254 ::ffff:0:169.254.169.254 64:ff9b::a9fe:a9fe "
    "64:ff9b:1::a9fe:a9fe 2002:a9fe:a9fe::1 2001:0:a9fe:a9fe:8000:63bf:80ff:fffe 2001:0:4136:e378:8000:63bf:5601:5601 "
    "fe80::5efe:a9fe:a9fe 2606:4700::5efe:6464:64c8"
).split()

SPELLINGS = (
    "127.0.0.1 127.1 127.0.1 0177.0.0.1 0x7f.0.0.1 0x7f.1 0x7f000001 2130706433 017700000001 127.000.000.001 0 0.0.0.0 "
    "localhost LOCALHOST [::1] [::] [::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:0:0:1] [fe80::1%25lo] "
    "①②⑦.⓪.⓪.① 127。0。0。1 ⓛocalhost"
).split()


@pytest.mark.parametrize("address", [*PUBLIC, *BESIDE_A_CLOSED_RANGE])
def test_a_public_address_may_be_reached(address: str) -> None:
    assert Guard().allows(ip_address(address))


@pytest.mark.parametrize("address", [*CLOSED, *METADATA, *METADATA_IN_IPV6])
def test_an_address_that_is_not_public_may_not_be_reached(address: str) -> None:
    assert not Guard().allows(ip_address(address))


@pytest.mark.parametrize("address", [*METADATA, *METADATA_IN_IPV6])
def test_metadata_addresses_stay_shut_even_when_everything_is_allowed(address: str) -> None:
    guard = Guard(allowed_networks=[ip_network("0.0.0.0/0"), ip_network("::/0"), ip_network("169.254.169.254/32")])

    assert not guard.allows(ip_address(address))


@pytest.mark.parametrize("address", CLOSED)
def test_the_operator_can_open_any_other_network(address: str) -> None:
    guard = Guard(allowed_networks=[ip_network("0.0.0.0/0"), ip_network("::/0")])

    assert guard.allows(ip_address(address)) is (address not in METADATA_IN_IPV6)


def test_an_allowed_network_opens_itself_and_nothing_beside_it() -> None:
    guard = Guard(allowed_networks=[ip_network("10.1.0.0/16"), ip_network("fd12::/16")])

    assert guard.allows(ip_address("10.1.255.255"))
    assert guard.allows(ip_address("fd12::1"))
    assert not guard.allows(ip_address("10.2.0.0"))
    assert not guard.allows(ip_address("fd13::1"))


def test_a_mapped_address_is_judged_as_the_ipv4_address_that_it_is() -> None:
    assert Guard(allowed_networks=[ip_network("127.0.0.0/8")]).allows(ip_address("::ffff:127.0.0.1"))
    assert not Guard(allowed_networks=[ip_network("::/0")]).allows(ip_address("::ffff:127.0.0.1"))


@pytest.mark.parametrize("address", ["fe80::1%eth0", "2606:4700:4700::1111%1", "::1%lo"])
def test_an_address_with_a_zone_may_never_be_reached(address: str) -> None:
    assert not Guard(allowed_networks=[ip_network("::/0")]).allows(IPv6Address(address))


@pytest.mark.parametrize("host", SPELLINGS)
async def test_a_forbidden_listener_is_never_reached_however_its_address_is_spelled(listen: Listen, host: str) -> None:
    forbidden = await listen(_never)

    async with LookupClient(Guard()) as client:
        reply = await client.ask(_question(f"http://{host}:{forbidden.port}/"))

    assert reply.outcome == Failure(FailureKind.BLOCKED_ADDRESS)
    assert forbidden.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "0x7f000001", "2130706433", "localhost"])
async def test_an_allowed_listener_is_reached_however_its_address_is_spelled(listen: Listen, host: str) -> None:
    allowed = await listen(_not_found)

    async with LookupClient(Guard(allowed_networks=[ip_network("127.0.0.0/8"), ip_network("::1/128")])) as client:
        reply = await client.ask(_question(f"http://{host}:{allowed.port}/"))

    assert reply.http_status == 200
    assert allowed.connections == 1


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["::1"],
        ["127.0.0.2", "10.0.0.1"],
        ["10.0.0.1", "127.0.0.2"],
        ["127.0.0.2", "::ffff:10.0.0.1"],
        [*["127.0.0.2"] * 60, "169.254.169.254"],
    ],
)
async def test_a_name_is_refused_when_any_of_its_addresses_is_not_allowed(listen: Listen, addresses: list[str]) -> None:
    endpoint = await listen(_not_found)
    guard = Guard(allowed_networks=[ip_network("127.0.0.2/32")])

    async with LookupClient(guard, names=_names(*addresses)) as client:
        reply = await client.ask(_question(f"http://crm.example:{endpoint.port}/"))

    assert reply.outcome == Failure(FailureKind.BLOCKED_ADDRESS)
    assert endpoint.connections == 0


async def test_a_name_is_judged_each_time(listen: Listen) -> None:
    """Rebinding: the first answer of the name server may be reached, the second may not."""
    endpoint = await listen(_not_found_and_closes)
    answers = iter(["127.0.0.1", "169.254.169.254"])
    asked: list[str] = []

    def rebinding(host: str) -> Found:
        asked.append(host)
        return [(socket.AF_INET, next(answers))]

    async with LookupClient(Guard(allowed_networks=[ip_network("127.0.0.0/8")]), names=rebinding) as client:
        first = await client.ask(_question(f"http://crm.example:{endpoint.port}/"))
        second = await client.ask(_question(f"http://crm.example:{endpoint.port}/"))

    assert first.http_status == 200
    assert second.outcome == Failure(FailureKind.BLOCKED_ADDRESS)
    assert asked == ["crm.example"] * 2


def test_a_socket_is_only_made_for_an_allowed_address() -> None:
    destination = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 80))

    with pytest.raises(BlockedAddress):
        Guard().open_socket(destination)
    Guard(allowed_networks=[ip_network("127.0.0.0/8")]).open_socket(destination).close()


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..example", "x." * 127 + "y" * 64])
def test_a_host_that_no_name_server_could_know_is_not_resolved(host: str) -> None:
    with pytest.raises(socket.gaierror):
        look_up(host)


async def test_those_who_ask_for_one_name_share_one_thread() -> None:
    release, asked = threading.Event(), []

    def slow(host: str) -> Found:
        asked.append(host)
        release.wait()
        return [(socket.AF_INET, "93.184.216.34")]

    resolver = GuardedResolver(Guard(), slow)
    askers = [asyncio.create_task(resolver.resolve("crm.example", 443)) for _ in range(10)]
    await _until(lambda: bool(asked))
    askers[0].cancel()
    release.set()
    found = await asyncio.gather(*askers, return_exceptions=True)
    await resolver.close()

    assert asked == ["crm.example"]
    assert isinstance(found[0], asyncio.CancelledError)
    assert [answer for answer in found[1:] if not isinstance(answer, list)] == []


async def test_names_that_hang_leave_room_for_others_up_to_the_share_of_a_workspace() -> None:
    release, asked = threading.Event(), list[str]()

    def hangs_unless_good(host: str) -> Found:
        asked.append(host)
        if host != "good.example":
            release.wait()
        return [(socket.AF_INET, "93.184.216.34")]

    resolver = GuardedResolver(Guard(), hangs_unless_good)
    share = RESOLVING_AT_ONCE_PER_WORKSPACE
    hanging = [asyncio.create_task(resolver.resolve(f"{number}.example")) for number in range(share - 1)]
    await _until(lambda: len(asked) == share - 1)
    good = await resolver.resolve("good.example", 443)
    hanging += [asyncio.create_task(resolver.resolve(f"further-{number}.example")) for number in range(10)]
    await _until(lambda: len(asked) == share + 1)
    neighbours = await asyncio.create_task(resolver.resolve("good.example", 443), context=_context_of(WorkspaceId(UUID(int=3))))
    given_up = hanging.pop()
    given_up.cancel()
    release.set()
    await asyncio.gather(*hanging)
    await resolver.close()

    assert [result["host"] for result in good] == [result["host"] for result in neighbours] == ["93.184.216.34"]
    assert len(asked) == share + 10
    assert "further-9.example" not in asked


async def test_all_workspaces_together_have_a_bound_of_threads() -> None:
    release, asked = threading.Event(), list[str]()

    def hangs(host: str) -> Found:
        asked.append(host)
        release.wait()
        return []

    resolver = GuardedResolver(Guard(), hangs)
    hanging = [
        asyncio.create_task(resolver.resolve(f"{number}.example"), context=_context_of(WorkspaceId(UUID(int=number))))
        for number in range(RESOLVING_AT_ONCE + 10)
    ]
    await _until(lambda: len(asked) == RESOLVING_AT_ONCE)
    threads = sum(thread.name == "name resolution" for thread in threading.enumerate())
    release.set()
    await asyncio.gather(*hanging)
    await resolver.close()

    assert threads == RESOLVING_AT_ONCE
    assert len(asked) == RESOLVING_AT_ONCE + 10


async def test_a_name_without_an_address_is_no_internal_fault() -> None:
    def unknown(host: str) -> Found:
        raise socket.gaierror(socket.EAI_NONAME, host)

    resolver = GuardedResolver(Guard(), unknown)
    with pytest.raises(socket.gaierror):
        await resolver.resolve("crm.example")
    await resolver.close()


def test_a_process_ends_although_a_name_still_hangs() -> None:
    program = """
import asyncio, threading
from contextlib import suppress
from lookups.guard import Guard, GuardedResolver

async def main():
    resolver = GuardedResolver(Guard(), lambda host: threading.Event().wait())
    with suppress(TimeoutError):
        await asyncio.wait_for(resolver.resolve("crm.example"), 0.1)
    await resolver.close()

asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", program], check=True, timeout=20, capture_output=True, text=True)

    assert (ended.stdout, ended.stderr) == ("", "")


def _question(url: str) -> Question:
    return Question(
        url=url,
        header_name=None,
        secret=None,
        email=EmailAddress("jan.novak@company.cz"),
        ticket_id=TicketId(UUID(int=1)),
        workspace_id=WorkspaceId(UUID(int=2)),
    )


def _names(*addresses: str) -> Callable[[str], Found]:
    """A name server that gives these addresses for every name."""
    return lambda _: [(socket.AF_INET6 if ":" in address else socket.AF_INET, address) for address in addresses]


def _context_of(workspace_id: WorkspaceId) -> contextvars.Context:
    """The context of one who asks for this workspace."""
    context = contextvars.copy_context()
    context.run(asking_for.set, workspace_id)
    return context


async def _never(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    raise AssertionError("a forbidden listener was asked")


async def _not_found(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"found": false}')


async def _not_found_and_closes(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 16\r\n\r\n{"found": false}')
    writer.close()


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a thread changes it
            await asyncio.sleep(0.001)
