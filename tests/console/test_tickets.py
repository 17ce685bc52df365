"""What an agent does all day: the list, the ticket, and by hand a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.stage.accessibility import barriers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from playwright.async_api import BrowserContext, Page

    from tests.flows.desk import Desk
    from tests.stage.crm import Crm
    from tests.stage.faults import Faults
    from tests.stage.outage import Outage


async def test_an_empty_list_says_what_to_do_next(page: Page, desk: Desk) -> None:
    await page.goto(f"/#token={desk.token()}")

    await expect(page.get_by_text("Zatím žádné tickety")).to_be_visible()
    await expect(page.get_by_text(desk.address)).to_be_visible()


async def test_a_mail_slides_into_the_open_list(page: Page, desk: Desk) -> None:
    await page.goto(f"/#token={desk.token()}")
    await expect(page.get_by_text("Živě")).to_be_visible()
    await desk.mail(Subject="První")
    await expect(page.get_by_role("link", name="První")).to_be_visible()

    await desk.mail(Subject="Druhý")

    await expect(page.locator("a[data-row]")).to_have_count(2)
    await expect(page.locator("a[data-row]").first).to_contain_text("Druhý")


async def test_a_ticket_that_opens_meanwhile_is_counted_until_the_list_is_seen(page: Page, desk: Desk) -> None:
    ticket = await desk.open()
    await page.goto(f"/#token={desk.token()}/tickets/{ticket}")
    await expect(page.get_by_text("Živě")).to_be_visible()

    await desk.mail(Subject="Mezitím")

    await expect(page.get_by_role("link", name="Tickety (1)")).to_be_visible()
    await page.get_by_role("link", name="Všechny tickety").click()
    await expect(page.get_by_role("link", name="Mezitím")).to_be_visible()
    await expect(page.get_by_role("link", name="Tickety (1)")).to_have_count(0)


async def test_older_tickets_come_page_by_page(page: Page, desk: Desk) -> None:
    for _ in range(27):
        await desk.open()
    await page.goto(f"/#token={desk.token()}")
    await expect(page.locator("a[data-row]")).to_have_count(25)

    await page.get_by_role("button", name="Zobrazit starší tickety").click()

    await expect(page.locator("a[data-row]")).to_have_count(27)
    await expect(page.get_by_role("button", name="Zobrazit starší tickety")).to_have_count(0)


async def test_the_keyboard_alone_goes_through_the_list_and_back(page: Page, desk: Desk) -> None:
    for subject in ("Jedna", "Dva", "Tři"):
        await desk.mail(Subject=subject)
    await page.goto(f"/#token={desk.token()}")
    await expect(page.locator("a[data-row]")).to_have_count(3)

    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await page.keyboard.press("k")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="#2 Dva")).to_be_visible()

    await page.keyboard.press("j")
    await expect(page.get_by_role("heading", name="#1 Jedna")).to_be_visible()
    await page.keyboard.press("k")
    await expect(page.get_by_role("heading", name="#2 Dva")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("heading", name="Tickety", exact=True)).to_be_visible()
    await expect(page.get_by_role("link", name="Dva")).to_be_focused()


async def test_a_ticket_is_opened_by_hand_and_its_panel_fills(page: Page, desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = {"found": True, "name": "Jan Novák"}
    await desk.connect(company.url())
    await page.goto(f"/#token={desk.token()}")
    await expect(page.get_by_text("Zatím žádné tickety")).to_be_visible()

    await page.keyboard.press("n")
    await page.get_by_label("E-mail zákazníka").fill("Jan@Firma.cz")
    await page.get_by_label("Předmět").fill("Volal kvůli faktuře")
    await page.get_by_label("O co jde").fill("Chce ji znovu.\n<b>Dnes</b>")
    await page.get_by_role("button", name="Otevřít ticket").click()

    await expect(page.get_by_role("heading", name="Volal kvůli faktuře")).to_be_visible()
    await expect(page.get_by_text("<b>Dnes</b>")).to_be_visible()
    await expect(page.get_by_text("Jan Novák", exact=True)).to_be_visible()


async def test_the_server_s_problems_stand_at_the_field_that_has_them(page: Page, desk: Desk) -> None:
    await page.goto(f"/#token={desk.token()}/tickets/new")
    await page.get_by_label("E-mail zákazníka").fill("tohle není adresa")

    await page.get_by_role("button", name="Otevřít ticket").click()

    field = page.get_by_label("E-mail zákazníka")
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(field).to_be_focused()
    await expect(field).to_have_accessible_description("E-mailová adresa má podobu jmeno@example.com.")


async def test_other_tickets_of_the_requester_are_a_click_away(page: Page, desk: Desk) -> None:
    await desk.mail(Subject="Dříve", sender="eva@firma.cz")
    await desk.mail(Subject="Cizí", sender="jan@firma.cz")
    await desk.mail(Subject="Později", sender="eva@firma.cz")
    await page.goto(f"/#token={desk.token()}")
    await page.get_by_role("link", name="Později").click()

    await expect(page.get_by_role("link", name="#2 Cizí")).to_have_count(0)
    await page.get_by_role("link", name="#1 Dříve").click()

    await expect(page.get_by_role("heading", name="#1 Dříve")).to_be_visible()


async def test_a_bounce_says_why_it_has_no_panels(page: Page, desk: Desk, company: Crm) -> None:
    await desk.connect(company.url())
    await desk.mail(Subject="Undelivered", sender="mailer-daemon@firma.cz")
    await page.goto(f"/#token={desk.token()}")
    await page.get_by_role("link", name="Undelivered").click()

    await expect(page.get_by_text("na její adresu se neptáme")).to_be_visible()
    await expect(page.get_by_text("Automatický")).to_be_visible()


async def test_no_name_reads_as_another_by_turning_its_letters_around(page: Page, desk: Desk) -> None:
    await desk.mail(Subject="=?utf-8?q?=E2=80=AEfaktura?=", From="=?utf-8?q?=E2=80=AEzc.amrif=40nej?= <zly@cizi.example>")
    await page.goto(f"/#token={desk.token()}")

    row = page.locator("a[data-row]")

    await expect(row).to_contain_text("zc.amrif@nej")
    assert "\u202e" not in await row.inner_text()
    await row.click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("#1 faktura")


async def test_an_unknown_ticket_says_so(page: Page, desk: Desk) -> None:
    await page.goto(f"/#token={desk.token()}/tickets/0190a5a5-0000-7000-8000-000000000000")

    await expect(page.get_by_text("Takový ticket v tomto pracovním prostoru není")).to_be_visible()


async def test_two_browsers_of_one_workspace_see_the_same_live(
    new_context: Callable[[], Awaitable[BrowserContext]], desk: Desk, company: Crm
) -> None:
    company.answers["/lookup"] = {"found": True, "name": "Jan Novák"}
    await desk.connect(company.url())
    ticket = await desk.open()
    pages = [await (await new_context()).new_page() for _ in range(2)]
    for page in pages:
        await page.goto(f"/#token={desk.token()}/tickets/{ticket}")
        await expect(page.get_by_text("Jan Novák", exact=True)).to_be_visible()
    company.answers["/lookup"] = {"found": True, "name": "Jan Nový"}
    release = company.hang()

    await pages[0].get_by_role("button", name="Obnovit CRM").click()

    for page in pages:
        await expect(page.get_by_role("article", name="CRM")).to_have_attribute("aria-busy", "true")
    release.set()
    for page in pages:
        await expect(page.get_by_text("Jan Nový", exact=True)).to_be_visible()
        await expect(page.get_by_role("article", name="CRM")).to_have_attribute("aria-busy", "false")


async def test_after_a_restart_the_console_comes_back_by_itself_and_catches_up(
    page: Page, faults: Faults, outage: Outage, company: Crm
) -> None:
    faults.expect("WebSocket|ERR_CONNECTION_REFUSED|Failed to load resource")
    company.answers["/lookup"] = {"found": True, "name": "Jan Novák"}
    desk = outage.desk
    await desk.connect(company.url(), cacheTtlHours=0)
    ticket = await desk.open()
    base_url = desk.base_url
    await page.goto(f"{base_url}/#token={desk.token()}/tickets/{ticket}")
    await expect(page.get_by_text("Jan Novák", exact=True)).to_be_visible()

    await outage.stop()
    await expect(page.get_by_text("Obnovuji spojení…")).to_be_visible()
    company.answers["/lookup"] = {"found": True, "name": "Jan Nový"}
    await outage.start()
    await outage.desk.refresh(ticket)
    await outage.desk.mail(Subject="Mezitím")

    await expect(page.get_by_text("Živě")).to_be_visible()
    await expect(page.get_by_text("Jan Nový", exact=True)).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("link", name="Mezitím")).to_be_visible()


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
async def test_list_ticket_and_form_have_no_barriers_and_fit(page: Page, desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = {"found": True, "name": "Jan Novák", "fields": {"Plán" * 15: "hodnota" * 60}}
    await desk.connect(company.url())
    await desk.mail(Subject="Dlouhý předmět " * 12 + "x" * 200, sender="jan.s.velmi-dlouhou.adresou@velmi-dlouha-domena.example")
    await page.goto(f"/#token={desk.token()}")

    for ready in ("a[data-row]", "article[data-status=FOUND]"):
        await expect(page.locator(ready)).to_be_visible()
        assert await barriers(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        if ready == "a[data-row]":
            await page.locator(ready).click()
    await page.goto("/#/tickets/new")
    await page.get_by_role("button", name="Otevřít ticket").click()
    await expect(page.locator("[aria-invalid]").first).to_be_visible()
    assert await barriers(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
