"""Another company's help desk: a page on an origin of its own, with a strict policy, that embeds our element."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PAGE = """<!doctype html>
<html lang="cs">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>Cizí helpdesk</title>
    {script}
  </head>
  <body><main><h1>Ticket</h1>{elements}</main></body>
</html>
"""


@dataclass
class HostPage:
    """What the page holds, to be set before a browser asks for it."""

    port: int
    product: str = ""
    script: bool = True
    elements: str = ""

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def module(self) -> str:
        return f"{self.product}/embed/crm-panel.js"

    def embed(self, product: str, *ticket_ids: str, script: bool = True, attributes: str = "") -> None:
        """An element for each of the tickets, and the module that defines it."""
        self.product, self.script = product, script
        self.elements = "".join(f'<disqua-crm-panel ticket-id="{one}" {attributes}></disqua-crm-panel>' for one in ticket_ids)

    @property
    def policy(self) -> str:
        socket = self.product.replace("http", "ws", 1)
        return f"default-src 'none'; script-src {self.product}; connect-src {socket}; base-uri 'none'"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the page at /, and that there is nothing, anywhere else."""
        head = await reader.readuntil(b"\r\n\r\n")
        script = f'<script type="module" src="{self.module}"></script>' if self.script else ""
        found = head.startswith(b"GET / ")
        page = PAGE.format(script=script, elements=self.elements).encode() if found else b""
        lines = [
            "HTTP/1.1 200 OK" if found else "HTTP/1.1 204 No Content",
            "Content-Type: text/html; charset=utf-8",
            f"Content-Security-Policy: {self.policy}",
            f"Content-Length: {len(page)}",
            "Connection: close",
        ]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + page)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def open_host_page() -> AsyncIterator[HostPage]:
    """Serve on a free port of 127.0.0.1."""
    host = HostPage(port=0)
    server = await asyncio.start_server(host.serve, "127.0.0.1", 0)
    host.port = server.sockets[0].getsockname()[1]
    async with server:
        yield host
