"""The stage of the tests in a browser: a running product, Debian's Chromium, and nothing that it complains of.

Playwright's asynchronous interface runs in the session's event loop, as the product does: its blocking one would leave
a loop behind in which no other test could run.
"""

from __future__ import annotations

import shutil
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import pytest_asyncio
from playwright.async_api import async_playwright, expect

from server.console import is_built
from tests.flows.desk import Desk
from tests.stage.faults import Faults
from tests.stage.helpdesk import open_helpdesk
from tests.stage.outage import Outage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from playwright.async_api import Browser, BrowserContext, Page

    from tests.stage.helpdesk import Helpdesk

OUR_MAIL_SERVER = "mx.disqua.example"

expect.set_options(timeout=30_000)  # milliseconds: a busy machine takes its time, and a red test may

_ARGUMENTS = [
    "--no-sandbox",  # root may use none, and the pages are ours
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of this folder runs in the session's loop, where the browser and the product are."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            item.add_marker(pytest.mark.browser)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium for all tests of this process."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("chromium is not installed here; on Debian: apt-get install chromium")
    async with (
        async_playwright() as playwright,
        await playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS) as launched,
    ):
        yield launched


@pytest.fixture
def locale() -> str:
    """The browser's language; ``@pytest.mark.parametrize("locale", ["cs-CZ", "en-GB"])`` takes others."""
    return "cs-CZ"


@pytest.fixture
def color_scheme() -> str:
    """What the person prefers, light or dark; parametrize it as ``locale``."""
    return "light"


@pytest.fixture
def width() -> int:
    """How wide the window is, in pixels; parametrize it as ``locale``."""
    return 1280


@pytest.fixture
def context_options(locale: str, color_scheme: str, width: int, desk: Desk) -> dict[str, Any]:
    """What every context of the test is like; ``page.goto("/")`` opens the console."""
    return {
        "base_url": desk.base_url,
        "locale": locale,
        "color_scheme": color_scheme,
        "timezone_id": "Europe/Prague",
        "viewport": {"width": width, "height": 800},
        "reduced_motion": "reduce",
    }


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def product(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Helpdesk]:
    """One running product for all tests of this process that leave it running."""
    if not is_built():
        pytest.skip("the console is not built here; `make console` builds it")
    async with open_helpdesk(tmp_path_factory.mktemp("product") / "data", authserv_id=OUR_MAIL_SERVER) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def desk(product: Helpdesk) -> Desk:
    """A new workspace in the running product."""
    address = f"support@{uuid4().hex}.example"
    workspace_id = await product.add_workspace("Firma", address)
    return Desk(product.parts, product.port, workspace_id, product.server, address)


@pytest_asyncio.fixture(loop_scope="session")
async def outage(tmp_path: Path, faults: Faults) -> AsyncIterator[Outage]:
    """A product of the test's own, to be stopped and started; its pages are opened by their whole address."""
    async with Outage(tmp_path / "data") as opened:
        faults.allow(opened.desk.base_url)
        yield opened


@pytest.fixture
def faults(desk: Desk) -> Iterator[Faults]:
    """What the browser complains of; whatever the test did not expect fails it at its end."""
    heard = Faults()
    heard.allow(desk.base_url)
    yield heard
    assert heard.unexpected() == []


@pytest_asyncio.fixture(loop_scope="session")
async def new_context(
    browser: Browser, faults: Faults, context_options: dict[str, Any]
) -> AsyncIterator[Callable[..., Awaitable[BrowserContext]]]:
    """Make one more browser context, as of another person; ``options`` go before what the test's fixtures say."""
    async with AsyncExitStack() as opened:

        async def make(**options: Any) -> BrowserContext:  # noqa: ANN401 - what Browser.new_context takes
            context = await opened.enter_async_context(await browser.new_context(**(context_options | options)))
            faults.watch(context)
            return context

        yield make


@pytest_asyncio.fixture(loop_scope="session")
async def context(new_context: Callable[..., Awaitable[BrowserContext]]) -> BrowserContext:
    """The test's person."""
    return await new_context()


@pytest_asyncio.fixture(loop_scope="session")
async def page(context: BrowserContext) -> Page:
    """A page of the test's person, still empty."""
    return await context.new_page()
