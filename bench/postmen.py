"""Sending mail by SMTP at little cost: a few connections, each used again and again."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


@dataclass(frozen=True)
class Postman:
    """One dialogue, mail after mail."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def deliver(self, sender: str, recipient: str) -> float:
        """Send one mail; the moment of its 250, by the monotonic clock that all processes share."""
        await self.say(f"MAIL FROM:<{sender}>", 250)
        await self.say(f"RCPT TO:<{recipient}>", 250)
        await self.say("DATA", 354)
        headers = f"From: {sender}\r\nTo: {recipient}\r\nSubject: Hello\r\nMessage-ID: <{uuid4()}@bench.example>\r\n"
        await self.say(f"{headers}\r\n{'Something is wrong with my order. ' * 20}\r\n.", 250)
        return time.monotonic()

    async def say(self, text: str, expected: int) -> None:
        """Send a command and await this answer."""
        self.writer.write(f"{text}\r\n".encode())
        await self.hear(expected)

    async def hear(self, expected: int) -> None:
        """Await this answer."""
        while (line := await self.reader.readline())[3:4] == b"-":
            pass
        assert line.startswith(str(expected).encode()), line


class Postmen:
    """So many dialogues; who is free takes the next mail."""

    def __init__(self, postmen: Sequence[Postman]) -> None:
        self._free: asyncio.Queue[Postman] = asyncio.Queue()
        for postman in postmen:
            self._free.put_nowait(postman)

    async def deliver(self, sender: str, recipient: str) -> float:
        """Send one mail; the moment of its 250."""
        postman = await self._free.get()
        try:
            return await postman.deliver(sender, recipient)
        finally:
            self._free.put_nowait(postman)


@asynccontextmanager
async def postmen(ports: Sequence[int], *, each: int) -> AsyncIterator[Postmen]:
    """``each`` dialogues with the server at each port, in turn."""
    opened = []
    for port in [*ports] * each:
        postman = Postman(*await asyncio.open_connection("127.0.0.1", port))
        await postman.hear(220)
        await postman.say("EHLO bench.example", 250)
        opened.append(postman)
    try:
        yield Postmen(opened)
    finally:
        for postman in opened:
            postman.writer.close()
