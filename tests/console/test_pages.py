"""What the browser gets: pages that keep their policy, and little to load."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.stage.accessibility import barriers

if TYPE_CHECKING:
    from playwright.async_api import Page, Response

    from tests.stage.faults import Faults

FIRST_LOAD_BYTES = 220_000


async def test_the_console_opens_and_keeps_its_policy(page: Page) -> None:
    await page.goto("/")

    await expect(page.locator("#root")).not_to_be_empty()


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
async def test_axe_finds_nothing_in_the_first_page(page: Page) -> None:
    await page.goto("/")
    await expect(page.locator("#root")).not_to_be_empty()

    assert await barriers(page) == []


async def test_graphiql_opens_and_keeps_its_policy(page: Page, faults: Faults) -> None:
    faults.expect("401")  # nobody has signed in

    await page.goto("/graphiql")

    await expect(page.locator(".graphiql-container .monaco-editor").first).to_be_visible()


async def test_the_first_load_is_small(page: Page) -> None:
    loaded: list[Response] = []

    def keep(response: Response) -> None:
        loaded.append(response)

    page.on("response", keep)

    await page.goto("/", wait_until="networkidle")

    sizes = [await response.request.sizes() for response in loaded]
    assert len(loaded) > 2
    assert sum(size["responseBodySize"] for size in sizes) < FIRST_LOAD_BYTES
