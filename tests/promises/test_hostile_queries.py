"""No request costs more than a moment: what is over a limit is refused before it costs anything, and told which limit it was."""

from __future__ import annotations

import asyncio
import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from graph.limits import Limits
from persistence.encryption import new_key_entry
from server.settings import Settings
from tests.graph.both_ways import executed
from tests.graph.desk import TICKET_MEMBERS, open_ticket, post, tidy
from tests.stage.back_door import BackDoor
from tests.stage.front_end import NO_TLS, PATIENCE, receive, send
from tests.stage.helpdesk import open_helpdesk
from tests.stage.waiting import eventually, in_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from tests.promises.conftest import Figure
    from tests.stage.crm import Crm
    from tests.stage.helpdesk import Helpdesk
    from tests.stage.postgres import PostgreSQL

pytestmark = pytest.mark.timed

LIMITS = Limits()
A_MOMENT = 1.0
"""Seconds of CPU, on a machine that has other things to do."""
ATTEMPTS = 3
"""What is ours comes again; what does not was the machine's."""


def many(text: str, times: int) -> str:
    """The text as often, with a number wherever it asks for one."""
    return " ".join(text.replace("#", str(n)) for n in range(times))


def doubling(length: int) -> str:
    """Fragments each of which spreads the next one twice."""
    chain = " ".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(length))
    return f"{{ ...F0 }} {chain} fragment F{length} on Query {{ viewer {{ name }} }}"


async def cheapest(ask: Callable[[str], Awaitable[httpx.Response]], text: str) -> tuple[httpx.Response, float]:
    """The answer, and the least CPU that it took; a space more makes of the text one that is not known yet."""
    spent: list[float] = []
    while True:
        started = time.process_time()
        answer = await ask(text + " " * len(spent))
        spent.append(time.process_time() - started)
        if spent[-1] < A_MOMENT or len(spent) == ATTEMPTS:
            return answer, min(spent)


# Documents

