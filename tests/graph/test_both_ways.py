"""Compiled execution changes nothing that a client can see: whatever is sent, both ways answer the same, byte for byte."""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

import pytest
import pytest_asyncio
from graphql import FragmentDefinitionNode, OperationDefinitionNode, get_introspection_query, parse, print_ast
from graphql.language import FragmentSpreadNode, Visitor, visit

from bench import documents as bench
from domain.identity import Role
from tests.compiled.documents import Author
from tests.graph.both_ways import TIMES, BothWays, Sent, executed, open_both_ways, operation
from tests.graph.desk import Neighbour, open_neighbour, open_ticket, stock, tamper
from tests.graph.test_limits import EVERYTHING, EVERYTHING_TWICE, HOSTILE
from tests.promises.documents import SCHEMA, document, root_fields
from tests.stage.crm import FOUND, NOT_FOUND, open_crm, response
from tests.stage.farm import FULL_SIZE
from tests.stage.helpdesk import LIST, TICKET, WATCH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from graphql import Node

pytestmark = pytest.mark.asyncio(loop_scope="module")

VIEWER: Final = "{ viewer { name } }"
PAGE: Final = "query ($n: Int!, $a: String) { tickets(first: $n, after: $a) { nodes { id } pageInfo { endCursor hasNextPage } } }"
CONDITIONS: Final = """
query ($id: ID!, $yes: Boolean!, $no: Boolean = false) {
  viewer { name @include(if: $yes) role @skip(if: $no) }
  ticket(id: $id) @include(if: $yes) { id crmPanels @skip(if: $no) { status ... @include(if: $yes) { connectorName } } }
}
"""
SEVERAL: Final = (
    "query A { viewer { name } } query B { viewer { role } } mutation C { refreshLookup(ticketId: 1) { __typename } }"
)
UNKNOWN: Final = "6f9619ff-8b86-d011-b42d-00c04fc964ff"
CONSOLE: Final = Path(__file__).parents[2] / "console" / "src"


class Stage:
    """Both ways over some tickets with panels of every kind, beside a neighbour."""

    def __init__(self, both: BothWays, tickets: list[str], connectors: list[str], neighbour: Neighbour) -> None:
        self.both = both
        self.tickets = tickets
        self.connectors = connectors
        self.neighbour = neighbour
        self.agent = both.compiled.token()
        self.admin = both.compiled.token(Role.ADMIN)

    @property
    def ticket(self) -> str:
        """One with a panel of each kind."""
        return self.tickets[0]

    async def same(self, sent: Sent, token: str | None = None, times: int = TIMES) -> Any:  # noqa: ANN401 - any JSON
        """What both answer to it, as JSON where it is."""
        answer = await self.both.same(sent, self.agent if token is None else token, times)
        is_json = answer.body and dict(answer.headers).get("content-type") == "application/json"
        return json.loads(answer.body) if is_json else None


@asynccontextmanager
async def open_stage(data_dir: Path) -> AsyncIterator[Stage]:
    async with open_crm() as crm, open_both_ways(data_dir) as both:
        crm.answers |= {"/found": FOUND, "/not-found": NOT_FOUND, "/broken": response(500, b"")}
        helpdesk = both.compiled
        connectors = [await helpdesk.connect(crm.url(f"/{name}"), name) for name in ("found", "not-found", "broken")]
        tickets = [await open_ticket(helpdesk.agent, f"Invoice {n}", f"{n % 2}@firma.cz") for n in range(3)]
        for ticket in range(3):
            for panel in range(3):
                await helpdesk.settled(ticket, panel)
        tickets += await stock(helpdesk, 22, "0@firma.cz")
        yield Stage(both, tickets, connectors, await open_neighbour(helpdesk, crm.url("/theirs")))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """One for all that only read."""
    async with open_stage(tmp_path_factory.mktemp("stage") / "data") as opened:
        yield opened


@asynccontextmanager
async def compiled_mostly(stage: Stage, share: float) -> AsyncIterator[None]:
    """As much as that of what is sent meanwhile takes the fast path, and nothing of it where that is switched off."""
    before = Counter(await executed(stage.both.compiled))
    yield
    meanwhile = Counter(await executed(stage.both.compiled)) - before
    assert meanwhile["compiled"] > share * meanwhile.total(), meanwhile
    without = await executed(stage.both.stock)
    assert (without["compiled"], without["stock"] > 0) == (0, True)


