"""What an outcome does to its connector beside the answer: what is stored, who is told, and what it costs."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from sqlalchemy import Engine, event
from structlog.testing import capture_logs

from domain.connector import UNCHANGED, Unchanged
from domain.failure import Failure, FailureKind
from domain.health import FAILING_TO_PAUSE, PROBE_EVERY, Failing, Health, Paused, Working
from domain.identity import email_address
from domain.lookup import LookupStatus, LookupTrigger, Occasion
from domain.secret import Secret
from lookups.connectors import change_connector
from lookups.updates import CONNECTORS
from tests.lookups.room import POLICY, at_work, told
from tests.stage.crm import FOUND, NOT_FOUND, response
from tests.stage.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from domain.connector import Connector
    from domain.lookup import Lookup
    from domain.ticket import Ticket
    from tests.lookups.room import Room
    from tests.stage.crm import Crm

ERROR = response(500, b"")
GONE = response(410, b"")
MINUTE = timedelta(minutes=1)
INTERRUPTED = Failure(FailureKind.INTERRUPTED)


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """Every statement from now on, the beginning of transactions left out."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, text: str, *_: object) -> None:
        if not text.startswith(("BEGIN", "SELECT set_config(", "SELECT pg_", "SET ")):
            seen.append(text)

    event.listen(Engine, "before_cursor_execute", note)
    yield seen
    event.remove(Engine, "before_cursor_execute", note)


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    """What an operator reads, from the level of production on."""
    usual = structlog.get_config()["wrapper_class"]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    with capture_logs() as seen:
        yield seen
    structlog.configure(wrapper_class=usual)


async def ask(room: Room, ticket: Ticket, occasion: Occasion = Occasion.REFRESH_ASKED) -> bool:
    """Have the occasion ask, to the end; whether anything was asked."""
    await room.request(ticket, occasion)
    prepared = await room.runner.claim(room.workspace_id)
    if prepared is not None:
        await room.runner.run(prepared)
    return prepared is not None


async def health(room: Room, connector: Connector) -> Health:
    async with room.database.reading(room.workspace_id) as store:
        stored = await store.connectors.get(connector.id)
    assert stored is not None
    return stored.health


async def save(room: Room, connector: Connector, health: Health) -> None:
    async with room.database.workspace(room.workspace_id) as store:
        await store.connectors.save_health(connector.id, health)


async def change(room: Room, connector: Connector, secret: Secret | Unchanged = UNCHANGED, **changes: Any) -> None:  # noqa: ANN401
    async with room.database.workspace(room.workspace_id) as store:
        await change_connector(store, connector.id, changes, secret, policy=POLICY, now=room.clock.now())


async def last(room: Room, connector: Connector) -> Lookup:
    return (await room.log(connector))[0]


# What is stored


async def test_a_run_of_failures_is_counted_from_its_first_and_one_answer_ends_it(room: Room, crm: Crm) -> None:
    connector, ticket = await room.connect(crm.url()), await room.open_ticket()
    crm.answers["/lookup"] = ERROR
    first = room.clock.now()
    for _ in range(3):
        await ask(room, ticket)
        room.clock.let_pass(MINUTE)
    assert await health(room, connector) == Failing(first, 3)

    crm.answers["/lookup"] = NOT_FOUND
    await ask(room, ticket)

    assert await health(room, connector) == Working(room.clock.now())


async def test_a_429_pauses_until_retry_after(room: Room, crm: Crm) -> None:
    connector, ticket = await room.connect(crm.url()), await room.open_ticket()
    crm.answers["/lookup"] = response(429, b"", "Retry-After: 90")

    await ask(room, ticket)

    now = room.clock.now()
    assert await health(room, connector) == Paused(now, 1, now + timedelta(seconds=90))


