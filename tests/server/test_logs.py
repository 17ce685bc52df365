"""The log: JSON in production, readable in development; ids, and never an address or a secret."""

from __future__ import annotations

import base64
import json
import os
import pty
import smtplib
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import UUID

import httpx
import pytest
import structlog
from structlog.testing import capture_logs

from persistence.encryption import new_key_entry
from tests.stage.crm import FOUND, response
from tests.stage.front_end import NO_TLS, FrontEnd
from tests.stage.helpdesk import CREATE_CONNECTOR, LIST, REFRESH, message
from tests.stage.process import free_port, serving
from tests.stage.shell import PATIENCE
from tests.stage.waiting import eventually, in_thread

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from tests.stage.crm import Crm, Request
    from tests.stage.process import Serving
    from tests.stage.shell import Shell

SECRET = "c4n4ry-Secret/+ value"
LOCAL_PART = "canary.jan.novak"
ADDRESS = f"{LOCAL_PART}@canary-company.cz"
TOKEN_KEY = "c4n4ry-token-key-of-forty-characters-here"
FORMS_OF_THE_SECRET = [
    SECRET.encode(),
    quote(SECRET, safe="").encode(),
    base64.b64encode(SECRET.encode()).rstrip(b"="),
    base64.urlsafe_b64encode(SECRET.encode()).rstrip(b"="),
    SECRET.encode().hex().encode(),
    SECRET.encode("utf-16-le"),
]
TEST_CONNECTOR = """
mutation ($id: ID!, $email: String!) { testConnector(id: $id, email: $email) { ... on LookupTrial { status } } }
"""


@dataclass(frozen=True)
class Day:
    """What a busy day left behind."""

    log: bytes
    database: bytes
    tokens: list[str]


async def a_busy_day(shell: Shell, crm: Crm, env: str) -> Day:
    """Have everything happen that is logged, with a canary in every place."""
    crm.answers |= {"/found": FOUND, "/error": response(500, SECRET.encode()), "/echo": _echo, "/nonsense": b"no HTTP " * 9}
    given = {"LOG_LEVEL": "debug", "ENCRYPTION_KEYS": new_key_entry(), "TOKEN_KEY": TOKEN_KEY}
    created = ("workspace", "create", "Acme", "--address", "support@acme.example")
    workspace_id = await in_thread(shell.says, *created, **given)
    tokens = [
        await in_thread(shell.says, "token", "--workspace", workspace_id, "--role", role, **given)
        for role in ("admin", "agent", "mail")
    ]
    async with _served(shell, **given) as served:  # in production, a connector must be https
        await _connectors(FrontEnd(served.base_url, tokens[0]), crm)
        if env == "development":
            return await _after_busy_hours(shell, served, tokens)
    served.log.unlink()
    async with _served(shell, **given, ENV="production") as served:
        return await _after_busy_hours(shell, served, tokens)


def _served(shell: Shell, **settings: str) -> AbstractAsyncContextManager[Serving]:
    return serving(shell.data_dir, port=free_port(), mail_port=free_port(), **settings)


async def _after_busy_hours(shell: Shell, served: Serving, tokens: list[str]) -> Day:
    await in_thread(_mails, served.mail_port)
    await _http(served, tokens)
    await _refused(served, tokens)
    await eventually(lambda: _all_settled(FrontEnd(served.base_url, tokens[0])))
    at_work = _database(shell)
    served.process.terminate()
    await served.process.wait()
    return Day(served.log.read_bytes(), at_work + _database(shell), tokens)


def _database(shell: Shell) -> bytes:
    return b"".join(file.read_bytes() for file in shell.data_dir.glob("disqua.sqlite3*"))


async def _echo(request: Request) -> Any:  # noqa: ANN401 - a document of any kind
    """Whatever was sent comes back."""
    return {"found": True, "name": request.headers["x-api-key"], "fields": {"head": request.head.decode()} | request.json}


async def _connectors(admin: FrontEnd, crm: Crm) -> None:
    for path in ("/found", "/not-found", "/error", "/echo", "/nonsense"):
        connector = {
            "name": path,
            "lookupUrl": crm.url(path),
            "secretHeaderName": "X-Api-Key",
            "secretHeaderValue": SECRET,
        }
        created = (await admin.ask(CREATE_CONNECTOR, input=connector))["createConnector"]
        await admin.ask(TEST_CONNECTOR, id=created["id"], email=ADDRESS)
    bad = {"name": "", "lookupUrl": f"https://{LOCAL_PART}:{quote(SECRET)}@x/", "secretHeaderValue": SECRET}
    await admin.post(CREATE_CONNECTOR, {"input": bad})
    for query in (
        f'mutation {{ nonsense(secret: "{SECRET}", email: "{ADDRESS}") }}',
        f'{{ ticket(id: "{ADDRESS}") {{ id }} tickets(first: "{SECRET}") {{ __typename }} }}',
        f'"{SECRET}" {ADDRESS}',
        f"query ($id: ID!) {{ ticket(id: $id) {{ id }} }} # {ADDRESS}",
    ):
        await admin.post(query, {"id": {ADDRESS: SECRET}})


