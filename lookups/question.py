"""What an endpoint is asked: the one place that makes the request, for the wire and, without its secret, for who tries it out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import httpx

from domain.secret import DOTS
from lookups.wire import target

if TYPE_CHECKING:
    from domain.identity import EmailAddress, TicketId, WorkspaceId
    from domain.secret import Secret
    from lookups.signature import Signing
    from lookups.wire import Heard


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Who is asked, with which secret, about whom."""

    url: str
    header_name: str | None
    secret: Secret | None
    email: EmailAddress
    ticket_id: TicketId
    workspace_id: WorkspaceId
    signing: Signing | None = None
    also_hidden: tuple[Secret, ...] = ()
    """Not sent, and hidden all the same."""

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What is hidden in all that the endpoint says, which may remember or compare what it was sent before."""
        sent = (self.secret,) if self.secret else ()
        return (*sent, *self.also_hidden, *(self.signing.hidden if self.signing else ()))

    def request(self, heard: Heard) -> httpx.Request:
        """The request to be written as it is, ``heard`` listening; raises ValueError or InvalidURL for what cannot be dialled."""
        body, url = self._body(), target(self.url)
        request = httpx.Request(
            "POST",
            url,
            headers=self._headers(url, body),
            stream=httpx.ByteStream(body),  # as `content`, it would have its headers made twice
            extensions={"heard": heard, "asking_for": self.workspace_id},
        )
        request.read()
        return request

    def _headers(self, url: httpx.URL, body: bytes) -> dict[str, str]:
        headers = {
            "Host": url.netloc.decode("ascii"),
            "Content-Type": "application/json",
            "User-Agent": "Disqua-CRM-Connector/1.0",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Connection": "keep-alive",
        }
        if self.header_name is not None and self.secret is not None:
            headers[self.header_name] = self.secret.reveal()
        signed = self.signing.headers(body) if self.signing and self.signing.keys else {}
        return headers | signed | {"Content-Length": str(len(body))}

    def _body(self) -> bytes:
        document = {
            "email": self.email,
            "ticket_id": str(self.ticket_id),
            "workspace_id": str(self.workspace_id),
            "source": "disqua-helpdesk",
        }
        return json.dumps(document, ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True)
class RequestHeader:
    """A line of the request's head."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SentRequest:
    """A request as it was written, with dots of one length for the secret."""

    method: str
    url: str
    headers: tuple[RequestHeader, ...]
    body: str

    @classmethod
    def of(cls, request: httpx.Request, question: Question) -> Self:
        """Made from the very request that goes out.

        The secret is hidden where it is carried and nowhere else: all the rest is known without it, and dots there would tell it.
        """
        headers = ((name.decode("ascii"), value.decode("ascii")) for name, value in request.headers.raw)
        return cls(
            method=request.method,
            url=str(request.url),
            headers=tuple(RequestHeader(name, DOTS if name == question.header_name else value) for name, value in headers),
            body=request.content.decode(),
        )
