"""The panels of a ticket as they change: watched, read and compared once for all who follow them in this process."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from graph.errors import Reported
from graph.watch import patience, read_again
from lookups.trace import continuing, tracer
from lookups.updates import CONNECTORS, requester_topic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    import strawberry

    from domain.identity import TicketId, WorkspaceId
    from domain.ticket import Ticket
    from graph.panels import Panels
    from graph.types import CrmPanel
    from lookups.updates import Topic, Updates, Watch
    from persistence.database import Database

_AT_ONCE: Final = 100
"""Followers that are told before others have their turn: a thousand frames take some 15 ms."""
_UNTRACED: Final = nullcontext()
_log = structlog.get_logger(__name__)


class _Subject(NamedTuple):
    """What a feed is of; the topics with the ticket, for its requester may be erased."""

    workspace_id: WorkspaceId
    ticket_id: TicketId
    topics: tuple[Topic, ...]


class Feeds:
    """One feed for each ticket that is followed: it begins with the first who does and ends with the last."""

    def __init__(self, database: Database, updates: Updates, panels: Panels) -> None:
        self._database = database
        self._updates = updates
        self._panels = panels
        self._feeds: dict[_Subject, _Feed] = {}

    def __len__(self) -> int:
        return len(self._feeds)

    def follow(self, workspace_id: WorkspaceId, ticket: Ticket, wake: Callable[[], None]) -> Follower:
        """Begin to follow; ``wake`` is called whenever there is something to take, and must not raise."""
        topics = (requester_topic(ticket.requester.email),) if ticket.requester else ()
        subject = _Subject(workspace_id, ticket.id, (CONNECTORS, *topics))
        if subject not in self._feeds:
            self._feeds[subject] = _Feed(self, subject)
        return Follower(self._feeds[subject], wake)

    async def read(self, subject: _Subject) -> list[CrmPanel]:
        """The panels as they stand, once the database is there."""

        async def panels() -> list[CrmPanel]:
            async with self._database.glancing(subject.workspace_id) as store:
                standings = await store.standings.of([subject.ticket_id])
            return self._panels.of(subject.ticket_id, standings[subject.ticket_id])

        return await read_again(self._database, panels)

    def watch(self, subject: _Subject) -> AbstractAsyncContextManager[Watch]:
        """Be told of what may change them."""
        return self._updates.watch(subject.workspace_id, *subject.topics)

    def forget(self, feed: _Feed) -> None:
        """Let the next who follows begin anew."""
        if self._feeds.get(feed.subject) is feed:
            del self._feeds[feed.subject]


class _Feed:
    """The panels of one ticket, and who follows them."""

    def __init__(self, feeds: Feeds, subject: _Subject) -> None:
        self.subject = subject
        self.panels: Mapping[strawberry.ID, CrmPanel] = {}
        """As they were last read, in panel order; one that has not changed is the same object as before."""
        self.trace: str | None = None
        """The traceparent of what was announced before the last reading."""
        self.failed = False
        self._feeds = feeds
        self._followers: set[Follower] = set()
        self._newcomers: set[Follower] = set()
        self._watch: Watch | None = None
        self._running = asyncio.create_task(self._run())

    def add(self, follower: Follower) -> None:
        """Show it the panels by a reading that begins from now on: whoever saw a change made sees no older state for long."""
        self._followers.add(follower)
        self._newcomers.add(follower)
        if self._watch is not None:
            self._watch.happened()

    def remove(self, follower: Follower) -> None:
        """Tell it nothing any more; the last one ends the feed."""
        self._followers.discard(follower)
        self._newcomers.discard(follower)
        if not self._followers:
            self._feeds.forget(self)
            self._running.cancel()

    async def _run(self) -> None:
        """Watch first and read second, so that nothing falls between; and read again, told or not."""
        try:
            async with self._feeds.watch(self.subject) as self._watch:
                while True:
                    newcomers, self._newcomers = self._newcomers, set()
                    changed = self._compare(await self._feeds.read(self.subject))
                    for newcomer in newcomers:
                        newcomer.begin()
                    await self._tell(self._followers if changed else newcomers)
                    self.trace = await self._watch.wait(patience())
        except Exception as failure:  # noqa: BLE001 - whatever it was, those who follow have to hear of it
            _log.error("a feed broke off", ticket_id=str(self.subject.ticket_id), exc_info=failure)
            self.failed = True
            self._feeds.forget(self)
            await self._tell(self._followers)

    def _compare(self, found: list[CrmPanel]) -> bool:
        """Take over what was found; whether a panel is new or has changed."""
        before = self.panels
        shown = {panel.id: _same(before.get(panel.id), panel) for panel in found}
        news = any(before.get(panel_id) is not panel for panel_id, panel in shown.items())
        if news or list(shown) != list(before):
            self.panels = shown
        return news

    async def _tell(self, followers: set[Follower]) -> None:
        """Wake them, some at a time; those who leave meanwhile are spared."""
        for number, follower in enumerate(list(followers), start=1):
            if follower in self._followers:
                follower.wake()
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)


def _same(before: CrmPanel | None, now: CrmPanel) -> CrmPanel:
    """The panel, as the object that was shown before where it has not changed."""
    return before if before is not None and before.source == now.source else now


class Follower:
    """One who follows a feed, and what it has been shown: states it was too slow for are merged, so its memory does not grow."""

    __slots__ = ("_begun", "_feed", "_shown", "wake")

    def __init__(self, feed: _Feed, wake: Callable[[], None]) -> None:
        self.wake = wake
        self._feed = feed
        self._shown: Mapping[strawberry.ID, CrmPanel] = {}
        self._begun = False
        feed.add(self)

    def begin(self) -> None:
        """There is a state that was read after it asked."""
        self._begun = True

    def take(self) -> CrmPanel | None:
        """The next panel that it has not been shown as it stands; None when there is none, Reported when the feed broke off."""
        if self._feed.failed:
            raise Reported
        panels = self._feed.panels
        if not self._begun or self._shown is panels:
            return None
        for panel_id, panel in panels.items():
            if self._shown.get(panel_id) is not panel:
                self._shown = {**self._shown, panel_id: panel}
                return panel
        self._shown = panels
        return None

    def sending(self) -> AbstractContextManager[None]:
        """A span until the frame has been handed over, where a change is followed."""
        trace = self._feed.trace
        return _UNTRACED if trace is None else _span(trace, self._feed.subject.ticket_id)

    def leave(self) -> None:
        """Follow no more."""
        self._feed.remove(self)


@contextmanager
def _span(trace: str, ticket_id: TicketId) -> Iterator[None]:
    """Never the current one, for it is open while others run."""
    span = tracer.start_span("send panel", continuing(trace), attributes={"disqua.ticket_id": str(ticket_id)})
    try:
        yield
    finally:
        span.end()
