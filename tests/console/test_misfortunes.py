"""What an unlucky day does to an open console: connections that end badly, releases, forbidden storage, late answers."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from domain.identity import Role
from tests.stage.crm import FOUND
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from playwright.async_api import Page, Route, WebSocket, WebSocketRoute

    from tests.flows.desk import Desk
    from tests.stage.crm import Crm
    from tests.stage.faults import Faults

STORAGE_IS_FORBIDDEN = """
for (const name of ['localStorage', 'sessionStorage']) {
  Object.defineProperty(globalThis, name, { get() { throw new DOMException('Access is denied', 'SecurityError'); } });
}
"""


@pytest.mark.parametrize("code", [1011, 4500, 4400])
async def test_a_socket_that_a_fault_of_the_server_ended_comes_back(page: Page, desk: Desk, code: int) -> None:
    sockets: list[WebSocketRoute] = []

    def let_through(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    await page.route_web_socket("**/graphql", let_through)
    await page.goto(f"/#token={desk.token()}")
    await expect(page.get_by_text("Živě")).to_be_visible()

    await sockets[0].close(code=code, reason="fault")
    await expect(page.get_by_text("Obnovuji spojení…")).to_be_visible()
    await expect(page.get_by_text("Živě")).to_be_visible()
    await desk.mail(Subject="Potom")

    await expect(page.get_by_role("link", name="Potom")).to_be_visible()


async def test_where_no_socket_gets_through_panels_and_list_live_on_event_streams(
    page: Page, faults: Faults, desk: Desk, company: Crm
) -> None:
    faults.expect("WebSocket")
    await page.route_web_socket("**/graphql", lambda socket: socket.close(code=1006))
    company.answers["/lookup"] = FOUND
    release = company.hang()
    await desk.connect(company.url())
    ticket = await desk.open()
    await page.goto(f"/#token={desk.token()}/tickets/{ticket}")
    await expect(page.get_by_role("article", name="CRM")).to_have_attribute("data-status", "PENDING")

    release.set()

    await expect(page.get_by_text("Jan Novák", exact=True)).to_be_visible()
    await expect(page.get_by_text("Živě")).to_be_visible()
    await page.keyboard.press("Escape")
    await desk.mail(Subject="Potom")
    await expect(page.get_by_role("link", name="Potom")).to_be_visible()


async def test_event_streams_leave_the_browser_connections_for_all_else(page: Page, faults: Faults, desk: Desk, crm: Crm) -> None:
    """Of HTTP/1.1 it has six to a host; the settings watch each connector."""
    faults.expect("WebSocket")
    await page.route_web_socket("**/graphql", lambda socket: socket.close(code=1006))
    for number in range(8):
        await desk.connect(crm.url(), f"CRM {number}")
    await page.goto(f"/#token={desk.token(Role.ADMIN)}/settings")
    await expect(page.get_by_text("Živě")).to_be_visible(timeout=15_000)

    await page.get_by_role("switch").first.click()

    async def is_switched_off() -> bool:
        connectors = (await desk.admin.ask("{ connectors { enabled } }"))["connectors"]
        return any(not connector["enabled"] for connector in connectors)

    await eventually(is_switched_off)


async def test_what_opened_while_the_connection_was_lost_is_not_skipped_for_what_opened_after(page: Page, desk: Desk) -> None:
    """The event of the newest may come before the list that is read anew."""
    sockets: list[WebSocketRoute] = []
    reading: list[Route] = []
    holds_back = False

    def let_through(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    async def hold_back(route: Route) -> None:
        if holds_back and "query Tickets(" in (route.request.post_data or ""):
            reading.append(route)
        else:
            await route.continue_()

    async def is_reading() -> bool:
        return bool(reading)

    await page.route_web_socket("**/graphql", let_through)
    await page.route("**/graphql", hold_back)
    await desk.mail(Subject="Předtím")
    await page.goto(f"/#token={desk.token()}")
    await expect(page.get_by_role("link", name="Předtím")).to_be_visible()
    await expect(page.get_by_text("Živě")).to_be_visible()

    holds_back = True
    await sockets[0].close(code=1001)
    await desk.mail(Subject="Mezitím")
    await eventually(is_reading)
    await expect(page.get_by_text("Živě")).to_be_visible()
    await desk.mail(Subject="Potom")
    await expect(page.get_by_role("link", name="Potom")).to_be_visible()
    for route in reading:
        await route.continue_()

    await expect(page.get_by_role("link", name="Mezitím")).to_be_visible()


async def test_the_console_works_where_the_browser_forbids_it_to_keep_anything(page: Page, desk: Desk) -> None:
    await page.add_init_script(STORAGE_IS_FORBIDDEN)

    await page.goto(f"/#token={desk.token()}")
    await expect(page.get_by_role("heading", name="Tickety", exact=True)).to_be_visible()
    await page.get_by_role("button", name="Účet").click()
    await page.get_by_role("menuitemradio", name="English").click()

    await expect(page.get_by_role("heading", name="Tickets", exact=True)).to_be_visible()


async def test_a_page_of_an_earlier_release_reloads_itself_once(page: Page, faults: Faults, desk: Desk) -> None:
    faults.expect("404|Failed to fetch|Failed to load|Unable to preload")
    gone = True
    loads = 0

    async def answer(route: Route) -> None:
        if gone and "/assets/settings" in route.request.url:
            await route.fulfill(status=404, body="")
        else:
            await route.continue_()

    def count(_page: Page) -> None:
        nonlocal loads, gone
        loads += 1
        gone = loads < 2

    page.on("domcontentloaded", count)
    await page.route("**/assets/**", answer)
    await page.goto(f"/#token={desk.token(Role.ADMIN)}")
    await page.get_by_role("link", name="Nastavení").click()

    await expect(page.get_by_role("link", name="Přidat connector").first).to_be_visible()


async def test_a_part_that_stays_away_is_told_and_not_tried_for_ever(page: Page, faults: Faults, desk: Desk) -> None:
    faults.expect("404|Failed to fetch|Failed to load|Unable to preload")
    await page.route("**/assets/settings*.js", lambda route: route.fulfill(status=404, body=""))

    await page.goto(f"/#token={desk.token(Role.ADMIN)}")
    await page.get_by_role("link", name="Nastavení").click()

    await expect(page.get_by_role("alert")).to_contain_text("Konzole zakopla")
    await expect(page.get_by_role("button", name="Načíst stránku znovu")).to_be_visible()


@pytest.mark.parametrize("path", ["/tickets/%", "/tickets/%E0%A4%A", "/%"])
async def test_an_address_that_is_no_text_opens_no_empty_page(page: Page, desk: Desk, path: str) -> None:
    await page.goto(f"/#token={desk.token()}")
    await expect(page.get_by_role("heading", name="Tickety", exact=True)).to_be_visible()

    await page.goto(f"/#{path}")

    await expect(page.get_by_role("main")).to_contain_text("není")


async def test_a_kept_token_for_mail_leads_back_to_the_door(page: Page, faults: Faults, desk: Desk) -> None:
    faults.expect("403|WebSocket")

    await page.goto(f"/#token={desk.token(Role.MAIL)}")

    await expect(page.get_by_role("alert")).to_contain_text("jen k příjmu pošty")


async def test_the_first_look_at_a_ticket_does_not_say_that_nothing_is_connected(page: Page, desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    await desk.connect(company.url())
    ticket = await desk.open()
    await page.add_init_script(
        """
        globalThis.said = [];
        new MutationObserver(() => {
          if (document.body?.textContent.includes('Žádný connector')) globalThis.said.push('none');
        }).observe(document, { childList: true, subtree: true, characterData: true });
        """
    )

    await page.goto(f"/#token={desk.token()}/tickets/{ticket}")
    await expect(page.get_by_text("Jan Novák", exact=True)).to_be_visible()

    assert await page.evaluate("globalThis.said") == []


async def test_the_panel_of_a_connector_that_is_gone_leaves_when_it_is_refreshed(page: Page, desk: Desk, company: Crm) -> None:
    company.answers["/lookup"] = FOUND
    gone = await desk.connect(company.url(), "Starý")
    await desk.connect(company.url(), "Nový")
    ticket = await desk.open()
    await page.goto(f"/#token={desk.token()}/tickets/{ticket}")
    await expect(page.get_by_text("Jan Novák", exact=True)).to_have_count(2)
    await desk.delete(gone)

    await page.get_by_role("button", name="Obnovit Starý").click()

    await expect(page.get_by_role("article", name="Starý")).to_have_count(0)
    await expect(page.get_by_role("article", name="Nový")).to_be_visible()


async def test_two_hundred_tickets_at_once_all_arrive(page: Page, desk: Desk) -> None:
    await page.goto(f"/#token={desk.token()}")
    await expect(page.get_by_text("Živě")).to_be_visible()

    for number in range(200):
        await desk.open(f"jan{number}@firma.cz")

    await expect(page.locator("a[data-row]")).to_have_count(200)


async def test_a_new_ticket_half_written_survives_the_end_of_the_token(page: Page, faults: Faults, desk: Desk) -> None:
    faults.expect("401")
    await page.goto(f"/#token={desk.token(ttl=timedelta(seconds=4))}/tickets/new")
    await page.get_by_label("Předmět").fill("Půl hodiny psaní")
    await expect(page.get_by_role("alert")).to_contain_text("Platnost tokenu vypršela")

    await page.get_by_label("Token").fill(desk.token())
    await page.get_by_role("button", name="Přihlásit se").click()

    await expect(page.get_by_label("Předmět")).to_have_value("Půl hodiny psaní")


async def test_a_subscription_that_the_server_breaks_off_is_taken_up_again(page: Page, desk: Desk) -> None:
    """What ends as INTERNAL may go well the next time."""
    asked: list[str] = []

    def break_off(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def pass_on(message: str | bytes) -> None:
            told = json.loads(message)
            if "ticketOpened" in told.get("payload", {}).get("query", ""):
                asked.append(told["id"])
            if asked == [told.get("id")]:
                fault = {"message": "", "extensions": {"code": "INTERNAL", "requestId": ""}}
                socket.send(json.dumps({"id": told["id"], "type": "error", "payload": [fault]}))
            else:
                server.send(message)

        socket.on_message(pass_on)

    async def asked_again() -> bool:
        return len(asked) > 1

    await page.route_web_socket("**/graphql", break_off)
    await page.goto(f"/#token={desk.token()}")
    await eventually(asked_again)
    await desk.mail(Subject="Potom")

    await expect(page.get_by_role("link", name="Potom")).to_be_visible()


async def test_signing_out_leaves_no_trace_in_the_title_and_no_socket(page: Page, desk: Desk) -> None:
    await desk.mail(Subject="Výpověď")
    sockets: list[WebSocket] = []
    page.on("websocket", lambda socket: sockets.append(socket))  # noqa: PLW0108 - Playwright marks what it is given
    await page.goto(f"/#token={desk.token()}")
    await page.get_by_role("link", name="Výpověď").click()
    await expect(page).to_have_title("#1 Výpověď · Disqua")

    await page.get_by_role("button", name="Účet").click()
    await page.get_by_role("menuitem", name="Odhlásit se").click()

    await expect(page).to_have_title("Přihlášení · Disqua")

    async def all_closed() -> bool:
        return bool(sockets) and all(socket.is_closed() for socket in sockets)

    await eventually(all_closed)


async def test_each_page_has_its_title_and_takes_the_focus(page: Page, desk: Desk) -> None:
    await desk.mail(Subject="Výpověď")
    await page.goto(f"/#token={desk.token()}")
    await expect(page).to_have_title("Tickety · Disqua")
    await expect(page.locator("a[data-row]")).to_be_visible()

    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="#1 Výpověď")).to_be_focused()
    await expect(page).to_have_title("#1 Výpověď · Disqua")
    await page.goto("/#/tickets/new")
    await expect(page).to_have_title("Nový ticket · Disqua")
    await page.goto("/#/tickets/0190a5a5-0000-7000-8000-000000000000")
    await expect(page).to_have_title("Takový ticket v tomto pracovním prostoru není. · Disqua")
    await page.goto("/#/nikde")
    await expect(page).to_have_title("Taková stránka tu není. · Disqua")