OVER_A_LIMIT: dict[str, tuple[str, str]] = {
    "tokens": (f"{{ {'viewer ' * LIMITS.tokens} }}", f"{LIMITS.tokens} tokens"),
    "directives": (f"{{ viewer {{ {many('name @skip(if: false)', LIMITS.directives + 1)} }} }}", "200 directives"),
    "directives in what nobody spreads": (
        f"{{ viewer {{ name }} }} fragment F on Viewer {{ {many('name @skip(if: false)', LIMITS.directives + 1)} }}",
        "200 directives",
    ),
    "depth": (f'{{ __type(name: "T") {{ {"ofType { " * LIMITS.depth} name {" }" * LIMITS.depth} }} }}', "20 levels of depth"),
    "depth in fragments": (
        '{ __type(name: "T") { ...T0 } } '
        + " ".join(f"fragment T{n} on __Type {{ ofType {{ ...T{n + 1} }} }}" for n in range(LIMITS.depth))
        + f" fragment T{LIMITS.depth} on __Type {{ name }}",
        "20 levels of depth",
    ),
    "inline fragments in each other": (f"{{ {'... { ' * 150} viewer {{ name }} {'} ' * 150} }}", "100 levels"),
    "fragments that spread each other in a row": (
        "{ ...F0 } "
        + " ".join(f"fragment F{n} on Query {{ ...F{n + 1} }}" for n in range(500))
        + " fragment F500 on Query { a }",
        "100 levels",
    ),
    "brackets without end": ("{ a " * 2_000, "nested too deeply"),
    "lists without end": ("{ ticket(id: " + "[" * 4_000, "nested too deeply"),
    "aliases": (f"{{ {many('a#: viewer { name }', LIMITS.aliases + 1)} }}", "200 aliases"),
    "aliases of leaves": (f"{{ viewer {{ {many('a#: name', LIMITS.aliases + 1)} }} }}", "200 aliases"),
    "aliases in a fragment spread twice": (
        f"{{ a: viewer {{ ...F }} b: viewer {{ ...F }} }} fragment F on Viewer {{ {many('a#: name', 100)} }}",
        "200 aliases",
    ),
    "aliases in the second operation": (
        f"query A {{ viewer {{ name }} }} query B {{ {many('a#: __typename', 201)} }}",
        "200 aliases",
    ),
    "fragments that double": (doubling(90), "100 fields of the same name"),
    "many operations that spread one fragment": (
        f"{many('query Q# { ...F }', 200)} fragment F on Query {{ {many('viewer { id }', 60)} }}",
        "10,000 selections",
    ),
    "equal leaves": (f"{{ viewer {{ {'name ' * 9_000} }} }}", "100 fields of the same name"),
    "equal objects": (f"{{ {'viewer { name } ' * 2_000} }}", "100 fields of the same name"),
    "equal fields in inline fragments": (f"{{ {'... on Query { viewer { name } } ' * 900} }}", "100 fields of the same name"),
    "equal fields in fragments": (
        f"{{ {many('...F#', 101)} }} {many('fragment F# on Query { viewer { name } }', 101)}",
        "100 fields of the same name",
    ),
    "equal fields with other arguments": (
        f"{{ {many('tickets(first: #) { nodes { id } }', 800)} }}",
        "100 fields of the same name",
    ),
    "equal fields, just few enough": (
        f"{{ {many('viewer { name role workspace { id name supportAddresses } __typename }', 100)} }}",
        "100,000 times",
    ),
    "members": (f"mutation {{ createTicket(input: {{ {many('a#: 1', 3_000)} }}) {{ __typename }} }}", "2,000 values"),
    "items": (f"{{ tickets(first: [{'1 ' * 9_000}]) {{ nodes {{ id }} }} }}", "2,000 values"),
    "members of a default": (
        f"mutation ($i: CreateTicketInput! = {{ {many('a#: 1', 3_000)} }}) {{ createTicket(input: $i) {{ __typename }} }}",
        "2,000 values",
    ),
    "a hundred times every member": (
        f"{{ {many(f'a#: tickets(first: 100) {{ nodes {{ {TICKET_MEMBERS} }} }}', 30)} }}",
        "2,000,000 fields in its answer",
    ),
}
CIRCLES = {
    "a fragment in itself": "{ ...F } fragment F on Query { viewer { name } ...F }",
    "two in each other": "{ ...F } fragment F on Query { ...G } fragment G on Query { ...F }",
    "deeper": "{ viewer { workspace { ...F } } } fragment F on Workspace { id ... { ...G } } fragment G on Workspace { ...F }",
    "a hundred in a circle": "{ ...F0 } " + " ".join(f"fragment F{n} on Query {{ ...F{(n + 1) % 90} }}" for n in range(90)),
    "introspection in a circle": "{ __schema { types { ...F } } } fragment F on __Type { ofType { ...F } }",
}
WITHIN_EVERY_LIMIT = {
    "names nobody knows": f"{{ {many('n#', 9_900)} }}",
    "types nobody knows": f"query ({many('$a#: T#', 2_000)}) {{ viewer {{ name }} }}",
    "arguments nobody knows": f"{{ tickets({many('a#: 1', 3_000)}) {{ nodes {{ id }} }} }}",
    "one argument again and again": f"{{ tickets({many('first: 1', 3_000)}) {{ nodes {{ id }} }} }}",
    "fragments that nobody spreads": f"{{ viewer {{ name }} }} {many('fragment F# on Query { viewer { name } }', 900)}",
    "many operations": many("query Q# { viewer { name } }", 1_200),
    "equal fields in many places": "{ " + " ".join(f"a{n}: viewer {{ {'name ' * 40} }}" for n in range(190)) + " }",
    "as many equal fields as there may be": f"{{ {'viewer { name workspace { id } } ' * 100} }}",
    "as many members as there may be": f"mutation {{ createTicket(input: {{ {many('a#: 1', 1_990)} }}) {{ __typename }} }}",
    "as many items as there may be": f"{{ tickets(first: [{'1 ' * 1_990}]) {{ nodes {{ id }} }} }}",
    "a long name": f"{{ {'a' * 900_000} }}",
    "a long text": f'{{ ticket(id: "{"a" * 900_000}") {{ id }} }}',
    "a long block": '{ ticket(id: """' + " a\n" * 200_000 + '""") { id } }',
    "a long number": f"{{ tickets(first: {'9' * 900_000}) {{ nodes {{ id }} }} }}",
    "a wide space": "{" + " \n" * 300_000 + "viewer { name } }",
}


