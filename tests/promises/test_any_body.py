"""Whatever bytes a body is made of, they are read, stored and shown without a fault, or refused as documented.

Bodies go in through real sockets and come out over GraphQL, on both kinds of database.
"""

from __future__ import annotations

import json
import re
from contextlib import AsyncExitStack
from dataclasses import dataclass
from ipaddress import ip_network
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest
import regex

from domain.answer import Found, read_answer
from domain.failure import Failure
from lookups.client import LookupClient
from lookups.guard import Guard
from tests.stage.bodies import bodies
from tests.stage.crm import response
from tests.stage.helpdesk import PANELS, Helpdesk, open_helpdesk
from tests.stage.question import question
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from pathlib import Path

    from domain.answer import Reading
    from tests.promises.conftest import Figure
    from tests.stage.crm import Crm
    from tests.stage.postgres import PostgreSQL

    Size = Callable[[int], int]

SEED = 20261122
CONNECTORS = 25
TEMPLATE = "https://crm.example/customers/{customer_id}?from=helpdesk"
NO_ANSWER = {"INVALID_JSON", "INVALID_RESPONSE", "EMPTY_BODY"}
AWKWARD = [
    "\x00",
    "a\x00b",
    "\ud800",
    "\udfff\ud800",
    "\u202eabc",
    "\u2066",
    ".",
    "..",
    "e\u0301" * 600,
    "👩\u200d👩\u200d👧" * 40,
    "%2e%2e",
]

_BIDI_CONTROLS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_NO_CHARACTER = re.compile("[\x00\ud800-\udfff]")

CREATE_TICKET = """
mutation { createTicket(input: {requesterEmail: "jan@firma.cz", subject: "Hello"}) { ... on Ticket { id } } }
"""
REFRESH = "mutation ($id: ID!) { refreshLookup(ticketId: $id) { __typename } }"
UNDER_WAY = "{ tickets(first: 1) { nodes { crmPanels { refreshing } } } }"
SHOWN = f"{{ tickets(first: 1) {{ nodes {{ crmPanels {{ {PANELS} }} }} }} }}"
LOG = """
{ connectors { name lookups(first: 1) {
    nodes { status httpStatus error { code } response warnings { path expected received } } } } }
"""


@dataclass
class Desk:
    """A product whose one ticket has as many panels as a workspace may have."""

    helpdesk: Helpdesk
    crm: Crm
    ticket_id: str

    async def show(self, bodies: Sequence[bytes]) -> list[tuple[Any, Any]]:
        """The panel and the line of the log that each body leads to, asked for by an agent's refresh."""
        seen = []
        for start in range(0, len(bodies), CONNECTORS):
            seen += await self._show(bodies[start : start + CONNECTORS])
        return seen

    async def _show(self, bodies: Sequence[bytes]) -> list[tuple[Any, Any]]:
        for number, body in enumerate(bodies):
            self.crm.answers[f"/{number}"] = response(200, body)
        self.crm.requests.clear()
        await self.helpdesk.agent.ask(REFRESH, id=self.ticket_id)
        await eventually(self._all_asked, within=30)
        await eventually(self.settled, within=30)
        panels = {panel["connectorName"]: panel for panel in await self._panels(SHOWN)}
        log = {line["name"]: line["lookups"]["nodes"][0] for line in (await self._ask(LOG))["connectors"]}
        return [(panels[str(number)], log[str(number)]) for number in range(len(bodies))]

    async def _all_asked(self) -> bool:
        return len(self.crm.requests) == CONNECTORS

    async def settled(self) -> bool:
        return not any(panel["refreshing"] for panel in await self._panels(UNDER_WAY))

    async def _panels(self, query: str) -> list[Any]:
        panels: list[Any] = (await self._ask(query))["tickets"]["nodes"][0]["crmPanels"]
        return panels

    async def _ask(self, query: str) -> Any:  # noqa: ANN401 - whatever the query selects
        answered = await self.helpdesk.admin.post(query)
        told = json.loads(answered.content.decode("utf-8", "strict"))
        assert "errors" not in told, told
        assert [text for text in texts_of(told) if _NO_CHARACTER.search(text)] == []
        return told["data"]


