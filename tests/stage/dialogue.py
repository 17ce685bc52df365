"""A mail dialogue by hand, byte for byte, for what no mail library would send."""

from __future__ import annotations

import re
import select
import socket
from typing import Self

from tests.stage.helpdesk import SUPPORT

_LEADING_DOT = re.compile(rb"(^|\r\n)\.")


class Dialogue:
    """A dialogue line by line; blocks, so it runs in a thread."""

    def __init__(self, port: int, client: str = "127.0.0.1") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(client, 0))
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def reply(self) -> str:
        while True:
            line = self._file.readline().decode()
            if line[3:4] != "-":
                return line.strip()

    def answers_within(self, seconds: float) -> bool:
        """Whether anything comes in that time."""
        return bool(select.select([self._socket], [], [], seconds)[0])

    def send(self, content: bytes) -> None:
        self._socket.sendall(content)

    def say(self, line: bytes) -> str:
        self._socket.sendall(line + b"\r\n")
        return self.reply()

    def data(self, raw: bytes) -> str:
        assert self.say(b"DATA").startswith("354")
        return self.say(raw + b"\r\n.")


def start(
    port: int, recipient: str = SUPPORT, sender: str = "jan@firma.cz", hello: str = "EHLO", client: str = "127.0.0.1"
) -> Dialogue:
    dialogue = Dialogue(port, client)
    assert dialogue.reply().startswith("220")
    assert dialogue.say(f"{hello} sender.example".encode()).startswith("250")
    assert dialogue.say(f"MAIL FROM:<{sender}>".encode()).startswith("250")
    assert dialogue.say(f"RCPT TO:<{recipient}>".encode()).startswith("250")
    return dialogue


def wire(raw: bytes) -> bytes:
    """The message as it goes over the wire, before the end of its last line: dots that begin a line are doubled."""
    return _LEADING_DOT.sub(rb"\1..", raw).removesuffix(b"\r\n")


def whole(raw: bytes) -> bytes:
    """The message as it is stored: its last line ends."""
    return raw.removesuffix(b"\r\n") + b"\r\n"
