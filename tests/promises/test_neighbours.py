"""Workspaces cannot see each other: whatever takes an id answers a neighbour as if nobody had it, and nothing else tells."""

from __future__ import annotations

import json
import logging
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import jwt
import pytest
import structlog
from sqlalchemy import Engine, event
from sqlmodel import SQLModel
from structlog.testing import capture_logs
from websockets.exceptions import ConnectionClosed

from domain.identity import Role
from graph.rights import MayConfigure
from server.clock import utc_now
from tests.promises.documents import Place, document, inner_fields_with_ids, places_of_ids, root_fields
from tests.stage.front_end import FrontEnd, receive, send
from tests.stage.helpdesk import CREATE_CONNECTOR, Helpdesk
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from domain.identity import WorkspaceId
    from tests.promises.conftest import Figure
    from tests.stage.crm import Crm

pytestmark = pytest.mark.timeout(300)

REQUESTER = "jan@firma.cz"
CREATE_TICKET = "mutation ($input: CreateTicketInput!) { createTicket(input: $input) { ... on Ticket { id } } }"
LOOK = "{ tickets { nodes { crmPanels { refreshing status } } } }"


@dataclass(frozen=True)
class Row:
    """How to call one place: of what kind its id is, and every argument, with ``{id}``, ``{ticket}`` or ``{connector}`` in it."""

    kind: str
    given: Mapping[str, str]


ROWS = {
    "Query.ticket(id)": Row("ticket", {"id": '"{id}"'}),
    "Query.connector(id)": Row("connector", {"id": '"{id}"'}),
    "Mutation.refreshLookup(ticketId)": Row("ticket", {"ticketId": '"{id}"'}),
    "Mutation.refreshLookup(connectorId)": Row("connector", {"ticketId": '"{ticket}"', "connectorId": '"{id}"'}),
    "Mutation.updateConnector(id)": Row("connector", {"id": '"{id}"', "input": '{{name: "Mine"}}'}),
    "Mutation.arrangeConnectors(ids)": Row("connector", {"ids": '["{id}"]'}),
    "Mutation.deleteConnector(id)": Row("connector", {"id": '"{id}"'}),
    "Mutation.testConnector(id)": Row("connector", {"id": '"{id}"', "email": '"jan@firma.cz"'}),
    "Mutation.rotateSecret(id)": Row("connector", {"id": '"{id}"', "value": '"mine"', "email": '"jan@firma.cz"'}),
    "Mutation.restoreSecret(id)": Row("connector", {"id": '"{id}"'}),
    "Mutation.issueSigningKey(id)": Row("connector", {"id": '"{id}"'}),
    "Mutation.disableSigning(id)": Row("connector", {"id": '"{id}"'}),
    "Subscription.crmPanels(ticketId)": Row("ticket", {"ticketId": '"{id}"'}),
    "Subscription.connectorLookups(id)": Row("connector", {"id": '"{id}"'}),
}
"""Every place that takes an id. One that the schema gains needs a row here: what to call it with."""

PLACES = {str(place): place for place in places_of_ids()}
FOR_ADMINS = {
    str(place)
    for place, definition in root_fields()
    if MayConfigure in getattr(definition.extensions.get("strawberry-definition"), "permission_classes", ())
}


@dataclass
class Company:
    """A workspace full of things that carry its mark."""

    helpdesk: Helpdesk
    workspace_id: WorkspaceId
    mark: str
    ticket: str = ""
    connector: str = ""
    seen: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"support@{self.mark}.example"

    def front_end(self, role: Role) -> FrontEnd:
        return self.helpdesk.front_end(role, workspace=self.workspace_id)

    @property
    def admin(self) -> FrontEnd:
        return self.front_end(Role.ADMIN)

    def own(self, kind: str) -> str:
        return {"ticket": self.ticket, "connector": self.connector}[kind]