async def test_the_sweeper_says_nothing_of_an_endpoint(room: Room, crm: Crm) -> None:
    connector, ticket = await room.connect(crm.url()), await room.open_ticket()
    await save(room, connector, Failing(room.clock.now(), 19))
    await room.request(ticket)
    assert await room.runner.claim(room.workspace_id) is not None
    room.clock.let_pass(FAILING_TO_PAUSE)

    await room.sweeper.sweep()

    assert (await last(room, connector)).failure == INTERRUPTED
    assert await health(room, connector) == Failing(room.clock.now() - FAILING_TO_PAUSE, 19)


@pytest.mark.parametrize("answer", [FOUND, ERROR, GONE])
async def test_a_trial_changes_no_health(room: Room, crm: Crm, answer: Any) -> None:  # noqa: ANN401
    connector = await room.connect(crm.url())
    paused = Paused(room.clock.now(), 20, room.clock.now() + PROBE_EVERY)
    await save(room, connector, paused)
    crm.answers["/lookup"] = answer

    trial = await room.runner.try_out(room.workspace_id, connector.id, (await room.open_ticket()).requester.email)  # type: ignore[union-attr]

    assert trial is not None
    assert trial.reply.http_status
    assert await health(room, connector) == paused


async def last_success(room: Room, connector: Connector) -> datetime | None:
    async with room.database.reading(room.workspace_id) as store:
        stored = await store.connectors.get(connector.id)
    assert stored is not None
    return stored.last_success_at


async def test_the_last_success_is_noted_once_a_minute_and_outlives_the_log(room: Room, crm: Crm) -> None:
    connector, ticket = await room.connect(crm.url()), await room.open_ticket()
    first = room.clock.now()
    crm.answers["/lookup"] = ERROR
    await ask(room, ticket)
    assert await last_success(room, connector) is None

    crm.answers["/lookup"] = FOUND
    noted = []
    for passed in (timedelta(0), MINUTE - timedelta(seconds=1), timedelta(seconds=1)):
        room.clock.let_pass(passed)
        await ask(room, ticket)
        noted.append(await last_success(room, connector))
    assert noted == [first, first, first + MINUTE]

    crm.answers["/lookup"] = ERROR
    room.clock.let_pass(MINUTE)
    await ask(room, ticket)
    await room.runner.try_out(room.workspace_id, connector.id, email_address("jan@firma.cz"))
    async with room.database.workspace(room.workspace_id) as store:
        await store.aging.erase_log(room.clock.now() + timedelta(days=1), at_most=100)
    assert await room.log(connector) == []
    assert await last_success(room, connector) == first + MINUTE


async def test_a_success_within_the_minute_that_ends_failures_is_noted_with_them(room: Room, crm: Crm) -> None:
    connector, ticket = await room.connect(crm.url()), await room.open_ticket()
    for answer in (FOUND, ERROR, FOUND):
        crm.answers["/lookup"] = answer
        await ask(room, ticket)
        room.clock.let_pass(timedelta(seconds=10))

    assert await health(room, connector) == Working(room.clock.now() - timedelta(seconds=10))
    assert await last_success(room, connector) == room.clock.now() - timedelta(seconds=10)


# What a change of settings does to it


async def test_another_url_header_or_secret_is_another_endpoint(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url(), secret="old")

    async def after(secret: Secret | Unchanged = UNCHANGED, **changes: Any) -> Health:  # noqa: ANN401 - any setting
        await save(room, connector, Paused(room.clock.now(), 20, room.clock.now() + PROBE_EVERY))
        room.clock.let_pass(MINUTE)
        await change(room, connector, secret, **changes)
        return await health(room, connector)

    assert await after(lookup_url=crm.url("/other")) == Working(room.clock.now())
    assert await after(secret_header_name="X-Other") == Working(room.clock.now())
    assert await after(Secret("new")) == Working(room.clock.now())
    assert isinstance(await after(Secret("new")), Paused)


async def test_disabling_and_enabling_keeps_it(room: Room, crm: Crm) -> None:
    connector, ticket = await room.connect(crm.url()), await room.open_ticket()
    paused = Paused(room.clock.now(), 20, room.clock.now() + PROBE_EVERY)
    await save(room, connector, paused)

    for enabled in (False, True):
        await change(room, connector, enabled=enabled)

    assert await health(room, connector) == paused
    assert not await ask(room, ticket, Occasion.TICKET_OPENED)