async def test_a_document_over_a_limit_is_refused_by_its_name(helpdesk: Helpdesk, figure: Figure) -> None:
    front_end = helpdesk.agent
    told = {}
    for name, (query, _) in OVER_A_LIMIT.items():
        answer, spent = await cheapest(front_end.post, query)
        assert tidy(answer) == (200, "LIMIT_EXCEEDED"), name
        assert spent < A_MOMENT, name
        figure("slowest refusal of a document, ms of CPU", spent * 1000)
        told[name] = answer.json()["errors"][0]["message"]

    assert {name: limit for name, (_, limit) in OVER_A_LIMIT.items() if limit not in told[name]} == {}, told
    figure("documents over a limit", len(told))


async def test_fragments_in_a_circle_are_refused(helpdesk: Helpdesk) -> None:
    answers = {name: await helpdesk.agent.post(query) for name, query in CIRCLES.items()}

    assert {name: tidy(answer) for name, answer in answers.items()} == dict.fromkeys(CIRCLES, (200, "BAD_REQUEST"))
    assert {answer.json()["errors"][0]["message"][-14:] for answer in answers.values()} == {"within itself."}


async def test_a_document_just_within_the_limits_costs_a_moment(helpdesk: Helpdesk, figure: Figure) -> None:
    front_end = helpdesk.agent
    for name, query in WITHIN_EVERY_LIMIT.items():
        answer, spent = await cheapest(front_end.post, query)
        assert answer.status_code == 200, name
        assert spent < A_MOMENT, name
        figure("slowest document within the limits, ms of CPU", spent * 1000)


async def test_a_limit_holds_over_every_transport(helpdesk: Helpdesk) -> None:
    query, limit = OVER_A_LIMIT["equal objects"]
    async with helpdesk.agent.signed_in() as socket:
        await send(socket, id="1", type="subscribe", payload={"query": query})
        (over_socket,) = (await receive(socket))["payload"]
        await send(socket, id="2", type="subscribe", payload={"query": "{ viewer { name } }", "variables": {"a": [0] * 2_001}})
        (of_variables,) = (await receive(socket))["payload"]
    (streamed,) = (await helpdesk.agent.post(query, Accept="text/event-stream")).json()["errors"]

    for error in (over_socket, streamed, of_variables):
        assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
    assert limit in over_socket["message"]
    assert limit in streamed["message"]


SMALL: dict[str, tuple[int, str, str]] = {
    "graphql_body_bytes": (50, "{ viewer { name role workspace { id } } }", "50 bytes"),
    "graphql_tokens": (5, "{ viewer { name role } }", "5 tokens"),
    "graphql_directives": (1, "{ viewer { name @skip(if: false) role @skip(if: false) } }", "1 directives"),
    "graphql_selections": (2, "{ viewer { name role } }", "2 selections"),
    "graphql_values": (1, 'mutation { createTicket(input: { subject: "", text: "" }) { __typename } }', "1 values"),
    "graphql_depth": (1, "{ viewer { workspace { name } } }", "1 levels of depth"),
    "graphql_aliases": (1, "{ a: viewer { b: name } }", "1 aliases"),
    "graphql_equal_fields": (1, "{ viewer { name name } }", "1 fields of the same name"),
    "graphql_comparisons": (2, "{ viewer { name name name } }", "2 times"),
    "graphql_fields": (21, "{ tickets { nodes { id } } }", "21 fields in its answer"),
}
"""A small limit, what is over it, and how it is told; a small deadline has tests of its own."""


def test_each_limit_is_a_setting() -> None:
    assert {name for name in Settings.model_fields if name.startswith("graphql_")} == SMALL.keys() | {"graphql_seconds"}


@pytest.mark.parametrize("name", SMALL)
async def test_a_limit_that_is_set_is_the_one_that_is_told(tmp_path: Path, name: str) -> None:
    limit, query, told = SMALL[name]
    setting: dict[str, Any] = {name: limit}
    async with open_helpdesk(tmp_path / "data", **setting) as helpdesk:
        answers = [await helpdesk.agent.post(query) for _ in range(3)]

    for answer in answers:
        (error,) = answer.json()["errors"]
        assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
        assert told in error["message"]


# Variables and bodies

WIDE: dict[str, Any] = {
    "a list": [0] * 200_000,
    "lists in lists": [[0] * 400] * 400,
    "an object": {f"a{n}": 1 for n in range(50_000)},
    "a list of objects": [{"a": 1}] * 50_000,
}


