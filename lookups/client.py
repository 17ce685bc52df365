"""Asking an endpoint who someone is: one request, one budget, and every ending is a value."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Self

import aiohttp
import httpx
from aiohttp.helpers import parse_http_date
from aiohttp.http_exceptions import ContentLengthError, HttpProcessingError, TransferEncodingError

from domain.answer import AnswerWarning, Reading, read_answer
from domain.failure import Failure, FailureKind
from domain.lookup import BUDGET, Outcome
from domain.secret import hide_all, hide_torn_ends, hiding
from domain.ticket import storable
from lookups.guard import BlockedAddress, GuardedResolver, look_up
from lookups.question import SentRequest
from lookups.wire import Heard, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from domain.health import RetryAfter
    from domain.secret import Secret
    from lookups.guard import Guard, Resolved
    from lookups.question import Question

MAX_BODY: Final = 65_536
"""Bytes of an answer."""

_NO_CONTENT = frozenset({204, 205})
_TOO_MANY_REQUESTS: Final = 429
_DIGITS: Final = 9  # of seconds, those are thirty years
_LONGEST_DATE: Final = 33  # Wednesday, 06-Nov-94 08:49:37 GMT


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came of one asking; what the question holds of secrets is hidden in all of it."""

    outcome: Outcome
    http_status: int | None = None
    """Set once a status line had arrived, whatever came after it."""
    duration: timedelta | None = None
    """None when nothing was asked."""
    warnings: tuple[AnswerWarning, ...] = ()
    response: str | None = None
    """The body as it came, up to MAX_BODY; None when there was none, or it was compressed."""
    retry_after: RetryAfter | None = None
    """What the endpoint asked for; the only header that is understood, and it is stored nowhere."""
    sent: tuple[httpx.Request, Question] | None = None
    """What was sent, or would have been had there been a connection; None where none was made up. Stored nowhere."""

    @property
    def request(self) -> SentRequest | None:
        """What was sent, for the eyes of an admin; made here, because few ask."""
        return None if self.sent is None else SentRequest.of(*self.sent)

    @property
    def took(self) -> timedelta:
        """How long it was asked: no time at all when nothing was."""
        return self.duration or timedelta()


class LookupClient:
    """Asks endpoints, inside `async with`; one serves a whole process."""

    def __init__(
        self,
        guard: Guard,
        *,
        ca_file: Path | None = None,
        budget: timedelta = BUDGET,
        clock: Callable[[], float] = time.monotonic,
        names: Callable[[str], Resolved] = look_up,
    ) -> None:
        """`ca_file` adds authorities to those of the system; `names` resolves a host, blocking."""
        self._guard = guard
        self._ca_file = ca_file
        self._budget = budget
        self._clock = clock
        self._names = names

    async def __aenter__(self) -> Self:
        tls = ssl.create_default_context()
        if self._ca_file is not None:
            tls.load_verify_locations(self._ca_file)
        self._resolver = GuardedResolver(self._guard, self._names)
        self._wire = Wire(self._guard, self._resolver, tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._wire.aclose()
        await self._resolver.close()

    async def ask(self, question: Question) -> Reply:
        """Send the question once and read what comes within the budget; never raises, except when it is cancelled."""
        heard, sent, failed, started = Heard(), None, None, self._clock()
        try:
            async with asyncio.timeout(self._budget.total_seconds()):
                request = question.request(heard)
                sent = request, question
                await self._exchange(request, heard)
        except Exception as error:  # noqa: BLE001 - whatever a stranger's server provokes is an outcome
            failed = failure_kind(error)
        duration = timedelta(seconds=self._clock() - started)
        secrets = question.secrets
        reading = _read(heard, failed, secrets)
        return Reply(
            outcome=reading if isinstance(reading, Failure) else reading.answer,
            http_status=heard.status,
            duration=duration,
            warnings=() if isinstance(reading, Failure) else reading.warnings,
            response=_as_text(heard, secrets),
            retry_after=_retry_after(heard),
            sent=sent,
        )

    async def _exchange(self, request: httpx.Request, heard: Heard) -> None:
        async with aclosing(await self._wire.handle_async_request(request)) as response:
            heard.status, heard.headers = response.status_code, response.headers
            if heard.encoded:
                return
            async for chunk in response.aiter_raw():
                heard.body += chunk
                if len(heard.body) > MAX_BODY:
                    return


def failure_kind(error: BaseException) -> FailureKind:
    """What an exception of the exchange means, by the types in its chain of causes and never by their text."""
    causes = tuple(_causes(error))
    for types, kind in _MEANINGS:
        if any(isinstance(cause, types) for cause in causes):
            return kind
    return FailureKind.PROTOCOL


_MEANINGS: Final[tuple[tuple[tuple[type[BaseException], ...], FailureKind], ...]] = (
    ((BlockedAddress,), FailureKind.BLOCKED_ADDRESS),
    ((TimeoutError,), FailureKind.TIMEOUT),
    ((ssl.SSLError, ssl.CertificateError), FailureKind.TLS),
    ((ContentLengthError, TransferEncodingError), FailureKind.RESET),  # the connection ended before the body
    ((HttpProcessingError,), FailureKind.PROTOCOL),
    ((ConnectionResetError, ConnectionAbortedError, BrokenPipeError, aiohttp.ServerDisconnectedError), FailureKind.RESET),
    ((socket.gaierror, httpx.InvalidURL, ValueError), FailureKind.DNS),
    ((aiohttp.ClientConnectorError,), FailureKind.CONNECT),
)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _read(heard: Heard, failed: FailureKind | None, secrets: Sequence[Secret]) -> Reading | Failure:
    kind = _verdict(heard, failed)
    if kind is not None:
        return Failure(kind, heard.status)
    reading = read_answer(bytes(heard.body), hide=hiding(secrets))
    return replace(reading, http_status=heard.status) if isinstance(reading, Failure) else reading


def _verdict(heard: Heard, failed: FailureKind | None) -> FailureKind | None:
    """Why the body is no answer, before it is read; a status says more than what broke after it, except for time."""
    if heard.status is None or heard.headers is None or failed is FailureKind.TIMEOUT:
        return failed
    match heard.status // 100:
        case 2 if heard.status in _NO_CONTENT:
            return FailureKind.EMPTY_BODY
        case 2 if heard.encoded:
            return FailureKind.ENCODING
        case 2 if len(heard.body) > MAX_BODY:
            return FailureKind.TOO_LARGE
        case 2:
            return failed
        case 3:
            return FailureKind.REDIRECT
        case _:
            return FailureKind.HTTP_STATUS


def _retry_after(heard: Heard) -> RetryAfter | None:
    """The header of a 429 by RFC 9110, 10.2.3; whatever else stands there counts as absent.

    Linear in its length, because strangers choose it.
    """
    if heard.status != _TOO_MANY_REQUESTS or heard.headers is None:
        return None
    text = heard.headers.get("retry-after", "")
    if text.isascii() and text.isdecimal():
        return timedelta(seconds=int(text.lstrip("0")[:_DIGITS] or "0"))
    if len(text) > _LONGEST_DATE:
        return None
    with suppress(ValueError, OverflowError):
        return parse_http_date(text)
    return None


def _as_text(heard: Heard, secrets: Sequence[Secret]) -> str | None:
    """The body for the log: storable, and without the secrets."""
    text = storable(heard.body[:MAX_BODY].decode("utf-8", "replace"))
    return hide_torn_ends(secrets, hide_all(secrets, text)) or None
