"""Settings → YourCRM → Test: what an endpoint is asked, what it answers, and secrets that are tried before they count."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.console.settings import assert_sound, open_settings
from tests.stage.crm import FOUND, response
from tests.stage.waiting import in_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from playwright.async_api import BrowserContext, Page

    from tests.flows.desk import Desk
    from tests.stage.crm import Crm

SECRET = 'it\'s a $ecret `of` "ours"'


async def try_it(page: Page, email: str = "jan@firma.cz") -> None:
    await page.get_by_label("Adresa, na kterou se zeptat").fill(email)
    await page.get_by_role("button", name="Otestovat").click()


async def test_a_test_shows_request_outcome_warnings_answer_and_panel(page: Page, desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND | {"badge_color": "violet"}
    connector = await desk.connect(company.url(), "CRM", secretHeaderName="X-Api-Key", secretHeaderValue="tajne", enabled=False)
    await desk.open("posledni@firma.cz")
    await open_settings(page, desk, f"/{connector}/test")
    await expect(page.get_by_label("Adresa, na kterou se zeptat")).to_have_value("posledni@firma.cz")

    await try_it(page)

    await expect(page.get_by_text("HTTP 200")).to_be_visible()
    await expect(page.get_by_text(re.compile(r"^\d+.ms$"))).to_be_visible()
    warning = page.get_by_role("listitem").filter(has_text="badge_color")
    await expect(warning).to_contain_text("violet")
    panel = page.get_by_role("article", name="CRM")
    await expect(panel).to_contain_text("Jan Novák")
    await expect(panel).to_contain_text("12 000 Kč")
    sent = page.get_by_role("region", name="Odeslaný dotaz")
    await expect(sent).to_contain_text(f"POST {company.url()}")
    await expect(sent).to_contain_text("X-Api-Key: •••")
    await expect(sent).to_contain_text('"email": "jan@firma.cz"')
    await expect(page.get_by_role("region", name="Odpověď, jak přišla")).to_contain_text('"badge_color": "violet"')
    await expect(page.get_by_text("Connector je vypnutý: agenti jeho panel nevidí.")).to_be_visible()
    assert "tajne" not in await page.content()


async def test_the_raw_answer_is_text_with_its_numbers_as_written(page: Page, desk: Desk, company: Crm) -> None:
    body = b'{"found":true,"name":"<img src=x onerror=alert(1)>","fields":{"Id":12345678901234567890,"Rate":1.50},"x":[],"x2":{}}'
    company.answers["/lookup"] = response(200, body)
    connector = await desk.connect(company.url(), "CRM")
    await open_settings(page, desk, f"/{connector}/test")

    await try_it(page)

    answer = page.get_by_role("region", name="Odpověď, jak přišla")
    await expect(answer).to_contain_text("<img src=x onerror=alert(1)>")
    await expect(answer).to_contain_text("12345678901234567890")
    await expect(answer).to_contain_text("1.50")
    await expect(answer).to_contain_text('"x": []')
    await expect(page.locator("main img")).to_have_count(0)


async def test_an_endpoint_that_hangs_shows_progress_and_then_the_timeout(page: Page, desk: Desk, company: Crm) -> None:
    release = company.hang()
    connector = await desk.connect(company.url(), "CRM")
    await open_settings(page, desk, f"/{connector}/test")

    await try_it(page)

    await expect(page.get_by_role("progressbar")).to_be_visible()
    await assert_sound(page)
    await expect(page.get_by_role("article", name="CRM")).to_contain_text("Timeout (3s)")
    await expect(page.get_by_text("Žádná odpověď nepřišla.")).to_be_visible()
    release.set()


async def test_an_endpoint_that_is_down_says_what_would_have_been_sent(page: Page, desk: Desk) -> None:
    connector = await desk.connect("http://127.0.0.1:9/lookup", "CRM")
    await open_settings(page, desk, f"/{connector}/test")

    await try_it(page)

    await expect(page.get_by_role("region", name="Dotaz, který by se odeslal")).to_be_visible()
    await expect(page.get_by_role("article", name="CRM")).to_contain_text("K endpointu se nepodařilo připojit.")


async def test_an_address_that_is_none_stands_at_its_field(page: Page, desk: Desk, company: Crm) -> None:
    connector = await desk.connect(company.url(), "CRM")
    await open_settings(page, desk, f"/{connector}/test")

    for wrong in ("", "nikdo"):
        await try_it(page, wrong)
        await expect(page.get_by_label("Adresa, na kterou se zeptat")).to_be_focused()
        await expect(page.get_by_label("Adresa, na kterou se zeptat")).to_have_attribute("aria-invalid", "true")
    assert company.requests == []


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed here")
async def test_the_copied_curl_sends_the_same_request_in_any_shell(
    new_context: Callable[..., Awaitable[BrowserContext]], desk: Desk, company: Crm
) -> None:
    path = "/lookup?a='$HOME'&b=$(id)!*[1-3]"
    connector = await desk.connect(company.url(path), "CRM", secretHeaderName="X-'Key'", secretHeaderValue=SECRET)
    page = await (await new_context(permissions=["clipboard-read", "clipboard-write"])).new_page()
    await open_settings(page, desk, f"/{connector}/test")
    await try_it(page, "o'brien+$x@firma.cz")
    await page.get_by_role("button", name="Kopírovat jako curl").click()
    await expect(page.get_by_role("button", name="Zkopírováno")).to_be_visible()
    command = await page.evaluate("navigator.clipboard.readText()")
    assert SECRET not in command

    await in_thread(
        lambda: subprocess.run(["sh", "-c", command], env=os.environ | {"SECRET": SECRET}, check=True, capture_output=True)
    )

    sent, again = company.requests
    assert again.path == sent.path
    assert again.body == sent.body
    without = {"connection"}
    assert {k: v for k, v in again.headers.items() if k not in without} == {
        k: v for k, v in sent.headers.items() if k not in without
    }


async def test_a_secret_is_changed_only_when_the_endpoint_answers_to_it(page: Page, desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = response(401, b"{}")
    connector = await desk.connect(company.url(), "CRM", secretHeaderName="X-Api-Key", secretHeaderValue="puvodni")
    await open_settings(page, desk, f"/{connector}")
    await page.get_by_role("button", name="Vyměnit secret…").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Adresa, na kterou se zeptat").fill("jan@firma.cz")
    await dialog.get_by_role("button", name="Vyzkoušet a vyměnit").click()
    await expect(dialog.get_by_label("Nový secret")).to_be_focused()
    await dialog.get_by_label("Nový secret").fill("nove-tajemstvi")

    await dialog.get_by_role("button", name="Vyzkoušet a vyměnit").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("401")
    company.answers["/lookup"] = FOUND
    await dialog.get_by_role("button", name="Vyzkoušet a vyměnit").click()

    await expect(page.get_by_text("Nový secret platí. Předchozí můžete vrátit do")).to_be_visible()
    assert company.requests[-1].headers["x-api-key"] == "nove-tajemstvi"
    assert "nove-tajemstvi" not in await page.content()
    await page.get_by_role("button", name="Vrátit předchozí…").click()
    await page.get_by_role("alertdialog").get_by_role("button", name="Vrátit").click()
    await expect(page.get_by_role("alertdialog")).to_have_count(0)
    await desk.test(connector)
    assert company.requests[-1].headers["x-api-key"] == "puvodni"


async def test_a_signing_key_is_shown_once_and_signing_ends_after_a_question(page: Page, desk: Desk, company: Crm) -> None:
    connector = await desk.connect(company.url(), "CRM")
    await open_settings(page, desk, f"/{connector}")
    await page.get_by_role("button", name="Podepisovat dotazy…").click()
    await page.get_by_role("button", name="Vydat klíč").click()
    key = page.get_by_role("dialog").get_by_text("whsec_")
    await expect(key).to_be_visible()
    shown = await key.inner_text()
    await assert_sound(page)
    await page.get_by_role("button", name="Hotovo").click()

    await expect(page.get_by_text("Dotazy se podepisují.")).to_be_visible()
    assert shown not in await page.content()
    await desk.test(connector)
    assert "webhook-signature" in company.requests[-1].headers
    await page.get_by_role("button", name="Přestat podepisovat…").click()
    await page.get_by_role("alertdialog").get_by_role("button", name="Přestat podepisovat").click()
    await expect(page.get_by_text("Dotazy se nepodepisují.")).to_be_visible()
    await desk.test(connector)
    assert "webhook-signature" not in company.requests[-1].headers


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
async def test_axe_finds_nothing_and_nothing_sticks_out(page: Page, desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND | {"badge_color": "violet", "note": "x" * 300}
    company.answers["/denied"] = response(401, b"{}")
    for path in ("/lookup", "/denied"):
        connector = await desk.connect(company.url(path), "CRM", enabled=False)
        await open_settings(page, desk, f"/{connector}/test")
        await try_it(page)
        await expect(page.get_by_role("region", name="Odeslaný dotaz")).to_be_visible()
        await assert_sound(page)
