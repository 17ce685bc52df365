"""Signing in and out, and what becomes of somebody whose token ends."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from domain.identity import Role
from server.clock import utc_now
from tests.stage.accessibility import barriers

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Page

    from tests.flows.desk import Desk
    from tests.stage.faults import Faults
    from tests.stage.helpdesk import Helpdesk


async def sign_in(page: Page, token: str) -> None:
    await page.goto("/")
    await page.get_by_label("Token").fill(token)
    await page.get_by_role("button", name="Přihlásit se").click()


async def test_a_token_opens_the_console(page: Page, desk: Desk) -> None:
    await sign_in(page, desk.token())

    await expect(page.get_by_role("heading", name="Tickety", exact=True)).to_be_visible()
    await expect(page.get_by_text("Živě")).to_be_visible()


async def test_the_word_bearer_and_line_breaks_of_a_terminal_do_no_harm(page: Page, desk: Desk) -> None:
    token = desk.token()

    await sign_in(page, f"  Bearer {token[:40]}\n{token[40:]} ")

    await expect(page.get_by_role("heading", name="Tickety", exact=True)).to_be_visible()


async def test_a_link_signs_in_and_leaves_no_token_in_the_address(page: Page, desk: Desk) -> None:
    await page.goto(f"/#token={desk.token()}")

    await expect(page.get_by_role("heading", name="Tickety", exact=True)).to_be_visible()
    assert "token" not in page.url


async def test_a_link_with_a_token_and_a_page_opens_that_page(page: Page, desk: Desk) -> None:
    ticket = await desk.open()

    await page.goto(f"/#token={desk.token()}/tickets/{ticket}")

    await expect(page.get_by_role("heading", name="#1 Hello")).to_be_visible()


async def test_a_link_does_not_sign_anybody_over_to_somebody_else_unasked(page: Page, desk: Desk, product: Helpdesk) -> None:
    other = await product.add_workspace("Cizí firma", "support@cizi.example")
    await page.goto(f"/#token={desk.token()}")
    await expect(page.get_by_text("Firma", exact=True)).to_be_visible()

    await page.goto(f"/#token={desk.token(workspace=other)}")
    await page.get_by_role("button", name="Zůstat přihlášen").click()
    await expect(page.get_by_text("Firma", exact=True)).to_be_visible()

    await page.goto(f"/#token={desk.token(workspace=other)}")
    await expect(page.get_by_role("heading", name="Přihlásit se jako někdo jiný?")).to_be_visible()
    assert await barriers(page) == []
    await page.get_by_role("button", name="Přihlásit se odkazem").click()
    await expect(page.get_by_text("Cizí firma", exact=True)).to_be_visible()


async def test_a_token_of_another_server_is_refused_in_words(page: Page, faults: Faults, desk: Desk) -> None:
    faults.expect("401")
    head, claims, _ = desk.token().split(".")

    await sign_in(page, f"{head}.{claims}.{'A' * 43}")

    await expect(page.get_by_role("alert")).to_contain_text("Server tento token nepřijímá")


async def test_what_cannot_be_a_token_is_refused_in_the_same_words(page: Page) -> None:
    await sign_in(page, "žádný token")

    await expect(page.get_by_role("alert")).to_contain_text("Server tento token nepřijímá")


async def test_an_expired_token_is_told_from_a_wrong_one(page: Page, faults: Faults, desk: Desk) -> None:
    faults.expect("401")

    await sign_in(page, desk.token(ttl=-timedelta(minutes=5)))

    await expect(page.get_by_role("alert")).to_contain_text("Platnost tokenu vypršela")


async def test_a_token_for_mail_is_told_so(page: Page, faults: Faults, desk: Desk) -> None:
    faults.expect("403")

    await sign_in(page, desk.token(Role.MAIL))

    await expect(page.get_by_role("alert")).to_contain_text("jen k příjmu pošty")


async def test_nothing_pasted_is_asked_for(page: Page) -> None:
    await page.goto("/")
    await page.get_by_role("button", name="Přihlásit se").click()

    await expect(page.get_by_role("alert")).to_contain_text("Nejdřív sem vložte token")


async def test_a_token_that_expires_while_the_console_is_open_asks_for_a_new_one_and_goes_on_where_it_was(
    page: Page, faults: Faults, desk: Desk
) -> None:
    faults.expect("401")
    ticket = await desk.open()
    await page.goto(f"/#token={desk.token(ttl=timedelta(seconds=4))}/tickets/{ticket}")
    await expect(page.get_by_role("heading", name="#1 Hello")).to_be_visible()

    await expect(page.get_by_role("alert")).to_contain_text("Platnost tokenu vypršela")
    await page.get_by_label("Token").fill(desk.token())
    await page.get_by_role("button", name="Přihlásit se").click()

    await expect(page.get_by_role("heading", name="#1 Hello")).to_be_visible()


async def test_a_token_that_is_revoked_while_the_console_is_open_leads_back_to_the_door(
    page: Page, faults: Faults, desk: Desk
) -> None:
    faults.expect("401")
    token = desk.token()
    await sign_in(page, token)
    await expect(page.get_by_text("Živě")).to_be_visible()
    principal = await desk.parts.tokens.authenticate(token)
    assert principal is not None
    assert principal.token_id is not None

    async with desk.parts.database.operator() as store:
        await store.revocations.add(principal.token_id, utc_now(), expires_at=principal.expires_at)

    await expect(page.get_by_role("alert")).to_contain_text("Server už váš token nepřijímá")
    await expect(page.get_by_label("Token")).to_be_visible()


async def test_signing_out_forgets_the_token(page: Page, desk: Desk) -> None:
    await sign_in(page, desk.token())
    await page.get_by_role("button", name="Účet").click()
    await page.get_by_role("menuitem", name="Odhlásit se").click()

    await expect(page.get_by_role("heading", name="Přihlášení")).to_be_visible()
    await page.reload()
    await expect(page.get_by_role("heading", name="Přihlášení")).to_be_visible()


async def test_a_token_is_kept_for_the_next_visit_only_when_asked(context: BrowserContext, desk: Desk) -> None:
    page = await context.new_page()
    await sign_in(page, desk.token())
    await expect(page.get_by_role("heading", name="Tickety", exact=True)).to_be_visible()
    other = await context.new_page()
    await other.goto("/")
    await expect(other.get_by_role("heading", name="Přihlášení")).to_be_visible()

    await other.get_by_label("Zůstat na tomto počítači přihlášen").check()
    await other.get_by_label("Token").fill(desk.token())
    await other.get_by_role("button", name="Přihlásit se").click()
    await expect(other.get_by_role("heading", name="Tickety", exact=True)).to_be_visible()

    third = await context.new_page()
    await third.goto("/")
    await expect(third.get_by_role("heading", name="Tickety", exact=True)).to_be_visible()


async def test_signing_in_in_one_tab_leaves_the_others_signed_in(context: BrowserContext, desk: Desk) -> None:
    remembered, other = await context.new_page(), await context.new_page()
    await other.goto("/")
    await remembered.goto("/")
    await remembered.get_by_label("Zůstat na tomto počítači přihlášen").check()
    await remembered.get_by_label("Token").fill(desk.token())
    await remembered.get_by_role("button", name="Přihlásit se").click()
    await expect(remembered.get_by_role("heading", name="Tickety", exact=True)).to_be_visible()

    await other.get_by_label("Token").fill(desk.token(Role.ADMIN))
    await other.get_by_role("button", name="Přihlásit se").click()
    await expect(other.get_by_role("heading", name="Tickety", exact=True)).to_be_visible()
    await desk.mail(Subject="Potom")

    await expect(remembered.get_by_role("link", name="Potom")).to_be_visible()


async def test_signing_out_in_one_tab_signs_out_the_others(context: BrowserContext, desk: Desk) -> None:
    first, second = await context.new_page(), await context.new_page()
    await first.goto("/")
    await first.get_by_label("Zůstat na tomto počítači přihlášen").check()
    await first.get_by_label("Token").fill(desk.token())
    await first.get_by_role("button", name="Přihlásit se").click()
    await expect(first.get_by_role("heading", name="Tickety", exact=True)).to_be_visible()
    await second.goto("/")
    await expect(second.get_by_role("heading", name="Tickety", exact=True)).to_be_visible()

    await first.get_by_role("button", name="Účet").click()
    await first.get_by_role("menuitem", name="Odhlásit se").click()

    await expect(second.get_by_role("heading", name="Přihlášení")).to_be_visible()


@pytest.mark.parametrize(
    ("locale", "title"), [("cs-CZ", "Přihlášení"), ("en-GB", "Sign in"), ("sk-SK", "Přihlášení"), ("fr-FR", "Sign in")]
)
async def test_the_browser_chooses_the_language(page: Page, title: str) -> None:
    await page.goto("/")

    await expect(page.get_by_role("heading", name=title)).to_be_visible()


async def test_language_and_theme_are_kept(page: Page) -> None:
    await page.goto("/")
    await page.get_by_role("radio", name="English").click()
    await page.get_by_role("radio", name="Dark").click()
    await page.reload()

    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await expect(page.locator(".radix-themes.dark")).to_be_visible()
    await expect(page.locator("html")).to_have_attribute("lang", "en")


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
async def test_the_door_has_no_barriers_and_fits(page: Page) -> None:
    await page.goto("/")
    await page.get_by_role("button", name="Přihlásit se").click()
    await expect(page.get_by_role("alert")).to_be_visible()

    assert await barriers(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_settings_are_for_admins(page: Page, desk: Desk) -> None:
    await page.goto(f"/#token={desk.token(Role.AGENT)}/settings")

    await expect(page.get_by_text("Tuto stránku vidí jen správci")).to_be_visible()
    await expect(page.get_by_role("link", name="Nastavení")).to_have_count(0)
