"""GraphiQL as the product serves it: three tabs to begin with, and nothing from anywhere else."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.stage.crm import FOUND, NOT_FOUND
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

    from domain.identity import Role
    from tests.flows.desk import Desk
    from tests.stage.crm import Crm
    from tests.stage.faults import Faults

TABS = [re.compile(name) for name in ("TicketWithPanels", "WatchPanels", "AddConnector")]  # an icon's title follows
KEPT = "JSON.stringify(Object.entries(localStorage).filter(([key]) => key.startsWith('graphiql:')))"
MONACO_STARTS = 30_000


async def sign_in(page: Page, desk: Desk, role: Role | None = None) -> None:
    """Sign in in the console, as the link of the demo does, and go on to GraphiQL."""
    await page.goto(f"/#token={desk.token(role) if role else desk.token()}")
    await expect(page.locator("#root")).not_to_be_empty()
    await page.goto("/graphiql")
    await expect(page.get_by_role("tab")).to_have_text(TABS, timeout=MONACO_STARTS)
    await expect(editor(page, "query")).to_contain_text("TicketWithPanels", timeout=MONACO_STARTS)


def editor(page: Page, name: str) -> Locator:
    return page.locator(f".graphiql-{name}-editor, .graphiql-editor").filter(has=page.locator(".monaco-editor")).first


def answer(page: Page) -> Locator:
    return page.locator(".graphiql-response")


async def kept_by(page: Page) -> dict[str, str]:
    """What GraphiQL keeps for the next visit."""
    return dict(json.loads(await page.evaluate(KEPT)))


async def execute(page: Page) -> None:
    await page.get_by_role("button", name="Execute query").click()


async def test_the_first_tab_shows_the_newest_ticket_with_its_panels(page: Page, desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    await desk.connect(company.url())
    await desk.open()
    await sign_in(page, desk)

    await execute(page)

    await expect(answer(page)).to_contain_text("crmPanels")
    await expect(page.get_by_role("link", name="← Console")).to_have_attribute("href", "./")
    await expect(page).to_have_title("GraphiQL · Disqua")


async def test_the_second_tab_hears_a_change(page: Page, desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = NOT_FOUND
    await desk.connect(company.url())
    ticket_id = await desk.open()
    await sign_in(page, desk)
    await page.get_by_role("tab", name="WatchPanels").click()
    await execute(page)
    await expect(answer(page)).to_contain_text("NOT_FOUND")
    company.answers["/lookup"] = FOUND

    await desk.refresh(ticket_id)

    await expect(answer(page)).to_contain_text('"FOUND"')
    await page.get_by_role("button", name="Stop query").click()


async def test_a_later_visit_finds_its_tabs_and_no_token_is_kept(page: Page, desk: Desk) -> None:
    await sign_in(page, desk)
    await page.get_by_role("tab", name="AddConnector").click()
    await expect(page.get_by_role("tab", name="AddConnector")).to_have_attribute("aria-selected", "true")

    async def all_kept() -> bool:  # GraphiQL writes each of them a moment after the other
        kept = await kept_by(page)
        return "AddConnector" in kept.get("graphiql:query", "") and "lookupUrl" in kept.get("graphiql:variables", "")

    await eventually(all_kept)
    await page.reload()

    await expect(page.get_by_role("tab")).to_have_text(TABS, timeout=MONACO_STARTS)
    kept = await kept_by(page)
    assert "AddConnector" in kept["graphiql:tabState"]
    assert "Bearer" not in str(kept)


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
async def test_who_is_not_signed_in_reads_where_a_token_comes_from(page: Page, faults: Faults) -> None:
    faults.expect("401")

    await page.goto("/graphiql")

    await expect(page.get_by_text("disqua token --workspace ID")).to_be_visible()
    await expect(page.get_by_role("tab")).to_have_text(TABS, timeout=MONACO_STARTS)
    await expect(page.get_by_text('"Bearer TOKEN"')).to_be_visible(timeout=MONACO_STARTS)
