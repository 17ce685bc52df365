"""Take the screenshots of the README from a running demo: ``make screenshots``; needs Chromium."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import expect, sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_HERE = Path(__file__).with_name("screenshots")
_WIDTH, _HEIGHT = 1120, 700


def main() -> None:
    """Tell the demo's story once more, and keep what it looks like."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("Chromium is not installed here; on Debian: apt-get install chromium")
    command = [str(Path(sys.executable).with_name("disqua")), "demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo, sync_playwright() as playwright:
        assert demo.stdout is not None
        try:
            link = next(link[1] for line in demo.stdout if (link := re.match(r"admin +(http://\S+)", line)))
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            _tickets(browser, link)
            _settings(browser, link)
            browser.close()
        finally:
            demo.terminate()


def _signed_in(browser: Browser, link: str, scheme: str = "light") -> Page:
    page = browser.new_page(
        color_scheme="dark" if scheme == "dark" else "light",
        locale="en-GB",
        reduced_motion="reduce",
        timezone_id="Europe/Prague",
        viewport={"width": _WIDTH, "height": _HEIGHT},
    )
    page.goto(link)
    expect(page.locator("a[data-row]").first).to_be_visible()
    return page


def _tickets(browser: Browser, link: str) -> None:
    page = _signed_in(browser, link)
    _keep(page, "tickets")
    for who, name, status in (
        ("Ada Lovelace", "ticket", "FOUND"),
        ("A stranger", "unknown", "NOT_FOUND"),
        ("Outis", "error", "ERROR"),
        ("Percy Slowman", "timeout", "TIMEOUT"),
    ):
        page.get_by_role("link", name=who).click()
        panel = page.locator(f"article[data-status={status}]").first
        expect(panel).to_have_attribute("aria-busy", "false")
        if name == "ticket":
            _keep(page, name)
        else:
            panel.screenshot(path=_HERE / f"panel-{name}.png")
        page.keyboard.press("Escape")
    dark = _signed_in(browser, link, "dark")
    dark.get_by_role("link", name="Grace Hopper").click()
    expect(dark.locator("article[data-status=FOUND]").first).to_be_visible()
    _keep(dark, "ticket-dark")


def _settings(browser: Browser, link: str) -> None:
    page = _signed_in(browser, link)
    page.get_by_role("link", name="Settings").click()
    expect(page.get_by_role("link", name="Billing", exact=True)).to_be_visible()
    _keep(page, "settings")
    page.get_by_role("link", name="Billing", exact=True).click()
    expect(page.get_by_role("heading", name="Billing")).to_be_visible()
    _keep(page, "connector")
    page.get_by_role("link", name="Test", exact=True).click()
    page.get_by_role("textbox").fill("ada@engines.example")
    page.get_by_role("button", name="Test").click()
    expect(page.get_by_text("Copy as curl")).to_be_visible()
    _keep(page, "test")
    page.get_by_role("link", name="Log", exact=True).click()
    expect(page.get_by_text("grace@compilers.example").first).to_be_visible()
    _keep(page, "log")


def _keep(page: Page, name: str) -> None:
    page.mouse.move(0, 0)  # what is under the pointer would look chosen
    page.screenshot(path=_HERE / f"{name}.png")


if __name__ == "__main__":
    main()
