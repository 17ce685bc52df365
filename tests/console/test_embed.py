"""The element for other front ends, on a page of another origin that forbids what it can."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from playwright.async_api import expect

from server.console import is_built
from tests.stage.accessibility import barriers
from tests.stage.crm import FOUND, NOT_FOUND, response
from tests.stage.helpdesk import open_helpdesk
from tests.stage.host_page import HostPage, open_host_page
from tests.stage.process import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Locator, Page, WebSocket

    from tests.flows.desk import Desk
    from tests.stage.crm import Crm
    from tests.stage.faults import Faults
    from tests.stage.helpdesk import Helpdesk

ELEMENT = "disqua-crm-panel"
SIGN_IN = "(element, token) => { element.token = token; }"
BROKEN = response(503, b"")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def host() -> AsyncIterator[HostPage]:
    async with open_host_page() as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def product(host: HostPage, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Helpdesk]:
    """A product that lets the host page's origin in."""
    if not is_built():
        pytest.skip("the console is not built here; `make console` builds it")
    async with open_helpdesk(tmp_path_factory.mktemp("product") / "data", allowed_origins=[host.origin]) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _host_is_known(host: HostPage, faults: Faults) -> None:
    faults.allow(host.origin)


async def show(page: Page, host: HostPage, desk: Desk, *ticket_ids: str, **options: Any) -> Locator:  # noqa: ANN401
    """Open the page with an element for each ticket, signed in as an agent; the first of them."""
    host.embed(desk.base_url, *ticket_ids, **options)
    await page.goto(host.origin)
    elements = page.locator(ELEMENT)
    for element in await elements.all():
        await element.evaluate(SIGN_IN, desk.token())
    return elements.first


def panel(element: Locator, name: str = "CRM") -> Locator:
    return element.get_by_role("article", name=name)


def sockets_of(page: Page) -> list[WebSocket]:
    """The sockets that the page opens from now on."""
    opened: list[WebSocket] = []
    page.on("websocket", lambda socket: opened.append(socket))  # noqa: PLW0108 - Playwright marks what it is given
    return opened


async def test_the_panel_fills_in_while_one_looks_and_says_so(page: Page, host: HostPage, desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    answered = company.hang()
    await desk.connect(company.url(), linkTemplate="https://crm.example/{customer_id}")
    element = await show(page, host, desk, await desk.open())
    crm = panel(element)
    await expect(crm).to_have_attribute("aria-busy", "true")
    await expect(crm).to_contain_text("Zjišťuje se, kdo píše")
    await expect(element.get_by_role("button", name="Obnovuje se CRM")).to_be_disabled()

    answered.set()

    await expect(crm).to_contain_text("Jan Novák")
    await expect(crm.get_by_role("definition")).to_have_text(["Pro", "12 000 Kč", "12", "2021", "Eva"])
    await expect(element.get_by_text("CRM: nalezen, Jan Novák")).to_be_attached()
    link = crm.get_by_role("link", name="Zobrazit v CRM →")
    assert await link.get_attribute("target") == "_blank"
    assert await link.get_attribute("rel") == "noopener noreferrer"
    await expect(crm.locator("time")).to_have_text("právě teď")
    await expect(crm.locator("time")).to_have_attribute("title", re.compile(r"^Zjištěno \d{1,2}\. \w+ \d{4}"))


async def test_refresh_asks_again_and_fails_beside_the_last_good_answer(
    page: Page, host: HostPage, desk: Desk, company: Crm
) -> None:
    company.answers["/lookup"] = FOUND
    await desk.connect(company.url())
    element = await show(page, host, desk, await desk.open())
    crm = panel(element)
    await expect(crm).to_contain_text("Jan Novák")
    company.answers["/lookup"] = BROKEN

    await crm.get_by_role("button", name="Obnovit CRM").click()

    await expect(crm).to_have_attribute("data-status", "ERROR")
    await expect(crm).to_contain_text("HTTP 503")
    await expect(crm).to_contain_text("Endpoint má právě poruchu na své straně.")
    await expect(crm.locator(".disqua-stale")).to_contain_text("Poslední známá data")
    await expect(crm.locator(".disqua-stale")).to_contain_text("Jan Novák")
    assert len(company.asked()) == 2


async def test_unknown_explains_itself_to_the_pointer_and_to_the_keyboard(
    page: Page, host: HostPage, desk: Desk, company: Crm
) -> None:
    company.answers["/lookup"] = NOT_FOUND
    await desk.connect(company.url())
    crm = panel(await show(page, host, desk, await desk.open()))
    badge, tooltip = crm.get_by_role("button", name="Neznámý"), crm.get_by_role("tooltip")
    await expect(badge).to_be_visible()
    await expect(tooltip).to_be_hidden()

    await badge.hover()
    await tooltip.get_by_role("link").hover()
    await expect(tooltip.get_by_role("link")).to_have_attribute("href", re.compile("^https?://"))
    await page.mouse.move(0, 0)
    await expect(tooltip).to_be_hidden()

    await badge.focus()
    await expect(tooltip).to_contain_text("tuto e\u2011mailovou adresu nezná")
    await page.keyboard.press("Tab")
    await expect(tooltip.get_by_role("link")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(tooltip).to_be_hidden()


async def test_a_timeout_is_called_by_its_name(page: Page, host: HostPage, desk: Desk, company: Crm) -> None:
    answered = company.hang()
    await desk.connect(company.url())

    crm = panel(await show(page, host, desk, await desk.open()))

    await expect(crm.get_by_text("Timeout (3s)")).to_be_visible()
    answered.set()


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [300, 460])
async def test_axe_finds_nothing_in_any_state(page: Page, host: HostPage, desk: Desk, company: Crm) -> None:
    company.answers |= {"/found": FOUND, "/unknown": NOT_FOUND, "/broken": BROKEN, "/stale": FOUND}
    for name in ["found", "unknown", "broken", "stale", "asking"]:
        await desk.connect(company.url(f"/{name}"), name=name)
    answered = company.hang("/asking")
    element = await show(page, host, desk, await desk.open())
    await expect(panel(element, "stale")).to_contain_text("Jan Novák")
    company.answers["/stale"] = response(401, b"")
    await panel(element, "stale").get_by_role("button").click()
    await expect(panel(element, "stale")).to_contain_text("Endpoint neuznal náš secret.")
    await expect(panel(element, "broken")).to_contain_text("HTTP 503")
    await panel(element, "unknown").get_by_role("button", name="Neznámý").hover()

    assert await barriers(page) == []
    widths = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1]
    answered.set()