# What is queued when a pause begins


async def test_a_backlog_that_nobody_waits_for_is_sent_no_more(room: Room, crm: Crm) -> None:
    connector = await room.connect(crm.url())
    crm.answers["/lookup"] = GONE
    waiting = await room.open_ticket("vera@firma.cz")
    backlog = [await room.open_ticket(f"{number}@firma.cz") for number in range(3)]
    for ticket in backlog:
        await room.request(ticket)
    await room.request(waiting, Occasion.REFRESH_ASKED)

    while (prepared := await room.runner.claim(room.workspace_id)) is not None:
        await room.runner.run(prepared)

    assert [request.json["email"] for request in crm.requests] == ["vera@firma.cz"]
    ended = {line.email: line.failure for line in await room.log(connector)}
    assert [ended[ticket.requester.email] for ticket in backlog if ticket.requester] == [INTERRUPTED] * 3
    standing = await room.standing(backlog[0], connector)
    assert (standing.newest, standing.under_way) == (None, False)


async def drain(room: Room) -> None:
    while (prepared := await room.runner.claim(room.workspace_id)) is not None:
        await room.runner.run(prepared)


async def held_backlog(room: Room, crm: Crm, size: int) -> tuple[Connector, list[Ticket]]:
    """A connector whose endpoint has asked for 90 seconds, with so many lookups that wait for nobody."""
    connector = await room.connect(crm.url())
    crm.answers["/lookup"] = response(429, b"", "Retry-After: 90")
    tickets = [await room.open_ticket(f"{number}@firma.cz") for number in range(size)]
    for ticket in tickets:
        await room.request(ticket)
    await ask(room, await room.open_ticket("vera@firma.cz"))
    return connector, tickets


async def test_a_429_holds_the_backlog_until_it_may_be_asked_again_and_loses_nothing(room: Room, crm: Crm) -> None:
    connector, tickets = await held_backlog(room, crm, 12)

    room.clock.let_pass(timedelta(seconds=89))
    await drain(room)
    assert [request.json["email"] for request in crm.requests] == ["vera@firma.cz"]
    assert all([(await room.standing(ticket, connector)).under_way for ticket in tickets])

    crm.answers["/lookup"] = FOUND
    room.clock.let_pass(timedelta(seconds=1))
    await drain(room)
    assert len(crm.requests) == 13
    assert [(await room.standing(ticket, connector)).failure for ticket in tickets] == [None] * 12


async def test_another_429_puts_the_rest_of_the_backlog_off_again(room: Room, crm: Crm) -> None:
    connector, _ = await held_backlog(room, crm, 3)
    room.clock.let_pass(timedelta(seconds=90))

    await drain(room)

    assert len(crm.requests) == 2
    stored = await health(room, connector)
    assert isinstance(stored, Paused)
    assert stored.next_probe_at == room.clock.now() + timedelta(seconds=90)


async def test_an_agent_who_refreshes_sends_what_is_held_and_one_who_looks_does_not(room: Room, crm: Crm) -> None:
    _, (looked_at, refreshed) = await held_backlog(room, crm, 2)

    await room.request(looked_at, Occasion.TICKET_VIEWED)
    await room.request(refreshed, Occasion.REFRESH_ASKED)
    await drain(room)

    assert [request.json["email"] for request in crm.requests] == ["vera@firma.cz", "1@firma.cz"]


async def test_a_probe_goes_out_before_a_backlog_and_the_backlog_waits_for_what_it_brings(room: Room, crm: Crm) -> None:
    await held_backlog(room, crm, 2)
    room.clock.let_pass(timedelta(seconds=90))
    crm.answers["/lookup"] = FOUND
    await room.request(await room.open_ticket("probe@firma.cz"))

    probe = await room.runner.claim(room.workspace_id)
    assert probe is not None
    assert (probe.claim.email, probe.more) == ("probe@firma.cz", False)
    assert await room.runner.claim(room.workspace_id) is None
    assert await room.runner.run(probe)

    await drain(room)
    assert len(crm.requests) == 4