async def found_company(helpdesk: Helpdesk, crm: Crm) -> Company:
    """A company whose every text is marked, with a connector, a ticket by mail and an answer."""
    mark = f"m{uuid4().hex}"
    company = Company(helpdesk, await helpdesk.add_workspace(f"Firma {mark}", f"support@{mark}.example"), mark)
    crm.answers[f"/{mark}"] = {
        "found": True,
        "customer_id": mark,
        "name": mark,
        "badge": mark[:20],
        "fields": {mark: mark, "half": mark[:20]},
    }
    settings = {
        "name": mark,
        "lookupUrl": crm.url(f"/{mark}"),
        "secretHeaderName": f"X-{mark}",
        "secretHeaderValue": f"secret-{mark}",
        "linkTemplate": f"https://{mark}.example/{{customer_id}}",
    }
    company.connector = (await company.admin.ask(CREATE_CONNECTOR, input=settings))["createConnector"]["id"]
    await helpdesk.mail(to=company.address, sender=f"jan@{mark}.example", Subject=mark, Message_ID=f"<1@{mark}.example>")
    company.ticket = (await company.admin.ask("{ tickets { nodes { id } } }"))["tickets"]["nodes"][0]["id"]
    await settled(company)
    return company


async def settled(company: Company) -> None:
    async def look() -> bool:
        nodes = (await company.admin.ask(LOOK))["tickets"]["nodes"]
        return not any(panel["refreshing"] for node in nodes for panel in node["crmPanels"])

    await eventually(look)


async def outcome(caller: FrontEnd, place: Place, operation: str) -> Any:  # noqa: ANN401 - an answer of any shape
    """What an operation comes to, without what differs from request to request."""
    if place.root == "Subscription":
        return await first_event(caller, operation)
    answer = await caller.post(operation)
    return answer.status_code, json.loads(re.sub(r'"requestId": ?"[^"]*"', '"requestId": ""', answer.text))


async def first_event(caller: FrontEnd, operation: str) -> Any:  # noqa: ANN401
    async with caller.socket() as socket:
        try:
            credentials = {"payload": caller.credentials} if caller.credentials else {}
            await send(socket, type="connection_init", **credentials)
            assert (await receive(socket))["type"] == "connection_ack"
            await send(socket, id="1", type="subscribe", payload={"query": operation})
            message = await receive(socket)
        except ConnectionClosed as closed:
            return "closed", closed.rcvd.code if closed.rcvd else None
        return message["type"], json.loads(re.sub(r'"requestId": ?"[^"]*"', '"requestId": ""', json.dumps(message["payload"])))


def is_refused(came: Any, code: str) -> bool:  # noqa: ANN401
    status, body = came
    if status == "closed":
        return code == "UNAUTHENTICATED" and body == 4403
    errors = body["errors"] if isinstance(body, dict) else body
    return [error["extensions"]["code"] for error in errors] == [code] and (code != "UNAUTHENTICATED" or status == 401)


def is_answered(came: Any) -> bool:  # noqa: ANN401
    _, body = came
    if not isinstance(body, dict) or "errors" in body:
        return False
    (value,) = body["data"].values()
    return value is not None and value.get("__typename") != "NotFound"


async def rows_of(company: Company) -> dict[str, list[Any]]:
    """Every row of the database that is the company's."""
    rows = {}
    async with company.helpdesk.parts.database.operator_reading() as store:
        connection = store.workspaces._connection  # noqa: SLF001 - nothing outside shows every table
        for name, table in sorted(SQLModel.metadata.tables.items()):
            if "workspace_id" in table.c:
                found = await connection.execute(table.select().where(table.c.workspace_id == company.workspace_id))
                rows[name] = sorted(map(repr, found))
    return rows


def test_whatever_takes_an_id_has_a_row() -> None:
    assert sorted(PLACES) == sorted(ROWS)
    assert inner_fields_with_ids() == []


