"""Settings → YourCRM → Log: the lookups of a connector as they happen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.console.settings import assert_sound, open_settings
from tests.stage.crm import FOUND, NOT_FOUND, response

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

    from tests.flows.desk import Desk
    from tests.stage.crm import Crm


def lines(page: Page) -> Locator:
    return page.locator("main summary")


async def test_a_lookup_appears_by_itself_and_ends_before_ones_eyes(page: Page, desk: Desk, company: Crm) -> None:
    release = company.hang()
    connector = await desk.connect(company.url(), "CRM")
    await open_settings(page, desk, f"/{connector}/log")
    await expect(page.get_by_role("heading", name="Zatím žádný dotaz")).to_be_visible()

    await desk.open("eva@firma.cz")
    await expect(lines(page)).to_have_count(1)
    await expect(lines(page).first).to_contain_text("Probíhá")
    release.set()

    await expect(lines(page).first).to_contain_text("Neznámý")
    await expect(lines(page).first).to_contain_text("eva@firma.cz")
    await expect(lines(page)).to_have_count(1)


async def test_an_opened_line_tells_everything(page: Page, desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND | {"badge_color": "violet"}
    connector = await desk.connect(company.url(), "CRM")
    ticket = await desk.open()
    await open_settings(page, desk, f"/{connector}/log")
    await lines(page).first.focus()

    await page.keyboard.press("Enter")

    line = page.locator("main details[open]")
    for told in ("Otevřel se ticket", "jan@firma.cz", "Zadáno", "Dokončeno", "200", "violet", '"customer_id"'):
        await expect(line).to_contain_text(told)
    await expect(line.get_by_role("link", name="Otevřít ticket")).to_have_attribute("href", f"#/tickets/{ticket}")


async def test_a_failure_is_told_in_a_sentence(page: Page, desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = response(503, b"")
    connector = await desk.connect(company.url(), "CRM")
    await desk.test(connector)
    await open_settings(page, desk, f"/{connector}/log")

    await lines(page).first.click()

    await expect(page.locator("main details[open]")).to_contain_text("Endpoint odpověděl stavem HTTP 503.")
    await expect(page.locator("main details[open]")).to_contain_text("Odpověď není uchovaná.")


async def test_the_log_is_filtered_by_status_and_older_lines_come_on_demand(page: Page, desk: Desk, company: Crm) -> None:
    connector = await desk.connect(company.url(), "CRM")
    for answer, count in ((FOUND, 2), (NOT_FOUND, 11)):
        company.answers["/lookup"] = answer
        for _ in range(count):
            await desk.test(connector)
    await open_settings(page, desk, f"/{connector}/log")
    await expect(lines(page)).to_have_count(10)

    await page.get_by_role("button", name="Nalezen 0").click()
    await expect(page.get_by_text("Mezi načtenými dotazy žádný takový není.")).to_be_visible()
    await page.get_by_role("button", name="Další").click()

    await expect(lines(page)).to_have_count(2)
    await expect(page.get_by_role("button", name="Další")).to_have_count(0)
    await page.get_by_role("button", name="Vše").click()
    await expect(lines(page)).to_have_count(13)


@pytest.mark.parametrize("locale", ["en-GB"])
async def test_the_log_speaks_english(page: Page, desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = response(401, b"{}")
    connector = await desk.connect(company.url(), "CRM")
    await desk.test(connector)
    await open_settings(page, desk, f"/{connector}/log")

    await lines(page).first.click()

    await expect(page.locator("main details[open]")).to_contain_text("The endpoint answered with HTTP status 401.")


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
async def test_axe_finds_nothing_and_nothing_sticks_out(page: Page, desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND | {"badge_color": "violet", "note": "x" * 300}
    connector = await desk.connect(company.url(), "CRM")
    await desk.test(connector, "velmi.dlouha.adresa." + "x" * 40 + "@" + "y" * 60 + ".example")
    await open_settings(page, desk, f"/{connector}/log")

    await lines(page).first.click()

    await expect(page.get_by_role("region", name="Odpověď, jak přišla")).to_be_visible()
    await assert_sound(page)