async def test_a_410_gives_a_held_backlog_up(room: Room, crm: Crm) -> None:
    connector, tickets = await held_backlog(room, crm, 2)
    crm.answers["/lookup"] = GONE

    await ask(room, await room.open_ticket("eva@firma.cz"))

    assert {line.failure for line in await room.log(connector) if line.failure == INTERRUPTED} == {INTERRUPTED}
    assert [(await room.standing(ticket, connector)).under_way for ticket in tickets] == [False, False]


async def test_nobody_is_rung_for_what_is_held_and_the_sweeper_rings_when_it_may_go(
    room: Room, crm: Crm, statements: list[str]
) -> None:
    connector, _ = await held_backlog(room, crm, 20)
    crm.answers["/lookup"] = FOUND
    async with at_work(room) as lanes:
        await (lanes.ring(room.workspace_id) or asyncio.sleep(0))
        statements.clear()
        await room.sweeper.sweep()
        assert [text for text in statements if "UPDATE" in text] == []
        assert len(crm.requests) == 1

        room.clock.let_pass(timedelta(seconds=90))
        await room.sweeper.sweep()
        await eventually(lambda: room.ended(connector))

    assert len(crm.requests) == 21


async def test_whoever_joins_a_refresh_under_way_takes_no_probe(room: Room, crm: Crm) -> None:
    connector, ticket = await room.connect(crm.url()), await room.open_ticket()
    due = Paused(room.clock.now(), 20, room.clock.now())
    await save(room, connector, due)
    await room.request(ticket, Occasion.REFRESH_ASKED)

    joined = await room.request(ticket, Occasion.TICKET_VIEWED)

    assert joined.connectors == [connector.id]
    assert len(await room.log(connector)) == 1
    assert await health(room, connector) == due


# Who is told


async def test_a_turn_is_told_to_all_who_watch_and_logged_once(room: Room, crm: Crm, lines: list[Any]) -> None:
    connector, ticket = await room.connect(crm.url()), await room.open_ticket()
    crm.answers["/lookup"] = GONE
    heard = []
    async with room.updates.watch(room.workspace_id, CONNECTORS) as watch:
        for answer in (ERROR, GONE, GONE, ERROR, FOUND, FOUND):
            crm.answers["/lookup"] = answer
            await ask(room, ticket)
            heard.append(await told(room.updates, room.workspace_id, watch))

    assert heard == [False, True, False, False, True, False]
    turns = [line for line in lines if line["event"] != "lookup ended"]
    assert [(line["event"], line["log_level"]) for line in turns] == [
        ("connector paused", "warning"),
        ("connector works again", "info"),
    ]
    assert {line["connector_id"] for line in turns} == {str(connector.id)}
    assert (turns[0]["failures_in_a_row"], turns[0]["http_status"]) == (2, 410)


# What it costs


@pytest.mark.parametrize(("answer", "more"), [(FOUND, 0), (ERROR, 1)], ids=["success", "failure"])
async def test_a_success_after_a_success_costs_no_statement(
    room: Room,
    crm: Crm,
    statements: list[str],
    answer: dict[str, Any] | bytes,
    more: int,
) -> None:
    connector, ticket = await room.connect(crm.url()), await room.open_ticket()
    await ask(room, ticket)
    crm.answers["/lookup"] = answer
    await room.request(ticket, Occasion.REFRESH_ASKED)
    prepared = await room.runner.claim(room.workspace_id)
    assert prepared is not None
    statements.clear()

    await room.runner.run(prepared)

    assert (await last(room, connector)).status is (LookupStatus.ERROR if more else LookupStatus.FOUND)
    assert (await last(room, connector)).trigger is LookupTrigger.REFRESH
    writes = [text for text in statements if text.startswith(("UPDATE", "INSERT", "DELETE"))]
    assert len(writes) == 2 + more
    assert sum("UPDATE connectors" in text for text in writes) == more
