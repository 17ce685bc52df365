"""Every state of a panel beside its ticket, as the agent sees it: in words, without barriers, live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from tests.console.conftest import OUR_MAIL_SERVER
from tests.flows.desk import arrived
from tests.stage.accessibility import barriers
from tests.stage.crm import FOUND, NOT_FOUND, response

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

    from tests.flows.desk import Desk
    from tests.stage.crm import Crm


async def panel_of(page: Page, desk: Desk, company: Crm, answer: Any, **settings: Any) -> Locator:  # noqa: ANN401
    """The panel beside a ticket whose endpoint has given this answer."""
    company.answers["/lookup"] = answer
    await desk.connect(company.url(), **settings)
    ticket = await desk.open()
    await desk.settled()
    await page.goto(f"/#token={desk.token()}/tickets/{ticket}")
    panel = page.get_by_role("article", name="CRM")
    await expect(panel).to_have_attribute("aria-busy", "false")
    return panel


async def test_what_is_being_asked_has_a_skeleton_and_then_the_answer_appears_by_itself(
    page: Page, desk: Desk, company: Crm
) -> None:
    await page.goto(f"/#token={desk.token()}")
    await expect(page.get_by_text("Živě")).to_be_visible()
    company.answers["/lookup"] = FOUND
    release = company.hang()
    await desk.connect(company.url())
    await desk.mail(Subject="Dotaz")

    await page.get_by_role("link", name="Dotaz").click()
    panel = page.get_by_role("article", name="CRM")
    await expect(panel).to_have_attribute("aria-busy", "true")
    await expect(panel.locator(".disqua-skeleton")).to_be_visible()
    release.set()

    await expect(panel.get_by_text("Jan Novák")).to_be_visible()
    await expect(page.get_by_role("status").filter(has_text="nalezen, Jan Novák")).to_be_attached()


async def test_a_found_customer_is_shown_whole(page: Page, desk: Desk, company: Crm) -> None:
    panel = await panel_of(page, desk, company, FOUND, linkTemplate="https://crm.example/c/{customer_id}")

    for text in ("Jan Novák", "VIP", "Plan", "Pro", "12 000 Kč", "Owner", "Eva", "právě teď"):
        await expect(panel.get_by_text(text, exact=True)).to_be_visible()
    link = panel.get_by_role("link", name="Zobrazit v CRM")
    await expect(link).to_have_attribute("href", "https://crm.example/c/cus%2F42%20%C3%A1")
    await expect(link).to_have_attribute("rel", "noopener noreferrer")


async def test_an_unknown_address_is_explained(page: Page, desk: Desk, company: Crm) -> None:
    panel = await panel_of(page, desk, company, NOT_FOUND)

    await panel.get_by_role("button", name="Neznámý").hover()

    link = panel.get_by_role("link")
    await expect(link).to_be_visible()
    await expect(link).to_have_attribute("href", desk.parts.settings.help_url)


@pytest.mark.parametrize(
    ("answer", "badge", "sentence"),
    [
        (response(500, b"{}"), "Chyba", "HTTP 500"),
        (response(401, b"{}"), "Chyba", "HTTP 401"),
        (response(200, b"<html>"), "Chyba", "JSON"),
    ],
    ids=["500", "401", "html"],
)
async def test_a_failure_says_what_failed(page: Page, desk: Desk, company: Crm, answer: bytes, badge: str, sentence: str) -> None:
    panel = await panel_of(page, desk, company, answer)

    await expect(panel.get_by_text(badge, exact=True)).to_be_visible()
    await expect(panel).to_contain_text(sentence)


async def test_an_endpoint_that_hangs_is_a_timeout(page: Page, desk: Desk, company: Crm) -> None:
    company.hang()
    panel = await panel_of(page, desk, company, company.answers["/lookup"])

    await expect(panel.get_by_text("Timeout (3s)", exact=True)).to_be_visible()


async def test_after_a_failure_the_last_good_answer_stays_greyed_with_its_age(page: Page, desk: Desk, company: Crm) -> None:
    panel = await panel_of(page, desk, company, FOUND)
    await expect(panel.get_by_text("Jan Novák")).to_be_visible()
    company.answers["/lookup"] = response(503, b"")

    await panel.get_by_role("button", name="Obnovit CRM").click()

    await expect(panel.get_by_text("Chyba", exact=True)).to_be_visible()
    stale = panel.locator(".disqua-stale")
    await expect(stale.get_by_text("Jan Novák")).to_be_visible()
    await expect(stale.locator("time")).to_have_text("právě teď")


async def test_refreshing_shows_a_spinner_and_brings_the_new_answer(page: Page, desk: Desk, company: Crm) -> None:
    panel = await panel_of(page, desk, company, NOT_FOUND)
    company.answers["/lookup"] = FOUND
    release = company.hang()
    button = panel.get_by_role("button", name="Obnovit CRM")

    await button.click()

    await expect(panel).to_have_attribute("aria-busy", "true")
    await arrived(company, 2)
    release.set()
    await expect(panel.get_by_text("Jan Novák")).to_be_visible()
    await expect(panel).to_have_attribute("aria-busy", "false")


async def test_all_panels_are_refreshed_at_once_and_stand_in_their_order(page: Page, desk: Desk, company: Crm) -> None:
    company.answers |= {"/a": FOUND, "/b": NOT_FOUND}
    await desk.connect(company.url("/b"), name="Druhý", position=2)
    await desk.connect(company.url("/a"), name="První", position=1)
    ticket = await desk.open()
    await page.goto(f"/#token={desk.token()}/tickets/{ticket}")
    await expect(page.get_by_role("article")).to_have_count(2)

    await expect(page.get_by_role("article").first).to_have_accessible_name("První")
    await page.get_by_role("button", name="Obnovit vše").click()

    await arrived(company, 2, "/a")
    await arrived(company, 2, "/b")


async def test_a_connector_made_while_the_ticket_is_open_gets_its_panel(page: Page, desk: Desk, company: Crm) -> None:
    ticket = await desk.open()
    await page.goto(f"/#token={desk.token()}/tickets/{ticket}")
    await expect(page.get_by_text("Žádný connector není zapnutý")).to_be_visible()

    await desk.connect(company.url(), name="Nový CRM")

    await expect(page.get_by_role("article", name="Nový CRM")).to_be_visible()


async def test_a_forged_sender_is_warned_of(page: Page, desk: Desk) -> None:
    await desk.mail(Subject="Zaplaťte", Authentication_Results=f"{OUR_MAIL_SERVER}; dmarc=fail header.from=firma.cz")
    await page.goto(f"/#token={desk.token()}")
    await page.get_by_role("link", name="Zaplaťte").click()

    await expect(page.get_by_text("Jménu nevěřte")).to_be_visible()


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
async def test_no_state_has_a_barrier(page: Page, desk: Desk, company: Crm) -> None:
    colours = {f"/{color}": FOUND | {"badge_color": color} for color in ("green", "blue", "yellow", "red", "gray")}
    company.answers |= colours | {"/unknown": NOT_FOUND, "/error": response(500, b""), "/stale": FOUND}
    company.hang("/slow")
    for path in (*colours, "/unknown", "/error", "/slow", "/stale"):
        await desk.connect(company.url(path), name=path.removeprefix("/"), linkTemplate="https://crm.example/{customer_id}")
    ticket = await desk.open()
    await arrived(company, 1, "/stale")
    await page.goto(f"/#token={desk.token()}/tickets/{ticket}")
    slow = page.get_by_role("article", name="slow")
    await expect(slow).to_be_visible()
    assert await barriers(page) == []

    company.answers["/stale"] = response(500, b"")
    await page.get_by_role("button", name="Obnovit stale").click()
    await expect(page.locator(".disqua-stale")).to_be_visible()
    await expect(slow.get_by_text("Timeout (3s)")).to_be_visible()
    await page.get_by_role("button", name="Neznámý").hover()

    assert await barriers(page) == []
