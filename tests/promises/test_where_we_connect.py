"""No lookup connects to an address that is not public, however it is written, resolved or redirected to.

The operator may open networks, never a metadata address. "Public" is played by 127.0.0.1, which the operator has opened,
where a test needs an endpoint that answers; everything else of this machine is a trap that counts who falls into it.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from domain.answer import NotFound
from domain.failure import Failure, FailureKind
from domain.identity import WorkspaceId
from lookups.client import LookupClient
from lookups.guard import RESOLVING_AT_ONCE, Guard
from tests.stage.back_door import BackDoor
from tests.stage.crm import response
from tests.stage.helpdesk import CREATE_CONNECTOR, Helpdesk, open_helpdesk
from tests.stage.name_server import SILENCE, NameServer, open_name_server
from tests.stage.question import question
from tests.stage.waiting import eventually, in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.promises.conftest import Figure
    from tests.stage.crm import Crm

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "127.0.0.2", "127.255.255.254", "::1"])  # so that a trap can be reached

LONG = pytest.mark.timeout(300)

ADDRESSES = (
    "127.0.0.1 127.0.0.2 127.255.255.254 0.0.0.0 0.1.2.3 255.255.255.255 10.0.0.1 172.16.0.1 172.31.255.255 192.168.0.1 "
    "100.64.0.1 100.127.255.255 169.254.169.254 169.254.170.2 168.63.129.16 192.0.0.192 100.100.100.200 192.0.2.1 "
    "198.18.0.1 198.51.100.1 203.0.113.1 192.88.99.1 224.0.0.1 239.255.255.250 240.0.0.1 ::1 :: ::ffff:127.0.0.1 "
    "::127.0.0.1 ::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::7f00:1 2002:7f00:1::1 "
    "2001:0:4136:e378:8000:63bf:80ff:fffe fe80::5efe:127.0.0.1 fd00:ec2::254 fe80::1 febf::1 fec0::1 ff02::1 5f00::1 "
    "3fff::1 100::1"
).split()

SPELLINGS = (
    "127.1 127.0.1 0177.0.0.1 0x7f.0.0.1 0x7f000001 2130706433 017700000001 127.000.000.001 0 "
    "0377.00000000377.00377.0000377 2852039166 0xa9fea9fe 0251.0376.0251.0376 127.0.0.1. [0:0:0:0:0:0:0:1] [::ffff:7f00:1] "
    "①②⑦.⓪.⓪.① 127。0。0。1"
).split()

NOT_URLS = [
    "http://good.example@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}#@good.example/",
    "http://good.example\\@127.0.0.1:{port}/",
    "http://1.1.1.1&@127.0.0.1:{port}# @3.3.3.3/",
    "http://user:pw@127.0.0.1:{port}/",
    "http://[fe80::1%25lo]:{port}/",
    "http://[::1%lo]:{port}/",
    "http://127.0.0.1%0d%0a:{port}/",
    "http://%31%32%37.0.0.1:{port}/",
    "http://%6c%6f%63%61%6c%68%6f%73%74:{port}/",
    *(f"http://127.0.0.1{character}.good.example:{{port}}/" for character in "\r\n\t\0 "),
    *(
        "file:///etc/passwd gopher://127.0.0.1:{port}/ ftp://127.0.0.1:{port}/ dict://127.0.0.1:{port}/ ldap://127.0.0.1:{port}/".split()
    ),
    *("unix:///tmp/socket data:,x javascript:alert(1) http:/127.0.0.1:{port}/ http:127.0.0.1:{port} //127.0.0.1:{port}/".split()),
    " http://127.0.0.1:{port}/",
    *(
        "http://127.0.0.1:0/ http://127.0.0.1:-1/ http://127.0.0.1:65536/ http://127.0.0.1:99999/ http://127.0.0.1:80:{port}/".split()
    ),
    *("http://[::1 http://::1 http://[127.0.0.1]:{port}/ http://a..example:{port}/".split()),
    f"http://{'a' * 64}.example:{{port}}/",
    f"http://{'a.' * 127}example:{{port}}/",
    f"http://127.0.0.1:{{port}}/{'a' * 2049}",
    f"http://127.0.0.1:{{port}}/{'a' * 70_000}",
]

SPECIAL = [
    # IANA IPv4 Special-Purpose Address Registry, multicast and class E
    *"0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.0.0/29 192.0.0.8/32".split(),
    *"192.0.0.9/32 192.0.0.10/32 192.0.0.170/32 192.0.0.171/32 192.0.2.0/24 192.31.196.0/24 192.52.193.0/24".split(),
    *"192.88.99.0/24 192.88.99.2/32 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24".split(),
    *"224.0.0.0/4 240.0.0.0/4 255.255.255.255/32".split(),
    # IANA IPv6 Special-Purpose Address Registry, multicast, what RFC 4291 keeps and what was site-local
    *"::/128 ::1/128 ::/96 ::ffff:0.0.0.0/104 ::ffff:10.0.0.0/104 ::ffff:0:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64".split(),
    *"100:0:0:1::/64 2001::/23 2001::/32 2001:1::1/128 2001:1::2/128 2001:1::3/128 2001:2::/48 2001:3::/32".split(),
    *"2001:4:112::/48 2001:10::/28 2001:20::/28 2001:30::/28 2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20".split(),
    *"5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8 ::/3 4000::/2 8000::/1".split(),
]

MUST_PASS = "172.32.0.1 100.63.255.254 1.1.1.1 8.8.8.8 93.184.216.34 2606:4700:4700::1111 2a00:1450:4001:80b::200e".split()

METADATA = (
    "169.254.169.254 169.254.170.2 169.254.170.23 168.63.129.16 192.0.0.192 100.100.100.200 fd00:ec2::254 fd00:ec2::23 "
    "fd20:ce::254 ::ffff:169.254.169.254 ::169.254.169.254 ::ffff:0:169.254.169.254 64:ff9b::a9fe:a9fe 64:ff9b:1::a9fe:a9fe "
    "2002:a9fe:a9fe::1 2001:0:a9fe:a9fe:8000:63bf:80ff:fffe 2001:0:4136:e378:8000:63bf:5601:5601 fe80::5efe:a9fe:a9fe "
    "::ffff:168.63.129.16"
).split()

ATTEMPTS = 10
"""What is ours comes again; what does not was the machine's."""