def words_of_the_console() -> Iterator[str]:
    """Every operation of the console, with the fragments that it spreads."""
    texts = [
        text.replace("@_unmask", "")
        for file in sorted([*CONSOLE.rglob("*.ts"), *CONSOLE.rglob("*.tsx")])
        for text in re.findall(r"graphql\(\s*`([^`]*)`", file.read_text())
    ]
    definitions = [definition for text in texts for definition in parse(text).definitions]
    fragments = {one.name.value: one for one in definitions if isinstance(one, FragmentDefinitionNode)}
    for one in definitions:
        if isinstance(one, OperationDefinitionNode):
            yield "\n".join([print_ast(one), *(print_ast(fragments[name]) for name in sorted(_spread_in(one, fragments)))])


def _spread_in(node: Node, fragments: dict[str, FragmentDefinitionNode]) -> set[str]:
    found: set[str] = set()

    class Spreads(Visitor):
        def enter_fragment_spread(self, spread: FragmentSpreadNode, *_: object) -> None:
            found.add(spread.name.value)

    visit(node, Spreads())
    return found.union(*(_spread_in(fragments[name], fragments) for name in found))


# What front ends ask.


async def test_what_the_console_asks(stage: Stage) -> None:
    given = {"id": stage.ticket, "ticketId": stage.ticket, "first": 20, "email": "0@firma.cz", "locale": "EN"}
    texts = [*words_of_the_console()]

    async with compiled_mostly(stage, 0.15):  # many ask for connectors, which only the stock executor guards
        for text in texts:
            if not text.startswith("mutation"):
                await stage.same(operation(text, given), stage.admin)
                await stage.same(operation(text, given | {"id": stage.connectors[0]}), stage.admin)
            await stage.same(operation(text, {}), stage.admin, times=2)
    assert len(texts) > 25


async def test_what_real_clients_ask(stage: Stage) -> None:
    cursor = (await stage.same(operation(PAGE, {"n": 2})))["data"]["tickets"]["pageInfo"]["endCursor"]
    given = {"after": cursor, "n": 3, "a": cursor, "yes": True}
    async with compiled_mostly(stage, 0.6):
        for text in (bench.TICKET, bench.TICKETS, LIST, TICKET, EVERYTHING, PAGE, CONDITIONS):
            for ticket in stage.tickets[2:4]:
                answer = await stage.same(operation(text, given | {"id": ticket}))
                assert "errors" not in answer, answer
        twice = await stage.same(operation(EVERYTHING_TWICE, {"first": 100}))
    assert len(twice["data"]["tickets"]["nodes"]) == 25


@pytest.mark.timeout(600)
async def test_whatever_is_written_by_chance(stage: Stage) -> None:
    texts = {
        "id": [*stage.tickets[:3], "no-id", UNKNOWN, stage.neighbour.ticket_id, stage.connectors[0]],
        "requesterEmail": ["0@firma.cz", "1@FIRMA.cz", "nobody"],
        "after": ["Mg", "no cursor!", "Did you mean this?"],
        "locale": ["EN"],
    }
    async with compiled_mostly(stage, 0.35):
        for number in range(600 if FULL_SIZE else 60):
            chance = Random(10_000 + number)
            calm, left_out = chance.random() < 0.8, set() if chance.random() < 0.1 else {"connector", "connectors", "auditLog"}
            written = Author(SCHEMA, chance, texts=texts, left_out=left_out, calm=calm).write()
            sent = operation(written.text, written.variables, written.operation_name)
            await stage.same(sent, chance.choice([stage.agent, stage.admin]))


async def test_every_field_of_the_query_with_all_that_it_shows(stage: Stage) -> None:
    ids = [stage.ticket, stage.connectors[0], stage.neighbour.ticket_id, stage.neighbour.connector_id, UNKNOWN, "x", ""]
    for place, _ in root_fields():
        if place.root == "Query":
            for given in ids:
                for token in (stage.agent, stage.admin):
                    await stage.same(operation(document(place, {"id": json.dumps(given)})), token, times=2)


# What is refused.


def _too_much() -> Iterator[tuple[str, object]]:
    yield from ((text, {"n": 100}) for text in HOSTILE.values())
    yield "{ viewer { name " + "@include(if: true) " * 201 + "} }", None
    yield "{ viewer { " + "name " * 101 + "} }", None
    yield "{ viewer { " + "...F " * 5_001 + "} } fragment F on Viewer { name role }", None
    yield f"{{ ticket(id: [{'1, ' * 2_001}]) {{ id }} }}", None
    yield VIEWER, {"a": list(range(2_001))}
    yield VIEWER, {f"a{n}": [n] for n in range(1_001)}
    yield TICKET, {"id": [[1] * 1_500, [2] * 1_500]}