async def test_variables_that_hold_too_much_are_refused(helpdesk: Helpdesk, figure: Figure) -> None:
    query = "mutation ($v: CreateTicketInput!) { createTicket(input: $v) { __typename } }"
    for name, value in WIDE.items():
        answer, spent = await cheapest(partial(helpdesk.agent.post, variables={"v": value}), query)
        assert tidy(answer) == (200, "LIMIT_EXCEEDED"), name
        assert spent < A_MOMENT, name
        figure("slowest refusal of variables, ms of CPU", spent * 1000)
        assert "2,000 values" in answer.json()["errors"][0]["message"]


async def test_a_body_is_counted_before_it_is_read(helpdesk: Helpdesk) -> None:
    sent = 0

    async def nearly_endless() -> Any:  # noqa: ANN401 - an asynchronous generator
        nonlocal sent
        while sent < 64 * LIMITS.body_bytes:
            sent += 65_536
            yield b" " * 65_536

    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client:
        headers = {"Authorization": f"Bearer {helpdesk.token()}", "Content-Type": "application/json"}
        try:
            answer = await client.post(
                f"{helpdesk.base_url}/graphql", content=nearly_endless(), headers=headers, timeout=PATIENCE
            )
        except (httpx.WriteError, httpx.ReadError):
            pass  # the connection was closed in the middle of it
        else:
            assert tidy(answer) == (413, "LIMIT_EXCEEDED")
            assert f"{LIMITS.body_bytes:,} bytes" in answer.json()["errors"][0]["message"]
    assert sent < 32 * LIMITS.body_bytes


def deep_bodies() -> Iterator[str]:
    yield "[" * 500_000
    yield '{"query":' * 50_000
    yield '{"query": "{ viewer { name } }", "variables": {"a": ' + "[" * 500_000 + "]" * 500_000
    yield '{"query": "{ viewer { name } }", "variables": {"a": ' + '{"a":' * 900 + "1" + "}" * 900 + "}}" + "}"


async def test_bodies_that_nest_without_end_are_the_clients_fault(helpdesk: Helpdesk, figure: Figure) -> None:
    for body in deep_bodies():
        answer, spent = await cheapest(partial(post, helpdesk), body)
        assert answer.status_code in {200, 400}
        assert "INTERNAL" not in answer.text
        assert spent < A_MOMENT, body[:40]
        figure("slowest refusal of a body, ms of CPU", spent * 1000)


NO_REQUEST: dict[str, dict[str, Any]] = {
    "several operations in one body": {"json": [{"query": "{ viewer { name } }"}] * 10},
    "a form": {"data": {"query": "{ viewer { name } }"}},
    "a form with a file": {"files": {"operations": (None, '{"query": "{ viewer { name } }"}'), "map": (None, "{}")}},
    "plain text": {"content": '{"query": "{ viewer { name } }"}', "headers": {"Content-Type": "text/plain"}},
    "no type at all": {"content": '{"query": "{ viewer { name } }"}'},
    "a document alone": {"content": "{ viewer { name } }", "headers": {"Content-Type": "application/graphql"}},
}