@pytest.fixture
async def desk(crm: Crm, database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Desk]:
    """Over each kind of database in turn."""
    async with AsyncExitStack() as stack:
        settings: dict[str, Any] = {}
        if database_kind == "postgresql":
            postgres: PostgreSQL = request.getfixturevalue("postgres")
            settings["database_url"] = postgres.url(stack.enter_context(postgres.database()))
        helpdesk = await stack.enter_async_context(open_helpdesk(tmp_path / "data", **settings))
        for number in range(CONNECTORS):
            await helpdesk.connect(crm.url(f"/{number}"), str(number), linkTemplate=TEMPLATE)
        ticket_id = (await helpdesk.agent.ask(CREATE_TICKET))["createTicket"]["id"]
        ready = Desk(helpdesk, crm, ticket_id)
        await eventually(ready.settled, within=30)  # what the ticket has called for would be joined, not asked again
        yield ready


@pytest.fixture
async def client() -> AsyncIterator[LookupClient]:
    async with LookupClient(Guard(allowed_networks=[ip_network("127.0.0.0/8")])) as opened:
        yield opened


async def test_the_json_test_suite_ends_as_documented(client: LookupClient, crm: Crm, corpora: Path, figure: Figure) -> None:
    files = sorted((corpora / "json" / "test_parsing").glob("*.json"))
    wrong = []

    for file in files:
        code = await code_of(client, crm, file.read_bytes())
        if code not in documented(file):
            wrong.append((file.name, code))

    assert wrong == []
    assert len(files) > 300
    figure("bodies tried", len(files))


@pytest.mark.parametrize("member", ["x", "name", "fields"])
async def test_the_json_test_suite_inside_an_answer_ends_as_documented(
    client: LookupClient, crm: Crm, corpora: Path, figure: Figure, member: str
) -> None:
    files = [
        file
        for file in sorted((corpora / "json" / "test_parsing").glob("[yn]_*.json"))
        if b"}" not in file.read_bytes() and not file.read_bytes().startswith(b"\xef\xbb\xbf")  # neither ends our object early
    ]
    wrong = []

    for file in files:
        body = b'{"found": true, "%s":\n%s\n}' % (member.encode(), file.read_bytes())
        code = await code_of(client, crm, body)
        expected = {"TOO_LARGE"} if len(body) > 65_536 else {None} if file.name.startswith("y_") else {"INVALID_JSON"}
        if code not in expected:
            wrong.append((file.name, code))

    assert wrong == []
    figure("bodies tried", len(files))


@pytest.mark.timeout(300)
async def test_the_naughty_strings_come_through_every_text_and_out_again(desk: Desk, corpora: Path, figure: Figure) -> None:
    listed = json.loads((corpora / "strings" / "blns.json").read_text(encoding="utf-8"))
    naughty = [text for text in dict.fromkeys([*listed, *AWKWARD]) if text]
    answers = [
        {"found": True, "customer_id": text, "name": text, "badge": text, "badge_color": text, "fields": {text: "v", "k": text}}
        for text in naughty
    ]

    seen = await desk.show([json.dumps(answer).encode() for answer in answers])

    assert [(text, panel) for text, (panel, _) in zip(naughty, seen, strict=True) if not comes_through(text, panel)] == []
    assert len(naughty) > 500
    figure("strings through every text", str(len(naughty)))


@pytest.mark.timeout(900)
async def test_generated_bodies_are_stored_and_shown(desk: Desk, size: Size, figure: Figure) -> None:
    sent = list(bodies(Random(SEED), size(1_000)))

    seen = await desk.show(sent)

    wrong: list[tuple[Any, ...]] = []
    for body, (panel, line) in zip(sent, seen, strict=True):
        outcome = read_answer(body)
        expected = outcome.kind.name if isinstance(outcome, Failure) else None
        if (panel["error"] and panel["error"]["code"]) != expected or (line["error"] and line["error"]["code"]) != expected:
            wrong.append((body, expected, panel, line))
        if isinstance(outcome, Failure):
            continue
        if panel["customer"] != customer_of(outcome, panel) or len(line["warnings"]) != len(outcome.warnings):
            wrong.append((body, outcome, panel, line))
    assert wrong == []
    figure("bodies stored and shown", len(sent))


@pytest.mark.timeout(600)
async def test_generated_bodies_come_through_a_socket_as_they_are_read(
    client: LookupClient, crm: Crm, size: Size, figure: Figure
) -> None:
    sent = list(bodies(Random(SEED + 1), size(5_000)))
    wrong = []

    for body in sent:
        outcome = read_answer(body)
        code = await code_of(client, crm, body)
        if code != (outcome.kind.name if isinstance(outcome, Failure) else None):
            wrong.append((body, outcome, code))

    assert wrong == []
    figure("bodies tried", len(sent))