async def test_an_id_of_another_workspace_is_one_that_nobody_has(product: Helpdesk, crm: Crm, figure: Figure) -> None:
    neighbour = await found_company(product, crm)
    for name, row in ROWS.items():
        place, victim = PLACES[name], await found_company(product, crm)
        before, asked = await rows_of(victim), len(crm.asked(f"/{victim.mark}"))

        def operation(some_id: str, own: Company, place: Place = place, row: Row = row) -> str:
            values = {"id": some_id, "ticket": own.ticket, "connector": own.connector}
            return document(place, {argument: literal.format(**values) for argument, literal in row.given.items()})

        theirs = operation(victim.own(row.kind), neighbour)
        for role in (Role.ADMIN, Role.AGENT):
            caller = neighbour.front_end(role)
            came = await outcome(caller, place, theirs)
            assert not is_answered(came), name
            for nobodys in (str(uuid4()), "nonsense"):
                assert came == await outcome(caller, place, operation(nobodys, neighbour)), name
            figure("calls by neighbours", 3)
        for nobody in await strangers(victim):
            assert is_refused(await outcome(nobody, place, operation(victim.own(row.kind), victim)), "UNAUTHENTICATED"), name
            figure("calls without a valid token", 1)
        assert await rows_of(victim) == before, name
        assert len(crm.asked(f"/{victim.mark}")) == asked, name

        colleague = await outcome(victim.front_end(Role.AGENT), place, operation(victim.own(row.kind), victim))
        if f"{place.root}.{place.field}" in FOR_ADMINS:
            assert is_refused(colleague, "FORBIDDEN"), name
            assert await rows_of(victim) == before, name
        else:
            assert is_answered(colleague), name
        assert is_answered(await outcome(victim.admin, place, operation(victim.own(row.kind), victim))), name
    figure("arguments that take an id", str(len(ROWS)))


async def strangers(victim: Company) -> list[FrontEnd]:
    """Those who hold no token that is good for anything here, or none at all."""
    tokens, url = victim.helpdesk.parts.tokens, victim.helpdesk.base_url
    expired = tokens.issue(victim.workspace_id, Role.ADMIN, name=None, ttl=timedelta(seconds=-1))
    forged = victim.admin.token[:-8] + "AAAAAAAA"
    revoked = await revoked_token(victim)
    nothing = ""
    return [FrontEnd(url, token) for token in (expired, forged, revoked, "none", nothing)]


async def revoked_token(victim: Company) -> str:
    """A token of an admin of the company's that an operator has revoked, as every process knows."""
    token, database = victim.admin.token, victim.helpdesk.parts.database
    claims = jwt.decode(token, options={"verify_signature": False})
    async with database.operator() as operator:
        assert await operator.revocations.add(claims["jti"], utc_now())
    await victim.helpdesk.parts.tokens.revocations.refresh()
    return token


# Marks: whatever a company reads, hears or is refused, nothing of another's is in it.


async def read_everything(company: Company, others: Company) -> list[str]:
    """All that an admin can read by one's own means, and with the ids and cursors of others."""
    texts = []
    for place, _ in root_fields():
        if place.root != "Query":
            continue
        rows = [row for name, row in ROWS.items() if name.startswith(f"{place}(")]
        for whose in (company, others) if rows else (company,):
            given = {argument: literal.format(id=whose.own(row.kind)) for row in rows for argument, literal in row.given.items()}
            texts.append((await company.admin.post(document(place, given))).text)
    cursors = re.findall(
        r'"(?:endCursor|cursor)": ?"([^"]+)"', (await others.admin.post(document(Place("Query", "tickets"), {}))).text
    )
    assert cursors
    texts += [
        (await company.admin.post(document(Place("Query", "tickets"), {"after": f'"{cursor}"'}))).text for cursor in cursors
    ]
    return texts


