"""No secret is ever written or shown: not in the database, a log, a trace, a metric, an error or an answer, in any spelling.

Canaries go through every flow that touches one, among endpoints that echo them, answer garbage and redirect; then everything that
was written meanwhile is searched. The product runs in a process of its own, because a tracer cannot be taken back.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus
from uuid import UUID

import pytest

from domain.credentials import Credentials, check_rotation
from domain.errors import InvalidConnector
from domain.identity import EmailAddress, LookupId, TicketId, WorkspaceId
from domain.secret import Secret
from graph.signing import SigningKeyIssued
from lookups.question import Question
from lookups.runner import Candidate
from lookups.signature import Signing
from tests.lookups.room import open_room

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.stage.postgres import PostgreSQL

CANARIES = {
    "in force": "in-force+/9f3c =&%7c1d2e4b5a60",
    "previous": "previous+/4b8e =&%a1902cd37f55",
    "refused": "refused+/c27d =&%6e04f1b98a32",
    "misplaced": "misplaced+/71ab =&%d3c59e806f14",
    "replaced": "replaced+/e8f0 =&%2b7a6c913d45",
}
CORES = [value.rpartition("%")[2] for value in CANARIES.values()]
"""What is left of each in any spelling that leaves letters and digits alone."""


@pytest.fixture(scope="module")
def places(
    database_kind: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """Everything that was written while the story was told."""
    folder = tmp_path_factory.mktemp("canaries")
    given: dict[str, Any] = {
        "folder": str(folder / "data"),
        "told": str(folder / "told.json"),
        "canaries": CANARIES,
        "json_logs": database_kind == "postgresql",
        "settings": {"log_level": "debug"},
    }
    if database_kind == "sqlite":
        yield asyncio.run(_told(given, folder))
        return
    postgres: PostgreSQL = request.getfixturevalue("postgres")
    with postgres.database() as name:
        given["settings"]["database_url"] = postgres.url(name)
        yield asyncio.run(_told(given, folder))


async def _told(given: dict[str, Any], folder: Path) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.promises.canaries", json.dumps(given)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    told: dict[str, Any] = json.loads((folder / "told.json").read_text())
    files = {file.name: file.read_bytes() for file in (folder / "data").iterdir()}
    return told | {"log": printed, "left": files}


def spellings(value: str) -> Iterator[bytes]:
    """A value in plain, in base64 wherever it begins and in both alphabets, in hex, for a URL, and as JSON escapes it."""
    raw = value.encode()
    yield raw
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    yield from (made(value).encode() for made in (quote, quote_plus, lambda text: quote(text, safe="")))
    yield "".join(f"%{byte:02x}" for byte in raw).encode()
    yield json.dumps(value)[1:-1].encode()
    for ahead, encode in product(range(3), (base64.b64encode, base64.urlsafe_b64encode)):
        whole = encode(b"\0" * ahead + raw)
        yield whole[[0, 2, 3][ahead] : len(whole) - 4]  # less what its neighbours change


def writings(places: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Each place with what was written there."""
    for name in ("answers", "spans", "tables"):
        yield from ((f"{name} {number}", _text(one)) for number, one in enumerate(places.get(name, [])))
    yield "metrics", places["metrics"].encode()
    yield "log", places["log"]
    yield from ((f"live {name}", bytes.fromhex(content)) for name, content in places.get("files", {}).items())
    yield from ((f"left {name}", content) for name, content in places["left"].items())


def _text(one: Any) -> bytes:  # noqa: ANN401 - JSON
    return (one if isinstance(one, str) else json.dumps(one, ensure_ascii=False)).encode()


def test_the_story_sent_every_canary_and_was_written_down(places: dict[str, Any], database_kind: str) -> None:
    written = dict(writings(places))

    assert {CANARIES[name] for name in ("in force", "previous", "refused")} <= set(places["sent"])
    assert len(places["keys"]) == 8
    assert b"lookup ended" in places["log"]
    assert b"disqua_" in written["metrics"]
    assert any("ask the endpoint" in span for span in places["spans"])
    assert "•••".encode() in b"".join(written.values())
    if database_kind == "sqlite":
        assert any(name.endswith("-wal") and content for name, content in places["files"].items())
    else:
        assert any("/found" in rows for rows in places["tables"])


def test_no_spelling_of_a_secret_or_a_signing_key_is_in_anything_that_was_written(
    places: dict[str, Any], figure: Callable[[str, str | float], None]
) -> None:
    hidden = [*CANARIES.values(), *places["keys"], *(key.removeprefix("whsec_") for key in places["keys"])]
    needles = {spelling for value in hidden for spelling in spellings(value)} | {core.encode() for core in CORES}
    needles |= {form for key in places["keys"] for form in _bytes_of(key)}
    written = list(writings(places))

    hits = [(place, needle) for (place, content), needle in product(written, needles) if needle in content]

    figure("bytes searched", sum(len(content) for _, content in written))
    figure("spellings", str(len(needles)))
    figure("hits", len(hits))
    assert hits == []


def _bytes_of(key: str) -> tuple[bytes, ...]:
    raw = base64.b64decode(key.removeprefix("whsec_"))
    return raw, raw.hex().encode(), raw.hex().upper().encode()


async def test_no_object_that_holds_a_secret_tells_it_when_it_is_printed(tmp_path: Path) -> None:
    value = Secret(CANARIES["in force"])
    signing = Signing(lookup_id=LookupId(UUID(int=1)), keys=(value,), at=datetime.now(UTC))
    question = Question(
        url="https://crm.example/lookup",
        header_name="X-Api-Key",
        secret=value,
        email=EmailAddress("jan@firma.cz"),
        ticket_id=TicketId(UUID(int=2)),
        workspace_id=WorkspaceId(UUID(int=3)),
        signing=signing,
        also_hidden=(value,),
    )

    async def nothing(_store: object) -> None: ...

    held = [value, signing, question, Credentials(value, (value,), value), Candidate(value, nothing), (value,), {"secret": value}]
    printed = [text for one in held for text in (repr(one), str(one), f"{one}", f"{one!r:>9}", f"{one!s}", ascii(one))]

    assert [text for text in printed if CORES[0] in text] == []
    assert "key" not in SigningKeyIssued.__annotations__ or "Private" in str(SigningKeyIssued.__annotations__["key"])


async def test_a_refusal_of_a_secret_does_not_quote_it(url: str) -> None:
    async with open_room(url) as room:
        connector = await room.connect("https://crm.example/lookup", secret="something")

        with pytest.raises(InvalidConnector) as refusal:
            check_rotation(connector, Secret(f"\n{CANARIES['misplaced']}"))

        assert CORES[3] not in f"{refusal.value!r} {refusal.value} {refusal.value.problems}"
