"""A mail is followed from SMTP through a worker to the frame; the endpoint is told nothing of it."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest_asyncio

if TYPE_CHECKING:
    import pytest

    from tests.stage.redis import RedisServer

STORY = """
import asyncio, json, sys
from pathlib import Path
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from server.app import Parts
from tests.stage.crm import FOUND, open_crm
from tests.stage.helpdesk import WATCH, open_helpdesk

EXECUTED = WATCH.replace("{ crmPanels", "{ ...Panels } fragment Panels on Subscription { crmPanels")

async def story(folder, redis_url):
    async with open_crm() as crm, open_helpdesk(folder, redis_url=redis_url) as helpdesk:
        crm.answers["/slow"] = FOUND
        release = crm.hang("/slow")
        await helpdesk.connect(crm.url("/slow"))
        async with Parts(helpdesk.parts.settings).working():
            await helpdesk.mail()
            (ticket,) = await helpdesk.tickets()
            watching = helpdesk.agent.watching
            async with watching(WATCH, id=ticket["id"]) as pushed, watching(EXECUTED, id=ticket["id"]) as executed:
                for panels in (pushed, executed):
                    await panels.until(lambda panel: panel["refreshing"])
                release.set()
                for panels in (pushed, executed):
                    await panels.until(lambda panel: not panel["refreshing"])
        (request,) = crm.requests
        return sorted(request.headers)

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
headers = asyncio.run(story(Path(sys.argv[1]), sys.argv[2]))
spans = [
    {
        "name": span.name,
        "trace": span.context.trace_id,
        "id": span.context.span_id,
        "parent": span.parent and span.parent.span_id,
        "attributes": dict(span.attributes),
    }
    for span in exporter.get_finished_spans()
]
print(json.dumps({"headers": headers, "spans": spans}))
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Any:  # noqa: ANN401 - JSON
    """The spans of one mail; in a process of its own, for a provider cannot be taken back."""
    redis_server.flush()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        STORY,
        str(tmp_path_factory.mktemp("traced") / "data"),
        redis_server.url,
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(printed.splitlines()[-1])


async def test_a_mail_is_followed_from_the_door_to_the_frame_across_processes(told: Any) -> None:  # noqa: ANN401
    by_name = {span["name"]: span for span in told["spans"]}
    mail, lookup = by_name["receive mail"], by_name["lookup"]
    asking, frame = by_name["ask the endpoint"], by_name["send panel"]

    assert {span["trace"] for span in (mail, lookup, asking, frame)} == {mail["trace"]}
    assert [span["parent"] for span in (mail, lookup, asking, frame)] == [None, mail["id"], lookup["id"], lookup["id"]]
    assert mail["attributes"]["disqua.ticket_id"] == frame["attributes"]["disqua.ticket_id"]
    assert lookup["attributes"]["disqua.status"] == "FOUND"


async def test_a_frame_is_followed_whether_it_is_pushed_or_executed(told: Any) -> None:  # noqa: ANN401
    (lookup,) = [span["id"] for span in told["spans"] if span["name"] == "lookup"]

    assert [span["name"] for span in told["spans"] if span["parent"] == lookup].count("send panel") == 2


async def test_the_endpoint_gets_no_header_of_it(told: Any) -> None:  # noqa: ANN401
    assert [name for name in told["headers"] if "trace" in name.lower() or "baggage" in name.lower()] == []
