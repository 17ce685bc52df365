"""Whatever strangers write is stored: each database has characters of its own that it refuses."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from domain.lookup import LookupStatus, Occasion
from inbox.parse import Parser
from inbox.receive import Reception
from tests.lookups.room import open_room
from tests.stage.crm import response
from tests.stage.front_end import NO_TLS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.flows.desk import Desk
    from tests.lookups.room import Room
    from tests.stage.crm import Crm

NASTY = "NUL \x00, half a pair \ud800, bidirectional \u202e, beyond \U0001f469"
ODD_BYTES = re.compile(rb"\\u|[\x00\x80-\xff]")
OPEN_WITH = "mutation ($input: CreateTicketInput!) { createTicket(input: $input) { ... on Ticket { id } } }"
CONNECT = "mutation ($input: CreateConnectorInput!) { createConnector(input: $input) { __typename } }"
SHOW = "query ($id: ID!) { ticket(id: $id) { id } connector(id: $id) { id } }"
PAGE = "query ($after: String) { tickets(after: $after) { nodes { id } } }"


@pytest.fixture
async def room(url: str) -> AsyncIterator[Room]:
    async with open_room(url) as opened:
        yield opened


async def test_every_mail_of_the_corpora_is_stored_as_it_came(room: Room, corpora: Path) -> None:
    files = [path for path in sorted((corpora / "mail").rglob("*")) if path.is_file() and not path.name.endswith("LICENSE")]
    reception = Reception(room.database, room.dispatch, per_sender_and_hour=1000, now=room.clock.now)
    different: dict[bytes, bytes] = {}

    async with Parser() as parser:
        for path in files:
            email = await parser.read(path.read_bytes(), envelope_sender=None)
            different.setdefault(email.fingerprint, email.raw)
            await reception.receive(email, room.workspace_id)

    stored = [bytes(content) for (content,) in room.back_door.rows("SELECT content FROM raw_messages")]
    assert sorted(stored) == sorted(different.values())


async def test_every_odd_answer_is_stored_and_read_again(room: Room, crm: Crm, corpora: Path) -> None:
    odd = [content for path in (corpora / "json").rglob("*.json") if ODD_BYTES.search(content := path.read_bytes())]
    naughty = [*json.loads((corpora / "strings" / "blns.json").read_text(encoding="utf-8")), NASTY]
    documents = [{"found": True, "name": text, "badge": text, "fields": {text: text, "x": {text: 1}}} for text in naughty[::9]]
    bodies = [
        *odd,
        *(b'{"found": true, "name": "x", "fields": {"key": ' + content + b"}}" for content in odd),
        *(json.dumps(document).encode() for document in documents),
    ]
    connector = await room.connect(crm.url())
    ticket = await room.open_ticket()

    for body in bodies:
        crm.answers["/lookup"] = response(200, body)
        await room.request(ticket, Occasion.REFRESH_ASKED)
        prepared = await room.runner.claim(room.workspace_id)
        assert prepared is not None
        await room.runner.run(prepared)

    assert len(bodies) > 100
    lines = await room.log(connector)
    assert len(lines) == len(bodies)
    assert {line.status for line in lines} == {LookupStatus.FOUND, LookupStatus.ERROR}
    assert (await room.standing(ticket, connector)).answer is not None


@pytest.mark.asyncio(loop_scope="session")
async def test_what_front_ends_send_is_stored_or_refused_in_their_words(desk: Desk) -> None:
    ticket = {"requesterEmail": "jan@firma.cz", "requesterName": NASTY, "subject": NASTY, "text": NASTY}
    connector = {"name": NASTY, "lookupUrl": f"https://crm.example/{NASTY}", "linkTemplate": f"https://crm.example/{NASTY}"}

    opened = await escaped(desk, OPEN_WITH, input=ticket)
    refused = [
        await escaped(desk, CONNECT, input={"name": "CRM", "lookupUrl": "https://crm.example"} | {member: text})
        for member, text in connector.items()
    ]
    unknown = await escaped(desk, SHOW, id=NASTY)
    page = await escaped(desk, PAGE, after=NASTY)

    (shown,) = await desk.tickets()
    assert opened["data"]["createTicket"]["id"] == shown["id"]
    assert "\x00" not in shown["subject"]
    for answer in (*refused, unknown, page):
        codes = {error["extensions"]["code"] for error in answer.get("errors", ())}
        assert codes <= {"BAD_REQUEST"}, answer


async def escaped(desk: Desk, query: str, **variables: object) -> Any:  # noqa: ANN401 - what the query selects
    """The answer to a document that holds every odd character as JSON's escape, as browsers send them."""
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client:
        answer = await client.post(
            f"{desk.base_url}/graphql",
            content=json.dumps({"query": query, "variables": variables}).encode("ascii"),
            headers={"Authorization": f"Bearer {desk.admin.token}", "Content-Type": "application/json"},
        )
    return answer.json()
