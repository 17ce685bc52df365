"""HTTP at its cheapest: a request whose headers are looked up where they lie and whose body is read once, an answer in one piece.

What Starlette's classes do beyond this costs more than reading a ticket; whoever needs it asks for ``whole``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cross_web import HTTPException
from starlette.requests import ClientDisconnect, Request

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of this name, which is given in small letters; None where there is none."""
    for one, value in scope["headers"]:
        if one == name:
            text: str = value.decode("latin-1")
            return text
    return None


class RawRequest:
    """A request; its body may have at most ``most`` bytes."""

    __slots__ = ("_body", "_most", "_receive", "_received", "scope")

    def __init__(self, scope: Scope, receive: Receive, most: int) -> None:
        self.scope = scope
        self._receive = receive
        self._most = most
        self._received = 0
        self._body: bytes | None = None

    @property
    def method(self) -> str:
        """As it was sent."""
        method: str = self.scope["method"]
        return method

    def header(self, name: bytes) -> str | None:
        """The first header of this name, which is given in small letters."""
        return header(self.scope, name)

    async def body(self) -> bytes:
        """The body; raises HTTPException where it is too large, and ClientDisconnect."""
        if self._body is None:
            pieces, more = [], True
            while more:
                message = await self._receive_capped()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                pieces.append(message.get("body", b""))
                more = message.get("more_body", False)
            self._body = b"".join(pieces)
        return self._body

    def whole(self) -> Request:
        """The request as Starlette has it, with its body still, or again, to be read."""
        again: list[Message] = []
        if self._body is not None:
            again.append({"type": "http.request", "body": self._body, "more_body": False})

        async def receive() -> Message:
            return again.pop() if again else await self._receive_capped()

        return Request(self.scope, receive)

    async def _receive_capped(self) -> Message:
        """Refuse a body before it is read whole."""
        message = await self._receive()
        self._received += len(message.get("body", b""))
        if self._received > self._most:
            raise HTTPException(413, f"The body may have at most {self._most:,} bytes.")
        return message


class RawResponse:
    """An answer that is there as a whole."""

    __slots__ = ("body", "raw_headers", "status_code")

    def __init__(self, body: bytes, status_code: int) -> None:
        self.body = body
        self.status_code = status_code
        length = b"%d" % len(body)
        self.raw_headers = [(b"content-length", length), (b"content-type", b"application/json")]

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it."""
        start: dict[str, Any] = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(start)
        await send({"type": "http.response.body", "body": self.body})