async def test_elements_with_one_token_share_a_socket(page: Page, host: HostPage, desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    await desk.connect(company.url())
    sockets = sockets_of(page)
    host.embed(desk.base_url, await desk.open(), await desk.open("eva@firma.cz"))
    await page.goto(host.origin)

    await page.evaluate(
        "token => document.querySelectorAll('disqua-crm-panel').forEach((one) => { one.token = token; })", desk.token()
    )

    await expect(panel(page.locator(ELEMENT).first)).to_contain_text("Jan Novák")
    await expect(panel(page.locator(ELEMENT).last)).to_contain_text("Jan Novák")
    assert len(sockets) == 1


async def test_a_token_that_expires_is_replaced_by_a_fresh_one(page: Page, host: HostPage, desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = NOT_FOUND
    await desk.connect(company.url())
    ticket_id = await desk.open()
    tokens = [desk.token(ttl=timedelta(seconds=2)), desk.token()]
    given: list[str] = []

    def fresh_token() -> str:
        given.append(tokens[min(len(given), 1)])
        return given[-1]

    await page.expose_function("freshToken", fresh_token)
    host.embed(desk.base_url, ticket_id)
    await page.goto(host.origin)
    element = page.locator(ELEMENT)

    async with page.expect_websocket() as first:
        await element.evaluate("element => { element.getToken = () => window.freshToken(); }")
    await expect(panel(element)).to_contain_text("Neznámý")
    await (await first.value).wait_for_event("close")
    company.answers["/lookup"] = FOUND
    await desk.refresh(ticket_id)

    await expect(panel(element)).to_contain_text("Jan Novák")
    await expect(element.locator(".disqua-trouble")).to_be_hidden()
    assert len(given) == 2


async def test_a_wrong_token_is_said_and_not_tried_again(page: Page, host: HostPage, desk: Desk, company: Crm) -> None:
    await desk.connect(company.url())
    sockets = sockets_of(page)
    host.embed(desk.base_url, await desk.open())
    await page.clock.install()
    await page.goto(host.origin)
    element = page.locator(ELEMENT)

    code = await element.evaluate(
        """element => new Promise((resolve) => {
          element.addEventListener('disqua-error', ({ detail }) => resolve(detail.code));
          element.token = 'wrong';
        })"""
    )

    assert code == "UNAUTHENTICATED"
    await expect(element.get_by_text("Přihlášení vypršelo nebo neplatí.")).to_be_visible()
    await page.clock.run_for(60_000)
    assert len(sockets) == 1
    await element.evaluate(SIGN_IN, desk.token())
    await expect(panel(element)).to_be_visible()
    await expect(element.locator(".disqua-trouble")).to_be_hidden()
    assert len(sockets) == 2


async def test_a_ticket_of_nobody_is_said(page: Page, host: HostPage, desk: Desk) -> None:
    element = await show(page, host, desk, "0197a3c2-5d1e-7c44-9f3a-2b8d6e10c7f5")

    await expect(element.get_by_text("Tento ticket tu není.")).to_be_visible()


async def test_another_ticket_and_another_language_are_an_attribute_away(
    page: Page, host: HostPage, desk: Desk, company: Crm
) -> None:
    company.answers["/lookup"] = NOT_FOUND
    await desk.connect(company.url())
    element = await show(page, host, desk, await desk.open())
    await expect(panel(element)).to_contain_text("Neznámý")
    company.answers["/lookup"] = FOUND
    ticket_id = await desk.open("eva@firma.cz")

    await element.evaluate("element => { element.locale = 'en'; }")
    await expect(panel(element)).to_contain_text("Unknown")
    await element.evaluate("(element, id) => { element.ticketId = id; }", ticket_id)

    await expect(panel(element)).to_contain_text("Jan Novák")
    await expect(panel(element).get_by_role("button", name="Refresh CRM")).to_be_visible()


async def test_what_was_set_before_the_element_was_defined_counts(page: Page, host: HostPage, desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    await desk.connect(company.url())
    element = await show(page, host, desk, await desk.open(), script=False)

    await page.add_script_tag(url=host.module, type="module")

    await expect(panel(element)).to_contain_text("Jan Novák")


async def test_a_change_is_an_event_that_the_page_hears(page: Page, host: HostPage, desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    await desk.connect(company.url())
    host.embed(desk.base_url, await desk.open())
    await page.goto(host.origin)

    name = await page.evaluate(
        """token => new Promise((resolve) => {
          document.addEventListener('disqua-panel-change', ({ detail }) => detail.customer && resolve(detail.customer.name));
          document.querySelector('disqua-crm-panel').token = token;
        })""",
        desk.token(),
    )

    assert name == "Jan Novák"


async def test_the_element_comes_back_after_the_server_and_catches_up(
    page: Page, host: HostPage, desk: Desk, company: Crm, faults: Faults, tmp_path: Path
) -> None:
    faults.expect("WebSocket connection to")
    port, data_dir = free_port(), tmp_path / "data"
    faults.allow(f"http://127.0.0.1:{port}")
    company.answers["/lookup"] = NOT_FOUND
    async with open_helpdesk(data_dir, port=port, allowed_origins=[host.origin]) as before:
        await before.connect(company.url(), cacheTtlHours=0)
        await before.mail()
        [ticket] = await before.tickets()
        host.embed(before.base_url, ticket["id"])
        await page.goto(host.origin)
        element = page.locator(ELEMENT)
        await element.evaluate(SIGN_IN, before.token())
        await expect(panel(element)).to_contain_text("Neznámý")
    await expect(element.get_by_text("Spojení se přerušilo")).to_be_visible()
    company.answers["/lookup"] = FOUND

    async with open_helpdesk(data_dir, port=port, allowed_origins=[host.origin]):
        await expect(panel(element)).to_contain_text("Jan Novák")
        await expect(element.get_by_text("Spojení se přerušilo")).to_be_hidden()


@pytest.mark.parametrize("ending", ["element => { element.token = null; }", "element => { element.ticketId = null; }"])
async def test_who_signs_out_or_leaves_the_ticket_leaves_nothing_to_be_read(
    page: Page, host: HostPage, desk: Desk, company: Crm, ending: str
) -> None:
    company.answers["/lookup"] = FOUND
    await desk.connect(company.url())
    element = await show(page, host, desk, await desk.open())
    await expect(panel(element)).to_contain_text("Jan Novák")

    await element.evaluate(ending)

    await expect(panel(element)).to_have_count(0)


async def test_an_element_that_was_taken_out_does_nothing_until_it_is_put_back(
    page: Page, host: HostPage, desk: Desk, company: Crm
) -> None:
    company.answers["/lookup"] = FOUND
    await desk.connect(company.url())
    element = await show(page, host, desk, await desk.open())
    await expect(panel(element)).to_contain_text("Jan Novák")

    left = await element.evaluate(
        """async element => {
          globalThis.taken = element;
          element.remove();
          await new Promise(requestAnimationFrame);
          return element.shadowRoot.childElementCount;
        }"""
    )
    assert left == 0
    await page.evaluate("document.querySelector('main').append(globalThis.taken)")

    await expect(panel(element)).to_contain_text("Jan Novák")
