"""From the bytes of a mail to an InboundEmail, whatever the bytes are."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from dataclasses import replace
from datetime import timedelta
from importlib.util import find_spec
from itertools import chain, islice
from typing import TYPE_CHECKING, Final, Self

from domain.ticket import InboundEmail, Requester, is_automatic, is_bounce, one_line, storable
from domain.verification import verify_sender
from inbox.authentication_results import checks_of
from inbox.headers import Headers, decode_words, split_message
from inbox.mailboxes import Mailbox, read_mailboxes
from inbox.sandbox import Sandbox

if TYPE_CHECKING:
    from domain.identity import EmailAddress

_log = logging.getLogger(__name__)

_BODY_TEXT: Final = "inbox.mime:body_text"
_READERS_OF_HTML: Final = ("inscriptis", "lxml", "nh3")
_MAX_RECIPIENTS: Final = 1000
_MAX_MESSAGE_ID: Final = 998  # a line of RFC 5322, 2.1.1
_MAX_REFERENCES: Final = 100
_MAX_RAW_TEXT: Final = 1 << 16
_MAX_MIME_FIELD: Final = 1 << 12  # the standard library is quadratic in it
_MESSAGE_ID = re.compile(r"<[^<>\s]++>")


class Parser:
    """Reads mails for as long as it is open; what may crash or spin, the body, is read in ``children`` child processes.

    What a mail says about the verification of its sender is believed of the server ``authserv_id`` alone.
    """

    def __init__(self, *, authserv_id: str | None = None, children: int = 2, limit: timedelta = timedelta(seconds=2)) -> None:
        self._authserv_id = authserv_id
        self._bodies = Sandbox(_BODY_TEXT, children=children, limit=limit)
        self._bodies_open = False
        self._opening = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Start no child yet, for each takes some megabytes; raises ModuleNotFoundError where one could read no HTML."""
        for module in _READERS_OF_HTML:
            if find_spec(module) is None:
                raise ModuleNotFoundError(f"No module named {module!r}", name=module)
        return self

    async def __aexit__(self, *_: object) -> None:
        async with self._opening:
            await self._bodies.__aexit__()

    async def read(self, raw: bytes, *, envelope_sender: str | None) -> InboundEmail:
        """Read a mail of any bytes in at most 5 s; where its body cannot be read, the raw body stands in.

        The first mails wait for the start of the children besides.

        ``envelope_sender`` is the address of MAIL FROM, "" or "<>" for an empty one, None where there was no envelope:
        then Return-Path decides.
        """
        email, entity = await asyncio.to_thread(_read_linearly, raw, envelope_sender, self._authserv_id)
        text = await self._body_text(entity)
        if text is None:
            _log.warning("The body of a mail cannot be read, its raw text stands in: %s", email.fingerprint.hex())
            return email
        return replace(email, text=storable(text))

    async def _body_text(self, entity: tuple[bytes, bytes]) -> str | None:
        try:
            async with self._opening:
                if not self._bodies_open:
                    await self._bodies.__aenter__()
                    self._bodies_open = True
        except OSError:
            _log.exception("A child process does not start.")  # the next mail tries again
            return None
        return await self._bodies.run(*entity)


def _read_linearly(raw: bytes, envelope_sender: str | None, authserv_id: str | None) -> tuple[InboundEmail, tuple[bytes, bytes]]:
    """The mail with its raw body for a text, and the MIME entity that may hold a better one."""
    headers, body = split_message(raw)
    return_path = headers.text("return-path")
    authors, senders = read_mailboxes(headers.listed("from")), read_mailboxes(headers.listed("sender"))
    envelope = Mailbox((return_path if envelope_sender is None else envelope_sender).strip("<> "), "")
    author = _first_usable(authors)
    bounce = is_bounce(
        return_path_empty=envelope_sender == "" or "<>" in {envelope_sender, "".join(return_path.split())},
        senders=tuple(mailbox.address for mailbox in (*authors, *senders, envelope)),
    )
    email = InboundEmail(
        raw=raw,
        fingerprint=_fingerprint(headers, body),
        message_id=_message_id(headers),
        references=_references(headers),
        header_from=author.email if author else None,
        requester=author or _first_usable([*senders, envelope]),
        recipients=_recipients(headers),
        subject=one_line(decode_words(headers.text("subject"))),
        text=storable(body[:_MAX_RAW_TEXT].decode("utf-8", errors="replace")),
        automatic=is_automatic(bounce=bounce, auto_submitted=headers.text("auto-submitted")),
        bounce=bounce,
        sender_verification=verify_sender(
            [address for mailbox in authors if (address := mailbox.usable_address())] if len(authors) == 1 else [],
            checks_of(headers.texts("authentication-results"), authserv_id),
        ),
    )
    return email, (_mime_header(headers), body)


def _first_usable(mailboxes: list[Mailbox]) -> Requester | None:
    for mailbox in mailboxes:
        if address := mailbox.usable_address():
            return Requester(address, one_line(decode_words(mailbox.name)) or None)
    return None


def _recipients(headers: Headers) -> tuple[EmailAddress, ...]:
    listed = chain.from_iterable(read_mailboxes(headers.listed(name)) for name in ("delivered-to", "x-original-to", "to", "cc"))
    addresses = (address for mailbox in listed if (address := mailbox.usable_address()))
    return tuple(islice(dict.fromkeys(addresses), _MAX_RECIPIENTS))


def _message_id(headers: Headers) -> str | None:
    value = headers.text("message-id")
    identifier = _MESSAGE_ID.search(value)
    return storable(identifier[0] if identifier else value.strip("<> "))[:_MAX_MESSAGE_ID] or None


def _references(headers: Headers) -> tuple[str, ...]:
    """The ids that this mail answers, of a very long thread the first fifty and the last."""
    values = chain(headers.texts("in-reply-to"), headers.texts("references"))
    found = [storable(identifier)[:_MAX_MESSAGE_ID] for value in values for identifier in _MESSAGE_ID.findall(value)]
    ids = tuple(dict.fromkeys(found))
    return ids if len(ids) <= _MAX_REFERENCES else ids[: _MAX_REFERENCES // 2] + ids[-_MAX_REFERENCES // 2 :]


def _fingerprint(headers: Headers, body: bytes) -> bytes:
    """SHA-256 of what makes a message the same one: never a trace header, a line ending or how a field is folded."""
    identity = _canonical(headers, "message-id")
    named = bool(identity.strip(b"<> "))
    parts = [b"id", identity] if named else [b"no id", *(_canonical(headers, name) for name in ("from", "date", "subject"))]
    digest = hashlib.sha256()
    for part in (*parts, body.rstrip(b"\n")):
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    return digest.digest()


def _canonical(headers: Headers, name: str) -> bytes:
    return b" ".join(headers.first(name).split())


def _mime_header(headers: Headers) -> bytes:
    names = ("content-type", "content-transfer-encoding", "content-disposition")
    fields = [name.encode() + b": " + headers.first(name)[:_MAX_MIME_FIELD] + b"\n" for name in names if headers.first(name)]
    return b"".join(fields) + b"\n"
