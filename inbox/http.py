"""The HTTP door: POST a raw message with a mail token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from domain.errors import InvalidAddress
from domain.identity import Right, email_address
from inbox.limits import MAX_BYTES
from inbox.receive import TooManyMails, WorkspaceSuspended
from persistence.database import DatabaseAway

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import Request

    from domain.identity import EmailAddress, Principal, WorkspaceId
    from inbox.parse import Parser
    from inbox.receive import Reception

_CODES = {401: "UNAUTHENTICATED", 403: "FORBIDDEN", 413: "LIMIT_EXCEEDED", 429: "LIMIT_EXCEEDED", 503: "UNAVAILABLE"}


class InboundEmailDoor:
    """Answers POST /inbound/email: 201 with the ticket's id, 200 for a message already stored."""

    def __init__(self, parser: Parser, reception: Reception, authenticate: Callable[[str], Awaitable[Principal | None]]) -> None:
        self._parser = parser
        self._reception = reception
        self._authenticate = authenticate

    async def answer(self, request: Request) -> Response:
        """Receive one message."""
        try:
            return await self._receive(request)
        except HTTPException as refusal:
            return _refused(refusal.status_code, refusal.detail)
        except TooManyMails as refusal:
            return _refused(429, str(refusal))
        except WorkspaceSuspended as refusal:
            return _refused(401, str(refusal))
        except DatabaseAway:
            return _refused(503, "The message was not stored; try again shortly.")

    async def _receive(self, request: Request) -> Response:
        workspace_id = await self._admit(request)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "message/rfc822":
            raise HTTPException(415, "Send the raw message with Content-Type: message/rfc822.")
        email = await self._parser.read(await _body(request), envelope_sender=None)
        recipients = _envelope_recipients(request) or email.recipients
        if workspace_id not in await self._reception.workspaces_of(recipients):
            raise HTTPException(422, "No recipient is a support address of this workspace; name one in X-Envelope-To.")
        received = await self._reception.receive(email, workspace_id)
        return JSONResponse({"ticketId": str(received.ticket_id)}, 200 if received.known else 201)

    async def _admit(self, request: Request) -> WorkspaceId:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        principal = await self._authenticate(token.strip()) if scheme.lower() == "bearer" else None
        if principal is None:
            raise HTTPException(401, "A valid token is needed: Authorization: Bearer …")
        if not principal.may(Right.DELIVER_MAIL):
            raise HTTPException(403, "Delivering mail needs a token with the role mail.")
        return principal.workspace


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise HTTPException(413, "The message is larger than 25 MB.")
    return bytes(body)


def _envelope_recipients(request: Request) -> Sequence[EmailAddress]:
    recipients = []
    for text in request.headers.get("x-envelope-to", "").split(","):
        try:
            recipients.append(email_address(text.strip().removeprefix("<").removesuffix(">")))
        except InvalidAddress:
            continue
    return recipients


def _refused(status: int, message: str) -> Response:
    error = {"message": message, "extensions": {"code": _CODES.get(status, "BAD_REQUEST")}}
    return JSONResponse({"errors": [error]}, status)
