"""Settings → YourCRM: the connectors, their order, and one that is added or changed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from tests.console.settings import assert_sound, open_settings
from tests.stage.crm import FOUND, NOT_FOUND, response
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

    from tests.flows.desk import Desk
    from tests.stage.crm import Crm

CONNECTORS = "{ connectors { id name enabled cacheTtlHours secretHeaderName hasSecret lookupUrl logResults linkTemplate } }"


async def connectors(desk: Desk) -> list[Any]:
    """What the API has, in panel order."""
    found: list[Any] = (await desk.admin.ask(CONNECTORS))["connectors"]
    return found


async def names(desk: Desk) -> list[str]:
    return [connector["name"] for connector in await connectors(desk)]


def rows(page: Page) -> Locator:
    return page.get_by_role("main").get_by_role("listitem")


# The list.


async def test_an_empty_list_says_what_a_connector_is_and_how_to_begin(page: Page, desk: Desk) -> None:
    await open_settings(page, desk)

    await expect(page.get_by_role("heading", name="Zatím žádný connector")).to_be_visible()
    guide = page.get_by_role("link", name="Průvodce pro toho, kdo endpoint napíše")
    await expect(guide).to_have_attribute("href", re.compile("connector-guide"))
    await page.get_by_role("link", name="Přidat connector").click()
    await expect(page.get_by_role("heading", name="Nový connector")).to_be_visible()


async def test_settings_are_for_admins(page: Page, desk: Desk) -> None:
    await page.goto(f"/#token={desk.token()}/settings")

    await expect(page.get_by_text("Tuto stránku vidí jen správci.")).to_be_visible()


async def test_the_list_shows_how_each_connector_fares_and_follows_its_lookups(page: Page, desk: Desk, company: Crm) -> None:
    company.answers["/bad"] = response(500, b"")
    await desk.connect(company.url("/bad"), "Fakturace")
    await desk.connect(company.url(), "CRM")
    await open_settings(page, desk)
    await expect(rows(page)).to_have_count(2)
    await expect(rows(page).first).to_contain_text(f"127.0.0.1:{company.port}")
    await expect(rows(page).first).to_contain_text("Zatím neodpověděl")

    await desk.open()

    await expect(rows(page).first).to_contain_text("Selhává")
    await expect(rows(page).first).to_contain_text("1 chyba v řadě")
    await expect(rows(page).first.get_by_role("img", name="1× chyba")).to_be_visible()
    await expect(rows(page).last).to_contain_text("Funguje")
    await expect(rows(page).last.get_by_role("img", name="1× neznámý")).to_be_visible()


async def test_the_keyboard_moves_a_connector_and_the_order_stays(page: Page, desk: Desk, company: Crm) -> None:
    for name in ("První", "Druhý", "Třetí"):
        await desk.connect(company.url(), name)
    await open_settings(page, desk)
    await expect(page.get_by_text("mezerník")).not_to_have_count(0)
    await page.get_by_role("button", name="Přesunout První").focus()

    await pick_up(page)
    await expect(page.get_by_text("Uchopeno: První, 1. místo z 3.")).to_have_count(1)
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_text("První je teď na 2. místě z 3.")).to_have_count(1)
    await page.keyboard.press("Space")

    await expect(rows(page).first).to_contain_text("Druhý")
    assert await eventually(lambda: in_order(desk, ["Druhý", "První", "Třetí"]))
    await page.reload()
    await expect(rows(page).nth(1)).to_contain_text("První")


async def pick_up(page: Page) -> None:
    """Take what has the focus, and wait until the page listens for where to: it does from the next frame on."""
    await page.keyboard.press("Space")
    await expect(page.locator("[aria-pressed=true]")).to_be_focused()
    await page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(drawn))))")


async def in_order(desk: Desk, wanted: list[str]) -> bool:
    return await names(desk) == wanted


async def test_the_mouse_moves_a_connector(page: Page, desk: Desk, company: Crm) -> None:
    for name in ("První", "Druhý", "Třetí"):
        await desk.connect(company.url(), name)
    await open_settings(page, desk)
    grip = await page.get_by_role("button", name="Přesunout Třetí").bounding_box()
    first = await rows(page).first.bounding_box()
    assert grip is not None
    assert first is not None
    x, y = grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2

    await page.mouse.move(x, y)
    await page.mouse.down()
    await page.mouse.move(x, y - 20, steps=4)
    await page.mouse.move(x, first["y"] + 10, steps=8)
    await page.mouse.up()

    await expect(rows(page).first).to_contain_text("Třetí")
    assert await eventually(lambda: in_order(desk, ["Třetí", "První", "Druhý"]))


async def test_an_order_that_the_server_refuses_is_undone_with_a_sentence(page: Page, desk: Desk, company: Crm) -> None:
    await desk.connect(company.url(), "První")
    gone = await desk.connect(company.url(), "Druhý")
    await open_settings(page, desk)
    await expect(rows(page)).to_have_count(2)
    await desk.delete(gone)
    await page.get_by_role("button", name="Přesunout První").focus()

    await pick_up(page)
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_text("První je teď na 2. místě z 2.")).to_have_count(1)
    await page.keyboard.press("Space")

    await expect(page.get_by_role("alert")).to_contain_text("Pořadí zůstává, jak bylo.")
    await expect(rows(page).first).to_contain_text("První")


async def test_the_switch_takes_a_connector_off_and_on(page: Page, desk: Desk, company: Crm) -> None:
    await desk.connect(company.url(), "CRM")
    await open_settings(page, desk)

    await page.get_by_role("switch", name="CRM je zapnutý").click()
    await expect(page.get_by_role("status").get_by_text("CRM je vypnutý")).to_have_count(1)

    assert [connector["enabled"] for connector in await connectors(desk)] == [False]
    await expect(rows(page).first).to_contain_text("Vypnuto")


async def test_a_full_workspace_says_so(page: Page, desk: Desk) -> None:
    for number in range(25):
        await desk.connect("https://crm.example/lookup", f"CRM {number}", enabled=False)
    await open_settings(page, desk)

    await expect(page.get_by_text("Pracovní prostor může mít 25 connectorů.")).to_be_visible()
    await expect(page.get_by_role("link", name="Přidat connector")).to_have_count(0)


# A new connector.


async def fill_in(page: Page, url: str, name: str = "CRM") -> None:
    await page.get_by_label("Název").fill(name)
    await page.get_by_label("Adresa endpointu").fill(url)
    await page.get_by_label("Adresa na zkoušku").fill("jan@firma.cz")


@pytest.mark.parametrize("answer", [FOUND, NOT_FOUND], ids=["found", "not found"])
async def test_a_new_connector_is_tried_and_switched_on(page: Page, desk: Desk, company: Crm, answer: Any) -> None:  # noqa: ANN401
    company.answers["/lookup"] = answer
    await open_settings(page, desk, "/new")
    await fill_in(page, company.url())

    await page.get_by_role("button", name="Uložit a otestovat").click()

    await expect(page.get_by_text("Funguje to a connector je zapnutý")).to_be_visible()
    assert [connector["enabled"] for connector in await connectors(desk)] == [True]
    assert [request.json["email"] for request in company.asked()] == ["jan@firma.cz"]


@pytest.mark.parametrize(
    ("path", "reason"), [("/denied", "HTTP 401"), ("/down", "připojit"), ("/slow", "Timeout")], ids=["401", "down", "slow"]
)
async def test_a_new_connector_that_does_not_answer_stays_off_and_says_why(
    page: Page, desk: Desk, company: Crm, path: str, reason: str
) -> None:
    company.answers["/denied"] = response(401, b"{}")
    release = company.hang("/slow")
    url = "http://127.0.0.1:9/lookup" if path == "/down" else company.url(path)
    await open_settings(page, desk, "/new")
    await fill_in(page, url)

    await page.get_by_role("button", name="Uložit a otestovat").click()
    if path == "/slow":
        await expect(page.get_by_role("progressbar")).to_be_visible()

    await expect(page.get_by_text("Connector zůstává vypnutý")).to_be_visible()
    await expect(page.get_by_role("main")).to_contain_text(reason)
    assert [connector["enabled"] for connector in await connectors(desk)] == [False]
    release.set()

    await page.get_by_role("button", name="Zapnout přesto").click()
    await expect(page.get_by_text("Connector je zapnutý.")).to_be_visible()
    assert [connector["enabled"] for connector in await connectors(desk)] == [True]


async def test_what_is_wrong_stands_at_its_field_and_the_first_has_the_focus(page: Page, desk: Desk) -> None:
    await open_settings(page, desk, "/new")
    await page.get_by_label("Název").fill("CRM")
    await page.get_by_label("Adresa endpointu").fill("ftp://crm.firma.cz/")
    await page.get_by_label("Odkaz do CRM").fill("https://crm.firma.cz/")

    await page.get_by_role("button", name="Uložit bez testu").click()

    field = page.get_by_label("Adresa endpointu")
    await expect(field).to_be_focused()
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(field).to_have_accessible_description(re.compile("https://"))
    await expect(page.get_by_label("Odkaz do CRM")).to_have_accessible_description(re.compile(r"\{customer_id\}"))
    assert await connectors(desk) == []


async def test_an_own_ttl_must_be_a_whole_number(page: Page, desk: Desk, company: Crm) -> None:
    await open_settings(page, desk, "/new")
    await fill_in(page, company.url())
    await page.get_by_text("Vlastní hodnota").click()
    hours = page.get_by_label("Jak dlouho odpověď platí (h)")
    await hours.fill("půl")

    await page.get_by_role("button", name="Uložit bez testu").click()
    await expect(hours).to_be_focused()
    await expect(hours).to_have_accessible_description("Napište celý počet hodin.")
    await hours.fill("9000")
    await page.get_by_role("button", name="Uložit bez testu").click()
    await expect(hours).to_have_accessible_description(re.compile("8.?760"))
    await hours.fill("48")
    await page.get_by_role("button", name="Uložit bez testu").click()

    await expect(page.get_by_role("heading", name="CRM")).to_be_visible()
    assert [connector["cacheTtlHours"] for connector in await connectors(desk)] == [48]


async def test_a_secret_is_made_shown_once_and_never_again(page: Page, desk: Desk, company: Crm) -> None:
    await open_settings(page, desk, "/new")
    await fill_in(page, company.url())
    await page.get_by_role("button", name="Vytvořit bezpečný").click()
    secret = await page.get_by_label("Secret", exact=True).input_value()
    assert re.fullmatch(r"[\w-]{43}", secret)
    await expect(page.get_by_text("Zobrazí se jen teď.")).to_be_visible()

    await page.get_by_role("button", name="Uložit a otestovat").click()
    await expect(page.get_by_text("Funguje to")).to_be_visible()

    assert company.asked()[0].headers["x-api-key"] == secret
    assert secret not in await page.content()
    await expect(page.get_by_role("region", name="Odeslaný dotaz")).to_contain_text("X-Api-Key: •••")
    await page.get_by_role("link", name="Nastavení").last.click()
    await expect(page.get_by_text("Uloženo", exact=True)).to_be_visible()
    await expect(page.get_by_text("Otisk:")).to_be_visible()
    assert secret not in await page.content()


# A connector that is there.


async def edit(page: Page, desk: Desk, url: str, **settings: Any) -> str:  # noqa: ANN401 - what the input takes
    """Open the form of a new connector and return its id."""
    connector = await desk.connect(url, "CRM", **settings)
    await open_settings(page, desk, f"/{connector}")
    await expect(page.get_by_label("Název")).to_have_value("CRM")
    return connector


async def test_only_what_was_changed_is_saved(page: Page, desk: Desk, company: Crm) -> None:
    connector = await edit(page, desk, company.url(), linkTemplate="https://crm.firma.cz/{customer_id}")
    await desk.change(connector, logResults=False)

    await page.get_by_label("Název").fill("Obchod")
    await page.get_by_text("1 týden").click()
    await page.get_by_role("button", name="Uložit", exact=True).click()
    await expect(page.get_by_text("Uloženo.")).to_be_visible()

    [saved] = await connectors(desk)
    assert (saved["name"], saved["cacheTtlHours"], saved["logResults"]) == ("Obchod", 168, False)
    assert saved["linkTemplate"] == "https://crm.firma.cz/{customer_id}"


async def test_the_form_says_before_saving_that_a_new_site_drops_the_secret(page: Page, desk: Desk, company: Crm) -> None:
    await edit(page, desk, company.url(), secretHeaderName="X-Api-Key", secretHeaderValue="tajne")
    await page.get_by_label("Adresa endpointu").fill(company.url("/jinam"))
    await expect(page.get_by_text("Adresa teď vede na jiný server.")).to_have_count(0)

    await page.get_by_label("Adresa endpointu").fill("https://jinde.example/lookup")
    await expect(page.get_by_text("Adresa teď vede na jiný server.")).to_be_visible()
    await page.get_by_role("button", name="Uložit", exact=True).click()
    await expect(page.get_by_text("Uloženo.")).to_be_visible()

    [saved] = await connectors(desk)
    assert (saved["secretHeaderName"], saved["hasSecret"]) == (None, False)


async def test_a_secret_can_be_removed_and_another_header_named(page: Page, desk: Desk, company: Crm) -> None:
    await edit(page, desk, company.url(), secretHeaderName="X-Api-Key", secretHeaderValue="tajne")
    await page.get_by_label("Hlavička se secretem").fill("X-Klic")
    await page.get_by_role("button", name="Uložit", exact=True).click()
    await expect(page.get_by_text("Uloženo.")).to_be_visible()
    assert [(one["secretHeaderName"], one["hasSecret"]) for one in await connectors(desk)] == [("X-Klic", True)]

    await page.get_by_role("button", name="Odebrat").click()
    await page.get_by_role("button", name="Uložit", exact=True).click()
    await expect(page.get_by_text("Uloženo.")).to_be_visible()

    assert [(one["secretHeaderName"], one["hasSecret"]) for one in await connectors(desk)] == [(None, False)]


async def test_unsaved_changes_wait(page: Page, desk: Desk, company: Crm) -> None:
    await edit(page, desk, company.url())
    await page.get_by_label("Název").fill("Rozepsaný")

    await page.get_by_role("link", name="Tickety", exact=True).click()
    await page.get_by_role("link", name="Nastavení", exact=True).click()
    await expect(rows(page).first).to_contain_text("neuloženo")
    await rows(page).first.get_by_role("link", name="CRM").first.click()

    await expect(page.get_by_label("Název")).to_have_value("Rozepsaný")
    await expect(page.get_by_text("Tyto změny ještě nejsou uložené.")).to_be_visible()
    await page.get_by_role("button", name="Zahodit").first.click()
    await expect(page.get_by_label("Název")).to_have_value("CRM")


async def test_the_browser_asks_before_it_closes_on_unsaved_changes(page: Page, desk: Desk, company: Crm) -> None:
    await edit(page, desk, company.url())
    await page.get_by_label("Název").fill("Rozepsaný")
    asked = []

    async def stay(dialog: Any) -> None:  # noqa: ANN401 - Playwright's Dialog
        asked.append(dialog.type)
        await dialog.accept()

    page.on("dialog", stay)
    await page.reload()

    assert asked == ["beforeunload"]
    await expect(page.get_by_label("Název")).to_have_value("CRM")


async def test_a_connector_is_deleted_after_a_question_that_names_what_goes(page: Page, desk: Desk, company: Crm) -> None:
    await edit(page, desk, company.url())

    await page.get_by_role("button", name="Smazat…").click()
    question = page.get_by_role("alertdialog", name="Smazat CRM?")
    await expect(question).to_contain_text("odpovědi")
    await expect(question).to_contain_text("log")
    await question.get_by_role("button", name="Zrušit").click()
    assert len(await connectors(desk)) == 1
    await page.get_by_role("button", name="Smazat…").click()
    await question.get_by_role("button", name="Smazat").click()

    await expect(page.get_by_role("heading", name="Zatím žádný connector")).to_be_visible()
    assert await connectors(desk) == []


async def test_an_unknown_connector_is_told_so(page: Page, desk: Desk) -> None:
    await open_settings(page, desk, "/01a20608-1bcf-7534-8a1b-0a216741a17c")

    await expect(page.get_by_role("heading", name="Takový connector tu není.")).to_be_visible()


async def test_a_connector_that_another_admin_adds_appears_by_itself(page: Page, desk: Desk, company: Crm) -> None:
    await open_settings(page, desk)
    await expect(page.get_by_role("heading", name="Zatím žádný connector")).to_be_visible()

    await desk.connect(company.url(), "CRM")

    await expect(rows(page)).to_have_count(1)


# Both languages, both themes, every width.


@pytest.mark.parametrize("locale", ["en-GB"])
async def test_the_settings_speak_english(page: Page, desk: Desk, company: Crm) -> None:
    await desk.connect(company.url(), "CRM")
    await open_settings(page, desk)
    await expect(page.get_by_role("link", name="Add a connector")).to_be_visible()
    await page.get_by_role("button", name="Move CRM").focus()
    await pick_up(page)
    await expect(page.get_by_text("Picked up CRM, place 1 of 1.")).to_have_count(1)
    await page.keyboard.press("Escape")
    await expect(page.get_by_text("CRM is back where it was.")).to_have_count(1)

    await page.get_by_role("link", name="Add a connector").click()
    await page.get_by_role("button", name="Save without a test").click()

    await expect(page.get_by_label("Name", exact=True)).to_have_accessible_description(re.compile("1 to 100 characters"))


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
async def test_axe_finds_nothing_and_nothing_sticks_out(page: Page, desk: Desk, company: Crm) -> None:
    connector = await desk.connect(
        company.url(), "Systém s velmi dlouhým jménem", secretHeaderName="X-Api-Key", secretHeaderValue="tajne"
    )
    await desk.connect(company.url("/" + "dlouha" * 40), "E-shop", enabled=False)
    await desk.open()
    await open_settings(page, desk)
    await expect(rows(page)).to_have_count(2)
    await assert_sound(page)
    await page.goto("/#/settings/new")
    await page.get_by_text("Co má endpoint dělat").click()
    await page.get_by_role("button", name="Uložit bez testu").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await assert_sound(page)
    await page.goto(f"/#/settings/{connector}")
    await expect(page.get_by_text("Otisk:")).to_be_visible()
    await assert_sound(page)
    for button in ("Vyměnit secret…", "Podepisovat dotazy…", "Smazat…"):
        await page.get_by_role("button", name=button).click()
        await expect(page.get_by_role("dialog").or_(page.get_by_role("alertdialog"))).to_be_visible()
        await assert_sound(page)
        await page.keyboard.press("Escape")