def _mails(port: int) -> None:
    good = message(From=f"Jan <{ADDRESS}>", Subject=ADDRESS, Message_ID=f"<1.{ADDRESS}>", To=ADDRESS)
    broken = b"From: " + ADDRESS.encode() + b"\r\nContent-Type: multipart/mixed; boundary=\xff\r\n\r\n\0" + b"x" * 5000
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as connection:
        connection.sendmail(ADDRESS, ["support@acme.example"], good)
        connection.sendmail(ADDRESS, ["support@acme.example"], good)
        connection.sendmail(ADDRESS, ["support@acme.example"], broken)
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            connection.sendmail(ADDRESS, [ADDRESS], good)
        for command in (f"VRFY {ADDRESS}", f"EXPN {ADDRESS}", f"{ADDRESS}", "RCPT TO:<a>", f"AUTH PLAIN {SECRET}"):
            connection.docmd(command)
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as connection:
        connection.ehlo(ADDRESS)
        connection.mail(ADDRESS)
        connection.close()  # and gone in the middle of it


async def _http(served: Serving, tokens: list[str]) -> None:
    agent = FrontEnd(served.base_url, tokens[1])
    (newest, *_) = (await agent.ask(LIST))["tickets"]["nodes"]
    await agent.ask(REFRESH, id=newest["id"])
    async with agent.signed_in():
        pass
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS, base_url=served.base_url, timeout=20) as client:
        mail = message(From=ADDRESS, To=ADDRESS, Message_ID=f"<3.{ADDRESS}>")
        headers = {"Authorization": f"Bearer {tokens[2]}", "Content-Type": "message/rfc822"}
        for recipient in ("support@acme.example", ADDRESS):
            await client.post("/inbound/email", content=mail, headers=headers | {"X-Envelope-To": recipient})
        await client.get(f"/{quote(ADDRESS)}?token={tokens[0]}&email={ADDRESS}")


async def _refused(served: Serving, tokens: list[str]) -> None:
    forged = tokens[0][:-4] + "AAAA"
    for token in (forged, SECRET.replace(" ", ""), ADDRESS):
        assert await FrontEnd(served.base_url, token).refused("{ viewer { name } }") == "UNAUTHENTICATED"
    for payload in ({"Authorization": f"Bearer {forged}"}, {"secret": SECRET, "email": ADDRESS}):
        async with FrontEnd(served.base_url, "").socket() as socket:
            await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
            await socket.wait_closed()
    async with FrontEnd(served.base_url, "").socket() as socket:
        await socket.send(f"{SECRET} {ADDRESS}")
        await socket.wait_closed()


async def _all_settled(admin: FrontEnd) -> bool:
    tickets = (await admin.ask(LIST))["tickets"]["nodes"]
    return all(not panel["refreshing"] for ticket in tickets for panel in ticket["crmPanels"])


@pytest.mark.parametrize("env", ["development", "production"])
async def test_no_secret_and_no_address_is_in_the_log_and_no_secret_in_the_database(shell: Shell, crm: Crm, env: str) -> None:
    day = await a_busy_day(shell, crm, env)

    assert day.log.count(b"lookup ended") >= 10, "the day was busy"
    assert day.log.count(b"mail stored") >= 2
    assert day.log.count(b"token refused") >= 3
    assert ADDRESS.encode() in day.database, "the address is looked for in the form that it has"
    for form in FORMS_OF_THE_SECRET:
        assert form not in day.log
        assert form not in day.database
    for private in (LOCAL_PART, "canary-company", TOKEN_KEY, *day.tokens, *(token.rpartition(".")[2] for token in day.tokens)):
        assert private.lower().encode() not in day.log.lower(), _line_with(private, day.log)
    assert b"\x1b" not in day.log, "colours are for terminals"
    if env == "production":
        _are_documents(day.log.decode().splitlines())


def _line_with(text: str, log: bytes) -> str:
    return next((line for line in log.decode().splitlines() if text.lower() in line.lower()), "")


