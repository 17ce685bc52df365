"""The SMTP and LMTP door: 250 after the commit, 451 for every fault of ours, 5xx only for what no retry can cure."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter, defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import structlog
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session, syntax

from domain.errors import InvalidAddress
from domain.identity import EmailAddress, email_address
from inbox.client import client_of
from inbox.incoming import Incoming
from inbox.limits import MAX_BYTES, MAX_COMMAND, MAX_RECIPIENTS, DoorLimits
from inbox.receive import TooManyMails, WorkspaceSuspended
from persistence.database import DatabaseAway

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from domain.identity import WorkspaceId
    from domain.ticket import InboundEmail
    from inbox.parse import Parser
    from inbox.receive import Reception

_STORE_SECONDS = 20
_QUIT_SECONDS = 1
_A_MOMENT = 0.001
_TURN = 0.01
_PIECE = 1 << 20  # more than one reading of the socket yields: nothing is left behind the piece
_BACKLOG = 1024
_FINISHING = timedelta(seconds=5)
_GREETING = "Disqua CRM Connector"
_TRY_AGAIN = "451 4.3.0 Not stored, please try again later"
_UNKNOWN = "550 5.1.1 No such address here"
_TOO_MANY = "451 4.7.1 Too many mails from this sender within an hour, please try again later"
_SUSPENDED = "451 4.2.1 This mailbox takes nothing at the moment, please try again later"
_TOO_LARGE = "552 5.3.4 The message is larger than 25 MB"
_CLOSING = "421 4.3.2 Closing for a restart, please try again"
_CROWDED = "421 4.3.2 Too many connections, please try again later"
_OVERLOADED = "421 4.3.1 Too much mail at once, please try again later"
_UNUSED = "421 4.4.2 Unused for a while, and others wait"
_TOO_SLOW = "421 4.4.2 Nothing more came in time, please try again"
_TOO_MANY_ERRORS = "421 4.7.0 Too many errors, please try again later"
_log = structlog.get_logger(__name__)


class _Dialogue:
    """What aiosmtpd asks of us in the course of one dialogue; the method names are its own."""

    def __init__(self, parser: Parser, reception: Reception) -> None:
        self._parser = parser
        self._reception = reception

    async def handle_RCPT(self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        """Take a recipient that belongs to a workspace."""
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return "452 4.5.3 Too many recipients, send the others in another message"
        try:
            known = await self._reception.takes_mail_for(email_address(address))
        except InvalidAddress:
            return _UNKNOWN
        except WorkspaceSuspended:
            return _SUSPENDED
        if not known:
            return _UNKNOWN
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: _Polite, _session: Session, envelope: Envelope) -> str:
        """Store the message in every workspace addressed."""
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                replies = await self._store(envelope)
        except TimeoutError:
            _log.warning("a mail was not stored in time")
            replies = dict.fromkeys(envelope.rcpt_tos, _TRY_AGAIN)
        except Exception as error:  # noqa: BLE001 - whatever it was, each recipient is told to try again
            replies = dict.fromkeys(envelope.rcpt_tos, await self.handle_exception(error))
        return server.worded([replies[recipient] for recipient in envelope.rcpt_tos])

    async def _store(self, envelope: Envelope) -> dict[str, str]:
        content = envelope.original_content or b""
        email = await self._parser.read(content, envelope_sender=envelope.mail_from or "")
        outcomes: dict[WorkspaceId, str] = {}
        replies: dict[str, str] = {}
        for recipient in envelope.rcpt_tos:
            owners = await self._reception.workspaces_of([EmailAddress(email_address(recipient))])
            if owners and owners[0] not in outcomes:
                outcomes[owners[0]] = await self._store_once(email, owners[0])
            replies[recipient] = outcomes[owners[0]] if owners else _UNKNOWN
        return replies

    async def _store_once(self, email: InboundEmail, workspace_id: WorkspaceId) -> str:
        try:
            received = await self._reception.receive(email, workspace_id)
        except TooManyMails:
            return _TOO_MANY
        except WorkspaceSuspended:
            return _SUSPENDED
        except DatabaseAway:
            _log.warning("a mail was refused for now: the database is away")
            return _TRY_AGAIN
        return f"250 2.0.0 Stored in ticket {received.ticket_id}"

    async def handle_exception(self, error: Exception) -> str:
        """Never blame the sender for a fault of ours: aiosmtpd's own answer would be 500 and a bounce."""
        _log.error("a mail dialogue failed", exc_info=error)
        return _TRY_AGAIN


def _goodness(reply: str) -> int:
    """One answer for several recipients: try-again wins, because what was stored already is recognised then."""
    return {"4": 0, "5": 1, "2": 2}[reply[0]]