async def test_no_mark_of_one_company_appears_in_anothers_answers_or_frames(
    product: Helpdesk, crm: Crm, figure: Figure, every_line: Sequence[Mapping[str, Any]]
) -> None:
    mine, theirs = await found_company(product, crm), await found_company(product, crm)

    async with mine.admin.signed_in() as socket:
        for number, place in enumerate(place for place, _ in root_fields() if place.root == "Subscription"):
            given = {"ticketId": f'"{mine.ticket}"', "id": f'"{mine.connector}"'}
            await send(socket, id=str(number), type="subscribe", payload={"query": document(place, given)})
        await live(theirs)
        await live(mine)  # ends with a mail of one's own: whatever was to come before it has come
        heard = await frames_until(socket, f"last of {mine.mark}")
    read = await read_everything(mine, theirs)

    assert mine.mark in "".join(read)
    assert mine.mark in "".join(heard)
    for text in (*read, *heard):
        assert theirs.mark not in text
        assert theirs.mark[:20] not in text
    assert [line for line in every_line if theirs.mark in repr(line) or mine.mark in repr(line)] == []
    figure("answers and frames searched for marks", len(read) + len(heard))
    figure("lines of the log searched for marks", len(every_line))


@pytest.fixture
def every_line() -> Iterator[Sequence[Mapping[str, Any]]]:
    """What the product logs meanwhile, at every level."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))
    with capture_logs() as lines:
        yield lines
    structlog.configure(**before)


async def live(company: Company) -> None:
    """Some life in a workspace: everything changes once."""
    helpdesk, mark = company.helpdesk, company.mark
    refresh = document(Place("Mutation", "refreshLookup"), {"ticketId": f'"{company.ticket}"'})
    update = document(
        Place("Mutation", "updateConnector"), {"id": f'"{company.connector}"', "input": f'{{name: "renamed {mark}"}}'}
    )
    for operation in (refresh, update):
        assert "errors" not in (await company.admin.post(operation)).json()
    await settled(company)
    await helpdesk.mail(to=company.address, sender=f"eva@{mark}.example", Subject=f"last of {mark}")
    await settled(company)


async def frames_until(socket: Any, text: str) -> list[str]:  # noqa: ANN401 - a WebSocket
    frames = [json.dumps(await receive(socket))]
    while text not in frames[-1]:
        frames.append(json.dumps(await receive(socket)))
    return frames


# The second wall: row-level security, with the application's own filter taken out of every statement.

_FILTER = re.compile(r"(?:\w+\.)?workspace_id = (\$\d+(?:::\w+)?|\?)")


@contextmanager
def without_filters() -> Iterator[list[str]]:
    """Let every comparison with a workspace's id be true; yields the statements that had one."""
    opened: list[str] = []

    def open_up(
        _connection: object, _cursor: object, statement: str, parameters: object, _context: object, _many: bool
    ) -> tuple[str, object]:
        wide, count = _FILTER.subn(r"\1 IS NOT NULL", statement)
        opened.extend([statement] * count)
        return wide, parameters

    event.listen(Engine, "before_cursor_execute", open_up, retval=True)
    try:
        yield opened
    finally:
        event.remove(Engine, "before_cursor_execute", open_up)


async def test_row_level_security_holds_with_the_applications_own_filter_removed(
    product: Helpdesk, crm: Crm, database_kind: str, figure: Figure
) -> None:
    mine, theirs = await found_company(product, crm), await found_company(product, crm)
    before = await rows_of(theirs)

    with without_filters() as opened:
        read = await read_everything(mine, theirs)
        if database_kind == "postgresql":
            update = {"id": f'"{theirs.connector}"', "input": '{name: "Mine"}'}
            refresh = {"ticketId": f'"{theirs.ticket}"'}
            for place, given in (("updateConnector", update), ("refreshLookup", refresh), ("deleteConnector", update)):
                answer = await mine.admin.post(document(Place("Mutation", place), given))
                assert "NotFound" in answer.text

    assert len(opened) > 10
    if database_kind == "sqlite":  # it has no second wall: so this very reading would have shown a leak
        assert theirs.mark in "".join(read)
        return
    assert mine.mark in "".join(read)
    assert theirs.mark not in "".join(read)
    assert await rows_of(theirs) == before
    figure("statements whose filter was removed", len(opened))
