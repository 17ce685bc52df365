"""How long from opening the console's link until the tickets stand there and a key moves among them.

``.venv/bin/python bench/the_console_opens.py`` takes half a minute and needs Chromium. It opens the link of a running
``disqua demo`` again and again, alternately in a browser that has been here before and in one that has not, and, so that
the browser's own start does not count, `/healthz` in the same two. The console must be interactive within a second.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import expect, sync_playwright

from bench.figures import milliseconds, show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext

_PATIENCE_SECONDS = 60


@contextmanager
def _demo() -> Iterator[str]:
    """The link that signs an admin in to a demo."""
    command = [str(Path(sys.executable).with_name("disqua")), "demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        try:
            yield next(link[1] for line in demo.stdout if (link := re.match(r"admin +(http://\S+)", line)))
        finally:
            demo.terminate()


def _open_console(context: BrowserContext, link: str) -> tuple[float, int]:
    """Seconds until a key was heard, and bytes that came over the wire."""
    page = context.new_page()
    loaded: list[int] = []
    page.on("requestfinished", lambda request: loaded.append(max(0, request.sizes()["responseBodySize"])))
    started = time.perf_counter()
    page.goto(link, wait_until="commit")
    rows = page.locator("a[data-row]")
    rows.first.wait_for(timeout=_PATIENCE_SECONDS * 1000)
    page.keyboard.press("j")
    expect(rows.first).to_be_focused()
    took = time.perf_counter() - started
    page.close()
    return took, sum(loaded)


def _open_nothing(context: BrowserContext, link: str) -> float:
    """Seconds for the smallest answer of the same server."""
    page = context.new_page()
    started = time.perf_counter()
    page.goto(link.partition("/#")[0] + "/healthz")
    took = time.perf_counter() - started
    page.close()
    return took


def _measure(browser: Browser, link: str, rounds: int) -> None:
    known = browser.new_context()
    _open_console(known, link)
    first: list[tuple[float, int]] = []
    again: list[tuple[float, int]] = []
    nothing: list[float] = []
    for _ in range(rounds):
        with browser.new_context() as stranger:
            nothing.append(_open_nothing(stranger, link))
            first.append(_open_console(stranger, link))
        again.append(_open_console(known, link))
    show(
        ("ms: 0 / 50 / 100 %", "until a key is heard", "times /healthz", "kB"),
        *(
            (
                name,
                milliseconds([took for took, _ in figures], 0, 50, 100),
                f"{statistics.median(took for took, _ in figures) / statistics.median(nothing):.1f}",
                f"{statistics.median(size for _, size in figures) / 1000:.0f}",
            )
            for name, figures in (("first visit", first), ("another visit", again))
        ),
    )


def main() -> None:
    """Measure as the command line says."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=15)
    rounds = arguments.parse_args().rounds
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("Chromium is not installed here; on Debian: apt-get install chromium")
    with _demo() as link, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        _measure(browser, link, rounds)
        browser.close()


if __name__ == "__main__":
    main()
