"""docs/connector-guide.md: what it promises to whoever writes an endpoint is what happens."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import re
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from domain.answer import MAX_DEPTH, BadgeColor, NotFound
from domain.connector import MAX_CONNECTORS
from domain.failure import Failure, FailureKind
from domain.identity import LookupId, Role
from domain.lookup import BUDGET, PER_CONNECTOR, LookupStatus, LookupTrigger, Standing, StoredAnswer
from domain.secret import Secret
from domain.words import Locale
from lookups.client import MAX_BODY
from lookups.signature import Signing
from server.clock import utc_now
from tests.docs.desk import SECRET, comparable, environment_of_programs, panel_of, refusals_in, set_up, shell
from tests.docs.page import GUIDE, REPOSITORY, Block, Operation, Row, code_in, number_in
from tests.stage.crm import response
from tests.stage.helpdesk import CREATE_CONNECTOR, REFRESH
from tests.stage.process import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.docs.desk import Desk
    from tests.stage.crm import Crm
    from tests.stage.helpdesk import Helpdesk

_ANSWER = '{"found": true, "customer_id": 1001, "name": "Jan Novák"}'
_NEWEST = """
query ($id: ID!) {
  connector(id: $id) { lookups(first: 1) { nodes { status error { code } warnings { path expected received } } } }
}
"""


@pytest.fixture
async def desk(helpdesk: Helpdesk, crm: Crm) -> Desk:
    return await set_up(helpdesk, crm, _ANSWER)


@pytest.fixture
async def endpoint(tmp_path: Path) -> AsyncIterator[str]:
    """The Python example, made and started by the lines of its README; the site that it listens on."""
    readme = (REPOSITORY / "examples" / "README.md").read_text(encoding="utf-8")
    lines = re.search(r"Python, .*?```sh\n(.*?)```", readme, re.DOTALL)
    assert lines is not None
    enter, create, start = lines[1].replace(" && python -m pip install -r requirements.txt", "").splitlines()
    shutil.copytree(REPOSITORY / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("node_modules", "*.sqlite3"))
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *("sh", "-ec", f"{enter}\n{create}\nexec {start}"),
        cwd=tmp_path,
        env=environment_of_programs() | {"LOOKUP_SECRET": SECRET, "LOOKUP_PORT": str(port)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert f"http://127.0.0.1:{port}/lookup" in (await process.stdout.readline()).decode()
    yield f"127.0.0.1:{port}"
    process.terminate()
    await process.communicate()


@pytest.mark.parametrize("operation", GUIDE.operations, ids=lambda operation: operation.name)
async def test_every_operation_is_answered_as_the_guide_shows(desk: Desk, operation: Operation) -> None:
    answer = await desk.perform(operation, Role.AGENT if "refreshLookup" in operation.document else Role.ADMIN)

    assert "errors" not in answer, answer
    assert refusals_in(answer) == []
    if operation.answer is not None:
        assert comparable(answer) == comparable(operation.answer)


async def test_the_request_is_the_one_that_the_guide_shows_byte_for_byte(desk: Desk) -> None:
    (shown,) = [block.text for block in GUIDE.blocks if block.language == "http" and block.text.startswith("POST")]

    request = desk.crm.requests[0]

    sent = f"{request.head.decode()}\r\n\r\n{request.body.decode()}".replace(f"127.0.0.1:{desk.crm.port}", "crm.company.cz")
    head, body = shown.rstrip("\n").split("\n\n")
    assert desk.as_shown(sent) == "\r\n".join([*head.split("\n"), "", body])


def test_the_signatures_that_the_guide_shows_are_those_of_its_request() -> None:
    (request,) = [block.text for block in GUIDE.blocks if block.language == "http" and block.text.startswith("POST")]
    (vectors,) = [block.json for block in GUIDE.blocks if block.language == "json" and '"webhook-id"' in block.text]
    (shown,) = [block.text for block in GUIDE.blocks if block.text.startswith("webhook-signature: ")]
    body = request.rstrip("\n").split("\n\n")[1].encode()
    keys = [base64.b64decode(vector["key"].removeprefix("whsec_")) for vector in vectors["signatures"]]
    signed = f"{vectors['webhook-id']}.{vectors['webhook-timestamp']}.".encode() + body

    expected = [f"v1,{base64.b64encode(hmac.digest(key, signed, 'sha256')).decode()}" for key in keys]
    ours = Signing(
        lookup_id=LookupId(UUID(vectors["webhook-id"])),
        keys=tuple(Secret(vector["key"]) for vector in vectors["signatures"]),
        at=datetime.fromtimestamp(int(vectors["webhook-timestamp"]), UTC),
    ).headers(body)

    assert [vector["signature"] for vector in vectors["signatures"]] == expected
    assert shown.strip() == f"webhook-signature: {' '.join(expected)}"
    assert ours == {name: vectors[name] for name in ("webhook-id", "webhook-timestamp")} | {
        "webhook-signature": " ".join(expected)
    }


def test_every_answer_of_an_endpoint_says_what_becomes_of_it() -> None:
    answers = [
        block
        for block in GUIDE.blocks
        if block.language == "json" and block.text.lstrip("[").startswith(('{"found"', '{\n  "found"'))
    ]

    assert [block.text for block in answers if block.outcome is None] == []


async def test_every_answer_of_an_endpoint_ends_as_the_guide_says(desk: Desk) -> None:
    told = [block for block in GUIDE.blocks if block.outcome is not None]

    ended = [await _asked(desk, _response(block)) for block in told]

    assert [_outcome(lookup) for lookup in ended] == [code_in(block.outcome or "")[:2] for block in told]
    assert [lookup["warnings"] for lookup in ended] == [[] for _ in told]


async def test_every_repair_is_made_and_leaves_the_warning_that_the_guide_names(desk: Desk) -> None:
    rows = GUIDE.table("you send", "we show", "warning at")

    made = [await _repaired(desk, row) for row in rows]

    assert made == [_as_told(row) for row in rows]


async def test_what_is_too_long_is_treated_as_the_guide_says(desk: Desk) -> None:
    for row in GUIDE.table("member", "limit", "beyond it"):
        limit = number_in(row["limit"])

        full = await _asked(desk, _found(_filled(row["member"], limit)))
        overfull = await _asked(desk, _found(_filled(row["member"], limit + 1)))

        assert full["warnings"] == [], row
        assert [warning["expected"] for warning in overfull["warnings"]] == code_in(row["expected"]), row
        dropped = {"customerId": None, "deepLink": None} if row["beyond it"].startswith("dropped") else {}
        assert overfull["customer"] == full["customer"] | dropped, row


def test_the_limits_of_the_answer_are_the_same_in_both_tables() -> None:
    told = {row["member"]: row["limit"] for row in GUIDE.table("member", "type", "what the agent sees")}
    repaired = {row["member"]: number_in(row["limit"]) for row in GUIDE.table("member", "limit", "beyond it")}

    assert {member: number_in(limit) for member, limit in told.items() if any(map(str.isdigit, limit))} == {
        member.replace("key of a field", "– key").replace("value of a field", "– value"): limit
        for member, limit in repaired.items()
    }


async def test_a_setting_reaches_to_the_limit_that_the_guide_names_and_no_further(helpdesk: Helpdesk) -> None:
    told = {code_in(row["setting"])[0]: row["limit"] for row in GUIDE.table("setting", "default")}
    limited = [setting for setting, limit in told.items() if limit]

    for setting in limited:
        limit = number_in(told[setting])
        kept = (await helpdesk.admin.ask(CREATE_CONNECTOR, input=_settings(setting, limit)))["createConnector"]
        refused = (await helpdesk.admin.ask(CREATE_CONNECTOR, input=_settings(setting, limit + 1)))["createConnector"]

        assert kept["__typename"] == "Connector", setting
        assert [problem["field"] for problem in refused["problems"]] == [setting]


async def test_the_settings_and_their_defaults_are_those_of_the_schema(helpdesk: Helpdesk) -> None:
    introspection = '{ __type(name: "CreateConnectorInput") { inputFields { name defaultValue } } }'
    fields = (await helpdesk.admin.ask(introspection))["__type"]["inputFields"]
    told = {code_in(row["setting"])[0]: row["default"] for row in GUIDE.table("setting", "default")}

    assert list(told) == [field["name"] for field in fields]
    for field in fields:
        if field["defaultValue"] not in {None, "null"}:
            assert told[field["name"]] == field["defaultValue"]


@pytest.mark.parametrize(
    ("pattern", "number"),
    [
        (r"(\d+) KiB", MAX_BODY // 1024),
        (r"(\d+) seconds", int(BUDGET.total_seconds())),
        (r"at most (\d+) (?:requests )?(?:run )?at once", PER_CONNECTOR),
        (r"(\d+) connectors", MAX_CONNECTORS),
        (r"(\d+) levels", MAX_DEPTH),
    ],
)
def test_a_number_in_the_prose_is_that_of_the_code(pattern: str, number: int) -> None:
    assert set(re.findall(pattern, GUIDE.prose)) == {str(number)}


def test_the_table_of_failures_has_each_with_the_sentence_that_the_panel_shows() -> None:
    told = {code_in(row["code"])[0]: row["the panel says"] for row in GUIDE.table("code", "the panel says")}

    status = {FailureKind.HTTP_STATUS: 500, FailureKind.REDIRECT: 301}
    assert told == {str(kind): Failure(kind, status.get(kind)).words.en for kind in FailureKind}


def test_the_table_of_statuses_has_each_with_its_badge() -> None:
    rows = {LookupStatus(code_in(row["status"])[0]): row for row in GUIDE.table("status", "badge")}
    assert set(rows) == set(LookupStatus)

    for standing in (
        Standing(StoredAnswer(NotFound(), utc_now())),
        Standing(failure=Failure(FailureKind.DNS)),
        Standing(failure=Failure(FailureKind.TIMEOUT)),
    ):
        panel = panel_of(standing)
        czech, english = panel.badge(Locale.CS), panel.badge(Locale.EN)
        assert czech is not None
        assert english is not None
        row = rows[panel.status]
        assert (row["badge"], row["badge in English"], row["colour"]) == (czech.text, english.text, f"`{czech.color}`")


def test_every_colour_and_every_trigger_is_in_its_table() -> None:
    assert [code_in(row["`badge_color`"])[0].upper() for row in GUIDE.table("`badge_color`")] == list(BadgeColor)
    assert [code_in(row["`trigger`"])[0] for row in GUIDE.table("`trigger`")] == list(LookupTrigger)


async def test_every_member_of_a_line_of_the_log_is_told(helpdesk: Helpdesk) -> None:
    fields = (await helpdesk.admin.ask('{ __type(name: "Lookup") { fields { name } } }'))["__type"]["fields"]
    told = {name for row in GUIDE.table("member", "what it tells") for name in code_in(row["member"])}

    assert told == {field["name"] for field in fields} - {"id"}


def _commands() -> list[Block]:
    return [block for block in GUIDE.blocks if block.language == "sh"]


@pytest.mark.parametrize("command", _commands(), ids=range(len(_commands())))
async def test_a_curl_command_prints_what_the_guide_shows(endpoint: str, command: Block, tmp_path: Path) -> None:
    shown = GUIDE.block_after(command)

    printed = await shell(command.text.replace("127.0.0.1:8103", endpoint), tmp_path, LOOKUP_SECRET=SECRET)

    if shown.language == "json":
        assert json.loads(printed) == shown.json
    else:
        assert re.sub(r"\d+\.\d+", "a time", printed) == re.sub(r"\d+\.\d+", "a time", shown.text)


async def _asked(desk: Desk, answer: bytes) -> Any:  # noqa: ANN401 - a line of the log
    """Let the endpoint answer so to a refresh: what the log says of it, with the customer that the panel shows."""
    desk.crm.answers["/lookup"] = answer
    await desk.helpdesk.agent.ask(REFRESH, id=desk.ticket_id)
    panel = await desk.helpdesk.settled()
    (line,) = (await desk.helpdesk.admin.ask(_NEWEST, id=desk.connector_id))["connector"]["lookups"]["nodes"]
    return line | {"customer": panel["customer"]}


def _response(block: Block) -> bytes:
    if block.language != "http":
        return response(200, block.text.encode())
    head, body = block.text.split("\n\n")
    return response(int(head.split(" ")[1]), body.encode())


def _outcome(lookup: Any) -> list[str]:  # noqa: ANN401
    return [lookup["status"], *([lookup["error"]["code"]] if lookup["error"] else [])]


def _found(members: dict[str, Any]) -> bytes:
    return response(200, json.dumps({"found": True, **members}).encode())


async def _repaired(desk: Desk, row: Row) -> tuple[list[str], list[list[str]]]:
    """What the panel shows of the members of a row, and the warnings."""
    (members,) = code_in(row["you send"])
    lookup = await _asked(desk, response(200, f'{{"found": true, {members}}}'.encode()))
    customer = lookup["customer"]
    badge = [customer["badge"]["text"], customer["badge"]["color"]] if customer["badge"] else []
    shown = [customer["customerId"], customer["name"], *badge, *(field["value"] for field in customer["fields"])]
    return [text for text in shown if text is not None], [list(warning.values()) for warning in lookup["warnings"]]


def _as_told(row: Row) -> tuple[list[str], list[list[str]]]:
    warning = [text for column in ("warning at", "expected", "received") for text in code_in(row[column])]
    return code_in(row["we show"]), [warning] if warning else []


def _filled(member: str, length: int) -> dict[str, Any]:
    """A member of that length in characters; where it is cut, each of them is a letter with an accent of its own."""
    letters = "e\u0301" * length
    filled: dict[str, dict[str, Any]] = {
        "`customer_id`": {"customer_id": "x" * length},
        "`name`": {"name": letters},
        "`badge`": {"badge": letters},
        "key of a field": {"fields": {letters: "v"}},
        "value of a field": {"fields": {"k": letters}},
        "`fields`": {"fields": {str(number): "v" for number in range(length)}},
    }
    return filled[member]


def _settings(setting: str, size: int) -> dict[str, Any]:
    """The settings of a connector of which one is that long, or that many hours."""
    site, placeholder = "https://crm.company.cz/", "{customer_id}"
    sized: dict[str, Any] = {
        "name": "n" * size,
        "lookupUrl": site.ljust(size, "u"),
        "secretHeaderName": "h" * size,
        "secretHeaderValue": "v" * size,
        "linkTemplate": site.ljust(size - len(placeholder), "u") + placeholder,
        "cacheTtlHours": size,
    }
    secret = {"secretHeaderName": "h", "secretHeaderValue": "v"} if setting.startswith("secret") else {}
    return {"name": "CRM", "lookupUrl": f"{site}lookup"} | secret | {setting: sized[setting]}