@pytest.mark.parametrize("request_", NO_REQUEST.values(), ids=NO_REQUEST)
async def test_what_a_foreign_page_could_send_without_asking_is_no_request(helpdesk: Helpdesk, request_: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {helpdesk.token()}"} | request_.get("headers", {})
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client:
        answer = await client.post(f"{helpdesk.base_url}/graphql", **request_ | {"headers": headers})

    assert tidy(answer) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("query", ["{ viewer { name } }", 'mutation { refreshLookup(ticketId: "x") { __typename } }'])
async def test_get_runs_nothing(helpdesk: Helpdesk, query: str) -> None:
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client:
        headers = {"Authorization": f"Bearer {helpdesk.token()}"}
        answer = await client.get(f"{helpdesk.base_url}/graphql", params={"query": query}, headers=headers)

    assert tidy(answer) == (405, "BAD_REQUEST")


# What a scanner asks for: what is not said above of graphql-cop's twelve checks


async def test_the_schema_is_for_those_who_are_signed_in(helpdesk: Helpdesk) -> None:
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client:
        answer = await client.post(f"{helpdesk.base_url}/graphql", json={"query": "{ __schema { types { name } } }"})
        page = await client.get(f"{helpdesk.base_url}/graphql", headers={"Accept": "text/html"})

    assert tidy(answer) == (401, "UNAUTHENTICATED")
    assert "__schema" not in answer.text
    assert tidy(page) == (401, "UNAUTHENTICATED"), "GraphQL itself shows no page to try it out"


async def test_an_answer_tells_nothing_of_how_it_came_about(helpdesk: Helpdesk) -> None:
    answer = await post(helpdesk, '{"query": "{ viewer { name } }"}', X_Apollo_Tracing="1")

    assert set(answer.json()) == {"data"}


async def test_production_suggests_nothing(tmp_path: Path) -> None:
    guesses = [
        "{ viewr { name } }",
        "{ viewer { nam } }",
        "{ tickets(frst: 1) { nodes { id } } }",
        "{ viewer { ...Viewr } } fragment Viewr on Viewr { name }",
        "query ($a: CreateTicketInpt!) { viewer { name } }",
        'mutation { createTicket(input: {requesterMail: "a@b.cz", subject: ""}) { __typename } }',
        "{ viewer @inclde(if: true) { name } }",
        "{ tickets { nodes { crmPanels { badge(locale: CZ) { text } } } } }",
    ]
    settings: dict[str, Any] = {"env": "production", "encryption_keys": new_key_entry(), "token_key": "k" * 32}
    async with open_helpdesk(tmp_path / "data", **settings) as helpdesk:
        answers = [await helpdesk.agent.post(guess) for guess in guesses]
        by_variable = await helpdesk.agent.post(
            "mutation ($i: CreateTicketInput!) { createTicket(input: $i) { __typename } }",
            {"i": {"requesterMail": "x", "subject": ""}},
        )

    for answer in (*answers, by_variable):
        assert answer.json()["errors"]
        assert "Did you mean" not in answer.text


# Time


@pytest.mark.timeout(120)
async def test_a_query_ends_at_its_deadline_and_so_does_what_it_asks_of_the_database(
    postgres: PostgreSQL, tmp_path: Path, figure: Figure
) -> None:
    with postgres.database() as name:
        url = postgres.url(name)
        async with open_helpdesk(tmp_path / "data", database_url=url, graphql_seconds=3) as helpdesk:
            await open_ticket(helpdesk.agent)
            compiled, stock = "{ tickets { edges { cursor } } }", "{ tickets { pageInfo { endCursor } } }"
            for _ in range(2):
                await helpdesk.agent.ask(compiled)
            before = await executed(helpdesk)
            async with helpdesk.agent.signed_in() as socket:
                await send(socket, id="lasts", type="subscribe", payload={"query": "subscription { ticketOpened { subject } }"})
                door = BackDoor(url)
                with door._open() as connection:  # noqa: SLF001 - a transaction that lasts
                    connection.exec_driver_sql("LOCK TABLE tickets, messages IN ACCESS EXCLUSIVE MODE")
                    started = time.monotonic()
                    await send(socket, id="1", type="subscribe", payload={"query": "{ tickets { nodes { id } } }"})
                    answers = await asyncio.gather(helpdesk.agent.post(compiled), helpdesk.agent.post(stock))
                    refused = await receive(socket)
                    took = time.monotonic() - started
                    await eventually(lambda: in_thread(lambda: not door.rows(_WAITING)))

                for answer in answers:
                    assert tidy(answer) == (200, "LIMIT_EXCEEDED")
                    assert "3 seconds" in answer.json()["errors"][0]["message"]
                    assert set(answer.json()) == {"data", "errors"}
                assert (await executed(helpdesk))["compiled"] == before["compiled"] + 1
                assert (refused["id"], refused["type"]) == ("1", "error")
                assert "3 seconds" in json.dumps(refused)
                assert took < 6
                figure("a deadline of 3 s kept, s", took)

                async def heard() -> Any:  # noqa: ANN401 - a message
                    await open_ticket(helpdesk.agent, "Still there")
                    return await receive(socket)

                assert (await eventually(heard))["id"] == "lasts"


_WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'SELECT tickets%'"


@pytest.mark.timeout(120)
async def test_a_mutation_is_not_broken_off_for_what_it_has_done_stands(tmp_path: Path, crm: Crm) -> None:
    crm.hang("/slow")
    trial = 'testConnector(id: $id, email: "jan@firma.cz") { ... on LookupTrial { status } }'
    async with open_helpdesk(tmp_path / "data", graphql_seconds=1) as helpdesk:
        connector_id = await helpdesk.connect(crm.url("/slow"))
        tried = await helpdesk.admin.ask(f"mutation ($id: ID!) {{ one: {trial} two: {trial} }}", id=connector_id)
        assert tried == {"one": {"status": "TIMEOUT"}, "two": {"status": "TIMEOUT"}}