ONE_MESSAGE = "This address is not allowed."
BLOCKED = ("ERROR", "BLOCKED_ADDRESS", None)
TRY_OUT = """
mutation ($id: ID!) {
  testConnector(id: $id, email: "jan@firma.cz") { ... on LookupTrial { status httpStatus durationMs error { code message } } }
}
"""
CREATE_TICKET = """
mutation { createTicket(input: {requesterEmail: "jan@firma.cz", subject: "Hello"}) { ... on Ticket { id } } }
"""


@dataclass
class Trap:
    """Listeners on every address of this machine that a lookup must not reach, all on one port."""

    port: int = 0
    caught: list[str] = field(default_factory=list)

    async def holds(self) -> bool:
        """Whether it catches who comes: what it has not caught by now never came."""
        before = len(self.caught)
        _, writer = await asyncio.open_connection("127.0.0.2", self.port)
        await eventually(self._caught_another(before))
        writer.close()
        return self.caught.pop() == "127.0.0.2"

    def _caught_another(self, before: int) -> Any:  # noqa: ANN401 - a condition
        async def look() -> bool:
            return len(self.caught) > before

        return look


@asynccontextmanager
async def open_trap(*hosts: str, port: int = 0) -> AsyncIterator[Trap]:
    trap = Trap(port)

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        trap.caught.append(writer.get_extra_info("sockname")[0])
        writer.close()

    servers = []
    for host in hosts:
        try:
            server = await asyncio.start_server(accept, host, trap.port)
        except OSError:
            assert ":" in host  # a machine without IPv6 has no such address to reach
            continue
        servers.append(server)
        trap.port = server.sockets[0].getsockname()[1]
    try:
        yield trap
    finally:
        for server in servers:
            server.close()
            await server.wait_closed()


@dataclass
class Stage:
    """A product that resolves names by the name server of the test, with one connector to try places with."""

    helpdesk: Helpdesk
    name_server: NameServer
    connector_id: str
    back_door: BackDoor
    messages: set[str] = field(default_factory=set)
    """What the refused were told."""

    async def refuses_to_save(self, url: str) -> bool:
        made = (await self.helpdesk.admin.ask(CREATE_CONNECTOR, input={"name": "CRM", "lookupUrl": url}))["createConnector"]
        if made["__typename"] != "InvalidInput":
            return False
        self.messages |= {problem["message"] for problem in made["problems"]}
        return [problem["field"] for problem in made["problems"]] == ["lookupUrl"]

    async def store(self, url: str) -> None:
        """Put the URL where an older version, another setting or a restored backup could have left it."""
        statement = "UPDATE connectors SET lookup_url = :url WHERE id = :id"
        await in_thread(self.back_door.alter, statement, url=url, id=UUID(self.connector_id))

    async def asked(self) -> tuple[str, str | None, int | None]:
        """What comes of asking the connector now."""
        trial = (await self.helpdesk.admin.ask(TRY_OUT, id=self.connector_id))["testConnector"]
        if trial["error"]:
            self.messages.add(trial["error"]["message"])
        return trial["status"], trial["error"] and trial["error"]["code"], trial["httpStatus"]

    async def asked_at(self, url: str) -> tuple[str, str | None, int | None]:
        await self.store(url)
        return await self.asked()


