"""The stage itself: it hears every fault, and a product may go away and come back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import Error, expect

from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.flows.desk import Desk
    from tests.stage.crm import Crm
    from tests.stage.faults import Faults
    from tests.stage.outage import Outage

FETCH, CONNECT = "fetch('http://127.0.0.1:9/', {mode: 'no-cors'}).catch(() => {})", "new WebSocket('ws://127.0.0.1:9/')"
FREE = "/healthz"  # has no policy that would hold its scripts back


@pytest.mark.parametrize(
    ("path", "script", "fault"),
    [
        ("/", "setTimeout(() => { throw new Error('thrown') })", "page error: .*thrown"),
        ("/", "console.error('said')", "console: said"),
        ("/", "document.head.append(Object.assign(document.createElement('script'), {text: '1'}))", "Content Security Policy"),
        ("/", "document.body.setAttribute('style', 'color: red')", "Content Security Policy.*style"),
        ("/", FETCH, "Content Security Policy.*connect"),
        ("/", CONNECT, "Content Security Policy.*connect"),
        (FREE, FETCH, "another host: http://127.0.0.1:9/"),
        (FREE, CONNECT, "another host: ws://127.0.0.1:9/"),
    ],
)
async def test_what_a_page_does_wrong_is_heard(page: Page, faults: Faults, path: str, script: str, fault: str) -> None:
    await page.goto(path)
    assert faults.unexpected() == []

    await page.evaluate(f"() => {{ {script} }}")

    async def heard() -> bool:
        return any(re.search(fault, seen) for seen in faults.unexpected())

    await eventually(heard)
    faults.expect("")


async def test_a_page_asks_a_product_that_came_back_at_the_same_address(page: Page, outage: Outage, faults: Faults) -> None:
    faults.expect("ERR_CONNECTION_REFUSED")
    address = outage.desk.base_url
    await page.goto(address)
    await outage.desk.mail(From="jan@firma.cz")

    await outage.stop()
    with pytest.raises(Error, match="ERR_CONNECTION_REFUSED"):
        await page.goto(address)
    await outage.start()
    await page.goto(address)

    await expect(page.locator("#root")).not_to_be_empty()
    assert len(await outage.desk.tickets()) == 1


async def test_a_mail_to_the_desk_has_the_company_asked(desk: Desk, company: Crm) -> None:
    await desk.connect(company.url())

    await desk.mail()

    assert (await desk.settled())["status"] == "NOT_FOUND"