async def test_each_limit(stage: Stage) -> None:
    for text, variables in _too_much():
        answer = await stage.same(operation(text, variables), times=2)
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["LIMIT_EXCEEDED"], text[:200]

    large = await stage.both.same(Sent(b" " * (1024 * 1024 + 1)), stage.agent)
    assert (large.status, dict(large.headers)["connection"]) == (413, "close")


async def test_a_limit_is_told_of_variables_although_the_document_has_a_plan(stage: Stage) -> None:
    await stage.same(operation(VIEWER))
    answer = await stage.same(operation(VIEWER, {"a": list(range(2_001))}))

    assert [error["extensions"]["code"] for error in answer["errors"]] == ["LIMIT_EXCEEDED"]


VALUES: Final[list[Any]] = [
    None, True, 0, 1, -1, 2, 101, 2.0, 1.5, 2**31, 2**53 + 1, 2**63, 2**64, 10**30, 1e300, "", "2", "x", "\ud800", "\u0000",
    [], [1], {}, {"a": 1},
]  # fmt: skip


async def test_variables_of_every_kind(stage: Stage) -> None:
    given = {"n": 2, "id": stage.ticket, "yes": True}
    for text, names in ((PAGE, "na"), (TICKET, ["id"]), (CONDITIONS, ["id", "yes", "no"])):
        await stage.same(operation(text, given))
        for name in names:
            for value in VALUES:
                await stage.same(operation(text, given | {name: value}), times=1)
    for variables in ({}, {"n": 1}, {"n": 1, "more": 1, "id": "x", "\ud800": 1}, [], "x", 1, True, None, [{"n": 1}]):
        for text in (PAGE, TICKET, CONDITIONS, VIEWER):
            await stage.same(operation(text, variables), times=1)


async def test_cursors_and_pages_out_of_bounds(stage: Stage) -> None:
    for first in (-1, 0, 1, 25, 99, 100, 101, 2**31 - 1):
        for after in (
            None,
            "",
            "Mg",
            "Mg==",
            "MQ",
            "LTE",
            "OTk5OTk5OTk5OTk5OTk5",
            "ž",
            "\ud800",
            "x" * 10_000,
            "a, Did you mean b?",
        ):
            await stage.same(operation(PAGE, {"n": first, "a": after}), times=2)


NAMES: Final[list[Any]] = [None, "A", "B", "C", "D", "", "a", "\ud800", 1, ["A"], {}, True]
QUERIES: Final[list[Any]] = [None, 1, [VIEWER], {}, True, VIEWER + " " * 60_000, f"#\ufeff\n{VIEWER}", f"\ufeff{VIEWER}"]
EXTENSIONS: Final[list[Any]] = [None, {}, {"a": 1}, [], "x", 1, {"persistedQuery": {"version": 1, "sha256Hash": "x"}}]


async def test_operations_and_their_names(stage: Stage) -> None:
    for text in (
        SEVERAL,
        VIEWER,
        "query A { viewer { name } }",
        "query A { nope }",
        "{",
        "",
        "fragment A on Query { __typename }",
    ):
        for name in NAMES:
            await stage.same(operation(text, name=name))
    for query in QUERIES:
        await stage.same(operation(query))


async def test_extensions_and_other_members(stage: Stage) -> None:
    for extensions in EXTENSIONS:
        await stage.same(operation(VIEWER, extensions=extensions))
    await stage.same(operation(VIEWER, id="1", documentId="2", doc_id="3", **{"": None, "Query": "{ nope }"}))


def _odd_bodies() -> Iterator[bytes]:
    plain = operation(VIEWER).body
    yield from (b"", b"null", b"[]", b"1", b'"x"', b"{}", b"{", plain[:-1], plain + b"x", plain + b"\n", b" " + plain)
    yield b"[" + plain + b"]"
    yield b"[" + plain + b"," + plain + b"]"
    yield b'{"query": "{ nope }", "query": "{ viewer { name } }"}'
    yield b'{"query": "{ viewer { name } }", "query": "{ nope }"}'
    yield b'{"query": "{ viewer { name } }", "variables": [], "variables": {}}'
    for encoding in ("utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1"):
        yield json.dumps({"query": "{ viewer { name } } # ž".replace("ž", "é")}, ensure_ascii=False).encode(encoding)
    for value in (
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"1e999",
        b"01",
        b"-0",
        b"1.0",
        b"2e0",
        b"9" * 5_000,
        b"[" * 2_000,
        b'"\xff"',
    ):
        yield b'{"query": "query ($n: Int!) { tickets(first: $n) { nodes { id } } }", "variables": {"n": ' + value + b"}}"
    yield b'{"query": "{ viewer { name } } # \xc3\x28"}'
    yield b'{"query": "{ viewer { name } } # \xed\xa0\x80"}'
    yield b'{"query": "{ viewer { name } } # \\u0000 \\ud83d\\ude00"}'
    yield b'{"query": "{ viewer { name } }\\u2028"}'
    yield b'{"query": "{ viewer { name } }", "variables": ' + b'{"a":' * 1_100 + b"1" + b"}" * 1_100 + b"}"


