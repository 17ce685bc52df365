"""What a browser complains of while a test drives it: none of it may happen unless the test says so."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from yarl import URL

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, ConsoleMessage, Page, Request, WebError, WebSocket


@dataclass
class Faults:
    """Errors of pages and of the browser's console, violations of the content security policy among them, and strange hosts."""

    origins: set[str] = field(default_factory=set)
    expected: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def expect(self, pattern: str) -> None:
        """Let a fault pass that matches somewhere: a browser notes each answer of 401 and each socket that is lost."""
        self.expected.append(pattern)

    def allow(self, base_url: str) -> None:
        """Let pages ask this server, too."""
        self.origins.add(_origin(base_url))

    def watch(self, context: BrowserContext) -> None:
        """Hear what all pages of a context complain of."""
        context.on("weberror", self._page_failed)
        context.on("console", self._console_said)
        context.on("request", self._request_left)
        context.on("page", self._page_opened)

    def unexpected(self) -> list[str]:
        """What nobody expected."""
        return [fault for fault in self.seen if not any(re.search(pattern, fault) for pattern in self.expected)]

    def _page_failed(self, error: WebError) -> None:
        self.seen.append(f"page error: {error.error}")

    def _console_said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.seen.append(f"console: {message.text} ({message.location['url']})")

    def _request_left(self, request: Request) -> None:
        self._left_for(request.url)

    def _page_opened(self, page: Page) -> None:
        page.on("websocket", self._socket_left)

    def _socket_left(self, opened: WebSocket) -> None:
        self._left_for(opened.url)

    def _left_for(self, url: str) -> None:
        if url.startswith(("http", "ws")) and _origin(url) not in self.origins:
            self.seen.append(f"request to another host: {url}")


def _origin(url: str) -> str:
    """The server behind an address, the same for its sockets."""
    return str(URL(re.sub("^ws", "http", url)).origin())