@asynccontextmanager
async def open_stage(data_dir: Path, **settings: Any) -> AsyncIterator[Stage]:  # noqa: ANN401
    async with open_name_server() as name_server, open_helpdesk(data_dir, names=name_server.names, **settings) as helpdesk:
        connector_id = await helpdesk.connect("https://crm.example/lookup")
        yield Stage(helpdesk, name_server, connector_id, BackDoor(helpdesk.parts.settings.async_database_url))


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """As it is delivered: nothing but the public internet is open."""
    async with open_stage(tmp_path / "data", lookup_allowed_networks=[]) as opened:
        yield opened


@pytest.fixture
async def open_to_one(tmp_path: Path) -> AsyncIterator[Stage]:
    """Its operator has opened 127.0.0.1."""
    async with open_stage(tmp_path / "data", lookup_allowed_networks=["127.0.0.1/32"]) as opened:
        yield opened


@pytest.fixture
async def trap() -> AsyncIterator[Trap]:
    async with open_trap("127.0.0.1", "127.0.0.2", "127.255.255.254", "::1") as opened:
        yield opened


@pytest.fixture
async def beside(crm: Crm) -> AsyncIterator[Trap]:
    """A trap on the port of the endpoint on 127.0.0.1, on every other address."""
    async with open_trap("127.0.0.2", "127.255.255.254", "::1", port=crm.port) as opened:
        yield opened


@LONG
async def test_no_forbidden_address_is_saved_or_asked_in_any_spelling(stage: Stage, trap: Trap, figure: Figure) -> None:
    hosts = [*(f"[{address}]" if ":" in address else address for address in ADDRESSES), *SPELLINGS]
    wrong = []

    for host in hosts:
        url = f"http://{host}:{trap.port}/"
        seen = await stage.refuses_to_save(url), await stage.asked_at(url)
        if seen != (True, BLOCKED):
            wrong.append((host, *seen))

    assert wrong == []
    assert stage.messages == {ONE_MESSAGE}
    assert await trap.holds()
    assert trap.caught == []
    figure("addresses refused", 2 * len(hosts))
    figure("connections that reached a forbidden listener", len(trap.caught))


@LONG
async def test_what_only_looks_like_a_url_is_not_saved_and_leads_nowhere(stage: Stage, trap: Trap, figure: Figure) -> None:
    wrong = []

    for shape in NOT_URLS:
        url = shape.replace("{port}", str(trap.port))
        refused, (status, *_) = await stage.refuses_to_save(url), await stage.asked_at(url)
        if (refused, status) != (True, "ERROR"):
            wrong.append((url[:80], refused, status))

    assert wrong == []
    assert await trap.holds()
    assert trap.caught == []
    figure("addresses refused", 2 * len(NOT_URLS))
    figure("connections that reached a forbidden listener", len(trap.caught))


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "ⓛocalhost"])
async def test_a_name_of_this_machine_leads_nowhere(stage: Stage, trap: Trap, host: str) -> None:
    assert await stage.asked_at(f"http://{host}:{trap.port}/") == BLOCKED
    assert await trap.holds()
    assert trap.caught == []


@LONG
async def test_no_name_leads_to_a_forbidden_address(stage: Stage, trap: Trap, figure: Figure) -> None:
    for number, address in enumerate(ADDRESSES):
        stage.name_server.says(f"crm-{number}.example", record(address))
    answers = {
        "alias.example": "CNAME one.example; CNAME two.example; A 127.0.0.1",
        "aaaa-only.example": "AAAA ::1",
        "mixed.example": "A 1.1.1.1; A 127.0.0.1",
        "mixed-families.example": "A 1.1.1.1; AAAA ::1",
        "sixty.example": "; ".join([*(f"A 1.1.1.{number}" for number in range(59)), "A 127.0.0.1"]),
    }
    for name, records in answers.items():
        stage.name_server.says(name, records)
    names = [*(f"crm-{number}.example" for number in range(len(ADDRESSES))), *answers]
    wrong = []

    for name in names:
        seen = await stage.asked_at(f"http://{name}:{trap.port}/")
        queries = stage.name_server.asked[name, "A"], stage.name_server.asked[name, "AAAA"]
        if seen != BLOCKED or (queries != (1, 1) and name != "sixty.example"):  # glibc repeats what outgrows its first buffer
            wrong.append((name, seen, queries))

    assert wrong == []
    assert await trap.holds()
    assert trap.caught == []
    figure("addresses refused", len(names))
    figure("connections that reached a forbidden listener", len(trap.caught))


