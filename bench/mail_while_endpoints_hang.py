"""How long an SMTP dialogue takes while every endpoint hangs, against the same mails without a connector.

``.venv/bin/python bench/mail_while_endpoints_hang.py`` prints medians in milliseconds and their ratio.
Both variants run in one process and in turn, so that the machine's drift falls on both.
"""

from __future__ import annotations

import asyncio
import smtplib
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from server.logs import set_up_logs
from server.settings import LogLevel
from tests.stage.crm import open_crm
from tests.stage.helpdesk import SUPPORT, Helpdesk, message, open_helpdesk

MAILS = 200
CONNECTORS = 3
CHUNK = 20


def _dialogue(port: int, number: int) -> float:
    """Seconds from connecting to the 250."""
    started = time.perf_counter()
    with smtplib.SMTP("127.0.0.1", port) as connection:
        connection.sendmail("bench@firma.cz", [SUPPORT], message(From=f"sender{number}@firma.cz", Message_ID=f"<{number}@b>"))
        return time.perf_counter() - started


async def _send(helpdesk: Helpdesk, numbers: range) -> list[float]:
    return [await asyncio.to_thread(_dialogue, helpdesk.mail_port, number) for number in numbers]


async def main() -> None:
    """Measure and print."""
    set_up_logs(LogLevel.ERROR, production=False)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        crm = await stack.enter_async_context(open_crm())
        plain = await stack.enter_async_context(open_helpdesk(folder / "plain"))
        hanging = await stack.enter_async_context(open_helpdesk(folder / "hanging"))
        for number in range(CONNECTORS):
            crm.hang(f"/{number}")
            await hanging.connect(crm.url(f"/{number}"), f"CRM {number}")
        times: dict[str, list[float]] = {"no connector": [], f"{CONNECTORS} connectors that hang": []}
        for start in range(0, MAILS, CHUNK):
            for helpdesk, measured in zip((plain, hanging), times.values(), strict=True):
                measured.extend(await _send(helpdesk, range(start, start + CHUNK)))
        medians = {name: statistics.median(measured) * 1000 for name, measured in times.items()}
        for name, measured in times.items():
            worst = max(measured) * 1000
            print(f"{name:28} {len(measured)} mails, median {medians[name]:6.1f} ms, slowest {worst:6.1f} ms")
        without, with_hanging = medians.values()
        print(f"ratio of the medians         {with_hanging / without:.2f}")


if __name__ == "__main__":
    asyncio.run(main())