@pytest.mark.timeout(600)
def test_any_body_is_an_answer_that_keeps_the_limits_or_a_documented_failure(size: Size, figure: Figure) -> None:
    chance, count, answers = Random(SEED + 2), size(100_000), 0

    for body in bodies(chance, count):
        outcome = read_answer(body)
        if isinstance(outcome, Failure):
            assert outcome.kind.name in NO_ANSWER, body
        else:
            assert not faults_of(outcome), body
            answers += 1

    assert answers > count / 10
    figure("bodies tried", count)
    figure("answers among them", answers)


async def code_of(client: LookupClient, crm: Crm, body: bytes) -> str | None:
    """The error that a 200 with this body ends in; None for an answer."""
    crm.answers["/lookup"] = response(200, body)
    reply = await client.ask(question(crm.url()))
    assert reply.http_status == 200
    return reply.outcome.kind.name if isinstance(reply.outcome, Failure) else None


def documented(file: Path) -> set[str | None]:
    """What the contract says of a file of the suite."""
    content = file.read_bytes()
    if len(content) > 65_536:
        return {"TOO_LARGE"}
    if not content.removeprefix(b"\xef\xbb\xbf").strip():
        return {"EMPTY_BODY"}
    if file.name.startswith("y_") and "duplicated_key" not in file.name:
        return {"INVALID_RESPONSE", None}
    return {"INVALID_JSON"} if "duplicated_key" in file.name else {"INVALID_JSON", "INVALID_RESPONSE"}


def comes_through(text: str, panel: Any) -> bool:  # noqa: ANN401 - a panel
    """Whether the panel shows a string in every place where it was put, as far as it can be shown."""
    customer, clean = panel["customer"], _NO_CHARACTER.sub("\ufffd", _BIDI_CONTROLS.sub("", text))
    shown = {"k": cut(clean, 500)} if clean else {}
    return bool(
        (panel["status"], panel["error"]) == ("FOUND", None)
        and customer["customerId"] == (clean if 0 < len(clean) <= 255 else None)
        and customer["name"] == (cut(clean, 200) or None)
        and (customer["badge"] or {}).get("text") == (cut(clean, 30) or None)
        and [(field["key"], field["value"]) for field in customer["fields"]] == [(cut(clean, 60), "v"), *shown.items()]
        and leads_to(customer["deepLink"], customer["customerId"])
    )


def leads_to(link: str | None, customer_id: str | None) -> bool:
    """Whether the link holds the id as one piece of the path, and nothing else of it moves."""
    if link is None or customer_id is None:
        return link is None and customer_id in {None, ".", ".."}
    parts = urlsplit(link)
    return (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("https", "crm.example", "from=helpdesk", "") and (
        parts.path.split("/")[:2] == ["", "customers"]
        and len(parts.path.split("/")) == 3
        and unquote(parts.path.split("/")[2]) == customer_id
    )


def customer_of(reading: Reading, panel: Any) -> Any:  # noqa: ANN401 - as GraphQL tells a customer
    """The customer as GraphQL should tell it; the link is judged elsewhere."""
    if not isinstance(reading.answer, Found):
        return None
    known = reading.answer.customer
    return {
        "customerId": known.customer_id,
        "name": known.name,
        "badge": known.badge and {"text": known.badge.text, "color": known.badge.color.name},
        "fields": [{"key": field.key, "value": field.value} for field in known.fields],
        "deepLink": panel["customer"] and panel["customer"]["deepLink"],
    }


def faults_of(reading: Reading) -> list[str]:
    """What breaks a limit, or could not be stored or sent."""
    if not isinstance(reading.answer, Found):
        return []
    known = reading.answer.customer
    limited = [(known.name, 200), (known.badge and known.badge.text, 30)]
    limited += [(field.key, 60) for field in known.fields] + [(field.value, 500) for field in known.fields]
    texts = [known.customer_id or "", *(text or "" for text, _ in limited)]
    texts += [text for warning in reading.warnings for text in (warning.path, warning.received)]
    return [
        *(text for text in texts if _NO_CHARACTER.search(text) or _BIDI_CONTROLS.search(text)),
        *(text for text, limit in limited if text and len(text) > limit and len(regex.findall(r"\X", text)) > limit),
        *(["customer_id"] if len(known.customer_id or "") > 255 else []),
        *(["fields"] if len(known.fields) > 5 else []),
    ]


def cut(text: str, limit: int) -> str:
    return "".join(regex.findall(r"\X", text)[:limit])


def texts_of(told: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    match told:
        case str():
            yield told
        case dict():
            yield from (text for value in told.values() for text in texts_of(value))
        case list():
            yield from (text for value in told for text in texts_of(value))
        case _:
            pass
