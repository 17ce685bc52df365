"""The same product twice over the same data, once with compiled execution and once without, and whether both answer alike."""

from __future__ import annotations

import json
import re
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx

from tests.stage.front_end import NO_TLS, PATIENCE
from tests.stage.helpdesk import Helpdesk, open_helpdesk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

TIMES: Final = 3
"""A document has a plan from its second time on, and renderings are kept from the second answer on."""
_MOVES: Final = {"date", "x-request-id"}
_REQUEST_ID: Final = re.compile(rb'"requestId": ?"([0-9a-f]{32})"')
_OPERATIONS: Final = re.compile(r'^disqua_operations_total\{execution="(\w+)"\} (\S+)$', re.MULTILINE)


@dataclass(frozen=True)
class Sent:
    """A request, byte for byte."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"


def operation(query: object, variables: object = None, name: object = None, **members: Any) -> Sent:  # noqa: ANN401 - any JSON
    """An operation as front ends send it."""
    return Sent(json.dumps({"query": query, "variables": variables, "operationName": name, **members}).encode())


@dataclass(frozen=True)
class Answer:
    """What came, less what differs from one answer to the next."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True)
class BothWays:
    """Both of them."""

    compiled: Helpdesk
    stock: Helpdesk
    _clients: Mapping[bool, httpx.AsyncClient]

    async def same(self, sent: Sent, token: str, times: int = TIMES) -> Answer:
        """What both answer, each time."""
        expected = await self._ask(sent, token, compiled=False)
        for time in range(times):
            answered = await self._ask(sent, token, compiled=True)
            assert answered == expected, (time, sent)
        return expected

    async def _ask(self, sent: Sent, token: str, *, compiled: bool) -> Answer:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        answer = await self._clients[compiled].request(
            sent.method, "/graphql", content=sent.body, headers=headers | dict(sent.headers), timeout=PATIENCE
        )
        return _without_what_moves(answer)


async def executed(helpdesk: Helpdesk) -> dict[str, int]:
    """How many operations went which way so far."""
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client:
        numbers = (await client.get(f"{helpdesk.base_url}/metrics", timeout=PATIENCE)).text
    return {way: int(float(count)) for way, count in _OPERATIONS.findall(numbers)}


@asynccontextmanager
async def open_both_ways(data_dir: Path, **settings: Any) -> AsyncIterator[BothWays]:  # noqa: ANN401
    """Serve until the block ends."""
    async with AsyncExitStack() as stack:
        compiled = await stack.enter_async_context(open_helpdesk(data_dir, compiled=True, **settings))
        stock = await stack.enter_async_context(open_helpdesk(data_dir, compiled=False, **settings))
        clients = {
            one is compiled: await stack.enter_async_context(
                httpx.AsyncClient(trust_env=False, verify=NO_TLS, base_url=one.base_url)
            )
            for one in (compiled, stock)
        }
        yield BothWays(compiled, stock, clients)


def _without_what_moves(answer: httpx.Response) -> Answer:
    """Less the date and the request id, which must be the same wherever it stands."""
    request_id = answer.headers.get("x-request-id", "").encode()
    told = {found.group(1) for found in _REQUEST_ID.finditer(answer.content)}
    assert told <= {request_id}, (told, request_id)
    headers = [(name, value) for name, value in answer.headers.multi_items() if name not in _MOVES]
    body = answer.content.replace(request_id, b"the request's id") if request_id else answer.content
    return Answer(answer.status_code, [*headers, ("x-request-id", str(bool(request_id)))], body)