@LONG
async def test_a_name_that_leads_elsewhere_after_it_was_saved_is_judged_again(
    open_to_one: Stage, crm: Crm, beside: Trap, figure: Figure
) -> None:
    """Rebinding: the answers last for no time, and each lookup asks once, so there is none between check and connection."""
    wrong = []
    forbidden = [address for address in ADDRESSES if address not in {"127.0.0.1", "::ffff:127.0.0.1"}]

    for number, address in enumerate(forbidden):
        name = open_to_one.name_server.says(f"crm-{number}.example", "A 127.0.0.1", record(address))
        seen = [await open_to_one.asked_at(f"http://{name}:{crm.port}/lookup") for _ in range(2)]
        queries = open_to_one.name_server.asked[name, "A"], open_to_one.name_server.asked[name, "AAAA"]
        if (seen, queries) != ([("NOT_FOUND", None, 200), BLOCKED], (2, 2)):
            wrong.append((address, seen, queries))

    assert wrong == []
    assert len(crm.requests) == len(forbidden)
    assert await beside.holds()
    assert beside.caught == []
    figure("addresses refused", len(forbidden))
    figure("connections that reached a forbidden listener", len(beside.caught))


@pytest.mark.parametrize("records", ["A 127.0.0.1; A 127.0.0.2", "A 127.0.0.2; A 127.0.0.1", "A 127.0.0.1; AAAA ::1"])
async def test_an_allowed_address_does_not_save_a_name_that_has_a_forbidden_one(
    open_to_one: Stage, crm: Crm, beside: Trap, records: str
) -> None:
    name = open_to_one.name_server.says("crm.example", records)

    assert await open_to_one.asked_at(f"http://{name}:{crm.port}/lookup") == BLOCKED
    assert await beside.holds()
    assert (crm.requests, beside.caught) == ([], [])


