"""The settings as an admin has them open, and what holds of each of their views."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.async_api import expect

from domain.identity import Role
from tests.stage.accessibility import barriers

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.flows.desk import Desk


async def open_settings(page: Page, desk: Desk, path: str = "") -> None:
    """Go there, as an admin who signs in first unless the page is one of theirs already."""
    way_in = f"token={desk.token(Role.ADMIN)}" if page.url == "about:blank" else ""
    await page.goto(f"/#{way_in}/settings{path}")
    await expect(page.get_by_text(re.compile("^(Živě|Live)$"))).to_be_visible()


async def assert_sound(page: Page) -> None:
    """Axe finds nothing, and nobody has to scroll sideways."""
    await page.mouse.move(0, 0)
    assert await barriers(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