class _Polite(SMTP):
    """A dialogue that ends with a word, for whatever reason, and never between a message and its answer."""

    command_size_limit = line_length_limit = MAX_COMMAND

    def __init__(self, dialogue: _Dialogue, door: Door, **options: Any) -> None:  # noqa: ANN401 - whatever aiosmtpd takes
        self.command_size_limits = defaultdict(lambda: MAX_COMMAND)  # aiosmtpd shares one among all connections
        super().__init__(dialogue, timeout=door.limits.idle.total_seconds(), **options)
        self._dialogue = dialogue
        self._door = door
        self._errors = 0
        self._turn_at = 0.0
        self.client = ""
        self.incoming: Incoming | None = None
        """The message that it is about, until that is answered."""
        self.useful_at = self.loop.time()
        """When it was last of any use: at its begin, at each message, and in one for as long as it comes in pace."""

    @property
    def talk(self) -> asyncio.Task[None]:
        """The task that runs the dialogue; it ends with the connection."""
        return cast("asyncio.Task[None]", self._handler_coroutine)

    @property
    def may_end(self) -> bool:
        """Whether it may end for another's sake: never between a whole message and its answer."""
        return self.incoming is None or not self.incoming.whole

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the dialogue among those that are open, as long as there is room."""
        super().connection_made(transport)
        self.client = client_of(transport.get_extra_info("peername")[0])
        self._door.admit(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Count it no more."""
        self._door.dialogues.discard(self)
        super().connection_lost(error)

    async def push(self, status: str | bytes) -> None:
        """Answer in our words, let others have their turn, and part with whoever makes nothing but mistakes."""
        said = status.decode(errors="replace") if isinstance(status, bytes) else status
        await super().push(_TOO_LARGE if said.startswith("552 Error") else said)
        self._errors += said.startswith("5")
        if self._errors > self._door.limits.errors:
            self.end(_TOO_MANY_ERRORS)
        if self.loop.time() - self._turn_at > _TURN:
            await asyncio.sleep(0)
            self._turn_at = self.loop.time()

    def _reset_timeout(self, duration: float | None = None) -> None:
        """Whoever has heard the last word gains no time by what was sent before."""
        closing = self.transport is not None and self.transport.is_closing()
        super()._reset_timeout(_QUIT_SECONDS if closing else duration)

    @syntax("DATA")
    async def smtp_DATA(self, arg: str | None) -> None:
        """Take a message; its answer goes out whole, and QUIT after it is heard even where the door is closing.

        aiosmtpd would keep each line by itself: a message of empty lines took 2 GB and held up the loop for seconds.
        """
        envelope = cast("Envelope", self.envelope)
        if await self.check_helo_needed():
            return
        if not envelope.rcpt_tos:
            await self.push("503 5.5.1 Error: need RCPT command")
        elif arg:
            await self.push("501 5.5.4 Syntax: DATA")
        else:
            await self._take_message(envelope)

    async def _take_message(self, envelope: Envelope) -> None:
        self.incoming = incoming = Incoming(self._door.limits, self.loop.time())
        try:
            await self.push("354 End data with <CR><LF>.<CR><LF>")
            await self._receive(incoming)
            self._reset_timeout(2 * _STORE_SECONDS)
            status = await self._answer_to(incoming, envelope)
            self._set_post_data_state()  # type: ignore[no-untyped-call]
            await self.push(status)
        finally:
            self.incoming = None
            self.useful_at = self.loop.time()
        self._reset_timeout(_QUIT_SECONDS if self._door.closing else None)

    async def _receive(self, incoming: Incoming) -> None:
        """Take the message piece by piece, as long as it is quick enough and there is room for it."""
        while not incoming.whole:
            now = self.loop.time()
            if incoming.in_pace:
                self.useful_at = now
            self._reset_timeout(max(incoming.due - now, _A_MOMENT))
            self._door.share_room()
            piece = await self._reader.read(_PIECE)
            self._reader.feed_data(incoming.take(piece, self.loop.time()))

    async def _answer_to(self, incoming: Incoming, envelope: Envelope) -> str:
        if incoming.too_large:
            return self.worded([_TOO_LARGE] * len(envelope.rcpt_tos))
        self._errors = 0
        envelope.content = envelope.original_content = incoming.content()
        return await self._dialogue.handle_DATA(self, cast("Session", self.session), envelope)

    def worded(self, replies: list[str]) -> str:
        """The answer to a message for several recipients."""
        return min(replies, key=_goodness)

    async def smtp_MAIL(self, arg: str | None) -> None:
        """Begin a message, unless the door is closing."""
        if self._door.closing:
            self.end(_CLOSING)
        else:
            await super().smtp_MAIL(arg)

    def _timeout_cb(self) -> None:
        if self.transport is not None and self.transport.is_closing():
            cast("asyncio.Transport", self.transport).abort()  # it does not even read our last word
        elif self.incoming and self.incoming.too_large:
            self.end(_TOO_LARGE)
        else:
            self.end(_CLOSING if self._door.closing else _TOO_SLOW)

    def end(self, word: str) -> None:
        """Say why it is over (RFC 5321, 3.8) and hang up; whoever has no answer yet sends the message again."""
        self._door.dialogues.discard(self)
        if self.transport is not None and not self.transport.is_closing():
            cast("asyncio.Transport", self.transport).write(f"{word}\r\n".encode())
            self.transport.close()
            self._reset_timeout(_QUIT_SECONDS)


