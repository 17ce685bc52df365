"""What axe finds in a page as it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axe_playwright_python.async_playwright import Axe

if TYPE_CHECKING:
    from playwright.async_api import Page


async def barriers(page: Page) -> list[str]:
    """Each rule that the page breaks, with the elements that break it; ``== []`` is the promise."""
    results = await Axe().run(page)
    return [
        f"{found['id']} ({found['impact']}): {', '.join(str(node['target']) for node in found['nodes'])}"
        for found in results.response["violations"]
    ]