@pytest.mark.timed
@pytest.mark.parametrize("host", ["127.0.0.1", "crm.example"])
async def test_a_refusal_is_the_same_and_takes_as_long_whether_or_not_something_listens(
    stage: Stage, trap: Trap, host: str, figure: Figure
) -> None:
    stage.name_server.says("crm.example", "A 127.0.0.1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        quickest = []
        for port in (trap.port, taken.getsockname()[1]):
            await stage.store(f"http://{host}:{port}/")
            trials = [(await stage.helpdesk.admin.ask(TRY_OUT, id=stage.connector_id))["testConnector"] for _ in range(5)]
            assert [(trial["status"], trial["error"]["code"], trial["httpStatus"]) for trial in trials] == [BLOCKED] * 5
            assert {trial["error"]["message"] for trial in trials} == {ONE_MESSAGE}
            quickest.append(min(trial["durationMs"] for trial in trials))

    assert trap.caught == []
    assert abs(quickest[0] - quickest[1]) < 50
    figure("between refusals with and without a listener, ms", float(abs(quickest[0] - quickest[1])))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(open_to_one: Stage, crm: Crm, beside: Trap, status: int) -> None:
    places = [
        "http://169.254.169.254/latest/meta-data/",
        f"http://127.0.0.2:{crm.port}/",
        f"//127.0.0.2:{crm.port}/",
        f"http://[::1]:{crm.port}/",
        "file:///etc/passwd",
        crm.url("/other"),
        "/lookup",
    ]
    seen = []

    await open_to_one.store(crm.url())
    for place in places:
        crm.answers["/lookup"] = response(status, b"", f"Location: {place}")
        seen.append(await open_to_one.asked())

    assert seen == [("ERROR", "REDIRECT", status)] * len(places)
    assert [request.path for request in crm.requests] == ["/lookup"] * len(places)
    assert await beside.holds()
    assert beside.caught == []


@LONG
async def test_no_setting_opens_a_metadata_address(tmp_path: Path, figure: Figure) -> None:
    everything = ["0.0.0.0/0", "::/0", "169.254.169.254/32", "fd00:ec2::254/128"]
    async with open_stage(tmp_path / "data", lookup_allowed_networks=everything) as stage:
        wrong = []
        for number, address in enumerate(METADATA):
            name = stage.name_server.says(f"crm-{number}.example", record(address))
            literal = f"http://[{address}]/" if ":" in address else f"http://{address}/"
            seen = await stage.refuses_to_save(literal), await stage.asked_at(literal), await stage.asked_at(f"http://{name}/")
            if seen != (True, BLOCKED, BLOCKED):
                wrong.append((address, *seen))

        assert wrong == []
        assert stage.messages == {ONE_MESSAGE}
    figure("addresses refused", 3 * len(METADATA))


def test_the_first_the_second_and_the_last_address_of_every_special_range_are_shut(figure: Figure) -> None:
    guard = Guard()
    edges = {edge for told in SPECIAL for edge in (ip_network(told)[0], ip_network(told)[-1], second(told))}
    inside = {mapped(edge) for edge in edges if isinstance(edge, IPv4Address)} | edges

    assert [address for address in inside if guard.allows(address)] == []
    figure("addresses refused", len(inside))


def test_what_stands_just_outside_of_every_special_range_is_open(figure: Figure) -> None:
    guard = Guard()
    special = [ip_network(told) for told in SPECIAL]
    beside = {address for network in special for address in neighbours(network) if not any(address in one for one in special)}
    beside |= {ip_address(told) for told in MUST_PASS}

    assert len(beside) > 30
    assert [address for address in beside if not guard.allows(address)] == []
    figure("addresses that must pass", len(beside))


@pytest.mark.timed
async def test_twelve_names_on_a_dead_name_server_hold_up_no_good_one(open_to_one: Stage, crm: Crm, figure: Figure) -> None:
    helpdesk, name_server = open_to_one.helpdesk, open_to_one.name_server
    dead = [name_server.says(f"dead-{number}.example", SILENCE) for number in range(12)]
    for name in dead:
        await helpdesk.connect(f"http://{name}/")
    await open_to_one.store(f"http://{name_server.says('good.example', 'A 127.0.0.1')}:{crm.port}/lookup")
    await open_to_one.asked()

    async def all_hang() -> bool:
        return all(name_server.asked[name, "A"] for name in dead)

    await helpdesk.agent.ask(CREATE_TICKET)
    await eventually(all_hang)
    trials = [(await helpdesk.admin.ask(TRY_OUT, id=open_to_one.connector_id))["testConnector"] for _ in range(ATTEMPTS)]

    assert {(trial["status"], trial["httpStatus"]) for trial in trials} == {("NOT_FOUND", 200)}
    quickest = min(trial["durationMs"] for trial in trials)
    assert quickest < 100
    figure("a good name beside 12 dead ones, ms", float(quickest))


@pytest.mark.timed
async def test_no_workspace_holds_up_the_names_of_another(crm: Crm, figure: Figure) -> None:
    """Threads that hang outlive their lookups, so a workspace that keeps changing its URLs could collect them all."""
    async with open_name_server() as name_server:
        names = [name_server.says(f"dead-{number}.example", SILENCE) for number in range(2 * RESOLVING_AT_ONCE)]
        good = name_server.says("good.example", "A 127.0.0.1")
        async with LookupClient(Guard(allowed_networks=[ip_network("127.0.0.1/32")]), names=name_server.names) as client:
            asking = [asyncio.create_task(client.ask(question(f"http://{name}/"))) for name in names]

            async def some_hang() -> bool:
                return len(name_server.asked) > 20

            await eventually(some_hang)
            neighbour = replace(question(f"http://{good}:{crm.port}/lookup"), workspace_id=WorkspaceId(UUID(int=3)))
            replies = [await client.ask(neighbour) for _ in range(ATTEMPTS)]
            others = await asyncio.gather(*asking)

    assert {reply.outcome for reply in replies} == {NotFound()}
    quickest = min(reply.took for reply in replies)
    assert quickest < timedelta(milliseconds=100)
    assert {other.outcome for other in others} == {Failure(FailureKind.TIMEOUT)}
    figure("a good name beside a workspace of dead ones, ms", quickest / timedelta(milliseconds=1))


def record(address: str) -> str:
    """The DNS record of an address."""
    return f"AAAA {ip_address(address).exploded}" if ":" in address else f"A {address}"


def second(told: str) -> IPv4Address | IPv6Address:
    network = ip_network(told)
    return network[min(1, network.num_addresses - 1)]


def mapped(address: IPv4Address) -> IPv6Address:
    return IPv6Address(f"::ffff:{address}")


def neighbours(network: Any) -> list[IPv4Address | IPv6Address]:  # noqa: ANN401 - a network of either version
    first, last = int(network[0]), int(network[-1])
    kind = type(network[0])
    return [kind(value) for value in (first - 1, last + 1) if 0 <= value < 2**network.max_prefixlen]
