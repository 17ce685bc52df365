"""Sends canaries through every flow that touches a secret and writes down what was said; run by test_secrets.py."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlmodel import SQLModel

from server.logs import set_up_logs
from server.settings import LogLevel
from tests.flows.desk import CHANGE, TEST
from tests.promises.test_secret_rotation import RESTORE, ROTATE
from tests.promises.test_signed_requests import DISABLE, ISSUE
from tests.stage.back_door import BackDoor
from tests.stage.crm import FOUND, open_crm, response
from tests.stage.front_end import NO_TLS
from tests.stage.helpdesk import CREATE_CONNECTOR, LIST, open_helpdesk
from tests.stage.waiting import in_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.stage.crm import Crm, Request
    from tests.stage.helpdesk import Helpdesk

JAN = "jan@firma.cz"
CONNECTORS = """
{
  connectors {
    id name lookupUrl secretHeaderName hasSecret linkTemplate createdAt updatedAt
    secret { fingerprint changedAt lastUsedAt previous { fingerprint restorableUntil } }
    signing { fingerprint changedAt previousUntil }
    lookups(first: 100) {
      nodes {
        id email trigger status httpStatus error { code message httpStatus } durationMs
        warnings { path expected received } response
      }
    }
  }
}
"""


def echoing(make: Callable[[str], Any]) -> Callable[[Request], Awaitable[Any]]:
    async def answer(request: Request) -> Any:  # noqa: ANN401 - whatever the endpoint answers
        return make(request.headers.get("x-api-key", ""))

    return answer


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def named(key: str) -> Any:  # noqa: ANN401 - JSON
    return {"found": True, "name": key, "customer_id": key, "badge": key, "fields": {key: key, "b": b64(key)}}


def broken(key: str) -> bytes:
    return f"HTTP/1.1 200 {key}\r\nX-Echo: {key}\r\nNonsense\r\n\r\n{key}".encode()


def cut_off(key: str) -> bytes:
    return f'HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{{"found": true, "name": "{key}'.encode()


ENDPOINTS: dict[str, Callable[[str], Any]] = {
    "/found": lambda _: FOUND,
    "/name": named,
    "/quoted": lambda key: {"found": True, "name": quote(key, safe=""), "fields": {"x": f"key={quote(key)}&more"}},
    "/wrong-types": lambda key: {"found": True, "name": [key], "fields": {"a": {key: key}}, "badge_color": key},
    "/garbage": lambda key: response(200, f"<html>{key}{b64(key)}".encode()),
    "/broken": broken,
    "/not-http": lambda key: key.encode() * 3,
    "/redirect": lambda key: response(302, key.encode(), f"Location: http://127.0.0.1:9/?key={quote(key)}"),
    "/refused": lambda key: response(401, f"{key} is wrong, {b64(key)} too".encode(), f"X-Echo: {key}"),
    "/failed": lambda key: response(500, f"Traceback: {key!r}".encode()),
    "/torn": lambda key: response(200, b"x" * (65_536 - len(key) // 2) + key.encode()),
    "/cut-off": cut_off,
}
MEMORIES: dict[str, Callable[[list[str]], Any]] = {
    "/recalled": lambda known: {"found": True, "name": known[1], "badge": [*known], "fields": {key: b64(key) for key in known}},
    "/listed": lambda known: response(200, " ".join(form for key in known for form in (key, b64(key), quote(key))).encode()),
}


@dataclass
class Story:
    """What was said, and how it is asked for."""

    helpdesk: Helpdesk
    crm: Crm
    canaries: dict[str, str]
    answers: list[Any] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    async def ask(self, document: str, **variables: Any) -> Any:  # noqa: ANN401 - JSON
        """The whole answer, kept but for the one member that shows a signing key."""
        answer = (await self.helpdesk.admin.post(document, variables)).json()
        if issued := (answer.get("data") or {}).get("issueSigningKey"):
            self.keys.append(issued.pop("signingKey"))
        self.answers.append(answer)
        return answer

    async def connect(self, path: str, canary: str) -> str:
        secret = {"secretHeaderName": "X-Api-Key", "secretHeaderValue": self.canaries[canary]}
        given = {"name": path, "lookupUrl": self.crm.url(path)} | secret
        connector_id: str = (await self.ask(CREATE_CONNECTOR, input=given))["data"]["createConnector"]["id"]
        return connector_id

    async def rotate(self, connector_id: str, canary: str) -> None:
        await self.ask(ROTATE, id=connector_id, value=self.canaries[canary], email=JAN)

    async def tell(self) -> None:
        """Go through all of it."""
        self.crm.answers = {path: echoing(make) for path, make in ENDPOINTS.items()}
        ids = {path: await self.connect(path, "in force") for path in ENDPOINTS}
        await asyncio.gather(*(self.ask(TEST, id=connector_id, email=JAN) for connector_id in ids.values()))
        for path, make in MEMORIES.items():
            await self.remember(path, make)
        await self.helpdesk.mail()
        for panel in range(len(ids) + len(MEMORIES)):
            await self.helpdesk.settled(0, panel)
        await asyncio.gather(*(self.rotate(connector_id, "refused") for path, connector_id in ids.items() if path != "/found"))
        await self.change_secrets()
        await self.ask(CONNECTORS)
        await self.ask(LIST)

    async def remember(self, path: str, make: Callable[[list[str]], Any]) -> None:
        """Let an endpoint say from now on all that it was ever given: the secret before and the signing keys, too."""
        known: list[str] = []
        self.crm.answers[path] = FOUND
        connector_id = await self.connect(path, "previous")
        await self.rotate(connector_id, "in force")
        for _ in range(2):
            await self.ask(ISSUE, id=connector_id)
        for key in self.keys[-2:]:
            known += [key, key.removeprefix("whsec_")]

        async def recall(_request: Request) -> Any:  # noqa: ANN401 - whatever the endpoint answers
            return make([self.canaries["previous"], *known])

        self.crm.answers[path] = recall
        await self.ask(TEST, id=connector_id, email=JAN)

    async def change_secrets(self) -> None:
        rotated, restored = await self.connect("/found", "previous"), await self.connect("/found", "in force")
        await self.rotate(rotated, "in force")
        await self.rotate(restored, "previous")
        await self.ask(RESTORE, id=restored)
        await self.ask(
            CHANGE, id=await self.connect("/found", "replaced"), input={"secretHeaderValue": self.canaries["in force"]}
        )
        for connector_id in (rotated, restored):
            await self.ask(ISSUE, id=connector_id)
            await self.ask(ISSUE, id=connector_id)
            await self.ask(TEST, id=connector_id, email=JAN)
        await self.ask(DISABLE, id=restored)
        value = self.canaries["misplaced"]
        for misplaced in (f"\n{value}", [value], {value: 1}):
            await self.ask(ROTATE, id=rotated, value=misplaced, email=JAN)
            await self.ask(CHANGE, id=rotated, input={"secretHeaderValue": misplaced})
        await self.ask(ROTATE, id=value, value=value, email="nobody")


async def written(story: Story, folder: Path) -> dict[str, Any]:
    """What stands in the database and in its files while the product still runs, and what it counts."""
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client:
        said = {"metrics": (await client.get(f"{story.helpdesk.base_url}/metrics")).text}
    back_door = BackDoor(story.helpdesk.parts.settings.async_database_url)
    if not back_door.postgresql:
        files = {file.name: file.read_bytes().hex() for file in folder.iterdir() if "sqlite3" in file.name}
        return {**said, "files": files}
    statements = [f"SELECT t::text FROM {table} t" for table in SQLModel.metadata.tables]  # noqa: S608 - our own names
    return {**said, "tables": [repr(await in_thread(back_door.rows, statement)) for statement in statements]}


async def main(folder: Path, settings: dict[str, Any], canaries: dict[str, str]) -> dict[str, Any]:
    async with open_crm() as crm, open_helpdesk(folder, **settings) as helpdesk:
        story = Story(helpdesk, crm, canaries)
        await story.tell()
        sent = sorted({request.headers.get("x-api-key", "") for request in crm.requests})
        return {"answers": story.answers, "keys": story.keys, "sent": sent, **await written(story, folder)}


if __name__ == "__main__":
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    given = json.loads(sys.argv[1])
    set_up_logs(LogLevel.DEBUG, production=given["json_logs"])
    told = asyncio.run(main(Path(given["folder"]), given["settings"], given["canaries"]))
    told["spans"] = [span.to_json() for span in exporter.get_finished_spans()]
    Path(given["told"]).write_text(json.dumps(told))
