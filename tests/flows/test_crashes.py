"""Kill -9 at any moment: what was acknowledged is there, once, and nothing stays open."""

from __future__ import annotations

import asyncio
import random
import smtplib
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.stage.front_end import FrontEnd
from tests.stage.helpdesk import CREATE_CONNECTOR, SUPPORT, message
from tests.stage.process import Serving, disqua, free_port, serving
from tests.stage.waiting import eventually, in_thread

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stage.crm import Crm, Request

pytestmark = pytest.mark.timed

MAILS = 100
KILLS = 5
TICKETS = """query ($after: String) {
  tickets(first: 100, after: $after) {
    nodes { subject crmPanels { status refreshing error { code } } }
    pageInfo { hasNextPage endCursor }
  }
}"""


def mail(number: int) -> bytes:
    return message(From=f"sender{number}@firma.cz", Subject=f"Mail {number}", Message_ID=f"<{number}@firma.cz>")


def send(port: int, number: int) -> bool:
    """Whether the server said 250."""
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as connection:
            connection.sendmail("sender@firma.cz", [SUPPORT], mail(number))
    except (OSError, smtplib.SMTPException):
        return False
    return True


async def all_tickets(front_end: FrontEnd) -> list[Any]:
    tickets: list[Any] = []
    after = None
    while True:
        page = (await front_end.ask(TICKETS, after=after))["tickets"]
        tickets += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return tickets


@pytest.mark.timeout(180)
async def test_every_acknowledged_mail_has_its_one_ticket_and_every_lookup_ends(tmp_path: Path, crm: Crm) -> None:
    data_dir, port, mail_port = tmp_path / "data", free_port(), free_port()
    workspace = await disqua("workspace", "create", "Disqua", "--address", SUPPORT, data_dir=data_dir)
    token = await disqua("token", "--workspace", workspace, "--role", "admin", data_dir=data_dir)
    front_end = FrontEnd(f"http://127.0.0.1:{port}", token)
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - a red run can be repeated
    chance = random.Random(seed)

    async def slow_answer(_request: Request) -> dict[str, Any]:
        await asyncio.sleep(chance.uniform(0.01, 0.4))
        return {"found": True, "name": "Somebody"}

    crm.answers["/lookup"] = slow_answer
    acknowledged: set[int] = set()
    waiting = list(range(MAILS))

    async def deliver(served: Serving) -> None:
        while waiting and served.process.returncode is None:
            number = waiting.pop()
            if await in_thread(send, mail_port, number):
                acknowledged.add(number)
            else:
                waiting.insert(0, number)
                await asyncio.sleep(0.02)

    for kill in range(KILLS):
        async with serving(data_dir, port=port, mail_port=mail_port) as served:
            if kill == 0:
                await front_end.ask(CREATE_CONNECTOR, input={"name": "CRM", "lookupUrl": crm.url()})
            delivering = [asyncio.create_task(deliver(served)) for _ in range(4)]
            await asyncio.sleep(chance.uniform(0.05, 0.6))
            await served.kill()
            await asyncio.gather(*delivering)

    async with serving(data_dir, port=port, mail_port=mail_port) as served:
        present = [ticket["subject"] for ticket in await all_tickets(front_end)]
        assert len(present) == len(set(present))
        assert {f"Mail {number}" for number in acknowledged} <= set(present)

        await asyncio.gather(*(deliver(served) for _ in range(4)))
        for number in range(MAILS):
            assert await in_thread(send, mail_port, number)
        tickets = await all_tickets(front_end)
        assert sorted(ticket["subject"] for ticket in tickets) == sorted(f"Mail {number}" for number in range(MAILS))

        async def nothing_refreshing() -> bool:
            panels = [panel for ticket in await all_tickets(front_end) for panel in ticket["crmPanels"]]
            return len(panels) == MAILS and not any(panel["refreshing"] for panel in panels)

        await eventually(nothing_refreshing, within=30)
        outcomes = {
            (panel["status"], panel["error"] and panel["error"]["code"])
            for ticket in await all_tickets(front_end)
            for panel in ticket["crmPanels"]
        }
        assert outcomes <= {("FOUND", None), ("ERROR", "INTERRUPTED")}
        asked = Counter(request.json["email"] for request in crm.requests)
        assert max(asked.values()) == 1
