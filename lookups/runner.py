"""Running one lookup: claim, ask, save, announce."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from opentelemetry.trace import SpanKind

from domain.errors import SecretUnreadable
from domain.failure import Failure, FailureKind
from domain.identity import TicketId
from domain.lookup import LookupTrigger, status_of
from lookups.client import Reply
from lookups.health import note_outcome, tell_turn
from lookups.question import Question
from lookups.signature import Signing
from lookups.trace import continuing, tracer
from lookups.updates import CONNECTORS, log_topic, requester_topic
from persistence.database import DatabaseAway
from persistence.lookups import Ending

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from domain.connector import Connector
    from domain.health import RetryAfter
    from domain.identity import ConnectorId, EmailAddress, WorkspaceId
    from domain.lookup import LookupStatus
    from domain.secret import Secret
    from lookups.client import LookupClient
    from lookups.updates import Updates
    from persistence.database import Database
    from persistence.lookups import Claim
    from persistence.store import WorkspaceStore

_NO_TICKET = TicketId(UUID(int=0))
_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds between attempts to save while the database is away."""
_log = structlog.get_logger(__name__)
_Told = TypeVar("_Told", Reply, Ending)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A claimed lookup with its question, or with the failure that already stands."""

    claim: Claim
    question: Question | Failure
    more: bool
    """Whether others wait behind it."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A secret to try in place of the one in force, and what follows an answer, in the transaction that logs it.

    Whatever changes the connector's URL, header or secret meanwhile ends its open lookups, this one too: then nothing follows.
    """

    secret: Secret
    answered: Callable[[WorkspaceStore], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Trial:
    """What a test brought: the settings it was made with and the reply, as the log keeps it."""

    connector: Connector
    reply: Reply


class Runner:
    """Asks endpoints; holds no transaction while one is being asked."""

    def __init__(
        self,
        database: Database,
        client: LookupClient,
        updates: Updates,
        *,
        now: Callable[[], datetime],
        observe: Callable[[LookupTrigger, LookupStatus, timedelta], None],
        plain_http: bool = True,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``plain_http`` is judged at each lookup, too: a connector may be older than the setting."""
        self._database = database
        self._client = client
        self._updates = updates
        self._now = now
        self._observe = observe
        self._plain_http = plain_http
        self._sleep = sleep

    async def claim(
        self, workspace_id: WorkspaceId, *, urgent_only: bool = False, patience: timedelta = timedelta(0)
    ) -> Prepared | None:
        """Take the workspace's next lookup, queued for ``patience`` at least; None if there is none or enough are under way."""
        async with self._database.workspace(workspace_id, power_safe=False) as store:
            now = self._now()
            claim = await store.lookups.claim_next(now, urgent_only=urgent_only, before=now - patience)
            if claim is None:
                return None
            return Prepared(claim, await self._question(store, claim), more=await store.lookups.any_queued(now))

    async def run(self, prepared: Prepared) -> bool:
        """Ask, save, announce; whether others may wait for the room that this makes.

        The request goes out at most once, whatever happens afterwards.
        """
        claim = prepared.claim
        attributes = {
            "disqua.lookup_id": str(claim.lookup_id),
            "disqua.connector_id": str(claim.connector_id),
            "disqua.workspace_id": str(claim.workspace_id),
            "disqua.trigger": str(claim.trigger),
        }
        with tracer.start_as_current_span("lookup", continuing(claim.trace), attributes=attributes) as span:
            with tracer.start_as_current_span("ask the endpoint", kind=SpanKind.CLIENT):
                reply = await self._reply(prepared.question)
            span.set_attribute("disqua.status", str(status_of(reply.outcome)))
            more = await self._save_patiently(claim, _ending(reply), retry_after=reply.retry_after)
        return more is not False

    async def interrupt(self, claim: Claim) -> None:
        """End a lookup whose process died; nobody knows how long it asked."""
        await self._save(claim, Ending(outcome=Failure(FailureKind.INTERRUPTED)))

    async def try_out(
        self, workspace_id: WorkspaceId, connector_id: ConnectorId, email: EmailAddress, *, candidate: Candidate | None = None
    ) -> Trial | None:
        """Ask now, apart from all other lookups, and store no answer; None for an unknown connector."""
        async with self._database.workspace(workspace_id, power_safe=False) as store:
            connector = await store.connectors.get(connector_id)
            if connector is None:
                return None
            claim = await store.lookups.claim_test(connector_id, email, self._now())
            question = await self._question(store, claim, candidate)
        await self._updates.announce(workspace_id, log_topic(connector_id))
        reply = await self._reply(question)
        if await self._save_patiently(claim, _ending(reply), candidate=candidate) is None:
            reply = Reply(outcome=Failure(FailureKind.INTERRUPTED), duration=reply.duration, sent=reply.sent)
        return Trial(connector, _as_logged(reply, connector))

    async def _question(self, store: WorkspaceStore, claim: Claim, candidate: Candidate | None = None) -> Question | Failure:
        connector = await store.connectors.get(claim.connector_id)
        assert connector is not None  # noqa: S101 - its lookups are deleted with it
        now = self._now()
        if not self._plain_http and urlsplit(connector.lookup_url).scheme == "http":
            return Failure(FailureKind.BLOCKED_ADDRESS)
        try:
            credentials = await store.credentials.carried(claim.connector_id, now, note_use=candidate is None)
        except SecretUnreadable as error:
            _log.error("secret unreadable", connector_id=str(claim.connector_id), reason=str(error))
            return Failure(FailureKind.SECRET_UNREADABLE)
        assert credentials is not None  # noqa: S101 - read with the connector
        question = Question(
            url=connector.lookup_url,
            header_name=connector.secret_header_name,
            secret=credentials.secret,
            email=claim.email,
            ticket_id=claim.ticket_id or _NO_TICKET,
            workspace_id=claim.workspace_id,
            also_hidden=(credentials.previous,) if credentials.previous else (),
            signing=Signing(lookup_id=claim.lookup_id, keys=credentials.signing_keys, at=now),
        )
        return question if candidate is None else _asked_with(candidate, question)

    async def _reply(self, question: Question | Failure) -> Reply:
        if isinstance(question, Failure):
            return Reply(outcome=question)
        return await self._client.ask(question)

    async def _save_patiently(
        self, claim: Claim, ending: Ending, *, retry_after: RetryAfter | None = None, candidate: Candidate | None = None
    ) -> bool | None:
        """Store an outcome that is known already, even if the database is away for as long as the claim holds; as ``_save``."""
        tried_before = False
        for pause in _PAUSES:
            try:
                return await self._save(claim, ending, retry_after=retry_after, candidate=candidate, tried_before=tried_before)
            except DatabaseAway:
                if self._now() + timedelta(seconds=pause) >= claim.until:
                    raise
                tried_before = True
                await self._sleep(pause)
        return await self._save(claim, ending, retry_after=retry_after, candidate=candidate, tried_before=tried_before)

    async def _save(
        self,
        claim: Claim,
        ending: Ending,
        *,
        retry_after: RetryAfter | None = None,
        candidate: Candidate | None = None,
        tried_before: bool = False,
    ) -> bool | None:
        """Store the outcome, and tell whether other lookups of the workspace wait; None when it was interrupted meanwhile.

        A commit whose reply was lost stands: it is found where it was ``tried_before``, and told like any other.
        """
        async with self._database.workspace(claim.workspace_id, power_safe=False) as store:
            connector = await store.connectors.get(claim.connector_id)
            if connector is None:
                return None
            saved_at = self._now()
            finished = await store.lookups.finish(claim, _as_logged(ending, connector), saved_at)
            if not finished and not (tried_before and await store.lookups.ended_so(claim, ending.outcome)):
                return None
            health = connector.health
            if finished and claim.trigger is not LookupTrigger.TEST:
                await store.answers.record(claim.connector_id, claim.email, ending.outcome, saved_at)
                health = await note_outcome(store, connector, claim, ending.outcome, now=saved_at, retry_after=retry_after)
            if finished and candidate is not None and not isinstance(ending.outcome, Failure):
                await candidate.answered(store)
            more = await store.lookups.any_queued(saved_at)
        turned = tell_turn(connector, health, claim, ending.outcome)
        topics = [CONNECTORS] if turned or not finished else []  # of one that was found nobody knows what it turned
        await self._updates.announce(claim.workspace_id, requester_topic(claim.email), log_topic(claim.connector_id), *topics)
        status = status_of(ending.outcome)
        self._observe(claim.trigger, status, saved_at - claim.requested_at)
        _log.info(
            "lookup ended",
            lookup_id=str(claim.lookup_id),
            connector_id=str(claim.connector_id),
            ticket_id=str(claim.ticket_id) if claim.ticket_id else None,
            trigger=str(claim.trigger),
            status=str(status),
            failure=str(ending.outcome.kind) if isinstance(ending.outcome, Failure) else None,
            http_status=ending.http_status,
            duration_ms=None if ending.duration is None else round(ending.duration / timedelta(milliseconds=1)),
        )
        return more


def _asked_with(candidate: Candidate, question: Question) -> Question | Failure:
    """The question with another secret; the one in force may be echoed, too, by an endpoint that compares the two."""
    if question.secret is None:
        return Failure(FailureKind.INTERRUPTED)
    return replace(question, secret=candidate.secret, also_hidden=(question.secret, *question.also_hidden))


def _ending(reply: Reply) -> Ending:
    return Ending(
        outcome=reply.outcome,
        http_status=reply.http_status,
        duration=reply.duration,
        warnings=reply.warnings,
        response=reply.response,
    )


def _as_logged(told: _Told, connector: Connector) -> _Told:
    """What was told, as far as the connector lets it be kept."""
    if connector.log_results:
        return told
    return replace(told, warnings=tuple(warning.unlogged() for warning in told.warnings), response=None)