async def test_bodies_of_every_kind(stage: Stage) -> None:
    for body in _odd_bodies():
        await stage.same(Sent(body))


async def test_headers_of_every_kind(stage: Stage) -> None:
    plain, watching = operation(TICKET, {"id": stage.ticket}).body, operation(WATCH, {"id": UNKNOWN}).body
    for kind in (
        "application/json; charset=utf-8", "application/json; charset=utf-16", "Application/JSON",
        "application/json;", "text/plain", "", "application/graphql", "application/graphql-response+json", "x/application/json",
        "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "application/json, text/plain",
    ):  # fmt: skip
        await stage.same(Sent(plain, {"Content-Type": kind}))
    for accept in (
        "application/json", "text/event-stream", "TEXT/EVENT-STREAM", "text/event-stream;q=0",
        "application/json, text/event-stream",
        "multipart/mixed", 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0', "*/*", "", "image/png",
    ):  # fmt: skip
        for body in (plain, watching, operation("{ nope }").body, operation(SEVERAL, name="A").body):
            if "event-stream" not in accept.lower() or body is not watching:
                await stage.same(Sent(body, {"Accept": accept}))
    for header in ("If-None-Match", "Range", "Origin", "Cookie", "Content-Encoding", "X-Request-Id", "Expect"):
        await stage.same(Sent(plain, {header: "100-continue" if header == "Expect" else "x"}))
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"):
        await stage.same(Sent(plain, method=method))


async def test_introspection(stage: Stage) -> None:
    for text in (
        get_introspection_query(),
        '{ __type(name: "Ticket") { name fields { name } } __typename viewer { __typename } }',
    ):
        answer = await stage.same(operation(text))
        assert "errors" not in answer


# Who asks.


async def test_rights_and_tokens(stage: Stage) -> None:
    helpdesk = stage.both.compiled
    tokens = {
        "agent": stage.agent,
        "admin": stage.admin,
        "mail": helpdesk.token(Role.MAIL),
        "nobody": "",
        "nonsense": "nonsense",
        "expired": helpdesk.token(ttl=timedelta(seconds=-1)),
        "a neighbour": stage.neighbour.admin.token,
    }
    texts = (VIEWER, LIST, TICKET, "{ connectors { id name } }", "{ auditLog { nodes { id } } viewer { name } }", "{ nope }")
    for text in texts:
        for token in tokens.values():
            await stage.same(operation(text, {"id": stage.ticket}), token)
            await stage.same(operation(text, {"id": stage.neighbour.ticket_id}), token)

    mine = await stage.same(operation(TICKET, {"id": stage.ticket}), stage.agent)
    theirs = await stage.same(operation(TICKET, {"id": stage.ticket}), stage.neighbour.admin.token)
    assert (mine["data"]["ticket"]["id"], theirs) == (stage.ticket, {"data": {"ticket": None}})


# What goes wrong.


BROKEN: Final = {
    "an answer": ("UPDATE answers SET customer = ? WHERE customer IS NOT NULL", '{"the": "wrong members"}'),
    "a number": ("UPDATE tickets SET number = number + ?", 2**40),
}


@pytest.mark.parametrize("what", BROKEN)
async def test_a_row_that_no_code_of_ours_could_have_written(tmp_path: Path, what: str) -> None:
    texts = (LIST, "query ($id: ID!) { ticket(id: $id) { number crmPanels { status } } }", f"{{ viewer {{ name }} {LIST[1:]}")
    async with open_stage(tmp_path / "data") as stage:
        for text in texts:
            await stage.same(operation(text, {"id": stage.ticket}))
        tamper(tmp_path / "data", *BROKEN[what])
        for text in texts:
            answer = await stage.same(operation(text, {"id": stage.ticket}), times=1)
            assert {error["extensions"]["code"] for error in answer["errors"]} == {"INTERNAL"}


async def test_the_same_many_times_is_told_apart_by_its_request_id_alone(stage: Stage) -> None:
    before = await executed(stage.both.compiled)
    for _ in range(5):
        await stage.same(operation(VIEWER))
    after = await executed(stage.both.compiled)

    assert after["compiled"] - before["compiled"] >= 5 * TIMES - 1
