"""The newcomer's first minute: the demo prints a link, and behind it panels are live."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from playwright.async_api import expect

from tests.stage.process import DISQUA, environment

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Page

    from tests.stage.faults import Faults


async def test_the_demo_ends_with_a_link_behind_which_panels_are_live(page: Page, faults: Faults, tmp_path: Path) -> None:
    demo = await asyncio.create_subprocess_exec(
        DISQUA,
        "demo",
        env=environment(tmp_path / "data") | {"TMPDIR": str(tmp_path)},
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
    )
    assert demo.stdout is not None
    try:
        printed = ""
        while "Ctrl-C ends the demo" not in printed:
            printed += (await asyncio.wait_for(demo.stdout.readline(), 60)).decode()
        link = re.findall(r"^admin +(http://\S+)$", printed, re.MULTILINE)[0]
        faults.allow(link.partition("/#")[0])
        await page.goto(link)
        await page.get_by_role("link", name="Ada Lovelace").click()
        billing = page.get_by_role("article", name="Billing")
        await expect(billing.get_by_text("Enterprise", exact=True).first).to_be_visible()

        await page.keyboard.press("Escape")
        await page.keyboard.press("n")
        await page.get_by_label("E-mail zákazníka").fill("grace@compilers.example")
        await page.get_by_label("Předmět").fill("Volala znovu")
        await page.get_by_role("button", name="Otevřít ticket").click()

        await expect(page.get_by_role("heading", name="Volala znovu")).to_be_visible()
        await expect(page.get_by_text("Grace Hopper").first).to_be_visible()
    finally:
        await page.close()  # it would go on asking for a server that is gone
        demo.terminate()
        await demo.wait()