class Door:
    """An open door and the dialogues behind it."""

    def __init__(self, limits: DoorLimits) -> None:
        self.limits = limits
        self.dialogues: set[_Polite] = set()
        self.closing = False
        self._server: asyncio.Server | None = None

    async def open(self, protocol: Callable[[], SMTP], listener: socket.socket) -> None:
        """Take whoever comes to the listener."""
        self._server = await asyncio.get_running_loop().create_server(protocol, sock=listener, backlog=_BACKLOG)

    def admit(self, newcomer: _Polite) -> None:
        """Let a newcomer in; where it is crowded, whoever was of no use for longest makes room, or else the newcomer goes."""
        self.dialogues.add(newcomer)
        if self.closing:
            newcomer.end(_CLOSING)
        neighbours = [dialogue for dialogue in self.dialogues if dialogue.client == newcomer.client]
        if len(neighbours) > self.limits.connections_per_client:
            self._make_room(neighbours, newcomer)
        if len(self.dialogues) > self.limits.connections:
            self._make_room(self.dialogues, newcomer)

    def _make_room(self, crowd: Iterable[_Polite], newcomer: _Polite) -> None:
        candidates = (dialogue for dialogue in crowd if dialogue.may_end)
        longest = min(candidates, key=lambda dialogue: dialogue.useful_at, default=newcomer)
        if newcomer.useful_at - longest.useful_at < self.limits.spared.total_seconds():
            newcomer.end(_CROWDED)
        else:
            longest.end(_UNUSED)

    @property
    def bytes_under_way(self) -> dict[str, int]:
        """How much of messages that are not answered yet there is of each client."""
        under_way: Counter[str] = Counter()
        for dialogue in self.dialogues:
            under_way[dialogue.client] += dialogue.incoming.size if dialogue.incoming else 0
        return under_way

    def share_room(self) -> None:
        """Where a client has more under way than is left for others, end what comes slowest of such clients' messages."""
        under_way = self.bytes_under_way
        left = self.limits.bytes_under_way - sum(under_way.values())
        now = asyncio.get_running_loop().time()
        candidates = [
            (dialogue.incoming.pace(now), dialogue)
            for dialogue in self.dialogues
            if dialogue.incoming and dialogue.may_end and dialogue.incoming.size > self.limits.bytes_spared
            if under_way[dialogue.client] > left
        ]
        if candidates:
            min(candidates, key=lambda candidate: candidate[0])[1].end(_OVERLOADED)

    async def close(self, patience: timedelta = _FINISHING) -> None:
        """Begin no dialogue any more and end the others with 421; a message under way has ``patience`` to be answered first."""
        self.closing = True
        if self._server is not None:
            self._server.close()
        dialogues = list(self.dialogues)
        for dialogue in dialogues:
            if dialogue.incoming is None:
                dialogue.end(_CLOSING)
        talks = {dialogue.talk for dialogue in dialogues}
        if talks:
            _, late = await asyncio.wait(talks, timeout=patience.total_seconds())
            for dialogue in dialogues:
                dialogue.end(_CLOSING)
            await asyncio.gather(*late, return_exceptions=True)


class _PoliteLmtp(_Polite, LMTP):
    """The same by LMTP."""

    def worded(self, replies: list[str]) -> str:
        """The answer says for each recipient in turn what came of it (RFC 2033, 4.2)."""
        return "\r\n".join(replies)


async def listen(
    parser: Parser,
    reception: Reception,
    *,
    listener: socket.socket,
    lmtp: bool = False,
    limits: DoorLimits = DoorLimits(),  # noqa: B008 - it is frozen
) -> Door:
    """Take mail at an open socket, which is the door's from now on."""
    protocol = _PoliteLmtp if lmtp else _Polite
    dialogue = _Dialogue(parser, reception)
    door = Door(limits)
    loop = asyncio.get_running_loop()
    hostname = await asyncio.to_thread(socket.getfqdn)  # aiosmtpd would ask the resolver for it at each connection

    def begin() -> SMTP:
        return protocol(
            dialogue,
            door,
            data_size_limit=MAX_BYTES,
            enable_SMTPUTF8=True,
            ident=_GREETING,
            hostname=hostname,
            loop=loop,
        )

    await door.open(begin, listener)
    return door