def _are_documents(lines: list[str]) -> None:
    """Every line is a JSON object with the members that a collector sorts by, and speaks of things by their ids."""
    documents = [json.loads(line) for line in lines]
    for document in documents:
        assert {"event", "level", "timestamp", "logger"} <= document.keys(), document
        assert document["level"] in {"debug", "info", "warning", "error", "critical"}
        assert datetime.fromisoformat(document["timestamp"]).tzinfo is UTC
    ids = {"mail stored": ["workspace_id", "ticket_id"], "lookup ended": ["lookup_id", "connector_id", "ticket_id"]}
    for event, members in ids.items():
        (one, *_) = [document for document in documents if document["event"] == event]
        assert all(UUID(one[member]) for member in members)
    ended = [document for document in documents if document["event"] == "lookup ended"]
    assert {(document["status"], document["failure"]) for document in ended} == {("ERROR", "BLOCKED_ADDRESS")}, "plain http"
    assert {document["duration_ms"] for document in ended} == {None}, "nothing was sent"


# The lines


PROGRAM = """
import logging, sys
import structlog
from server.logs import set_up_logs
from server.settings import LogLevel
set_up_logs(LogLevel(sys.argv[1]), production=sys.argv[2] == "production")
ours, theirs = structlog.get_logger("ours"), logging.getLogger("theirs")
for level in ("debug", "info", "warning", "error"):
    getattr(ours, level)(f"ours {level}", number=7, text="two\\nlines", odd={"a": object})
    getattr(theirs, level)("theirs %s", level)
for name in ("aiohttp.access", "aiosqlite", "httpx", "mail.log", "sqlalchemy.engine", "uvicorn.error", "websockets.server"):
    logging.getLogger(name).info("talk")
    logging.getLogger(name).warning("warned")
try:
    secret = "c4n4ry"
    int("nonsense")
except ValueError:
    ours.exception("ours failed")
    theirs.exception("theirs failed")
"""


def _log(level: str, environment: str) -> str:
    command = [sys.executable, "-c", PROGRAM, level, environment]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert ended.stdout == ""
    return ended.stderr


def test_in_production_every_line_is_a_document_tracebacks_too() -> None:
    documents = [json.loads(line) for line in _log("debug", "production").splitlines()]

    assert documents[0]["event"] == "ours debug"
    assert (documents[0]["level"], documents[0]["logger"], documents[0]["number"]) == ("debug", "ours", 7)
    assert documents[0]["text"] == "two\nlines"
    assert documents[1]["event"] == "theirs debug"
    failed = [document for document in documents if document["event"].endswith("failed")]
    assert [document["level"] for document in failed] == ["error", "error"]
    for document in failed:
        assert document["exception"].startswith("Traceback (most recent call last):\n")
        assert document["exception"].endswith("ValueError: invalid literal for int() with base 10: 'nonsense'")


def test_in_development_lines_are_for_people_and_without_colours_where_no_terminal_reads_them() -> None:
    log = _log("debug", "development")

    assert "\x1b" not in log
    assert "ours info" in log
    assert "number=7" in log
    assert "Traceback (most recent call last):\n" in log


@pytest.mark.parametrize("environment", ["development", "production"])
def test_values_of_variables_are_not_in_a_traceback(environment: str) -> None:
    assert "c4n4ry" not in _log("debug", environment).replace(PROGRAM, "")


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_what_is_less_important_than_the_level_is_not_logged(level: str, heard: list[str]) -> None:
    events = [json.loads(line)["event"] for line in _log(level, "production").splitlines()]

    for whose in ("ours", "theirs"):
        assert [event for event in events if event.startswith(whose) and "failed" not in event] == [
            f"{whose} {word}" for word in heard
        ]
    assert events.count("talk") == 0, "libraries that talk of addresses are heard from a warning on"
    assert events.count("warned") == (6 if "warning" in heard else 0), "and aiosmtpd only of errors: it repeats what was sent"


def test_a_terminal_gets_colours() -> None:
    reader, writer = pty.openpty()
    with os.fdopen(reader, "rb", buffering=0) as terminal:
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM, "error", "development"], stderr=writer, check=True, timeout=PATIENCE
        )
        os.close(writer)
        seen = terminal.read(65_536)

    assert ended.returncode == 0
    assert b"\x1b[" in seen


def test_a_command_in_this_process_keeps_no_line_from_who_looks_later(shell: Shell) -> None:
    ours = structlog.get_logger("ours")
    for _ in range(2):  # the first is whose settings would be kept, the second whose settings would be looked at
        shell.says("workspace", "list")
        with capture_logs() as lines:
            ours.warning("told")
        assert [line["event"] for line in lines] == ["told"]
