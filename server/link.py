"""The line between a parent and a child process: a JSON document a line, until either of them is gone."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

_MAX_LINE: Final = 1 << 24


class Link:
    """One end of the line."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> Self:
        """Talk over one end of a socket pair, which is the link's from now on."""
        return cls(*await asyncio.open_connection(sock=end, limit=_MAX_LINE))

    def say(self, what: str, text: str = "") -> None:
        """Say something; whether anyone listens any more is seen elsewhere."""
        self._writer.write(json.dumps([what, text]).encode() + b"\n")

    async def heard(self) -> AsyncIterator[tuple[str, str]]:
        """What the other side says, until it is gone."""
        with suppress(ConnectionError):
            while line := await self._reader.readline():
                what, text = _read(line)
                yield what, text

    async def close(self) -> None:
        """Hang up when everything has been sent."""
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


def _read(line: bytes) -> tuple[str, str]:
    document: Any = json.loads(line)
    what, text = document
    return what, text
